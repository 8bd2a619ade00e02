//! Statistics of samples. Quantiles are interpolated linearly between ranks (R's type 7, NumPy's
//! default).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Distribution of samples, in the samples' unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Number of samples.
    pub samples: usize,
    /// Smallest sample.
    pub min: f64,
    /// First quartile.
    pub p25: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub p75: f64,
    /// Largest sample.
    pub max: f64,
    /// Arithmetic mean.
    pub mean: f64,
}

impl Spread {
    /// Of finite samples in any order; `None` if there are none.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        Some(Self {
            samples: sorted.len(),
            min: *sorted.first()?,
            p25: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            p75: quantile(&sorted, 0.75),
            max: *sorted.last()?,
            mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        })
    }

    /// The interquartile range relative to the median.
    pub fn relative_iqr(&self) -> f64 {
        (self.p75 - self.p25) / self.median
    }
}

/// How much repeated runs of the same configuration differ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    /// Standard deviation of the logarithm of a run's result.
    deviation: f64,
}

impl Noise {
    /// Estimates the noise from many configurations together, as each has only a few runs. Zero if
    /// nothing ran more than once.
    pub fn among(runs: impl IntoIterator<Item = Spread>) -> Self {
        // Expected range of n samples in standard deviations, from n = 2.
        const RANGES: [f64; 9] = [1.128, 1.693, 2.059, 2.326, 2.534, 2.704, 2.847, 2.970, 3.078];
        let deviation = |spread: Spread| {
            let range = RANGES[(spread.samples - 2).min(RANGES.len() - 1)];
            (spread.max / spread.min).ln() / range
        };
        let repeated =
            runs.into_iter().filter(|s| s.samples > 1 && s.min > 0.0 && s.max.is_finite());
        // The median is robust against a configuration that varies by itself. It underestimates
        // the deviation, since two runs are close more often than not.
        let middle = Spread::of(&repeated.map(deviation).collect::<Vec<_>>());
        Self { deviation: middle.map_or(0.0, |middle| middle.median / 0.85) }
    }

    /// The relative difference between the results of so many runs each that noise explains: three
    /// standard deviations.
    pub fn between(self, runs: usize, others: usize) -> f64 {
        let both = 1.0 / runs.max(1) as f64 + 1.0 / others.max(1) as f64;
        (3.0 * self.deviation * both.sqrt()).exp_m1()
    }
}

/// The "1% low": frames per second over the slowest 1% of the frames, or over the slowest frame
/// of fewer than 100. `None` if there are no frames.
pub fn low_1_percent_fps(frame_ms: &[f64]) -> Option<f64> {
    let sorted = sorted(frame_ms);
    let slowest = &sorted[sorted.len() - sorted.len().div_ceil(100)..];
    (!slowest.is_empty()).then(|| 1000.0 * slowest.len() as f64 / slowest.iter().sum::<f64>())
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = q * (sorted.len() - 1) as f64;
    let below = sorted[rank.floor() as usize];
    let above = sorted[rank.ceil() as usize];
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_match_numpy() {
        let s = Spread::of(&[40.0, 10.0, 30.0, 20.0]).expect("samples");
        assert_eq!((s.samples, s.min, s.max, s.mean), (4, 10.0, 40.0, 25.0));
        assert_eq!((s.p25, s.median, s.p75), (17.5, 25.0, 32.5));
        assert_eq!(s.relative_iqr(), 0.6);
    }

    #[test]
    fn one_sample_has_no_spread_and_no_samples_have_no_statistics() {
        let s = Spread::of(&[7.0]).expect("a sample");
        assert_eq!((s.min, s.p25, s.median, s.p75, s.max), (7.0, 7.0, 7.0, 7.0, 7.0));
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(low_1_percent_fps(&[]), None);
    }

    #[test]
    fn noise_is_estimated_over_many_configurations() {
        let spread = |fps: &[f64]| Spread::of(fps).expect("runs");
        let quiet = [spread(&[100.0, 100.2]), spread(&[50.0, 50.05]), spread(&[7.0])];
        let quiet = Noise::among(quiet);
        assert!((0.003..0.006).contains(&quiet.between(2, 2)), "{quiet:?}");
        assert!(quiet.between(8, 8) < quiet.between(2, 2) / 1.9);
        // A pair that happens to match does not hide the noise of the others.
        let busy = [spread(&[100.0, 100.0]), spread(&[80.0, 100.0]), spread(&[100.0, 70.0])];
        assert!(Noise::among(busy).between(2, 2) > 0.5);
        for none in [&[spread(&[5.0])][..], &[], &[spread(&[0.0, 0.0]), spread(&[1.0, f64::NAN])]] {
            assert_eq!(Noise::among(none.iter().copied()).between(1, 1), 0.0, "{none:?}");
        }
    }

    #[test]
    fn one_percent_low_averages_the_slowest_frames() {
        let mut ms = vec![10.0; 198];
        ms.extend([100.0, 60.0]);
        assert_eq!(low_1_percent_fps(&ms), Some(12.5));
        assert_eq!(low_1_percent_fps(&[10.0, 20.0]), Some(50.0));
    }
}
