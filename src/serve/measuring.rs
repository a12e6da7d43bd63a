//! Has children measure what requests take.
use super::config::{Config, Measuring, Named};
use super::cost::{Cost, Work};
use super::special::Special;
use crate::explain::cam::Method;
use crate::units::Bytes;
use anyhow::{Context, Result, bail};
use std::process::Output;
use std::time::Duration;
use tokio::time::timeout;

/// A map that takes longer is none for a server: others wait meanwhile, and it has to end within 25 s when it is told to.
const LONGEST: Duration = Duration::from_secs(10);

/// Starts such children.
pub struct Measurer {
    command: Measuring,
    gradcam: bool,
    layer: Option<String>,
    threads: usize,
    workers: usize,
    budget: Bytes,
}

/// What came of a measurement.
pub enum Measured {
    /// It is known.
    Cost(Cost),
    /// It cannot be done, and why.
    Refused(String),
    /// The child was killed: it takes more memory than there is.
    Killed,
    /// It takes too long.
    TooLong,
}

impl Measurer {
    /// As the server is told.
    pub fn new(config: &Config) -> Self {
        Self {
            command: config.measuring.clone(),
            gradcam: config.gradcam,
            layer: config.layer.clone(),
            threads: config.session.threads,
            workers: config.workers,
            budget: config.budget,
        }
    }

    /// What a usual request takes, and two at once where there may be two. How much too much it is can be told, unless that is very much.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn usual(&self, model: &Named) -> Result<Cost> {
        let work = self.work(model, self.layer.clone(), Method::GradCam);
        let work = Work { at_once: self.workers > 1, most: 2 * self.budget.0, ..work };
        match read(&self.run(&work).await?)? {
            Measured::Cost(cost) => Ok(cost),
            Measured::Refused(why) => bail!("{why}"),
            Measured::Killed | Measured::TooLong => {
                bail!(
                    "a request takes more than there is, and the budget is {}: `dermai quantize` makes a smaller form of the model",
                    self.budget
                )
            }
        }
    }

    /// What a request takes that wants another map, if it is no more than `most`.
    ///
    /// # Errors
    /// When no child can be started.
    pub async fn special(&self, model: &Named, special: &Special, most: Bytes) -> Result<Measured> {
        let layer = special.layer.clone().or_else(|| self.layer.clone());
        let work = Work { most: most.0, ..self.work(model, layer, special.method) };
        match timeout(LONGEST, self.run(&work)).await {
            Ok(output) => read(&output?),
            Err(_) => Ok(Measured::TooLong),
        }
    }

    fn work(&self, model: &Named, layer: Option<String>, method: Method) -> Work {
        Work {
            model: model.prepared.place().to_owned(),
            gradcam: self.gradcam,
            layer,
            method,
            threads: self.threads,
            memory: self.budget.0,
            most: 0,
            at_once: false,
        }
    }

    async fn run(&self, work: &Work) -> Result<Output> {
        let mut command = tokio::process::Command::from((self.command)(work)?);
        command.kill_on_drop(true).output().await.context("the measurement cannot be started")
    }
}

fn read(output: &Output) -> Result<Measured> {
    if output.status.success() {
        let cost =
            serde_json::from_slice(&output.stdout).context("the measurement gave something else than figures")?;
        return Ok(Measured::Cost(cost));
    }
    if output.status.code().is_none() {
        return Ok(Measured::Killed);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or_default();
    Ok(Measured::Refused(said.strip_prefix("error: ").unwrap_or(said).to_owned()))
}
