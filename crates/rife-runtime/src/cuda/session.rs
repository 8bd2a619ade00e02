//! A stream of frames on the GPU. Uploads, the network and downloads run on separate CUDA streams,
//! ordered by events. A frame is uploaded and encoded once for both of its pairs. An interpolated
//! frame is downloaded while the next one is computed.

mod caller;
mod profile;
mod upload;

use std::collections::VecDeque;
use std::sync::Arc;

use super::abi::{Item, Items, MAX_ITEMS};
use super::context::Shared;
use super::driver::{CurrentContext, Event, Function, Memory, Stream};
use super::kernel::Kernel;
use super::launch::Compiled;
use super::plans::Plans;
use super::program::{Part, Program};
use super::samples::{SampleLayout, frame_bytes, network_format, write_packed};
use super::source::Shared as _;
use super::transfer::{DownloadSlot, Upload, UploadSlot, reserve};
use super::yuv::Converters;
use crate::engine::{EngineSession, MemoryUse, Pair};
use crate::profile::SessionProfiler;
use crate::{Error, FrameSize, FrameView, FrameViewMut, Optimization, PixelFormat, Result};

/// The number of frames that can be pending.
const DEPTH: usize = 2;

/// The packed samples of a frame, for a session without [`Optimization::CachedFrames`].
type HostFrame = (PixelFormat, Vec<u8>);

/// A frame to interpolate.
#[derive(Clone, Copy)]
struct Target {
    /// Indices into [`CudaSession::images`].
    earlier: usize,
    later: usize,
    timestep: f32,
}

/// Where a frame is written.
#[derive(Clone, Copy)]
struct Place {
    /// The address of the first sample.
    address: u64,
    layout: SampleLayout,
}

/// The program to run: for one frame or for a whole batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batching {
    Single,
    Batch,
}

// Fields are dropped in order: graphs and queued work must be dropped before their memory.
pub(crate) struct CudaSession {
    compute: Arc<Stream>,
    upload: Arc<Stream>,
    download: Arc<Stream>,
    single: Program,
    batch: Option<Program>,
    convert_frame: Function,
    write_items: Function,
    yuv: Converters,
    /// Planar F32 output of the network, before it is converted to YUV.
    planes: Option<Memory>,
    uploads: [UploadSlot; 2],
    next_upload: usize,
    downloads: [DownloadSlot; DEPTH],
    next_download: usize,
    /// The download slot of each submitted frame.
    pending: VecDeque<usize>,
    /// The earlier frame, the later frame, and a spare one that receives the next frame, so that a
    /// failed push leaves the pair intact. A batch of pairs uses all of them, and adds more.
    images: Vec<Memory>,
    earlier: usize,
    later: usize,
    spare: usize,
    /// The samples of each image, without [`Optimization::CachedFrames`].
    originals: [Option<HostFrame>; 3],
    /// The item of the encoder, then those of the network.
    items: Memory,
    arena: Option<Memory>,
    /// Orders the work of this session with that of a caller's stream.
    order: Event,
    size: FrameSize,
    shared: Arc<Shared>,
}

