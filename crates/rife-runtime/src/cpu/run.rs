//! Runs the steps of a plan on the threads of a team.

mod blend;
mod convolutions;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rife_model::ModelSpec;

use super::conv::ConvInput;
use super::kernels::direct::{Epilogue, Pixels, Place};
use super::kernels::picture::ESTIMATE;
use super::kernels::{Bf16Kernels, Kernels};
use super::pack::{BlockWeights, EncoderWeights, Packed};
use super::plan::{BlockPlan, Body, BufferId, Plan};
use super::team::{SharedPtr, Team};
use super::tensor::Map;
use convolutions::Stem;

/// The time of one step of a frame.
#[derive(Clone, Debug)]
pub(crate) struct StepTime {
    pub(crate) name: String,
    pub(crate) kernel: &'static str,
    pub(crate) took: Duration,
    /// Multiplications and additions of the published layer.
    pub(crate) flops: f64,
    /// Bytes read and written.
    pub(crate) bytes: f64,
}

/// Collects the times of the steps of a run.
pub(crate) type Clock = Mutex<Vec<StepTime>>;

/// One run of a plan.
///
/// # Invariants
/// The kernel calls in this module rely on these:
/// - The run has exclusive access to the arena and the frames.
/// - Steps run one after another, so only the tasks of one step access memory at a time.
/// - The plan gives distinct memory to buffers whose lifetimes overlap.
/// - Each task of a step writes its own part of the output.
pub(crate) struct Run<'a> {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) kernels: &'a Kernels,
    /// Set if the weights are BF16.
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

    /// Runs a step. If a clock is set, records its time with its name, its kernel, and its work:
    /// flops, and floats read and written.
    fn step(
        &self,
        name: impl FnOnce() -> String,
        kernel: &'static str,
        (flops, floats): (usize, usize),
        run: impl FnOnce(),
    ) {
        let Some(clock) = self.clock else { return run() };
        let start = Instant::now();
        run();
        let took = start.elapsed();
        let (flops, bytes) = (flops as f64, 4.0 * floats as f64);
        let time = StepTime { name: name(), kernel, took, flops, bytes };
        clock.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    /// Floats from one row of a frame to the next.
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
        let to = Pixels { at: frame.at(3), row: self.frame_row(), pixel: lanes, step: 2 };
        let features = self.spec.encoder_channels;
        let work = (pixels * 16 * c * features * 2, pixels * (c + 4 * features));
        self.step(
            || "encode.cnn3".into(),
            "direct",
            work,
            || {
                self.features(plan, last, map, to);
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

    /// Estimates flow and mask of one block. `swapped`: of the reversed pair.
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
                    // The stem's map holds only this band: offset its origin by the rows of the
                    // earlier bands. The stem has two rows for each row of the body.
                    let first = stem.origin().wrapping_sub(2 * rows.start * stem.grid.row());
                    let mut source = ConvInput::of(&stem, &plan.stem_segments, 2);
                    source.at = SharedPtr::new(first);
                    let to = Epilogue::Leaky(Place::of(&maps[0]));
                    self.rows(&weights.stem[1], &source, rows.clone(), grid.width, to);
                },
            );
        }
        // This map may reuse the memory of the stem's map, so clear it only now.
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

    /// Averages a block's estimate with that of the reversed pair (the ensemble).
    fn average(&self, plan: &BlockPlan) {
        let (Some(estimate), Some(mirrored)) = (plan.estimate, plan.mirrored) else { return };
        let (estimate, mirrored) = (self.buffer(estimate), self.buffer(mirrored));
        let row = plan.width * ESTIMATE;
        self.team.each(plan.height, |y, _| {
            // SAFETY: see [`Run`]; each row belongs to one task.
            let (forward, reversed) = unsafe {
                (
                    std::slice::from_raw_parts_mut(estimate.at(y * row), row),
                    std::slice::from_raw_parts(mirrored.at(y * row).cast_const(), row),
                )
            };
            for (a, b) in forward.chunks_exact_mut(ESTIMATE).zip(reversed.chunks_exact(ESTIMATE)) {
                for i in 0..4 {
                    a[i] = (a[i] + b[(i + 2) % 4]) * 0.5;
                }
                a[4] = (a[4] - b[4]) * 0.5;
            }
        });
    }
}
