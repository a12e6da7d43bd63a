//! What all requests share.
use super::Admission;
use super::catalogue::About;
use super::config::Config;
use super::desk::Desk;
use super::measuring::Measurer;
use super::metrics::Metrics;
use super::special::Specials;
use crate::explain::Wanted;
use crate::input::Limits;
use crate::units::Bytes;
use std::sync::OnceLock;

/// What all requests share.
pub struct App {
    /// Who may come in.
    pub admission: Admission,
    /// Models.
    pub desk: Desk,
    /// Counters.
    pub metrics: Metrics,
    /// Memory of the whole server.
    pub budget: Bytes,
    /// What a picture may cost.
    pub limits: Limits,
    /// Below this probability an answer counts as uncertain; none: the card's.
    pub threshold: Option<f64>,
    /// Measures what requests take.
    pub measurer: Measurer,
    /// What maps take that are not the usual ones.
    pub specials: Specials,
    /// What is served; known once somebody has asked.
    pub about: OnceLock<Vec<About>>,
}

impl App {
    /// Nothing is loaded and nobody let in yet.
    pub fn new(config: &Config) -> Self {
        let usual = config.gradcam.then(|| Wanted { layer: config.layer.clone(), ..Wanted::default() });
        Self {
            admission: Admission::new(config.queue, config.body),
            desk: Desk::new(config.models.clone(), usual, config.session),
            metrics: Metrics::new(),
            budget: config.budget,
            limits: config.limits,
            threshold: config.threshold,
            measurer: Measurer::new(config),
            specials: Specials::default(),
            about: OnceLock::new(),
        }
    }
}
