//! Copies frames between host and device, through pinned staging memory where that is faster.

use super::driver::{Event, Gpu, HostMemory, Memory, Stream};
use super::samples::{copy, frame_bytes, packed, packed_mut, read_packed, write_packed};
use crate::{Error, FrameView, FrameViewMut, Result};

/// The memory of a frame that is being uploaded.
pub(super) struct UploadSlot {
    device: Option<Memory>,
    host: Option<HostMemory>,
    /// Recorded after the upload, when the host memory can be reused.
    uploaded: Event,
    /// Recorded after the conversion, when the device memory can be reused.
    consumed: Event,
}

/// A frame to upload.
pub(super) enum Upload<'a> {
    View(&'a FrameView<'a>),
    Packed(&'a [u8]),
}

impl UploadSlot {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let (uploaded, consumed) = (gpu.event(false)?, gpu.event(false)?);
        Ok(Self { device: None, host: None, uploaded, consumed })
    }

    /// Uploads `bytes` of packed samples and makes `compute` wait for them; returns their address.
    /// [`UploadSlot::release`] must follow when they have been read.
    pub(super) fn upload(
        &mut self,
        gpu: &Gpu,
        [upload, compute]: [&Stream; 2],
        source: Upload<'_>,
        bytes: usize,
        pinned: bool,
    ) -> Result<u64> {
        let device = match self.device.take() {
            Some(device) if device.bytes() >= bytes => device,
            // Freeing the old memory waits for work that still reads it.
            _ => gpu.memory(bytes)?,
        };
        let device = self.device.insert(device);
        upload.wait(&self.consumed)?;
        let mut repacked = Vec::new();
        // `Ok`: samples to upload in place. `Err`: a frame to copy through staging memory.
        let from = match source {
            Upload::Packed(samples) => Ok(samples),
            Upload::View(view) if pinned && !view.is_pinned() => Err(view),
            Upload::View(view) => match packed(view) {
                Some(samples) => Ok(samples),
                None if pinned => Err(view),
                None => {
                    repacked.resize(bytes, 0);
                    write_packed(view, &mut repacked);
                    Ok(&*repacked)
                }
            },
        };
        match from {
            Ok(samples) => {
                let n = samples.len().min(bytes);
                // SAFETY: `n` bytes are valid on both sides, and the wait below keeps the borrow
                // alive until the copy is done.
                unsafe { upload.upload(device.address(), samples.as_ptr(), n) }?;
                let recorded = self.uploaded.record(upload);
                upload.synchronize()?;
                recorded?;
            }
            Err(view) => {
                self.uploaded.synchronize()?;
                let host = staging(&mut self.host, gpu, bytes)?;
                let in_one_piece = packed(view);
                if in_one_piece.is_none() {
                    write_packed(view, host.bytes_mut());
                }
                // The copy to the device starts while the rest is copied to staging memory.
                for part in parts(bytes) {
                    if let Some(from) = in_one_piece {
                        copy(&mut host.bytes_mut()[part.clone()], &from[part.clone()]);
                    }
                    let to = device.address() + part.start as u64;
                    let from = host.bytes()[part.clone()].as_ptr();
                    // SAFETY: both are at least `bytes` long and belong to the slot; the host
                    // memory is not written again before `uploaded` has happened, or, after an
                    // error, before the stream is idle.
                    let queued = unsafe { upload.upload(to, from, part.len()) };
                    queued.inspect_err(|_| _ = upload.synchronize())?;
                }
                self.uploaded.record(upload).inspect_err(|_| _ = upload.synchronize())?;
            }
        }
        compute.wait(&self.uploaded)?;
        Ok(device.address())
    }

    /// Allows reuse of the device memory after the work queued so far.
    pub(super) fn release(&self, compute: &Stream) -> Result<()> {
        self.consumed.record(compute)
    }

    /// Bytes of device memory and of pinned host memory.
    pub(super) fn bytes(&self) -> (usize, usize) {
        bytes_of(self.device.as_ref(), self.host.as_ref())
    }
}

/// The memory of interpolated frames before they are downloaded.
pub(super) struct DownloadSlot {
    device: Option<Memory>,
    host: Option<HostMemory>,
    /// Recorded when the frames have been written.
    ready: Event,
    /// Recorded when each part of a frame has arrived in staging memory.
    arrived: [Event; PARTS],
}

