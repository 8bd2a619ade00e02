//! Turns frames upright, for outputs that cannot say that a player has to turn them.

use rife_runtime::{Chroma, Frame, FrameSize, PixelFormat, Siting, YuvFormat};

use crate::pipeline::Sink;
use crate::{Error, Rational, Result};

/// One of the eight ways to turn and mirror a picture by right angles.
///
/// The point (x, y), y downwards, of the picture as it is stored goes to (a x + c y, b x + d y).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {
    a: i8,
    b: i8,
    c: i8,
    d: i8,
}

impl Orientation {
    /// Upright as it is stored.
    pub const IDENTITY: Self = Self { a: 1, b: 0, c: 0, d: 1 };

    /// The orientation of the upper left part of a display matrix; `None` for other angles,
    /// scales and shears.
    pub fn of_matrix([a, b, c, d]: [i64; 4]) -> Option<Self> {
        let scale = a.unsigned_abs().max(b.unsigned_abs());
        let unit = |value: i64| {
            let size = value.unsigned_abs();
            // Some writers round the sine and the cosine.
            match (size <= scale / 64, size.abs_diff(scale) <= scale / 64) {
                (true, _) => Some(0),
                (_, true) => Some(value.signum() as i8),
                _ => None,
            }
        };
        let found = Self { a: unit(a)?, b: unit(b)?, c: unit(c)?, d: unit(d)? };
        let whole =
            scale > 0 && (found.a == 0) == (found.d == 0) && (found.b == 0) == (found.c == 0);
        (whole && (found.a == 0) != (found.b == 0)).then_some(found)
    }

    /// The orientation of a rotation by degrees, counter-clockwise.
    pub fn of_degrees(degrees: i32) -> Option<Self> {
        let (cos, sin) = match degrees.rem_euclid(360) {
            0 => (1, 0),
            90 => (0, 1),
            180 => (-1, 0),
            270 => (0, -1),
            _ => return None,
        };
        // Counter-clockwise to the eye, where y goes down.
        Some(Self { a: cos, b: -sin, c: sin, d: cos })
    }

    /// Whether the picture is mirrored.
    pub const fn mirrored(self) -> bool {
        self.a * self.d - self.b * self.c < 0
    }

    /// Whether width and height change places.
    pub const fn swaps(self) -> bool {
        self.a == 0
    }

    /// The size of the turned picture.
    pub const fn size(self, size: FrameSize) -> FrameSize {
        match self.swaps() {
            true => FrameSize::new(size.height, size.width),
            false => size,
        }
    }

    /// The width of a pixel over its height in the turned picture.
    pub fn sample_aspect(self, aspect: Rational) -> Rational {
        if self.swaps() { aspect.recip() } else { aspect }
    }

    /// Where chroma lies in the turned picture; `None` where no format has a name for it.
    fn siting(self, siting: Siting) -> Option<Siting> {
        // Halves of a luma sample from the middle of the block.
        let places = [
            (Siting::Center, (0, 0)),
            (Siting::Left, (-1, 0)),
            (Siting::TopLeft, (-1, -1)),
            (Siting::Top, (0, -1)),
            (Siting::BottomLeft, (-1, 1)),
            (Siting::Bottom, (0, 1)),
        ];
        let (_, (x, y)) = places.into_iter().find(|(name, _)| *name == siting)?;
        let turned = (self.a * x + self.c * y, self.b * x + self.d * y);
        places.into_iter().find(|(_, place)| *place == turned).map(|(name, _)| name)
    }

    /// The format that frames of `format` have to be in so that they can be turned plane by plane:
    /// the same, or one of full chroma where chroma would come to lie elsewhere.
    pub fn turnable(self, size: FrameSize, format: PixelFormat) -> PixelFormat {
        let PixelFormat::Yuv(yuv) = format else { return format };
        let odd = match yuv.chroma {
            Chroma::Yuv420 => size.width % 2 == 1 || size.height % 2 == 1,
            Chroma::Yuv422 => size.width % 2 == 1 || self.swaps(),
            _ => return format,
        };
        // Along a column, the chroma of 4:2:2 lies with the luma.
        let siting = match (yuv.chroma, yuv.siting) {
            (Chroma::Yuv422, Siting::TopLeft | Siting::BottomLeft) => Siting::Left,
            (Chroma::Yuv422, Siting::Top | Siting::Bottom) => Siting::Center,
            (_, siting) => siting,
        };
        if self == Self::IDENTITY || !odd && self.siting(siting) == Some(siting) {
            return format;
        }
        PixelFormat::Yuv(YuvFormat { chroma: Chroma::Yuv444, ..yuv })
    }

