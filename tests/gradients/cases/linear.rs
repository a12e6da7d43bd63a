//! Matrix products: Gemm, MatMul, Einsum; each operand alone, and both.
use super::{USUAL, matrix};
use crate::gradients::Case;
use crate::gradients::sketch::Sketch;
use crate::support::rng::Rng;
use dermai::onnx::Node;

pub fn all() -> Vec<Case> {
    let mut all = gemms();
    all.extend(matmuls());
    all.extend(einsums());
    all
}

/// What C is, from the product's shape.
#[derive(Clone, Copy, Debug)]
enum Added {
    Nothing,
    Scalar,
    Row,
    OneRow,
    Column,
    Whole,
}

const ADDED: [Added; 6] = [Added::Nothing, Added::Scalar, Added::Row, Added::OneRow, Added::Column, Added::Whole];

impl Added {
    fn shape(self, rows: usize, columns: usize) -> Vec<usize> {
        match self {
            Self::Nothing | Self::Scalar => vec![],
            Self::Row => vec![columns],
            Self::OneRow => vec![1, columns],
            Self::Column => vec![rows, 1],
            Self::Whole => vec![rows, columns],
        }
    }
}

/// A Gemm whose operand `at` is `x`, or x and something made of it.
fn gemm(s: &mut Sketch, x: &str, at: usize, turned: (bool, bool), added: Added, both: bool) -> Vec<String> {
    let own = s.shape_of(x);
    let is_turned = if at == 0 { turned.0 } else { turned.1 };
    let (rows, columns) = if is_turned { (own[1], own[0]) } else { (own[0], own[1]) };
    let free = s.rng.within(2, 4);
    // The product is (m, k) times (k, n).
    let (m, k, n) = if at == 0 { (rows, columns, free) } else { (free, rows, columns) };
    let (shape, other_turned) = if at == 0 { ([k, n], turned.1) } else { ([m, k], turned.0) };
    let shape = if other_turned { [shape[1], shape[0]] } else { shape };
    let other = if both { s.mixed(x, &shape, USUAL) } else { s.floats(&shape) };
    let mut inputs = if at == 0 { vec![x.to_owned(), other] } else { vec![other, x.to_owned()] };
    if !matches!(added, Added::Nothing) {
        let shape = added.shape(m, n);
        inputs.push(if both { s.mixed(x, &shape, USUAL) } else { s.floats(&shape) });
    }
    inputs
}

fn gemms() -> Vec<Case> {
    let mut all = Vec::new();
    for (at, both) in [(0, false), (1, false), (0, true)] {
        for turned in [(false, false), (true, false), (false, true), (true, true)] {
            for (i, added) in ADDED.into_iter().enumerate().filter(|(i, _)| (i + at) % 2 == 0 || both) {
                let factors = [(1.0, 1.0), (0.7, 1.3), (1.0, -0.6)][i % 3];
                let name = format!("Gemm operand {at} {both} turned {turned:?} factors {factors:?} C {added:?}");
                let since = if matches!(added, Added::Nothing) { 11 } else { 9 };
                all.push(Case::new(&name, since, matrix, USUAL, move |s, x| {
                    let inputs = gemm(s, x, at, turned, added, both);
                    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                    let mut node = Node::new("Gemm", &inputs, &[]);
                    for (name, is) in [("transA", turned.0), ("transB", turned.1)] {
                        if is {
                            node = node.with(name, 1);
                        }
                    }
                    for (name, factor) in [("alpha", factors.0), ("beta", factors.1)] {
                        if factor != 1.0 {
                            node = node.with(name, factor);
                        }
                    }
                    s.node(node)
                }));
            }
        }
    }
    // As the reference networks have it.
    for states_a in [false, true] {
        all.push(Case::new(&format!("Gemm of a head {states_a}"), 9, matrix, USUAL, move |s, x| {
            let width = s.shape_of(x)[1];
            let (weights, bias) = (s.floats(&[3, width]), s.floats(&[3]));
            let node = Node::new("Gemm", &[x, &weights, &bias], &[]).with("alpha", 1.0).with("beta", 1.0);
            let node = if states_a { node.with("transA", 0) } else { node };
            s.node(node.with("transB", 1))
        }));
    }
    all
}

