//! Two to four cases behind one another, now and then with a second way from the input to the end.
use super::{Case, Drawn, NEWEST, Place};
use crate::gradients::sketch::{Sketch, X};
use crate::support::rng::Rng;
use dermai::onnx::Node;

/// How many chains.
const CHAINS: u64 = 500;
/// Values of a link at most: the links are joined by dense matrices.
const MOST_VALUES: usize = 200;

/// Random chains of `cases`.
pub fn all(cases: &[Case]) -> Vec<Drawn> {
    (0..CHAINS).map(|seed| chain(cases, seed)).collect()
}

fn chain(cases: &[Case], seed: u64) -> Drawn {
    let mut rng = Rng::new(seed);
    let opset = rng.within(9, NEWEST as usize) as i64;
    let at_hand: Vec<&Case> =
        cases.iter().filter(|c| c.place != Place::Nowhere && (c.opsets.0..=c.opsets.1).contains(&opset)).collect();
    let mut names = Vec::new();
    let mut link = |rng: &mut Rng| loop {
        let case = rng.pick(&at_hand);
        let shape = (case.shape)(rng);
        if shape.iter().product::<usize>() <= MOST_VALUES {
            names.push(case.name.clone());
            return (case, shape);
        }
    };
    let (first, shape) = link(&mut rng);
    let count = rng.within(2, 4);
    let mut sketch = Sketch::new(rng.clone(), opset, shape, first.range);
    let mut last = (first.build)(&mut sketch, X);
    for _ in 1..count {
        let (case, shape) = link(&mut rng);
        let has_room = sketch.shape_of(&last).iter().product::<usize>() <= MOST_VALUES;
        let joined =
            if case.place == Place::Anywhere && has_room { last } else { sketch.mixed(&last, &shape, case.range) };
        last = (case.build)(&mut sketch, &joined);
    }
    if rng.once_in(3) {
        let shape = sketch.shape_of(&last);
        let second = sketch.mixed(X, &shape, (-1.0, 1.0));
        last = match rng.below(3) {
            0 => sketch.op("Add", &[&last, &second]),
            1 => sketch.op("Mul", &[&second, &last]),
            _ if shape.is_empty() => sketch.op("Sub", &[&second, &last]),
            _ => sketch.node(Node::new("Concat", &[&second, &last], &[]).with("axis", 0)),
        };
    }
    Drawn { name: format!("chain {seed} opset {opset}: {}", names.join(" > ")), sketch, output: last }
}
