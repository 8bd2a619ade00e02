//! The parameters that all kernels of an engine share: precision, layout and model.

use rife_model::{MaskUpdate, ModelSpec, Scale};

use super::abi::MAX_LEVELS;
use crate::Precision;

/// The memory layout of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layout {
    /// NHWC.
    ChannelsLast,
    /// NCHW.
    Planar,
}

/// The number format of a convolution's operands. Sums are F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Products {
    /// F16: 11 bits of mantissa.
    F16,
    /// TF32: 11 bits of mantissa, the range of F32.
    Tf32,
    /// Each product as three BF16 products of hi/lo split operands: 16 bits of mantissa, the
    /// range of F32. Takes half the time of [`Products::ThreeOfTf32`].
    ThreeOfBf16,
    /// Each product as three TF32 products of hi/lo split operands: as accurate as F32.
    ThreeOfTf32,
}

impl Products {
    /// The products of a layer, by the stride of a convolution; `None` for a transposed one.
    ///
    /// Almost all of TF32's error comes from the layers that change the resolution: the strided
    /// convolutions at the start of a block or encoder, and the transposed ones that compute flow
    /// or features. They are a small part of the work, so their operands keep 16 bits of mantissa.
    pub(crate) const fn of(precision: Precision, stride: Option<usize>) -> Self {
        let sensitive = !matches!(stride, Some(1));
        match precision {
            Precision::F16 => Self::F16,
            Precision::Tf32 if sensitive => Self::ThreeOfBf16,
            Precision::Tf32 => Self::Tf32,
            _ => Self::ThreeOfTf32,
        }
    }
}

/// The parameters that all kernels of an engine share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    /// F16, TF32 or F32.
    pub(crate) precision: Precision,
    pub(crate) layout: Layout,
    /// Encoder features of a frame. With features, each block passes a feature to the next.
    pub(crate) features: usize,
    /// Whether a block's mask replaces that of the block before it.
    pub(crate) mask_replaced: bool,
    /// Log2 of each block's divisor.
    pub(crate) log2_divisors: [i8; MAX_LEVELS],
    /// Whether `wgmma` is used where possible: in F16 with channels last.
    pub(crate) wgmma: bool,
}

impl Variant {
    pub(crate) fn new(
        spec: &ModelSpec,
        scale: Scale,
        precision: Precision,
        layout: Layout,
        wgmma: bool,
    ) -> Self {
        Self {
            wgmma: wgmma && precision == Precision::F16 && layout == Layout::ChannelsLast,
            precision,
            layout,
            features: spec.encoder_channels,
            mask_replaced: spec.mask_update == MaskUpdate::Replace,
            log2_divisors: std::array::from_fn(|i| match i < spec.block_scales.len() {
                true => scale.block_divisor(spec, i).log2() as i8,
                false => 0,
            }),
        }
    }

    /// Bytes of an activation's element.
    pub(crate) const fn element(&self) -> usize {
        if matches!(self.precision, Precision::F16) { 2 } else { 4 }
    }

    /// Channels of one tensor-core step: 32 bytes.
    pub(crate) const fn step(&self) -> usize {
        32 / self.element()
    }

    /// Encoder features of a pixel in memory, filled up to a multiple of 4.
    pub(crate) const fn stored_features(&self) -> usize {
        self.features.next_multiple_of(4)
    }

    /// The offset of a pixel's features, in bytes: after RGB, where all of them can be loaded in
    /// words of 16 bytes, else of 8.
    pub(crate) const fn features_at(&self) -> usize {
        let bytes = self.stored_features() * self.element();
        if bytes.is_multiple_of(16) { 16 } else { 4 * self.element() }
    }

    /// Bytes of a frame's pixel as the network reads it.
    pub(crate) const fn pixel(&self) -> usize {
        match self.stored_features() {
            0 => 4 * self.element(),
            n => (self.features_at() + n * self.element()).next_multiple_of(16),
        }
    }

    /// Input channels of a slab of weights: one tap's products over these channels are summed
    /// first.
    pub(crate) const fn part(&self, cin: usize) -> usize {
        let (max, step) = (128 / self.element(), self.step());
        let mut parts = cin.div_ceil(max);
        while !(cin.is_multiple_of(parts) && (cin / parts).is_multiple_of(step)) {
            parts += 1;
        }
        cin / parts
    }
}
