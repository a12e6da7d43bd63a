//! When a service is deployed.
use super::Report;
use super::rules::{AUTO_DEPLOY_CONFLICT, AUTO_DEPLOY_NOT_GATED, DEPRECATED_KEY, PREVIEW_BRANCH};
use crate::deploy::service::{Kind, Service};

/// `previews_on`: whether the Blueprint makes preview environments.
pub(super) fn check(service: &Service, previews_on: bool, report: &mut Report) {
    let node = &service.node;
    if previews_on && node.has("branch") {
        let message = "preview environments would build this branch instead of the pull request";
        report.add(&PREVIEW_BRANCH, node.path_of("branch"), message, "remove `branch`, or `previews` of the Blueprint");
    }
    // An image is deployed by hand or by its registry; a store is not deployed at all.
    if service.runtime == Some("image") || service.kind.is_none_or(|kind| kind == Kind::KeyValue) {
        return;
    }
    let (trigger, auto) = (node.get("autoDeployTrigger"), node.get("autoDeploy"));
    match (&trigger, &auto) {
        (Some(_), Some(auto)) => {
            let message = "it is ignored: `autoDeployTrigger` stands beside it";
            report.add(&AUTO_DEPLOY_CONFLICT, auto.path.clone(), message, "remove `autoDeploy`");
        }
        (None, Some(auto)) => {
            let fix = "write `autoDeployTrigger: checksPass` for `true`, `autoDeployTrigger: \"off\"` for `false`";
            report.add(&DEPRECATED_KEY, auto.path.clone(), "`autoDeploy` has been replaced", fix);
        }
        _ => {}
    }
    let deploys = match &trigger {
        Some(trigger) => trigger.value.as_str() == Some("commit"),
        None => node.flag("autoDeploy") != Some(false),
    };
    if deploys {
        let path = trigger.or(auto).map_or_else(|| node.path_of("autoDeployTrigger"), |given| given.path);
        let message = "every commit is deployed, whether its checks pass or not";
        report.add(&AUTO_DEPLOY_NOT_GATED, path, message, "write `autoDeployTrigger: checksPass`");
    }
}
