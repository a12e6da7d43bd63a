//! Any program under the budget, with its whole process tree: what a team runs today.
use super::advice;
use super::drive::{Drive, LISTEN, drive};
use super::peaks::{Peaks, allowance};
use super::rig::{Measured, Rig, machine_allows};
use super::times::{SLOW_REQUESTS, Times, at_share};
use super::{Budget, Checked, Subject, Verdict, options, slope};
use crate::deploy::{Finding, WebService};
use crate::memory::{self, Event, Heard, Teller};
use crate::units::{Bytes, Progress};
use anyhow::{Result, bail, ensure};
use std::process::Command;

/// The stage from the start on, unless the program's output begins another one.
pub const RUN: &str = "run";

/// What is run.
#[derive(Clone)]
pub struct Config {
    /// The program and its arguments.
    pub line: Vec<String>,
    /// A stage of this name begins with the first line of its output that holds this text.
    pub stages: Vec<(String, String)>,
    /// Whether it may run only once.
    pub once: bool,
    /// How it is driven over HTTP, if it is a server.
    pub drive: Option<Drive>,
    /// What may be used.
    pub budget: Budget,
    /// The blueprint's service, where the budget comes from one.
    pub service: Option<WebService>,
    /// What the lint found in the blueprint.
    pub findings: Vec<Finding>,
}

/// Runs a program under the budget; `pass_on` gets what it writes. Unless it may run only once, it is run before to learn which files it maps,
/// so that they are cold; and one that runs into the limit is run once more without it, to see what it wants.
pub fn check(
    rig: &mut Rig,
    config: &Config,
    pass_on: &mut dyn FnMut(&str),
    progress: &mut dyn Progress,
) -> Result<Checked> {
    // The time that a server takes at its plan's share of a processor matters; a program that is run by hand is not held to it.
    let share = config.budget.cpus.filter(|_| config.drive.is_some());
    progress.start("runs", if config.once { 1 } else { 2 + u64::from(share.is_some()) });
    let limit = memory::Budget { memory: Some(config.budget.memory), cpus: None };
    if !config.once {
        run(rig, config, limit, pass_on)?;
        progress.step()?;
    }
    let first = run(rig, config, limit, pass_on)?;
    progress.step()?;
    let mut peaks = Peaks::default();
    peaks.add(&first.run);
    if !config.once && (first.run.limited || first.run.outcome.ended == memory::Ended::OomKilled) {
        let free = run(rig, config, memory::Budget { memory: Some(machine_allows()), cpus: None }, pass_on)?;
        peaks.add(&free.run);
    }
    let cpu = share.filter(|_| first.run.outcome.survived()).map(|share| {
        if config.once {
            return Ok(Times::of(&first.run).scaled(share));
        }
        let few = Config {
            drive: config
                .drive
                .clone()
                .map(|drive| Drive { requests: (1 + SLOW_REQUESTS).min(drive.requests), ..drive }),
            ..config.clone()
        };
        let limit = memory::Budget { cpus: Some(share), ..limit };
        at_share(rig, share, &first, |rig| run(rig, &few, limit, pass_on))
    });
    let cpu = cpu.transpose()?;
    let not_held = (config.budget.cpus.is_some() && share.is_none()).then(advice::share_not_held);
    progress.finish();
    let predicted = peaks.highest();
    // Files that it had mapped and that others had in the cache are charged to those; on a host of its own it pays for them.
    let uncounted = if first.run.estimated { Bytes(0) } else { uncounted(&peaks) };
    let spare = Bytes(allowance(&first.run).0 + uncounted.0);
    let verdict = Verdict::of(&predicted, spare, &config.budget, &first.run.outcome);
    let left = Bytes(config.budget.memory.0.saturating_sub(verdict.peak.0));
    let requests = first.run.stages.iter().find(|stage| stage.name == super::pipeline::REQUESTS);
    let requests = requests.and_then(|stage| slope::requests(&stage.steps, left));
    let plans = options::plans(&config.budget, config.service.as_ref());
    let whole = Times::of(&first.run).first_answer.filter(|_| first.run.outcome.survived());
    let mut choices = vec![options::as_it_is(&config.budget, config.service.as_ref(), &verdict, whole)];
    choices[0].first_answer =
        cpu.as_ref().filter(|cpu| cpu.enforced).map_or(choices[0].first_answer, |cpu| cpu.first_answer);
    choices.extend(plans.iter().map(|plan| options::on_plan(plan, &verdict, whole)));
    let enforced = super::Enforced { shared: uncounted, ..rig.enforced(&config.budget, &[], &first) };
    let checked = Checked {
        subject: Subject::Command { line: config.line.join(" ") },
        budget: config.budget.clone(),
        enforced,
        outcome: first.run.outcome.clone(),
        stages: peaks.stages(),
        requests,
        served: None,
        cpu,
        floor: None,
        verdict,
        options: choices,
        findings: config.findings.iter().cloned().chain(not_held).collect(),
        checklist: Vec::new(),
        timeline: first.timeline(),
        comparison: None,
    };
    Ok(checked.with_conclusions(config.service.as_ref()))
}

/// Resident file pages beyond the page cache that was charged, at most over the stages.
fn uncounted(peaks: &Peaks) -> Bytes {
    let beyond = |stage: &super::StagePeak| {
        let resident_file = stage.resident.0.saturating_sub(stage.anon.0);
        resident_file.saturating_sub(stage.file.0)
    };
    Bytes(peaks.stages().iter().map(beyond).max().unwrap_or_default())
}

fn run(rig: &mut Rig, config: &Config, budget: memory::Budget, pass_on: &mut dyn FnMut(&str)) -> Result<Measured> {
    ensure!(!config.line.is_empty(), "no command is named behind `--`");
    config.drive.as_ref().map_or(Ok(()), Drive::check)?;
    let mut command = Command::new(&config.line[0]);
    command.args(&config.line[1..]);
    let mut waiting: Vec<_> = config.stages.iter().collect();
    let mut hear = |event: &Event| {
        let (Event::Out(line) | Event::Error(line)) = event else { return Heard::Nothing };
        pass_on(line);
        match waiting.iter().position(|(_, text)| line.contains(text.as_str())) {
            Some(at) => Heard::Stage(waiting.remove(at).0.clone()),
            None => Heard::Nothing,
        }
    };
    let first_stage = if config.drive.is_some() { LISTEN } else { RUN };
    let driver = config.drive.clone().map(|plan| move |teller: &Teller| drive(&plan, teller));
    let measured = rig.measure(command, budget, first_stage, false, driver, &mut hear)?;
    if let Some(why) = &measured.run.failed {
        bail!("{why}");
    }
    Ok(measured)
}
