//! Validates plans with a simulated run that tracks the reads and writes of every buffer.

use proptest::prelude::*;
use rife_model::{ModelVersion, Scale};

use super::super::kernels::picture::{ESTIMATE, Tap};
use super::super::kernels::winograd::{POINTS, TILE};
use super::super::plan::{BlockPlan, Body, BufferId, PATCH, Plan, Request, Schedule, point_stride};
use super::super::tensor::{BLOCK, Grid, segment_len};
use crate::{FrameSize, Optimization, Optimizations};

fn requests() -> impl Strategy<Value = Request> {
    let size = (1..=700usize, 1..=700usize);
    let version = prop::sample::select(ModelVersion::ALL.to_vec());
    let scale = prop::sample::select(Scale::ALL.to_vec());
    let switches = prop::collection::vec(any::<bool>(), Optimization::ALL.len());
    (size, version, scale, any::<bool>(), 1..=64usize, switches).prop_map(
        |((width, height), version, scale, ensemble, threads, switches)| {
            let spec = version.spec();
            let optimizations = Optimization::ALL
                .into_iter()
                .zip(switches)
                .fold(Optimizations::none(), |all, (one, on)| all.with(one, on));
            let ensemble = ensemble && spec.supports_ensemble;
            let size = FrameSize::new(width, height);
            Request { spec, size, scale, ensemble, threads, optimizations }
        },
    )
}

/// The content of a buffer, from the step that writes it to the last step that reads it.
#[derive(Clone, Copy, Debug)]
struct Value {
    buffer: BufferId,
    len: usize,
    written: usize,
    read: usize,
}

/// The reads and writes of a simulated run.
#[derive(Default)]
struct Events {
    now: usize,
    values: Vec<Value>,
}

impl Events {
    /// Reads some buffers and fills others with new values.
    fn step(&mut self, reads: &[BufferId], writes: &[(BufferId, usize)]) {
        for buffer in reads {
            let last = self.values.iter_mut().rev().find(|v| v.buffer == *buffer);
            last.expect("read before it is written").read = self.now;
        }
        for (buffer, len) in writes.iter().copied() {
            self.values.push(Value { buffer, len, written: self.now, read: self.now });
        }
        self.now += 1;
    }

    /// Runs a chain of convolutions that starts from the first map.
    fn body(&mut self, body: &Body) {
        let [first, second] = body.maps;
        let mut writes = vec![(second, body.grid.len())];
        if let Schedule::BySteps { points, products } = body.schedule {
            let len = points_len(body.tiles, body.grid.padded_channels());
            writes.extend([(points, len), (products, len)]);
        }
        let all: Vec<_> = writes.iter().map(|(buffer, _)| *buffer).chain([first]).collect();
        self.step(&[first], &writes);
        self.step(&all, &[]);
    }

    fn of(plan: &Plan) -> Self {
        let mut all = Self::default();
        if let Some(encoder) = &plan.encoder {
            let body = &encoder.body;
            // The margins of both maps are cleared first.
            let writes = body.maps.map(|map| (map, body.grid.len()));
            for _ in 0..2 {
                all.step(&[], &writes);
                all.body(body);
                all.step(&body.maps, &[]);
            }
        }
        for (i, block) in plan.blocks.iter().enumerate() {
            let pixels = block.height * block.width * ESTIMATE;
            let feature = plan.blocks[..i].last().and_then(|b| b.feature);
            let sources: Vec<_> = estimates(&plan.blocks[..i]).chain(feature).collect();
            let [first, _] = block.body.maps;
            // The estimate of a fused block is computed while the frame is blended.
            for to in [
                block.estimate.map(Some),
                block.mirrored.map(Some),
                block.estimate.is_none().then_some(None),
            ] {
                let Some(to) = to else { continue };
                all.step(&[], &[(first, block.body.grid.len())]);
                for _ in 0..block.body.grid.height.div_ceil(block.band) {
                    all.step(&sources, &[(block.stem_map, block.stem.len())]);
                    all.step(&[block.stem_map, first], &[]);
                }
                all.body(&block.body);
                let outputs = [to, block.feature].into_iter().flatten();
                all.step(&[first], &outputs.map(|b| (b, pixels)).collect::<Vec<_>>());
            }
            if let (Some(estimate), Some(mirrored)) = (block.estimate, block.mirrored) {
                all.step(&[estimate, mirrored], &[]);
            }
        }
        let mut read: Vec<_> = estimates(&plan.blocks).collect();
        let fused = plan.blocks.last().filter(|_| plan.fused());
        read.extend(fused.map(|b| b.body.maps[0]));
        all.step(&read, &[]);
        all
    }
}

