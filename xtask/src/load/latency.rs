//! Percentiles of waiting times.

use std::time::Duration;

/// The least of the times that so large a part of them does not exceed; NaN when there are none. In milliseconds.
pub fn percentile(times: &[Duration], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let time = sorted.get(rank.max(1) - 1).or(sorted.last());
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// The times that would have been seen by questions that were left out because one was still waiting: every `interval` one was due.
pub fn corrected(times: &[Duration], interval: Duration) -> Vec<Duration> {
    let due = |time: Duration| std::iter::successors(Some(time), move |left| left.checked_sub(interval));
    times.iter().flat_map(|time| due(*time).filter(move |left| left == time || !left.is_zero())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<_> = (1..=200).rev().map(ms).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&times, share)), [1.0, 100.0, 198.0, 200.0]);
        assert_eq!(percentile(&[ms(7)], 0.99), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn who_was_not_asked_would_have_waited_too() {
        assert_eq!(corrected(&[ms(3), ms(120), ms(100)], ms(50)), [3, 120, 70, 20, 100, 50].map(ms));
        assert!(corrected(&[], ms(50)).is_empty());
    }
}
