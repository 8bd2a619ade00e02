//! A stream of frames on the card. Three queues of work: uploads, the network, downloads; events
//! order them. A frame is uploaded and encoded once and serves both its pairs; a frame made is
//! downloaded while the next one is computed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::abi::{Args, Item, Items, MAX_ITEMS};
use super::driver::{Event, Function, Gpu, Graph, HostMemory, Memory, Stream};
use super::engine::Shared;
use super::kernel::Kernel;
use super::launch::{Addresses, Compiled, Launch, launch};
use super::plan::Step;
use super::samples::{
    format_code, frame_bytes, made_as, packed, packed_mut, pitch_and_plane, read_packed,
    write_packed,
};
use super::yuv::Converters;
use crate::engine::{EngineSession, KernelTime, MemoryUse, Pair};
use crate::{Error, FrameSize, FrameView, FrameViewMut, Optimization, PixelFormat, Result};

/// Frames that may be submitted and not finished.
const DEPTH: usize = 2;

/// Where a frame goes on its way up, and what tells when it has passed.
struct Inlet {
    device: Option<Memory>,
    host: Option<HostMemory>,
    /// The upload is done: the host's memory may be written again.
    uploaded: Event,
    /// The frame was taken in: the device's memory may be written again.
    taken: Event,
}

/// Where a made frame lies until it is fetched.
struct Outlet {
    device: Option<Memory>,
    host: Option<HostMemory>,
    made: Event,
}

/// A plan's launches over this session's memory.
struct Program {
    compiled: Arc<Compiled>,
    encoder: Vec<Launch>,
    network: Vec<Launch>,
    encoder_graph: Option<Graph>,
    network_graph: Option<Graph>,
}

/// A frame as it was handed over, kept where nothing is kept on the device.
type Kept = (PixelFormat, Vec<u8>);

// Fields are dropped in this order: graphs and work before the memory that they use.
pub(crate) struct CudaSession {
    compute: Arc<Stream>,
    upload: Arc<Stream>,
    download: Arc<Stream>,
    single: Program,
    many: Option<Program>,
    take_in: Function,
    write_items: Function,
    yuv: Converters,
    /// Planar F32 frames that YUV ones are made from.
    planes: Option<Memory>,
    inlets: [Inlet; 2],
    next_inlet: usize,
    outlets: [Outlet; DEPTH],
    next_outlet: usize,
    /// Outlet and format of each frame submitted.
    pending: VecDeque<(usize, PixelFormat)>,
    /// Frames of the stream, and one for the next: what is held is whole whatever happens to that.
    /// A batch of pairs lies over them and behind them.
    images: Vec<Memory>,
    earlier: usize,
    later: usize,
    spare: usize,
    kept: [Option<Kept>; 3],
    /// The encoder's item, then the network's.
    items: Memory,
    arena: Option<Memory>,
    size: FrameSize,
    shared: Arc<Shared>,
}

impl CudaSession {
    pub(crate) fn new(shared: Arc<Shared>, size: FrameSize) -> Result<Self> {
        let gpu = &shared.gpu;
        let has = |o| shared.optimizations.has(o);
        let single = shared.compiled(size, 1)?;
        let many = match shared.batch {
            1 => None,
            n => Some(shared.compiled(size, n)?),
        };
        let bytes = many.iter().fold(single.plan.arena, |most, c| most.max(c.plan.arena));
        if let Some(largest) = single.plan.buffers.iter().max_by_key(|b| b.bytes) {
            tracing::debug!("{size}: an arena of {bytes} bytes; its largest is {}", largest.name);
        }
        let arena =
            has(Optimization::PreallocatedBuffers).then(|| gpu.memory(bytes)).transpose()?;
        let items = gpu.memory(size_of::<Item>() * (1 + MAX_ITEMS))?;
        let image = single.plan.image_bytes();
        let images = vec![gpu.memory(image)?, gpu.memory(image)?, gpu.memory(image)?];
        let variant = single.plan.variant;
        let take_in = shared.function(Kernel::Frame, "frame", &variant)?;
        let write_items = shared.function(Kernel::Items, "items", &variant)?;
        let compute = Arc::new(gpu.stream()?);
        let side = || {
            if has(Optimization::Streams) {
                gpu.stream().map(Arc::new)
            } else {
                Ok(Arc::clone(&compute))
            }
        };
        let (upload, download) = (side()?, side()?);
        let inlet = || -> Result<Inlet> {
            Ok(Inlet {
                device: None,
                host: None,
                uploaded: gpu.event(false)?,
                taken: gpu.event(false)?,
            })
        };
        let outlet = || -> Result<Outlet> {
            Ok(Outlet { device: None, host: None, made: gpu.event(false)? })
        };
        let program = |compiled: Arc<Compiled>| {
            Program::new(&shared, compiled, arena.as_ref(), &items, &compute)
        };
        Ok(Self {
            single: program(single)?,
            many: many.map(program).transpose()?,
            inlets: [inlet()?, inlet()?],
            next_inlet: 0,
            outlets: [outlet()?, outlet()?],
            next_outlet: 0,
            pending: VecDeque::new(),
            images,
            earlier: 0,
            later: 1,
            spare: 2,
            kept: [None, None, None],
            take_in,
            write_items,
            yuv: Converters::default(),
            planes: None,
            compute,
            upload,
            download,
            items,
            arena,
            size,
            shared,
        })
    }

