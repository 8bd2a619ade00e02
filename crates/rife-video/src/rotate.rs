//! Rotates frames, for outputs that cannot store the rotation as metadata.

use rife_runtime::{Chroma, Frame, FrameSize, PixelFormat, Siting, YuvFormat};

use crate::orientation::Orientation;
use crate::stream::Sink;
use crate::{Error, Result};

impl Orientation {
    /// Returns the frame rotated, in its own format. Luma, RGB and full-resolution chroma are
    /// permuted; subsampled chroma is interpolated if its position relative to luma changes.
    ///
    /// # Errors
    /// If the frame has float samples, or the size is not supported.
    pub fn apply(self, frame: &Frame) -> Result<Frame> {
        let (from, to) = (frame.size(), self.size(frame.size()));
        Ok(match frame.format() {
            PixelFormat::Rgb8 => {
                let pixels: &[[u8; 3]] = bytemuck::cast_slice(frame.as_rgb8().unwrap_or_default());
                Frame::rgb8(to, self.permuted(pixels, from).concat())?
            }
            PixelFormat::Rgb16 => {
                let samples = frame.as_rgb16().unwrap_or_default();
                let pixels: &[[u16; 3]] = bytemuck::cast_slice(samples);
                Frame::rgb16(to, self.permuted(pixels, from).concat())?
            }
            PixelFormat::Yuv(yuv) if yuv.depth == 8 => {
                let samples = frame.as_yuv8().unwrap_or_default();
                Frame::yuv8(to, yuv, self.yuv(samples, from, yuv, |value| value as u8))?
            }
            PixelFormat::Yuv(yuv) => {
                let samples = frame.as_yuv16().unwrap_or_default();
                Frame::yuv16(to, yuv, self.yuv(samples, from, yuv, |value| value as u16))?
            }
            other => return Err(Error::Refused(format!("cannot rotate {other:?} frames"))),
        })
    }

    /// Rotates the luma and chroma planes.
    fn yuv<T: Copy + Into<f32>>(
        self,
        samples: &[T],
        size: FrameSize,
        yuv: YuvFormat,
        sample: impl Fn(f32) -> T,
    ) -> Vec<T> {
        let (luma, mut chroma) = samples.split_at(size.pixels().min(samples.len()));
        let mut turned = self.permuted(luma, size);
        let (old, new) = (ChromaGrid::of(yuv, size), ChromaGrid::of(yuv, self.size(size)));
        while !chroma.is_empty() {
            let (plane, rest) = chroma.split_at((old.width * old.height).min(chroma.len()));
            self.resample(plane, size, &old, &new, &sample, &mut turned);
            chroma = rest;
        }
        turned
    }

    /// Resamples a chroma plane from the positions of grid `old` to those of `new`.
    fn resample<T: Copy + Into<f32>>(
        self,
        plane: &[T],
        size: FrameSize,
        old: &ChromaGrid,
        new: &ChromaGrid,
        sample: &impl Fn(f32) -> T,
        out: &mut Vec<T>,
    ) {
        let to = self.size(size);
        let [a, b, c, d] = [self.a, self.b, self.c, self.d].map(f32::from);
        let right = if self.a + self.c < 0 { to.width as f32 - 1.0 } else { 0.0 };
        let bottom = if self.b + self.d < 0 { to.height as f32 - 1.0 } else { 0.0 };
        let at = |u: usize, v: usize| plane.get(v * old.width + u).map_or(0.0, |s| (*s).into());
        let between = |u: f32, v: f32| {
            let (u, v) = (old.clamp_x(u), old.clamp_y(v));
            let (left, top) = (u.floor(), v.floor());
            let (x, y) = (u - left, v - top);
            let (left, top) = (left as usize, top as usize);
            let (next, below) = ((left + 1).min(old.width - 1), (top + 1).min(old.height - 1));
            let upper = at(left, top) * (1.0 - x) + at(next, top) * x;
            let lower = at(left, below) * (1.0 - x) + at(next, below) * x;
            upper * (1.0 - y) + lower * y
        };
        // If the resolution along an axis decreases, average two samples.
        let along = if self.swaps_dimensions() { (new.step.1, new.step.0) } else { new.step };
        let spread = |old: f32, new: f32| if new > old { 0.5 } else { 0.0 };
        let (wide, high) = (spread(old.step.0, along.0), spread(old.step.1, along.1));
        for j in 0..new.height {
            let y = j as f32 * new.step.1 + new.offset.1 - bottom;
            for i in 0..new.width {
                let x = i as f32 * new.step.0 + new.offset.0 - right;
                let u = (a * x + b * y - old.offset.0) / old.step.0;
                let v = (c * x + d * y - old.offset.1) / old.step.1;
                let mean = 0.5 * (between(u - wide, v - high) + between(u + wide, v + high));
                out.push(sample((mean + 0.5).floor()));
            }
        }
    }

