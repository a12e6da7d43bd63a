//! From values to places on an axis: straight, in pieces, or by powers of ten.

/// A scale from values to 0 (the axis' beginning) to 1 (its end).
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Straight between values and their places, both rising.
    Pieces(Vec<(f64, f64)>),
    /// By powers of ten between two values above zero.
    Powers(f64, f64),
}

impl Scale {
    /// One straight piece.
    pub fn straight(from: f64, to: f64) -> Self {
        Self::Pieces(vec![(from, 0.0), (to, 1.0)])
    }

    /// Spans of time, each of which gets at least `least` of the axis: where all have that anyway, the scale is straight.
    /// `bounds` are the spans' beginnings and the last one's end, rising.
    pub fn by_span(bounds: &[f64], least: f64) -> Self {
        let (Some(&first), Some(&last)) = (bounds.first(), bounds.last()) else { return Self::straight(0.0, 1.0) };
        let whole = last - first;
        if whole <= 0.0 {
            return Self::straight(first, first + 1.0);
        }
        let shares: Vec<f64> = bounds.windows(2).map(|pair| (pair[1] - pair[0]) / whole).collect();
        if shares.iter().all(|&share| share >= least) {
            return Self::straight(first, last);
        }
        let least = least.min(1.0 / shares.len() as f64);
        let left = 1.0 - least * shares.len() as f64;
        let mut place = 0.0;
        let mut pieces = vec![(first, 0.0)];
        for (share, &bound) in shares.iter().zip(&bounds[1..]) {
            place += least + left * share;
            pieces.push((bound, place));
        }
        Self::Pieces(pieces)
    }

    /// Whether the axis has one measure from end to end.
    pub fn is_straight(&self) -> bool {
        matches!(self, Self::Pieces(pieces) if pieces.len() == 2)
    }

    /// The place of a value.
    pub fn place(&self, value: f64) -> f64 {
        match self {
            Self::Powers(low, high) => {
                ((value.max(*low) / low).ln() / (high / low).ln().max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
            }
            Self::Pieces(pieces) => {
                let next = pieces.partition_point(|&(known, _)| known <= value);
                let (Some(&before), Some(&after)) = (pieces.get(next.wrapping_sub(1)), pieces.get(next)) else {
                    return if next == 0 { 0.0 } else { pieces.last().map_or(0.0, |&(_, place)| place) };
                };
                before.1 + (after.1 - before.1) * (value - before.0) / (after.0 - before.0)
            }
        }
    }

    /// Round values between two, about as many as wanted.
    pub fn ticks(&self, from: f64, to: f64, wanted: usize) -> Vec<f64> {
        if let Self::Powers(..) = self {
            let decades = || (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
            let within = |tick: &f64| (from..=to).contains(tick);
            let round = decades().flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)));
            let round: Vec<f64> = round.filter(within).collect();
            if round.len() <= wanted * 2 {
                return round;
            }
            return decades().map(|decade| 10f64.powi(decade)).filter(within).collect();
        }
        let rough = (to - from) / wanted.max(1) as f64;
        if !(rough.is_finite() && rough > 0.0) {
            return Vec::new();
        }
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade).into_iter().find(|&step| step >= rough);
        let step = step.unwrap_or(rough);
        let first = (from / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|&tick| tick <= to + step * 1e-6).take(100).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_spans_get_room_and_long_ones_keep_the_rest() {
        let scale = Scale::by_span(&[0.0, 0.01, 0.02, 10.0], 0.1);
        assert!(!scale.is_straight());
        let places: Vec<_> = [0.0, 0.01, 0.02, 10.0].map(|at| scale.place(at)).into();
        assert!(places[1] >= 0.1 && places[2] >= 0.2 && places[3] > 0.999, "{places:?}");
        assert!((scale.place(0.005) - places[1] / 2.0).abs() < 1e-9);
        assert!(Scale::by_span(&[0.0, 4.0, 10.0], 0.1).is_straight());
    }

    #[test]
    fn no_span_and_no_time_are_no_trouble() {
        for bounds in [&[][..], &[1.0], &[1.0, 1.0], &[0.0, 0.0, 0.0, 1.0]] {
            let scale = Scale::by_span(bounds, 0.1);
            assert!([-1.0, 0.0, 0.5, 1.0, 9.0].iter().all(|&at| (0.0..=1.0).contains(&scale.place(at))), "{bounds:?}");
        }
        assert_eq!(Scale::Powers(1.0, 1.0).place(1.0), 0.0);
        assert_eq!(Scale::straight(0.0, 0.0).ticks(0.0, 0.0, 5), Vec::<f64>::new());
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale::straight(0.0, 600.0);
        assert_eq!(scale.ticks(0.0, 560.0, 6), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        let powers = Scale::Powers(0.15, 12.0);
        assert_eq!(powers.ticks(0.15, 12.0, 6), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        // Powers alone where there are many.
        assert_eq!(Scale::Powers(0.15, 1.2e4).ticks(0.15, 1.2e4, 6), [1.0, 10.0, 100.0, 1e3, 1e4]);
        assert!((powers.place(1.2) - (8f64.ln() / 80f64.ln())).abs() < 1e-9);
    }
}
