//! The lint of a Blueprint: findings with the rule, the place, what is wrong and what to do.
mod build;
mod cron;
mod databases;
mod deploys;
mod env;
mod files;
mod instances;
mod names;
mod plans;
mod references;
pub(super) mod rules;
mod shape;
mod web;

pub use rules::{RULES, Rule, Severity};

use super::blueprint::{Blueprint, Resource};
use serde::Serialize;
use std::path::Path;

/// Findings after which the lint stops: a file with more has one cause.
const MOST_FINDINGS: usize = 1000;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The file: its path leads to a place in it.
    Blueprint,
    /// What was measured: its path is a stage.
    Measurement,
}

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the rule: one of [`RULES`], unless it was measured.
    pub rule: &'static str,
    /// How severe it is.
    pub severity: Severity,
    /// What it is about.
    pub origin: Origin,
    /// Where, such as `services[0].healthCheckPath`; empty: the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// Checks a Blueprint, the most severe findings first. `folder` is the root of the repository: files that the Blueprint names are
/// looked for there and nowhere else.
///
/// After 1,000 findings it stops.
pub fn lint(blueprint: &Blueprint, folder: &Path) -> Vec<Finding> {
    let mut report = Report::default();
    shape::check(blueprint, &mut report);
    names::check(blueprint, &mut report);
    let previews = blueprint.root().get("previews").and_then(|previews| previews.text("generation"));
    let previews_on = matches!(previews, Some("manual" | "automatic"));
    for service in blueprint.services() {
        plans::check(&service, &mut report);
        web::check(&service, &mut report);
        deploys::check(&service, previews_on, &mut report);
        build::check(&service, &mut report);
        files::check(&service, folder, &mut report);
        instances::check(&service, &mut report);
        env::check_service(&service, &mut report);
    }
    for database in blueprint.all(Resource::Databases) {
        databases::check(&database, &mut report);
    }
    for group in blueprint.all(Resource::EnvVarGroups) {
        env::check_group(&group, &mut report);
    }
    references::check(blueprint, &mut report);
    report.findings.sort_by(|a, b| (a.severity, &a.path).cmp(&(b.severity, &b.path)));
    report.findings
}

/// Findings so far.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, rule: &Rule, path: impl Into<String>, message: impl Into<String>, fix: impl Into<String>) {
        if !self.is_full() {
            self.findings.push(Finding {
                rule: rule.id,
                severity: rule.severity,
                origin: Origin::Blueprint,
                path: path.into(),
                message: message.into(),
                fix: fix.into(),
            });
        }
    }

    /// Whether more would not be kept, so that costly ones need not be worked out.
    fn is_full(&self) -> bool {
        self.findings.len() >= MOST_FINDINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rules_have_an_id_of_their_own_in_kebab_case_a_sentence_and_a_source() {
        let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.id);
            assert!(rule.says.ends_with('.') && !rule.source.is_empty(), "{}", rule.id);
        }
    }
}