/// The estimates of the blocks that store one.
fn estimates(blocks: &[BlockPlan]) -> impl Iterator<Item = BufferId> {
    blocks.iter().filter_map(|block| block.estimate)
}

/// Floats from the first point of the first tile to the last point of the last tile.
fn points_len(tiles: usize, channels: usize) -> usize {
    (POINTS - 1) * point_stride(tiles, channels) + tiles * channels
}

/// Checks that a convolution of `outputs` stays within a grid and its margin of one pixel.
fn check_segments(grid: &Grid, segments: &[isize], stride: usize, outputs: (usize, usize)) {
    let corners = [(0, 0), (outputs.0 - 1, outputs.1 - 1)];
    for (segment, (y, x)) in segments.iter().flat_map(|s| corners.map(|corner| (*s, corner))) {
        let at = grid.origin() + stride * (y * grid.row() + x * BLOCK);
        let at = at.checked_add_signed(segment).expect("a segment before the map");
        let (block, row, column) =
            (at / grid.plane(), at % grid.plane() / grid.row(), at % grid.row() / BLOCK);
        // A segment lies within the channels of one block.
        let end = at % BLOCK + segment_len(grid.channels);
        assert!(end <= BLOCK && block < grid.blocks(), "{segment} of {grid:?}");
        assert!(row <= grid.height + 1 && column <= grid.width + 1, "{segment} of {grid:?}");
    }
}

/// Checks that tiles and taps stay within the grid.
fn check_body(body: &Body) {
    let grid = body.grid;
    let (down, across) = (grid.height.div_ceil(TILE), grid.width.div_ceil(TILE));
    assert_eq!((body.across, body.tiles), (across, down * across));
    // A tile reads a border of one pixel.
    let (rows, columns) = (grid.plane() / grid.row(), grid.row() / BLOCK);
    assert!(TILE * down + 2 <= rows && TILE * across + 2 <= columns, "{grid:?}");
    assert!(grid.len() == grid.blocks() * grid.plane());
    check_segments(&grid, &body.segments, 1, (grid.height, grid.width));
    assert_eq!(body.segments.len() * segment_len(grid.channels), 9 * grid.channels);
}

fn check_taps(all: &[Tap], from: usize, to: usize) {
    assert_eq!(all.len(), to);
    for tap in all {
        assert!(tap.first <= tap.second && (tap.second as usize) < from, "{tap:?} of {from}");
        assert!((0.0..1.0).contains(&tap.weight), "{tap:?}");
    }
}

/// Scratch memory of a thread for its tiles of one chain.
fn tile_scratch(body: &Body) -> usize {
    match body.schedule {
        Schedule::ByTiles { tiles } => {
            assert!(tiles > 0, "a task has no tiles");
            let stride = point_stride(tiles, body.grid.padded_channels());
            assert!(stride >= tiles * body.grid.padded_channels(), "points overlap");
            POINTS * stride + points_len(tiles, body.grid.padded_channels())
        }
        Schedule::BySteps { .. } | Schedule::Direct => 0,
    }
}

/// Scratch memory of a thread for the largest patch of a block's input: the patch, and two
/// interpolated rows of every estimate and of the feature, as wide as the patch.
fn patch_scratch(plan: &Plan, index: usize) -> usize {
    let block = &plan.blocks[index];
    let patch = (2 * PATCH.0 + 1) * (2 * PATCH.1 + 1) * block.pixel;
    let sources = plan.blocks[..index].iter();
    let feature = plan.blocks[..index].last().filter(|b| b.feature.is_some());
    let sources: Vec<_> = sources.chain(feature).map(|b| &b.to_frame[1]).collect();
    let of_a_part = |x: usize| {
        let columns = (2 * x).saturating_sub(1)..(2 * (x + PATCH.1)).min(block.width);
        let across = &block.to_picture[1][columns];
        let (left, right) = (across[0].first as usize, across[across.len() - 1].second as usize);
        let samples = |taps: &&Vec<Tap>| taps[right].second - taps[left].first + 1;
        sources.iter().map(samples).sum::<u32>() as usize * 2 * ESTIMATE
    };
    let mixed = (0..block.stem.width).step_by(PATCH.1).map(of_a_part).max();
    patch.next_multiple_of(BLOCK) + mixed.unwrap_or(0)
}

/// Scratch memory of a thread to blend a row: three channels, both samples and the mask of each
/// pixel, and an interpolated row of every estimate; and four rows of the last one if it is fused.
fn blend_scratch(plan: &Plan) -> usize {
    let columns = plan.padding.width.next_multiple_of(BLOCK);
    let taps = plan.blocks.iter().map(|b| &b.to_frame[1]);
    let mixed = taps.map(|taps| taps[plan.padding.width - 1].second as usize + 1);
    let fused = plan.blocks.last().filter(|_| plan.fused()).map_or(0, |b| 4 * b.width);
    (3 + 8 + 1) * columns + (mixed.sum::<usize>() + fused) * ESTIMATE
}