    /// The plan of single frames, and the buffers as the last frame left them, where they are kept.
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

    /// Uploads packed samples and makes them the image `to`.
    fn take(&mut self, format: PixelFormat, source: Uploaded<'_>, to: usize) -> Result<()> {
        let gpu = &self.shared.gpu;
        let bytes = frame_bytes(self.size, format);
        let pinned = self.shared.optimizations.has(Optimization::PinnedMemory);
        let inlet = &mut self.inlets[self.next_inlet];
        self.next_inlet = 1 - self.next_inlet;
        let device = match inlet.device.take() {
            Some(device) if device.bytes() >= bytes => device,
            // Freeing waits for whatever still reads it.
            _ => gpu.memory(bytes)?,
        };
        let device = inlet.device.insert(device);
        // The frame that was here before must have been taken in.
        self.upload.wait(&inlet.taken)?;
        let mut gathered = Vec::new();
        // Samples that are uploaded from where they are, or a frame that goes through staging.
        let from = match source {
            Uploaded::Packed(samples) => Ok(samples),
            Uploaded::View(view) if pinned && !view.is_locked() => Err(view),
            Uploaded::View(view) => match packed(view) {
                Some(samples) => Ok(samples),
                None if pinned => Err(view),
                None => {
                    gathered.resize(bytes, 0);
                    write_packed(view, &mut gathered);
                    Ok(&*gathered)
                }
            },
        };
        match from {
            Ok(samples) => {
                let n = samples.len().min(bytes);
                // SAFETY: `n` bytes are valid on both sides, and the wait below keeps the borrow
                // alive until the copy is done.
                unsafe { self.upload.upload(device.address(), samples.as_ptr(), n) }?;
                let recorded = inlet.uploaded.record(&self.upload);
                self.upload.synchronize()?;
                recorded?;
            }
            Err(view) => {
                inlet.uploaded.synchronize()?;
                let host = staging(&mut inlet.host, gpu, bytes)?;
                write_packed(view, host.bytes_mut());
                // SAFETY: both are `bytes` long at least and belong to the session; the host's
                // is not written again before `uploaded` has happened.
                unsafe { self.upload.upload(device.address(), host.bytes().as_ptr(), bytes) }?;
                inlet.uploaded.record(&self.upload)?;
            }
        }
        self.compute.wait(&inlet.uploaded)?;
        let plan = &self.single.compiled.plan;
        if let PixelFormat::Yuv(yuv) = format {
            let addresses = (device.address(), self.images[to].address());
            let frame = (self.size, yuv);
            // SAFETY: both are the session's own memory, of this plan and a frame of this format.
            unsafe { self.yuv.take_in(&self.shared, &self.compute, plan, frame, addresses) }?;
            return inlet.taken.record(&self.compute);
        }
        let (full_h, full_w) = (plan.padding.padded_height, plan.padding.padded_width);
        let (pitch, plane) = pitch_and_plane(self.size, format);
        let args = Args {
            src: device.address(),
            dst: self.images[to].address(),
            full_h: full_h as i32,
            full_w: full_w as i32,
            frame_h: self.size.height as i32,
            frame_w: self.size.width as i32,
            source: format_code(format),
            pitch,
            plane,
            ..Args::default()
        };
        let grid = (full_w.div_ceil(super::kernel::PLAIN_THREADS) as u32, full_h as u32, 1);
        // SAFETY: `frame` takes `Args`; the addresses are the session's own memory.
        unsafe { self.compute.launch(&self.take_in, grid, &args) }?;
        inlet.taken.record(&self.compute)
    }

