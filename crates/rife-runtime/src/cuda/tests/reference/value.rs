//! Values with error bounds, and their storage formats.

use super::{SLOPE, U};
use crate::Precision;
use crate::cuda::plan::BufferId;
use crate::cuda::variant::Variant;

/// A value, and a bound on the error of a kernel's result. An infinite bound allows any result: the
/// value depends on a non-finite one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::cuda::tests) struct Approx {
    pub(in crate::cuda::tests) v: f64,
    pub(in crate::cuda::tests) e: f64,
}

impl Approx {
    pub(in crate::cuda::tests) const fn exact(v: f64) -> Self {
        Self { v, e: 0.0 }
    }

    /// Allows any result.
    pub(super) const ANYTHING: Self = Self { v: f64::NAN, e: f64::INFINITY };

    /// Allows any result if the value or its bound is not finite.
    pub(super) const fn of(v: f64, e: f64) -> Self {
        if v.is_finite() && e.is_finite() { Self { v, e } } else { Self::ANYTHING }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let v = self.v + other.v;
        Self::of(v, self.e + other.e + U * v.abs())
    }

    /// Multiplies by an exact number.
    pub(super) fn times(self, k: f64) -> Self {
        let v = self.v * k;
        Self::of(v, self.e * k.abs() + U * v.abs())
    }

    /// Linear interpolation. In any formulation, a kernel rounds three times, values no larger than
    /// the difference.
    pub(super) fn mix(self, to: Self, f: f64) -> Self {
        let v = self.v + (to.v - self.v) * f;
        let max = self.v.abs().max(to.v.abs());
        let rounding = if self.v == to.v { 1.0 } else { 6.0 };
        Self::of(v, self.e.max(to.e) + rounding * U * max)
    }

    pub(super) fn leaky(self) -> Self {
        // The slope is at most 1, so the error does not grow.
        let v = self.v.max(self.v * SLOPE);
        Self::of(v, self.e + U * v.abs())
    }
}

/// The type of a stored element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cuda::tests) enum Element {
    U8,
    U16,
    Half,
    Float,
}

impl Element {
    pub(in crate::cuda::tests) const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::Half => 2,
            Self::Float => 4,
        }
    }

    /// Rounds a value to the nearest that can be stored. Monotonic.
    pub(in crate::cuda::tests) fn round(self, v: f64) -> f64 {
        let integer = |max: f64| {
            if v.is_nan() { 0.0 } else { v.clamp(0.0, max).round_ties_even() }
        };
        match self {
            Self::U8 => integer(255.0),
            Self::U16 => integer(65535.0),
            Self::Half => f64::from(half::f16::from_f32(v as f32).to_f32()),
            Self::Float => f64::from(v as f32),
        }
    }

    pub(in crate::cuda::tests) fn write(self, v: f64, to: &mut [u8]) {
        let v = self.round(v);
        match self {
            Self::U8 => to[0] = v as u8,
            Self::U16 => to.copy_from_slice(&(v as u16).to_le_bytes()),
            Self::Half => to.copy_from_slice(&half::f16::from_f64(v).to_le_bytes()),
            Self::Float => to.copy_from_slice(&(v as f32).to_le_bytes()),
        }
    }

    pub(in crate::cuda::tests) fn read(self, from: &[u8]) -> f64 {
        match self {
            Self::U8 => f64::from(from[0]),
            Self::U16 => f64::from(u16::from_le_bytes([from[0], from[1]])),
            Self::Half => half::f16::from_le_bytes([from[0], from[1]]).to_f64(),
            Self::Float => f64::from(f32::from_le_bytes([from[0], from[1], from[2], from[3]])),
        }
    }
}

/// The type of stored activations.
pub(in crate::cuda::tests) const fn activation(v: &Variant) -> Element {
    if matches!(v.precision, Precision::F16) { Element::Half } else { Element::Float }
}

/// Rounds a number to a sum of `terms` F16 values, see `Terms`. Monotonic.
pub(in crate::cuda::tests) fn in_terms(terms: usize, v: f64) -> f64 {
    let first = Element::Half.round(v);
    if terms == 1 || (v as f32).abs() > 65504.0 || v.is_nan() {
        return first;
    }
    first + Element::Half.round(f64::from(v as f32) - first)
}

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cuda::tests) enum Place {
    Buffer(BufferId),
    Image(usize),
    Out(usize),
}

/// The layout of the numbers in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cuda::tests) enum Format {
    All(Element),
    /// Frames as the network reads them in F16: integers, and features in F16.
    /// `elements` per pixel.
    Pixels {
        elements: usize,
    },
    /// Hi/lo splits: the rounded values of `run` numbers, followed by their residuals.
    Pairs {
        run: usize,
    },
    /// The input of a block. Channel `c` of a pixel is a hi/lo split if `residual[c]` is the
    /// channel of its residual. Channels are `stride` elements apart.
    Inputs {
        residual: [u8; MAX_INPUTS],
        channels: usize,
        stride: usize,
    },
}

/// The most channels of a block's input.
const MAX_INPUTS: usize = 96;

/// A channel without a residual.
const NO_RESIDUAL: u8 = 255;
/// A channel that is the residual of another.
const IS_RESIDUAL: u8 = 254;

impl Format {
    /// The layout of a block's input, from the published channel of each of its channels.
    pub(super) fn inputs(order: &[Option<usize>], stride: usize) -> Self {
        let mut residual = [NO_RESIDUAL; MAX_INPUTS];
        for (place, channel) in order.iter().enumerate() {
            let first = order.iter().position(|c| channel.is_some() && c == channel);
            if let Some(first) = first.filter(|first| *first < place) {
                (residual[first], residual[place]) = (place as u8, IS_RESIDUAL);
            }
        }
        Self::Inputs { residual, channels: order.len(), stride }
    }

