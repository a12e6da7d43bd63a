//! The architecture of the app that is replaced: EfficientNetV2S, 80.6 MB of weights, from its raw .onnx.

use anyhow::Result;

use super::figure::{Figure, Target, Unit};
use super::sides::{Answered, Bench, Task, agree};
use super::stats::alternate;
use super::{Outcome, Topic, jpeg};

pub const TOPIC: Topic = Topic {
    name: "predict-large",
    about: "EfficientNetV2S (80.6 MB of weights): inference, start to result, peak memory; 1 and 2 threads",
    run,
};

/// Where the network is below `shared`; its weights are random, which changes neither time nor memory.
const MODEL: &str = "reference/k_effv2s_300";
/// The network's input. A picture of this size costs next to nothing to decode, which we do beside the network.
const SIZE: [usize; 2] = [300, 300];
/// Inferences in one process, of which the first two are not counted.
const REPEATED: usize = 12;
/// Both sides run the same network on the same pixels.
const TOLERANCE: f64 = 1e-3;

fn run(bench: &Bench) -> Result<Outcome> {
    let model = bench.shared.as_ref().map(|shared| shared.join(MODEL)).filter(|model| model.is_dir());
    let Some(model) = model else {
        return Ok(Outcome::Skipped(format!("there is no `shared/{MODEL}` beside the checkout")));
    };
    let workshop = bench.workshop()?;
    let picture = workshop.path().join("300x300.jpg");
    jpeg::write(&picture, SIZE, false)?;
    let mut figures = Vec::new();
    let mut peaks = (Vec::new(), Vec::new());
    for threads in [1, 2] {
        let label = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        let many = Task::repeated(&model, threads, &picture, REPEATED);
        let (ours, python) =
            alternate(&format!("inference, {label}"), bench.runs, || bench.ours(&many), || bench.python(&many))?;
        agree(&ours, &python, TOLERANCE)?;
        let steady = |side: &[Answered]| side.iter().map(Answered::steady).collect();
        let name = format!("EfficientNetV2S: inference, {label}");
        let inference = Figure::new(name, Unit::Milliseconds, steady(&ours)).beside(steady(&python));
        figures.push(inference.target(Target::RatioMost(1.0)));

        let one = Task::repeated(&model, threads, &bench.sample(), 1);
        let (ours, python) =
            alternate(&format!("start to result, {label}"), bench.runs, || bench.ours(&one), || bench.python(&one))?;
        agree(&ours, &python, TOLERANCE)?;
        let name = format!("EfficientNetV2S: process start to result, {label} (Python: session and run, no imports)");
        let wall = ours.iter().map(Answered::wall).collect();
        let start = Figure::new(name, Unit::Milliseconds, wall).beside(python.iter().map(|side| side.first).collect());
        figures.push(start.target(Target::MostBeside(20.0)));
        peaks.0.extend(ours.iter().map(Answered::peak));
        peaks.1.extend(python.iter().map(Answered::peak));
    }
    let peak = Figure::new("EfficientNetV2S: peak memory, raw .onnx, one image", Unit::Megabytes, peaks.0);
    figures.push(peak.beside(peaks.1).target(Target::Most(240.0)));
    Ok(Outcome::Figures(figures))
}
