//! What a comparison's worst frame looks like, small enough for a record.

use std::io::Cursor;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{GrayImage, ImageFormat, RgbImage};
use serde::{Deserialize, Serialize};

use crate::metrics::to_8_bit;
use crate::subject::Size;

/// The longer side of the pictures, in px.
const LONGEST_PX: usize = 480;
const JPEG_QUALITY: u8 = 85;
/// The error that is white, unless the largest is smaller: a few steps of 8 bits.
const ERROR_WHITE: f64 = 8.0 / 255.0;

/// The worst frame of a comparison, scaled down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// Which of the compared frames it is, from 0.
    pub frame: usize,
    /// Size of these pictures.
    pub size: Size,
    /// The frame that was made: JPEG, base64.
    pub made: String,
    /// The reference's: JPEG, base64.
    pub reference: String,
    /// The largest error of each pixel and, scaled down, of its cell: 8-bit grey PNG, base64.
    pub error: String,
    /// The error that is white, full scale being 1.
    pub error_white: f64,
}

/// The worst frame that was seen.
#[derive(Default)]
pub(super) struct Worst {
    seen: Option<Frames>,
}

struct Frames {
    index: usize,
    mse: f64,
    expected: Vec<f32>,
    got: Vec<f32>,
}

impl Worst {
    /// Keeps a frame if it is worse than all before it.
    pub(super) fn look(&mut self, index: usize, mse: f64, expected: &[f32], got: &[f32]) {
        match &mut self.seen {
            Some(seen) if seen.mse >= mse => {}
            Some(seen) => {
                (seen.index, seen.mse) = (index, mse);
                seen.expected.copy_from_slice(expected);
                seen.got.copy_from_slice(got);
            }
            None => {
                let (expected, got) = (expected.to_vec(), got.to_vec());
                self.seen = Some(Frames { index, mse, expected, got });
            }
        }
    }

    /// It as pictures; `None` where none was seen.
    pub(super) fn pictures(self, size: Size) -> Result<Option<Pictures>> {
        self.seen.map(|frames| frames.pictures(size)).transpose()
    }
}

impl Frames {
    fn pictures(&self, size: Size) -> Result<Pictures> {
        let longest = size.width.max(size.height);
        let side = |px: usize| (px * LONGEST_PX.min(longest) / longest).max(1);
        let small = Size { width: side(size.width), height: side(size.height) };
        let errors = cells(size, small, &self.expected, &self.got);
        let largest = errors.iter().copied().fold(0.0, f64::max);
        let white = if largest > 0.0 { largest.min(ERROR_WHITE) } else { ERROR_WHITE };
        let levels = errors.iter().map(|error| to_8_bit((error / white) as f32)).collect();
        Ok(Pictures {
            frame: self.index,
            size: small,
            made: jpeg(size, small, &self.got)?,
            reference: jpeg(size, small, &self.expected)?,
            error: png(small, levels)?,
            error_white: white,
        })
    }
}

/// The largest error of any sample within each cell of the small picture. What is no number is a
/// whole error.
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
        .context("a frame that is no picture")?;
    let picture = resize(&picture, small.width as u32, small.height as u32, FilterType::CatmullRom);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&picture)?;
    Ok(BASE64_STANDARD.encode(bytes))
}

fn png(small: Size, levels: Vec<u8>) -> Result<String> {
    let picture = GrayImage::from_raw(small.width as u32, small.height as u32, levels)
        .context("a map that is no picture")?;
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(BASE64_STANDARD.encode(bytes.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_frame_is_shown_with_its_errors() {
        let size = Size { width: 960, height: 32 };
        let black = vec![0.0; size.samples()];
        let with = |at: usize, value| {
            let mut frame = black.clone();
            frame[at] = value;
            frame
        };
        let mut worst = Worst::default();
        // Of the blue of the last pixel.
        let errors = [(0.01, 0), (0.5, size.samples() - 1), (0.02, 5)];
        for (index, (value, at)) in errors.into_iter().enumerate() {
            worst.look(index, f64::from(value), &black, &with(at, value));
        }
        let pictures = worst.pictures(size).expect("pictures").expect("a frame");
        assert_eq!((pictures.frame, pictures.size), (1, Size { width: 480, height: 16 }));
        assert_eq!(pictures.error_white, ERROR_WHITE);
        let decoded = |text: &str| {
            let bytes = BASE64_STANDARD.decode(text).expect("base64");
            image::load_from_memory(&bytes).expect("a picture")
        };
        let map = decoded(&pictures.error).into_luma8();
        let lit: Vec<_> = map.enumerate_pixels().filter(|(_, _, p)| p.0[0] > 0).collect();
        assert_eq!(lit.len(), 1);
        assert_eq!((lit[0].0, lit[0].1, lit[0].2.0), (479, 15, [255]));
        for picture in [&pictures.made, &pictures.reference] {
            assert_eq!(decoded(picture).width(), 480);
        }
        assert!(Worst::default().pictures(size).expect("nothing").is_none());
    }

    #[test]
    fn what_is_no_number_is_an_error_and_a_tiny_frame_stays_as_it_is() {
        let size = Size { width: 16, height: 16 };
        let grey = vec![0.5; size.samples()];
        let mut got = grey.clone();
        got[0] = f32::NAN;
        let mut worst = Worst::default();
        worst.look(0, 1.0, &grey, &got);
        let pictures = worst.pictures(size).expect("pictures").expect("a frame");
        assert_eq!(pictures.size, size);
        assert_eq!(cells(size, size, &grey, &got)[0], 1.0);
    }
}
