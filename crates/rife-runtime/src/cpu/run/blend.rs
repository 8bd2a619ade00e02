//! Warps and blends the frames by the estimates of the blocks.

use std::ops::Range;

use rife_model::MaskUpdate;

use super::Run;
use crate::cpu::kernels::picture::{Blend, ESTIMATE, Estimates, Frames};
use crate::cpu::plan::BlockPlan;
use crate::cpu::team::SharedPtr;
use crate::cpu::tensor::{BLOCK, Grid};

/// The most blocks of any version.
const MAX_BLOCKS: usize = 5;
/// Rows of the frame that one task blends.
const BLEND_ROWS: usize = 4;

impl Run<'_> {
    /// The estimates of the blocks before `index`, at the frame's resolution. The rest of the array
    /// is unused.
    pub(super) fn estimates_before(&self, index: usize) -> [Estimates<'_>; MAX_BLOCKS] {
        std::array::from_fn(|i| {
            let mask_counts = self.spec.mask_update == MaskUpdate::Add || i + 1 == index;
            let mask = if mask_counts { 1.0 } else { 0.0 };
            let plan = &self.plan.blocks[i.min(self.plan.blocks.len() - 1)];
            let at = plan.estimate.map_or(self.arena, |id| self.buffer(id));
            Self::estimates(plan, at, [1.0, 1.0, 1.0, 1.0, mask, 0.0, 0.0, 0.0])
        })
    }

    pub(super) fn estimates(
        plan: &BlockPlan,
        at: SharedPtr<f32>,
        keep: [f32; ESTIMATE],
    ) -> Estimates<'_> {
        Estimates {
            at: at.at(0),
            row: plan.width * ESTIMATE,
            down: &plan.to_frame[0],
            across: &plan.to_frame[1],
            keep,
        }
    }

    pub(super) fn pictures(&self) -> Frames {
        Frames {
            at: self.frames.map(|f| f.at(0).cast_const()),
            row: self.frame_row(),
            lanes: self.plan.lanes,
            height: self.plan.padding.padded_height,
            width: self.plan.padding.padded_width,
        }
    }

    /// Blends the frames and calls `row(y, channels, stride)` for each row of the result, with each
    /// channel at a multiple of `stride`.
    pub(crate) fn blend(&self, row: impl Fn(usize, &[f32], usize) + Sync) {
        let (height, width) = (self.plan.padding.height, self.plan.padding.width);
        let pixels = height * width;
        let work = (0, pixels * (2 * 3 + 5 + 3));
        let count = self.plan.blocks.len();
        let (Some(plan), Some(weights)) = (self.plan.blocks.last(), self.packed.blocks.last())
        else {
            return;
        };
        if !self.plan.fused() {
            self.step(
                || "blend".into(),
                "blend",
                work,
                || {
                    self.team.each(height.div_ceil(BLEND_ROWS), |task, own| {
                        let rows = task * BLEND_ROWS..(task * BLEND_ROWS + BLEND_ROWS).min(height);
                        self.blend_rows(
                            rows,
                            &self.estimates_before(count)[..count],
                            own.as_mut_slice(),
                            &row,
                        );
                    });
                },
            );
            return;
        }
        let Grid { channels, height: rows, width: columns } = plan.body.grid;
        let outputs = 4 * self.spec.block_outputs;
        let conv_flops = rows * columns * 16 * channels * outputs * 2;
        let work = (conv_flops, work.1 + rows * columns * channels);
        let name = || format!("block{}.lastconv, blend", count - 1);
        self.step(name, "direct, blend", work, || {
            let [from, _] = self.maps(&plan.body);
            self.team.each(height.div_ceil(4), |y, own| {
                let four_rows = 4 * plan.width * ESTIMATE;
                let (estimate, own) = own.as_mut_slice().split_at_mut(four_rows);
                let estimate = SharedPtr::new(estimate.as_mut_ptr());
                // The scratch memory holds four rows of the estimate: offset to the address that
                // row 0 would have.
                let origin = SharedPtr::new(estimate.at(0).wrapping_sub(y * four_rows));
                self.last_conv(plan, weights, &from, y, origin, None);
                let mut estimates = self.estimates_before(count);
                estimates[count - 1].at = origin.at(0);
                self.blend_rows(4 * y..(4 * y + 4).min(height), &estimates[..count], own, &row);
            });
        });
    }

    /// Blends a range of rows in scratch memory.
    fn blend_rows(
        &self,
        rows: Range<usize>,
        estimates: &[Estimates<'_>],
        own: &mut [f32],
        row: &(impl Fn(usize, &[f32], usize) + Sync),
    ) {
        let columns = self.plan.padding.width;
        let stride = columns.next_multiple_of(BLOCK);
        let (to, scratch) = own.split_at_mut(3 * stride);
        for y in rows {
            let args = Blend {
                frames: self.pictures(),
                estimates,
                y,
                columns,
                to: to.as_mut_ptr(),
                scratch: scratch.as_mut_ptr(),
            };
            // SAFETY: see [`Run`]; the scratch memory is the thread's own and has the size that the
            // plan requires.
            unsafe { (self.kernels.blend)(&args) };
            row(y, to, stride);
        }
    }
}