impl CudaSession {
    pub(super) fn new(plans: &Plans, size: FrameSize) -> Result<Self> {
        let shared = Arc::clone(&plans.shared);
        let gpu = &shared.gpu;
        let has = |o| shared.optimizations.has(o);
        let single = plans.compiled(size, 1)?;
        let batch = match shared.batch {
            1 => None,
            n => Some(plans.compiled(size, n)?),
        };
        let bytes = batch.iter().fold(single.plan.arena, |max, c| max.max(c.plan.arena));
        if let Some(largest) = single.plan.buffers.iter().max_by_key(|b| b.bytes) {
            tracing::debug!("{size}: arena of {bytes} bytes, largest buffer {}", largest.name);
        }
        let arena =
            has(Optimization::PreallocatedBuffers).then(|| gpu.memory(bytes)).transpose()?;
        let items = gpu.memory(size_of::<Item>() * (1 + MAX_ITEMS))?;
        let image = single.plan.image_bytes();
        let images = vec![gpu.memory(image)?, gpu.memory(image)?, gpu.memory(image)?];
        let variant = single.plan.variant;
        let convert_frame = shared.function(Kernel::Frame, "frame", &variant)?;
        let write_items = shared.function(Kernel::Items, "items", &variant)?;
        let compute = Arc::new(gpu.stream()?);
        let side_stream = || {
            if has(Optimization::Streams) {
                gpu.stream().map(Arc::new)
            } else {
                Ok(Arc::clone(&compute))
            }
        };
        let (upload, download) = (side_stream()?, side_stream()?);
        let program = |compiled: Arc<Compiled>| {
            Program::new(&shared, compiled, arena.as_ref(), &items, &compute)
        };
        Ok(Self {
            single: program(single)?,
            batch: batch.map(program).transpose()?,
            uploads: [UploadSlot::new(gpu)?, UploadSlot::new(gpu)?],
            next_upload: 0,
            downloads: [DownloadSlot::new(gpu)?, DownloadSlot::new(gpu)?],
            next_download: 0,
            pending: VecDeque::new(),
            images,
            earlier: 0,
            later: 1,
            spare: 2,
            originals: [None, None, None],
            convert_frame,
            write_items,
            yuv: Converters::default(),
            planes: None,
            compute,
            upload,
            download,
            items,
            arena,
            order: gpu.event(false)?,
            size,
            shared,
        })
    }

    /// The plan for single frames, and the content of the arena after the last frame, if there is
    /// an arena.
    #[cfg(test)]
    pub(super) fn plan_and_arena(&self) -> (&super::plan::Plan, Result<Option<Vec<u8>>>) {
        let read = |arena: &Memory| {
            self.compute.synchronize()?;
            let mut bytes = vec![0; arena.bytes()];
            arena.read(&mut bytes)?;
            Ok(bytes)
        };
        (&self.single.compiled.plan, self.arena.as_ref().map(read).transpose())
    }

    fn has(&self, one: Optimization) -> bool {
        self.shared.optimizations.has(one)
    }

    fn write_items(&self, to: u64, items: &[Item]) -> Result<()> {
        let mut all =
            Items { to, count: items.len() as i32, unused: 0, item: [Item::default(); MAX_ITEMS] };
        all.item.iter_mut().zip(items).for_each(|(to, item)| *to = *item);
        // SAFETY: `items` takes `Items`, and `to` has room for `MAX_ITEMS`.
        unsafe { self.compute.launch(&self.write_items, (1, 1, 1), &all) }
    }

    /// Queues the interpolation of frames into a download slot.
    fn interpolate(
        &mut self,
        batching: Batching,
        slot: usize,
        format: PixelFormat,
        targets: &[Target],
    ) -> Result<()> {
        let gpu = &self.shared.gpu;
        let bytes = frame_bytes(self.size, format);
        let room = self.room(batching);
        let samples = self.downloads[slot].reserve(gpu, bytes * room)?;
        let written = network_format(format);
        // The network writes the result, or planes that are then converted to YUV.
        let (to, frame_step) = if written == format {
            (samples, bytes)
        } else {
            let step = frame_bytes(self.size, written);
            (reserve(&mut self.planes, gpu, step * room)?, step)
        };
        let layout = SampleLayout::packed(self.size, written);
        let place = |i: usize| Place { address: to + (frame_step * i) as u64, layout };
        let outs: Vec<_> = (0..targets.len()).map(place).collect();
        self.run_network(batching, targets, &outs)?;
        if let PixelFormat::Yuv(yuv) = format {
            let out = (to, samples, targets.len().min(room));
            let (variant, frame) = (&self.single.compiled.plan.variant, (self.size, yuv));
            // SAFETY: both addresses are memory of this session, with room for a whole batch.
            unsafe { self.yuv.encode(&self.shared, &self.compute, variant, frame, out) }?;
        }
        self.downloads[slot].commit(&self.compute)
    }

    fn program(&self, batching: Batching) -> &Program {
        let batch = self.batch.as_ref().filter(|_| batching == Batching::Batch);
        batch.unwrap_or(&self.single)
    }

