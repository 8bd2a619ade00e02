//! Times kernels on the GPU.

use std::sync::Arc;

use super::super::abi::Item;
use super::super::context::Shared;
use super::super::driver::{Event, Memory, Stream};
use super::super::launch::{Addresses, launch};
use super::super::plan::{Plan, Step};
use super::super::source::Shared as _;
use super::super::tile::Tile;
use crate::{FrameSize, Result, SampleType};

/// Launches that one timing averages over.
const LAUNCHES: usize = 10;
/// Timings of a tile; the least counts.
const TIMINGS: usize = 3;

/// The memory and the stream that kernels are timed with. The memory is filled with nonzero values,
/// since zeros can run faster.
pub(super) struct Timer {
    addresses: Addresses,
    stream: Stream,
    start: Event,
    end: Event,
    _memory: [Memory; 4],
}

impl Timer {
    pub(super) fn new(shared: &Shared, plan: &Plan) -> Result<Self> {
        let gpu = &shared.gpu;
        let stream = gpu.stream()?;
        let arena = gpu.memory(plan.arena)?;
        let images = gpu.memory(2 * plan.image_bytes())?;
        // 0.07 in F16, 2.4e-12 in F32.
        stream.fill(&arena, 0x2c)?;
        stream.fill(&images, 0x2c)?;
        let out =
            gpu.memory(plan.items * 3 * plan.padding.padded_width * plan.padding.padded_height)?;
        let item = Item {
            image0: images.address(),
            image1: images.address() + plan.image_bytes() as u64,
            out: out.address(),
            t: 0.5,
            sample: SampleType::U8.code(),
            row: (3 * plan.padding.padded_width) as i64,
            pixel: 3,
            channel: 1,
        };
        let items = gpu.memory(size_of::<Item>() * plan.items)?;
        // SAFETY: `Item` consists of plain numbers without padding (its size is asserted in `abi`).
        let bytes = unsafe {
            std::slice::from_raw_parts((&raw const item).cast::<u8>(), size_of::<Item>())
        };
        items.write(&bytes.repeat(plan.items))?;
        stream.synchronize()?;
        let addresses = Addresses {
            buffers: plan.buffers.iter().map(|b| arena.address() + b.offset as u64).collect(),
            weights: shared.weights.address(),
            layers: Arc::clone(&shared.layers),
            items: items.address(),
        };
        let (start, end) = (gpu.event(true)?, gpu.event(true)?);
        Ok(Self { addresses, stream, start, end, _memory: [arena, images, items, out] })
    }

    /// The time of one launch with a tile, in ms: the least of [`TIMINGS`] averages. Infinite if
    /// no thread block fits on an SM.
    pub(super) fn time_ms(
        &self,
        shared: &Shared,
        plan: &Plan,
        size: FrameSize,
        step: &Step,
        tile: Tile,
    ) -> Result<f32> {
        let mut step = step.clone();
        step.kernel = step.kernel.with_tile(tile);
        let function = shared.function(step.kernel, &step.name, &plan.variant)?;
        if function.occupancy == 0 {
            return Ok(f32::INFINITY);
        }
        let launch = launch(plan, size, &step, &function, &self.addresses, shared.gpu.card);
        let mut least = f32::INFINITY;
        // The first timing is a warm-up.
        for timing in 0..=TIMINGS {
            self.start.record(&self.stream)?;
            for _ in 0..LAUNCHES {
                // SAFETY: the memory at these addresses is owned by `self` or by the engine.
                unsafe { launch.queue(&self.stream) }?;
            }
            self.end.record(&self.stream)?;
            let time = self.start.until(&self.end)? / LAUNCHES as f32;
            if timing > 0 {
                least = least.min(time);
            }
        }
        Ok(least)
    }
}
