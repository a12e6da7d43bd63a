//! Render's plans: memory, share of CPU and list price.
use super::service::Kind;
use crate::units::Bytes;

/// The day on which the prices were last seen, `YYYY-MM-DD`. They change: whoever shows one says so.
pub const PRICES_AS_OF: &str = "2026-09-19";

/// What a compute plan grants to one instance of a web service, private service or background worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Name in a Blueprint, such as `pro plus`.
    pub id: &'static str,
    /// The newer name of the same plan, made of its size, such as `4c-8g`.
    pub size_id: &'static str,
    /// Memory of an instance. Render does not document what it counts; assumed: the whole container, MB = 2^20 bytes.
    pub memory: Bytes,
    /// CPUs of an instance.
    pub cpu: f64,
    /// List price of an instance that runs all month, in US dollars, as of [`PRICES_AS_OF`]; none where no source confirmed it.
    pub usd_a_month: Option<f64>,
    /// Whether only a web service may have it.
    pub web_only: bool,
}

impl Plan {
    /// Every compute plan, from the smallest to the largest: by memory, then by CPU.
    ///
    /// Sizes: render.com/docs/compute-plans; prices: render.com/pricing.
    pub const ALL: [Self; 15] = [
        Self { web_only: true, ..plan("free", "free", 512, 0.1, Some(0.0)) },
        plan("starter", "0.5c-512mb", 512, 0.5, Some(7.0)),
        plan("standard", "1c-2g", 2 << 10, 1.0, Some(25.0)),
        plan("pro", "2c-4g", 4 << 10, 2.0, Some(85.0)),
        plan("2c-8g", "2c-8g", 8 << 10, 2.0, None),
        plan("pro plus", "4c-8g", 8 << 10, 4.0, Some(175.0)),
        plan("2c-16g", "2c-16g", 16 << 10, 2.0, None),
        plan("pro max", "4c-16g", 16 << 10, 4.0, Some(225.0)),
        plan("8c-16g", "8c-16g", 16 << 10, 8.0, None),
        plan("12c-24g", "12c-24g", 24 << 10, 12.0, None),
        plan("4c-32g", "4c-32g", 32 << 10, 4.0, None),
        plan("pro ultra", "8c-32g", 32 << 10, 8.0, Some(450.0)),
        plan("12c-48g", "12c-48g", 48 << 10, 12.0, None),
        plan("8c-64g", "8c-64g", 64 << 10, 8.0, None),
        plan("12c-96g", "12c-96g", 96 << 10, 12.0, None),
    ];

    /// What a new service gets when its Blueprint names no plan.
    pub const DEFAULT: Self = Self::ALL[1];

    /// The plan of that name: `pro plus` as in a Blueprint, `pro_plus` as in Render's API, `pro-plus`, or `4c-8g`; any case.
    pub fn named(name: &str) -> Option<Self> {
        let plain = |text: &str| text.trim().to_ascii_lowercase().replace(['_', '-'], " ");
        let name = plain(name);
        Self::ALL.into_iter().find(|plan| plain(plan.id) == name || plain(plan.size_id) == name)
    }

    /// Whether a service of this kind may have it.
    pub fn is_for(&self, kind: Kind) -> bool {
        match kind {
            Kind::Web => true,
            Kind::Cron => !self.web_only && CRON_PLANS.contains(&self.size_id),
            _ => !self.web_only,
        }
    }
}

const fn plan(id: &'static str, size_id: &'static str, mb: u64, cpu: f64, usd_a_month: Option<f64>) -> Plan {
    Plan { id, size_id, memory: Bytes::mb(mb), cpu, usd_a_month, web_only: false }
}

/// Names that the plan of a web service, private service or background worker may have in a Blueprint.
pub(super) const SERVER_PLANS: &[&str] = &[
    "free",
    "starter",
    "standard",
    "pro",
    "pro plus",
    "pro max",
    "pro ultra",
    "0.5c-512mb",
    "1c-2g",
    "2c-4g",
    "2c-8g",
    "2c-16g",
    "4c-8g",
    "4c-16g",
    "4c-32g",
    "8c-16g",
    "8c-32g",
    "8c-64g",
    "12c-24g",
    "12c-48g",
    "12c-96g",
];

