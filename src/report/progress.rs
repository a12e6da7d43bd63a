//! The progress bar: on standard error, and only when that is a terminal.
use crate::units::Progress;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;

/// A bar on standard error: that of the innermost work.
#[derive(Debug, Default)]
pub struct Terminal {
    bars: Vec<ProgressBar>,
}

impl Progress for Terminal {
    fn start(&mut self, what: &str, total: u64) {
        let template = format!("{{bar:30}} {{pos}}/{{len}} {what}, {{speed}}, {{eta}} left");
        let speed = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0} a second", state.per_sec()); // a bar that cannot be drawn is no error
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("speed", speed);
        // Draws to standard error, hides itself when that is no terminal, and clears itself when it is dropped, as by an error.
        let bar = ProgressBar::new(total).with_style(style);
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
        if let Some(outer) = self.bars.last() {
            outer.tick();
        }
    }
}
