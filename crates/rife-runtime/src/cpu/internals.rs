//! Kernels for benchmarks, with the shapes of 4.6 at 640×360, on one thread.

use std::sync::Arc;

use rife_model::{ModelSpec, Scale};

use super::kernels::Kernels;
use super::kernels::direct::{Direct, Epilogue, Pixels, Place};
use super::kernels::picture::{Blend, ESTIMATE, Estimates, Frames, Inputs};
use super::kernels::winograd::{InputTransform, Multiply, OutputTransform, POINTS};
use super::level::Level;
use super::pack::zeros;
use super::plan::{BlockPlan, PATCH, Plan, Request, Schedule, point_stride};
use super::tensor::{BLOCK, Floats, Grid};
use crate::{FrameSize, Optimizations, Result};

/// The size of the frame.
const SIZE: FrameSize = FrameSize::new(640, 360);
/// The block whose shapes are used, except for Winograd: it has the most pixels.
const LARGE: usize = 3;
/// The block whose shapes are used for Winograd.
const MIDDLE: usize = 2;

/// A kernel that can be run repeatedly.
pub struct Kernel {
    /// The kernel, and the layer that its shape is taken from.
    pub name: &'static str,
    /// Flops of a run; 0 for a kernel that is not measured in flops.
    pub flops: f64,
    run: Box<dyn FnMut()>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Runs the kernel once.
    pub fn run(&mut self) {
        (self.run)();
    }
}

/// Every kernel, for the instruction set in use.
///
/// # Errors
/// [`crate::Error::OutOfMemory`] if an allocation fails.
pub fn kernels() -> Result<Vec<Kernel>> {
    let kernels = Kernels::of(Level::current());
    let (older, newer) = (plan(&ModelSpec::V4_6), plan(&ModelSpec::V4_25));
    let mut all = vec![
        convolution(kernels, &older, "direct leaky, block3.conv0.1", Kind::Leaky)?,
        convolution(kernels, &older, "direct residual, block3.res", Kind::Residual)?,
        convolution(kernels, &older, "direct quarters, block3.lastconv", Kind::Quarters)?,
        convolution(kernels, &newer, "direct eights, 4.25 block3.lastconv", Kind::Eights)?,
        convolution(kernels, &older, "direct singles, block3.lastconv", Kind::Singles)?,
    ];
    all.extend(winograd(kernels, &older)?);
    all.push(inputs(kernels, &older)?);
    all.push(blend(kernels, &older)?);
    Ok(all)
}

fn plan(spec: &'static ModelSpec) -> Arc<Plan> {
    Arc::new(Plan::new(&Request {
        spec,
        size: SIZE,
        scale: Scale::One,
        ensemble: false,
        threads: 1,
        optimizations: Optimizations::all(),
    }))
}

/// Numbers large enough that no step rounds them to zero.
fn some(len: usize) -> Result<Floats> {
    let mut floats = zeros(len)?;
    for (i, v) in floats.as_mut_slice().iter_mut().enumerate() {
        *v = (i % 13) as f32 / 64.0;
    }
    Ok(floats)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Leaky,
    Residual,
    Quarters,
    Eights,
    Singles,
}

impl Kind {
    /// Its input map, stride, segments, and vectors of outputs.
    fn source(self, plan: &BlockPlan) -> (Grid, usize, &[isize], usize) {
        let body = &plan.body;
        let all = body.grid.blocks();
        match self {
            Self::Leaky => (plan.stem, 2, &plan.stem_segments, all),
            Self::Residual => (body.grid, 1, &body.segments, all),
            Self::Quarters => (body.grid, 1, &plan.phase_segments[0], 1),
            Self::Eights => (body.grid, 1, &plan.phase_segments[0], 3),
            Self::Singles => (body.grid, 1, &body.segments, 1),
        }
    }
}

