//! How many instances a service has, and its disk.
use super::Report;
use super::rules::{DISK_AND_INSTANCES, DISK_MOUNT_PATH, SCALING_AND_INSTANCES, SCALING_LIMITS};
use crate::deploy::node::{Node, shown};
use crate::deploy::service::Service;

/// Folders that a disk cannot hide; those inside them can be.
const TAKEN: [&str; 9] = [
    "/",
    "/opt",
    "/opt/render",
    "/opt/render/project",
    "/opt/render/project/src",
    "/home",
    "/home/render",
    "/etc",
    "/etc/secrets",
];

pub(super) fn check(service: &Service, report: &mut Report) {
    let node = &service.node;
    let (scaling, instances) = (node.get("scaling"), node.get("numInstances"));
    if let Some(scaling) = scaling.as_ref().filter(|scaling| scaling.value.is_mapping()) {
        limits(scaling, report);
        if let Some(instances) = &instances {
            let message = "it is ignored: the service scales by itself";
            report.add(&SCALING_AND_INSTANCES, instances.path.clone(), message, "remove `numInstances` or `scaling`");
        }
    }
    let Some(disk) = node.get("disk") else { return };
    let many = instances.filter(|n| n.value.as_i64().is_some_and(|n| n > 1));
    for several in scaling.into_iter().chain(many) {
        let message = "a service with a disk has one instance";
        report.add(&DISK_AND_INSTANCES, several.path, message, "remove it, or the disk");
    }
    if let Some(path) = disk.text("mountPath") {
        let plain = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        let wrong = if !path.starts_with('/') {
            "not absolute"
        } else if TAKEN.contains(&plain) || plain.is_empty() {
            "a folder that Render needs itself"
        } else {
            return;
        };
        let message = format!("`{}` is {wrong}", shown(path));
        report.add(&DISK_MOUNT_PATH, disk.path_of("mountPath"), message, "choose a folder such as `/var/data`");
    }
}

/// Limits and targets of autoscaling; whether each is in range is the schema's.
fn limits(scaling: &Node, report: &mut Report) {
    for key in ["minInstances", "maxInstances"].into_iter().filter(|key| !scaling.has(key)) {
        report.add(&SCALING_LIMITS, scaling.path_of(key), "a limit is missing", format!("add `{key}`"));
    }
    if let (Some(min), Some(max)) = (scaling.whole("minInstances"), scaling.whole("maxInstances"))
        && min > max
    {
        let message = format!("at least {min} instances but at most {max}");
        report.add(&SCALING_LIMITS, scaling.path.clone(), message, "exchange the limits");
    }
    if !scaling.has("targetMemoryPercent") && !scaling.has("targetCPUPercent") {
        let fix = "add `targetMemoryPercent` or `targetCPUPercent`";
        report.add(&SCALING_LIMITS, scaling.path.clone(), "it does not say when to scale", fix);
    }
}
