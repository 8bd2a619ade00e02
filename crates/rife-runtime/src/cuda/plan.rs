//! The launches that encode a frame and interpolate one: kernels, shapes, and the offset of every
//! buffer. Plain arithmetic that needs no GPU.

mod build;

use rife_model::{ModelSpec, Padding, Scale};

use super::kernel::{Kernel, RoundingResiduals};
use super::tile::{Card, Extent, Tile};
use super::variant::{Products, Variant};
use crate::{FrameSize, Optimizations, Precision};

/// A layer's weights, and how they are packed for the kernels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layer {
    /// The layer's path in the published `state_dict`.
    pub(crate) path: String,
    /// The path of the tensor that scales its output, if any.
    pub(crate) beta: Option<String>,
    pub(crate) kind: LayerKind,
}

/// The shape of a layer, and the order in which its weights are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LayerKind {
    /// `cin` published input channels, `padded` ones in the kernel; `outputs` published output
    /// channels, `columns` in the kernel.
    Conv {
        cin: usize,
        padded: usize,
        outputs: usize,
        columns: usize,
        order: ChannelOrder,
        stride: usize,
    },
    /// The same, with `columns` of each phase. `shuffled`: column 8j + 2t + e is channel 2j + e of
    /// sub-pixel t.
    Deconv { cin: usize, padded: usize, outputs: usize, columns: usize, shuffled: bool },
}

/// The order of a convolution's input channels in the kernel, see
/// [`super::pack::input_channels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChannelOrder {
    /// The published order.
    Published,
    /// RGB, then its rounding residuals.
    Image(RoundingResiduals),
    /// A block's input, as the kernels compute it, with `features` encoder features of each frame.
    /// `handed_on`: channels of the feature of the block before; `None` for the first block.
    Block { residuals: RoundingResiduals, features: usize, handed_on: Option<usize> },
}

impl LayerKind {
    /// Elements of the packed weights.
    pub(crate) fn weights(&self) -> usize {
        match *self {
            Self::Conv { padded, columns, .. } => 9 * padded * columns,
            Self::Deconv { padded, columns, .. } => 16 * padded * columns,
        }
    }

    /// Weights per pair of an input and an output channel.
    pub(crate) fn taps(&self) -> usize {
        match self {
            Self::Conv { .. } => 9,
            Self::Deconv { .. } => 16,
        }
    }

    /// The number format of its products.
    pub(crate) fn products(&self, precision: Precision) -> Products {
        let stride = match self {
            Self::Conv { stride, .. } => Some(*stride),
            Self::Deconv { .. } => None,
        };
        Products::of(precision, stride)
    }

    /// Elements of the packed bias.
    pub(crate) fn biases(&self) -> usize {
        match *self {
            Self::Conv { columns, .. } | Self::Deconv { columns, .. } => columns,
        }
    }
}

/// A buffer of the arena: an index into [`Plan::buffers`].
pub(crate) type BufferId = usize;

/// A buffer of the arena.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    /// The steps that first write it and last read it.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Its offset in the arena, in bytes.
    pub(crate) offset: usize,
}

/// The output of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) flow: BufferId,
    pub(crate) mask: BufferId,
    pub(crate) feat: Option<BufferId>,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) divisor: f64,
}

/// One launch.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The name in reports, such as `block2.res5`.
    pub(crate) name: String,
    pub(crate) kernel: Kernel,
    pub(crate) layer: Option<usize>,
    pub(crate) src: Option<BufferId>,
    pub(crate) dst: Option<BufferId>,
    pub(crate) residual: Option<BufferId>,
    /// The estimate that the step writes.
    pub(crate) estimate: Option<Estimate>,
    /// The estimates of the earlier blocks.
    pub(crate) levels: Vec<Estimate>,
    /// Rows and columns of the input and the output.
    pub(crate) input: (usize, usize),
    pub(crate) output: (usize, usize),
    /// The number of items.
    pub(crate) batch: usize,
    pub(crate) divisor: f64,
    /// Multiplications and additions of the published layer.
    pub(crate) flops: f64,
    /// Bytes of the tensors, weights and frames that the step reads and writes.
    pub(crate) bytes: f64,
}

