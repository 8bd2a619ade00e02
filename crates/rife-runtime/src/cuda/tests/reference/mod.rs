//! The reference implementation of the kernels, in plain Rust. Plans are validated with it without
//! a GPU, and kernels are compared with it on a GPU.
//!
//! It computes in F64 and keeps an error bound for every value ([`Approx`]): kernels compute in F32
//! and in another order. Stored values are rounded like the engine's. Weights are read in the
//! published layout, not in the packed one.

mod simulation;
mod value;
mod view;
mod weights;

use crate::cuda::kernel::Kernel;
use crate::cuda::plan::{BufferId, Estimate, Plan, Step};
use crate::cuda::samples::SampleLayout;
use crate::{FrameSize, PixelFormat};

pub(in crate::cuda::tests) use simulation::{Item, POISON, Simulation};
pub(in crate::cuda::tests) use value::{Approx, Element, Format, Output, Place};
pub(in crate::cuda::tests) use weights::Weights;

/// The unit roundoff of F32: the largest relative error of rounding to it.
const U: f64 = 1.0 / (1u64 << 24) as f64;
const SLOPE: f64 = 0.2f32 as f64;

/// The buffers that a step reads.
pub(super) fn reads(step: &Step) -> Vec<BufferId> {
    let levels = step.levels.iter().flat_map(|e| [Some(e.flow), Some(e.mask), e.feat]);
    let own = match step.kernel {
        Kernel::Pointwise { .. } => vec![step.dst],
        Kernel::Merge => step.estimate.iter().flat_map(|e| [Some(e.flow), Some(e.mask)]).collect(),
        _ => Vec::new(),
    };
    [step.src, step.residual].into_iter().chain(levels).chain(own).flatten().collect()
}

/// The buffers that a step writes.
pub(super) fn writes(step: &Step) -> Vec<BufferId> {
    let feat = |e: &Estimate| e.feat.filter(|_| step.kernel != Kernel::Merge);
    let estimate = step.estimate.iter().flat_map(|e| [Some(e.flow), Some(e.mask), feat(e)]);
    std::iter::once(step.dst).chain(estimate).flatten().collect()
}

/// Runs a whole plan on planar frames, and returns a planar frame for each request `(earlier,
/// later, timestep)`. The number of requests must be the batch of the plan.
pub(super) fn run_plan(
    plan: &Plan,
    size: FrameSize,
    weights: &Weights,
    frames: &[Vec<f32>],
    requests: &[(usize, usize, f32)],
    arena: bool,
) -> Vec<Vec<f32>> {
    let mut simulation = Simulation::new(plan, size, weights, frames.len(), arena);
    simulation.errors = false;
    let layout = SampleLayout::packed(size, PixelFormat::PlanarF32);
    for (i, frame) in frames.iter().enumerate() {
        let samples: Vec<u8> = frame.iter().flat_map(|v| v.to_le_bytes()).collect();
        let image = simulation.convert_frame(&samples, layout, i);
        simulation.commit(&[image]);
        simulation.encoded = i;
        for step in &plan.encoder {
            let outputs = simulation.run(step);
            simulation.commit(&outputs);
        }
    }
    assert_eq!(requests.len() * plan.item_step, plan.items);
    for (out, (image0, image1, t)) in requests.iter().copied().enumerate() {
        let item = Item { image0, image1, out, t, layout };
        simulation.items.push(item);
        if plan.item_step == 2 {
            simulation.items.push(Item { image0: image1, image1: image0, t: 1.0 - t, ..item });
        }
        simulation.outs.push(vec![POISON; 12 * size.pixels()]);
    }
    for step in &plan.network {
        let outputs = simulation.run(step);
        simulation.commit(&outputs);
    }
    let floats = |out: &Vec<u8>| {
        out.chunks_exact(4).map(|b| Element::Float.read(b) as f32).collect::<Vec<f32>>()
    };
    simulation.outs.iter().map(floats).collect()
}