    /// Computes the encoder features of an image, where the model has any.
    fn encode(&mut self, image: usize) -> Result<()> {
        // Not the launches: without an arena there are none before they run.
        if self.single.compiled.plan.encoder.is_empty() {
            return Ok(());
        }
        let item = Item { image0: self.images[image].address(), ..Item::default() };
        self.write_items(self.items.address(), &[item])?;
        self.single.run_encoder(&self.shared, &self.items, &self.compute)
    }

    fn write_items(&self, to: u64, items: &[Item]) -> Result<()> {
        let mut all =
            Items { to, count: items.len() as i32, unused: 0, item: [Item::default(); MAX_ITEMS] };
        all.item.iter_mut().zip(items).for_each(|(to, item)| *to = *item);
        // SAFETY: `items` takes `Items`, and `to` has room for `MAX_ITEMS`.
        unsafe { self.compute.launch(&self.write_items, (1, 1, 1), &all) }
    }

    /// Queues frames between images, into an outlet: `(earlier, later, timestep)` each.
    fn make(
        &mut self,
        many: bool,
        outlet: usize,
        format: PixelFormat,
        frames: &[(usize, usize, f32)],
    ) -> Result<()> {
        let each = frame_bytes(self.size, format);
        let step = self.single.compiled.plan.item_step;
        let program = self.many.as_ref().filter(|_| many).unwrap_or(&self.single);
        let room = program.compiled.plan.items / step;
        let held = &mut self.outlets[outlet].device;
        let device = match held.take() {
            Some(device) if device.bytes() >= each * room => device,
            _ => self.shared.gpu.memory(each * room)?,
        };
        let samples = held.insert(device).address();
        let made = made_as(format);
        // Where the network writes to, and how far apart.
        let (to, apart) = if made == format {
            (samples, each)
        } else {
            let apart = frame_bytes(self.size, made);
            let planes = match self.planes.take() {
                Some(planes) if planes.bytes() >= apart * room => planes,
                _ => self.shared.gpu.memory(apart * room)?,
            };
            (self.planes.insert(planes).address(), apart)
        };
        let (pitch, plane) = pitch_and_plane(self.size, made);
        let mut items = Vec::with_capacity(MAX_ITEMS);
        // A run always makes a whole batch: the last frame again where there are fewer.
        let last = frames.last().into_iter().cycle();
        for (i, &(earlier, later, t)) in frames.iter().chain(last).take(room).enumerate() {
            let item = Item {
                image0: self.images[earlier].address(),
                image1: self.images[later].address(),
                out: to + (apart * i) as u64,
                t,
                format: format_code(made),
                pitch,
                plane,
            };
            items.push(item);
            if step == 2 {
                let (image0, image1) = (item.image1, item.image0);
                items.push(Item { image0, image1, t: 1.0 - t, ..item });
            }
        }
        let at = self.items.address() + size_of::<Item>() as u64;
        self.write_items(at, &items)?;
        program.run_network(&self.shared, &self.items, &self.compute)?;
        if let PixelFormat::Yuv(yuv) = format {
            let out = (to, samples, frames.len().min(room));
            let (variant, frame) = (&self.single.compiled.plan.variant, (self.size, yuv));
            // SAFETY: both are the session's own memory, with room for a whole batch.
            unsafe { self.yuv.give_out(&self.shared, &self.compute, variant, frame, out) }?;
        }
        self.outlets[outlet].made.record(&self.compute)
    }

    /// Brings both images up to date where an optimization that keeps them is switched off.
    fn refresh(&mut self) -> Result<()> {
        if !self.has(Optimization::CachedFrames) {
            for image in [self.earlier, self.later] {
                if let Some((format, samples)) = self.kept[image].take() {
                    let done = self.take(format, Uploaded::Packed(&samples), image);
                    self.kept[image] = Some((format, samples));
                    done?;
                }
            }
        }
        if !(self.has(Optimization::CachedFrames) && self.has(Optimization::CachedFeatures)) {
            self.encode(self.earlier)?;
            self.encode(self.later)?;
        }
        Ok(())
    }

