//! Values that follow from shapes and constants: what exporters compute to reshape, slice and pad, evaluated as the runtime would.
use super::layout::{permutation, slice};
use super::{Shapes, broadcast, place};
use crate::onnx::constant::{Constant, Numbers};
use crate::onnx::graph::Graph;
use crate::onnx::node::Node;

/// The value of a node's first output; `None` when it depends on the picture or is nothing that shapes are made of.
pub fn compute(graph: &Graph, node: &Node, shapes: &Shapes) -> Option<Constant> {
    if !node.is_standard() {
        return None;
    }
    let value = |at: usize| shapes.value(node.given(at)?);
    match node.op_type.as_str() {
        "Constant" => graph.constant(node.output.first()?, super::MOST_VALUES),
        "Shape" => {
            let shape = shapes.get(node.given(0)?)?;
            let place = |number: i64| {
                let rank = shape.len() as i64;
                (if number < 0 { number + rank } else { number }).clamp(0, rank) as usize
            };
            let (start, end) = (place(node.int("start").unwrap_or(0)), place(node.int("end").unwrap_or(i64::MAX)));
            Some(Constant::ints(shape.get(start..end)?.iter().map(|&d| d as i64).collect()))
        }
        "Size" => Some(scalar(shapes.get(node.given(0)?)?.iter().product::<usize>() as i64)),
        "Identity" => value(0).cloned(),
        "Cast" => Some(cast(value(0)?, node.int("to")?)),
        "Unsqueeze" | "Squeeze" | "Reshape" | "Flatten" => {
            let shape = super::rules::output_shapes(graph, node, shapes)?.pop()?;
            Some(Constant { shape, values: value(0)?.values.clone() })
        }
        "Concat" => concat(node, shapes),
        "Gather" => {
            let (x, index) = (value(0)?, value(1)?);
            let at = place(node.int("axis").unwrap_or(0), x.shape.len())?;
            let length = x.shape[at] as i64;
            let wanted = index.as_ints()?.iter().map(|&i| if i < 0 { i + length } else { i });
            let wanted: Vec<usize> = wanted.map(|i| usize::try_from(i).ok()).collect::<Option<_>>()?;
            let mut taken: Vec<Vec<usize>> = x.shape.iter().map(|&d| (0..d).collect()).collect();
            taken[at] = wanted;
            let mut picked = pick(x, &taken)?;
            picked.shape = [&x.shape[..at], &index.shape, &x.shape[at + 1..]].concat();
            Some(picked)
        }
        "Slice" => pick(value(0)?, &slice(graph, node, shapes)?),
        "Transpose" => transpose(value(0)?, &permutation(node, value(0)?.shape.len())),
        "Expand" => {
            let target: Vec<_> = value(1)?.as_ints()?.iter().map(|&d| d as usize).collect();
            let shape = broadcast(&value(0)?.shape, &target)?;
            spread(value(0)?, &shape)
        }
        "ConstantOfShape" => {
            let shape: Vec<_> = value(0)?.as_ints()?.iter().map(|&d| d as usize).collect();
            let fill = node.tensor("value").and_then(|t| Constant::read(t, 1));
            spread(&fill.unwrap_or(Constant { shape: vec![], values: Numbers::Floats(vec![0.0]) }).alone(), &shape)
        }
        "Range" => range(value(0)?, value(1)?, value(2)?),
        "ReduceProd" => Some(scalar(value(0)?.as_ints()?.iter().product())),
        "Not" => Some(map(value(0)?, |i| i64::from(i == 0), |f| f)),
        "Neg" => Some(map(value(0)?, |i| -i, |f| -f)),
        "Abs" => Some(map(value(0)?, i64::abs, f64::abs)),
        "Floor" => Some(map(value(0)?, |i| i, f64::floor)),
        "Ceil" => Some(map(value(0)?, |i| i, f64::ceil)),
        "Sqrt" => Some(map(value(0)?, |i| i, f64::sqrt)),
        "Where" => {
            let (condition, a, b) = (value(0)?, value(1)?, value(2)?);
            let shape = broadcast(&broadcast(&condition.shape, &a.shape)?, &b.shape)?;
            let (condition, a, b) = (spread(condition, &shape)?, spread(a, &shape)?, spread(b, &shape)?);
            let takes = condition.as_ints()?;
            let values = match (&a.values, &b.values) {
                (Numbers::Ints(a), Numbers::Ints(b)) => Numbers::Ints(choose(takes, a, b)),
                (Numbers::Floats(a), Numbers::Floats(b)) => Numbers::Floats(choose(takes, a, b)),
                _ => return None,
            };
            Some(Constant { shape, values })
        }
        op => binary(op, value(0)?, value(1)?),
    }
}

