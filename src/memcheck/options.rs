//! What else could be deployed, and where.
use super::{Budget, Checked, Choice, Verdict};
use crate::deploy::{Kind, Plan, WebService};
use std::time::Duration;

/// Plans that are larger than the budget, and those of its size that have more CPU, smallest first; at most five, for a table is read by people.
pub fn plans(budget: &Budget, service: Option<&WebService>) -> Vec<Plan> {
    const MOST: usize = 5;
    let is_more = |plan: &Plan| match service {
        Some(WebService { plan: now, kind, .. }) => {
            plan.is_for(*kind) && plan.memory >= now.memory && plan.cpu >= now.cpu && plan != now
        }
        None => plan.memory >= budget.memory,
    };
    // A plan whose price nobody knows helps nobody to decide.
    Plan::ALL.into_iter().filter(|plan| is_more(plan) && plan.usd_a_month.is_some()).take(MOST).collect()
}

/// What is checked, as it is; `whole` is the time to its first answer on a processor of its own.
pub fn as_it_is(budget: &Budget, service: Option<&WebService>, verdict: &Verdict, whole: Option<Duration>) -> Choice {
    let plan = service.map(|service| service.plan);
    Choice {
        name: plan.map_or_else(|| "as it is".to_owned(), |plan| format!("as it is, plan {}", plan.id)),
        mode: None,
        memory: budget.memory,
        cpus: budget.cpus,
        peak: verdict.peak,
        measured: true,
        fits: verdict.fits,
        first_answer: whole.map(|whole| at_share(whole, budget.cpus)),
        accuracy_change: None,
        price: plan.and_then(|plan| plan.usd_a_month),
        note: None,
        command: None,
    }
}

/// The same on another plan: the peak does not depend on the limit, and time goes with the CPU share.
pub fn on_plan(plan: &Plan, verdict: &Verdict, whole: Option<Duration>) -> Choice {
    Choice {
        name: format!("plan {}", plan.id),
        mode: None,
        memory: plan.memory,
        cpus: Some(plan.cpu),
        peak: verdict.peak,
        measured: false,
        fits: verdict.peak <= plan.memory,
        first_answer: whole.map(|whole| at_share(whole, Some(plan.cpu))),
        accuracy_change: None,
        price: plan.usd_a_month,
        note: None,
        command: None,
    }
}

/// What the whole result says about each option.
pub fn settle(checked: &mut Checked, kind: Option<Kind>) {
    // Nothing was learned about plans from a program that fails by itself, but on those on which it was tried.
    if !checked.verdict.fits && !checked.wants_memory() {
        checked.options.retain(|choice| choice.measured);
    }
    for choice in &mut checked.options {
        // What nobody counted is an estimate, even where it was tried.
        choice.measured &= !checked.enforced.estimated;
        // List prices are for a process that runs all month.
        choice.price = choice.price.filter(|_| kind != Some(Kind::Cron));
    }
}

/// What takes `whole` on a processor of its own takes longer on a part of one.
pub fn at_share(whole: Duration, cpus: Option<f64>) -> Duration {
    whole.mul_f64(cpus.map_or(1.0, |cpus| (1.0 / cpus).max(1.0)))
}
