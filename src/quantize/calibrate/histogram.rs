//! How often values occur, counted as they come: the range grows by doubling, so that one walk over the pictures is enough.

/// Bins; the middle one begins at zero.
const BINS: usize = 8192;

/// Counts of values in bins of equal width around zero.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Values lie between minus this and this.
    limit: f32,
    bins: Vec<u32>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { limit: 0.0, bins: Vec::new() }
    }
}

impl Histogram {
    /// Counts values; none may be NaN or infinite.
    pub fn add(&mut self, values: &[f32]) {
        let largest = values.iter().fold(0f32, |most, value| most.max(value.abs()));
        if self.bins.is_empty() {
            self.bins = vec![0; BINS];
            self.limit = largest.max(f32::MIN_POSITIVE);
        }
        while largest > self.limit {
            self.double();
        }
        let per_bin = self.width();
        for value in values {
            let at = ((value + self.limit) / per_bin) as usize;
            let bin = &mut self.bins[at.min(BINS - 1)];
            *bin = bin.saturating_add(1);
        }
    }

    fn width(&self) -> f32 {
        self.limit * 2.0 / BINS as f32
    }

    /// Twice the range over the same number of bins: neighbours become one.
    fn double(&mut self) {
        let quarter = BINS / 4;
        let mut wider = vec![0u32; BINS];
        for (at, pair) in self.bins.as_chunks::<2>().0.iter().enumerate() {
            wider[quarter + at] = pair[0].saturating_add(pair[1]);
        }
        self.bins = wider;
        self.limit *= 2.0;
    }

    /// Bins that hold something: the value in their middle, and how many.
    pub fn filled(&self) -> Vec<(f32, f64)> {
        let width = self.width();
        let middle = |at: usize| (at as f32 + 0.5).mul_add(width, -self.limit);
        self.bins.iter().enumerate().filter(|(_, n)| **n > 0).map(|(at, &n)| (middle(at), f64::from(n))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_are_while_the_range_grows() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.0, 1.0, -1.0]);
        histogram.add(&[7.5, 0.25, 0.25]);
        let filled = histogram.filled();
        assert_eq!(filled.iter().map(|(_, n)| n).sum::<f64>(), 6.0);
        let near = |value: f32, times: f64| {
            let found: f64 = filled.iter().filter(|(v, _)| (v - value).abs() < 0.005).map(|(_, n)| n).sum();
            assert_eq!(found, times, "{value}: {filled:?}");
        };
        for (value, times) in [(0.0, 1.0), (1.0, 1.0), (-1.0, 1.0), (7.5, 1.0), (0.25, 2.0)] {
            near(value, times);
        }
    }

    #[test]
    fn nothing_but_zeros_is_counted() {
        let mut histogram = Histogram::default();
        histogram.add(&[0.0; 9]);
        assert_eq!(histogram.filled().iter().map(|(_, n)| n).sum::<f64>(), 9.0);
    }
}
