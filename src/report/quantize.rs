//! What `quantize` made: a table, or JSON.
use super::table::write_rows;
use crate::quantize::Made;
use crate::text::one_line;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

/// Name and version of the JSON.
const SCHEMA: &str = "dermai.quantize/1";

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    dermai: &'static str,
    source: Source<'a>,
    output: String,
    mode: String,
    before: Side,
    after: Side,
}

#[derive(Serialize)]
struct Source<'a> {
    name: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct Side {
    bytes: u64,
}

/// Writes what was made.
pub fn write(out: &mut dyn Write, made: &Made, json: bool) -> Result<()> {
    if json {
        let document = Json {
            schema: SCHEMA,
            dermai: env!("CARGO_PKG_VERSION"),
            source: Source { name: &made.source, sha256: &made.source_sha256 },
            output: made.output.display().to_string(),
            mode: made.mode.to_string(),
            before: Side { bytes: made.before.0 },
            after: Side { bytes: made.after.0 },
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "{}", one_line(&format!("{} of `{}` in `{}`", made.mode, made.source, made.output.display())))?;
    let head = ["", "files", "ratio"].map(str::to_owned).to_vec();
    let ratio = made.after.0 as f64 / made.before.0.max(1) as f64;
    let before = vec!["before".to_owned(), made.before.to_string(), String::new()];
    let after = vec!["after".to_owned(), made.after.to_string(), format!("{ratio:.2}")];
    write_rows(out, [head, before, after].into_iter(), &[1, 2])?;
    Ok(())
}
