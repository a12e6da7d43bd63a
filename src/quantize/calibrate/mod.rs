//! Calibration: which values the tensors of a network take on real pictures, in bounded memory.
//!
//! Smallest, largest and mean value of each channel are computed inside the graph (`ReduceMin`, `ReduceMax`, `ReduceMean`); what leaves it besides is at
//! most [`SAMPLED`] values of a tensor and picture, evenly spread, which go into a histogram.
mod histogram;
mod range;

pub use histogram::Histogram;
pub use range::{Method, Steps, range};

use crate::input::Limits;
use crate::model::{Feed, Prepared};
use crate::onnx::{ElementType, Emit, Graph, Name, Patch, Port, Shapes, TensorProto};
use crate::quantize::evaluate::SESSION;
use crate::quantize::{Pictures, Unreadable};
use crate::units::Progress;
use anyhow::{Context, Result, bail, ensure};
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Names of what is added begin with this.
const PREFIX: &str = "dermai.calibrate/";
/// The input that says which picture it is: each gives other places of a tensor, so that what happens at a few places only, such as corners, is seen.
const TURN: &str = "dermai.calibrate/turn";
/// So many values of a tensor and picture are counted.
const SAMPLED: usize = 4096;

/// What a network was calibrated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibrated {
    /// Pictures that were looked at; those that could not be read are not among them.
    pub pictures: usize,
    /// SHA-256 over the set: [`Pictures::sha256`].
    pub sha256: String,
}

impl Calibrated {
    /// With a set, of which some were `unreadable`.
    pub fn with((pictures, limits): (&Pictures, &Limits), unreadable: &Unreadable) -> Result<Self> {
        let seen = pictures.entries().len() - unreadable.count;
        Ok(Self { pictures: seen, sha256: pictures.sha256(limits)? })
    }
}

/// What was seen of a tensor.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Smallest value.
    pub low: f32,
    /// Largest value.
    pub high: f32,
    /// The same, and the mean, for each channel, where its second axis is channels: `[N, C, …]`.
    pub channels: Option<Channels>,
    /// How its values are spread.
    pub histogram: Histogram,
}

/// What was seen of each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels {
    /// Smallest values.
    pub low: Vec<f32>,
    /// Largest values.
    pub high: Vec<f32>,
    /// Means over positions and pictures.
    pub mean: Vec<f64>,
}

/// Tensors by name.
pub type Observed = BTreeMap<String, Tensor>;

/// A network whose tensors are observed.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The model; its graph is `graph`.
    pub model: &'a Prepared,
    /// Its graph, in which the tensors have the names that they are asked by.
    pub graph: &'a Graph,
    /// Their shapes.
    pub shapes: &'a Shapes,
}

/// Runs the network, with some of its weights replaced, on every picture and notes what `tensors` hold.
///
/// # Errors
/// When a tensor's shape is not known, a value is NaN or infinite (picture and tensor are named), or too many pictures cannot be read.
pub fn observe(
    subject: Subject<'_>,
    tensors: &[String],
    weights: Vec<TensorProto>,
    pictures: (&Pictures, &Limits),
    progress: &mut dyn Progress,
) -> Result<(Observed, Unreadable)> {
    let mut emit = Emit::new(subject.graph.opset, PREFIX)?;
    // The runtime starts from the last of the nodes whose result no node takes: with the first tensors' there, each tensor is looked at and freed before
    // the next is computed, instead of all of them being held to the end.
    let mut tensors: Vec<&String> = tensors.iter().collect();
    tensors.sort_by_key(|name| std::cmp::Reverse(subject.graph.producer(name)));
    let probes: Vec<Probe> =
        tensors.into_iter().map(|name| Probe::of(name, subject.shapes.of(name)?, &mut emit)).collect::<Result<_>>()?;
    let names: Vec<Name> = probes.iter().flat_map(|probe| probe.outputs.clone()).collect();
    let patch = Patch {
        back: emit.nodes,
        initializers: emit.constants.into_iter().chain(weights).collect(),
        inputs: vec![Port { name: TURN.to_owned(), element: ElementType::INT64, shape: Some(vec![1]) }],
        outputs: names.iter().map(|name| Port::float(name, None)).collect(),
        ..Patch::default()
    };
    let mut running = subject.model.clone().start_patched(subject.graph, &patch, &SESSION)?;
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut seen: Vec<Option<Tensor>> = vec![None; probes.len()];
    let mut count = 0u32;
    let (set, limits) = pictures;
    let unreadable = set.each(&subject.model.card.input, limits, progress, |_, entry, read| {
        let given = running.run(&read.picture.tensor, &[(TURN, Feed::Ints(&[count.into()]))], &wanted)?;
        // The classes come first.
        let mut given = given.into_iter().skip(1);
        for (probe, tensor) in probes.iter().zip(&mut seen) {
            let values: Vec<ArrayD<f32>> = given.by_ref().take(probe.outputs.len()).collect();
            probe.note(&values, tensor).with_context(|| format!("on `{}`", entry.name))?;
        }
        count += 1;
        Ok(())
    })?;
    ensure!(count > 0, "`{}`: no picture could be read", set.place().display());
    let mut observed = Observed::new();
    for (probe, tensor) in probes.into_iter().zip(seen) {
        let mut tensor = tensor.context("nothing was observed")?;
        if let Some(channels) = &mut tensor.channels {
            channels.mean.iter_mut().for_each(|mean| *mean /= f64::from(count));
        }
        observed.insert(probe.tensor, tensor);
    }
    Ok((observed, unreadable))
}