/// A convolution of a whole map.
fn convolution(
    kernels: Kernels,
    plan: &Arc<Plan>,
    name: &'static str,
    kind: Kind,
) -> Result<Kernel> {
    let plan = Arc::clone(plan);
    let block = &plan.blocks[LARGE];
    let (from_grid, _, segments, vectors) = kind.source(block);
    let grid = block.body.grid;
    let from = some(from_grid.len())?;
    let weights = some(segments.len() * BLOCK * vectors * BLOCK)?;
    let bias = some(vectors * BLOCK)?;
    // Singles start within a pixel, so the last store extends beyond the last pixel.
    let pixels = block.height * block.width * ESTIMATE + BLOCK;
    let mut to = zeros(grid.len().max(pixels))?;
    let mut eights = zeros(pixels)?;
    let outputs = grid.height * grid.width * vectors * BLOCK;
    let flops = (2 * outputs * segments.len() * BLOCK) as f64;
    let run = Box::new(move || {
        let block = &plan.blocks[LARGE];
        let (from_grid, stride, segments, vectors) = kind.source(block);
        let (row, grid) = (block.width * ESTIMATE, block.body.grid);
        let pixels = |at| Pixels { at, row, pixel: ESTIMATE, step: 4 };
        let origin = to.as_mut_ptr().wrapping_add(grid.origin());
        let place = Place { at: origin, row: grid.row(), plane: grid.plane() };
        let first = from.as_ptr().wrapping_add(from_grid.origin());
        let quarters = pixels(to.as_mut_ptr());
        let args = Direct {
            src: first,
            src_row: stride * from_grid.row(),
            src_column: stride * BLOCK,
            segments,
            len: BLOCK,
            weights: weights.as_ptr(),
            bias: bias.as_ptr(),
            vectors,
            rows: 0..grid.height,
            columns: 0..grid.width,
            to: match kind {
                Kind::Leaky => Epilogue::Leaky(place),
                Kind::Residual => Epilogue::Residual { place, add: first },
                Kind::Quarters => Epilogue::Quarters(quarters),
                Kind::Eights => {
                    Epilogue::QuartersAndEights { quarters, eights: pixels(eights.as_mut_ptr()) }
                }
                Kind::Singles => Epilogue::Singles(pixels(to.as_mut_ptr().wrapping_add(4))),
            },
        };
        // SAFETY: the CPU supports these kernels; every buffer is owned by the closure,
        // and as large as its grid or picture.
        unsafe { (kernels.direct)(&args) };
    });
    Ok(Kernel { name, flops, run })
}

/// The three steps of Winograd, for the tiles of one task.
fn winograd(kernels: Kernels, plan: &Arc<Plan>) -> Result<[Kernel; 3]> {
    let body = plan.blocks[MIDDLE].body.clone();
    let (grid, across) = (body.grid, body.across);
    let tiles = match body.schedule {
        Schedule::ByTiles { tiles } => tiles.min(body.tiles),
        Schedule::BySteps { .. } | Schedule::Direct => body.tiles,
    };
    let c = grid.channels;
    let point = point_stride(tiles, c);

    let map = some(grid.len())?;
    let mut points = zeros(POINTS * point)?;
    let input_transform = Box::new(move || {
        let args = InputTransform {
            src: map.as_ptr().wrapping_add(grid.origin()),
            row: grid.row(),
            plane: grid.plane(),
            blocks: 0..grid.blocks(),
            across,
            tiles: 0..tiles,
            to: points.as_mut_ptr(),
            point,
            tile: c,
        };
        // SAFETY: the CPU supports these kernels; both buffers are owned by the closure,
        // and as large as the grid and the points.
        unsafe { (kernels.input_transform)(&args) };
    });

    let (from, weights) = (some(POINTS * point)?, some(POINTS * c * c)?);
    let mut products = zeros(POINTS * point)?;
    let multiply = Box::new(move || {
        let args = Multiply {
            from: from.as_ptr(),
            from_point: point,
            from_tile: c,
            channels: c,
            weights: weights.as_ptr(),
            vectors: c / BLOCK,
            points: 0..POINTS,
            tiles,
            to: products.as_mut_ptr(),
            to_point: point,
        };
        // SAFETY: as above, with weights for all points.
        unsafe { (kernels.multiply)(&args) };
    });

    let (from, bias, add) = (some(POINTS * point)?, some(c)?, some(grid.len())?);
    let mut to = zeros(grid.len())?;
    let output_transform = Box::new(move || {
        let origin = grid.origin();
        let args = OutputTransform {
            from: from.as_ptr(),
            point,
            tile: c,
            bias: bias.as_ptr(),
            add: add.as_ptr().wrapping_add(origin),
            blocks: 0..grid.blocks(),
            across,
            tiles: 0..tiles,
            height: grid.height,
            width: grid.width,
            to: Place {
                at: to.as_mut_ptr().wrapping_add(origin),
                row: grid.row(),
                plane: grid.plane(),
            },
        };
        // SAFETY: as above.
        unsafe { (kernels.output_transform)(&args) };
    });
    Ok([
        Kernel { name: "input_transform, block2.res", flops: 0.0, run: input_transform },
        Kernel {
            name: "multiply, block2.res",
            flops: (2 * POINTS * tiles * c * c) as f64,
            run: multiply,
        },
        Kernel { name: "output_transform, block2.res", flops: 0.0, run: output_transform },
    ])
}

