//! Differences between a frame and its reference, on planar RGB floats `[3, height, width]`.

mod ssim;

use std::ops::Range;

use rayon::prelude::*;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::subject::Size;

pub use ssim::{SSIM_WINDOW, ssim};

/// Peak signal-to-noise ratio in dB, of samples in \[0, 1\]. Infinite for identical frames, which
/// JSON stores as the string `"inf"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Psnr(pub f64);

impl Psnr {
    /// From a mean squared error.
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

impl JsonSchema for Psnr {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Psnr".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "number" }, { "const": "inf" }] })
    }
}

/// Difference between one frame and its reference. Samples and errors are relative to a full scale
/// of 1, so that one 8-bit step is 1/255.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// PSNR over all samples.
    pub psnr_db: Psnr,
    /// Structural similarity, averaged over the three channels; 1 is identical. 0 if a sample is
    /// not finite.
    pub ssim: f64,
    /// Mean squared error.
    pub mse: f64,
    /// Largest absolute error.
    pub max_error: f64,
    /// Mean absolute error.
    pub mean_error: f64,
    /// Share of pixels that differ in any channel after rounding to 8 bits.
    pub differing_8_bit_share: f64,
    /// Number of samples that are NaN or infinite on either side. Each counts as an error of 1.
    pub non_finite: u64,
}

#[cfg(test)]
impl Difference {
    /// A difference with this mean squared error.
    pub(crate) fn of_mse(mse: f64) -> Self {
        Self {
            psnr_db: Psnr::from_mse(mse),
            ssim: 1.0,
            mse,
            max_error: mse.sqrt(),
            mean_error: mse,
            differing_8_bit_share: 0.0,
            non_finite: 0,
        }
    }
}

/// Compares a frame with its reference, in parallel.
///
/// # Panics
/// If a slice does not hold `[3, height, width]` samples, or a side is shorter than
/// [`SSIM_WINDOW`]: the plan rejects such sizes.
pub fn compare(size: Size, reference: &[f32], candidate: &[f32]) -> Difference {
    assert_eq!(reference.len(), size.samples(), "samples of the reference");
    assert_eq!(candidate.len(), size.samples(), "samples of the candidate");

    const CHUNK_PX: usize = 1 << 15;
    let pixels = size.pixels();
    let chunks: Vec<Range<usize>> =
        (0..pixels).step_by(CHUNK_PX).map(|at| at..pixels.min(at + CHUNK_PX)).collect();
    // Collected in order before adding, so that the result does not depend on the thread count.
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

/// Converts a sample in \[0, 1\] to 8 bits: clamped, rounded half up.
pub fn to_8_bit(v: f32) -> u8 {
    // The cast saturates at both ends and maps NaN to 0.
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
