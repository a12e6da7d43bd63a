//! How far two lists of numbers lie apart, and the largest of such distances with where it was.
use std::fmt;

/// The largest and the mean absolute difference seen so far.
#[derive(Clone, Debug, Default)]
pub struct Difference {
    pub max: f64,
    pub at: String,
    sum: f64,
    count: u64,
}

impl Difference {
    /// Adds two lists that should be equal; `at` names them.
    pub fn add<A: Into<f64> + Copy, B: Into<f64> + Copy>(&mut self, ours: &[A], theirs: &[B], at: &str) {
        assert_eq!(ours.len(), theirs.len(), "{at}: the lengths differ");
        for (&a, &b) in ours.iter().zip(theirs) {
            let difference = (a.into() - b.into()).abs();
            assert!(difference.is_finite(), "{at}: not a number");
            self.sum += difference;
            self.count += 1;
            if difference > self.max {
                self.max = difference;
                at.clone_into(&mut self.at);
            }
        }
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max {:.1e}, mean {:.1e}", self.max, self.mean())?;
        if self.at.is_empty() { Ok(()) } else { write!(f, " (worst: {})", self.at) }
    }
}
