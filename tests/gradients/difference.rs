//! The gradient that the appended backward pass gives, against differences of the forward pass.
//!
//! Both run in float32 in ONNX Runtime; the score, a fixed weighting of the last tensor, is summed in float64. A difference counts where two
//! step sizes agree that there is no kink between their points; elsewhere the step is shrunk, and at last another point is drawn.
use super::sketch::{Sketch, X};
use crate::support::rng::Rng;
use anyhow::{Context, Result, ensure};
use dermai::explain::backward::{Emit, append};
use dermai::model::{Feed, Runtime, Session, SessionOptions, Source};
use dermai::onnx::{ModelFile, Node, Patch, Port, Shapes, infer};
use ndarray::ArrayD;
use std::sync::OnceLock;

/// Largest relative error.
pub const TOLERANCE: f64 = 1e-2;
/// Directions in which each graph is compared.
const DIRECTIONS: usize = 6;
/// Points that are drawn for them at most.
const POINTS: usize = 60;
/// Step sizes, largest first; each is tried with its half.
const STEPS: [f32; 4] = [1e-2, 4e-3, 2e-3, 1e-3];
/// How far away a gradient that seems wrong is looked at again.
const NEARBY: f32 = 5e-3;
/// How well a step and its half have to agree, in the slope and in the bend: a kink changes either.
const AGREE: f64 = 2e-3;
/// A gradient below this share of what the score is made of is compared with that: float32 says nothing about it.
const FLOOR: f64 = 1e-2;
/// How much of a difference may be float32's rounding of the values that it is made of.
const MOST_NOISE: f64 = 4e-3;

/// A graph with its backward pass, in a session.
pub struct Running {
    session: Session,
    shape: Vec<usize>,
    /// Weights of the score.
    weights: Vec<f32>,
    /// Last tensor, gradient, then every tensor of the graph.
    outputs: Vec<String>,
    shapes: Shapes,
}

/// Any file that exists: these graphs hold their weights themselves.
fn some_file() -> &'static ModelFile {
    static FILE: OnceLock<ModelFile> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = crate::support::shared::root().join("fixtures/onnx/tiny-dynamic.onnx");
        ModelFile::open(&path).expect("a fixture")
    })
}