    /// The indices of the rounded value and of the residual of number `index`. `None` if the number
    /// is itself a residual.
    fn elements(self, index: usize) -> Option<(usize, Option<usize>)> {
        match self {
            Self::Pairs { run } => {
                let first = index + index / run * run;
                Some((first, Some(first + run)))
            }
            Self::Inputs { residual, channels, stride } => {
                let channel = index / stride % channels;
                match residual[channel] {
                    IS_RESIDUAL => None,
                    NO_RESIDUAL => Some((index, None)),
                    other => Some((index, Some(index + (usize::from(other) - channel) * stride))),
                }
            }
            _ => Some((index, None)),
        }
    }

    pub(in crate::cuda::tests) fn at(self, index: usize) -> Element {
        match self {
            Self::All(element) => element,
            Self::Pairs { .. } | Self::Inputs { .. } => Element::Half,
            Self::Pixels { elements } if index % elements >= 4 => Element::Half,
            Self::Pixels { .. } => Element::U16,
        }
    }

    /// The count of numbers in `bytes` bytes.
    pub(in crate::cuda::tests) fn count(self, bytes: usize) -> usize {
        let each = if let Self::Pairs { .. } = self { 2 } else { 1 };
        bytes / self.at(0).bytes() / each
    }

    /// Writes the numbers that are not `None`.
    pub(in crate::cuda::tests) fn write(self, values: &[Option<f64>], to: &mut [u8]) {
        let size = self.at(0).bytes();
        let known = values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?)));
        for (i, v) in known {
            let Some((first, second)) = self.elements(i) else { continue };
            self.at(i).write(v, &mut to[first * size..][..size]);
            if let Some(second) = second {
                let rest = in_terms(2, v) - Element::Half.round(v);
                let rest = if rest.is_finite() { rest } else { 0.0 };
                Element::Half.write(rest, &mut to[second * size..][..size]);
            }
        }
    }

    /// Reads every number of a place; residuals are read as 0.
    pub(super) fn read(self, from: &[u8]) -> Vec<f64> {
        let size = self.at(0).bytes();
        let at = |i: usize, place: usize| self.at(i).read(&from[place * size..][..size]);
        let number = |i: usize| {
            let Some((first, second)) = self.elements(i) else { return 0.0 };
            let rest = second.map(|second| at(i, second));
            rest.map_or_else(|| at(i, first), |rest| at(i, first) + rest)
        };
        (0..self.count(from.len())).map(number).collect()
    }

    /// Rounds a number to the nearest that can be stored at `index`. Monotonic.
    fn round(self, index: usize, v: f64) -> f64 {
        match self.elements(index) {
            Some((_, Some(_))) => in_terms(2, v),
            _ => self.at(index).round(v),
        }
    }

    pub(in crate::cuda::tests) fn image(v: &Variant) -> Self {
        match v.precision {
            Precision::F16 => Self::Pixels { elements: v.pixel() / 2 },
            _ => Self::All(Element::Float),
        }
    }
}

/// The output of a step: the values of a place from its start. `None` where the step does not
/// write.
#[derive(Clone, Debug)]
pub(in crate::cuda::tests) struct Output {
    pub(in crate::cuda::tests) place: Place,
    pub(in crate::cuda::tests) format: Format,
    pub(in crate::cuda::tests) values: Vec<Option<Approx>>,
}

impl Output {
    pub(super) fn all(place: Place, element: Element, values: Vec<Approx>) -> Self {
        let values = values.into_iter().map(Some).collect();
        Self { place, format: Format::All(element), values }
    }

    pub(in crate::cuda::tests) fn write(&self, to: &mut [u8]) {
        let values: Vec<_> = self.values.iter().map(|value| Some((*value)?.v)).collect();
        self.format.write(&values, to);
    }

    /// Checks the content of a place after a kernel has run on `before`.
    ///
    /// # Errors
    /// A description of the worst difference.
    pub(in crate::cuda::tests) fn check(&self, before: &[u8], after: &[u8]) -> Result<(), String> {
        let (mut wrong, mut worst) = (0, (0.0, String::new()));
        let values = self.values.iter().copied().chain(std::iter::repeat(None));
        let numbers = self.format.read(before).into_iter().zip(self.format.read(after));
        for (i, ((before, got), value)) in numbers.zip(values).enumerate() {
            let element = self.format.at(i);
            let by = match value {
                None if before.to_bits() == got.to_bits() => continue,
                None => f64::INFINITY,
                Some(value) if value.e == f64::INFINITY => continue,
                Some(Approx { v, e }) => {
                    // Rounding is monotonic, so every value within the bounds is stored within the
                    // rounded bounds.
                    let (min, max) = (self.format.round(i, v - e), self.format.round(i, v + e));
                    if (min..=max).contains(&got) {
                        continue;
                    }
                    if got.is_nan() { f64::INFINITY } else { (got - v).abs() / e.max(1e-30) }
                }
            };
            wrong += 1;
            if by >= worst.0 {
                worst = (by, format!("element {i} ({element:?}) is {got}, expected {value:?}"));
            }
        }
        match wrong {
            0 => Ok(()),
            n => Err(format!("{:?}: {n} of {}: {}", self.place, self.values.len(), worst.1)),
        }
    }
}
