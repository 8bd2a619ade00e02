//! Runs the steps of a plan on the threads of a team.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rife_model::{MaskUpdate, ModelSpec};

use super::conv::{ConvInput, Winograd};
use super::kernels::direct::{Epilogue, Pixels, Place};
use super::kernels::picture::{Blend, ESTIMATE, Estimates, Frames, Inputs};
use super::kernels::winograd::POINTS;
use super::kernels::{Bf16Kernels, Kernels};
use super::pack::{BlockWeights, DirectWeights, EncoderWeights, Packed, ResWeights};
use super::plan::{BlockPlan, Body, BufferId, PATCH, Plan, Schedule, point_stride};
use super::team::{SharedPtr, Team};
use super::tensor::{BLOCK, Grid, Map};

/// The most blocks of a version.
const MOST_BLOCKS: usize = 5;
/// Rows of the frame that one task blends.
const BLEND_ROWS: usize = 4;

/// A step of a frame and its time.
#[derive(Clone, Debug)]
pub(crate) struct StepTime {
    pub(crate) name: String,
    pub(crate) kernel: &'static str,
    pub(crate) took: Duration,
    /// Multiplications and additions as published, and bytes read and written.
    pub(crate) flops: f64,
    pub(crate) bytes: f64,
}

/// Collects the times of a run's steps.
pub(crate) type Clock = Mutex<Vec<StepTime>>;

/// One run of a plan. It has exclusive use of the arena and the frames, and steps run one after
/// another, so that only the tasks of one step access them at a time. The kernel calls below rely
/// on that, on the plan, which gives overlapping lifetimes distinct memory, and on each task
/// writing its own part of the output.
pub(crate) struct Run<'a> {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) kernels: &'a Kernels,
    /// Set if weights are BF16.
    pub(crate) bf16: Option<&'a Bf16Kernels>,
    pub(crate) plan: &'a Plan,
    pub(crate) packed: &'a Packed,
    pub(crate) team: &'a Team,
    pub(crate) arena: SharedPtr<f32>,
    /// The first pixels of the earlier and the later frame.
    pub(crate) frames: [SharedPtr<f32>; 2],
    /// Collects per-step timings when set.
    pub(crate) clock: Option<&'a Clock>,
}

