//! The plan for frames of one size: shapes, and the offsets of buffers. Plain arithmetic.

use rife_model::{ModelSpec, Padding, RES_CONVS, Scale};

use super::kernels::picture::{ESTIMATE, Tap, scratch_len, taps};
use super::kernels::winograd::{POINTS, TILE};
use super::pack::{MAX_FEATURES, TAPS, frame_lanes, input_channels, output_features, phase_taps};
use super::tensor::{BLOCK, Grid};
use crate::arena::{self, Lifetime};
use crate::{FrameSize, Optimization, Optimizations};

/// The alignment of every buffer in floats: a cache line.
const ALIGNMENT: usize = 16;
/// Outputs of a block's first convolution that one task computes (rows, columns).
pub(crate) const PATCH: (usize, usize) = (8, 48);
/// The approximate number of Winograd tiles that a thread takes through all steps at a time, so
/// that they stay in its cache.
const TILES: usize = 24;
/// Up to this number of tiles, threads share each step of Winograd: the weights are then larger
/// than the map, and are read only once.
const FEW_TILES: usize = 96;

/// The approximate maximum of floats between the two convolutions with stride 2. A larger map is
/// computed in bands, each of which stays in the cache until it is read.
const BAND: usize = 2 << 20;

/// Everything that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) size: FrameSize,
    pub(crate) scale: Scale,
    pub(crate) ensemble: bool,
    pub(crate) threads: usize,
    pub(crate) optimizations: Optimizations,
}

/// A buffer of the arena: an index into [`Plan::offsets`].
pub(crate) type BufferId = usize;

/// How a chain of convolutions is divided into tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Winograd: each task takes this many tiles through all steps.
    ByTiles { tiles: usize },
    /// Winograd: threads share each step, with these buffers in between.
    BySteps { points: BufferId, products: BufferId },
    /// Direct convolution.
    Direct,
}

/// A chain of convolutions of stride 1.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) grid: Grid,
    /// Winograd tiles per row, and in all.
    pub(crate) across: usize,
    pub(crate) tiles: usize,
    pub(crate) schedule: Schedule,
    /// Two maps that convolutions read and write alternately. The first one has the input, and the
    /// output after an even number of convolutions.
    pub(crate) maps: [BufferId; 2],
    /// The offsets of the nine taps.
    pub(crate) segments: Vec<isize>,
}

impl Body {
    /// The name of its kernels in reports.
    pub(crate) fn kernel(&self) -> &'static str {
        match self.schedule {
            Schedule::ByTiles { .. } => "winograd by tiles",
            Schedule::BySteps { .. } => "winograd by steps",
            Schedule::Direct => "direct",
        }
    }

    /// Flops of one of its convolutions as published, and the floats that it reads and writes.
    pub(crate) fn work(&self) -> (usize, usize) {
        let Grid { channels, height, width } = self.grid;
        let pixels = height * width;
        let weights = 9 * channels * channels;
        (pixels * weights * 2, 2 * pixels * channels + weights)
    }
}

/// The shapes and the buffers of a block.
#[derive(Clone, Debug)]
pub(crate) struct BlockPlan {
    /// The resolution of the block.
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) divisor: f64,
    /// Floats of a pixel of its input.
    pub(crate) pixel: usize,
    /// The map, or one band of it, between the two convolutions of stride 2.
    pub(crate) stem: Grid,
    /// Rows of the body per band.
    pub(crate) band: usize,
    pub(crate) stem_map: BufferId,
    pub(crate) patch_segments: Vec<isize>,
    pub(crate) stem_segments: Vec<isize>,
    pub(crate) body: Body,
    pub(crate) phase_segments: [Vec<isize>; 4],
    /// The buffer of the estimate. `None` if blending is fused, see [`Plan::fused`].
    pub(crate) estimate: Option<BufferId>,
    pub(crate) feature: Option<BufferId>,
    /// The estimate of the reversed pair, with the ensemble.
    pub(crate) mirrored: Option<BufferId>,
    /// Resampling from the frame's size to the block's, and back.
    pub(crate) to_picture: [Vec<Tap>; 2],
    pub(crate) to_frame: [Vec<Tap>; 2],
}

/// The encoder.
#[derive(Clone, Debug)]
pub(crate) struct EncoderPlan {
    pub(crate) first_segments: Vec<isize>,
    pub(crate) body: Body,
    pub(crate) phase_segments: [Vec<isize>; 4],
}

