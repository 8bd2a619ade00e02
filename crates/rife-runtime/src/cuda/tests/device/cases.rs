//! The steps, tiles and inputs to compare.

use std::collections::HashSet;

use rife_model::{ModelVersion, Scale};

use crate::cuda::candidates::tiles;
use crate::cuda::kernel::Kernel;
use crate::cuda::plan::{Plan, Request, Step};
use crate::cuda::tests::reference::{
    Element, Format, Item, POISON, Place, Simulation, Weights, reads, writes,
};
use crate::cuda::tests::{Random, layouts, request};
use crate::cuda::tile::{Card, Tile};
use crate::cuda::variant::Variant;
use crate::{FrameSize, Optimization, Optimizations, Precision};

/// The number of tiles per kernel and instruction (`mma.sync` and `wgmma`).
const TILES: usize = 6;

/// The content of a step's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    Ordinary,
    /// Activations near the limit of F16, black and white pixels, flow far outside of the frame.
    Extreme,
    /// Infinite or NaN flow and mask.
    NotFinite,
}

/// The content of a buffer.
#[derive(Clone, Copy)]
enum Role {
    Flow,
    Mask,
    Activation,
}

/// Fills the inputs of a step with random values.
pub(super) fn fill(
    simulation: &mut Simulation<'_>,
    step: &Step,
    filling: Filling,
    random: &mut Random,
) {
    let variant = simulation.plan.variant;
    let extreme = filling == Filling::Extreme;
    let limit = match (extreme, variant.precision) {
        (false, _) => 2.0,
        (true, Precision::F16) => 60000.0,
        (true, _) => 1e6,
    };
    let activation_value = |random: &mut Random| {
        let v = random.within(limit);
        if extreme { v.signum() * (limit - v.abs() / 1000.0) } else { v }
    };
    let format = Format::image(&variant);
    let step_of_pixel = variant.pixel() / variant.element();
    for image in 0..simulation.images.len() {
        let size = format.at(0).bytes();
        for (i, to) in simulation.images[image].chunks_exact_mut(size).enumerate() {
            let element = format.at(i);
            let v = match i % step_of_pixel {
                3 => 0.0,
                c if c > 3 => activation_value(random),
                _ => {
                    let v = random.unit();
                    let v = if extreme { v.round() } else { v };
                    v * if element == Element::U16 { 65535.0 } else { 1.0 }
                }
            };
            element.write(v, to);
        }
    }
    let flow_ids: Vec<_> =
        step.levels.iter().chain(&step.estimate).map(|e| (e.flow, e.mask)).collect();
    for id in reads(step) {
        let role = if flow_ids.iter().any(|(flow, _)| *flow == id) {
            Role::Flow
        } else if flow_ids.iter().any(|(_, mask)| *mask == id) {
            Role::Mask
        } else {
            Role::Activation
        };
        let format = match role {
            Role::Activation => simulation.activation(step, id),
            _ => Format::All(Element::Float),
        };
        // Repeat values for adjacent pixels: interpolation between different extreme flows has a
        // useless error bound.
        let mut repeated = [0.0; 4];
        let bytes = simulation.bytes_mut(Place::Buffer(id));
        let mut value = |i: usize, random: &mut Random| {
            let one_of = |random: &mut Random, of: &[f64]| of[random.below(of.len())];
            match (role, filling) {
                (Role::Activation, _) => activation_value(random),
                (Role::Flow, Filling::Ordinary) => random.within(20.0),
                (Role::Mask, Filling::Ordinary) => random.within(4.0),
                (Role::Flow, Filling::Extreme) => {
                    if i % 64 < 4 {
                        let of = [0.0, 1e9, -1e9, 300.5, -70.25, 1e30, -1e30, 0.999_999_94, -1e-9];
                        repeated[i % 4] = one_of(random, &of);
                    }
                    repeated[i % 4]
                }
                (Role::Mask, Filling::Extreme) => {
                    if i.is_multiple_of(16) {
                        repeated[0] = one_of(random, &[0.0, 200.0, -200.0, 1e30, -1e30]);
                    }
                    repeated[0]
                }
                (_, Filling::NotFinite) => {
                    one_of(random, &[f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.5])
                }
            }
        };
        let count = format.count(bytes.len());
        let values: Vec<_> = (0..count).map(|i| Some(value(i, random))).collect();
        format.write(&values, bytes);
    }
}

/// A poisoned simulation, with a frame of each format to interpolate.
pub(super) fn new_simulation<'a>(
    plan: &'a Plan,
    size: FrameSize,
    weights: &'a Weights,
) -> Simulation<'a> {
    let mut simulation = Simulation::new(plan, size, weights, 3, false);
    simulation.encoded = 1;
    for out in 0..plan.items / plan.item_step {
        let layouts = layouts(size);
        let (layout, bytes) = layouts[(3 * out + plan.items) % layouts.len()];
        let (image0, image1) = (out % 2, 2);
        let t = 0.3 + 0.25 * out as f32;
        let item = Item { image0, image1, out, t, layout };
        simulation.items.push(item);
        if plan.item_step == 2 {
            simulation.items.push(Item { image0: image1, image1: image0, t: 1.0 - t, ..item });
        }
        simulation.outs.push(vec![POISON; bytes]);
    }
    simulation
}

