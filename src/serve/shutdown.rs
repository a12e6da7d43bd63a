//! The end of a server: the first signal lets it finish what it has accepted, the second one does not.
use anyhow::{Context, Result};
use tokio::sync::watch;

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It runs.
    Running,
    /// It finishes what it has accepted.
    Draining,
    /// It ends at once.
    Over,
}

/// Tells when the end begins.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Stage>);

impl Shutdown {
    /// By SIGTERM and SIGINT.
    pub fn on_signals() -> Result<Self> {
        let (to, from) = watch::channel(Stage::Running);
        let mut signals = Signals::new().context("signals cannot be caught")?;
        tokio::spawn(async move {
            signals.next().await;
            to.send_replace(Stage::Draining);
            signals.next().await;
            to.send_replace(Stage::Over);
        });
        Ok(Self(from))
    }

    /// Waits for a stage.
    pub async fn reached(&self, stage: Stage) {
        // Who would tell is never dropped before it has told all.
        let _ = self.0.clone().wait_for(|now| *now >= stage).await;
    }
}

#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