    /// The frames of a run.
    fn room(&self, batching: Batching) -> usize {
        let plan = &self.program(batching).compiled.plan;
        plan.items / plan.item_step
    }

    /// Queues the network, which writes each frame to its place. A run always computes a whole
    /// batch: if there are fewer frames, the last one repeats.
    fn run_network(
        &mut self,
        batching: Batching,
        targets: &[Target],
        outs: &[Place],
    ) -> Result<()> {
        let item_step = self.single.compiled.plan.item_step;
        let mut items = Vec::with_capacity(MAX_ITEMS);
        let last = targets.last().zip(outs.last()).into_iter().cycle();
        for (target, out) in targets.iter().zip(outs).chain(last).take(self.room(batching)) {
            let t = target.timestep;
            let SampleLayout { sample, row, pixel, channel } = out.layout;
            let item = Item {
                image0: self.images[target.earlier].address(),
                image1: self.images[target.later].address(),
                out: out.address,
                t,
                sample: sample.code(),
                row,
                pixel,
                channel,
            };
            items.push(item);
            if item_step == 2 {
                let (image0, image1) = (item.image1, item.image0);
                items.push(Item { image0, image1, t: 1.0 - t, ..item });
            }
        }
        let at = self.items.address() + size_of::<Item>() as u64;
        self.write_items(at, &items)?;
        self.program(batching).run(Part::Network, &self.shared, &self.items, &self.compute)
    }

    /// A frame between the last two frames pushed.
    fn target(&self, timestep: f32) -> Target {
        Target { earlier: self.earlier, later: self.later, timestep }
    }

    /// Downloads frame `index` of a slot.
    fn fetch(&mut self, slot: usize, index: usize, out: &mut FrameViewMut<'_>) -> Result<()> {
        let pinned = self.has(Optimization::PinnedMemory);
        self.downloads[slot].download(&self.shared.gpu, &self.download, index, out, pinned)
    }

    /// Interpolates a frame, and downloads it unless it stays on the device.
    fn interpolate_one(&mut self, target: Target, out: &mut FrameViewMut<'_>) -> Result<()> {
        if out.device_samples().is_some() {
            let outs = std::slice::from_mut(out);
            return self.interpolate_to_caller(Batching::Single, &[target], outs);
        }
        let slot = self.next_download;
        self.interpolate(Batching::Single, slot, out.format(), &[target])?;
        self.fetch(slot, 0, out)
    }

