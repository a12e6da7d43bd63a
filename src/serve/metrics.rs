//! What the server counts, for Prometheus (`OpenMetrics` text format).
use crate::memory::Status;
use crate::units::Bytes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::time::Duration;

/// What a request was.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

/// Which step of the work.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Step {
    step: &'static str,
}

/// Which model.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    model: String,
}

/// Counters, and gauges that are set when they are asked for.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Step, Histogram>,
    inside: Gauge,
    waiting: Gauge,
    resident: Gauge,
    peak: Gauge,
    budget: Gauge,
    loaded: Family<Named, Gauge>,
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("dermai");
        let requests = Family::default();
        registry.register("http_requests", "Requests by route and status", requests.clone());
        // From a small network on a server to a large photo on a tenth of a processor.
        let buckets = || Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        let seconds: Family<Step, Histogram> = Family::new_with_constructor(buckets);
        registry.register_with_unit("step_duration", "Time of a step of a request", Unit::Seconds, seconds.clone());
        let mut gauge = |name: &str, help: &str, unit: Option<Unit>| {
            let gauge = Gauge::default();
            match unit {
                Some(unit) => registry.register_with_unit(name, help, unit, gauge.clone()),
                None => registry.register(name, help, gauge.clone()),
            }
            gauge
        };
        let inside = gauge("requests_admitted", "Requests that are in", None);
        let waiting = gauge("requests_waiting", "Requests of them that wait for their turn", None);
        let resident = gauge("resident_memory", "Resident memory of the process", Some(Unit::Bytes));
        let peak = gauge("peak_memory", "Highest resident memory of the process", Some(Unit::Bytes));
        let budget = gauge("memory_budget", "Memory that the server may use", Some(Unit::Bytes));
        let loaded = Family::default();
        registry.register("model_loaded", "Whether a model is in memory", loaded.clone());
        Self { registry, requests, seconds, inside, waiting, resident, peak, budget, loaded }
    }

    /// Counts a request.
    pub fn answered(&self, route: &str, status: u16) {
        self.requests.get_or_create(&Answered { route: route.to_owned(), status }).inc();
    }

    /// Notes the time of a step.
    pub fn took(&self, step: &'static str, time: Duration) {
        self.seconds.get_or_create(&Step { step }).observe(time.as_secs_f64());
    }

    /// Their text, with what is now.
    pub fn text(&self, now: &Now<'_>) -> Result<String, fmt::Error> {
        let (inside, waiting) = now.requests;
        self.inside.set(inside as i64);
        self.waiting.set(waiting as i64);
        self.resident.set(now.memory.resident.0 as i64);
        self.peak.set(now.memory.peak.0 as i64);
        self.budget.set(now.budget.0 as i64);
        for (model, is_loaded) in now.loaded.iter().flatten() {
            self.loaded.get_or_create(&Named { model: (*model).to_owned() }).set((*is_loaded).into());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What is not counted but looked at.
#[derive(Debug)]
pub struct Now<'a> {
    /// Requests that are in, and those of them that wait.
    pub requests: (usize, usize),
    /// Memory of the process.
    pub memory: Status,
    /// Memory that the server may use.
    pub budget: Bytes,
    /// The models, and whether each is in memory; none while one is at work: those of last time.
    pub loaded: Option<Vec<(&'a str, bool)>>,
}
