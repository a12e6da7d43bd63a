//! Render's `render.yaml`: what it says, what a plan grants, and a lint with a source for every rule.
mod blueprint;
mod lint;
mod node;
mod plan;
mod schema;
mod service;
mod web;

pub use blueprint::{Blueprint, Resource};
pub use lint::{Finding, Origin, RULES, Rule, Severity, lint};
pub use node::Node;
pub use plan::{DATABASE_PLANS, KEY_VALUE_PLANS, LEGACY_DATABASE_PLANS, PRICES_AS_OF, Plan};
pub use service::{EnvVar, Kind, Service};
pub use web::{DEFAULT_PORT, DEFAULT_SHUTDOWN_DELAY, WebService};
