//! What `--compare` needs of an earlier report: the peaks out of its JSON.
use super::json::SCHEMA;
use super::words::clip;
use crate::memcheck::Earlier;
use crate::text::one_line;
use crate::units::Bytes;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Document {
    stages: Vec<Stage>,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Stage {
    name: String,
    peak_bytes: u64,
}

#[derive(Deserialize)]
struct Verdict {
    peak_bytes: u64,
}

/// Reads a report that `memcheck --json` wrote; the caller adds the file's name to an error.
///
/// # Errors
/// When it is no JSON, no report of `memcheck`, one of another version, or one that was altered.
pub fn read_earlier(json: &[u8]) -> Result<Earlier> {
    let again = "write one with `dermai memcheck --json`";
    let value: Value = serde_json::from_slice(json).with_context(|| format!("not JSON; {again}"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => bail!("its schema is `{}`, not `{SCHEMA}`; {again}", one_line(&clip(other, 60))),
        None => bail!("not a report of this program: it has no `schema`; {again}"),
    }
    let document: Document =
        serde_json::from_value(value).with_context(|| format!("not a whole report of `memcheck`; {again}"))?;
    ensure!(!document.stages.is_empty(), "it has no stages to compare with; {again}");
    Ok(Earlier {
        stages: document.stages.into_iter().map(|stage| (stage.name, Bytes(stage.peak_bytes))).collect(),
        peak: Bytes(document.verdict.peak_bytes),
    })
}