/// Names that the plan of a cron job may have. `free` is among them so that it gets its own finding.
pub(super) const CRON_PLANS: &[&str] = &[
    "free",
    "starter",
    "standard",
    "pro",
    "pro plus",
    "0.5c-512mb",
    "1c-2g",
    "2c-4g",
    "2c-8g",
    "2c-16g",
    "4c-8g",
    "4c-16g",
    "4c-32g",
    "8c-16g",
    "8c-32g",
    "8c-64g",
];

/// Names that the plan of a Key Value instance may have.
pub const KEY_VALUE_PLANS: &[&str] = &[
    "free",
    "starter",
    "standard",
    "pro",
    "pro plus",
    "pro max",
    "pro ultra",
    "256mb",
    "1g",
    "5g",
    "10g",
    "20g",
    "40g",
];

/// Names that the plan of a database may have, without [`LEGACY_DATABASE_PLANS`].
pub const DATABASE_PLANS: &[&str] = &[
    "free",
    "basic-256mb",
    "basic-1gb",
    "basic-4gb",
    "pro-4gb",
    "pro-8gb",
    "pro-16gb",
    "pro-32gb",
    "pro-64gb",
    "pro-128gb",
    "pro-192gb",
    "pro-256gb",
    "pro-384gb",
    "pro-512gb",
    "accelerated-16gb",
    "accelerated-32gb",
    "accelerated-64gb",
    "accelerated-128gb",
    "accelerated-256gb",
    "accelerated-384gb",
    "accelerated-512gb",
    "accelerated-768gb",
    "accelerated-1024gb",
    "0.1c-256mb",
    "0.5c-1g",
    "1c-2g",
    "1c-4g",
    "2c-4g",
    "2c-8g",
    "2c-16g",
    "4c-16g",
    "4c-32g",
    "8c-32g",
    "8c-64g",
    "16c-64g",
    "16c-128g",
    "32c-128g",
    "32c-256g",
    "48c-192g",
    "48c-384g",
    "64c-256g",
    "64c-512g",
    "96c-384g",
    "96c-768g",
    "128c-512g",
    "128c-1024g",
];

/// Names of database plans that no new database gets; one that has such a plan keeps it.
pub const LEGACY_DATABASE_PLANS: &[&str] = &["starter", "standard", "pro", "pro plus"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_found_under_every_spelling() {
        for (name, id) in [
            ("free", "free"),
            ("pro plus", "pro plus"),
            ("pro_plus", "pro plus"),
            ("Pro-Plus", "pro plus"),
            ("4c-8g", "pro plus"),
            ("0.5c-512mb", "starter"),
            ("12c-96g", "12c-96g"),
        ] {
            assert_eq!(Plan::named(name).map(|plan| plan.id), Some(id), "{name}");
        }
        for name in ["", "pr", "starter plus", "proplus", "custom"] {
            assert_eq!(Plan::named(name), None, "{name}");
        }
    }

    #[test]
    fn plans_are_in_order_and_the_default_is_starter() {
        assert!(Plan::ALL.is_sorted_by(|a, b| (a.memory, a.cpu) < (b.memory, b.cpu)));
        assert_eq!(Plan::DEFAULT.id, "starter");
    }

    #[test]
    fn some_plans_are_not_for_every_service() {
        let of = |kind| Plan::ALL.into_iter().filter(|plan| plan.is_for(kind)).count();
        assert_eq!([Kind::Web, Kind::Private, Kind::Worker, Kind::Cron].map(of), [15, 14, 14, 11]);
        assert!(!Plan::ALL[0].is_for(Kind::Cron), "`free` stands among a cron job's plans only to get its own finding");
    }

    #[test]
    fn a_blueprint_may_use_every_compute_plan_under_both_names() {
        for plan in Plan::ALL {
            assert!(SERVER_PLANS.contains(&plan.id) && SERVER_PLANS.contains(&plan.size_id), "{}", plan.id);
        }
        assert!(SERVER_PLANS.iter().all(|name| Plan::named(name).is_some()));
    }
}