    /// Fetches a made frame.
    fn fetch(&mut self, outlet: usize, index: usize, out: &mut FrameViewMut<'_>) -> Result<()> {
        let bytes = frame_bytes(self.size, out.format());
        let pinned = self.has(Optimization::PinnedMemory);
        let outlet = &mut self.outlets[outlet];
        let Some(device) = &outlet.device else { return Err(Error::NothingPending) };
        let from = device.address() + (index * bytes) as u64;
        self.download.wait(&outlet.made)?;
        let direct = out.is_locked() || !pinned;
        if let Some(to) = packed_mut(out).filter(|_| direct) {
            // SAFETY: the frame is `bytes` long on both sides, and the wait below keeps the
            // borrow alive until the copy is done.
            unsafe { self.download.download(to.as_mut_ptr(), from, to.len().min(bytes)) }?;
            return self.download.synchronize();
        }
        if !pinned {
            let mut gathered = vec![0; bytes];
            // SAFETY: both are `bytes` long at least, and the wait keeps the buffer alive until
            // the copy is done.
            unsafe { self.download.download(gathered.as_mut_ptr(), from, bytes) }?;
            self.download.synchronize()?;
            read_packed(out, &gathered);
            return Ok(());
        }
        let host = staging(&mut outlet.host, &self.shared.gpu, bytes)?;
        // SAFETY: both are `bytes` long at least and the session's own; read after the wait.
        unsafe { self.download.download(host.bytes_mut().as_mut_ptr(), from, bytes) }?;
        self.download.synchronize()?;
        read_packed(out, host.bytes());
        Ok(())
    }

    fn turn_outlet(&mut self) {
        self.next_outlet = (self.next_outlet + 1) % DEPTH;
    }
}

/// Page-locked memory of so many bytes at least, kept for the next frame.
fn staging<'a>(
    kept: &'a mut Option<HostMemory>,
    gpu: &Gpu,
    bytes: usize,
) -> Result<&'a mut HostMemory> {
    let host = match kept.take() {
        Some(host) if host.bytes().len() >= bytes => host,
        _ => gpu.host(bytes)?,
    };
    Ok(kept.insert(host))
}

/// A frame to be uploaded.
enum Uploaded<'a> {
    View(&'a FrameView<'a>),
    Packed(&'a [u8]),
}