proptest! {
    #[test]
    fn buffers_in_use_at_the_same_time_do_not_overlap(request in requests()) {
        let plan = Plan::new(&request);
        let values = Events::of(&plan).values;
        let share = request.optimizations.has(Optimization::ReusedBuffers);
        for (i, a) in values.iter().enumerate() {
            let at = plan.offsets[a.buffer];
            prop_assert!(at.is_multiple_of(BLOCK), "{a:?} is not aligned to a cache line");
            prop_assert!(at + a.len <= plan.arena, "{a:?} is outside the arena");
            for b in values[..i].iter().filter(|b| b.buffer != a.buffer) {
                let in_use_together = a.written <= b.read && b.written <= a.read;
                let b_at = plan.offsets[b.buffer];
                let overlap = at < b_at + b.len && b_at < at + a.len;
                prop_assert!(!(overlap && (in_use_together || !share)), "{a:?} and {b:?} overlap");
            }
        }
    }

    #[test]
    fn sharing_memory_does_not_enlarge_the_arena(request in requests()) {
        let with = |on| {
            let optimizations = request.optimizations.with(Optimization::ReusedBuffers, on);
            Plan::new(&Request { optimizations, ..request })
        };
        let (shared, separate) = (with(true), with(false));
        prop_assert!(shared.arena <= separate.arena);
        prop_assert_eq!(shared.scratch, separate.scratch);
    }

    #[test]
    fn scratch_memory_is_large_enough_for_every_task(request in requests()) {
        let plan = Plan::new(&request);
        let bodies = plan.blocks.iter().map(|b| &b.body).chain(plan.encoder.iter().map(|e| &e.body));
        for body in bodies {
            prop_assert!(tile_scratch(body) <= plan.scratch, "tiles of {:?}", body.grid);
        }
        for i in 0..plan.blocks.len() {
            prop_assert!(patch_scratch(&plan, i) <= plan.scratch, "patches of block {i}");
        }
        prop_assert!(blend_scratch(&plan) <= plan.scratch, "rows");
    }

    #[test]
    fn every_read_is_within_its_buffer(request in requests()) {
        let plan = Plan::new(&request);
        let (height, width) = (plan.padding.padded_height, plan.padding.padded_width);
        prop_assert!(height >= request.size.height && width >= request.size.width);
        let row = plan.frame_columns() * plan.lanes;
        let last = plan.frame_origin() + (height - 1) * row + (width - 1) * plan.lanes;
        // A pixel is loaded as a vector of one float more.
        prop_assert!(last + plan.lanes < plan.frame_len());
        prop_assert_eq!(plan.encoder.is_some(), request.spec.has_encoder());
        if let Some(encoder) = &plan.encoder {
            check_body(&encoder.body);
            let grid = encoder.body.grid;
            prop_assert_eq!((2 * grid.height, 2 * grid.width), (height, width));
            for (y, x) in [(0, 0), (grid.height - 1, grid.width - 1)] {
                let at = plan.frame_origin() + 2 * (y * row + x * plan.lanes);
                for segment in &encoder.first_segments {
                    let at = at.checked_add_signed(*segment).expect("a segment is before the frame");
                    prop_assert!(at + 3 <= plan.frame_len());
                }
            }
        }
        for block in &plan.blocks {
            check_body(&block.body);
            let grid = block.body.grid;
            prop_assert!((1..=grid.height).contains(&block.band));
            prop_assert_eq!((2 * block.band, block.width), (block.stem.height, 2 * block.stem.width));
            prop_assert_eq!((4 * grid.height, 4 * grid.width), (block.height, block.width));
            prop_assert_eq!(block.height as f64 * block.divisor, height as f64);
            check_segments(&block.stem, &block.stem_segments, 2, (block.band, grid.width));
            for segments in &block.phase_segments {
                check_segments(&grid, segments, 1, (grid.height, grid.width));
            }
            let patch_row = (2 * PATCH.1 + 1) * block.pixel;
            let last = 2 * (PATCH.0 - 1) * patch_row + 2 * (PATCH.1 - 1) * block.pixel;
            for segment in &block.patch_segments {
                let end = (2 * PATCH.0 + 1) * patch_row;
                prop_assert!(*segment >= 0 && last + *segment as usize + block.pixel <= end);
            }
            check_taps(&block.to_picture[0], height, block.height);
            check_taps(&block.to_picture[1], width, block.width);
            check_taps(&block.to_frame[0], block.height, height);
            check_taps(&block.to_frame[1], block.width, width);
        }
    }
}