/// The steps of an engine for frames of one size.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) padding: Padding,
    /// Floats of a pixel of a frame.
    pub(crate) lanes: usize,
    pub(crate) blocks: Vec<BlockPlan>,
    pub(crate) encoder: Option<EncoderPlan>,
    /// The offset of each buffer in the arena, in floats.
    pub(crate) offsets: Vec<usize>,
    /// Floats of the arena, and of each thread's scratch memory.
    pub(crate) arena: usize,
    pub(crate) scratch: usize,
}

impl Plan {
    pub(crate) fn new(request: &Request) -> Self {
        Builder { request, lives: Vec::new(), scratch: 0 }.build()
    }

    /// Whether the estimate of the last block is blended as soon as it is computed, and not stored.
    pub(crate) fn fused(&self) -> bool {
        self.blocks.last().is_some_and(|block| block.estimate.is_none())
    }

    /// Pixels of a row of a frame, including the margin at the left.
    pub(crate) fn frame_columns(&self) -> usize {
        self.padding.padded_width + 1
    }

    /// Floats of a frame: a row and a column of zeros, then the pixels.
    pub(crate) fn frame_len(&self) -> usize {
        // A pixel is loaded as a vector that is one lane longer.
        self.frame_columns() * (self.padding.padded_height + 1) * self.lanes + 1
    }

    /// The offset of a frame's first pixel.
    pub(crate) fn frame_origin(&self) -> usize {
        (self.frame_columns() + 1) * self.lanes
    }
}

struct Builder<'a> {
    request: &'a Request,
    lives: Vec<Lifetime>,
    scratch: usize,
}

/// Floats from one point to the next, for tiles with this number of channels: one cache line more
/// than needed, so that points do not share a cache set.
pub(crate) fn point_stride(tiles: usize, channels: usize) -> usize {
    tiles * channels + BLOCK
}