impl Run<'_> {
    fn buffer(&self, id: BufferId) -> SharedPtr<f32> {
        SharedPtr::new(self.arena.at(self.plan.offsets[id]))
    }

    fn maps(&self, body: &Body) -> [Map; 2] {
        // SAFETY: the plan's buffers are as long as their grids and within the arena.
        body.maps.map(|id| unsafe { Map::new(self.buffer(id).at(0), body.grid) })
    }

    fn clear_margins(&self, map: &Map) {
        self.team.each(map.grid.blocks(), |block, _| {
            // SAFETY: each block belongs to one task.
            map.grid.clear_margin(unsafe { map.plane(block) });
        });
    }

    /// Runs a step and, if there is a clock, records its name, kernel, flops and the floats that it
    /// reads and writes.
    fn step(
        &self,
        name: impl FnOnce() -> String,
        kernel: &'static str,
        (flops, floats): (usize, usize),
        work: impl FnOnce(),
    ) {
        let Some(clock) = self.clock else { return work() };
        let start = Instant::now();
        work();
        let took = start.elapsed();
        let (flops, bytes) = (flops as f64, 4.0 * floats as f64);
        let timed = StepTime { name: name(), kernel, took, flops, bytes };
        clock.lock().unwrap_or_else(PoisonError::into_inner).push(timed);
    }

    fn frame_row(&self) -> usize {
        self.plan.frame_columns() * self.plan.lanes
    }

    /// Computes a frame's features and stores them next to its RGB.
    pub(crate) fn encode(&self, frame: SharedPtr<f32>) {
        let (Some(plan), Some(weights)) = (&self.plan.encoder, &self.packed.encoder) else {
            return;
        };
        let EncoderWeights { first, body, last } = weights;
        let maps = self.maps(&plan.body);
        let lanes = self.plan.lanes;
        maps.iter().for_each(|map| self.clear_margins(map));
        let source = ConvInput {
            at: SharedPtr::new(frame.at(0)),
            row: 2 * self.frame_row(),
            column: 2 * lanes,
            segments: &plan.first_segments,
        };
        let grid = plan.body.grid;
        let (pixels, c) = (grid.height * grid.width, grid.channels);
        let work = (pixels * 9 * 3 * c * 2, pixels * (4 * 3 + c));
        self.step(
            || "encode.cnn0".into(),
            "direct",
            work,
            || {
                let to = Epilogue::Leaky(Place::of(&maps[0]));
                self.rows(first, &source, 0..grid.height, grid.width, to);
            },
        );
        for (k, res) in body.iter().enumerate() {
            let [from, to] = [&maps[k % 2], &maps[(k + 1) % 2]];
            let name = || format!("encode.cnn{}", k + 1);
            self.step(name, plan.body.kernel(), plan.body.work(), || {
                self.res_conv(&plan.body, res, from, to, false);
            });
        }
        let map = &maps[body.len() % 2];
        let source = ConvInput::of(map, &plan.body.segments, 1);
        let to = Pixels { at: frame.at(3), row: self.frame_row(), pixel: lanes, step: 2 };
        let features = self.spec.encoder_channels;
        let work = (pixels * 16 * c * features * 2, pixels * (c + 4 * features));
        self.step(
            || "encode.cnn3".into(),
            "direct",
            work,
            || {
                self.rows(last, &source, 0..grid.height, grid.width, Epilogue::Quarters(to));
            },
        );
    }

    /// Estimates flow and mask, block by block.
    pub(crate) fn estimate(&self, timestep: f32) {
        for (index, (plan, weights)) in self.plan.blocks.iter().zip(&self.packed.blocks).enumerate()
        {
            self.block(index, plan, weights, timestep, false);
            if plan.mirrored.is_some() {
                self.block(index, plan, weights, timestep, true);
                self.average(plan);
            }
        }
    }

    fn block(
        &self,
        index: usize,
        plan: &BlockPlan,
        weights: &BlockWeights,
        timestep: f32,
        swapped: bool,
    ) {
        // SAFETY: the plan's buffer is as long as its grid and within the arena.
        let stem = unsafe { Map::new(self.buffer(plan.stem_map).at(0), plan.stem) };
        let maps = self.maps(&plan.body);
        let grid = plan.body.grid;
        let (pixels, c) = (grid.height * grid.width, grid.channels);
        let side = if swapped { ".swapped" } else { "" };
        let name = |step: &str| format!("block{index}.{step}{side}");
        let inputs = self.spec.block_inputs(index);
        self.clear_margins(&maps[0]);
        let bands = grid.height.div_ceil(plan.band);
        for band in 0..bands {
            let name = |step: &str| match bands {
                1 => name(step),
                _ => name(&format!("{step}.band{band}")),
            };
            let rows = band * plan.band..(band * plan.band + plan.band).min(grid.height);
            let pixels = rows.len() * grid.width;
            let floats = pixels * 16 * inputs + pixels * 2 * c;
            let work = (4 * pixels * 9 * inputs * (c / 2) * 2, floats);
            self.step(
                || name("conv0.0"),
                "inputs, direct",
                work,
                || {
                    self.clear_margins(&stem);
                    let task = Stem { index, plan, weights: &weights.stem[0], timestep, swapped };
                    self.stem(&task, &rows, &stem);
                },
            );
            let work = (pixels * 9 * (c / 2) * c * 2, pixels * 3 * c);
            self.step(
                || name("conv0.1"),
                "direct",
                work,
                || {
                    // The stem computes two rows for each row of the body; move back by those of
                    // the bands before.
                    let first = stem.origin().wrapping_sub(2 * rows.start * stem.grid.row());
                    let mut source = ConvInput::of(&stem, &plan.stem_segments, 2);
                    source.at = SharedPtr::new(first);
                    let to = Epilogue::Leaky(Place::of(&maps[0]));
                    self.rows(&weights.stem[1], &source, rows.clone(), grid.width, to);
                },
            );
        }
        // Not earlier: this map may use the memory of the stem's map.
        self.clear_margins(&maps[1]);
        for (k, res) in weights.body.iter().enumerate() {
            let name = || name(&format!("res{k}"));
            self.step(name, plan.body.kernel(), plan.body.work(), || {
                self.res_conv(&plan.body, res, &maps[k % 2], &maps[(k + 1) % 2], true);
            });
        }
        let outputs = 4 * self.spec.block_outputs;
        let work = (pixels * 16 * c * outputs * 2, pixels * (c + 4 * outputs));
        let Some(estimate) = plan.estimate else { return };
        self.step(
            || name("lastconv"),
            "direct",
            work,
            || {
                let id = if swapped { plan.mirrored.unwrap_or(estimate) } else { estimate };
                let estimate = self.buffer(id);
                let feature = plan.feature.map(|id| self.buffer(id));
                self.team.each(plan.body.grid.height, |y, _| {
                    self.last_conv(plan, weights, &maps[0], y, estimate, feature);
                });
            },
        );
    }

    /// The estimates of the blocks before `index` at the frame's pixels; the rest of the array is
    /// unused.
    fn estimates_before(&self, index: usize) -> [Estimates<'_>; MOST_BLOCKS] {
        std::array::from_fn(|i| {
            let counts = self.spec.mask_update == MaskUpdate::Add || i + 1 == index;
            let mask = if counts { 1.0 } else { 0.0 };
            let plan = &self.plan.blocks[i.min(self.plan.blocks.len() - 1)];
            let at = plan.estimate.map_or(self.arena, |id| self.buffer(id));
            Self::estimates(plan, at, [1.0, 1.0, 1.0, 1.0, mask, 0.0, 0.0, 0.0])
        })
    }

    fn estimates(plan: &BlockPlan, at: SharedPtr<f32>, keep: [f32; ESTIMATE]) -> Estimates<'_> {
        Estimates {
            at: at.at(0),
            row: plan.width * ESTIMATE,
            down: &plan.to_frame[0],
            across: &plan.to_frame[1],
            keep,
        }
    }

    fn pictures(&self) -> Frames {
        Frames {
            at: self.frames.map(|f| f.at(0).cast_const()),
            row: self.frame_row(),
            lanes: self.plan.lanes,
            height: self.plan.padding.padded_height,
            width: self.plan.padding.padded_width,
        }
    }

    /// A convolution, one task per row.
    fn rows(
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

    /// The first convolution of a block for a band of rows of the body, with its input computed
    /// patch by patch. The first row of `to` is the first of the band.
    fn stem(&self, stem: &Stem<'_>, band: &Range<usize>, to: &Map) {
        let Stem { index, plan, weights, timestep, swapped } = *stem;
        let (rows, columns) = PATCH;
        let Map { grid, .. } = *to;
        let at = SharedPtr::new(to.origin());
        let across = grid.width.div_ceil(columns);
        // The row above the band is needed too; for the first band it is the margin of zeros.
        let (start, end) = ((2 * band.start).saturating_sub(1), 2 * band.end);
        self.team.each(across * (end - start).div_ceil(rows), |task, own| {
            let (y, x) = (start + task / across * rows, task % across * columns);
            let (rows, columns) = (rows.min(end - y), columns.min(grid.width - x));
            let span = |from: usize, len: usize| 2 * from as isize - 1..2 * (from + len) as isize;
            let patch_row = (2 * PATCH.1 + 1) * plan.pixel;
            let patch = (2 * PATCH.0 + 1) * patch_row;
            let (patch, scratch) = own.as_mut_slice().split_at_mut(patch.next_multiple_of(BLOCK));
            let known = self.estimates_before(index);
            let feature = match index.checked_sub(1).map(|i| &self.plan.blocks[i]) {
                Some(before) => {
                    let of = |id| Self::estimates(before, self.buffer(id), [1.0; ESTIMATE]);
                    before.feature.map(of)
                }
                None => None,
            };
            let args = Inputs {
                frames: self.pictures(),
                estimates: &known[..index],
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
            // SAFETY: see [`Run`]; the patch is the thread's own scratch memory, which has room for
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

    /// A convolution of stride 1 and LeakyReLU. With `residual`, the input is added first.
    fn res_conv(&self, body: &Body, weights: &ResWeights, from: &Map, to: &Map, residual: bool) {
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
                let point = point_stride(tiles, grid.channels);
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
                let point = point_stride(body.tiles, grid.channels);
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
            Schedule::Direct => unreachable!("weights are packed as the plan cuts"),
        }
    }

    /// The transposed convolution and the pixel shuffle for one row of its input, which gives four
    /// rows of flow, mask and feature.
    fn last_conv(
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

    /// Averages a block's estimate with that of the reversed pair.
    fn average(&self, plan: &BlockPlan) {
        let (Some(estimate), Some(mirrored)) = (plan.estimate, plan.mirrored) else { return };
        let (estimate, mirrored) = (self.buffer(estimate), self.buffer(mirrored));
        let row = plan.width * ESTIMATE;
        self.team.each(plan.height, |y, _| {
            // SAFETY: see [`Run`]; each row belongs to one task.
            let (ours, theirs) = unsafe {
                (
                    std::slice::from_raw_parts_mut(estimate.at(y * row), row),
                    std::slice::from_raw_parts(mirrored.at(y * row).cast_const(), row),
                )
            };
            for (a, b) in ours.chunks_exact_mut(ESTIMATE).zip(theirs.chunks_exact(ESTIMATE)) {
                for i in 0..4 {
                    a[i] = (a[i] + b[(i + 2) % 4]) * 0.5;
                }
                a[4] = (a[4] - b[4]) * 0.5;
            }
        });
    }

    /// Blends the frames by the blocks' estimates, and passes on each row as `row(y, channels,
    /// stride)`, with each channel at a multiple of `stride`.
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
        let of_the_conv = rows * columns * 16 * channels * outputs * 2;
        let work = (of_the_conv, work.1 + rows * columns * channels);
        let name = || format!("block{}.lastconv, blend", count - 1);
        self.step(name, "direct, blend", work, || {
            let [from, _] = self.maps(&plan.body);
            self.team.each(height.div_ceil(4), |y, own| {
                let four_rows = 4 * plan.width * ESTIMATE;
                let (estimate, own) = own.as_mut_slice().split_at_mut(four_rows);
                let estimate = SharedPtr::new(estimate.as_mut_ptr());
                // The start that a whole picture would have, of which these are four rows.
                let first = SharedPtr::new(estimate.at(0).wrapping_sub(y * four_rows));
                self.last_conv(plan, weights, &from, y, first, None);
                let mut known = self.estimates_before(count);
                known[count - 1].at = first.at(0);
                self.blend_rows(4 * y..(4 * y + 4).min(height), &known[..count], own, &row);
            });
        });
    }

    /// Blends some rows, in scratch memory.
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
            // SAFETY: see [`Run`]; the scratch memory is the thread's own, and of the size that the
            // plan requires.
            unsafe { (self.kernels.blend)(&args) };
            row(y, to, stride);
        }
    }
}

/// The first convolution of a block.
#[derive(Clone, Copy)]
struct Stem<'a> {
    index: usize,
    plan: &'a BlockPlan,
    weights: &'a DirectWeights,
    timestep: f32,
    swapped: bool,
}

impl Place {
    /// The blocks of a map.
    fn of(map: &Map) -> Self {
        Self { at: map.origin(), row: map.grid.row(), plane: map.grid.plane() }
    }
}
