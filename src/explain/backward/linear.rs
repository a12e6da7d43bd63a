//! Matrix products: Gemm, MatMul, Einsum.
use super::{Name, Rule, Step};
use crate::onnx::Node;
use anyhow::{Context, Result, ensure};

/// The rules of this family.
pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "Gemm" => gemm,
        "MatMul" => matmul,
        "Einsum" => einsum,
        _ => return None,
    })
}

/// y = alpha A' B' + beta C, where A' is A or its transpose, and B' likewise.
fn gemm(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let gradient = step.gradient()?;
    let is_set = |name: &str| step.node.int(name).unwrap_or(0) != 0;
    let (a_turned, b_turned) = (is_set("transA"), is_set("transB"));
    let alpha = step.node.float("alpha").unwrap_or(1.0);
    let beta = step.node.float("beta").unwrap_or(1.0);
    let (a, b) = (step.input(0)?.to_owned(), step.input(1)?.to_owned());
    let product = |step: &mut Step<'_>, left: (&str, bool), right: (&str, bool)| {
        let zero = step.emit.float(0.0); // optional only since opset 11
        let node = Node::new("Gemm", &[left.0, right.0, &zero], &[])
            .with("transA", i64::from(left.1))
            .with("transB", i64::from(right.1))
            .with("alpha", alpha);
        step.emit.node(node)
    };
    let mut found = Vec::new();
    if step.wants(0) {
        let name = if a_turned {
            product(step, (&b, b_turned), (&gradient, true))
        } else {
            product(step, (&gradient, false), (&b, !b_turned))
        };
        found.push((0, name));
    }
    if step.wants(1) {
        let name = if b_turned {
            product(step, (&gradient, true), (&a, a_turned))
        } else {
            product(step, (&a, !a_turned), (&gradient, false))
        };
        found.push((1, name));
    }
    if step.wants(2) {
        let (to, from) = (step.output_shape()?.to_vec(), step.shape(2)?.to_vec());
        let scaled = step.emit.scale(&gradient, beta);
        found.push((2, step.emit.unbroadcast(&scaled, &to, &from)));
    }
    Ok(found)
}

/// Y = A B over the last two axes: G Bᵀ and Aᵀ G, summed over what was broadcast. A vector is a matrix of one row or column.
fn matmul(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let gradient = step.gradient()?;
    let (a_shape, b_shape) = (step.shape(0)?.to_vec(), step.shape(1)?.to_vec());
    let out = step.output_shape()?.to_vec();
    let (a_full, b_full) = (
        if a_shape.len() == 1 { vec![1, a_shape[0]] } else { a_shape.clone() },
        if b_shape.len() == 1 { vec![b_shape[0], 1] } else { b_shape.clone() },
    );
    let mut full = out.clone();
    if a_shape.len() == 1 {
        full.insert(full.len() - usize::from(b_shape.len() > 1), 1);
    }
    if b_shape.len() == 1 {
        full.push(1);
    }
    let as_matrix = |step: &mut Step<'_>, name: &str, shape: &[usize], full: &[usize]| {
        if shape == full { name.to_owned() } else { step.emit.reshape(name, full) }
    };
    let gradient = as_matrix(step, &gradient, &out, &full);
    let batch = &full[..full.len() - 2];
    let mut found = Vec::new();
    for at in [0, 1] {
        if !step.wants(at) {
            continue;
        }
        let (other, other_shape, other_full, own_shape, own_full) = if at == 0 {
            (step.input(1)?.to_owned(), &b_shape, &b_full, &a_shape, &a_full)
        } else {
            (step.input(0)?.to_owned(), &a_shape, &a_full, &b_shape, &b_full)
        };
        let other = as_matrix(step, &other, other_shape, other_full);
        let rank = other_full.len();
        let mut perm: Vec<usize> = (0..rank).collect();
        perm.swap(rank - 1, rank - 2);
        let turned = step.emit.transpose(&other, &perm);
        let (left, right) = if at == 0 { (&gradient, &turned) } else { (&turned, &gradient) };
        let product = step.emit.op("MatMul", &[left, right]);
        let to = [batch, &own_full[own_full.len() - 2..]].concat();
        let summed = step.emit.unbroadcast(&product, &to, own_full);
        found.push((at, as_matrix(step, &summed, own_full, own_shape)));
    }
    Ok(found)
}

/// For two operands, the gradient of one is the Einsum of the output's gradient and the other.
fn einsum(step: &mut Step<'_>) -> Result<Vec<(usize, Name)>> {
    let gradient = step.gradient()?;
    let equation: String = step.node.text("equation").context("it has no `equation`")?.split_whitespace().collect();
    let (inputs, output) = equation.split_once("->").context("its equation does not name the output")?;
    let terms: Vec<&str> = inputs.split(',').collect();
    ensure!(
        terms.len() <= 2 && !equation.contains('.'),
        "its equation `{equation}` has more than two operands or an ellipsis, which no rule differentiates"
    );
    let mut found = Vec::new();
    for (at, term) in terms.iter().enumerate() {
        if !step.wants(at) {
            continue;
        }
        let mut others: Vec<(&str, &str)> = vec![(output, &gradient)];
        if let Some(other) = terms.get(1 - at.min(1)).filter(|_| terms.len() == 2) {
            others.push((other, step.input(1 - at)?));
        }
        let mut seen = std::collections::HashSet::new();
        let has = |c: char| others.iter().any(|(letters, _)| letters.contains(c));
        ensure!(
            term.chars().all(|c| seen.insert(c) && has(c)),
            "its equation `{equation}` takes a diagonal, or sums one operand alone, which no rule differentiates"
        );
        let letters: Vec<&str> = others.iter().map(|(letters, _)| *letters).collect();
        let names: Vec<&str> = others.iter().map(|(_, name)| *name).collect();
        let node = Node::new("Einsum", &names, &[]).with("equation", format!("{}->{term}", letters.join(",")).as_str());
        found.push((at, step.emit.node(node)));
    }
    Ok(found)
}
