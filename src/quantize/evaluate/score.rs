//! Figures over many answers, added up one by one: accuracy, recall, calibration, agreement, divergence.
use crate::model::Label;

/// Bins of equal width over the confidence (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599).
const BINS: usize = 15;
/// A label is given from this probability on, where labels are independent.
const GIVEN: f32 = 0.5;

/// What a model says about a picture.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One a label.
    pub probabilities: Vec<f32>,
    /// The most probable class.
    pub best: usize,
    /// Whether each label stands for itself, instead of one among all.
    pub independent: bool,
}

/// The most probable class; of equal ones the first, as `predict` ranks them.
pub fn best(probabilities: &[f32]) -> usize {
    let by_probability = |a: &usize, b: &usize| probabilities[*a].total_cmp(&probabilities[*b]);
    (0..probabilities.len()).rev().max_by(by_probability).unwrap_or_default()
}

/// How often a model is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// Pictures whose most probable class is their label.
    pub correct: usize,
    /// Pictures.
    pub of: usize,
    /// The same for each class that has pictures, in the card's order.
    pub recall: Vec<Recall>,
    /// Expected calibration error, 0 to 1: how far the confidence lies from the share of right answers.
    pub ece: f64,
}

impl Accuracy {
    /// The share of right answers, 0 to 1.
    pub fn top1(&self) -> f64 {
        self.correct as f64 / self.of.max(1) as f64
    }
}

/// How many of a class's pictures are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The class's id.
    pub label: String,
    /// Pictures of it that are answered with it.
    pub found: usize,
    /// Pictures of it.
    pub of: usize,
}

impl Recall {
    /// As a share, 0 to 1.
    pub fn share(&self) -> f64 {
        self.found as f64 / self.of.max(1) as f64
    }
}

/// Counts a model's answers on labelled pictures.
#[derive(Debug)]
pub struct Tally {
    /// Found, and all, of each class.
    classes: Vec<(usize, usize)>,
    bins: [Bin; BINS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    confidence: f64,
    correct: usize,
    of: usize,
}

impl Tally {
    /// Of nothing yet, for so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![(0, 0); classes], bins: [Bin::default(); BINS] }
    }

    /// Counts the answer on a picture of `class`.
    pub fn add(&mut self, probabilities: &[f32], class: usize) {
        let best = best(probabilities);
        let confidence = f64::from(probabilities[best]);
        let is_right = best == class;
        let (found, of) = &mut self.classes[class];
        *found += usize::from(is_right);
        *of += 1;
        // The paper's bins are open below and closed above.
        let bin = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, BINS) - 1];
        bin.confidence += confidence;
        bin.correct += usize::from(is_right);
        bin.of += 1;
    }

    /// What came of it.
    pub fn accuracy(&self, labels: &[Label]) -> Accuracy {
        let of: usize = self.classes.iter().map(|(_, of)| of).sum();
        let apart: f64 = self.bins.iter().map(|bin| (bin.confidence - bin.correct as f64).abs()).sum();
        let classes = labels.iter().zip(&self.classes).filter(|(_, (_, of))| *of > 0);
        Accuracy {
            correct: self.classes.iter().map(|(found, _)| found).sum(),
            of,
            recall: classes.map(|(label, &(found, of))| Recall { label: label.id.clone(), found, of }).collect(),
            ece: apart / of.max(1) as f64,
        }
    }
}

/// How alike two models answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Likeness {
    /// Pictures.
    pub images: usize,
    /// Pictures that are answered alike.
    pub same: usize,
    kl: f64,
}

impl Likeness {
    /// Adds a picture.
    pub fn add(&mut self, before: &Answer, after: &Answer) {
        let (p, q) = (&before.probabilities, &after.probabilities);
        let given = |p: &f32| *p > GIVEN;
        let (is_same, kl) = if before.independent {
            (p.iter().map(given).eq(q.iter().map(given)), bernoulli(p, q))
        } else {
            (before.best == after.best, divergence(p, q))
        };
        self.images += 1;
        self.same += usize::from(is_same);
        self.kl += kl;
    }

    /// The share of pictures that are answered alike, 0 to 1.
    pub fn agreement(&self) -> f64 {
        self.same as f64 / self.images.max(1) as f64
    }

    /// Mean over the pictures, in nats.
    pub fn mean_kl(&self) -> f64 {
        self.kl / self.images.max(1) as f64
    }
}

/// KL(p || q) in nats. Both are brought to a sum of 1: rounding alone must not make it negative.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let sum = |values: &[f32]| values.iter().map(|&value| bounded(value)).sum::<f64>();
    let (of_p, of_q) = (sum(p), sum(q));
    p.iter().zip(q).map(|(&p, &q)| term(bounded(p) / of_p, bounded(q) / of_q)).sum()
}

