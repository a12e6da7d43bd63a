//! One measured figure: samples of ours, of the other side's in the same pairs, and the target they are held to.

use std::fmt;

use super::stats::{Spread, median};

/// What most figures stand beside.
const PYTHON: &str = "Python";

/// What a figure must not go beyond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Ours is at most this.
    Most(f64),
    /// Ours is at least this.
    Least(f64),
    /// Ours over the other side's is at most this.
    RatioMost(f64),
    /// Ours over the other side's is at least this.
    RatioLeast(f64),
    /// Ours is at most the other side's and this.
    MostBeside(f64),
}

/// What is counted, and how it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// 2^20 bytes.
    Megabytes,
    /// Images per second.
    ImagesPerSecond,
    /// A pure number.
    Ratio,
    /// A part of something, of which thousandths matter.
    Share,
    /// How many there are.
    Count,
}

/// How a figure stands to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Met,
    /// The middle of the pairs is beyond it, but not three pairs in four: the noise is larger than what is missing.
    WithinNoise,
    /// It does not hold, or could not be measured.
    Missed,
}

/// A figure and its samples; those of one pair were taken one right after the other.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Of what.
    pub unit: Unit,
    /// What it is held to, if anything.
    pub target: Option<Target>,
    ours: Vec<f64>,
    beside: Option<Vec<f64>>,
    /// What stands beside ours.
    against: &'static str,
}

impl Figure {
    /// A figure of ours alone.
    pub fn new(name: impl Into<String>, unit: Unit, ours: Vec<f64>) -> Self {
        Self { name: name.into(), unit, target: None, ours, beside: None, against: PYTHON }
    }

    /// Python's samples, one for each of ours.
    #[must_use]
    pub fn beside(self, python: Vec<f64>) -> Self {
        self.against(PYTHON, python)
    }

    /// Samples of something else, one for each of ours.
    #[must_use]
    pub fn against(mut self, what: &'static str, samples: Vec<f64>) -> Self {
        debug_assert_eq!(self.ours.len(), samples.len(), "{}", self.name);
        self.beside = Some(samples);
        self.against = what;
        self
    }

    /// What stands beside ours.
    pub fn other(&self) -> &'static str {
        self.against
    }

    /// What it is held to.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Ours: the median, and of memory the worst, because a peak that is reached once is reached.
    pub fn ours(&self) -> f64 {
        self.summary(&self.ours)
    }

    /// The other side's, in the same way.
    pub fn theirs(&self) -> Option<f64> {
        self.beside.as_ref().map(|samples| self.summary(samples))
    }

    /// Ours over the other side's, pair by pair, so that what slows the machine down for a while slows both.
    pub fn ratio(&self) -> Option<Spread> {
        Some(Spread::of(self.pairs()?.map(|(ours, theirs)| ours / theirs).collect()))
    }

    /// Whether the target is met; `None` without one.
    pub fn verdict(&self) -> Option<Verdict> {
        let differences = || Some(Spread::of(self.pairs()?.map(|(ours, python)| ours - python).collect()));
        // No comparison with a NaN is true: what could not be measured is not met.
        let most = |spread: Option<Spread>, most| match spread {
            Some(spread) if spread.median <= most => Verdict::Met,
            Some(spread) if spread.low <= most => Verdict::WithinNoise,
            _ => Verdict::Missed,
        };
        Some(match self.target? {
            Target::Most(limit) if self.ours() <= limit => Verdict::Met,
            Target::Least(limit) if self.ours() >= limit => Verdict::Met,
            Target::Most(_) | Target::Least(_) => Verdict::Missed,
            Target::RatioMost(limit) => most(self.ratio(), limit),
            Target::RatioLeast(limit) => most(self.ratio().map(Spread::negated), -limit),
            Target::MostBeside(limit) => most(differences(), limit),
        })
    }

    fn pairs(&self) -> Option<impl Iterator<Item = (f64, f64)>> {
        Some(self.ours.iter().copied().zip(self.beside.as_ref()?.iter().copied()))
    }

    fn summary(&self, samples: &[f64]) -> f64 {
        match self.unit {
            Unit::Megabytes => samples.iter().copied().fold(f64::NAN, f64::max),
            Unit::Milliseconds | Unit::ImagesPerSecond | Unit::Ratio | Unit::Share | Unit::Count => {
                median(samples.to_vec())
            }
        }
    }
}

