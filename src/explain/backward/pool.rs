//! Pooling. Averages spread the gradient over the window by a ConvTranspose of ones; a maximum gives it to the first largest value in row-major order.
use super::{Name, Rule, Step};
use crate::onnx::{Node, WindowAxis, windows};
use anyhow::{Context, Result, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "AveragePool" => average,
        "MaxPool" => maximum,
        "GlobalAveragePool" => global_average,
        "GlobalMaxPool" => global_maximum,
        _ => return None,
    })
}

fn axes(step: &Step<'_>) -> Result<Vec<WindowAxis>> {
    let kernel = step.node.ints("kernel_shape").context("it has no `kernel_shape`")?;
    let kernel: Vec<usize> = kernel.iter().map(|&k| k as usize).collect();
    windows(step.node, step.shape(0)?, &kernel).context("its windows do not fit its input")
}

/// Every combination of one position an axis, the last axis fastest.
fn positions(lengths: &[usize]) -> Vec<Vec<usize>> {
    lengths.iter().fold(vec![vec![]], |all, &n| {
        all.iter().flat_map(|before| (0..n).map(move |i| [before.as_slice(), &[i]].concat())).collect()
    })
}

/// Lays `planes` `[N*C, channels, out...]` back where their windows lay: `weights` `[channels, 1, kernel...]` says which part goes where.
fn spread(step: &mut Step<'_>, planes: &str, weights: &str, axes: &[WindowAxis]) -> Result<Name> {
    let list = |each: fn(&WindowAxis) -> i64| axes.iter().map(each).collect::<Vec<i64>>();
    let node = Node::new("ConvTranspose", &[planes, weights], &[])
        .with("kernel_shape", list(|a| a.kernel as i64))
        .with("strides", list(|a| a.stride as i64))
        .with("dilations", list(|a| a.dilation as i64))
        .with("pads", [list(|a| a.pad_begin as i64), list(|a| a.overhang().max(0))].concat())
        .with("output_padding", list(|a| (-a.overhang()).max(0)));
    let laid = step.emit.node(node);
    let shape = step.shape(0)?.to_vec();
    Ok(step.emit.reshape(&laid, &shape))
}

/// `[N, C, ...]` as `[N*C, 1, ...]`.
fn as_planes(shape: &[usize]) -> Vec<usize> {
    [&[shape[0] * shape[1], 1], &shape[2..]].concat()
}

fn average(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (gradient, axes) = (step.gradient()?, axes(step)?);
    let counts_pads = step.node.int("count_include_pad") == Some(1);
    let kernel: Vec<_> = axes.iter().map(|a| a.kernel).collect();
    let out: Vec<_> = axes.iter().map(|a| a.out).collect();
    // How many values each window averages. Where `ceil_mode` lets a window reach beyond the padding, `count_include_pad` counts what lies
    // there too up to opset 18, as the runtime's forward pass does, which is what is differentiated; from 19 on it does not.
    let counts_beyond = step.emit.opset() < 19;
    let count = |window: &Vec<usize>| -> f32 {
        let along = |(a, &o): (&WindowAxis, &usize)| {
            let start = (o * a.stride) as i64 - a.pad_begin as i64;
            let inside = |k: &usize| {
                let at = start + (k * a.dilation) as i64;
                let is_padded = counts_beyond || at < (a.input + a.pad_end) as i64;
                (0..a.input as i64).contains(&at) || (counts_pads && is_padded)
            };
            (0..a.kernel).filter(inside).count()
        };
        axes.iter().zip(window).map(along).product::<usize>().max(1) as f32
    };
    let share: Vec<f32> = positions(&out).iter().map(|window| 1.0 / count(window)).collect();
    let share = step.emit.floats(&[&[1, 1], out.as_slice()].concat(), &share);
    let shared = step.emit.mul(&gradient, &share);
    let planes = as_planes(step.output_shape()?);
    let planes = step.emit.reshape(&shared, &planes);
    let ones = step.emit.floats(&[&[1, 1], kernel.as_slice()].concat(), &vec![1.0; kernel.iter().product()]);
    Ok(Step::only(spread(step, &planes, &ones, &axes)?))
}

/// A second MaxPool tells where each maximum lies; for each place in the window, those gradients whose maximum lies there are laid back.
fn maximum(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    ensure!(step.gradient_of(1).is_none(), "a gradient reaches its indices");
    let (gradient, axes) = (step.gradient()?, axes(step)?);
    let kernel: Vec<_> = axes.iter().map(|a| a.kernel).collect();
    let out: Vec<_> = axes.iter().map(|a| a.out).collect();
    let mut again = step.node.clone();
    again.attribute.retain(|a| a.name != "storage_order"); // indices in row-major order
    let indices = step.emit.outputs(again, 2).remove(1);
    // Indices count through the whole tensor; the place within the plane is what the windows know.
    let plane: usize = axes.iter().map(|a| a.input).product();
    let plane = step.emit.int_tensor(&[], &[plane as i64]);
    let indices = step.emit.remainder(&indices, &plane);
    let shape = as_planes(step.output_shape()?);
    let indices = step.emit.reshape(&indices, &shape);
    let places = positions(&kernel);
    let expected: Vec<i64> =
        places.iter().flat_map(|k| positions(&out).iter().map(|o| place(&axes, o, k)).collect::<Vec<_>>()).collect();
    let expected = step.emit.int_tensor(&[&[1, places.len()], out.as_slice()].concat(), &expected);
    let hit = step.emit.op("Equal", &[&indices, &expected]);
    let planes = step.emit.reshape(&gradient, &shape);
    let planes = step.emit.masked(&hit, &planes);
    let mut unit = vec![0.0; places.len() * places.len()];
    (0..places.len()).for_each(|i| unit[i * places.len() + i] = 1.0);
    let unit = step.emit.floats(&[&[places.len(), 1], kernel.as_slice()].concat(), &unit);
    Ok(Step::only(spread(step, &planes, &unit, &axes)?))
}

/// Where position `k` of window `o` lies in the plane, in row-major order; -1 in the padding.
fn place(axes: &[WindowAxis], o: &[usize], k: &[usize]) -> i64 {
    let mut place = 0;
    for ((a, o), k) in axes.iter().zip(o).zip(k) {
        let at = (o * a.stride + k * a.dilation) as i64 - a.pad_begin as i64;
        if !(0..a.input as i64).contains(&at) {
            return -1;
        }
        place = place * a.input as i64 + at;
    }
    place
}

fn global_average(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (gradient, shape) = (step.gradient()?, step.shape(0)?.to_vec());
    let share = step.emit.scale(&gradient, 1.0 / shape[2..].iter().product::<usize>() as f32);
    Ok(Step::only(step.emit.expand(&share, &shape)))
}

fn global_maximum(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let spatial: Vec<usize> = (2..step.shape(0)?.len()).collect();
    let (gradient, y) = (step.gradient()?, step.output().to_owned());
    Ok(Step::only(super::reduce::shared_by_ties(step, &gradient, &y, &spatial)?))
}
