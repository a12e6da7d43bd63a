//! What `quantize` does to the answers, maps, size and time of trained networks, beside `onnxruntime.quantization` on the same pictures.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::figure::{Figure, Target, Unit};
use super::quantize::{Answers, Form, Report, Scene, Subject, difference, worst};
use super::sides::Bench;
use super::table::Table;
use super::{Outcome, Topic};
use crate::say::say;

pub const TOPIC: Topic = Topic {
    name: "quantize-accuracy",
    about: "trained networks in prepare, fp16, int8-weights, int8 and int8 --auto beside onnxruntime.quantization: answers, maps, bytes, time",
    run,
};

/// What is made of each network.
const FORMS: [Form; 5] = [Form::Prepare, Form::Fp16, Form::Int8Weights, Form::Int8, Form::Auto];
/// The one that rounding hurts most has a target of its own.
const HARDEST: &str = "ham-mobilenetv2";

/// One network.
struct Studied {
    name: String,
    top1: f64,
    /// In the order of [`FORMS`].
    ours: Vec<Row>,
    /// In the order of the script.
    recipes: Vec<Row>,
    /// Of `recipes`.
    best: usize,
    /// Each bundle's graph by Python's runtime against the program with the bundle: the largest difference, and the most other answers.
    equality: (f64, usize),
}

/// One form of a network; NaN where something could not be measured.
struct Row {
    name: String,
    top1: f64,
    /// Points of top-1 that are lost.
    drop: f64,
    agreement: f64,
    kl: f64,
    /// Of all files, over the .onnx's.
    bytes: f64,
    /// By `dermai quantize`'s own pairs, over the .onnx's.
    latency: f64,
    /// In one process of Python's, CPU time over the .onnx's.
    in_python: f64,
    /// Mean and least correlation of maps.
    maps: [f64; 2],
    /// Convolutions and matrix products in float, where that is a question.
    floats: Option<usize>,
}

/// What the script prints.
#[derive(Deserialize)]
struct Printed {
    top1: f64,
    bytes: u64,
    recipes: Vec<Recipe>,
    bundles: Vec<Bundle>,
}

#[derive(Deserialize)]
struct Recipe {
    name: String,
    bytes: u64,
    top1: f64,
    agreement: f64,
    kl: f64,
    latency: f64,
}

#[derive(Deserialize)]
struct Bundle {
    latency: f64,
    floats: usize,
}

