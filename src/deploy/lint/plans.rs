//! What a service's plan allows and costs.
use super::Report;
use super::rules::{FREE_DISK, FREE_PLAN_FEATURE, FREE_PLAN_KIND, FREE_SLEEPS, PLAN_MISSING, PREVIEW_FREE_PLAN};
use crate::deploy::plan::{PRICES_AS_OF, Plan};
use crate::deploy::service::{Kind, Service};

pub(super) fn check(service: &Service, report: &mut Report) {
    let Some(kind) = service.kind.filter(|kind| !matches!(kind, Kind::Static | Kind::Workflow)) else { return };
    let node = &service.node;
    let path = node.path_of("plan");
    let free = node.text("plan") == Some("free");
    if !node.has("plan") {
        report.add(&PLAN_MISSING, path, default_plan(kind), "name the plan");
    } else if free && matches!(kind, Kind::Private | Kind::Worker | Kind::Cron) {
        report.add(
            &FREE_PLAN_KIND,
            path,
            format!("the free plan is not for {}", kind.label()),
            "choose `starter` or larger",
        );
    } else if free && kind == Kind::Web {
        let message =
            "it sleeps after 15 minutes without traffic; the next request waits until it is up again, about a minute";
        report.add(&FREE_SLEEPS, path, message, "nothing, when that is acceptable; else choose `starter` or larger");
        free_web(service, report);
    }
    if !free {
        let previews = node.get("previews").filter(|previews| previews.text("plan") == Some("free"));
        let old = node.text("previewPlan") == Some("free") && kind.is_server();
        if let Some(path) =
            previews.map(|previews| previews.path_of("plan")).or(old.then(|| node.path_of("previewPlan")))
        {
            let message = "a service with a paid plan cannot have previews with the free one";
            report.add(&PREVIEW_FREE_PLAN, path, message, "choose `starter` or larger, or leave it out");
        }
    }
}

fn default_plan(kind: Kind) -> String {
    let Plan { id, memory, usd_a_month, .. } = Plan::DEFAULT;
    if kind == Kind::KeyValue {
        return "no plan is named: a new instance gets `256mb`, which is not free".to_owned();
    }
    let price = usd_a_month.map_or_else(String::new, |usd| format!(", {usd} USD a month as of {PRICES_AS_OF}"));
    format!("no plan is named: a new service gets `{id}` ({memory}{price})")
}

/// What a free web service cannot have.
fn free_web(service: &Service, report: &mut Report) {
    let node = &service.node;
    if node.has("disk") {
        report.add(
            &FREE_DISK,
            node.path_of("disk"),
            "a free web service has no disk",
            "remove it or choose a paid plan",
        );
    }
    let many = node.whole("numInstances").is_some_and(|n| n > 1).then_some("numInstances");
    let keys = ["scaling", "maintenanceMode", "preDeployCommand", "maxShutdownDelaySeconds"];
    for key in keys.into_iter().filter(|key| node.has(key)).chain(many) {
        let message = format!("`{key}` is refused with the free plan");
        report.add(&FREE_PLAN_FEATURE, node.path_of(key), message, "remove it or choose a paid plan");
    }
}
