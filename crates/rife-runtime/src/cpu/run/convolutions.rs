//! The convolutions of a run.

use std::ops::Range;

use super::Run;
use crate::cpu::conv::{ConvInput, Winograd};
use crate::cpu::kernels::direct::{Epilogue, Pixels, Place};
use crate::cpu::kernels::picture::{ESTIMATE, Inputs};
use crate::cpu::kernels::winograd::POINTS;
use crate::cpu::pack::{BlockWeights, DirectWeights, EncoderOutput, ResWeights};
use crate::cpu::plan::{BlockPlan, Body, EncoderPlan, PATCH, Schedule, point_stride};
use crate::cpu::team::SharedPtr;
use crate::cpu::tensor::{BLOCK, Map};

/// The first convolution of a block, and what its input is computed from.
#[derive(Clone, Copy)]
pub(super) struct Stem<'a> {
    pub(super) index: usize,
    pub(super) plan: &'a BlockPlan,
    pub(super) weights: &'a DirectWeights,
    pub(super) timestep: f32,
    /// Whether the pair is reversed.
    pub(super) swapped: bool,
}

impl Run<'_> {
    /// A direct convolution, one task per row.
    pub(super) fn rows(
        &self,
        weights: &DirectWeights,
        source: &ConvInput<'_>,
        rows: Range<usize>,
        width: usize,
        to: Epilogue,
    ) {
        self.team.each(rows.len(), |i, _| {
            let y = rows.start + i;
            let args = source.direct(weights, y..y + 1, 0..width, to);
            // SAFETY: see [`Run`]; each row of outputs belongs to one task.
            unsafe { (self.kernels.direct)(&args) };
        });
    }

    /// The first convolution of a block for a band of rows of the body. Its input is computed patch
    /// by patch. The first row of `to` is the first row of the band.
    pub(super) fn stem(&self, stem: &Stem<'_>, band: &Range<usize>, to: &Map) {
        let Stem { index, plan, weights, timestep, swapped } = *stem;
        let (rows, columns) = PATCH;
        let Map { grid, .. } = *to;
        let at = SharedPtr::new(to.origin());
        let across = grid.width.div_ceil(columns);
        // The next convolution also reads the row above the band. Above the first band that is the
        // margin of zeros.
        let (start, end) = ((2 * band.start).saturating_sub(1), 2 * band.end);
        self.team.each(across * (end - start).div_ceil(rows), |task, own| {
            let (y, x) = (start + task / across * rows, task % across * columns);
            let (rows, columns) = (rows.min(end - y), columns.min(grid.width - x));
            let span = |from: usize, len: usize| 2 * from as isize - 1..2 * (from + len) as isize;
            let patch_row = (2 * PATCH.1 + 1) * plan.pixel;
            let patch = (2 * PATCH.0 + 1) * patch_row;
            let (patch, scratch) = own.as_mut_slice().split_at_mut(patch.next_multiple_of(BLOCK));
            let estimates = self.estimates_before(index);
            let feature = match index.checked_sub(1).map(|i| &self.plan.blocks[i]) {
                Some(before) => {
                    let of = |id| Self::estimates(before, self.buffer(id), [1.0; ESTIMATE]);
                    before.feature.map(of)
                }
                None => None,
            };
            let args = Inputs {
                frames: self.pictures(),
                estimates: &estimates[..index],
                feature,
                down: &plan.to_picture[0],
                across: &plan.to_picture[1],
                timestep,
                flow_scale: (1.0 / plan.divisor) as f32,
                swapped,
                rows: span(y, rows),
                columns: span(x, columns),
                to: patch.as_mut_ptr(),
                to_row: patch_row,
                to_pixel: plan.pixel,
                scratch: scratch.as_mut_ptr(),
            };
            // SAFETY: see [`Run`]; the patch is in the thread's scratch memory, which has room for
            // the largest patch.
            unsafe { (self.kernels.inputs)(&args) };
            let source = ConvInput {
                at: SharedPtr::new(patch.as_mut_ptr()),
                row: 2 * patch_row,
                column: 2 * plan.pixel,
                segments: &plan.patch_segments,
            };
            let to = Place {
                at: at.at(y * grid.row() + x * BLOCK).wrapping_sub(2 * band.start * grid.row()),
                row: grid.row(),
                plane: grid.plane(),
            };
            let args = source.direct(weights, 0..rows, 0..columns, Epilogue::Leaky(to));
            // SAFETY: see [`Run`]; each part of the outputs belongs to one task.
            unsafe { (self.kernels.direct)(&args) };
        });
    }

    /// A convolution with stride 1, followed by LeakyReLU. With `residual`, the input is added
    /// before the LeakyReLU.
    pub(super) fn res_conv(
        &self,
        body: &Body,
        weights: &ResWeights,
        from: &Map,
        to: &Map,
        residual: bool,
    ) {
        let (weights, bias, pairs) = match weights {
            ResWeights::Winograd { weights, bias, pairs } => (weights, bias, *pairs),
            ResWeights::Direct(weights) => {
                let source = ConvInput::of(from, &body.segments, 1);
                let place = Place::of(to);
                let to = if residual {
                    Epilogue::Residual { place, add: from.origin() }
                } else {
                    Epilogue::Leaky(place)
                };
                self.rows(weights, &source, 0..body.grid.height, body.grid.width, to);
                return;
            }
        };
        let grid = body.grid;
        let conv = Winograd {
            kernels: self.kernels,
            bf16: self.bf16.filter(|_| pairs),
            body,
            from: SharedPtr::new(from.origin()),
            to: SharedPtr::new(to.origin()),
            residual,
            weights,
            bias,
        };
        match body.schedule {
            Schedule::ByTiles { tiles } => {
                let point = point_stride(tiles, grid.padded_channels());
                self.team.each(body.tiles.div_ceil(tiles), |task, own| {
                    let range = task * tiles..(task * tiles + tiles).min(body.tiles);
                    let own = SharedPtr::new(own.as_mut_ptr());
                    let (points, products) = (own, SharedPtr::new(own.at(POINTS * point)));
                    // SAFETY: see [`Run`]; the thread's scratch memory holds both, and each tile
                    // belongs to one task.
                    unsafe {
                        conv.input_transform(points, point, 0..grid.blocks(), range.clone());
                        conv.multiply(points, products, point, 0..POINTS, range.len());
                        conv.output_transform(products, point, 0..grid.blocks(), range);
                    }
                });
            }
            Schedule::BySteps { points, products } => {
                let point = point_stride(body.tiles, grid.padded_channels());
                let (points, products) = (self.buffer(points), self.buffer(products));
                let all = 0..body.tiles;
                self.team.each(grid.blocks(), |block, _| {
                    // SAFETY: see [`Run`]; each block of channels belongs to one task.
                    unsafe { conv.input_transform(points, point, block..block + 1, all.clone()) };
                });
                self.team.each(POINTS, |at, _| {
                    // SAFETY: see [`Run`]; each point belongs to one task.
                    unsafe { conv.multiply(points, products, point, at..at + 1, all.len()) };
                });
                self.team.each(grid.blocks(), |block, _| {
                    // SAFETY: see [`Run`]; each block of channels belongs to one task.
                    unsafe {
                        conv.output_transform(products, point, block..block + 1, all.clone())
                    };
                });
            }
            Schedule::Direct => {
                unreachable!("weights are packed for Winograd only if the plan uses it")
            }
        }
    }

    /// The transposed convolution of the encoder.
    pub(super) fn features(
        &self,
        plan: &EncoderPlan,
        weights: &EncoderOutput,
        from: &Map,
        to: Pixels,
    ) {
        let grid = plan.body.grid;
        match weights {
            EncoderOutput::Quarters(weights) => {
                let source = ConvInput::of(from, &plan.body.segments, 1);
                self.rows(weights, &source, 0..grid.height, grid.width, Epilogue::Quarters(to));
            }
            EncoderOutput::Phases(phases) => {
                let at = |p: usize| to.at.wrapping_add(p / 2 * to.row + p % 2 * to.pixel);
                let to = [0, 1, 2, 3].map(|p| Epilogue::Whole(Pixels { at: at(p), ..to }));
                self.team.each(grid.height, |y, _| {
                    for ((p, weights), to) in phases.iter().enumerate().zip(to) {
                        let source = ConvInput::of(from, &plan.phase_segments[p], 1);
                        let args = source.direct(weights, y..y + 1, 0..grid.width, to);
                        // SAFETY: see [`Run`]; the pixels of a row of inputs belong to one task.
                        unsafe { (self.kernels.direct)(&args) };
                    }
                });
            }
        }
    }

    /// The transposed convolution and the pixel shuffle for one input row, which give four rows of
    /// flow, mask and feature.
    pub(super) fn last_conv(
        &self,
        plan: &BlockPlan,
        weights: &BlockWeights,
        from: &Map,
        y: usize,
        estimate: SharedPtr<f32>,
        feature: Option<SharedPtr<f32>>,
    ) {
        let row = plan.width * ESTIMATE;
        let pixels = |base: SharedPtr<f32>, at: usize| Pixels {
            at: base.at(at),
            row,
            pixel: ESTIMATE,
            step: 4,
        };
        let width = plan.body.grid.width;
        for (p, weights) in weights.phases.iter().enumerate() {
            let at = 2 * (p / 2) * row + 2 * (p % 2) * ESTIMATE;
            let quarters = pixels(estimate, at);
            let to = match feature {
                Some(feature) => {
                    let eights = pixels(feature, at);
                    Epilogue::QuartersAndEights { quarters, eights }
                }
                None => Epilogue::Quarters(quarters),
            };
            let source = ConvInput::of(from, &plan.phase_segments[p], 1);
            let args = source.direct(weights, y..y + 1, 0..width, to);
            // SAFETY: see [`Run`]; the pixels of a row of inputs belong to one task.
            unsafe { (self.kernels.direct)(&args) };
        }
        let source = ConvInput::of(from, &plan.body.segments, 1);
        let to = Epilogue::Singles(pixels(estimate, 4));
        let args = source.direct(&weights.mask, y..y + 1, 0..width, to);
        // SAFETY: as above.
        unsafe { (self.kernels.direct)(&args) };
    }
}

impl Place {
    /// A whole map, as an output.
    pub(super) fn of(map: &Map) -> Self {
        Self { at: map.origin(), row: map.grid.row(), plane: map.grid.plane() }
    }
}
