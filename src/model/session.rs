//! One ONNX Runtime session, set up to take little memory.
//!
//! Measured on EfficientNetV2S (ONNX Runtime 1.28, 1 thread, peak RSS of the process after 1 and after 60 images): arena and memory
//! pattern off 167 and **511** MB, because malloc cannot reuse the holes that each run leaves; pattern alone 163 and 170, arena alone
//! 171 and 176, both 169 and 184; arena alone with [`tune_malloc`] 134 and 137, at the same latency;
//! while the session is created it peaks at 168. The arena is used where there is no [`Pool`](crate::memory::Pool). With the pool, bundles of
//! the same network, one image (another machine, AVX-512): `prepare` 132.5 to 119, `fp16` 95.5 to 83.5, `int8-weights` 78.4 to 66.7 MB. The
//! arena's strategies (extend by what is asked, first chunk, memory pattern, initializers past it) changed it by +1.6 MB at worst and 0 at best.
use super::runtime::Runtime;
use crate::memory::{Phase, tune_malloc};
use crate::onnx::ModelFile;
use anyhow::{Context, Result, anyhow};
use ndarray::ArrayD;
use ort::ep::CPU;
use ort::logging::LogLevel;
use ort::session::SessionInputValue;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::TensorRef;

/// How long, in microseconds, an idle thread waits busily for its next share of the network; about as long as the gaps between shares.
///
/// Measured with 2 threads on 2 cores, EfficientNetV2S, against the runtime's default of spinning much longer: not at all takes 9 % more time on
/// a quiet machine; 30 to 100 us take the same or less, and half to two thirds of the time where others compute, too.
const SPIN: &str = "50";

/// How a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads for one inference.
    pub threads: usize,
    /// Whether idle threads wait busily for a moment, see [`SPIN`]: faster, but under a quota it burns time that is paid for.
    pub spinning: bool,
}

/// A running graph.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    // Dropped behind it.
    _rest: Rest,
}

/// What a session has left behind goes back to the kernel: another one may follow, and need other sizes.
#[derive(Debug)]
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the kernel back what no tensor lies in.
pub fn give_back() {
    #[cfg(target_os = "linux")]
    super::allocator::trim();
    tune_malloc(Phase::Running);
}

/// A value for an input.
#[derive(Clone, Copy, Debug)]
pub enum Feed<'a> {
    /// float32 values in row-major order, and their shape.
    Floats(&'a [usize], &'a [f32]),
    /// int64, `[n]`.
    Ints(&'a [i64]),
}

/// What a session is made of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The graph as the runtime gets it.
    pub model: &'a [u8],
    /// The file that holds its weights; errors name it.
    pub file: &'a ModelFile,
    /// Whether the graph was optimised when it was written: it is then taken as it stands.
    pub optimised: bool,
}

impl Session {
    /// Creates a session; weights are mapped from where they lie.
    pub fn create(runtime: &Runtime, source: Source<'_>, options: &SessionOptions) -> Result<Self> {
        let named = || format!("ONNX Runtime {} cannot run `{}`", runtime.version(), source.file.path().display());
        let level = if source.optimised { GraphOptimizationLevel::Disable } else { GraphOptimizationLevel::All };
        let mut builder = builder(runtime, source, level, options).with_context(named)?;
        tune_malloc(Phase::Loading(source.file.size()));
        let inner = builder
            .commit_from_memory(source.model)
            .map_err(|e| anyhow!("{}", first_line(&e.to_string())))
            .with_context(named)?;
        give_back();
        Ok(Self { inner, _rest: Rest })
    }

    /// Runs the graph and gives the float32 outputs named in `outputs`, in that order.
    pub fn run(&mut self, feeds: &[(&str, Feed<'_>)], outputs: &[&str]) -> Result<Vec<ArrayD<f32>>> {
        let failed = |e: ort::Error| anyhow!("the model failed on this image: {}", first_line(&e.to_string()));
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(feeds.len());
        for (name, feed) in feeds {
            let value = match feed {
                Feed::Floats(shape, values) => TensorRef::from_array_view((*shape, *values)).map_err(failed)?.into(),
                Feed::Ints(all) => TensorRef::from_array_view(([all.len()], *all)).map_err(failed)?.into(),
            };
            inputs.push((name, value));
        }
        let given = self.inner.run(inputs).map_err(failed)?;
        let array = |name: &&str| Ok(given[*name].try_extract_array::<f32>().map_err(failed)?.to_owned());
        outputs.iter().map(array).collect()
    }
}

/// What every session is made with.
pub fn builder(
    runtime: &Runtime,
    source: Source<'_>,
    level: GraphOptimizationLevel,
    options: &SessionOptions,
) -> Result<SessionBuilder> {
    let builder = ort::session::Session::builder(runtime.environment()).map_err(|e| anyhow!("{e}"))?;
    // `ort` gives the builder back with the error.
    #[allow(clippy::result_large_err)]
    let set_up = |builder: SessionBuilder| {
        builder
            .with_log_level(LogLevel::Fatal)?
            .with_optimization_level(level)?
            .with_intra_threads(options.threads)?
            .with_intra_op_spinning(options.spinning)?
            .with_config_entry("session.intra_op.spin_duration_us", SPIN)?
            // Between two pictures the cores are the decoder's.
            .with_config_entry("session.force_spinning_stop", "1")?
            .with_memory_pattern(false)?
            .with_execution_providers([CPU::default().with_arena_allocator(true).build()])?
            .with_config_entry("session.use_env_allocators", if runtime.has_pool() { "1" } else { "0" })?
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                source.file.folder().to_string_lossy(),
            )
    };
    set_up(builder).map_err(|e: ort::Error<SessionBuilder>| anyhow!("{e}"))
}

/// The runtime's messages can be pages; the first line says what is wrong.
pub fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}
