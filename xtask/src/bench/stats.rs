//! Medians, spreads, and two sides measured in turn.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// The middle of some samples and the range of the middle half of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the samples lie on either side.
    pub median: f64,
    /// A quarter lies below.
    pub low: f64,
    /// A quarter lies above.
    pub high: f64,
}

impl Spread {
    /// Of samples in any order; NaN when there are none or one of them is.
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&samples, share);
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }

    /// Of the same samples with their signs changed.
    pub fn negated(self) -> Self {
        Self { median: -self.median, low: -self.high, high: -self.low }
    }
}

/// The middle of some samples.
pub fn median(samples: Vec<f64>) -> f64 {
    Spread::of(samples).median
}

/// Between the two nearest of sorted samples.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1).filter(|_| !sorted.iter().any(|sample| sample.is_nan())) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Runs two sides in turn, A B A B …: `runs` pairs, after one of each that is not counted and warms the file cache.
pub fn alternate<A, B>(
    what: &str,
    runs: usize,
    mut a: impl FnMut() -> Result<A>,
    mut b: impl FnMut() -> Result<B>,
) -> Result<(Vec<A>, Vec<B>)> {
    let bar = bar(what, runs as u64 + 1);
    a()?;
    b()?;
    bar.inc(1);
    let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        all_a.push(a()?);
        all_b.push(b()?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((all_a, all_b))
}

/// A bar on a terminal, nothing elsewhere.
fn bar(what: &str, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos} of {len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    let bar = ProgressBar::new(steps).with_style(style).with_message(what.to_owned());
    bar.tick();
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn the_middle_lies_between_two_when_there_is_no_one() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Spread { median: 2.5, low: 1.75, high: 3.25 });
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert!(median(vec![]).is_nan() && median(vec![1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn the_first_pair_is_not_counted_and_the_sides_take_turns() {
        let order = RefCell::new(String::new());
        let side = |name: char| {
            order.borrow_mut().push(name);
            Ok(order.borrow().len())
        };
        let (a, b) = alternate("test", 2, || side('a'), || side('b')).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!((a, b), (vec![3, 5], vec![4, 6]));
    }
}
