//! The gradients of random graphs against finite differences of the runtime's forward pass: every rule, every attribute setting.
//!
//! A case draws one operator with one kind of attributes and inputs; five seeds of each spread over the opsets that have it, and chains
//! join two to four cases. The same graphs test shape inference: the runtime's own shapes are compared with the inferred ones.
#![allow(clippy::print_stderr)] // figures for the record
mod cases;
mod chains;
mod counts;
mod difference;
mod formulas;
mod kinks;
mod quantized;
pub mod sketch;
mod unsupported;

use crate::support::rng::Rng;
use difference::{Running, TOLERANCE};
use sketch::{Sketch, X};

/// Graphs of each case.
const SEEDS: u64 = 5;
/// The newest operator set in wide use.
const NEWEST: i64 = 21;

/// How a shape is drawn.
type Shape = fn(&mut Rng) -> Vec<usize>;

/// How a case adds its operator behind a tensor.
type Build = Box<dyn Fn(&mut Sketch, &str) -> String + Send + Sync>;

/// One operator, with one kind of attributes and inputs.
pub struct Case {
    /// What it is, for whoever reads a failure.
    name: String,
    /// The oldest and the newest operator set.
    opsets: (i64, i64),
    /// The shape of what it takes.
    shape: Shape,
    /// Between which bounds the values lie that it takes, so that all its pieces are met.
    range: (f32, f32),
    place: Place,
    build: Build,
}

/// Where a case may stand in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nowhere: the runtime's static shapes and its own kernels disagree on it, so that nothing can stand behind it.
    Nowhere,
    /// Behind a tensor of its own shape and range.
    Fitted,
    /// Behind any tensor.
    Anywhere,
}

impl Case {
    /// A case of all operator sets from `since` on.
    fn new(
        name: &str,
        since: i64,
        shape: Shape,
        range: (f32, f32),
        build: impl Fn(&mut Sketch, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let opsets = (since, NEWEST.max(since));
        Self { name: name.to_owned(), opsets, shape, range, place: Place::Fitted, build: Box::new(build) }
    }

    /// The same at another place.
    fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The same, up to the operator set `last`.
    fn until(mut self, last: i64) -> Self {
        self.opsets.1 = last;
        self
    }

    /// The graph of one seed: its sketch and the tensor whose gradient is looked at.
    fn draw(&self, seed: u64) -> Drawn {
        let (oldest, newest) = self.opsets;
        // Both ends are met: signatures change there.
        let opset = oldest + (newest - oldest) * (seed % SEEDS) as i64 / (SEEDS as i64 - 1);
        let mut rng = Rng::new(seed + 1000 * hash(&self.name));
        let shape = (self.shape)(&mut rng);
        let mut sketch = Sketch::new(rng, opset, shape, self.range);
        let output = (self.build)(&mut sketch, X);
        Drawn { name: format!("{} seed {seed} opset {opset}", self.name), sketch, output }
    }
}

/// A name's own seed (FNV-1a), so that a case keeps its graphs when others are added.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3)) >> 32
}

/// A random graph.
pub struct Drawn {
    name: String,
    sketch: Sketch,
    output: String,
}

/// All graphs of some cases.
fn graphs(cases: &[Case]) -> Vec<Drawn> {
    cases.iter().flat_map(|case| (0..SEEDS).map(|seed| case.draw(seed))).collect()
}

/// Checks graphs and says how far the worst gradient is off. At most `most_flat` of them may have no gradient but 0.
fn check(family: &str, drawn: &[Drawn], most_flat: usize) {
    let mut worst = (0.0f64, "");
    let (mut failures, mut flat) = (Vec::new(), Vec::new());
    for graph in drawn {
        let found = Running::start(&graph.sketch, &graph.output, None)
            .and_then(|mut running| running.worst(&mut graph.sketch.rng.clone(), graph.sketch.range));
        match found {
            Ok(None) => flat.push(graph.name.as_str()),
            Ok(Some(error)) if error > TOLERANCE => {
                failures.push(format!("{}: relative error {error:.1e}", graph.name));
            }
            Ok(Some(_)) => {}
            Err(ref e) => failures.push(format!("{}: {e:#}", graph.name)),
        }
        if let Some(error) = found.ok().flatten().filter(|error| *error > worst.0) {
            worst = (error, &graph.name);
        }
    }
    eprintln!("{family:12} {:4} graphs, worst relative error {:.1e}: {}", drawn.len(), worst.0, worst.1);
    assert!(flat.len() <= most_flat, "{} graphs show nothing, their gradient is 0:\n{}", flat.len(), flat.join("\n"));
    assert!(failures.is_empty(), "{} of {} graphs:\n{}", failures.len(), drawn.len(), failures.join("\n"));
}

/// One test a family, so that they run side by side and one rule's tests run alone.
macro_rules! families {
    ($($family:ident),*) => {
        $(#[test]
        fn $family() {
            check(stringify!($family), &graphs(&cases::$family::all()), 0);
        })*

        /// The cases of all families.
        fn all_cases() -> Vec<Case> {
            let mut all = Vec::new();
            $(all.extend(cases::$family::all());)*
            all
        }
    };
}

families!(arithmetic, computed, elementwise, conv, pool, linear, softmax, norm, reduce, layout, resize, typed);

#[test]
fn chains() {
    check("chains", &chains::all(&all_cases()), 5);
}
