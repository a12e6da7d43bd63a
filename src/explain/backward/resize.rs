//! Resize and Upsample, nearest and linear: one linear map an axis.
use super::selection::Selection;
use super::{Name, Rule, Step};
use crate::onnx::place;
use anyhow::{Context, Result, bail, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    matches!(op, "Resize" | "Upsample").then_some(resize)
}

fn resize(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let mut gradient = step.gradient()?;
    let (from, to) = (step.shape(0)?.to_vec(), step.output_shape()?.to_vec());
    let text = |name: &str, usual: &'static str| step.node.text(name).unwrap_or(usual).to_owned();
    ensure!(step.node.int("antialias").unwrap_or(0) == 0, "it antialiases, which no rule differentiates");
    let policy = text("keep_aspect_ratio_policy", "stretch");
    ensure!(policy == "stretch", "its policy `{policy}` has no rule");
    let mode = text("mode", "nearest");
    // Upsample and Resize-10 know no other transformation than this, and round up where they shrink, as the runtime has it.
    let old = step.node.op_type == "Upsample" || step.emit.opset() < 11;
    let transformation =
        if old { "asymmetric".to_owned() } else { text("coordinate_transformation_mode", "half_pixel") };
    let nearest = text("nearest_mode", "round_prefer_floor");
    if from == to {
        return Ok(Step::only(gradient)); // the runtime copies then, whatever the scales
    }
    let scales = scales(step, &from, &to)?;
    for axis in 0..from.len() {
        if from[axis] == to[axis] && scales[axis] == 1.0 {
            continue;
        }
        let rounding = match (old, scales[axis] < 1.0) {
            (false, _) => nearest.as_str(),
            (true, true) => "ceil",
            (true, false) => "floor",
        };
        let mut rows = Vec::with_capacity(to[axis]);
        for o in 0..to[axis] {
            let x = original(&transformation, o, from[axis], to[axis], scales[axis])?;
            rows.push(match mode.as_str() {
                "nearest" => vec![(round(rounding, x)?.clamp(0, from[axis] as i64 - 1) as usize, 1.0)],
                "linear" | "bilinear" => linear(x, from[axis]),
                other => bail!("its mode `{other}` has no rule; nearest and linear have"),
            });
        }
        gradient = Selection { input: from[axis], rows }.adjoint(step.emit, &gradient, axis, from.len());
    }
    Ok(Step::only(gradient))
}

/// The scale of each axis: as the node gives it, else from the sizes. The runtime computes with float32, and so does this.
fn scales(step: &Step<'_>, from: &[usize], to: &[usize]) -> Result<Vec<f32>> {
    let rank = from.len();
    let axes: Vec<usize> = match step.node.ints("axes") {
        Some(axes) => axes.iter().map(|&a| place(a, rank)).collect::<Option<_>>().context("its `axes` are wrong")?,
        None => (0..rank).collect(),
    };
    let given = |at: usize| {
        let value = step.node.given(at).and_then(|name| step.shapes.value(name))?;
        (value.len() == axes.len() && value.as_ints().is_none()).then(|| value.to_floats())
    };
    let stated =
        step.node.floats("scales").map(<[f32]>::to_vec).or_else(|| {
            Some(given(if step.node.input.len() == 2 { 1 } else { 2 })?.iter().map(|&s| s as f32).collect())
        });
    let mut scales: Vec<f32> = from.iter().zip(to).map(|(&f, &t)| t as f32 / f as f32).collect();
    for (&axis, scale) in axes.iter().zip(stated.unwrap_or_default()) {
        scales[axis] = scale;
    }
    Ok(scales)
}

/// Where output position `o` lies on the input axis (Operators.md, Resize).
fn original(transformation: &str, o: usize, from: usize, to: usize, scale: f32) -> Result<f32> {
    let (o, length) = (o as f32, to as f32);
    Ok(match transformation {
        "half_pixel" => (o + 0.5) / scale - 0.5,
        "half_pixel_symmetric" => {
            let adjustment = length / (scale * from as f32);
            let offset = from as f32 / 2.0 * (1.0 - adjustment);
            // The one sum that the runtime computes in float64.
            (f64::from(offset) + (f64::from(o) + 0.5) / f64::from(scale) - 0.5) as f32
        }
        "pytorch_half_pixel" => {
            if to > 1 {
                (o + 0.5) / scale - 0.5
            } else {
                0.0
            }
        }
        "align_corners" => {
            if to > 1 {
                o * (from as f32 - 1.0) / (length - 1.0)
            } else {
                0.0
            }
        }
        "asymmetric" => o / scale,
        other => bail!("its coordinate transformation `{other}` has no rule"),
    })
}

fn round(mode: &str, x: f32) -> Result<i64> {
    Ok(match mode {
        "floor" => x.floor() as i64,
        "ceil" => x.ceil() as i64,
        "round_prefer_floor" => {
            if x.fract() == 0.5 {
                x.floor() as i64
            } else {
                x.round() as i64
            }
        }
        "round_prefer_ceil" => x.round() as i64,
        other => bail!("its nearest mode `{other}` is not known"),
    })
}

/// The two neighbours of `x`, clamped to the axis.
fn linear(x: f32, length: usize) -> Vec<(usize, f32)> {
    let x = x.clamp(0.0, (length - 1) as f32);
    let low = (x.floor() as usize).min(length - 1);
    let high = (low + 1).min(length - 1);
    if low == high {
        return vec![(low, 1.0)];
    }
    let part = x - low as f32;
    vec![(low, 1.0 - part), (high, part)]
}