impl Unit {
    /// A value in this unit, with as many digits as mean something.
    pub fn show(self, value: f64) -> String {
        if value.is_nan() {
            return "not measured".into();
        }
        let digits = match self {
            Self::Share => 3,
            Self::Count => 0,
            _ if value.abs() < 10.0 => 2,
            _ => usize::from(value.abs() < 100.0),
        };
        format!("{value:.digits$} {self}").trim_end().to_owned()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::ImagesPerSecond => "images/s",
            Self::Ratio | Self::Share | Self::Count => "",
        })
    }
}

impl Target {
    /// The target in words, its numbers in `unit`; `against` is the other side.
    pub fn show(self, unit: Unit, against: &str) -> String {
        match self {
            Self::Most(most) => format!("at most {most} {unit}").trim_end().to_owned(),
            Self::Least(least) => format!("at least {least} {unit}").trim_end().to_owned(),
            Self::RatioMost(most) => format!("at most {most:.2} x {against}"),
            Self::RatioLeast(least) => format!("at least {least:.2} x {against}"),
            Self::MostBeside(most) => format!("at most {against} + {most} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(ours: &[f64], python: &[f64], target: Target) -> Figure {
        Figure::new("f", Unit::Milliseconds, ours.to_vec()).beside(python.to_vec()).target(target)
    }

    #[test]
    fn a_slow_spell_that_hits_a_pair_moves_no_ratio() {
        let figure = beside(&[10.0, 40.0, 10.0], &[20.0, 80.0, 20.0], Target::RatioMost(0.5));
        assert_eq!(figure.ratio().unwrap().median, 0.5);
        assert_eq!(figure.verdict(), Some(Verdict::Met));
    }

    #[test]
    fn every_kind_of_target_can_be_met_and_missed() {
        let cases = [
            (Target::Most(10.0), Target::Most(9.0)),
            (Target::Least(10.0), Target::Least(11.0)),
            (Target::RatioMost(0.5), Target::RatioMost(0.4)),
            (Target::RatioLeast(0.5), Target::RatioLeast(0.6)),
            (Target::MostBeside(-10.0), Target::MostBeside(-11.0)),
        ];
        for (met, missed) in cases {
            assert_eq!(beside(&[10.0], &[20.0], met).verdict(), Some(Verdict::Met), "{met:?}");
            assert_eq!(beside(&[10.0], &[20.0], missed).verdict(), Some(Verdict::Missed), "{missed:?}");
        }
    }

    #[test]
    fn less_than_the_noise_is_not_missed_and_more_is() {
        let python = [100.0; 5];
        let noisy = [96.0, 99.0, 101.0, 102.0, 104.0];
        for target in [Target::RatioMost(1.0), Target::MostBeside(0.0)] {
            assert_eq!(beside(&noisy, &python, target).verdict(), Some(Verdict::WithinNoise), "{target:?}");
            let steady = [100.9, 101.0, 101.0, 101.1, 101.2];
            assert_eq!(beside(&steady, &python, target).verdict(), Some(Verdict::Missed), "{target:?}");
        }
        assert_eq!(beside(&noisy, &python, Target::RatioLeast(1.015)).verdict(), Some(Verdict::WithinNoise));
        assert_eq!(beside(&noisy, &python, Target::RatioLeast(1.03)).verdict(), Some(Verdict::Missed));
    }

    #[test]
    fn memory_is_judged_by_its_worst() {
        let figure = Figure::new("f", Unit::Megabytes, vec![30.0, 50.0, 31.0]).target(Target::Most(48.0));
        assert_eq!((figure.ours(), figure.verdict()), (50.0, Some(Verdict::Missed)));
    }

    #[test]
    fn shares_show_thousandths_and_counts_are_whole() {
        assert_eq!([Unit::Share.show(0.9996), Unit::Share.show(12.0), Unit::Count.show(9.0)], ["1.000", "12.000", "9"]);
        assert_eq!(Target::Least(9.0).show(Unit::Count, ""), "at least 9");
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let figure = Figure::new("f", Unit::Megabytes, vec![f64::NAN]).target(Target::Most(48.0));
        assert_eq!(figure.verdict(), Some(Verdict::Missed));
        assert_eq!(figure.unit.show(figure.ours()), "not measured");
        assert_eq!(beside(&[f64::NAN], &[1.0], Target::RatioLeast(0.0)).verdict(), Some(Verdict::Missed));
    }
}
