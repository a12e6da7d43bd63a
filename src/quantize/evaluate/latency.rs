//! How long two networks take, measured in turns, so that whatever else the machine does meets both.
use super::Pair;
use crate::model::Model;
use crate::units::Progress;
use anyhow::Result;
use ndarray::Array4;
use std::time::{Duration, Instant};

/// Pairs before it counts.
const WARM_UP: usize = 3;
/// At least so many pairs count, and at most.
const PAIRS: std::ops::RangeInclusive<usize> = 20..=200;
/// Between them it ends after this time.
const ENOUGH: Duration = Duration::from_secs(3);
/// It ends after this time however few they are.
const LONGEST: Duration = Duration::from_mins(1);

/// Times of one inference, one thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Medians.
    pub median: Pair<Duration>,
    /// Median over the pairs of the bundle's time by the source's.
    pub ratio: f64,
    /// Pairs.
    pub pairs: usize,
}

/// Runs both on one tensor, in turns.
pub fn of(models: &mut Pair<Model>, tensor: &Array4<f32>, progress: &mut dyn Progress) -> Result<Latency> {
    let timed = |model: &mut Model| {
        let begun = Instant::now();
        model.probabilities(tensor)?;
        anyhow::Ok(begun.elapsed())
    };
    for _ in 0..WARM_UP {
        timed(&mut models.before)?;
        timed(&mut models.after)?;
    }
    progress.start("pairs of runs", *PAIRS.end() as u64);
    let begun = Instant::now();
    let mut all = Vec::new();
    while goes_on(all.len(), begun.elapsed()) {
        all.push(Pair { before: timed(&mut models.before)?, after: timed(&mut models.after)? });
        progress.step()?;
    }
    progress.finish();
    Ok(Latency::from(&all))
}

fn goes_on(pairs: usize, elapsed: Duration) -> bool {
    let wanted = pairs < *PAIRS.start() || pairs < *PAIRS.end() && elapsed < ENOUGH;
    pairs == 0 || wanted && elapsed < LONGEST
}

impl Latency {
    fn from(all: &[Pair<Duration>]) -> Self {
        let seconds = |pick: fn(&Pair<Duration>) -> f64| median(all.iter().map(pick).collect());
        let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Self {
            median: Pair {
                before: time(seconds(|pair| pair.before.as_secs_f64())),
                after: time(seconds(|pair| pair.after.as_secs_f64())),
            },
            ratio: seconds(|pair| pair.after.as_secs_f64() / pair.before.as_secs_f64().max(1e-9)),
            pairs: all.len(),
        }
    }
}

/// Of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_pairs_and_one_slow_moment_does_not_count() {
        let pair = |before, after| Pair { before: Duration::from_millis(before), after: Duration::from_millis(after) };
        let latency = Latency::from(&[pair(10, 5), pair(20, 10), pair(1000, 4), pair(10, 5)]);
        assert_eq!((latency.ratio, latency.pairs), (0.5, 4));
        assert_eq!(latency.median, pair(15, 5));
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn it_ends_by_pairs_or_by_time() {
        let (soon, late, never) = (Duration::ZERO, ENOUGH, LONGEST);
        assert_eq!([0, 19, 20, 199, 200].map(|n| goes_on(n, soon)), [true, true, true, true, false]);
        assert_eq!([0, 19, 20].map(|n| goes_on(n, late)), [true, true, false]);
        assert_eq!([0, 1].map(|n| goes_on(n, never)), [true, false]);
    }
}