/// A key for kinds of kernels. It ignores the tile and, without `all_optimizations`, the channels.
fn kind(step: &Step, variant: &Variant, all_optimizations: bool) -> String {
    let kernel = match step.kernel.with_tile(Tile::BLANK) {
        Kernel::Conv { stride, source, epilogue, terms, .. } if !all_optimizations => {
            format!("conv {stride} {source:?} {epilogue:?} {terms:?}")
        }
        Kernel::Deconv { columns, epilogue, .. } if !all_optimizations => {
            format!("deconv {columns} {epilogue:?}")
        }
        Kernel::Pointwise { terms, .. } => {
            format!("pointwise {terms} {}", step.residual.is_some())
        }
        kernel => format!("{kernel:?}"),
    };
    // A block with a higher resolution than the frame takes different code paths.
    format!("{kernel} {variant:?} {}", step.divisor < 1.0)
}

pub(super) type Planned = (Plan, FrameSize);

/// A step that represents its kind.
pub(super) struct Case {
    pub(super) plan: usize,
    pub(super) step: Step,
    pub(super) encoder: bool,
    pub(super) tiles: Vec<Tile>,
}

/// Every kind of step of small plans, with some tiles for each.
pub(super) fn cases(
    version: ModelVersion,
    precision: Precision,
    card: Card,
) -> (Vec<Planned>, Vec<Case>) {
    let all = Optimizations::all();
    let unfused = all.without(Optimization::FusedKernels);
    let small = FrameSize::new(72, 40);
    let mut plans: Vec<Planned> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut seen = HashSet::new();
    for (size, scale, optimizations) in [
        (small, Scale::One, all),
        (small, Scale::Two, all),
        (small, Scale::One, unfused),
        (small, Scale::Two, unfused),
        (small, Scale::One, all.without(Optimization::ChannelsLast)),
        (small, Scale::One, unfused.without(Optimization::ChannelsLast)),
        (FrameSize::new(1, 1), Scale::One, all),
        (FrameSize::new(1, 1), Scale::One, unfused),
    ] {
        for ensemble in [false, true] {
            if ensemble && !version.spec().supports_ensemble {
                continue;
            }
            // Steps that write frames use a batch of three, one frame of each format; other steps a
            // batch of two.
            for batch in [2, 3] {
                let of = request(version, precision, size);
                let plan =
                    Plan::new(&Request { scale, optimizations, ensemble, batch, card, ..of });
                let encoder = plan.encoder.len();
                for (i, step) in plan.steps().enumerate() {
                    let writes_frames = i >= encoder && writes(step).is_empty();
                    let kind = kind(step, &plan.variant, optimizations == all);
                    if writes_frames != (batch == 3) || !seen.insert((kind, size)) {
                        continue;
                    }
                    let available = tiles(&step.kernel, &plan.variant, step.extent(), card);
                    let count = if size == small { TILES } else { 1 };
                    let mut chosen: Vec<Tile> = Vec::new();
                    // For each instruction the first, the last, and some in between. For `wgmma`
                    // also each combination of warpgroups and input buffers.
                    let (wgmma, sync): (Vec<Tile>, Vec<Tile>) =
                        available.iter().partition(|tile| tile.warpgroups > 0);
                    let some = |of: &[Tile]| -> Vec<Tile> {
                        let last = of.len().saturating_sub(1);
                        let at = (0..count).map(|k| k * last / (count - 1).max(1));
                        at.filter_map(|at| of.get(at).copied()).collect()
                    };
                    let mut rings = HashSet::new();
                    let one_per_ring =
                        wgmma.iter().filter(|t| count > 1 && rings.insert((t.warpgroups, t.halos)));
                    for tile in
                        some(&sync).into_iter().chain(some(&wgmma)).chain(one_per_ring.copied())
                    {
                        if !chosen.contains(&tile) {
                            chosen.push(tile);
                        }
                    }
                    assert_eq!(chosen.is_empty(), step.kernel.tile().is_none(), "{}", step.name);
                    cases.push(Case {
                        plan: plans.len(),
                        step: step.clone(),
                        encoder: i < encoder,
                        tiles: chosen,
                    });
                }
                plans.push((plan, size));
            }
        }
    }
    (plans, cases)
}

impl Case {
    /// The contents to test with, one after the other.
    pub(super) fn fillings(&self) -> &'static [Filling] {
        let all = &[Filling::Ordinary, Filling::Extreme, Filling::NotFinite];
        // Only steps that read flow are tested with values that are not finite.
        let sampled = !self.step.levels.is_empty() || self.step.kernel == Kernel::Merge;
        if sampled { all } else { &all[..2] }
    }

    pub(super) fn name(&self, (plan, size): &Planned, filling: Filling) -> String {
        let kernel = self.step.kernel.with_tile(Tile::BLANK).describe();
        format!("{} at {size}, {filling:?}, {:?}: {kernel}", self.step.name, plan.variant)
    }

    pub(super) fn kernels(&self) -> Vec<Kernel> {
        match self.tiles.is_empty() {
            true => vec![self.step.kernel],
            false => self.tiles.iter().map(|t| self.step.kernel.with_tile(*t)).collect(),
        }
    }
}