impl EngineSession for CudaSession {
    fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        let to = self.spare;
        if self.has(Optimization::CachedFrames) {
            self.take(frame.format(), Uploaded::View(frame), to)?;
            if self.has(Optimization::CachedFeatures) {
                self.encode(to)?;
            }
        } else {
            let mut samples = vec![0; frame_bytes(self.size, frame.format())];
            write_packed(frame, &mut samples);
            self.kept[to] = Some((frame.format(), samples));
        }
        (self.earlier, self.later, self.spare) = (self.later, to, self.earlier);
        Ok(())
    }

    fn reset(&mut self) {
        // What was submitted is made and then forgotten: its outlet is free when it is next used.
        let _ = self.compute.synchronize();
        self.pending.clear();
        self.kept = [None, None, None];
    }

    fn depth(&self) -> usize {
        DEPTH
    }

    fn submit(&mut self, timestep: f32, format: PixelFormat) -> Result<()> {
        self.refresh()?;
        let outlet = self.next_outlet;
        self.make(false, outlet, format, &[(self.earlier, self.later, timestep)])?;
        // Only now: were it turned for a frame that is not made, the next would overwrite one that
        // is pending.
        self.turn_outlet();
        self.pending.push_back((outlet, format));
        Ok(())
    }

    fn finish_into(&mut self, out: &mut FrameViewMut<'_>) -> Result<()> {
        match self.pending.pop_front() {
            Some((outlet, _)) => self.fetch(outlet, 0, out),
            None => Err(Error::NothingPending),
        }
    }

    fn at_many_into(&mut self, timesteps: &[f32], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        let pair = (self.earlier, self.later);
        let frames: Vec<_> = timesteps.iter().map(|t| (pair.0, pair.1, *t)).collect();
        self.refresh()?;
        self.in_batches(&frames, outs)
    }

    fn pairs_into(&mut self, pairs: &[Pair<'_>], outs: &mut [FrameViewMut<'_>]) -> Result<()> {
        let room = self.shared.batch;
        if room == 1 {
            for (pair, out) in pairs.iter().zip(outs) {
                self.reset();
                self.push(&pair.earlier)?;
                self.push(&pair.later)?;
                self.at_into(pair.timestep, out)?;
            }
            return Ok(());
        }
        self.reset();
        while self.images.len() < 2 * room {
            let bytes = self.single.compiled.plan.image_bytes();
            self.images.push(self.shared.gpu.memory(bytes)?);
        }
        for (pairs, outs) in pairs.chunks(room).zip(outs.chunks_mut(room)) {
            let mut frames = Vec::with_capacity(room);
            for (i, pair) in pairs.iter().enumerate() {
                for (view, image) in [(&pair.earlier, 2 * i), (&pair.later, 2 * i + 1)] {
                    self.take(view.format(), Uploaded::View(view), image)?;
                    self.encode(image)?;
                }
                frames.push((2 * i, 2 * i + 1, pair.timestep));
            }
            self.in_batches(&frames, outs)?;
        }
        Ok(())
    }

    fn memory(&self) -> Option<MemoryUse> {
        let inlets = self.inlets.iter().map(|i| (&i.device, &i.host));
        let outlets = self.outlets.iter().map(|o| (&o.device, &o.host));
        let (mut device, mut host) = (0, 0);
        for (d, h) in inlets.chain(outlets) {
            device += d.as_ref().map_or(0, Memory::bytes);
            host += h.as_ref().map_or(0, |h| h.bytes().len());
        }
        device += self.images.iter().map(Memory::bytes).sum::<usize>();
        device += self.arena.as_ref().map_or(0, Memory::bytes);
        device += self.planes.as_ref().map_or(0, Memory::bytes);
        device += self.items.bytes() + self.shared.weights.bytes();
        Some(MemoryUse { device_bytes: device as u64, pinned_host_bytes: host as u64 })
    }

    fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Option<Vec<f32>>> {
        let gpu = self.shared.gpu.clone();
        let mut marks = vec![gpu.event(true)?];
        // The frame has to have an outlet.
        self.refresh()?;
        let pair = (self.earlier, self.later, timestep);
        self.make(false, 0, PixelFormat::Rgb8, &[pair])?;
        marks[0].record(&self.compute)?;
        for _ in 0..runs {
            if self.has(Optimization::CachedFrames) && self.has(Optimization::CachedFeatures) {
                self.encode(self.later)?;
            } else {
                self.refresh()?;
            }
            self.make(false, 0, PixelFormat::Rgb8, &[pair])?;
            let mark = gpu.event(true)?;
            mark.record(&self.compute)?;
            marks.push(mark);
        }
        self.compute.synchronize()?;
        let times: Result<Vec<f32>> = marks.windows(2).map(|m| m[0].until(&m[1])).collect();
        times.map(Some)
    }

    fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>> {
        if self.arena.is_none() {
            return Ok(Vec::new());
        }
        let gpu = self.shared.gpu.clone();
        // Once as a whole, so that every kernel finds what the one before it made.
        self.refresh()?;
        let pair = (self.earlier, self.later, 0.5);
        self.make(false, 0, PixelFormat::Rgb8, &[pair])?;
        let program = &self.single;
        let plan = &program.compiled.plan;
        let mut times = Vec::new();
        let launches = program.encoder.iter().chain(&program.network);
        for (step, launch) in plan.steps().zip(launches) {
            let (start, end) = (gpu.event(true)?, gpu.event(true)?);
            start.record(&self.compute)?;
            for _ in 0..runs {
                // SAFETY: the addresses are the session's own memory.
                unsafe { launch.queue(&self.compute) }?;
            }
            end.record(&self.compute)?;
            times.push(KernelTime {
                name: step.name.clone(),
                kernel: step.kernel.describe(),
                milliseconds: start.until(&end)? / runs.max(1) as f32,
                flops: step.flops,
                bytes: step.bytes,
            });
        }
        Ok(times)
    }
}