impl DownloadSlot {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let event = || gpu.event(false);
        let arrived = [event()?, event()?, event()?, event()?];
        Ok(Self { device: None, host: None, ready: event()?, arrived })
    }

    /// Reserves at least `bytes` of device memory, and returns its address.
    pub(super) fn reserve(&mut self, gpu: &Gpu, bytes: usize) -> Result<u64> {
        reserve(&mut self.device, gpu, bytes)
    }

    /// Marks the frames as written by the work queued so far.
    pub(super) fn commit(&self, compute: &Stream) -> Result<()> {
        self.ready.record(compute)
    }

    /// Waits for frame `index` of those in the slot and writes it to `out`.
    pub(super) fn download(
        &mut self,
        gpu: &Gpu,
        stream: &Stream,
        index: usize,
        out: &mut FrameViewMut<'_>,
        pinned: bool,
    ) -> Result<()> {
        let bytes = frame_bytes(out.size(), out.format());
        let Some(device) = &self.device else { return Err(Error::NothingPending) };
        let from = device.address() + (index * bytes) as u64;
        stream.wait(&self.ready)?;
        let direct = out.is_pinned() || !pinned;
        if let Some(to) = packed_mut(out).filter(|_| direct) {
            // SAFETY: the frame is `bytes` long on both sides, and the wait below keeps the
            // borrow alive until the copy is done.
            unsafe { stream.download(to.as_mut_ptr(), from, to.len().min(bytes)) }?;
            return stream.synchronize();
        }
        if !pinned {
            let mut packed_samples = vec![0; bytes];
            // SAFETY: both are at least `bytes` long, and the wait keeps the buffer alive until
            // the copy is done.
            unsafe { stream.download(packed_samples.as_mut_ptr(), from, bytes) }?;
            stream.synchronize()?;
            read_packed(out, &packed_samples);
            return Ok(());
        }
        let host = staging(&mut self.host, gpu, bytes)?;
        for (part, arrived) in parts(bytes).zip(&self.arrived) {
            let (from, to) = (from + part.start as u64, &mut host.bytes_mut()[part]);
            // SAFETY: both are valid for this part and belong to the slot; read after the wait.
            let queued = unsafe { stream.download(to.as_mut_ptr(), from, to.len()) };
            let queued = queued.and_then(|()| arrived.record(stream));
            queued.inspect_err(|_| _ = stream.synchronize())?;
        }
        let Some(to) = packed_mut(out) else {
            stream.synchronize()?;
            read_packed(out, host.bytes());
            return Ok(());
        };
        // The first parts are copied while the others arrive.
        for (part, arrived) in parts(bytes).zip(&self.arrived) {
            if let Err(error) = arrived.synchronize() {
                let _ = stream.synchronize();
                return Err(error);
            }
            copy(&mut to[part.clone()], &host.bytes()[part]);
        }
        Ok(())
    }

    /// Bytes of device memory and of pinned host memory.
    pub(super) fn bytes(&self) -> (usize, usize) {
        bytes_of(self.device.as_ref(), self.host.as_ref())
    }
}

/// The parts of a frame that are copied one after the other, so that the copies between the
/// caller's memory and staging memory overlap those to or from the device.
const PARTS: usize = 4;

/// The bytes of each part; small frames have one.
fn parts(bytes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    const LEAST: usize = 1 << 20;
    let part = bytes.div_ceil(PARTS).max(LEAST);
    (0..bytes).step_by(part).map(move |start| start..(start + part).min(bytes))
}

/// Reserves at least `bytes` of device memory, which is reused for later frames, and returns its
/// address.
pub(super) fn reserve(slot: &mut Option<Memory>, gpu: &Gpu, bytes: usize) -> Result<u64> {
    let memory = match slot.take() {
        Some(memory) if memory.bytes() >= bytes => memory,
        _ => gpu.memory(bytes)?,
    };
    Ok(slot.insert(memory).address())
}

/// Reserves at least `bytes` of pinned host memory, which is reused for later frames.
fn staging<'a>(
    slot: &'a mut Option<HostMemory>,
    gpu: &Gpu,
    bytes: usize,
) -> Result<&'a mut HostMemory> {
    let host = match slot.take() {
        Some(host) if host.bytes().len() >= bytes => host,
        _ => gpu.host(bytes)?,
    };
    Ok(slot.insert(host))
}

fn bytes_of(device: Option<&Memory>, host: Option<&HostMemory>) -> (usize, usize) {
    (device.map_or(0, Memory::bytes), host.map_or(0, |h| h.bytes().len()))
}
