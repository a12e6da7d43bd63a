//! The whole check of a model: runs under the budget, one at the plan's CPU share, the floor, and what follows from them.
use super::advice;
use super::config::Config;
use super::floor;
use super::forms;
use super::peaks::allowance;
use super::pipeline::{REQUESTS, Work};
use super::rig::{Measured, Rig};
use super::series::Series;
use super::serve::{Load, serve};
use super::slope;
use super::times::{SLOW_REQUESTS, Times, at_share};
use super::{Checked, Choice, CpuShare, Subject, Verdict, options};
use crate::deploy::Plan;
use crate::memory;
use crate::units::{Bytes, Progress};
use anyhow::Result;
use std::time::Duration;

/// The form of a model that is no bundle.
const RAW: &str = "raw";

/// Checks a model.
///
/// # Errors
/// When a run cannot be made at all; that it does not fit is a result.
pub fn check(rig: &mut Rig, config: &Config, progress: &mut dyn Progress) -> Result<Checked> {
    let budget = config.budget.clone();
    let plans = options::plans(&budget, config.service.as_ref());
    let share = budget.cpus;
    let steps = [
        Series::steps(rig.serves(), config.runs),
        usize::from(share.is_some()),
        if config.measure_options { plans.len() } else { 0 },
        if config.measure_options {
            config.forms.as_ref().map_or(0, |forms| forms.steps(rig.serves(), config.runs))
        } else {
            0
        },
        if config.floor { floor::STEPS } else { 0 },
    ];
    progress.start("runs", steps.into_iter().sum::<usize>() as u64);

    let series = Series::run(rig, &config.work, &budget, config.runs, progress)?;
    let (stages, verdict, unhurried) = (series.peaks.stages(), series.verdict(&budget), series.unhurried());
    let long = &series.long;
    let lived = series.decisive().run.outcome.survived();
    // At a tenth of a processor what does not fit would not fit for longer.
    let slow = share.filter(|_| lived).map(|share| cpu_share(rig, config, share, long)).transpose()?;
    if share.is_some() {
        progress.step()?;
    }
    // A watchdog takes nothing back: under it the floor is the peak.
    let floor = if config.floor && !long.run.estimated {
        Some(floor::find(rig, &config.work.first_pass(), series.first_pass_peak(), progress)?)
    } else {
        None
    };
    let no_floor = (config.floor && floor.is_none()).then(advice::no_floor);
    let requests = long.run.stages.iter().find(|stage| stage.name == REQUESTS);
    let left = Bytes(budget.memory.0.saturating_sub(verdict.peak.0));
    let requests = requests.and_then(|stage| slope::requests(&stage.steps, left));
    let mut first = options::as_it_is(&budget, config.service.as_ref(), &verdict, unhurried);
    first.first_answer = match &slow {
        Some(slow) if slow.enforced => slow.first_answer,
        _ if lived => first.first_answer,
        _ => None,
    };
    let mut choices = vec![first];
    choices.extend(on_plans(rig, config, &plans, &verdict, unhurried, progress)?);
    let smaller = forms::choices(rig, config, &stages, &choices[0], progress)?;
    choices.splice(1..1, smaller);
    progress.finish();
    let enforced = rig.enforced(&budget, &series.passes, long);
    let answering = series.answering();
    if let Some(answering) = answering.filter(|answering| answering.identity.form != RAW) {
        choices[0].note = Some(format!(
            "it is a bundle already (`{}`): other forms are made of the .onnx that it was made from",
            answering.identity.form
        ));
    }
    let portable = answering.and_then(|answering| answering.by_portable.as_deref()).map(advice::portable_form);
    let checked = Checked {
        subject: Subject::Model {
            identity: answering.map(|answering| answering.identity.clone()),
            name: config.model.clone(),
            gradcam: config.work.gradcam,
            pictures: config.pictures.clone(),
        },
        budget,
        enforced,
        outcome: series.decisive().run.outcome.clone(),
        stages,
        requests,
        served: series.served(),
        cpu: slow,
        floor,
        verdict,
        options: choices,
        findings: config.findings.iter().cloned().chain(no_floor).chain(portable).collect(),
        checklist: Vec::new(),
        timeline: series.long.timeline(),
        comparison: None,
    };
    Ok(checked.with_conclusions(config.service.as_ref()))
}

/// Times at the plan's share of a processor: with the kernel's quota, or a whole processor's divided by it.
fn cpu_share(rig: &mut Rig, config: &Config, share: f64, long: &Measured) -> Result<CpuShare> {
    let work = Work { requests: SLOW_REQUESTS, at_once: false, ..config.work.clone() };
    let limit = memory::Budget { memory: Some(config.budget.memory), cpus: Some(share) };
    at_share(rig, share, long, |rig| match serve(rig, &work, Load::few(1 + SLOW_REQUESTS), limit)? {
        Some(serving) => Ok(serving.measured),
        None => rig.run(&work, limit),
    })
}

/// The same on other plans, estimated from what was measured, or measured each.
fn on_plans(
    rig: &mut Rig,
    config: &Config,
    plans: &[Plan],
    verdict: &Verdict,
    whole: Option<Duration>,
    progress: &mut dyn Progress,
) -> Result<Vec<Choice>> {
    let mut choices = Vec::new();
    for plan in plans {
        let mut choice = options::on_plan(plan, verdict, whole);
        if config.measure_options {
            let cpus = Some(plan.cpu).filter(|_| rig.ladder.limits_cpu());
            let threads = plan.cpu.ceil() as usize;
            let work = Work { threads, requests: 0, ..config.work.clone() };
            let limit = memory::Budget { memory: Some(plan.memory), cpus };
            let pass = rig.run(&work, limit)?;
            let mut runs = vec![&pass.run];
            let work = Work { memory: plan.memory.0, ..work };
            let serving =
                if pass.run.outcome.survived() { serve(rig, &work, Load::of(&config.work), limit)? } else { None };
            runs.extend(serving.as_ref().map(|serving| &serving.measured.run));
            choice.peak = runs.iter().map(|run| Bytes(run.peak().0 + allowance(run).0)).max().unwrap_or_default();
            choice.fits = runs.iter().all(|run| run.outcome.survived()) && choice.peak <= plan.memory;
            let last = runs.last().and_then(|run| Times::of(run).first_answer);
            choice.first_answer = cpus.and(last).or(choice.first_answer);
            choice.measured = true;
            progress.step()?;
        }
        choices.push(choice);
    }
    Ok(choices)
}
