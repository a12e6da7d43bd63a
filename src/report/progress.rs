//! The progress bar: on standard error, and only when that is a terminal.
use crate::units::Progress;
use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;

/// Bars on standard error, one below another: that of a work, and of what it is made of.
#[derive(Debug, Default)]
pub struct Terminal {
    bars: Vec<ProgressBar>,
    /// Draws them to standard error, and nothing when that is no terminal.
    all: MultiProgress,
}

impl Progress for Terminal {
    fn start(&mut self, what: &str, total: u64) {
        let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{speed}}, {{eta}} left");
        let speed = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0} a second", state.per_sec()); // a bar that cannot be drawn is no error
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("speed", speed);
        // Clears itself when it is dropped, as by an error.
        let bar = self.all.add(ProgressBar::new(total).with_style(style));
        bar.tick(); // the first step may take a while
        self.bars.push(bar);
    }

    fn step(&mut self) -> Result<()> {
        if let Some(bar) = self.bars.last() {
            bar.inc(1);
        }
        Ok(())
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bars.pop() {
            bar.finish_and_clear();
        }
    }
}
