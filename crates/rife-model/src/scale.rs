//! The resolution at which flow is estimated, and the padding that it requires.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

use crate::error::UnknownScale;
use crate::{ModelError, ModelSpec};

/// The resolution at which flow is estimated, relative to the published default. The divisor of
/// each block is divided by it. [`Scale::Half`] estimates flow at half resolution, which suits 4K
/// frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scale {
    /// 0.25
    Quarter,
    /// 0.5
    Half,
    /// 1, the published default.
    #[default]
    One,
    /// 2
    Two,
    /// 4
    Four,
}

impl Scale {
    /// Every scale, smallest first.
    pub const ALL: [Self; 5] = [Self::Quarter, Self::Half, Self::One, Self::Two, Self::Four];

    /// The scale as a factor.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Quarter => 0.25,
            Self::Half => 0.5,
            Self::One => 1.0,
            Self::Two => 2.0,
            Self::Four => 4.0,
        }
    }

    /// The divisor of the input size of block `index` at this scale; may be below 1. Exact, since
    /// every factor is a power of two.
    pub fn block_divisor(self, spec: &ModelSpec, index: usize) -> f64 {
        spec.block_scales[index] as f64 / self.factor()
    }

    /// Width and height are padded to a multiple of this, in px.
    ///
    /// ```
    /// use rife_model::{ModelSpec, Scale};
    /// assert_eq!(Scale::One.pad_multiple(&ModelSpec::V4_6), 32);
    /// assert_eq!(Scale::Half.pad_multiple(&ModelSpec::V4_25), 128);
    /// ```
    pub fn pad_multiple(self, spec: &ModelSpec) -> usize {
        (spec.pad_multiple() as f64 / self.factor()) as usize
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor())
    }
}

impl FromStr for Scale {
    type Err = UnknownScale;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let factor: f64 = s.parse().map_err(|_| UnknownScale(s.to_owned()))?;
        Self::ALL
            .into_iter()
            .find(|v| v.factor() == factor)
            .ok_or_else(|| UnknownScale(s.to_owned()))
    }
}

/// The size of a frame and its padded size for the network, in px. Padding adds zeros on the right
/// and at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// The height of the frame.
    pub height: usize,
    /// The width of the frame.
    pub width: usize,
    /// The height of the network's input.
    pub padded_height: usize,
    /// The width of the network's input.
    pub padded_width: usize,
}

impl Padding {
    /// The smallest padding that `spec` requires at `scale`.
    pub fn new(height: usize, width: usize, spec: &ModelSpec, scale: Scale) -> Self {
        let m = scale.pad_multiple(spec);
        Self {
            height,
            width,
            padded_height: height.next_multiple_of(m),
            padded_width: width.next_multiple_of(m),
        }
    }

    /// Pads `(B, C, height, width)` to `(B, C, padded_height, padded_width)`.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the frame has another size.
    pub fn pad(&self, frame: &Tensor) -> Result<Tensor, ModelError> {
        self.expect("Padding::pad", frame, self.height, self.width)?;
        let (bottom, right) = (self.padded_height - self.height, self.padded_width - self.width);
        frame
            .pad_with_zeros(2, 0, bottom)
            .and_then(|frame| frame.pad_with_zeros(3, 0, right))
            .map_err(ModelError::Candle)
    }

    /// Crops `(B, C, padded_height, padded_width)` back to `(B, C, height, width)`.
    ///
    /// # Errors
    /// [`ModelError::Input`] when the frame does not have the padded size.
    pub fn crop(&self, frame: &Tensor) -> Result<Tensor, ModelError> {
        self.expect("Padding::crop", frame, self.padded_height, self.padded_width)?;
        frame
            .narrow(2, 0, self.height)
            .and_then(|frame| frame.narrow(3, 0, self.width)?.contiguous())
            .map_err(ModelError::Candle)
    }

    fn expect(
        &self,
        op: &'static str,
        frame: &Tensor,
        height: usize,
        width: usize,
    ) -> Result<(), ModelError> {
        match frame.dims() {
            [_, _, h, w] if (*h, *w) == (height, width) => Ok(()),
            got => Err(ModelError::input(
                op,
                format!("(batch, channels, {height}, {width})"),
                format!("{got:?}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_the_next_multiple() {
        let p = Padding::new(1080, 1920, &ModelSpec::V4_6, Scale::One);
        assert_eq!((p.padded_height, p.padded_width), (1088, 1920));
        let p = Padding::new(1080, 1920, &ModelSpec::V4_25, Scale::Half);
        assert_eq!((p.padded_height, p.padded_width), (1152, 1920));
        let p = Padding::new(8, 8, &ModelSpec::V4_6, Scale::Four);
        assert_eq!((p.padded_height, p.padded_width), (8, 8));
    }

    #[test]
    fn scales_parse_from_display_and_from_equal_values() {
        for s in Scale::ALL {
            assert_eq!(s.to_string().parse(), Ok(s));
        }
        assert_eq!("1.0".parse(), Ok(Scale::One));
        for bad in ["3", "0", "-1", "nan", "", "one"] {
            assert!(bad.parse::<Scale>().is_err(), "{bad}");
        }
    }
}