impl Running {
    /// Appends the backward pass from `output` to `x`, and starts the runtime.
    pub fn start(sketch: &Sketch, output: &str, weights: Option<Vec<f32>>) -> Result<Self> {
        let (model, graph) = sketch.model(output);
        let shapes = infer(&graph, &[(X, &sketch.shape)]);
        let count = shapes.of(output)?.iter().product();
        let weights = weights.unwrap_or_else(|| sketch.rng.clone().signed(count, 0.5, 1.5));
        let mut emit = Emit::new(graph.opset, "gradient/")?;
        let seed = emit.floats(shapes.of(output)?, &weights);
        let gradient = append(&graph, &shapes, &mut emit, X, output, seed)?;
        let gradient = emit.op("Identity", &[&gradient]);
        let mut outputs = vec![output.to_owned(), gradient];
        let tensors: Vec<String> =
            graph.nodes.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty()).cloned().collect();
        for tensor in &tensors {
            let name = format!("float/{tensor}");
            emit.nodes.push(Node::new("Cast", &[tensor], &[&name]).with("to", 1));
            outputs.push(name);
        }
        let patch = Patch {
            back: emit.nodes,
            initializers: emit.constants,
            outputs: outputs[1..].iter().map(|name| Port::float(name, None)).collect(),
            ..Patch::default()
        };
        let model = patch.write(&graph, model)?;
        let options = SessionOptions { threads: 1, spinning: false };
        let source = Source { model: &model, file: some_file(), optimised: false };
        let session = Session::create(&Runtime::load()?, source, &options)?;
        let mut running = Self { session, shape: sketch.shape.clone(), weights, outputs, shapes };
        running.check_shapes(&tensors, &sketch.rng.clone().floats(running.size(), sketch.range.0, sketch.range.1))?;
        Ok(running)
    }

    /// What each value of the last tensor weighs in the score.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    fn run(&mut self, x: &[f32]) -> Result<Vec<ArrayD<f32>>> {
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        self.session.run(&[(X, Feed::Floats(&self.shape, x))], &names)
    }

    /// Every shape that was inferred is the runtime's own.
    fn check_shapes(&mut self, tensors: &[String], x: &[f32]) -> Result<()> {
        let given = self.run(x)?;
        for (tensor, value) in tensors.iter().zip(&given[2..]) {
            let inferred = self.shapes.of(tensor)?;
            ensure!(
                inferred == value.shape(),
                "`{tensor}`: inferred {inferred:?}, the runtime gives {:?}",
                value.shape()
            );
        }
        ensure!(given[1].shape() == self.shape, "the gradient has shape {:?}, x {:?}", given[1].shape(), self.shape);
        Ok(())
    }

    /// The last tensor and the gradient at `x`.
    pub fn at(&mut self, x: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut given = self.run(x)?.into_iter();
        let mut next = || anyhow::Ok(given.next().context("an output is missing")?.iter().copied().collect());
        Ok((next()?, next()?))
    }

    fn score(&mut self, x: &[f32], direction: &[f32], step: f32) -> Result<f64> {
        let moved: Vec<f32> = x.iter().zip(direction).map(|(x, d)| x + step * d).collect();
        let y = self.at(&moved)?.0;
        Ok(y.iter().zip(&self.weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum())
    }

    /// The largest relative error over several directions, at random points; none where the gradient is 0 at all of them.
    pub fn worst(&mut self, rng: &mut Rng, range: (f32, f32)) -> Result<Option<f64>> {
        let (mut worst, mut done, mut largest) = (0.0f64, 0, 0.0f32);
        for point in 0..POINTS {
            let x = rng.floats(self.size(), range.0, range.1);
            largest = self.at(&x)?.1.iter().fold(largest, |most, g| most.max(g.abs()));
            // Every second direction moves a few values only, where an error of one value shows best.
            let few = point % 2 == 1;
            let direction: Vec<f32> = rng.signed(x.len(), 0.5, 1.0);
            let kept = x.len().div_ceil(8);
            let first = rng.below(x.len());
            let is_kept = |i: usize| !few || (i + x.len() - first) % x.len() < kept;
            let direction: Vec<f32> =
                direction.iter().enumerate().map(|(i, &d)| if is_kept(i) { d } else { 0.0 }).collect();
            let mut error = self.error(&x, &direction)?;
            if error.is_some_and(|error| error > TOLERANCE) {
                // Two kinks at the very point can cancel at every step. What is wrong is wrong nearby too.
                let nearby: Vec<f32> = x.iter().map(|x| x + rng.float(-NEARBY, NEARBY)).collect();
                error = self.error(&nearby, &direction)?;
            }
            if let Some(error) = error {
                worst = worst.max(error);
                done += 1;
            }
            if done == DIRECTIONS {
                return Ok((largest > 0.0).then_some(worst));
            }
        }
        anyhow::bail!("only {done} of {DIRECTIONS} directions have no kink near {POINTS} points")
    }

    /// The relative error in one direction; none where there are kinks or too much rounding at every step size.
    fn error(&mut self, x: &[f32], direction: &[f32]) -> Result<Option<f64>> {
        let (y, gradient) = self.at(x)?;
        ensure!(gradient.iter().all(|g| g.is_finite()), "the gradient holds NaN or infinite values");
        let made_of = y.iter().zip(&self.weights).map(|(y, w)| f64::from(y * w).powi(2)).sum::<f64>().sqrt();
        let parts: Vec<f64> = gradient.iter().zip(direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).collect();
        let expected: f64 = parts.iter().sum();
        let usual = parts.iter().map(|p| p * p).sum::<f64>().sqrt();
        let here = self.score(x, direction, 0.0)?;
        for step in STEPS {
            let mut slope_and_bend = |step: f32| -> Result<(f64, f64)> {
                let (up, down) = (self.score(x, direction, step)? - here, here - self.score(x, direction, -step)?);
                Ok(((up + down) / (2.0 * f64::from(step)), (up - down) / f64::from(step)))
            };
            let ((whole, bend), (half, half_bend)) = (slope_and_bend(step)?, slope_and_bend(step / 2.0)?);
            let scale = whole.abs().max(usual).max(FLOOR * made_of);
            if f64::from(f32::EPSILON) * made_of / f64::from(step) > MOST_NOISE * scale {
                return Ok(None);
            }
            // A smooth bend shrinks with the step; one that stays is a kink at the point itself.
            if (whole - half).abs() <= AGREE * scale && (bend - 2.0 * half_bend).abs() <= 2.0 * AGREE * scale {
                let slope = (4.0 * half - whole) / 3.0; // Richardson: the error of the second order cancels
                return Ok(Some((slope - expected).abs() / slope.abs().max(usual).max(FLOOR * made_of)));
            }
        }
        Ok(None)
    }
}