    /// Rotates a plane whose samples are only permuted.
    fn permuted<T: Copy>(self, plane: &[T], size: FrameSize) -> Vec<T> {
        let mut turned = Vec::with_capacity(plane.len());
        self.plane(plane, size.width, size.height, &mut turned);
        turned
    }

    fn plane<T: Copy>(self, plane: &[T], width: usize, height: usize, out: &mut Vec<T>) {
        let to = self.size(FrameSize::new(width, height));
        // The inverse of the matrix is its transpose.
        let stride = width as isize;
        let along = isize::from(self.a) + isize::from(self.c) * stride;
        let down = isize::from(self.b) + isize::from(self.d) * stride;
        let left = if self.a + self.b < 0 { width as isize - 1 } else { 0 };
        let top = if self.c + self.d < 0 { height as isize - 1 } else { 0 };
        let first = left + top * stride;
        for y in 0..to.height as isize {
            let row = first + y * down;
            let samples = (0..to.width as isize).map(|x| row + x * along);
            out.extend(samples.filter_map(|at| plane.get(usize::try_from(at).ok()?).copied()));
        }
    }
}

/// Positions of the samples of a chroma plane, relative to luma.
struct ChromaGrid {
    width: usize,
    height: usize,
    /// Distance between samples, in luma samples.
    step: (f32, f32),
    /// Position of the first sample, in luma samples.
    offset: (f32, f32),
}

impl ChromaGrid {
    fn of(yuv: YuvFormat, size: FrameSize) -> Self {
        let FrameSize { width, height, .. } = size;
        let left = match yuv.siting {
            Siting::Left | Siting::TopLeft | Siting::BottomLeft => 0.0,
            _ => 0.5,
        };
        let top = match yuv.siting {
            Siting::TopLeft | Siting::Top => 0.0,
            Siting::BottomLeft | Siting::Bottom => 1.0,
            _ => 0.5,
        };
        let half = width.div_ceil(2);
        match yuv.chroma {
            Chroma::Yuv420 => Self {
                width: half,
                height: height.div_ceil(2),
                step: (2.0, 2.0),
                offset: (left, top),
            },
            Chroma::Yuv422 => Self { width: half, height, step: (2.0, 1.0), offset: (left, 0.0) },
            _ => Self { width, height, step: (1.0, 1.0), offset: (0.0, 0.0) },
        }
    }

    fn clamp_x(&self, u: f32) -> f32 {
        u.clamp(0.0, self.width as f32 - 1.0)
    }

    fn clamp_y(&self, v: f32) -> f32 {
        v.clamp(0.0, self.height as f32 - 1.0)
    }
}

/// A sink that rotates every frame.
pub struct RotatingSink<'a> {
    /// Receives the rotated frames.
    pub sink: &'a mut dyn Sink,
    /// The rotation to apply.
    pub orientation: Orientation,
}