    /// A frame turned upright, in `format`.
    ///
    /// # Errors
    /// When the format cannot hold the frame.
    pub fn turn(self, frame: &Frame, format: PixelFormat) -> Result<Frame> {
        let (from, to) = (frame.size(), self.size(frame.size()));
        let exact = self.turnable(from, frame.format());
        let converted;
        let frame = match frame.format() == exact {
            true => frame,
            false => {
                converted = frame.converted(exact)?;
                &converted
            }
        };
        let planes =
            crate::raw_format(from, exact).map(|raw| raw.plane_sizes()).unwrap_or_default();
        let turned = match exact {
            PixelFormat::Rgb8 => {
                let pixels: &[[u8; 3]] = bytemuck::cast_slice(frame.as_rgb8().unwrap_or_default());
                Frame::rgb8(to, self.planes(pixels, &[(from.width, from.height)]).concat())?
            }
            PixelFormat::Rgb16 => {
                let samples = frame.as_rgb16().unwrap_or_default();
                let pixels: &[[u16; 3]] = bytemuck::cast_slice(samples);
                Frame::rgb16(to, self.planes(pixels, &[(from.width, from.height)]).concat())?
            }
            PixelFormat::Yuv(yuv) if yuv.depth == 8 => {
                Frame::yuv8(to, yuv, self.planes(frame.as_yuv8().unwrap_or_default(), &planes))?
            }
            PixelFormat::Yuv(yuv) => {
                Frame::yuv16(to, yuv, self.planes(frame.as_yuv16().unwrap_or_default(), &planes))?
            }
            other => return Err(Error::Refused(format!("cannot rotate frames of {other:?}"))),
        };
        match turned.format() == format {
            true => Ok(turned),
            false => Ok(turned.converted(format)?),
        }
    }

    fn planes<T: Copy>(self, samples: &[T], sizes: &[(usize, usize)]) -> Vec<T> {
        let mut turned = Vec::with_capacity(samples.len());
        let mut rest = samples;
        for (width, height) in sizes {
            let (plane, after) = rest.split_at((width * height).min(rest.len()));
            self.plane(plane, *width, *height, &mut turned);
            rest = after;
        }
        turned
    }

    fn plane<T: Copy>(self, plane: &[T], width: usize, height: usize, turned: &mut Vec<T>) {
        let to = self.size(FrameSize::new(width, height));
        // The matrix is its own inverse when it is transposed.
        let stride = width as isize;
        let along = isize::from(self.a) + isize::from(self.c) * stride;
        let down = isize::from(self.b) + isize::from(self.d) * stride;
        let left = if self.a + self.b < 0 { width as isize - 1 } else { 0 };
        let top = if self.c + self.d < 0 { height as isize - 1 } else { 0 };
        let first = left + top * stride;
        for y in 0..to.height as isize {
            let row = first + y * down;
            let samples = (0..to.width as isize).map(|x| row + x * along);
            turned.extend(samples.filter_map(|at| plane.get(usize::try_from(at).ok()?).copied()));
        }
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.a, self.b, self.c, self.d) {
            (1, ..) if !self.mirrored() => "none",
            (1, ..) => "vertical flip",
            (-1, ..) if !self.mirrored() => "180 degrees",
            (-1, ..) => "horizontal flip",
            (_, -1, 1, _) => "90 degrees counter-clockwise",
            (_, 1, -1, _) => "90 degrees clockwise",
            (_, 1, ..) => "transposition",
            _ => "transposition across the other diagonal",
        })
    }
}

/// A sink that gets every frame turned upright.
pub struct Turned<'a> {
    /// Where the frames go.
    pub to: &'a mut dyn Sink,
    /// How they are turned.
    pub by: Orientation,
    /// The format that they are handed on in.
    pub format: PixelFormat,
}

