//! The resolution that flow is estimated at, and the padding that follows from it.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

use crate::error::UnknownScale;
use crate::{ModelError, ModelSpec};

/// The resolution that flow is estimated at, relative to the published recipe: every block's
/// scale is divided by it. [`Scale::Half`] estimates flow at half size, which suits 4K frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scale {
    /// 0.25
    Quarter,
    /// 0.5
    Half,
    /// 1, the published recipe.
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

    /// What block `index`'s input is divided by at this scale; may be below 1. Exact: every
    /// factor is a power of two.
    pub fn block_divisor(self, spec: &ModelSpec, index: usize) -> f64 {
        spec.block_scales[index] as f64 / self.factor()
    }

    /// What frame sides are padded to a multiple of, in px.
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

/// A frame's size and the size it is padded to for the network, in px. Padding is zeros at the
/// right and at the bottom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// The frame's height.
    pub height: usize,
    /// The frame's width.
    pub width: usize,
    /// The height that the network sees.
    pub padded_height: usize,
    /// The width that the network sees.
    pub padded_width: usize,
}

impl Padding {
    /// The least padding that `spec` needs at `scale`.
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
    /// When the frame is not of this padding's size.
    pub fn pad(&self, frame: &Tensor) -> Result<Tensor, ModelError> {
        self.expect("Padding::pad", frame, self.height, self.width)?;
        Ok(frame.pad_with_zeros(2, 0, self.padded_height - self.height)?.pad_with_zeros(
            3,
            0,
            self.padded_width - self.width,
        )?)
    }

    /// Crops `(B, C, padded_height, padded_width)` back to `(B, C, height, width)`.
    ///
    /// # Errors
    /// When the frame is not of the padded size.
    pub fn crop(&self, frame: &Tensor) -> Result<Tensor, ModelError> {
        self.expect("Padding::crop", frame, self.padded_height, self.padded_width)?;
        Ok(frame.narrow(2, 0, self.height)?.narrow(3, 0, self.width)?.contiguous()?)
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
    fn padding_is_the_least_multiple() {
        let p = Padding::new(1080, 1920, &ModelSpec::V4_6, Scale::One);
        assert_eq!((p.padded_height, p.padded_width), (1088, 1920));
        let p = Padding::new(1080, 1920, &ModelSpec::V4_25, Scale::Half);
        assert_eq!((p.padded_height, p.padded_width), (1152, 1920));
        let p = Padding::new(8, 8, &ModelSpec::V4_6, Scale::Four);
        assert_eq!((p.padded_height, p.padded_width), (8, 8));
    }

    #[test]
    fn scales_parse_as_they_print_and_by_value() {
        for s in Scale::ALL {
            assert_eq!(s.to_string().parse(), Ok(s));
        }
        assert_eq!("1.0".parse(), Ok(Scale::One));
        for bad in ["3", "0", "-1", "nan", "", "one"] {
            assert!(bad.parse::<Scale>().is_err(), "{bad}");
        }
    }
}
