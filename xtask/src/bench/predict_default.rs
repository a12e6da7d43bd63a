//! The network that comes with the program, on one picture: the first command that anyone runs.

use anyhow::Result;

use super::figure::{Figure, Target, Unit};
use super::sides::{Answered, Bench, Task, agree};
use super::stats::alternate;
use super::{Outcome, Topic};

pub const TOPIC: Topic =
    Topic { name: "predict-default", about: "the default model on one picture: whole process, peak memory", run };

/// Both sides run the same network on the same pixels.
const TOLERANCE: f64 = 1e-3;

fn run(bench: &Bench) -> Result<Outcome> {
    let task = Task::repeated(&bench.default_model(), bench.threads, &bench.sample(), 1);
    let (ours, python) = alternate("the default model", bench.runs, || bench.ours(&task), || bench.python(&task))?;
    agree(&ours, &python, TOLERANCE)?;
    let of = |name, unit, value: fn(&Answered) -> f64, target| {
        Figure::new(format!("default model: {name}"), unit, ours.iter().map(value).collect())
            .beside(python.iter().map(value).collect())
            .target(target)
    };
    Ok(Outcome::Figures(vec![
        of("whole process, one image", Unit::Milliseconds, Answered::wall, Target::Most(150.0)),
        of("peak memory, one image", Unit::Megabytes, Answered::peak, Target::Most(48.0)),
    ]))
}