impl Sink for RotatingSink<'_> {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()> {
        let frame = self.orientation.apply(frame)?;
        let left = self.orientation.apply(left)?;
        self.sink.put(number, ticks, &frame, &left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::Matrix;

    const ALL: [[i64; 4]; 8] = [
        [1, 0, 0, 1],
        [-1, 0, 0, -1],
        [0, 1, -1, 0],
        [0, -1, 1, 0],
        [-1, 0, 0, 1],
        [1, 0, 0, -1],
        [0, 1, 1, 0],
        [0, -1, -1, 0],
    ];

    fn yuv(chroma: Chroma, siting: Siting) -> YuvFormat {
        YuvFormat { chroma, depth: 8, matrix: Matrix::Bt709, full_range: false, siting }
    }

    #[test]
    fn every_orientation_maps_pixels_by_its_matrix() {
        let size = FrameSize::new(3, 2);
        let pixel = |x: usize, y: usize| [x as u8, y as u8, 7];
        let pixels = (0..2).flat_map(|y| (0..3).flat_map(move |x| pixel(x, y)));
        let frame = Frame::rgb8(size, pixels.collect()).unwrap();
        for [a, b, c, d] in ALL {
            let by = Orientation::from_matrix([a, b, c, d].map(|v| v * 65536)).unwrap();
            let turned = by.apply(&frame).unwrap();
            let to = turned.size();
            assert_eq!(to, by.size(size));
            let samples = turned.as_rgb8().unwrap();
            for (x, y) in (0..3i64).flat_map(|x| (0..2i64).map(move |y| (x, y))) {
                // A negative coordinate counts from the far edge.
                let place = |value: i64, side: usize, negative: bool| {
                    (value + if negative { side as i64 - 1 } else { 0 }) as usize
                };
                let at_x = place(a * x + c * y, to.width, a + c < 0);
                let at_y = place(b * x + d * y, to.height, b + d < 0);
                let at = 3 * (at_y * to.width + at_x);
                assert_eq!(samples[at..at + 3], pixel(x as usize, y as usize), "{by}");
            }
        }
    }

    /// A frame with linear gradients in luma and chroma, so that interpolated values are known.
    fn ramp(size: FrameSize, yuv: YuvFormat) -> Frame {
        let grid = ChromaGrid::of(yuv, size);
        let luma = (0..size.height).flat_map(|y| (0..size.width).map(move |x| 40 + 4 * x + 6 * y));
        let mut samples: Vec<u8> = luma.map(|value| value as u8).collect();
        for base in [60.0, 100.0] {
            for (j, i) in (0..grid.height).flat_map(|j| (0..grid.width).map(move |i| (j, i))) {
                let x = i as f32 * grid.step.0 + grid.offset.0;
                let y = j as f32 * grid.step.1 + grid.offset.1;
                samples.push((base + 4.0 * x + 6.0 * y).round() as u8);
            }
        }
        Frame::yuv8(size, yuv, samples).unwrap()
    }

    #[test]
    fn rotated_chroma_stays_aligned_with_luma() {
        for chroma in [Chroma::Yuv420, Chroma::Yuv422, Chroma::Yuv444] {
            for siting in [Siting::Left, Siting::Center, Siting::TopLeft] {
                let (size, format) = (FrameSize::new(12, 8), yuv(chroma, siting));
                let frame = ramp(size, format);
                for matrix in ALL {
                    let by = Orientation::from_matrix(matrix).unwrap();
                    let turned = by.apply(&frame).unwrap();
                    assert_eq!(turned.format(), frame.format());
                    let samples = turned.as_yuv8().unwrap();
                    let to = by.size(size);
                    let grid = ChromaGrid::of(format, to);
                    let [a, b, c, d] = matrix.map(|value| value as f32);
                    let right = if a + c < 0.0 { to.width as f32 - 1.0 } else { 0.0 };
                    let bottom = if b + d < 0.0 { to.height as f32 - 1.0 } else { 0.0 };
                    // There is nothing to interpolate with at the border.
                    for j in 1..grid.height - 1 {
                        for i in 1..grid.width - 1 {
                            let x = i as f32 * grid.step.0 + grid.offset.0 - right;
                            let y = j as f32 * grid.step.1 + grid.offset.1 - bottom;
                            let (x, y) = (a * x + b * y, c * x + d * y);
                            let expected = 60.0 + 4.0 * x + 6.0 * y;
                            let got = f32::from(samples[to.pixels() + j * grid.width + i]);
                            assert!((got - expected).abs() <= 1.0, "{chroma:?} {siting:?} {by}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn permuted_samples_are_unchanged() {
        let half = Orientation::from_degrees(180).unwrap();
        let quarter = Orientation::from_degrees(90).unwrap();
        for (by, chroma, siting) in [
            (quarter, Chroma::Yuv444, Siting::Left),
            (quarter, Chroma::Yuv420, Siting::Center),
            (half, Chroma::Yuv422, Siting::Center),
        ] {
            let format = yuv(chroma, siting);
            let size = FrameSize::new(6, 4);
            let chroma = ChromaGrid::of(format, size);
            let bytes = size.pixels() + 2 * chroma.width * chroma.height;
            // Neighbouring extremes, which any rounding or filter would change.
            let samples: Vec<u8> = (0..bytes).map(|at| (at * 151 % 256) as u8).collect();
            let frame = Frame::yuv8(size, format, samples).unwrap();
            let turned = by.apply(&frame).unwrap();
            let mut sorted = turned.as_yuv8().unwrap().to_vec();
            let mut before = frame.as_yuv8().unwrap().to_vec();
            sorted.sort_unstable();
            before.sort_unstable();
            assert_eq!(sorted, before, "{by} of {format:?}");
            // Four quarter turns, or two half turns, are the identity.
            let turns = if by == quarter { 3 } else { 1 };
            let back = (0..turns).fold(turned, |frame, _| by.apply(&frame).unwrap());
            assert_eq!(back, frame, "{by} of {format:?}");
        }
    }

    #[test]
    fn odd_sizes_are_rotated() {
        let (size, format) = (FrameSize::new(7, 5), yuv(Chroma::Yuv420, Siting::Left));
        for matrix in ALL {
            let by = Orientation::from_matrix(matrix).unwrap();
            let turned = by.apply(&ramp(size, format)).unwrap();
            assert_eq!(turned.size(), by.size(size), "{by}");
        }
    }
}
