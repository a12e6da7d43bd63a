//! What holds for databases alone.
use super::Report;
use super::rules::{DATABASE_DISK, LEGACY_DATABASE_PLAN, PLAN_MISSING, READ_REPLICAS};
use super::web::allow_list;
use crate::deploy::node::Node;
use crate::deploy::plan::LEGACY_DATABASE_PLANS;

const MOST_REPLICAS: usize = 5;

pub(super) fn check(database: &Node, report: &mut Report) {
    if !database.value.is_mapping() {
        return;
    }
    if !database.has("plan") {
        let message = "no plan is named: a new database gets `basic-256mb`, which is not free";
        report.add(&PLAN_MISSING, database.path_of("plan"), message, "name the plan");
    }
    let legacy = |key: &str| database.text(key).is_some_and(|plan| LEGACY_DATABASE_PLANS.contains(&plan));
    for key in ["plan", "previewPlan"].into_iter().filter(|key| legacy(key)) {
        let message = "a new database cannot have this plan";
        report.add(&LEGACY_DATABASE_PLAN, database.path_of(key), message, "choose one such as `basic-256mb`");
    }
    for key in ["diskSizeGB", "previewDiskSizeGB"] {
        match database.whole(key) {
            Some(_) if legacy("plan") => {
                let message = "a legacy plan has a fixed disk";
                report.add(&DATABASE_DISK, database.path_of(key), message, "remove it, or choose a current plan");
            }
            Some(gb) if gb > 1 && gb % 5 != 0 => {
                let message = format!("{gb} is neither 1 nor a multiple of 5");
                report.add(&DATABASE_DISK, database.path_of(key), message, format!("write {}", gb / 5 * 5 + 5));
            }
            _ => {}
        }
    }
    let replicas = database.items_of("readReplicas").len();
    if replicas > MOST_REPLICAS {
        let message = format!("{replicas} read replicas; a database has at most {MOST_REPLICAS}");
        report.add(&READ_REPLICAS, database.path_of("readReplicas"), message, "remove some");
    }
    allow_list(database, report);
}
