//! Convolutions: the gradient of a Conv is a `ConvTranspose` with the same weights, and the other way round (Dumoulin and Visin 2016).
use super::{Name, Rule, Step};
use crate::onnx::{Node, windows};
use anyhow::{Context, Result, bail, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Conv" => conv,
        "ConvTranspose" => conv_transpose,
        _ => return None,
    })
}

fn check_only_data(step: &Step<'_>) -> Result<()> {
    if step.wants(1) || step.wants(2) {
        bail!("its weights depend on the picture, which no rule differentiates");
    }
    Ok(())
}

fn conv(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    let (gradient, weights) = (step.gradient()?, step.input(1)?.to_owned());
    let kernel = step.shape(1)?.get(2..).context("its weights have fewer than three axes")?;
    let axes = windows(step.node, step.shape(0)?, kernel).context("its windows do not fit its input")?;
    let list = |each: fn(&crate::onnx::WindowAxis) -> i64| axes.iter().map(each).collect::<Vec<i64>>();
    let begins = list(|a| a.pad_begin as i64);
    // Input behind the last window got nothing: `output_padding` brings those rows back, as zeros.
    let ends = list(|a| a.overhang().max(0));
    let rest = list(|a| (-a.overhang()).max(0));
    let node = Node::new("ConvTranspose", &[&gradient, &weights], &[])
        .with("group", step.node.int("group").unwrap_or(1))
        .with("kernel_shape", list(|a| a.kernel as i64))
        .with("strides", list(|a| a.stride as i64))
        .with("dilations", list(|a| a.dilation as i64))
        .with("pads", [begins, ends].concat())
        .with("output_padding", rest);
    Ok(Step::only(step.emit.node(node)))
}

fn conv_transpose(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    check_only_data(step)?;
    let (gradient, weights) = (step.gradient()?, step.input(1)?.to_owned());
    let (input, output) = (step.shape(0)?.to_vec(), step.output_shape()?.to_vec());
    let kernel = step.shape(1)?.get(2..).context("its weights have fewer than three axes")?.to_vec();
    let n = kernel.len();
    let list = |name: &str, usual: i64, count: usize| {
        step.node.ints(name).filter(|all| all.len() == count).map_or(vec![usual; count], <[i64]>::to_vec)
    };
    let (strides, dilations) = (list("strides", 1, n), list("dilations", 1, n));
    let (stated, extra) = (list("pads", 0, 2 * n), list("output_padding", 0, n));
    let auto = step.node.text("auto_pad").unwrap_or("NOTSET");
    let is_stated = matches!(auto, "NOTSET" | "VALID") && step.node.ints("output_shape").is_none();
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for i in 0..n {
        let reach = strides[i] * (input[2 + i] as i64 - 1) + (kernel[i] as i64 - 1) * dilations[i] + 1;
        // Where `output_shape` asks for more than there is, nothing is cut off.
        let all = (reach + extra[i] - output[2 + i] as i64).max(0);
        let begin = match auto {
            _ if is_stated => stated[i],
            "SAME_UPPER" => all / 2,
            _ => all - all / 2,
        };
        // The windows have to end where the input's last value reached; what `output_padding` added lies behind it.
        let end = reach - output[2 + i] as i64 - begin;
        let unseen = (-end).max(0);
        ensure!(unseen < strides[i], "its `output_padding` is as long as its stride, which no rule differentiates");
        begins.push(begin);
        ends.push(end.max(0));
    }
    let node = Node::new("Conv", &[&gradient, &weights], &[])
        .with("group", step.node.int("group").unwrap_or(1))
        .with("kernel_shape", kernel.iter().map(|&k| k as i64).collect::<Vec<_>>())
        .with("strides", strides)
        .with("dilations", dilations)
        .with("pads", [begins, ends].concat());
    Ok(Step::only(step.emit.node(node)))
}
