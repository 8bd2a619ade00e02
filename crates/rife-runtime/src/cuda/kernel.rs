//! Descriptions of the kernels: the parameters they are compiled with, and their launch dimensions.

use super::tile::Tile;
use super::variant::{Products, Variant};

/// The input of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConvInput {
    /// A tensor.
    Tensor,
    /// A block's input after `levels` blocks, computed in the kernel. `taps` is 1 if the block
    /// works at the frame's size, else 4.
    Block { levels: usize, taps: usize, residuals: RoundingResiduals },
    /// A frame's RGB.
    Image { residuals: RoundingResiduals },
}

/// Channels that also carry their F16 rounding residual in channels that would be zero otherwise.
/// The same weights multiply both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RoundingResiduals {
    None,
    Flow,
    All,
}

/// How many F16 values represent each number that a convolution reads or writes: 1, or 2 (a hi/lo
/// split: the rounded number and its rounding residual) where rounding to one would show in the
/// frame. Within a pixel, the residuals of all channels follow the rounded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

impl Terms {
    pub(crate) const ONE: Self = Self { input: 1, output: 1 };
}

/// The operation after the sum of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Epilogue {
    /// Bias, LeakyReLU.
    Leaky,
    /// Bias, adding the input of the convolution, LeakyReLU.
    Residual,
    /// Bias.
    Bias,
}

/// The operation after the sum of a transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DeconvEpilogue {
    /// Flow, mask and feature of a block.
    Estimate,
    /// The interpolated frame, after `levels` blocks before this one.
    Blend { levels: usize },
    /// Encoder features, stored in the frame's pixels.
    Features,
}

/// One kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    /// 3x3, padding 1.
    Conv {
        cin: usize,
        cout: usize,
        stride: usize,
        source: ConvInput,
        epilogue: Epilogue,
        terms: Terms,
        tile: Tile,
    },
    /// Transposed 4x4, stride 2, padding 1; `columns` of each phase are computed.
    Deconv { cin: usize, columns: usize, epilogue: DeconvEpilogue, tile: Tile },
    /// Converts an uploaded RGB frame to the pixels that the network reads.
    Frame,
    /// Converts an uploaded YUV frame to the pixels that the network reads.
    YuvDecode,
    /// Converts planar F32 frames to YUV.
    YuvEncode,
    /// A block's input as a tensor.
    Input { cin: usize, levels: usize, taps: usize, residuals: RoundingResiduals },
    /// LeakyReLU of a tensor, after adding the residual if there is one. `terms` as in [`Terms`];
    /// with two terms there is no residual.
    Pointwise { channels: usize, terms: usize },
    /// The interpolated frame, from every block's estimate.
    Blend { levels: usize },
    /// The mean of the ensemble's two estimates.
    Merge,
    /// Writes the items to device memory.
    Items,
    /// Only products, to measure the peak throughput.
    Peak,
}

/// Rows and columns of the input that a tile of a 3x3 convolution reads.
pub(super) const fn halo(tile: Tile, stride: usize) -> (usize, usize) {
    ((tile.rows - 1) * stride + 3, (tile.columns - 1) * stride + 3)
}

/// Threads of a block of the kernels that have no tile.
pub(crate) const PLAIN_THREADS: usize = 256;

impl Kernel {
    /// Threads of a block.
    pub(crate) fn threads(&self) -> usize {
        match self {
            Self::Conv { tile, .. } if tile.warpgroups > 0 => 128 * (tile.warpgroups + 1),
            Self::Conv { tile, .. } | Self::Deconv { tile, .. } => 32 * tile.warps_m * tile.warps_n,
            Self::Items => super::abi::MAX_ITEMS,
            _ => PLAIN_THREADS,
        }
    }

    /// Bytes of dynamic shared memory.
    pub(crate) fn shared(&self, v: &Variant) -> usize {
        let halo_bytes = |cin: usize, terms: Terms, tile, stride| {
            let (h, w) = halo(tile, stride);
            h * w * (terms.input * cin * v.element() + 16)
        };
        match *self {
            Self::Conv { cin, tile, .. } if tile.warpgroups > 0 => {
                let weights = 9 * cin * tile.channels * 2;
                // The layout of `conv_wgmma.cu`: planes of eight channels.
                let (h, w) = halo(tile, 1);
                let plane = (h * w + 6) / 8 * 8 + 1;
                let halos = tile.halos * (plane * cin * 2).next_multiple_of(128);
                weights + halos + 8 * (2 * tile.halos + tile.warpgroups + 1)
            }
            Self::Conv { cin, stride, terms, tile, .. } => {
                let weights = match tile.stages {
                    0 => 9 * cin * tile.channels * v.element(),
                    n => n * tile.channels * v.part(cin) * v.element(),
                };
                tile.halos * halo_bytes(cin, terms, tile, stride) + weights
            }
            Self::Deconv { cin, tile, epilogue, .. } => {
                let channels = if tile.is_persistent() { cin } else { v.part(cin) };
                // Flow and mask of the 16 output pixels of each input pixel.
                let staged = match epilogue {
                    DeconvEpilogue::Blend { .. } => 16 * tile.rows * tile.columns * 20,
                    _ => 0,
                };
                let weights = 4 * tile.channels * channels * v.element();
                weights + (tile.halos * halo_bytes(cin, Terms::ONE, tile, 1)).max(staged)
            }
            _ => 0,
        }
    }

    /// The number of thread blocks that the channels or phases of a tile are split over.
    pub(crate) fn splits(&self) -> usize {
        match self {
            Self::Conv { cout, tile, .. } => cout / tile.channels,
            Self::Deconv { columns, tile, .. } => 4 * columns / tile.channels,
            _ => 1,
        }
    }

    /// The tile, if the kernel has one.
    pub(crate) fn tile(&self) -> Option<Tile> {
        match self {
            Self::Conv { tile, .. } | Self::Deconv { tile, .. } => Some(*tile),
            _ => None,
        }
    }

    /// A short description for reports.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Conv { cin, cout, stride, terms, tile, .. } => {
                let times =
                    if terms.input == 1 { String::new() } else { format!("{}x ", terms.input) };
                format!("conv {times}{cin}>{cout} s{stride} {tile}")
            }
            Self::Deconv { cin, columns, tile, .. } => format!("deconv {cin}>{columns} {tile}"),
            other => format!("{other:?}"),
        }
    }

    /// The same kernel with another tile.
    pub(crate) fn with_tile(self, to: Tile) -> Self {
        match self {
            Self::Conv { cin, cout, stride, source, epilogue, terms, .. } => {
                Self::Conv { cin, cout, stride, source, epilogue, terms, tile: to }
            }
            Self::Deconv { cin, columns, epilogue, .. } => {
                Self::Deconv { cin, columns, epilogue, tile: to }
            }
            other => other,
        }
    }
}

impl Variant {
    /// The number format of a kernel's products.
    pub(crate) const fn products(&self, kernel: &Kernel) -> Products {
        let stride = match kernel {
            Kernel::Deconv { .. } => None,
            Kernel::Conv { stride, .. } => Some(*stride),
            // These kernels multiply nothing, except `Peak`, which measures the products of most of
            // the network.
            _ => Some(1),
        };
        Products::of(self.precision, stride)
    }
}
