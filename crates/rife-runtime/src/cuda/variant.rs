//! The parameters that all kernels of an engine share: precision, layout and model.

use rife_model::{MaskUpdate, ModelSpec, Scale};

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
    /// Whether pixels carry encoder features and each block passes a feature to the next.
    pub(crate) features: bool,
    /// Whether a block's mask replaces that of the block before it.
    pub(crate) mask_replaced: bool,
    /// Log2 of the first block's divisor; each following block's divisor is half of it.
    pub(crate) coarsest: i32,
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
            features: spec.has_encoder(),
            mask_replaced: spec.mask_update == MaskUpdate::Replace,
            coarsest: scale.block_divisor(spec, 0).log2() as i32,
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

    /// Bytes of a frame's pixel as the network reads it.
    pub(crate) const fn pixel(&self) -> usize {
        4 * self.element() * if self.features { 2 } else { 1 }
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