fn scalar(value: i64) -> Constant {
    Constant { shape: vec![], values: Numbers::Ints(vec![value]) }
}

impl Constant {
    /// A single value as a scalar, so that it broadcasts to any shape.
    fn alone(mut self) -> Self {
        self.shape = vec![];
        self
    }
}

fn choose<T: Copy>(takes: &[i64], a: &[T], b: &[T]) -> Vec<T> {
    takes.iter().zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c == 0 { b } else { a }).collect()
}

fn map(x: &Constant, ints: impl Fn(i64) -> i64, floats: impl Fn(f64) -> f64) -> Constant {
    let values = match &x.values {
        Numbers::Ints(all) => Numbers::Ints(all.iter().map(|&v| ints(v)).collect()),
        Numbers::Floats(all) => Numbers::Floats(all.iter().map(|&v| floats(v)).collect()),
    };
    Constant { shape: x.shape.clone(), values }
}

fn binary(op: &str, a: &Constant, b: &Constant) -> Option<Constant> {
    let shape = broadcast(&a.shape, &b.shape)?;
    let (a, b) = (spread(a, &shape)?, spread(b, &shape)?);
    let values = match (&a.values, &b.values) {
        (Numbers::Ints(a), Numbers::Ints(b)) => {
            let each = |&(&a, &b): &(&i64, &i64)| ints(op, a, b);
            Numbers::Ints(a.iter().zip(b).map(|pair| each(&pair)).collect::<Option<_>>()?)
        }
        (Numbers::Floats(a), Numbers::Floats(b)) => {
            if matches!(op, "Equal" | "Greater" | "Less") {
                let each = |(&a, &b): (&f64, &f64)| match op {
                    "Equal" => a == b,
                    "Greater" => a > b,
                    _ => a < b,
                };
                Numbers::Ints(a.iter().zip(b).map(|pair| each(pair).into()).collect())
            } else {
                Numbers::Floats(a.iter().zip(b).map(|(&a, &b)| floats(op, a, b)).collect::<Option<_>>()?)
            }
        }
        _ => return None,
    };
    Some(Constant { shape, values })
}

fn ints(op: &str, a: i64, b: i64) -> Option<i64> {
    Some(match op {
        "Add" => a.checked_add(b)?,
        "Sub" => a.checked_sub(b)?,
        "Mul" => a.checked_mul(b)?,
        "Div" => a.checked_div(b)?,
        "Mod" => a.checked_rem_euclid(b)?,
        "Pow" => a.checked_pow(u32::try_from(b).ok()?)?,
        "Min" => a.min(b),
        "Max" => a.max(b),
        "Equal" => (a == b).into(),
        "Greater" => (a > b).into(),
        "GreaterOrEqual" => (a >= b).into(),
        "Less" => (a < b).into(),
        "LessOrEqual" => (a <= b).into(),
        "And" => (a != 0 && b != 0).into(),
        "Or" => (a != 0 || b != 0).into(),
        _ => return None,
    })
}

fn floats(op: &str, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Pow" => a.powf(b),
        "Min" => a.min(b),
        "Max" => a.max(b),
        _ => return None,
    })
}

