//! Having the runtime rewrite a graph once, ahead of time, so that a session over the result is created in a tenth of the time and memory.
use super::Runtime;
use super::session::{SessionOptions, Source, builder, first_line, give_back};
use anyhow::{Context, Result, anyhow};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use std::fs;
use std::path::Path;

/// How far the runtime rewrites a graph (onnxruntime: docs/performance/model-optimizations/graph-optimizations).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Folded constants and normalisations, in operators of ONNX itself: what quantization starts from. The runtime's level 1.
    Basic,
    /// The runtime's own fused operators, for any CPU. Its level 2.
    Portable,
    /// Weights in blocks as wide as this CPU's registers. Its level 3: the graph is for this class of CPU only.
    Fast,
}

impl Level {
    /// The runtime's number of it.
    pub fn number(self) -> u8 {
        match self {
            Self::Basic => 1,
            Self::Portable => 2,
            Self::Fast => 3,
        }
    }
}

/// Has the runtime rewrite a graph and write it to `to`, its weights to a file beside it that [`External`](crate::onnx::External) reads.
///
/// # Errors
/// When the runtime refuses the graph, or `to` cannot be written.
pub fn optimise(runtime: &Runtime, source: Source<'_>, level: Level, to: &Path) -> Result<()> {
    let weights = to.with_extension("weights");
    let weights = weights.file_name().and_then(|name| name.to_str()).context("the graph's name is not UTF-8")?;
    let level = match level {
        Level::Basic => GraphOptimizationLevel::Level1,
        Level::Portable => GraphOptimizationLevel::Level2,
        Level::Fast => GraphOptimizationLevel::Level3,
    };
    let options = SessionOptions { threads: 1, spinning: false };
    let named = || format!("ONNX Runtime {} cannot optimise `{}`", runtime.version(), source.file.path().display());
    // `ort` gives the builder back with the error.
    #[allow(clippy::result_large_err)]
    let writing = |builder: SessionBuilder| {
        builder
            .with_optimized_model_path(to)?
            .with_config_entry("session.optimized_model_external_initializers_file_name", weights)?
            .with_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")?
            // It would move a step of rounding to before a pool that computes in float, and have it compute in int8 in the slowest layout: 1.6 times
            // the source's time on ham-cnn64, 0.6 without.
            .with_config_entry("optimization.disable_specified_optimizers", "QDQPropagationTransformer")
    };
    let builder = builder(runtime, source, level, &options).with_context(named)?;
    let mut builder = writing(builder).map_err(|e: ort::Error<SessionBuilder>| anyhow!("{e}")).with_context(named)?;
    let session = builder.commit_from_memory(source.model).map(drop);
    give_back();
    session.map_err(|e| anyhow!("{}", first_line(&e.to_string()))).or_else(|error| {
        // The runtime does not say why it could not write: a full disk says so to the next who tries.
        let probe = to.with_extension("probe");
        let written = fs::write(&probe, vec![0; 1 << 16]);
        let _ = fs::remove_file(&probe);
        written.with_context(|| format!("`{}` cannot be written", to.display()))?;
        Err(error).with_context(named)
    })
}
