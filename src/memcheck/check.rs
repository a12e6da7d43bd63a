//! The whole check of a model: runs under the budget, one at the plan's CPU share, the floor, and what follows from them.
use super::advice;
use super::floor;
use super::peaks::{Peaks, allowance};
use super::pipeline::{REQUESTS, Work};
use super::rig::{Measured, Rig, machine_allows};
use super::slope;
use super::times::{SLOW_REQUESTS, Times, at_share};
use super::{Budget, Checked, Choice, CpuShare, Subject, Verdict, options};
use crate::deploy::{Finding, Plan, WebService};
use crate::memory;
use crate::model::Identity;
use crate::units::{Bytes, Progress};
use anyhow::Result;
use std::time::Duration;

/// What is checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What each child does; its threads and requests are those of the run under the budget.
    pub work: Work,
    /// The model's name.
    pub model: String,
    /// What the pictures are called.
    pub pictures: Vec<String>,
    /// What may be used.
    pub budget: Budget,
    /// The blueprint's service, where the budget comes from one.
    pub service: Option<WebService>,
    /// What the lint found in the blueprint.
    pub findings: Vec<Finding>,
    /// How often the first pass is measured; the highest counts.
    pub runs: usize,
    /// Whether the smallest limit is looked for.
    pub floor: bool,
    /// Whether options are measured instead of estimated.
    pub measure_options: bool,
}

/// Checks a model.
///
/// # Errors
/// When a run cannot be made at all; that it does not fit is a result.
pub fn check(rig: &mut Rig, config: &Config, progress: &mut dyn Progress) -> Result<Checked> {
    let once = Work { requests: 0, at_once: false, ..config.work.clone() };
    let limit = memory::Budget { memory: Some(config.budget.memory), cpus: None };
    let plans = options::plans(&config.budget, config.service.as_ref());
    let measured_plans = if config.measure_options { plans.len() } else { 0 };
    let share = config.budget.cpus;
    let total =
        1 + config.runs + usize::from(share.is_some()) + measured_plans + if config.floor { floor::STEPS } else { 0 };
    progress.start("runs", total as u64);

    rig.discover(&once)?;
    progress.step();
    let mut peaks = Peaks::default();
    let mut passes = Vec::new();
    for _ in 1..config.runs.max(1) {
        let pass = rig.run(&once, limit)?;
        progress.step();
        peaks.add(&pass.run);
        let survived = pass.run.outcome.survived();
        passes.push(pass);
        if !survived {
            break;
        }
    }
    // A first pass that did not survive says it all.
    let failed = passes.pop_if(|pass| !pass.run.outcome.survived());
    let long = if let Some(pass) = failed {
        pass
    } else {
        let long = rig.run(&config.work, limit)?;
        progress.step();
        peaks.add(&long.run);
        long
    };
    // What ran into the limit took what it got; what it wanted shows without the limit.
    let free = if long.run.limited || !long.run.outcome.survived() {
        let free = rig.run(&config.work, memory::Budget { memory: Some(machine_allows()), cpus: None })?;
        peaks.add(&free.run);
        Some(free)
    } else {
        None
    };
    let stages = peaks.stages();
    // At a tenth of a processor what does not fit would not fit for longer.
    let slow =
        share.filter(|_| long.run.outcome.survived()).map(|share| cpu_share(rig, config, share, &long)).transpose()?;
    if share.is_some() {
        progress.step();
    }
    let predicted = peaks.highest();
    // A watchdog takes nothing back: under it the floor is the peak.
    let floor = if config.floor && !long.run.estimated {
        Some(floor::find(rig, &once, predicted.peak, progress)?)
    } else {
        None
    };
    let no_floor = (config.floor && floor.is_none()).then(advice::no_floor);
    let budget = config.budget.clone();
    let requests = long.run.stages.iter().find(|stage| stage.name == REQUESTS);
    let left = Bytes(budget.memory.0.saturating_sub(predicted.peak.0));
    let requests = requests.and_then(|stage| slope::requests(&stage.steps, left));
    let verdict = Verdict::of(
        &predicted,
        Bytes(allowance(&long.run).0.max(peaks.unseen(&predicted).0)),
        &budget,
        &long.run.outcome,
    );
    // How long it takes where memory is not short.
    let unhurried = Times::of(&free.as_ref().unwrap_or(&long).run).first_answer;
    let mut choices = choices(rig, config, &plans, &verdict, unhurried, progress)?;
    choices[0].first_answer = match &slow {
        Some(slow) if slow.enforced => slow.first_answer,
        _ if long.run.outcome.survived() => choices[0].first_answer,
        _ => None,
    };
    progress.finish();
    let enforced = rig.enforced(&budget, &passes, &long);
    let checked = Checked {
        subject: Subject::Model {
            identity: long.identity.clone().or_else(|| identity(&passes)),
            name: config.model.clone(),
            gradcam: config.work.gradcam,
            pictures: config.pictures.clone(),
        },
        budget,
        enforced,
        outcome: long.run.outcome.clone(),
        stages,
        requests,
        cpu: slow,
        floor,
        verdict,
        options: choices,
        findings: config.findings.iter().cloned().chain(no_floor).collect(),
        checklist: Vec::new(),
        timeline: long.timeline(),
        comparison: None,
    };
    Ok(checked.with_conclusions(config.service.as_ref()))
}

fn identity(passes: &[Measured]) -> Option<Identity> {
    passes.iter().find_map(|pass| pass.identity.clone())
}

/// Times at the plan's share of a processor: with the kernel's quota, or a whole processor's divided by it.
fn cpu_share(rig: &mut Rig, config: &Config, share: f64, long: &Measured) -> Result<CpuShare> {
    let work = Work { requests: SLOW_REQUESTS, at_once: false, ..config.work.clone() };
    let limit = memory::Budget { memory: Some(config.budget.memory), cpus: Some(share) };
    at_share(rig, share, long, |rig| rig.run(&work, limit))
}

/// The options, estimated from what was measured, or measured each.
fn choices(
    rig: &mut Rig,
    config: &Config,
    plans: &[Plan],
    verdict: &Verdict,
    whole: Option<Duration>,
    progress: &mut dyn Progress,
) -> Result<Vec<Choice>> {
    let mut choices = vec![options::as_it_is(&config.budget, config.service.as_ref(), verdict, whole)];
    for plan in plans {
        let mut choice = options::on_plan(plan, verdict, whole);
        if config.measure_options {
            let cpus = Some(plan.cpu).filter(|_| rig.ladder.limits_cpu());
            let threads = plan.cpu.ceil() as usize;
            let work = Work { threads, requests: 0, ..config.work.clone() };
            let pass = rig.run(&work, memory::Budget { memory: Some(plan.memory), cpus })?;
            choice.peak = Bytes(pass.run.peak().0 + allowance(&pass.run).0);
            choice.fits = pass.run.outcome.survived() && choice.peak <= plan.memory;
            choice.first_answer = cpus.and_then(|_| Times::of(&pass.run).first_answer).or(choice.first_answer);
            choice.measured = true;
            progress.step();
        }
        choices.push(choice);
    }
    Ok(choices)
}
