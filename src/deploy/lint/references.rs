//! What environment variables refer to: other services, databases and groups.
use super::Report;
use super::rules::{REFERENCE_KIND, UNKNOWN_REFERENCE};
use crate::deploy::blueprint::{Blueprint, Resource};
use crate::deploy::node::{Node, shown};
use crate::deploy::service::{Kind, Service};
use crate::yaml;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(blueprint: &Blueprint, report: &mut Report) {
    let services = blueprint.services();
    let kinds: BTreeMap<_, _> = services.iter().filter_map(|service| Some((service.name?, service))).collect();
    let databases = blueprint.all(Resource::Databases);
    let replicas = databases.iter().flat_map(|database| database.items_of("readReplicas"));
    let databases: BTreeSet<_> =
        databases.iter().cloned().chain(replicas).filter_map(|node| node.text("name")).collect();
    let groups = blueprint.all(Resource::EnvVarGroups);
    let groups: BTreeSet<_> = groups.iter().filter_map(|group| group.text("name")).collect();
    for var in services.iter().flat_map(Service::env_vars) {
        if report.is_full() {
            return;
        }
        if let Some(from) = var.0.get("fromDatabase") {
            defined(&from, "name", "database", &databases, report);
        }
        if let Some(group) = var.group().filter(|group| !groups.contains(group)) {
            missing(&var.0.path_of("fromGroup"), group, "environment group", &groups, report);
        }
        if let Some(from) = var.0.get("fromService") {
            service(&from, &kinds, report);
        }
    }
}

fn service(from: &Node, services: &BTreeMap<&str, &Service>, report: &mut Report) {
    let target = from.text("name").and_then(|name| services.get(name));
    let Some(target) = target else {
        return defined(from, "name", "service", &services.keys().copied().collect(), report);
    };
    let Some(kind) = target.kind else { return };
    let actual = target.node.text("type").unwrap_or_default();
    if let Some(said) = from.text("type")
        && !same_type(said, actual, kind)
    {
        let message = format!("`{}` is {}", shown(target.name.unwrap_or_default()), kind.label());
        report.add(&REFERENCE_KIND, from.path_of("type"), message, format!("write `type: {actual}`"));
    }
    let has = match from.text("property") {
        Some("connectionString") => kind == Kind::KeyValue,
        Some("host" | "port" | "hostport") => matches!(kind, Kind::Web | Kind::Private | Kind::KeyValue),
        _ => true,
    };
    if !has {
        let property = from.text("property").unwrap_or_default();
        let message = format!("{} has no `{property}`", kind.label());
        let fix =
            if property == "connectionString" { "write `hostport`" } else { "refer to a service that has an address" };
        report.add(&REFERENCE_KIND, from.path_of("property"), message, fix);
    }
}

fn same_type(said: &str, actual: &str, kind: Kind) -> bool {
    let also: &[&str] = match kind {
        Kind::KeyValue => &["keyvalue", "redis"],
        Kind::Static => &["static"],
        _ => &[],
    };
    said == actual || also.contains(&said)
}

fn defined(node: &Node, key: &str, what: &str, names: &BTreeSet<&str>, report: &mut Report) {
    if let Some(name) = node.text(key).filter(|name| !names.contains(name)) {
        missing(&node.path_of(key), name, what, names, report);
    }
}

fn missing(path: &str, name: &str, what: &str, names: &BTreeSet<&str>, report: &mut Report) {
    let message = format!("the file defines no {what} `{}`; it has to be in the workspace already", shown(name));
    let fix = match yaml::nearest(name, names.iter().copied()) {
        Some(nearest) => format!("did you mean `{}`? Otherwise make sure that it exists", shown(nearest)),
        None => "define it, or make sure that it exists".to_owned(),
    };
    report.add(&UNKNOWN_REFERENCE, path, message, fix);
}