/// Shapes of both sides: matrices, batches that are broadcast either way, vectors on either side.
const PRODUCTS: [(&[usize], &[usize]); 12] = [
    (&[3, 4], &[4, 2]),
    (&[2, 3, 4], &[2, 4, 3]),
    (&[2, 3, 4], &[4, 3]),
    (&[3, 4], &[2, 4, 2]),
    (&[2, 1, 3, 2], &[3, 2, 4]),
    (&[1, 2, 3], &[4, 1, 3, 2]),
    (&[3], &[3, 4]),
    (&[3], &[2, 3, 4]),
    (&[2, 4], &[4]),
    (&[2, 2, 3], &[3]),
    (&[5], &[5]),
    (&[1, 4], &[4, 1]),
];

fn matmuls() -> Vec<Case> {
    let mut all = Vec::new();
    for (left, right) in PRODUCTS {
        for which in ["left", "right", "both"] {
            // A case's shape is a plain function: the operands are made of a small matrix.
            all.push(Case::new(&format!("MatMul {left:?} {right:?} {which}"), 9, matrix, USUAL, move |s, x| {
                let a = if which == "right" { s.floats(left) } else { s.mixed(x, left, USUAL) };
                let b = if which == "left" { s.floats(right) } else { s.mixed(x, right, USUAL) };
                s.op("MatMul", &[&a, &b])
            }));
        }
    }
    all.push(Case::new("MatMul of the input", 9, matrix, USUAL, |s, x| {
        let width = s.shape_of(x)[1];
        let weights = s.floats(&[width, 3]);
        s.op("MatMul", &[x, &weights])
    }));
    all
}

/// The common forms: attention, batches, bilinear heads, an outer product, a weighting of channels, one operand turned.
const EQUATIONS: [(&str, &[usize], &[usize]); 11] = [
    ("ij,jk->ik", &[3, 4], &[4, 2]),
    ("bij,bjk->bik", &[2, 3, 2], &[2, 2, 4]),
    ("bhid,bhjd->bhij", &[1, 2, 3, 2], &[1, 2, 4, 2]),
    ("bhij,bhjd->bhid", &[1, 2, 3, 4], &[1, 2, 4, 2]),
    ("bij,jk->bik", &[2, 3, 2], &[2, 4]),
    ("nchw,nc->nhw", &[2, 3, 2, 2], &[2, 3]),
    ("nchw,kc->nkhw", &[1, 3, 2, 2], &[4, 3]),
    ("i,j->ij", &[3], &[4]),
    ("bi,bi->b", &[2, 4], &[2, 4]),
    ("i,i->", &[4], &[4]),
    (" b i j , b k j -> b i k ", &[2, 3, 2], &[2, 4, 2]),
];

fn einsums() -> Vec<Case> {
    let mut all = Vec::new();
    for (equation, left, right) in EQUATIONS {
        for which in ["left", "right", "both"] {
            all.push(Case::new(&format!("Einsum {equation} {which}"), 12, matrix, USUAL, move |s, x| {
                let a = if which == "right" { s.floats(left) } else { s.mixed(x, left, USUAL) };
                let b = if which == "left" { s.floats(right) } else { s.mixed(x, right, USUAL) };
                s.node(Node::new("Einsum", &[&a, &b], &[]).with("equation", equation))
            }));
        }
    }
    all.push(Case::new(
        "Einsum of one",
        12,
        |rng: &mut Rng| vec![2, rng.within(2, 3), 4],
        USUAL,
        |s, x| s.node(Node::new("Einsum", &[x], &[]).with("equation", "bij->jbi")),
    ));
    all
}
