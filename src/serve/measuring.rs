//! Has children measure what requests take.
use super::config::{Config, Measuring, Named};
use super::cost::{Cost, Work};
use super::room::RESERVE;
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
    granted: Option<Bytes>,
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
            granted: config.granted,
        }
    }

    /// What a usual request takes, and two at once where there may be two. How much too much it is can be told, unless that is very much.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn usual(&self, model: &Named) -> Result<Cost> {
        let work = self.work(model, self.layer.clone(), Method::GradCam);
        // Before the kernel acts, which may end all of a container for one of its processes.
        let granted = self.granted.map_or(u64::MAX, |granted| granted.0.saturating_sub(RESERVE.0));
        let work = Work { at_once: self.workers > 1, most: granted.min(2 * self.budget.0), ..work };
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
    let is_killed = output.status.code().is_none();
    if output.status.success() || is_killed {
        // What was known before it took too much holds.
        let told = String::from_utf8_lossy(&output.stdout);
        let whole = told.rfind('\n').map(|end| &told[..end]).and_then(|told| told.lines().last());
        return match whole {
            None if is_killed => Ok(Measured::Killed),
            None => bail!("the measurement gave no figures"),
            Some(line) => {
                let cost = serde_json::from_str(line).context("the measurement gave something else than figures")?;
                Ok(Measured::Cost(cost))
            }
        };
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().last().unwrap_or_default();
    Ok(Measured::Refused(said.strip_prefix("error: ").unwrap_or(said).to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    /// What a child is taken for that was killed after it had written this.
    fn killed(told: &str) -> Option<Cost> {
        let output = Output { status: ExitStatus::from_raw(9), stdout: told.into(), stderr: Vec::new() };
        match read(&output) {
            Ok(Measured::Cost(cost)) => Some(cost),
            Ok(Measured::Killed) => None,
            _ => panic!("it was killed"),
        }
    }

    #[test]
    fn what_was_known_before_a_child_was_killed_holds() {
        let cost = Cost { idle: 1, loaded: 2, one: 3, two: 4, micros: 5 };
        let line = serde_json::to_string(&cost).unwrap();
        assert_eq!(killed(""), None);
        assert_eq!(killed(&line), None, "the line may not be whole");
        assert_eq!(killed(&format!("{line}\n")), Some(cost));
        assert_eq!(killed(&format!("{line}\n{}", &line[..9])), Some(cost));
    }
}