impl Step {
    /// A launch on `batch` items that works at one size and uses no buffers.
    fn new(name: impl Into<String>, kernel: Kernel, size: (usize, usize), batch: usize) -> Self {
        Self {
            name: name.into(),
            kernel,
            layer: None,
            src: None,
            dst: None,
            residual: None,
            estimate: None,
            levels: Vec::new(),
            input: size,
            output: size,
            batch,
            divisor: 1.0,
            flops: 0.0,
            bytes: 0.0,
        }
    }

    /// The buffers that it reads and writes.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = BufferId> {
        let estimates = self.estimate.iter().chain(&self.levels);
        let of = |e: &Estimate| [Some(e.flow), Some(e.mask), e.feat];
        [self.src, self.dst, self.residual].into_iter().chain(estimates.flat_map(of)).flatten()
    }

    /// The grid that its tiles cover: the output, or for a transposed convolution the input.
    pub(crate) fn extent(&self) -> Extent {
        let (rows, columns) = match self.kernel {
            Kernel::Deconv { .. } => self.input,
            _ => self.output,
        };
        Extent { rows, columns, batch: self.batch }
    }
}

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) size: FrameSize,
    pub(crate) scale: Scale,
    pub(crate) precision: Precision,
    pub(crate) ensemble: bool,
    /// Frames that one run interpolates.
    pub(crate) batch: usize,
    pub(crate) optimizations: Optimizations,
    pub(crate) card: Card,
}

/// The launches of an engine for frames of one size.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) variant: Variant,
    pub(crate) padding: Padding,
    /// Items of a run: twice the batch with the ensemble.
    pub(crate) items: usize,
    /// Items per frame: 2 with the ensemble.
    pub(crate) item_step: usize,
    pub(crate) layers: Vec<Layer>,
    /// The frame encoder.
    pub(crate) encoder: Vec<Step>,
    /// The network.
    pub(crate) network: Vec<Step>,
    pub(crate) buffers: Vec<Buffer>,
    /// Bytes of the arena that holds every buffer.
    pub(crate) arena: usize,
}

/// The alignment of every buffer, in bytes.
const ALIGNMENT: usize = 256;

impl Plan {
    /// Plans for a request, with the tiles of the least estimated cost.
    pub(crate) fn new(request: &Request) -> Self {
        build::build(request)
    }

    /// Whether every index and grid is within the limits: kernels use 32-bit indices, and the
    /// driver limits the rows of a grid.
    pub(crate) fn is_countable(&self) -> bool {
        const MAX_INDEX: usize = i32::MAX as usize;
        const MAX_ROWS: usize = 65535;
        let pixels = self.padding.padded_height * self.padding.padded_width;
        let cells = |e: &Estimate| self.items * e.h * e.w;
        pixels <= MAX_INDEX
            && self.steps().all(|step| {
                let rows = if step.kernel.tile().is_some() { 1 } else { step.output.0 };
                rows <= MAX_ROWS
                    && step.levels.iter().chain(&step.estimate).all(|e| cells(e) <= MAX_INDEX)
                    && self.items * step.output.0 * step.output.1 <= MAX_INDEX
            })
    }

    /// Bytes of a frame as the network reads it.
    pub(crate) fn image_bytes(&self) -> usize {
        self.padding.padded_height * self.padding.padded_width * self.variant.pixel()
    }

    /// The offsets of each layer's weights and bias in the packed weights, and the total bytes.
    pub(crate) fn weight_offsets(&self) -> (Vec<(usize, usize)>, usize) {
        let mut end = 0;
        let mut take = |bytes: usize| {
            let at = end;
            end += bytes.next_multiple_of(ALIGNMENT);
            at
        };
        let element = self.variant.element();
        let offsets = self
            .layers
            .iter()
            .map(|l| (take(l.kind.weights() * element), take(l.kind.biases() * 4)))
            .collect();
        (offsets, end)
    }

    /// Every step: the encoder's, then the network's.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.encoder.iter().chain(&self.network)
    }

    /// Replaces the tiles for which `choose` returns another one.
    pub(crate) fn retile(&mut self, choose: impl Fn(&Step) -> Option<Tile>) {
        for step in self.encoder.iter_mut().chain(&mut self.network) {
            if let Some(tile) = choose(step) {
                step.kernel = step.kernel.with_tile(tile);
            }
        }
    }
}