fn run(bench: &Bench) -> Result<Outcome> {
    let scene = match Scene::set(bench)? {
        Ok(scene) => scene,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let subjects = scene.subjects()?;
    let studied = subjects.iter().map(|subject| study(&scene, subject)).collect::<Result<Vec<_>>>()?;
    Ok(Outcome::Tabled(figures(&studied), table(&studied)))
}

fn study(scene: &Scene, subject: &Subject) -> Result<Studied> {
    say(format_args!("bench: {}", subject.name));
    let made = FORMS.map(|form| {
        let made = scene.make(subject, form, &["--eval".as_ref(), subject.labels().as_os_str()]);
        // One that fails is no reason to leave out the others: its figures are missed.
        made.inspect_err(|error| say(format_args!("bench: {}, {}: {error:#}", subject.name, form.name()))).ok()
    });
    let bundles = || FORMS.iter().zip(&made).filter(|(_, made)| made.is_some()).map(|(form, _)| *form);
    let paths = bundles().map(|form| subject.bundle(form).into_os_string());
    let arguments = std::iter::once(subject.place().to_owned()).chain(paths);
    let printed: Printed = scene.python("all", &subject.folder, arguments)?.1;
    let mut beside = printed.bundles.iter();
    let source = printed.bytes as f64;
    let ours = FORMS.iter().zip(&made).map(|(form, made)| match made {
        Some((_, report)) => Row::ours(*form, report, beside.next(), source),
        None => Row::missing(*form),
    });
    let ours: Vec<_> = ours.collect();
    let recipes: Vec<_> = printed.recipes.iter().map(|recipe| Row::theirs(recipe, &printed)).collect();
    let by = |row: &Row| (row.agreement, -row.in_python);
    let best = (0..recipes.len())
        .max_by(|a, b| by(&recipes[*a]).partial_cmp(&by(&recipes[*b])).unwrap_or(std::cmp::Ordering::Equal))
        .context("Python quantized nothing")?;
    let images = subject.images()?;
    let mut equality = if made.iter().all(Option::is_some) { (0.0, 0) } else { (f64::NAN, 0) };
    for form in bundles() {
        let bundle = subject.bundle(form);
        let theirs: Answers = scene.python("answers", &bundle, &images)?.1;
        let (farthest, others) = difference(&scene.probabilities(&bundle, &images)?, &theirs.answers)?;
        // What could not be made stays what could not be compared.
        equality = (if equality.0 < farthest { farthest } else { equality.0 }, equality.1.max(others));
    }
    let studied = Studied { name: subject.name.clone(), top1: printed.top1, ours, recipes, best, equality };
    // All of it takes many minutes: what is known is told.
    studied.rows().iter().for_each(|row| say(format_args!("| {} |", row.join(" | "))));
    say(format_args!("bench: {}: largest difference {:e}, other answers {}", studied.name, equality.0, equality.1));
    Ok(studied)
}

impl Row {
    fn ours(form: Form, Report { before, after }: &Report, beside: Option<&Bundle>, source: f64) -> Self {
        let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Self {
            name: form.name().to_owned(),
            top1: known(after.top1),
            drop: points(known(before.top1), known(after.top1)),
            agreement: known(after.agreement),
            kl: known(after.kl),
            bytes: after.bytes as f64 / source,
            latency: known(after.latency_ratio),
            in_python: known(beside.map(|bundle| bundle.latency)),
            maps: [known(after.cam_correlation), known(after.cam_correlation_least)],
            floats: beside.map(|bundle| bundle.floats).filter(|_| matches!(form, Form::Int8 | Form::Auto)),
        }
    }

    fn missing(form: Form) -> Self {
        Self { name: format!("{} (failed)", form.name()), ..Self::nothing() }
    }

    fn theirs(recipe: &Recipe, printed: &Printed) -> Self {
        Self {
            name: recipe.name.clone(),
            top1: recipe.top1,
            drop: points(printed.top1, recipe.top1),
            agreement: recipe.agreement,
            kl: recipe.kl,
            bytes: recipe.bytes as f64 / printed.bytes as f64,
            in_python: recipe.latency,
            ..Self::nothing()
        }
    }

    fn nothing() -> Self {
        const NONE: f64 = f64::NAN;
        Self {
            name: String::new(),
            top1: NONE,
            drop: NONE,
            agreement: NONE,
            kl: NONE,
            bytes: NONE,
            latency: NONE,
            in_python: NONE,
            maps: [NONE; 2],
            floats: None,
        }
    }

    fn cells(&self, model: &str, note: &str) -> Vec<String> {
        let shown =
            |value: f64, digits: usize| if value.is_nan() { String::new() } else { format!("{value:.digits$}") };
        vec![
            model.to_owned(),
            format!("{}{note}", self.name),
            shown(self.top1, 3),
            shown(self.drop + 0.0, 1),
            shown(self.agreement, 3),
            shown(self.kl, 4),
            shown(self.bytes, 3),
            shown(self.latency, 2),
            shown(self.in_python, 2),
            shown(self.maps[0], 4),
            shown(self.maps[1], 4),
            self.floats.map(|floats| floats.to_string()).unwrap_or_default(),
        ]
    }
}

/// Points of a share that are lost, without the dust of the subtraction.
fn points(before: f64, after: f64) -> f64 {
    ((before - after) * 1e8).round() / 1e6
}

/// What the targets are held against: for each form the worst network.
fn figures(studied: &[Studied]) -> Vec<Figure> {
    let worst_of = |form: Form, what: &str, unit, value: &dyn Fn(&Studied, &Row) -> f64, target: Target| {
        let at = FORMS.iter().position(|known| *known == form).unwrap_or_default();
        let towards = if matches!(target, Target::Least(_)) { -1.0 } else { 1.0 };
        let found = worst(studied, |one| towards * value(one, &one.ours[at]));
        let (name, worst) = found.map_or(("none", f64::NAN), |(one, worst)| (one.name.as_str(), towards * worst));
        let worst = if worst.is_finite() { worst } else { f64::NAN };
        let name = format!("{}: {what}, worst of {} (`{name}`)", form.name(), studied.len());
        Figure::new(name, unit, vec![worst]).target(target)
    };
    let drop = |form, most| worst_of(form, "top-1 lost, points", Unit::Ratio, &|_, row| row.drop, Target::Most(most));
    let agreement =
        |form, least| worst_of(form, "agreement", Unit::Share, &|_, row| row.agreement, Target::Least(least));
    let mut all = vec![
        drop(Form::Prepare, 0.0),
        agreement(Form::Prepare, 1.0),
        worst_of(Form::Prepare, "mean map correlation", Unit::Share, &|_, row| row.maps[0], Target::Least(0.9999)),
        drop(Form::Fp16, 0.1),
        agreement(Form::Fp16, 0.995),
        drop(Form::Int8Weights, 0.3),
        agreement(Form::Int8Weights, 0.98),
    ];
    let beside = |what: &str, unit, value: fn(&Row, &Row) -> f64, target| {
        let what = format!("{what} Python's best recipe");
        worst_of(Form::Int8, &what, unit, &|one, row| value(row, one.theirs()), target)
    };
    all.extend([
        beside(
            "agreement less that of",
            Unit::Share,
            |ours, theirs| ours.agreement - theirs.agreement,
            Target::Least(0.0),
        ),
        beside("bytes over those of", Unit::Ratio, |ours, theirs| ours.bytes / theirs.bytes, Target::Most(1.0)),
        beside(
            "CPU time, in one process, over that of",
            Unit::Ratio,
            |ours, theirs| ours.in_python / theirs.in_python,
            Target::Most(1.0),
        ),
    ]);
    let plain = FORMS.iter().position(|form| *form == Form::Int8).unwrap_or_default();
    let sum = |value: &dyn Fn(&Studied) -> f64| studied.iter().map(value).sum::<f64>();
    let sums = [sum(&|one| one.ours[plain].agreement), sum(&|one| one.theirs().agreement)];
    // One picture more than the other side, at least.
    let higher = Target::Least(0.001);
    all.push(
        Figure::new(format!("int8: sum of the agreements of {}", studied.len()), Unit::Share, vec![sums[0]])
            .beside(vec![sums[1]]),
    );
    all.push(Figure::new("int8: the same less Python's", Unit::Share, vec![sums[0] - sums[1]]).target(higher));
    let others = |one: &Studied, row: &Row| if one.name == HARDEST { f64::INFINITY } else { row.agreement };
    let hardest = |one: &Studied, row: &Row| if one.name == HARDEST { row.agreement } else { f64::INFINITY };
    all.extend([
        drop(Form::Auto, 1.0),
        worst_of(Form::Auto, "agreement without the hardest", Unit::Share, &others, Target::Least(0.97)),
        worst_of(Form::Auto, "agreement of the hardest", Unit::Share, &hardest, Target::Least(0.95)),
        worst_of(Form::Auto, "bytes over the .onnx's", Unit::Ratio, &|_, row| row.bytes, Target::Most(0.45)),
        worst_of(Form::Auto, "latency over the .onnx's", Unit::Ratio, &|_, row| row.latency, Target::Most(0.75)),
        worst_of(
            Form::Int8,
            "and all other bundles by Python's runtime and by `predict`: largest difference of a probability, millionths",
            Unit::Ratio,
            &|one, _| one.equality.0 * 1e6,
            Target::Most(10.0),
        ),
        worst_of(
            Form::Int8,
            "the same: images with another answer",
            Unit::Count,
            &|one, _| one.equality.1 as f64,
            Target::Most(0.0),
        ),
    ]);
    all
}

impl Studied {
    fn theirs(&self) -> &Row {
        &self.recipes[self.best]
    }

    /// The network's lines of the table.
    fn rows(&self) -> Vec<Vec<String>> {
        let source = Row { name: "float32".into(), top1: self.top1, ..Row::nothing() };
        let ours = self.ours.iter().map(|row| row.cells("", ""));
        let note = |at| if at == self.best { ", Python's best" } else { ", Python" };
        let theirs = self.recipes.iter().enumerate().map(|(at, row)| row.cells("", note(at)));
        std::iter::once(source.cells(&self.name, "")).chain(ours).chain(theirs).collect()
    }
}

fn table(studied: &[Studied]) -> Table {
    let about = "What quantizing does to trained networks, beside `onnxruntime.quantization` (QDQ, per channel) on the same pictures; bytes and times are over \
                 those of the float32 .onnx; `in Python` is CPU time of one thread, all forms by turns in one process; maps are Grad-CAM's on 20 images.";
    let mut table = Table::new(
        about,
        &[
            "network",
            "form",
            "top-1",
            "lost, points",
            "agreement",
            "KL",
            "bytes",
            "time",
            "time in Python",
            "maps, mean",
            "maps, least",
            "in float",
        ],
    );
    studied.iter().flat_map(Studied::rows).for_each(|row| table.add(row));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(agreement: f64, drop: f64) -> Row {
        Row { agreement, drop, bytes: 0.3, latency: 0.5, in_python: 0.5, maps: [1.0; 2], ..Row::nothing() }
    }

    fn studied(name: &str, auto: f64) -> Studied {
        let ours = vec![row(1.0, 0.0), row(1.0, 0.0), row(0.99, 0.2), row(0.98, 0.5), row(auto, 0.4)];
        Studied { name: name.into(), top1: 0.8, ours, recipes: vec![row(0.97, 1.0)], best: 0, equality: (1e-7, 0) }
    }

    #[test]
    fn each_form_is_held_to_its_targets_by_its_worst_network() {
        use super::super::figure::Verdict;
        let verdicts = |studied: &[Studied]| -> Vec<_> {
            figures(studied).into_iter().filter(|f| f.verdict() == Some(Verdict::Missed)).map(|f| f.name).collect()
        };
        assert_eq!(verdicts(&[studied("a", 0.98), studied(HARDEST, 0.95)]), [""; 0]);
        assert_eq!(
            verdicts(&[studied("a", 0.98), studied("b", 0.96), studied(HARDEST, 0.94)]),
            [
                "int8 --auto: agreement without the hardest, worst of 3 (`b`)".to_owned(),
                format!("int8 --auto: agreement of the hardest, worst of 3 (`{HARDEST}`)")
            ]
        );
    }

    #[test]
    fn points_have_no_dust() {
        assert_eq!([points(0.82, 0.81), points(0.5, 0.5)], [1.0, 0.0]);
    }
}