impl CudaSession {
    /// Makes frames between images in whole batches and fetches them.
    fn in_batches(
        &mut self,
        frames: &[(usize, usize, f32)],
        outs: &mut [FrameViewMut<'_>],
    ) -> Result<()> {
        let room = self.shared.batch;
        for (frames, outs) in frames.chunks(room).zip(outs.chunks_mut(room)) {
            // Frames of one batch that differ in format are made one by one.
            let format = outs.first().map(|o| o.format());
            let alike = outs.iter().all(|o| Some(o.format()) == format);
            let outlet = self.next_outlet;
            match format {
                // A batch costs as much with empty places.
                Some(format) if alike && room > 1 && 2 * frames.len() > room => {
                    self.make(true, outlet, format, frames)?;
                    for (i, out) in outs.iter_mut().enumerate() {
                        self.fetch(outlet, i, out)?;
                    }
                }
                _ => {
                    for (frame, out) in frames.iter().zip(outs) {
                        self.make(false, outlet, out.format(), &[*frame])?;
                        self.fetch(outlet, 0, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Program {
    fn new(
        shared: &Shared,
        compiled: Arc<Compiled>,
        arena: Option<&Memory>,
        items: &Memory,
        stream: &Stream,
    ) -> Result<Self> {
        let plan = &compiled.plan;
        let mut program = Self {
            encoder: Vec::new(),
            network: Vec::new(),
            encoder_graph: None,
            network_graph: None,
            compiled: Arc::clone(&compiled),
        };
        let Some(arena) = arena else { return Ok(program) };
        let buffers = plan.buffers.iter().map(|b| arena.address() + b.offset as u64).collect();
        let at = addresses(shared, items, buffers);
        program.encoder = program.launches(shared, &plan.encoder, &compiled.encoder, &at, true);
        program.network = program.launches(shared, &plan.network, &compiled.network, &at, false);
        if shared.optimizations.has(Optimization::CudaGraph) {
            let capture = |launches: &[Launch]| {
                stream.capture(|| {
                    // SAFETY: the addresses are the session's, which keeps the graph no longer
                    // than its memory.
                    launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
                })
            };
            if !program.encoder.is_empty() {
                program.encoder_graph = Some(capture(&program.encoder)?);
            }
            program.network_graph = Some(capture(&program.network)?);
        }
        Ok(program)
    }

    fn launches(
        &self,
        shared: &Shared,
        steps: &[Step],
        functions: &[Function],
        at: &Addresses,
        encoder: bool,
    ) -> Vec<Launch> {
        let mut at = at.clone();
        // The encoder's item lies before the network's.
        if !encoder {
            at.items += size_of::<Item>() as u64;
        }
        let compiled = &self.compiled;
        steps
            .iter()
            .zip(functions)
            .map(|(s, f)| launch(&compiled.plan, compiled.size, s, f, &at, shared.gpu.card))
            .collect()
    }

    fn run_encoder(&self, shared: &Shared, items: &Memory, stream: &Stream) -> Result<()> {
        self.run(shared, items, stream, true)
    }

    fn run_network(&self, shared: &Shared, items: &Memory, stream: &Stream) -> Result<()> {
        self.run(shared, items, stream, false)
    }

    fn run(&self, shared: &Shared, items: &Memory, stream: &Stream, encoder: bool) -> Result<()> {
        let (launches, graph) = if encoder {
            (&self.encoder, &self.encoder_graph)
        } else {
            (&self.network, &self.network_graph)
        };
        match graph {
            Some(graph) => stream.replay(graph),
            None if !launches.is_empty() => {
                // SAFETY: the addresses are the session's own memory.
                launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
            }
            None => self.run_in_passing_memory(shared, items, stream, encoder),
        }
    }

    /// Without an arena: every buffer is allocated for this run, and freed after it.
    fn run_in_passing_memory(
        &self,
        shared: &Shared,
        items: &Memory,
        stream: &Stream,
        encoder: bool,
    ) -> Result<()> {
        let compiled = &self.compiled;
        let plan = &compiled.plan;
        let (steps, functions) = if encoder {
            (&plan.encoder, &compiled.encoder)
        } else {
            (&plan.network, &compiled.network)
        };
        let mut buffers = vec![0; plan.buffers.len()];
        let mut work = || -> Result<()> {
            for id in steps.iter().flat_map(Step::buffers) {
                if buffers[id] == 0 {
                    buffers[id] = stream.allocate(plan.buffers[id].bytes)?;
                }
            }
            let at = addresses(shared, items, buffers.clone());
            let launches = self.launches(shared, steps, functions, &at, encoder);
            // SAFETY: the buffers are freed below, after the launches in the stream's order.
            launches.iter().try_for_each(|l| unsafe { l.queue(stream) })
        };
        let mut done = work();
        for at in buffers.into_iter().filter(|at| *at != 0) {
            // SAFETY: allocated above; nothing queued after this uses it.
            let freed = unsafe { stream.free(at) };
            done = done.and(freed);
        }
        done
    }
}

fn addresses(shared: &Shared, items: &Memory, buffers: Vec<u64>) -> Addresses {
    Addresses {
        buffers,
        weights: shared.weights.address(),
        layers: Arc::clone(&shared.layers),
        items: items.address(),
    }
}