fn cast(x: &Constant, to: i64) -> Constant {
    let to_float = matches!(to, 1 | 10 | 11); // float32, float16, float64
    let values = match &x.values {
        Numbers::Ints(all) if to_float => Numbers::Floats(all.iter().map(|&v| v as f64).collect()),
        Numbers::Ints(all) if to == 9 => Numbers::Ints(all.iter().map(|&v| (v != 0).into()).collect()),
        Numbers::Floats(all) if !to_float => Numbers::Ints(all.iter().map(|&v| v as i64).collect()),
        same => same.clone(),
    };
    Constant { shape: x.shape.clone(), values }
}

fn range(start: &Constant, end: &Constant, step: &Constant) -> Option<Constant> {
    let (&[start], &[end], &[step]) = (start.as_ints()?, end.as_ints()?, step.as_ints()?) else { return None };
    let span = end.checked_sub(start)?;
    let count = if step == 0 { return None } else { (span as f64 / step as f64).ceil().max(0.0) as usize };
    (count <= super::MOST_VALUES).then(|| Constant::ints((0..count as i64).map(|i| start + i * step).collect()))
}

fn concat(node: &Node, shapes: &Shapes) -> Option<Constant> {
    let parts: Vec<&Constant> = node.input.iter().map(|name| shapes.value(name)).collect::<Option<_>>()?;
    let first = parts.first()?;
    if place(node.int("axis")?, first.shape.len())? != 0 {
        return None;
    }
    let mut shape = first.shape.clone();
    shape[0] = parts.iter().map(|p| p.shape.first()).sum::<Option<usize>>()?;
    let values = match &first.values {
        Numbers::Ints(_) => Numbers::Ints(parts.iter().map(|p| p.as_ints()).collect::<Option<Vec<_>>>()?.concat()),
        Numbers::Floats(_) => Numbers::Floats(parts.iter().flat_map(|p| p.to_floats()).collect()),
    };
    Some(Constant { shape, values })
}

/// The values at every combination of `taken`, one list of positions an axis.
fn pick(x: &Constant, taken: &[Vec<usize>]) -> Option<Constant> {
    let shape: Vec<_> = taken.iter().map(Vec::len).collect();
    gather(x, shape, |index| index.iter().zip(taken).map(|(&i, t)| t[i]).collect())
}

fn transpose(x: &Constant, permutation: &[usize]) -> Option<Constant> {
    let shape = permutation.iter().map(|&p| x.shape.get(p).copied()).collect::<Option<Vec<_>>>()?;
    gather(x, shape, |index| {
        let mut from = vec![0; index.len()];
        permutation.iter().zip(index).for_each(|(&p, &i)| from[p] = i);
        from
    })
}

/// `x` broadcast to `shape`.
fn spread(x: &Constant, shape: &[usize]) -> Option<Constant> {
    let skip = shape.len().checked_sub(x.shape.len())?;
    gather(x, shape.to_vec(), |index| {
        index[skip..].iter().zip(&x.shape).map(|(&i, &d)| if d == 1 { 0 } else { i }).collect()
    })
}

/// A constant of `shape` whose value at each index is `x`'s at `from(index)`.
fn gather(x: &Constant, shape: Vec<usize>, from: impl Fn(&[usize]) -> Vec<usize>) -> Option<Constant> {
    let count = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d)).filter(|&n| n <= super::MOST_VALUES)?;
    let mut index = vec![0; shape.len()];
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        let mut place = 0;
        for (i, d) in from(&index).into_iter().zip(&x.shape) {
            if i >= *d {
                return None;
            }
            place = place * d + i;
        }
        places.push(place);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let values = match &x.values {
        Numbers::Ints(all) => Numbers::Ints(places.iter().map(|&p| all.get(p).copied()).collect::<Option<_>>()?),
        Numbers::Floats(all) => Numbers::Floats(places.iter().map(|&p| all.get(p).copied()).collect::<Option<_>>()?),
    };
    Some(Constant { shape, values })
}