/// The input of the picture kernels: both frames, and the estimate of each block.
struct Pictures {
    plan: Arc<Plan>,
    frames: [Floats; 2],
    estimates: Vec<Floats>,
}

impl Pictures {
    fn new(plan: &Arc<Plan>) -> Result<Self> {
        let frame = || some(plan.frame_len());
        let estimate = |block: &BlockPlan| some(block.height * block.width * ESTIMATE);
        Ok(Self {
            plan: Arc::clone(plan),
            frames: [frame()?, frame()?],
            estimates: plan.blocks.iter().map(estimate).collect::<Result<_>>()?,
        })
    }

    fn frames(&self) -> Frames {
        let plan = &self.plan;
        Frames {
            at: self.frames.each_ref().map(|f| f.as_ptr().wrapping_add(plan.frame_origin())),
            row: plan.frame_columns() * plan.lanes,
            lanes: plan.lanes,
            height: plan.padding.padded_height,
            width: plan.padding.padded_width,
        }
    }

    fn estimates(&self) -> Vec<Estimates<'_>> {
        let all = self.plan.blocks.iter().zip(&self.estimates);
        all.map(|(block, floats)| Estimates {
            at: floats.as_ptr(),
            row: block.width * ESTIMATE,
            down: &block.to_frame[0],
            across: &block.to_frame[1],
            keep: [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        })
        .collect()
    }
}

/// The input of a patch in the middle of the last block's picture.
fn inputs(kernels: Kernels, plan: &Arc<Plan>) -> Result<Kernel> {
    let pictures = Pictures::new(plan)?;
    let mut own = zeros(plan.scratch)?;
    let run = Box::new(move || {
        let block = &pictures.plan.blocks[LARGE];
        let estimates = pictures.estimates();
        let span = |middle: usize, len: usize| {
            let from = middle as isize;
            2 * from - 1..2 * (from + len as isize)
        };
        let to_row = (2 * PATCH.1 + 1) * block.pixel;
        let patch = ((2 * PATCH.0 + 1) * to_row).next_multiple_of(BLOCK);
        let (patch, scratch) = own.as_mut_slice().split_at_mut(patch);
        let args = Inputs {
            frames: pictures.frames(),
            estimates: &estimates[..LARGE],
            feature: None,
            down: &block.to_picture[0],
            across: &block.to_picture[1],
            timestep: 0.5,
            flow_scale: (1.0 / block.divisor) as f32,
            swapped: false,
            rows: span(block.stem.height / 2, PATCH.0),
            columns: span(block.stem.width / 2, PATCH.1),
            to: patch.as_mut_ptr(),
            to_row,
            to_pixel: block.pixel,
            scratch: scratch.as_mut_ptr(),
        };
        // SAFETY: the CPU supports these kernels; frames, estimates and scratch memory are
        // owned by the closure, and as large as the plan requires.
        unsafe { (kernels.inputs)(&args) };
    });
    Ok(Kernel { name: "inputs, a patch of block3", flops: 0.0, run })
}

/// One row of the interpolated frame.
fn blend(kernels: Kernels, plan: &Arc<Plan>) -> Result<Kernel> {
    let pictures = Pictures::new(plan)?;
    let mut own = zeros(plan.scratch)?;
    let run = Box::new(move || {
        let estimates = pictures.estimates();
        let stride = SIZE.width.next_multiple_of(BLOCK);
        let (to, scratch) = own.as_mut_slice().split_at_mut(3 * stride);
        let args = Blend {
            frames: pictures.frames(),
            estimates: &estimates,
            y: SIZE.height / 2,
            columns: SIZE.width,
            to: to.as_mut_ptr(),
            scratch: scratch.as_mut_ptr(),
        };
        // SAFETY: as for the inputs.
        unsafe { (kernels.blend)(&args) };
    });
    Ok(Kernel { name: "blend, a row", flops: 0.0, run })
}