/// What is computed of a tensor.
struct Probe {
    tensor: String,
    has_channels: bool,
    /// Smallest, largest, sample, mean.
    outputs: Vec<Name>,
}

impl Probe {
    fn of(tensor: &str, shape: &[usize], emit: &mut Emit) -> Result<Self> {
        let count: usize = shape.iter().product();
        ensure!(count > 0, "`{tensor}` is empty");
        let has_channels = matches!(shape.len(), 2 | 4);
        let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1 || !has_channels).collect();
        let flat = emit.reshape(tensor, &[count]);
        let step = count.div_ceil(SAMPLED);
        // The same columns of every row would be seen again and again if the step and the rows had a divisor in common.
        let step = (step..2 * step).find(|&step| shape.iter().all(|&side| gcd(side, step) == 1)).unwrap_or(step);
        let every = emit.ints(&[step as i64]);
        let start = emit.remainder(TURN, &every);
        let outputs = vec![
            emit.smallest(tensor, &axes),
            emit.largest(tensor, &axes),
            emit.every(&flat, &start, &every),
            emit.mean(tensor, &axes),
        ];
        Ok(Self { tensor: tensor.to_owned(), has_channels, outputs })
    }

    fn note(&self, values: &[ArrayD<f32>], tensor: &mut Option<Tensor>) -> Result<()> {
        let [low, high, sample, mean] = values else { bail!("the graph gave less than it was asked for") };
        let flat = |array: &ArrayD<f32>| array.iter().copied().collect::<Vec<f32>>();
        let (low, high, sample) = (flat(low), flat(high), flat(sample));
        // Smallest and largest may pass over what is no number, and the sample may not meet it; the mean does.
        ensure!(
            low.iter().chain(&high).chain(&sample).chain(mean).copied().all(f32::is_finite),
            "tensor `{}` holds NaN or infinite values: int8 has no place for them; look at the model and the picture, or try another mode",
            self.tensor
        );
        let seen = tensor.get_or_insert_with(|| Tensor {
            low: f32::INFINITY,
            high: f32::NEG_INFINITY,
            channels: self.has_channels.then(|| Channels {
                low: vec![f32::INFINITY; low.len()],
                high: vec![f32::NEG_INFINITY; low.len()],
                mean: vec![0.0; low.len()],
            }),
            histogram: Histogram::default(),
        });
        seen.low = low.iter().copied().fold(seen.low, f32::min);
        seen.high = high.iter().copied().fold(seen.high, f32::max);
        seen.histogram.add(&sample);
        if let Some(channels) = &mut seen.channels {
            channels.low.iter_mut().zip(&low).for_each(|(all, one)| *all = all.min(*one));
            channels.high.iter_mut().zip(&high).for_each(|(all, one)| *all = all.max(*one));
            channels.mean.iter_mut().zip(mean.iter()).for_each(|(all, one)| *all += f64::from(*one));
        }
        Ok(())
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
