//! Names that stand twice, and a file that defines nothing.
use super::Report;
use super::rules::{DUPLICATE_NAME, NO_SERVICES};
use crate::deploy::blueprint::{Blueprint, Resource};
use crate::deploy::node::{Node, shown};
use std::collections::BTreeMap;

pub(super) fn check(blueprint: &Blueprint, report: &mut Report) {
    let services = blueprint.all(Resource::Services);
    let databases = blueprint.all(Resource::Databases);
    if services.is_empty() && databases.is_empty() {
        report.add(&NO_SERVICES, "", "it defines no service and no database", "add `services:` with a service");
    }
    let replicas: Vec<_> = databases.iter().flat_map(|database| database.items_of("readReplicas")).collect();
    unique(&services, "service", report);
    unique(databases.iter().chain(&replicas), "database", report);
    unique(&blueprint.all(Resource::EnvVarGroups), "environment group", report);
    unique(&blueprint.root().items_of("projects"), "project", report);
}

fn unique<'a, 'b: 'a>(nodes: impl IntoIterator<Item = &'a Node<'b>>, what: &str, report: &mut Report) {
    let mut first = BTreeMap::new();
    for node in nodes {
        let Some(name) = node.text("name") else { continue };
        if let Some(before) = first.insert(name, node.path.as_str()) {
            let message = format!("a second {what} is called `{}`; the first is `{before}`", shown(name));
            report.add(
                &DUPLICATE_NAME,
                node.path_of("name"),
                message,
                "give it another name, or define it in one place only",
            );
        }
    }
}
