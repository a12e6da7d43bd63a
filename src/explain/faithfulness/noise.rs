//! Seeded Gaussian noise: the same everywhere and for ever, which no random number crate promises.

/// Standard normal numbers from `SplitMix64` by the Box-Muller transform.
pub struct Noise {
    state: u64,
}

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// The next number.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_standard_normal_and_repeats_with_its_seed() {
        let draw = |seed| {
            let mut noise = Noise::new(seed);
            (0..100_000).map(|_| noise.normal()).collect::<Vec<_>>()
        };
        let values = draw(1);
        let moment = |power| values.iter().map(|value: &f64| value.powi(power)).sum::<f64>() / values.len() as f64;
        // Five standard errors of the first four moments of 100,000 numbers.
        for (power, expected, error) in [(1, 0.0, 0.016), (2, 1.0, 0.023), (3, 0.0, 0.062), (4, 3.0, 0.16)] {
            assert!((moment(power) - expected).abs() < error, "moment {power} is {}", moment(power));
        }
        assert_eq!(values, draw(1));
        assert_ne!(values, draw(2));
    }
}
