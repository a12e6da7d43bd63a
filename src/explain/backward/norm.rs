//! Normalisation: by stored statistics (BatchNormalization), and by those of the picture itself (Layer, Instance, Group, Lp).
use super::{Name, Rule, Step};
use crate::onnx::place;
use anyhow::{Context, Result, bail, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "BatchNormalization" => batch,
        "LayerNormalization" => layer,
        "InstanceNormalization" => instance,
        "GroupNormalization" => group,
        "LpNormalization" => lp,
        _ => return None,
    })
}

fn check_only_data(step: &Step<'_>) -> Result<()> {
    if (1..step.node.input.len()).any(|at| step.wants(at)) {
        bail!("its scale depends on the picture, which no rule differentiates");
    }
    Ok(())
}

/// `[C]` laid along axis 1 of `rank` axes.
fn along_channels(step: &mut Step<'_>, name: &str, channels: usize, rank: usize) -> Name {
    let mut shape = vec![1; rank];
    shape[1] = channels;
    step.emit.reshape(name, &shape)
}

/// y = scale (x - mean) / √(var + ε) + bias, mean and var stored.
fn batch(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    ensure!(
        step.node.int("training_mode").unwrap_or(0) == 0,
        "it is in training mode: export the model in evaluation mode"
    );
    let epsilon = step.node.float("epsilon").unwrap_or(1e-5);
    let (gradient, shape) = (step.gradient()?, step.shape(0)?.to_vec());
    let (scale, var) = (step.input(1)?.to_owned(), step.input(4)?.to_owned());
    let sum = step.emit.shift(&var, epsilon);
    let deviation = step.emit.op("Sqrt", &[&sum]);
    let factor = step.emit.div(&scale, &deviation);
    let factor = along_channels(step, &factor, shape[1], shape.len());
    Ok(Step::only(step.emit.mul(&gradient, &factor)))
}

/// The gradient through x̂ = (x - mean) / √(var + ε) over `axes`, from the gradient of x̂: (g - mean g - x̂ mean(g x̂)) / √(var + ε) (Ioffe and Szegedy 2015).
fn standardised(step: &mut Step<'_>, x: &str, gradient: &str, axes: &[usize], epsilon: f32) -> Name {
    let emit = &mut *step.emit;
    let mean = emit.mean(x, axes);
    let centred = emit.sub(x, &mean);
    let square = emit.mul(&centred, &centred);
    let var = emit.mean(&square, axes);
    let sum = emit.shift(&var, epsilon);
    let deviation = emit.op("Sqrt", &[&sum]);
    let hat = emit.div(&centred, &deviation);
    let g_mean = emit.mean(gradient, axes);
    let product = emit.mul(gradient, &hat);
    let p_mean = emit.mean(&product, axes);
    let along = emit.mul(&hat, &p_mean);
    let rest = emit.sub(gradient, &g_mean);
    let rest = emit.sub(&rest, &along);
    emit.div(&rest, &deviation)
}

fn layer(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    let (x, gradient, rank) = (step.input(0)?.to_owned(), step.gradient()?, step.shape(0)?.len());
    let first = place(step.node.int("axis").unwrap_or(-1), rank).context("its `axis` lies outside its input")?;
    let scale = step.input(1)?.to_owned();
    let scaled = step.emit.mul(&gradient, &scale);
    let axes: Vec<usize> = (first..rank).collect();
    let epsilon = step.node.float("epsilon").unwrap_or(1e-5);
    Ok(Step::only(standardised(step, &x, &scaled, &axes, epsilon)))
}

fn instance(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    let (x, gradient, shape) = (step.input(0)?.to_owned(), step.gradient()?, step.shape(0)?.to_vec());
    let scale = step.input(1)?.to_owned();
    let scale = along_channels(step, &scale, shape[1], shape.len());
    let scaled = step.emit.mul(&gradient, &scale);
    let axes: Vec<usize> = (2..shape.len()).collect();
    let epsilon = step.node.float("epsilon").unwrap_or(1e-5);
    Ok(Step::only(standardised(step, &x, &scaled, &axes, epsilon)))
}

fn group(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    let (x, gradient, shape) = (step.input(0)?.to_owned(), step.gradient()?, step.shape(0)?.to_vec());
    let groups = step.node.int("num_groups").and_then(|g| usize::try_from(g).ok()).context("it has no `num_groups`")?;
    let scale = step.input(1)?.to_owned();
    let grouped = [shape[0], groups, shape[1..].iter().product::<usize>() / groups];
    let per_channel = step.shape(1)? == [shape[1]] && (step.emit.opset() >= 21 || groups == shape[1]);
    let gradient = if per_channel {
        let scale = along_channels(step, &scale, shape[1], shape.len());
        let scaled = step.emit.mul(&gradient, &scale);
        step.emit.reshape(&scaled, &grouped)
    } else {
        // Up to opset 20 the scale is one a group.
        let gradient = step.emit.reshape(&gradient, &grouped);
        let scale = along_channels(step, &scale, groups, 3);
        step.emit.mul(&gradient, &scale)
    };
    let x = step.emit.reshape(&x, &grouped);
    let epsilon = step.node.float("epsilon").unwrap_or(1e-5);
    let gradient = standardised(step, &x, &gradient, &[2], epsilon);
    Ok(Step::only(step.emit.reshape(&gradient, &shape)))
}

/// y = x / ‖x‖₂ along `axis`: (g - y Σ g y) / ‖x‖; 0 where the norm is 0, as for `ReduceL2`.
fn lp(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    ensure!(step.node.int("p").unwrap_or(2) == 2, "its norm is not the Euclidean one, the only one with a rule");
    let (x, y, gradient) = (step.input(0)?.to_owned(), step.output().to_owned(), step.gradient()?);
    let axis = place(step.node.int("axis").unwrap_or(-1), step.shape(0)?.len())
        .context("its `axis` lies outside its input")?;
    let square = step.emit.mul(&x, &x);
    let sum = step.emit.sum(&square, &[axis]);
    let norm = step.emit.op("Sqrt", &[&sum]);
    let product = step.emit.mul(&gradient, &y);
    let along = step.emit.sum(&product, &[axis]);
    let along = step.emit.mul(&y, &along);
    let rest = step.emit.sub(&gradient, &along);
    let slope = step.emit.div(&rest, &norm);
    let above = step.emit.greater(&norm, 0.0);
    Ok(Step::only(step.emit.masked(&above, &slope)))
}
