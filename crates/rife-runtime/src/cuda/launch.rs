//! From a plan's steps to launches: addresses, shapes and compiled kernels.

use std::sync::Arc;

use super::abi::{Args, Level};
use super::driver::{Function, Stream};
use super::kernel::{Card, Kernel, PLAIN_THREADS};
use super::plan::{BufferId, Estimate, Plan, Step};
use crate::{FrameSize, Result};

/// A plan with its kernels loaded.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) plan: Plan,
    pub(crate) size: FrameSize,
    pub(crate) encoder: Vec<Function>,
    pub(crate) network: Vec<Function>,
}

/// Where everything lies that a plan's steps use.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) buffers: Vec<u64>,
    /// Of the packed weights, and of each layer's weights and bias among them.
    pub(crate) weights: u64,
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
    /// The addresses that it was made with are valid until it is done.
    pub(crate) unsafe fn queue(&self, stream: &Stream) -> Result<()> {
        // SAFETY: `Args` is what every kernel of a step takes; the rest is the caller's.
        unsafe { stream.launch(&self.function, self.grid, &self.args) }
    }
}

/// A step as a launch of a kernel that was compiled for it.
pub(crate) fn launch(
    plan: &Plan,
    size: FrameSize,
    step: &Step,
    function: &Function,
    at: &Addresses,
    card: Card,
) -> Launch {
    let buffer = |id: Option<BufferId>| id.map_or(0, |id| at.buffers[id]);
    let batch = plan.extent(step).batch;
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
        batch: batch as i32,
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
    let grid = grid(plan, size, step, batch, function.occupancy, card, &mut args);
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

fn grid(
    plan: &Plan,
    size: FrameSize,
    step: &Step,
    batch: usize,
    occupancy: usize,
    card: Card,
    args: &mut Args,
) -> (u32, u32, u32) {
    let mut cut = |rows: usize, columns: usize, (h, w): (usize, usize)| {
        let across = w.div_ceil(columns);
        let tiles = across * h.div_ceil(rows);
        args.tiles_x = across as i32;
        args.tiles = tiles as i32;
        tiles * batch
    };
    let (x, y, z) = match step.kernel {
        Kernel::Conv { tile, .. } | Kernel::Deconv { tile, .. } => {
            let extent = match step.kernel {
                Kernel::Deconv { .. } => step.input,
                _ => step.output,
            };
            let total = cut(tile.rows, tile.columns, extent);
            let splits = step.kernel.splits();
            // A block that keeps its weights walks over tiles; else there is a block for each.
            let at_once = (card.processors * occupancy.max(1) / splits).max(1);
            (if tile.stages == 0 { total.min(at_once) } else { total }, splits, 1)
        }
        Kernel::Frame => {
            (plan.padding.padded_width.div_ceil(PLAIN_THREADS), plan.padding.padded_height, 1)
        }
        Kernel::Input { .. } => (step.output.1.div_ceil(PLAIN_THREADS), step.output.0, batch),
        Kernel::Pointwise { channels, .. } => {
            let pairs = batch * step.output.0 * step.output.1 * channels / 2;
            (pairs.div_ceil(PLAIN_THREADS).min(card.processors * 8), 1, 1)
        }
        Kernel::Blend { .. } => {
            (size.width.div_ceil(PLAIN_THREADS), size.height, batch / plan.item_step)
        }
        Kernel::Merge => {
            ((step.output.0 * step.output.1).div_ceil(PLAIN_THREADS), batch / plan.item_step, 1)
        }
        Kernel::YuvIn | Kernel::YuvOut | Kernel::Items | Kernel::Peak => (1, 1, 1),
    };
    (x as u32, y as u32, z as u32)
}
