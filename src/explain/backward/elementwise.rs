//! Operators of one input, value by value: activations and mathematical functions. Each rule gives dy/dx, by the output where that saves keeping the input.
use super::{Name, Rule, Step};
use anyhow::{Result, ensure};
use std::f32::consts::{FRAC_1_SQRT_2, PI};

/// Selu's constants (Klambauer 2017), the ONNX defaults.
const SELU: (f32, f32) = (1.673_263_2, 1.050_701);

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Identity" => |step| Ok(Step::only(step.gradient()?)),
        "Dropout" => dropout,
        "Neg" => |step| {
            let gradient = step.gradient()?;
            Ok(Step::only(step.emit.op("Neg", &[&gradient])))
        },
        "Relu" => |step| {
            let (y, gradient) = (step.output().to_owned(), step.gradient()?);
            let above = step.emit.greater(&y, 0.0);
            Ok(Step::only(step.emit.masked(&above, &gradient)))
        },
        "Clip" => clip,
        "LeakyRelu" => |step| {
            let alpha = step.node.float("alpha").unwrap_or(0.01);
            piecewise(step, move |step, gradient, _| Ok(step.emit.scale(gradient, alpha)))
        },
        "Elu" => |step| {
            let alpha = step.node.float("alpha").unwrap_or(1.0);
            // y = alpha (e^x - 1): the slope is y + alpha.
            piecewise(step, move |step, gradient, y| {
                let slope = step.emit.shift(y, alpha);
                Ok(step.emit.mul(gradient, &slope))
            })
        },
        "Celu" => |step| {
            let alpha = step.node.float("alpha").unwrap_or(1.0);
            // y = alpha (e^(x/alpha) - 1): the slope is y / alpha + 1.
            piecewise(step, move |step, gradient, y| {
                let part = step.emit.scale(y, 1.0 / alpha);
                let slope = step.emit.shift(&part, 1.0);
                Ok(step.emit.mul(gradient, &slope))
            })
        },
        "Selu" => selu,
        "Exp" => |step| by_output(step, |_, y| Ok(y.to_owned())),
        "Sigmoid" => |step| by_output(step, sigmoid_slope),
        "Tanh" => |step| by_output(step, tanh_slope),
        "Sqrt" => |step| {
            by_output(step, |step, y| {
                let half = step.emit.float(0.5);
                Ok(step.emit.div(&half, y))
            })
        },
        "Reciprocal" => |step| {
            by_output(step, |step, y| {
                let square = step.emit.mul(y, y);
                Ok(step.emit.op("Neg", &[&square]))
            })
        },
        "Log" => |step| {
            let (x, gradient) = (step.input(0)?.to_owned(), step.gradient()?);
            Ok(Step::only(step.emit.div(&gradient, &x)))
        },
        "Abs" => |step| by_input(step, |step, x| Ok(step.emit.op("Sign", &[x]))),
        "Sin" => |step| by_input(step, |step, x| Ok(step.emit.op("Cos", &[x]))),
        "Cos" => |step| {
            by_input(step, |step, x| {
                let sine = step.emit.op("Sin", &[x]);
                Ok(step.emit.op("Neg", &[&sine]))
            })
        },
        "Erf" => |step| {
            by_input(step, |step, x| {
                let bell = bell(step, x, 1.0);
                Ok(step.emit.scale(&bell, 2.0 / PI.sqrt()))
            })
        },
        "Softplus" => |step| by_input(step, |step, x| Ok(step.emit.op("Sigmoid", &[x]))),
        "Softsign" => |step| {
            by_input(step, |step, x| {
                let size = step.emit.op("Abs", &[x]);
                let sum = step.emit.shift(&size, 1.0);
                let square = step.emit.mul(&sum, &sum);
                Ok(step.emit.op("Reciprocal", &[&square]))
            })
        },
        "HardSigmoid" => hard_sigmoid,
        "HardSwish" => |step| by_input(step, hard_swish_slope),
        "Swish" => |step| {
            let alpha = step.node.float("alpha").unwrap_or(1.0);
            by_input(step, move |step, x| swish_slope(step, x, alpha))
        },
        "Mish" => |step| by_input(step, mish_slope),
        "Gelu" => |step| {
            let tanh = step.node.text("approximate") == Some("tanh");
            by_input(step, if tanh { gelu_tanh_slope } else { gelu_slope })
        },
        _ => return None,
    })
}