    /// Interpolates frames in batches, and downloads those that do not stay on the device.
    fn interpolate_in_batches(
        &mut self,
        targets: &[Target],
        outs: &mut [FrameViewMut<'_>],
    ) -> Result<()> {
        let room = self.shared.batch;
        for (targets, outs) in targets.chunks(room).zip(outs.chunks_mut(room)) {
            // Downloaded frames of a batch must have the same format.
            let format = outs.first().map(|o| o.format());
            let on_device = outs.iter().all(|o| o.device_samples().is_some());
            let same_format =
                outs.iter().all(|o| o.device_samples().is_none() && Some(o.format()) == format);
            let slot = self.next_download;
            // A partial batch takes as long as a full one, so use it only if it is more than half
            // full.
            match format.filter(|_| room > 1 && 2 * targets.len() > room) {
                Some(_) if on_device => {
                    self.interpolate_to_caller(Batching::Batch, targets, outs)?;
                }
                Some(format) if same_format => {
                    self.interpolate(Batching::Batch, slot, format, targets)?;
                    for (i, out) in outs.iter_mut().enumerate() {
                        self.fetch(slot, i, out)?;
                    }
                }
                _ => {
                    for (target, out) in targets.iter().zip(outs) {
                        self.interpolate_one(*target, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl EngineSession for CudaSession {
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        let _before = CurrentContext::save();
        let to = self.spare;
        if let Some(samples) = frame.device_samples() {
            // No copy of the samples is kept, so the image is, whatever the optimizations.
            self.originals[to] = None;
            self.convert_from_caller(samples, to)?;
            if self.has(Optimization::CachedFeatures) {
                self.encode(to)?;
            }
        } else if self.has(Optimization::CachedFrames) {
            self.upload_frame(frame.format(), Upload::View(frame), to)?;
            if self.has(Optimization::CachedFeatures) {
                self.encode(to)?;
            }
        } else {
            let mut samples = vec![0; frame_bytes(self.size, frame.format())];
            write_packed(frame, &mut samples);
            self.originals[to] = Some((frame.format(), samples));
        }
        (self.earlier, self.later, self.spare) = (self.later, to, self.earlier);
        Ok(())
    }

    fn reset(&mut self) {
        let _before = CurrentContext::save();
        // Wait for submitted frames before dropping them, so that their slots can be reused.
        if !self.pending.is_empty() {
            let _ = self.compute.synchronize();
        }
        self.pending.clear();
        self.originals = [None, None, None];
    }

    fn depth(&self) -> usize {
        DEPTH
    }

    fn submit(&mut self, timestep: f32, format: PixelFormat) -> Result<()> {
        let _before = CurrentContext::save();
        self.refresh()?;
        let slot = self.next_download;
        let target = self.target(timestep);
        self.interpolate(Batching::Single, slot, format, &[target])?;
        // Advance only after success: otherwise the next frame would overwrite a pending one.
        self.next_download = (self.next_download + 1) % DEPTH;
        self.pending.push_back(slot);
        Ok(())
    }

    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        let _before = CurrentContext::save();
        match self.pending.pop_front() {
            Some(slot) => self.fetch(slot, 0, out),
            None => Err(Error::NothingPending),
        }
    }

    fn at_into(&mut self, timestep: f32, out: &mut FrameViewMut<'_>) -> Result<()> {
        let _before = CurrentContext::save();
        self.refresh()?;
        self.interpolate_one(self.target(timestep), out)
    }

    fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        let _before = CurrentContext::save();
        let targets: Vec<_> = timesteps.iter().map(|t| self.target(*t)).collect();
        self.refresh()?;
        self.interpolate_in_batches(&targets, outs)
    }

    fn pairs_into(&mut self, pairs: &[Pair<'_>], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        let _before = CurrentContext::save();
        let room = self.shared.batch;
        if room == 1 {
            return crate::engine::pairs_one_by_one(self, pairs, outs);
        }
        self.reset();
        while self.images.len() < 2 * room {
            let bytes = self.single.compiled.plan.image_bytes();
            self.images.push(self.shared.gpu.memory(bytes)?);
        }
        for (pairs, outs) in pairs.chunks(room).zip(outs.chunks_mut(room)) {
            let mut targets = Vec::with_capacity(room);
            for (i, pair) in pairs.iter().enumerate() {
                let (earlier, later) = (2 * i, 2 * i + 1);
                for (view, image) in [(&pair.earlier, earlier), (&pair.later, later)] {
                    match view.device_samples() {
                        Some(samples) => self.convert_from_caller(samples, image)?,
                        None => self.upload_frame(view.format(), Upload::View(view), image)?,
                    }
                    self.encode(image)?;
                }
                targets.push(Target { earlier, later, timestep: pair.timestep });
            }
            self.interpolate_in_batches(&targets, outs)?;
        }
        Ok(())
    }

    fn memory(&self) -> Option<MemoryUse> {
        let uploads = self.uploads.iter().map(UploadSlot::bytes);
        let slots = uploads.chain(self.downloads.iter().map(DownloadSlot::bytes));
        let (mut device, host) = slots.fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        device += self.images.iter().map(Memory::bytes).sum::<usize>();
        device += self.arena.as_ref().map_or(0, Memory::bytes);
        device += self.planes.as_ref().map_or(0, Memory::bytes);
        device += self.items.bytes() + self.shared.weights.bytes();
        Some(MemoryUse { device_bytes: device as u64, pinned_host_bytes: host as u64 })
    }

    fn profiler(&mut self) -> Option<&mut dyn SessionProfiler> {
        Some(self)
    }
}
