//! Operators of two and more inputs that broadcast: Add, Sub, Mul, Div, Pow, Min, Max, Sum, Mean, Where, PRelu.
use super::{Name, Rule, Step};
use anyhow::Result;

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Add" | "Sum" => |step| each(step, |_, _, gradient| Ok(gradient.to_owned())),
        "Mean" => |step| {
            let share = 1.0 / step.node.input.len() as f32;
            each(step, |step, _, gradient| Ok(step.emit.scale(gradient, share)))
        },
        "Sub" => |step| {
            each(step, |step, at, gradient| {
                Ok(if at == 0 { gradient.to_owned() } else { step.emit.op("Neg", &[gradient]) })
            })
        },
        "Mul" => |step| {
            each(step, |step, at, gradient| {
                let other = step.input(1 - at)?.to_owned();
                Ok(step.emit.mul(gradient, &other))
            })
        },
        "Div" => |step| each(step, divided),
        "Pow" => |step| each(step, raised),
        "Min" | "Max" => |step| each(step, extreme),
        "Where" => |step| each(step, chosen),
        "PRelu" => |step| each(step, leaking),
        _ => return None,
    })
}

/// Applies `part` to each wanted input and sums what it gives back to the input's shape.
fn each(step: &mut Step<'_>, part: impl Fn(&mut Step<'_>, usize, &str) -> Result<Name>) -> Result<Vec<(usize, Name)>> {
    let gradient = step.gradient()?;
    let to = step.output_shape()?.to_vec();
    let mut found = Vec::new();
    for at in 0..step.node.input.len() {
        if step.wants(at) {
            let from = step.shape(at)?.to_vec();
            let whole = part(step, at, &gradient)?;
            found.push((at, step.emit.unbroadcast(&whole, &to, &from)));
        }
    }
    Ok(found)
}

/// y = a / b: 1/b, and -y/b.
fn divided(step: &mut Step<'_>, at: usize, gradient: &str) -> Result<Name> {
    let (y, b) = (step.output().to_owned(), step.input(1)?.to_owned());
    let over = step.emit.div(gradient, &b);
    if at == 0 {
        return Ok(over);
    }
    let product = step.emit.mul(&over, &y);
    Ok(step.emit.op("Neg", &[&product]))
}

/// y = a^b: b a^(b-1), and y ln a.
fn raised(step: &mut Step<'_>, at: usize, gradient: &str) -> Result<Name> {
    let (y, a, b) = (step.output().to_owned(), step.input(0)?.to_owned(), step.input(1)?.to_owned());
    if at == 1 {
        let log = step.emit.op("Log", &[&a]);
        let slope = step.emit.mul(&y, &log);
        return Ok(step.emit.mul(gradient, &slope));
    }
    let b = step.emit.as_float(&b); // an exponent may be a whole number (opset 12)
    let less = step.emit.shift(&b, -1.0);
    let power = step.emit.op("Pow", &[&a, &less]);
    let slope = step.emit.mul(&power, &b);
    Ok(step.emit.mul(gradient, &slope))
}

/// The inputs that reach the extreme share the gradient, as TensorFlow and PyTorch have it for two.
fn extreme(step: &mut Step<'_>, at: usize, gradient: &str) -> Result<Name> {
    let y = step.output().to_owned();
    let inputs: Vec<String> = step.node.input.clone();
    let mut own = String::new();
    let mut count: Option<Name> = None;
    for (i, input) in inputs.iter().enumerate() {
        let equal = step.emit.equal(input, &y);
        let reached = step.emit.as_float(&equal);
        count = Some(match count {
            None => reached.clone(),
            Some(sum) => step.emit.add(&sum, &reached),
        });
        if i == at {
            own = reached;
        }
    }
    let share = match count {
        Some(count) => step.emit.div(&own, &count),
        None => own,
    };
    Ok(step.emit.mul(gradient, &share))
}

/// The gradient goes where the value came from.
fn chosen(step: &mut Step<'_>, at: usize, gradient: &str) -> Result<Name> {
    let condition = step.input(0)?.to_owned();
    let zero = step.emit.float(0.0);
    let (yes, no) = if at == 1 { (gradient, zero.as_str()) } else { (zero.as_str(), gradient) };
    Ok(step.emit.op("Where", &[&condition, yes, no]))
}

/// y = x where x > 0, slope * x elsewhere; at 0 the slope counts, as in PyTorch.
fn leaking(step: &mut Step<'_>, at: usize, gradient: &str) -> Result<Name> {
    let (x, slope) = (step.input(0)?.to_owned(), step.input(1)?.to_owned());
    let above = step.emit.greater(&x, 0.0);
    if at == 0 {
        let leaked = step.emit.mul(gradient, &slope);
        return Ok(step.emit.op("Where", &[&above, gradient, &leaked]));
    }
    let share = step.emit.mul(gradient, &x);
    let zero = step.emit.float(0.0);
    Ok(step.emit.op("Where", &[&above, &zero, &share]))
}