/// gradient * slope(y).
fn by_output(step: &mut Step<'_>, slope: impl Fn(&mut Step<'_>, &str) -> Result<Name>) -> Result<Vec<(usize, Name)>> {
    let (y, gradient) = (step.output().to_owned(), step.gradient()?);
    let slope = slope(step, &y)?;
    Ok(Step::only(step.emit.mul(&gradient, &slope)))
}

/// gradient * slope(x).
fn by_input(step: &mut Step<'_>, slope: impl Fn(&mut Step<'_>, &str) -> Result<Name>) -> Result<Vec<(usize, Name)>> {
    let (x, gradient) = (step.input(0)?.to_owned(), step.gradient()?);
    let slope = slope(step, &x)?;
    Ok(Step::only(step.emit.mul(&gradient, &slope)))
}

/// The gradient itself where x > 0, `below(gradient, y)` elsewhere; at 0 the lower piece counts, as in PyTorch.
fn piecewise(
    step: &mut Step<'_>,
    below: impl Fn(&mut Step<'_>, &str, &str) -> Result<Name>,
) -> Result<Vec<(usize, Name)>> {
    let (x, y, gradient) = (step.input(0)?.to_owned(), step.output().to_owned(), step.gradient()?);
    let above = step.emit.greater(&x, 0.0);
    let below = below(step, &gradient, &y)?;
    Ok(Step::only(step.emit.op("Where", &[&above, &gradient, &below])))
}

/// Drops nothing when a network answers; one that does is refused.
fn dropout(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let training = step.node.given(2).map(|name| step.shapes.value(name).and_then(|value| value.as_ints()));
    ensure!(matches!(training, None | Some(Some([0]))), "it is in training mode: export the model in evaluation mode");
    Ok(Step::only(step.gradient()?))
}

/// Between the bounds; at a bound the gradient is 0, as for relu6 in both frameworks.
fn clip(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let (x, mut gradient) = (step.input(0)?.to_owned(), step.gradient()?);
    for (at, attribute, op) in [(1, "min", "Greater"), (2, "max", "Less")] {
        let bound = match (step.node.given(at), step.node.float(attribute)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(value)) => step.emit.float(value),
            (None, None) => continue,
        };
        let inside = step.emit.op(op, &[&x, &bound]);
        gradient = step.emit.masked(&inside, &gradient);
    }
    Ok(Step::only(gradient))
}

fn selu(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let alpha = step.node.float("alpha").unwrap_or(SELU.0);
    let gamma = step.node.float("gamma").unwrap_or(SELU.1);
    // y = gamma x above 0; gamma alpha (e^x - 1) below, where the slope is y + gamma alpha.
    let (x, y, gradient) = (step.input(0)?.to_owned(), step.output().to_owned(), step.gradient()?);
    let above = step.emit.greater(&x, 0.0);
    let straight = step.emit.float(gamma);
    let bent = step.emit.shift(&y, gamma * alpha);
    let slope = step.emit.op("Where", &[&above, &straight, &bent]);
    Ok(Step::only(step.emit.mul(&gradient, &slope)))
}

/// y (1 - y).
fn sigmoid_slope(step: &mut Step<'_>, y: &str) -> Result<Name> {
    let one = step.emit.float(1.0);
    let rest = step.emit.sub(&one, y);
    Ok(step.emit.mul(y, &rest))
}

/// 1 - y².
fn tanh_slope(step: &mut Step<'_>, y: &str) -> Result<Name> {
    let square = step.emit.mul(y, y);
    let one = step.emit.float(1.0);
    Ok(step.emit.sub(&one, &square))
}

/// e^(-scale x²).
fn bell(step: &mut Step<'_>, x: &str, scale: f32) -> Name {
    let square = step.emit.mul(x, x);
    let power = step.emit.scale(&square, -scale);
    step.emit.op("Exp", &[&power])
}

