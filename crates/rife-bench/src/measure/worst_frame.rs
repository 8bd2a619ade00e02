//! Thumbnails of a comparison's worst frame, small enough for a record.

use std::io::Cursor;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{GrayImage, ImageFormat, RgbImage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::to_8_bit;
use crate::subject::Size;

/// Longer side of the thumbnails, in px.
const LONGEST_PX: usize = 480;
const JPEG_QUALITY: u8 = 85;
/// The error shown as white, unless the largest error is smaller: a few 8-bit steps.
const ERROR_WHITE: f64 = 8.0 / 255.0;

/// Thumbnails of the worst frame of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorstFramePictures {
    /// Index of the frame among those compared.
    pub frame: usize,
    /// Size of the thumbnails.
    pub size: Size,
    /// The interpolated frame: JPEG, Base64.
    #[serde(rename = "made")]
    pub interpolated: String,
    /// The reference frame: JPEG, Base64.
    pub reference: String,
    /// Largest error of each pixel, and when scaled down of each cell: 8-bit grey PNG, Base64.
    pub error: String,
    /// The error shown as white.
    pub error_white: f64,
}

/// The worst frame so far.
pub(super) struct WorstFrame {
    index: usize,
    mse: f64,
    expected: Vec<f32>,
    got: Vec<f32>,
}

impl WorstFrame {
    /// Keeps a frame if it is worse than all before it.
    pub(super) fn update(
        worst: &mut Option<Self>,
        index: usize,
        mse: f64,
        expected: &[f32],
        got: &[f32],
    ) {
        match worst {
            Some(worst) if worst.mse >= mse => {}
            Some(worst) => {
                (worst.index, worst.mse) = (index, mse);
                worst.expected.copy_from_slice(expected);
                worst.got.copy_from_slice(got);
            }
            None => {
                let (expected, got) = (expected.to_vec(), got.to_vec());
                *worst = Some(Self { index, mse, expected, got });
            }
        }
    }

    /// Encodes the thumbnails.
    pub(super) fn pictures(&self, size: Size) -> Result<WorstFramePictures> {
        let longest = size.width.max(size.height);
        let side = |px: usize| (px * LONGEST_PX.min(longest) / longest).max(1);
        let small = Size { width: side(size.width), height: side(size.height) };
        let errors = cells(size, small, &self.expected, &self.got);
        let largest = errors.iter().copied().fold(0.0, f64::max);
        let white = if largest > 0.0 { largest.min(ERROR_WHITE) } else { ERROR_WHITE };
        let levels = errors.iter().map(|error| to_8_bit((error / white) as f32)).collect();
        Ok(WorstFramePictures {
            frame: self.index,
            size: small,
            interpolated: jpeg(size, small, &self.got)?,
            reference: jpeg(size, small, &self.expected)?,
            error: png(small, levels)?,
            error_white: white,
        })
    }
}

/// Largest error of any sample within each cell of the thumbnail. Non-finite samples count as 1.
fn cells(size: Size, small: Size, expected: &[f32], got: &[f32]) -> Vec<f64> {
    let mut cells = vec![0.0f64; small.pixels()];
    for (i, (a, b)) in expected.iter().zip(got).enumerate() {
        let (x, y) = (i % size.width, i / size.width % size.height);
        let cell = (y * small.height / size.height) * small.width + x * small.width / size.width;
        let error = f64::from(a - b).abs();
        let error = if error.is_finite() { error } else { 1.0 };
        cells[cell] = cells[cell].max(error);
    }
    cells
}

fn jpeg(size: Size, small: Size, planes: &[f32]) -> Result<String> {
    let pixels = size.pixels();
    let rgb = (0..pixels).flat_map(|i| [0, 1, 2].map(|c| to_8_bit(planes[c * pixels + i])));
    let picture = RgbImage::from_raw(size.width as u32, size.height as u32, rgb.collect())
        .context("unexpected frame size")?;
    let picture = resize(&picture, small.width as u32, small.height as u32, FilterType::CatmullRom);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&picture)?;
    Ok(BASE64_STANDARD.encode(bytes))
}

fn png(small: Size, levels: Vec<u8>) -> Result<String> {
    let picture = GrayImage::from_raw(small.width as u32, small.height as u32, levels)
        .context("unexpected thumbnail size")?;
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(BASE64_STANDARD.encode(bytes.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_frame_and_its_errors_are_encoded() {
        let size = Size { width: 960, height: 32 };
        let black = vec![0.0; size.samples()];
        let with = |at: usize, value| {
            let mut frame = black.clone();
            frame[at] = value;
            frame
        };
        let mut worst = None;
        // The last error is in the blue channel of the last pixel.
        let errors = [(0.01, 0), (0.5, size.samples() - 1), (0.02, 5)];
        for (index, (value, at)) in errors.into_iter().enumerate() {
            WorstFrame::update(&mut worst, index, f64::from(value), &black, &with(at, value));
        }
        let pictures = worst.expect("a frame").pictures(size).expect("pictures");
        assert_eq!((pictures.frame, pictures.size), (1, Size { width: 480, height: 16 }));
        assert_eq!(pictures.error_white, ERROR_WHITE);
        let decoded = |text: &str| {
            let bytes = BASE64_STANDARD.decode(text).expect("base64");
            image::load_from_memory(&bytes).expect("an image")
        };
        let map = decoded(&pictures.error).into_luma8();
        let lit: Vec<_> = map.enumerate_pixels().filter(|(_, _, p)| p.0[0] > 0).collect();
        assert_eq!(lit.len(), 1);
        assert_eq!((lit[0].0, lit[0].1, lit[0].2.0), (479, 15, [255]));
        for picture in [&pictures.interpolated, &pictures.reference] {
            assert_eq!(decoded(picture).width(), 480);
        }
    }

    #[test]
    fn non_finite_samples_are_errors_and_small_frames_are_not_scaled() {
        let size = Size { width: 16, height: 16 };
        let grey = vec![0.5; size.samples()];
        let mut got = grey.clone();
        got[0] = f32::NAN;
        let mut worst = None;
        WorstFrame::update(&mut worst, 0, 1.0, &grey, &got);
        let pictures = worst.expect("a frame").pictures(size).expect("pictures");
        assert_eq!(pictures.size, size);
        assert_eq!(cells(size, size, &grey, &got)[0], 1.0);
    }
}