impl Builder<'_> {
    fn build(mut self) -> Plan {
        let Request { spec, size, scale, .. } = *self.request;
        assert!(spec.encoder_channels <= MAX_FEATURES, "see `frame_lanes`");
        let padding = Padding::new(size.height, size.width, spec, scale);
        let lanes = frame_lanes(spec);
        let encoder = spec.has_encoder().then(|| self.encoder(&padding));
        // The encoder and the network never run at the same time.
        let for_encoder = std::mem::take(&mut self.lives);
        let count = spec.block_channels.len();
        let blocks: Vec<_> =
            (0..count).map(|i| self.block(&padding, i, for_encoder.len())).collect();
        let widths = blocks.iter().map(|b| b.width);
        self.scratch = self.scratch.max(
            scratch_len(widths, padding.padded_width) + 3 * size.width.next_multiple_of(BLOCK),
        );
        let share = self.request.optimizations.has(Optimization::ReusedBuffers);
        let place = if share { arena::place } else { arena::place_separately };
        let (mut offsets, encoder_end) = place(&for_encoder, ALIGNMENT);
        let (of_network, network_end) = place(&self.lives, ALIGNMENT);
        let base = if share { 0 } else { encoder_end };
        offsets.extend(of_network.into_iter().map(|at| at + base));
        Plan {
            padding,
            lanes,
            blocks,
            encoder,
            offsets,
            arena: encoder_end.max(base + network_end),
            scratch: self.scratch,
        }
    }

    /// Adds a buffer with its lifetime in steps, and returns its id, which is offset by `base`.
    fn buffer(&mut self, base: usize, len: usize, (first, last): (usize, usize)) -> BufferId {
        self.lives.push(Lifetime { len, first, last });
        base + self.lives.len() - 1
    }

    /// A chain whose first map is written in step `first`, and the second one in step `first + 1`
    /// or later.
    fn body(&mut self, base: usize, grid: Grid, (first, last): (usize, usize)) -> Body {
        let across = grid.width.div_ceil(TILE);
        let tiles = across * grid.height.div_ceil(TILE);
        let maps = [
            self.buffer(base, grid.len(), (first, last)),
            self.buffer(base, grid.len(), (first + 1, last)),
        ];
        let threads = self.request.threads;
        let schedule = if !self.request.optimizations.has(Optimization::Winograd) {
            Schedule::Direct
        } else if threads > 1 && tiles <= FEW_TILES {
            let len = POINTS * point_stride(tiles, grid.padded_channels());
            let mut points = || self.buffer(base, len, (first + 1, last));
            Schedule::BySteps { points: points(), products: points() }
        } else {
            // At least two tasks per thread, if there are enough tiles.
            let most = TILES * (64 / grid.channels).max(1);
            let tiles = tiles.div_ceil(2 * threads).clamp(6, most).next_multiple_of(6);
            let points = POINTS * point_stride(tiles, grid.padded_channels());
            self.scratch = self.scratch.max(2 * points);
            Schedule::ByTiles { tiles }
        };
        Body { grid, across, tiles, schedule, maps, segments: grid.segments(&TAPS) }
    }

    fn encoder(&mut self, padding: &Padding) -> EncoderPlan {
        let half = (padding.padded_height / 2, padding.padded_width / 2);
        let lanes = frame_lanes(self.request.spec) as isize;
        let row = (padding.padded_width as isize + 1) * lanes;
        let grid = Grid::new(self.request.spec.encoder_width, half);
        EncoderPlan {
            first_segments: TAPS.map(|(y, x)| y * row + x * lanes).to_vec(),
            body: self.body(0, grid, (0, 1)),
            phase_segments: phase_segments(&grid),
        }
    }

    fn block(&mut self, padding: &Padding, index: usize, base: usize) -> BlockPlan {
        let Request { spec, scale, ensemble, .. } = *self.request;
        let count = spec.block_channels.len();
        let divisor = scale.block_divisor(spec, index);
        let (frame_h, frame_w) = (padding.padded_height, padding.padded_width);
        let part = |side: usize| (side as f64 / divisor) as usize;
        let (height, width) = (part(frame_h), part(frame_w));
        let channels = spec.block_channels[index];
        let (rows, columns) = (height / 4, width / 4);
        let bands = (height * width / 4 * channels / 2).div_ceil(BAND).min(rows);
        let band = rows.div_ceil(bands);
        let stem = Grid::new(channels / 2, (2 * band, width / 2));
        // Three steps per block: input and stem, body, estimate. Then blending.
        let at = 3 * index;
        let stem_map = self.buffer(base, stem.len(), (at, at));
        let body = self.body(base, Grid::new(channels, (rows, columns)), (at, at + 2));
        let pixels = height * width * ESTIMATE;
        let end = 3 * count;
        // With the ensemble, all steps run again after the first estimate.
        let written = if ensemble { at } else { at + 2 };
        let fused = fused(self.request, index);
        let estimate = (!fused).then(|| self.buffer(base, pixels, (written, end)));
        if fused {
            self.scratch = self.scratch.max(
                4 * width * ESTIMATE
                    + scratch_len((0..count).map(|_| width), frame_w)
                    + 3 * frame_w.next_multiple_of(BLOCK),
            );
        }
        let feature =
            (output_features(spec, index) > 0).then(|| self.buffer(base, pixels, (at + 2, at + 3)));
        let mirrored = ensemble.then(|| self.buffer(base, pixels, (at, at + 2)));

        let pixel = input_channels(spec, index).len();
        let patch_columns = (2 * PATCH.1 + 1) as isize;
        let patch = (2 * PATCH.0 + 1) * (2 * PATCH.1 + 1) * pixel;
        // Earlier blocks have a lower resolution, so a patch covers no more columns of theirs.
        let sources = (0..=count).map(|_| 2 * PATCH.1 + 8);
        self.scratch = self.scratch.max(patch.next_multiple_of(BLOCK) + scratch_len(sources, 0));
        BlockPlan {
            height,
            width,
            divisor,
            pixel,
            stem,
            band,
            stem_map,
            patch_segments: TAPS
                .map(|(y, x)| ((y + 1) * patch_columns + x + 1) * pixel as isize)
                .to_vec(),
            stem_segments: stem.segments(&TAPS),
            phase_segments: phase_segments(&body.grid),
            body,
            estimate,
            feature,
            mirrored,
            to_picture: [taps(frame_h, height), taps(frame_w, width)],
            to_frame: [taps(height, frame_h), taps(width, frame_w)],
        }
    }
}

/// The segments of each phase of a transposed convolution.
fn phase_segments(grid: &Grid) -> [Vec<isize>; 4] {
    [(0, 0), (0, 1), (1, 0), (1, 1)].map(|phase| grid.segments(&phase_taps(phase)))
}

/// Whether the estimate of a block is blended as soon as it is computed, and not stored: that of
/// the last block, if it has the frame's resolution.
fn fused(request: &Request, index: usize) -> bool {
    let last = index + 1 == request.spec.block_channels.len();
    let whole = request.scale.block_divisor(request.spec, index) == 1.0;
    last && whole && !request.ensemble && request.optimizations.has(Optimization::FusedKernels)
}

// An even number of residual convolutions leaves the result in the first map.
const _: () = assert!(RES_CONVS.is_multiple_of(2));