/// The same for labels that each stand for themselves, summed over them.
fn bernoulli(p: &[f32], q: &[f32]) -> f64 {
    let pair = |(&p, &q): (&f32, &f32)| {
        let (p, q) = (bounded(p), bounded(q));
        term(p, q) + term(1.0 - p, 1.0 - q)
    };
    p.iter().zip(q).map(pair).sum()
}

/// What is no probability by rounding is the nearest one.
fn bounded(probability: f32) -> f64 {
    f64::from(probability).clamp(0.0, 1.0)
}

/// What a float32 cannot hold any more counts as the smallest one that it can, so that one picture does not make the mean infinite.
fn term(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * (p / q.max(f64::from(f32::MIN_POSITIVE))).ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(count: usize) -> Vec<Label> {
        (0..count).map(|at| Label { id: format!("c{at}"), en: None, vi: None }).collect()
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-7, "{a} {b}");
    }

    #[test]
    fn divergence_by_hand() {
        // 0.5 ln(0.5/0.25) + 0.5 ln(0.5/0.75) = ln 2 / 2 - ln 1.5 / 2
        near(divergence(&[0.5, 0.5], &[0.25, 0.75]), 0.143_841_036);
        near(divergence(&[1.0, 0.0], &[0.5, 0.5]), std::f64::consts::LN_2);
        near(divergence(&[0.2, 0.8], &[0.2, 0.8]), 0.0);
        // Not quite a sum of 1, as half floats give.
        near(divergence(&[0.2, 0.8], &[0.201, 0.804]), 0.0);
        // ln(0.5 / 2^-126) / 2 + ln(0.5) / 2: large, and still a number.
        near(divergence(&[0.5, 0.5], &[0.0, 1.0]), 0.5 * 125.0 * std::f64::consts::LN_2 - 0.5 * std::f64::consts::LN_2);
        // Both labels: 0.143841036 each.
        near(bernoulli(&[0.5, 0.5], &[0.25, 0.75]), 0.287_682_072);
        near(bernoulli(&[1.0, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn calibration_by_hand() {
        let mut tally = Tally::new(2);
        // Bin (0.8, 0.8667]: two answers of confidence 0.85, one right: |1.7 - 1| = 0.7.
        tally.add(&[0.85, 0.15], 0);
        tally.add(&[0.15, 0.85], 0);
        // Bin (0.5333, 0.6]: exactly 0.6 belongs below: |0.6 - 1| = 0.4. Of equal probabilities the first counts: bin (0.4667, 0.5333].
        tally.add(&[0.4, 0.6], 1);
        tally.add(&[0.5, 0.5], 1);
        // Bin (0.9333, 1]: certain and right: 0.
        tally.add(&[0.0, 1.0], 1);
        let accuracy = tally.accuracy(&labels(2));
        near(accuracy.ece, (0.7 + 0.4 + 0.5 + 0.0) / 5.0);
        assert_eq!((accuracy.correct, accuracy.of), (3, 5));
        near(accuracy.top1(), 0.6);
        let recall: Vec<_> = accuracy.recall.iter().map(|r| (r.label.as_str(), r.found, r.of)).collect();
        assert_eq!(recall, [("c0", 1, 2), ("c1", 2, 3)]);
    }

    #[test]
    fn a_class_without_pictures_has_no_recall() {
        let mut tally = Tally::new(3);
        tally.add(&[0.1, 0.1, 0.8], 2);
        let accuracy = tally.accuracy(&labels(3));
        assert_eq!(accuracy.recall, [Recall { label: "c2".to_owned(), found: 1, of: 1 }]);
        near(accuracy.recall[0].share(), 1.0);
    }

    #[test]
    fn independent_labels_agree_when_the_same_ones_are_given() {
        let answer = |probabilities: &[f32], independent| Answer {
            probabilities: probabilities.to_vec(),
            best: best(probabilities),
            independent,
        };
        let mut likeness = Likeness::default();
        // The best is another one, the set is the same.
        likeness.add(&answer(&[0.9, 0.8], true), &answer(&[0.8, 0.9], true));
        assert_eq!(likeness.same, 1);
        // The best is the same, the set is another one.
        likeness.add(&answer(&[0.9, 0.6], true), &answer(&[0.9, 0.4], true));
        assert_eq!((likeness.same, likeness.images), (1, 2));
        likeness.add(&answer(&[0.9, 0.6], false), &answer(&[0.9, 0.4], false));
        assert_eq!(likeness.same, 2);
    }
}