impl Sink for Turned<'_> {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()> {
        let frame = self.by.turn(frame, self.format)?;
        let left = self.by.turn(left, self.format)?;
        self.to.put(number, ticks, &frame, &left)
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

    fn yuv(chroma: Chroma, siting: Siting) -> PixelFormat {
        let matrix = Matrix::Bt709;
        PixelFormat::Yuv(YuvFormat { chroma, depth: 8, matrix, full_range: false, siting })
    }

    #[test]
    fn every_orientation_moves_each_pixel_where_its_matrix_says() {
        let size = FrameSize::new(3, 2);
        let pixel = |x: usize, y: usize| [x as u8, y as u8, 7];
        let pixels = (0..2).flat_map(|y| (0..3).flat_map(move |x| pixel(x, y)));
        let frame = Frame::rgb8(size, pixels.collect()).unwrap();
        for [a, b, c, d] in ALL {
            let by = Orientation::of_matrix([a, b, c, d].map(|v| v * 65536)).unwrap();
            let turned = by.turn(&frame, PixelFormat::Rgb8).unwrap();
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

    #[test]
    fn degrees_and_matrices_agree() {
        // As ffprobe reports a phone's upright video: -90 degrees, clockwise.
        let clockwise = Orientation::of_degrees(-90).unwrap();
        assert_eq!(Some(clockwise), Orientation::of_matrix([0, 65536, -65536, 0]));
        assert_eq!(clockwise.to_string(), "90 degrees clockwise");
        assert_eq!(Orientation::of_degrees(0), Some(Orientation::IDENTITY));
        assert_eq!(Orientation::of_degrees(45), None);
        assert_eq!(Orientation::of_matrix([46341, 46341, -46341, 46341]), None);
        assert_eq!(Orientation::of_matrix([0, 0, 0, 0]), None);
        assert!(Orientation::of_matrix([-65536, 0, 0, 65536]).unwrap().mirrored());
    }

    #[test]
    fn chroma_is_resampled_only_where_it_would_move() {
        let even = FrameSize::new(4, 2);
        let half = Orientation::of_degrees(180).unwrap();
        let quarter = Orientation::of_degrees(90).unwrap();
        let upside_down = Orientation::of_matrix([1, 0, 0, -1]).unwrap();
        let same = |by: Orientation, size, format| by.turnable(size, format) == format;
        assert!(same(quarter, even, yuv(Chroma::Yuv420, Siting::Center)));
        assert!(same(quarter, even, yuv(Chroma::Yuv444, Siting::Left)));
        assert!(same(upside_down, even, yuv(Chroma::Yuv420, Siting::Left)));
        assert!(same(upside_down, even, yuv(Chroma::Yuv422, Siting::TopLeft)));
        assert!(!same(half, even, yuv(Chroma::Yuv420, Siting::Left)));
        assert!(!same(quarter, even, yuv(Chroma::Yuv420, Siting::Left)));
        assert!(!same(quarter, even, yuv(Chroma::Yuv422, Siting::Center)));
        assert!(!same(half, FrameSize::new(5, 2), yuv(Chroma::Yuv420, Siting::Center)));
    }

    #[test]
    fn turning_back_gives_the_frame_in_its_own_format() {
        let size = FrameSize::new(6, 4);
        let format = yuv(Chroma::Yuv420, Siting::Left);
        let PixelFormat::Yuv(yuv) = format else { unreachable!() };
        let mut samples: Vec<u8> = (0..24).map(|at| 16 + at * 8).collect();
        samples.extend([90; 6]);
        samples.extend([160; 6]);
        let frame = Frame::yuv8(size, yuv, samples).unwrap();
        let quarter = Orientation::of_degrees(90).unwrap();
        let turned = quarter.turn(&frame, format).unwrap();
        assert_eq!((turned.size(), turned.format()), (FrameSize::new(4, 6), format));
        let back = Orientation::of_degrees(-90).unwrap().turn(&turned, format).unwrap();
        let off = back.as_yuv8().unwrap().iter().zip(frame.as_yuv8().unwrap());
        assert!(off.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
    }
}
