//! `gradcam --check`'s results: a table with what each figure means, or JSON.
use super::json::{Class, GRADCAM_SCHEMA, Head, Missed};
use super::table::{Language, class_name, write_notice, write_rows};
use crate::explain::cam::Method;
use crate::explain::faithfulness::Similarity;
use crate::explain::{Checked, Mean, Report};
use crate::text::one_line;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

/// What stands under the table: each figure, which way is better, and where it comes from.
const LEGEND: [&str; 5] = [
    "insertion  area under the probability as hot pixels are put on a blurred picture, 0 to 1; higher is better (RISE, Petsiuk 2018)",
    "deletion   area under the probability as hot pixels are taken away, 0 to 1; lower is better (RISE, Petsiuk 2018)",
    "drop       probability lost when cold parts are dimmed, and in how many pictures it rose; lower is better (Chattopadhay 2018)",
    "ROAD       half of what removing cold pixels leaves more than removing hot ones, -0.5 to 0.5; higher is better (Rong 2022)",
    "random     rank correlation with the map of the same network with a random head; near 1 the map does not depend on the class (Adebayo 2018)",
];

/// Writes the report.
pub fn write(out: &mut dyn Write, report: &Report, method: Method, language: Language, json: bool) -> Result<()> {
    if json {
        return write_json(out, report, method);
    }
    let Some(mean) = report.mean else { return Ok(()) };
    let run = &report.summary.run;
    writeln!(out, "{}", one_line(&format!("{method} at `{}`", report.layer)))?;
    let head = ["image", "class", "insertion", "deletion", "drop", "ROAD", "random"].map(str::to_owned).to_vec();
    let number = |value: f64| format!("{value:.3}");
    let row = |c: &Checked| {
        let random = c.randomised.and_then(|s| s.spearman).map_or("-".to_owned(), number);
        vec![
            one_line(&c.image).into_owned(),
            class_name(language, &run.card, &c.class),
            number(c.insertion),
            number(c.deletion),
            number(c.confidence.drop()),
            number(c.road.combined()),
            random,
        ]
    };
    let last = vec![
        format!("mean of {}", report.checked.len()),
        format!("rose in {:.0} %", mean.confidence.increase * 100.0),
        number(mean.insertion),
        number(mean.deletion),
        number(mean.confidence.drop),
        number(mean.road),
        mean.randomised.map_or("-".to_owned(), number),
    ];
    let rows = std::iter::once(head).chain(report.checked.iter().map(row)).chain([last]);
    write_rows(out, rows, &[2, 3, 4, 5, 6])?;
    writeln!(out)?;
    LEGEND.iter().try_for_each(|line| writeln!(out, " {line}"))?;
    write_notice(out, language, run)?;
    out.flush()?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    method: Method,
    layer: &'a str,
    checks: Vec<Check<'a>>,
    mean: Option<Mean>,
    errors: Vec<Missed>,
}

#[derive(Debug, Serialize)]
struct Check<'a> {
    image: &'a str,
    class: Class,
    insertion_auc: f64,
    deletion_auc: f64,
    drop: f64,
    increased: bool,
    road: Road,
    randomised: Option<Similarity>,
}

#[derive(Debug, Serialize)]
struct Road {
    lerf: f64,
    morf: f64,
    combined: f64,
}

impl<'a> Check<'a> {
    fn of(checked: &'a Checked) -> Self {
        let Checked { image, class, insertion, deletion, confidence, road, randomised } = checked;
        Self {
            image,
            class: class.clone().into(),
            insertion_auc: *insertion,
            deletion_auc: *deletion,
            drop: confidence.drop(),
            increased: confidence.increased(),
            road: Road { lerf: road.lerf(), morf: road.morf(), combined: road.combined() },
            randomised: *randomised,
        }
    }
}

fn write_json(out: &mut dyn Write, report: &Report, method: Method) -> Result<()> {
    let document = Document {
        head: Head::of(GRADCAM_SCHEMA, &report.summary.run),
        method,
        layer: &report.layer,
        checks: report.checked.iter().map(Check::of).collect(),
        mean: report.mean,
        errors: report.failures.iter().cloned().map(Into::into).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}
