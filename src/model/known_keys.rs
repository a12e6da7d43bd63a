//! Unknown keys of a card: an error with the nearest known key, because a misspelt `threshold` must not be ignored.
use crate::yaml;
use anyhow::{Result, bail};
use serde_json::Value;

/// Keys by place; `[]` stands for any element of a list.
const KNOWN: [(&str, &[&str]); 11] = [
    ("", &["card", "name", "model", "input", "output", "labels", "explain", "threshold", "about", "bundle"]),
    ("model", &["file", "sha256"]),
    ("input", &["layout", "size", "color", "resize", "scale", "mean", "std"]),
    ("input.resize", &["mode", "filter", "shortest", "color"]),
    ("output", &["kind", "name", "temperature"]),
    ("labels[]", &["id", "en", "vi"]),
    ("explain", &["layer"]),
    ("about", &["source", "licence", "data", "accuracy", "notice"]),
    ("bundle", &["mode", "source_sha256", "calibration_sha256", "vnni", "weights", "forms"]),
    ("bundle.weights", &["file", "bytes", "sha256"]),
    ("bundle.forms[]", &["file", "task", "layer", "cpu", "level", "runtime", "sha256"]),
];

/// Fails at the first key that no card has.
pub fn check(card: &Value) -> Result<()> {
    walk(card, "", "")
}

/// `place` is where the value stands, `pattern` the same with list positions left out.
fn walk(value: &Value, place: &str, pattern: &str) -> Result<()> {
    match value {
        Value::Object(map) => {
            let Some((_, known)) = KNOWN.iter().find(|(at, _)| *at == pattern) else { return Ok(()) };
            for (key, inner) in map {
                let join = |before: &str| if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
                if !known.contains(&key.as_str()) {
                    match yaml::nearest(key, known.iter().copied()) {
                        Some(nearest) => bail!("`{}` is not a key of a card; did you mean `{nearest}`?", join(place)),
                        None => {
                            bail!("`{}` is not a key of a card; those there are `{}`", join(place), known.join("`, `"))
                        }
                    }
                }
                walk(inner, &join(place), &join(pattern))?;
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{place}[{at}]"), &format!("{pattern}[]"))?;
            }
        }
        _ => {}
    }
    Ok(())
}
