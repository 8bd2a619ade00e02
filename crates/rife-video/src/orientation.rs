//! Rotation and mirroring by right angles.

use rife_runtime::FrameSize;

use crate::Rational;

/// One of the eight combinations of rotation by right angles and mirroring.
///
/// The point (x, y) of the stored picture, with y downwards, maps to (a x + c y, b x + d y).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {
    pub(crate) a: i8,
    pub(crate) b: i8,
    pub(crate) c: i8,
    pub(crate) d: i8,
}

impl Orientation {
    /// No rotation.
    pub const IDENTITY: Self = Self { a: 1, b: 0, c: 0, d: 1 };

    /// Parses the upper left 2x2 part of a display matrix; `None` for other angles, scales and
    /// shears.
    pub fn from_matrix([a, b, c, d]: [i64; 4]) -> Option<Self> {
        let scale = a.unsigned_abs().max(b.unsigned_abs());
        let unit = |value: i64| {
            let size = value.unsigned_abs();
            // Some writers round the sine and cosine.
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

    /// A rotation by `degrees`, counter-clockwise; `None` unless it is a multiple of 90.
    pub fn from_degrees(degrees: i32) -> Option<Self> {
        let (cos, sin) = match degrees.rem_euclid(360) {
            0 => (1, 0),
            90 => (0, 1),
            180 => (-1, 0),
            270 => (0, -1),
            _ => return None,
        };
        // Counter-clockwise as displayed, with y downwards.
        Some(Self { a: cos, b: -sin, c: sin, d: cos })
    }

    /// Whether the picture is mirrored.
    pub const fn is_mirrored(self) -> bool {
        self.a * self.d - self.b * self.c < 0
    }

    /// Whether width and height are swapped.
    pub const fn swaps_dimensions(self) -> bool {
        self.a == 0
    }

    /// Size of the rotated picture.
    pub const fn size(self, size: FrameSize) -> FrameSize {
        match self.swaps_dimensions() {
            true => FrameSize::new(size.height, size.width),
            false => size,
        }
    }

    /// Pixel aspect ratio (width / height) of the rotated picture.
    pub fn sample_aspect(self, aspect: Rational) -> Rational {
        if self.swaps_dimensions() { aspect.recip() } else { aspect }
    }
}

impl std::fmt::Display for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.a, self.b, self.c, self.d) {
            (1, ..) if !self.is_mirrored() => "none",
            (1, ..) => "vertical flip",
            (-1, ..) if !self.is_mirrored() => "180 degrees",
            (-1, ..) => "horizontal flip",
            (_, -1, 1, _) => "90 degrees counter-clockwise",
            (_, 1, -1, _) => "90 degrees clockwise",
            (_, 1, ..) => "transposition",
            _ => "transposition across the other diagonal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_and_matrices_agree() {
        // As ffprobe reports portrait video of a phone: -90 degrees, clockwise.
        let clockwise = Orientation::from_degrees(-90).unwrap();
        assert_eq!(Some(clockwise), Orientation::from_matrix([0, 65536, -65536, 0]));
        assert_eq!(clockwise.to_string(), "90 degrees clockwise");
        assert_eq!(Orientation::from_degrees(0), Some(Orientation::IDENTITY));
        assert_eq!(Orientation::from_degrees(45), None);
        assert_eq!(Orientation::from_matrix([46341, 46341, -46341, 46341]), None);
        assert_eq!(Orientation::from_matrix([0, 0, 0, 0]), None);
        assert!(Orientation::from_matrix([-65536, 0, 0, 65536]).unwrap().is_mirrored());
    }
}
