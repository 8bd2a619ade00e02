//! Converts the steps of a plan to launches: addresses, shapes and compiled kernels.

use std::sync::Arc;

use super::abi::{Args, Level};
use super::driver::{Function, Stream};
use super::kernel::{Kernel, PLAIN_THREADS};
use super::plan::{BufferId, Estimate, Plan, Step};
use super::tile::Card;
use crate::{FrameSize, Result};

/// A plan with its kernels loaded.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Plan,
    pub(crate) size: FrameSize,
    pub(crate) encoder: Vec<Function>,
    pub(crate) network: Vec<Function>,
}

/// The device addresses that the steps of a plan use.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) buffers: Vec<u64>,
    /// The packed weights.
    pub(crate) weights: u64,
    /// The offsets of each layer's weights and bias in the packed weights.
    pub(crate) layers: Arc<Vec<(usize, usize)>>,
    pub(crate) items: u64,
}

/// One launch, ready to be queued.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) function: Function,
    pub(crate) grid: (u32, u32, u32),
    pub(crate) args: Args,
}

impl Launch {
    /// # Safety
    /// The addresses are valid until the launch has finished.
    pub(crate) unsafe fn queue(&self, stream: &Stream) -> Result<()> {
        // SAFETY: every kernel of a step takes `Args`; the caller guarantees the rest.
        unsafe { stream.launch(&self.function, self.grid, &self.args) }
    }
}

/// The launch of a step with its compiled kernel.
pub(crate) fn launch(
    plan: &Plan,
    size: FrameSize,
    step: &Step,
    function: &Function,
    at: &Addresses,
    card: Card,
) -> Launch {
    let buffer = |id: Option<BufferId>| id.map_or(0, |id| at.buffers[id]);
    let (weights, bias) = step.layer.map_or((0, 0), |layer| {
        let (weights, bias) = at.layers[layer];
        (at.weights + weights as u64, at.weights + bias as u64)
    });
    let mut args = Args {
        src: buffer(step.src),
        dst: buffer(step.dst),
        weights,
        bias,
        items: at.items,
        flow: buffer(step.estimate.map(|e| e.flow)),
        mask: buffer(step.estimate.map(|e| e.mask)),
        feat: buffer(step.estimate.and_then(|e| e.feat)),
        residual: buffer(step.residual),
        h: step.input.0 as i32,
        w: step.input.1 as i32,
        oh: step.output.0 as i32,
        ow: step.output.1 as i32,
        batch: step.batch as i32,
        divisor: step.divisor as f32,
        full_h: plan.padding.padded_height as i32,
        full_w: plan.padding.padded_width as i32,
        frame_h: size.height as i32,
        frame_w: size.width as i32,
        step: plan.item_step as i32,
        ..Args::default()
    };
    for (level, estimate) in args.level.iter_mut().zip(&step.levels) {
        *level = level_of(estimate, &buffer);
    }
    let grid = grid(plan, size, step, function.occupancy, card, &mut args);
    Launch { function: function.clone(), grid, args }
}

fn level_of(estimate: &Estimate, buffer: &impl Fn(Option<BufferId>) -> u64) -> Level {
    Level {
        flow: buffer(Some(estimate.flow)),
        mask: buffer(Some(estimate.mask)),
        feat: buffer(estimate.feat),
        h: estimate.h as i32,
        w: estimate.w as i32,
    }
}

/// The grid of a step. Also sets the tiles in `args`.
fn grid(
    plan: &Plan,
    size: FrameSize,
    step: &Step,
    occupancy: usize,
    card: Card,
    args: &mut Args,
) -> (u32, u32, u32) {
    let threads = |n: usize| n.div_ceil(PLAIN_THREADS);
    let frames = step.batch / plan.item_step;
    let (x, y, z) = match step.kernel {
        Kernel::Conv { tile, .. } | Kernel::Deconv { tile, .. } => {
            let extent = step.extent();
            let across = extent.columns.div_ceil(tile.columns);
            let tiles = across * extent.rows.div_ceil(tile.rows);
            args.tiles_x = across as i32;
            args.tiles = tiles as i32;
            let total = tiles * extent.batch;
            let splits = step.kernel.splits();
            // As many persistent blocks as fit on the GPU at once, else a block per tile.
            let at_once = (card.sms * occupancy.max(1) / splits).max(1);
            (if tile.is_persistent() { total.min(at_once) } else { total }, splits, 1)
        }
        Kernel::Frame | Kernel::YuvDecode => {
            (threads(plan.padding.padded_width), plan.padding.padded_height, 1)
        }
        Kernel::Input { .. } => (threads(step.output.1), step.output.0, step.batch),
        Kernel::Pointwise { channels, .. } => {
            let pairs = step.batch * step.output.0 * step.output.1 * channels / 2;
            (threads(pairs).min(card.sms * 8), 1, 1)
        }
        Kernel::Blend { .. } => (threads(size.width), size.height, frames),
        Kernel::Merge => (threads(step.output.0 * step.output.1), frames, 1),
        Kernel::YuvEncode | Kernel::Items | Kernel::Peak => (1, 1, 1),
    };
    (x as u32, y as u32, z as u32)
}
