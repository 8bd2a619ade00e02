//! How far a frame is from its reference, on planar RGB floats `[3, height, width]`.

mod ssim;

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::subject::Size;

pub use ssim::{SSIM_WINDOW, ssim};

/// Peak signal-to-noise ratio in dB, of samples in \[0, 1\]. Infinite where nothing differs; JSON
/// has no infinity, so that is written as the string `"inf"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Psnr(pub f64);

impl Psnr {
    /// Of a mean squared error.
    pub fn from_mse(mse: f64) -> Self {
        Self(if mse == 0.0 { f64::INFINITY } else { -10.0 * mse.log10() })
    }
}

impl Serialize for Psnr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { s.serialize_f64(self.0) } else { s.serialize_str("inf") }
    }
}

impl<'de> Deserialize<'de> for Psnr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Number(f64),
            Word(String),
        }
        match Text::deserialize(d)? {
            Text::Number(db) => Ok(Self(db)),
            Text::Word(word) if word == "inf" => Ok(Self(f64::INFINITY)),
            Text::Word(word) => Err(D::Error::custom(format!("PSNR {word:?}"))),
        }
    }
}

/// How one frame differs from its reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// PSNR over every sample, in dB.
    pub psnr_db: Psnr,
    /// Structural similarity, the mean of the three channels'; 1 is perfect. 0 where a sample
    /// is not finite.
    pub ssim: f64,
    /// Mean squared error of a sample.
    pub mse: f64,
    /// Largest absolute error of a sample, full scale being 1.
    pub max_error: f64,
    /// Mean absolute error of a sample.
    pub mean_error: f64,
    /// Share of pixels, 0 to 1, any of whose channels differs once rounded to 8 bits.
    pub differing_8_bit_share: f64,
    /// Samples that are NaN or infinite on either side; each counts as an error of 1.
    pub non_finite: u64,
}

/// Compares a frame with its reference, over all cores.
///
/// # Panics
/// Where a slice does not hold `[3, height, width]` samples, or a side is shorter than
/// [`SSIM_WINDOW`]: the plan refuses such sizes.
pub fn compare(size: Size, reference: &[f32], candidate: &[f32]) -> Difference {
    assert_eq!(reference.len(), size.samples(), "samples of the reference");
    assert_eq!(candidate.len(), size.samples(), "samples of the candidate");

    const CHUNK_PX: usize = 1 << 15;
    let pixels = size.pixels();
    let chunks: Vec<Range<usize>> =
        (0..pixels).step_by(CHUNK_PX).map(|at| at..pixels.min(at + CHUNK_PX)).collect();
    // Collected in order before they are added, so that no sum depends on the threads.
    let sums: Vec<Sums> = chunks
        .into_par_iter()
        .map(|range| Sums::of_pixels(pixels, reference, candidate, range))
        .collect();
    let total = sums.into_iter().fold(Sums::default(), Sums::add);

    let samples = size.samples() as f64;
    let mse = total.squared / samples;
    Difference {
        psnr_db: Psnr::from_mse(mse),
        ssim: if total.non_finite == 0 { ssim(size, reference, candidate) } else { 0.0 },
        mse,
        max_error: total.max,
        mean_error: total.absolute / samples,
        differing_8_bit_share: total.differing as f64 / pixels as f64,
        non_finite: total.non_finite,
    }
}

/// A sample in \[0, 1\] as 8 bits: clamped, rounded half up.
pub fn to_8_bit(v: f32) -> u8 {
    // The cast saturates at both ends and makes a NaN 0.
    (v * 255.0 + 0.5) as u8
}

#[derive(Clone, Copy, Default)]
struct Sums {
    squared: f64,
    absolute: f64,
    max: f64,
    differing: u64,
    non_finite: u64,
}

impl Sums {
    fn of_pixels(plane: usize, a: &[f32], b: &[f32], range: Range<usize>) -> Self {
        let mut sums = Self::default();
        for i in range {
            let mut differs = false;
            for (&a, &b) in a[i..].iter().step_by(plane).zip(b[i..].iter().step_by(plane)) {
                let error = if a.is_finite() && b.is_finite() {
                    (f64::from(a) - f64::from(b)).abs()
                } else {
                    sums.non_finite += 1;
                    1.0
                };
                sums.squared += error * error;
                sums.absolute += error;
                sums.max = sums.max.max(error);
                differs |= to_8_bit(a) != to_8_bit(b) || !a.is_finite() || !b.is_finite();
            }
            sums.differing += u64::from(differs);
        }
        sums
    }

    fn add(self, other: Self) -> Self {
        Self {
            squared: self.squared + other.squared,
            absolute: self.absolute + other.absolute,
            max: self.max.max(other.max),
            differing: self.differing + other.differing,
            non_finite: self.non_finite + other.non_finite,
        }
    }
}

#[cfg(test)]
mod tests;