/// y = max(0, min(1, alpha x + beta)); 0 at both bounds, as in PyTorch.
fn hard_sigmoid(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let alpha = step.node.float("alpha").unwrap_or(0.2);
    let (y, gradient) = (step.output().to_owned(), step.gradient()?);
    let above = step.emit.greater(&y, 0.0);
    let gradient = step.emit.masked(&above, &gradient);
    let below = step.emit.less(&y, 1.0);
    let gradient = step.emit.masked(&below, &gradient);
    Ok(Step::only(step.emit.scale(&gradient, alpha)))
}

/// y = x max(0, min(1, x/6 + 1/2)): 0 up to -3, x/3 + 1/2 below 3, 1 from there (PyTorch).
fn hard_swish_slope(step: &mut Step<'_>, x: &str) -> Result<Name> {
    let third = step.emit.scale(x, 1.0 / 3.0);
    let middle = step.emit.shift(&third, 0.5);
    let low = step.emit.greater(x, -3.0);
    let middle = step.emit.masked(&low, &middle);
    let below = step.emit.less(x, 3.0);
    let one = step.emit.float(1.0);
    Ok(step.emit.op("Where", &[&below, &middle, &one]))
}

/// y = x s, s = sigmoid(alpha x): s + alpha y (1 - s).
fn swish_slope(step: &mut Step<'_>, x: &str, alpha: f32) -> Result<Name> {
    let heated = step.emit.scale(x, alpha);
    let s = step.emit.op("Sigmoid", &[&heated]);
    let bent = sigmoid_slope(step, &s)?;
    let part = step.emit.mul(&heated, &bent);
    Ok(step.emit.add(&s, &part))
}

/// y = x t, t = tanh(softplus(x)): t + x (1 - t²) sigmoid(x).
fn mish_slope(step: &mut Step<'_>, x: &str) -> Result<Name> {
    let soft = step.emit.op("Softplus", &[x]);
    let t = step.emit.op("Tanh", &[&soft]);
    let s = step.emit.op("Sigmoid", &[x]);
    let bent = tanh_slope(step, &t)?;
    let product = step.emit.mul(&bent, &s);
    let part = step.emit.mul(x, &product);
    Ok(step.emit.add(&t, &part))
}

/// y = x Φ(x): Φ(x) + x φ(x).
fn gelu_slope(step: &mut Step<'_>, x: &str) -> Result<Name> {
    let scaled = step.emit.scale(x, FRAC_1_SQRT_2);
    let erf = step.emit.op("Erf", &[&scaled]);
    let half = step.emit.scale(&erf, 0.5);
    let cdf = step.emit.shift(&half, 0.5);
    let bell = bell(step, x, 0.5);
    let pdf = step.emit.scale(&bell, 1.0 / (2.0 * PI).sqrt());
    let part = step.emit.mul(x, &pdf);
    Ok(step.emit.add(&cdf, &part))
}

/// y = x (1 + t) / 2, t = tanh(u), u = √(2/π) (x + 0.044715 x³): (1 + t) / 2 + x (1 - t²) u' / 2.
fn gelu_tanh_slope(step: &mut Step<'_>, x: &str) -> Result<Name> {
    const CUBE: f32 = 0.044_715;
    let root = (2.0 / PI).sqrt();
    let square = step.emit.mul(x, x);
    let cubic = step.emit.scale(&square, CUBE);
    let inner = step.emit.shift(&cubic, 1.0);
    let product = step.emit.mul(x, &inner);
    let u = step.emit.scale(&product, root);
    let t = step.emit.op("Tanh", &[&u]);
    let half = step.emit.scale(&t, 0.5);
    let first = step.emit.shift(&half, 0.5);
    let bent = tanh_slope(step, &t)?;
    let slope = step.emit.scale(&square, 3.0 * CUBE * root * 0.5);
    let slope = step.emit.shift(&slope, root * 0.5);
    let product = step.emit.mul(&bent, &slope);
    let second = step.emit.mul(x, &product);
    Ok(step.emit.add(&first, &second))
}
