//! Uploads, converts and encodes frames.

use super::CudaSession;
use crate::cuda::abi::{Args, Item};
use crate::cuda::kernel::PLAIN_THREADS;
use crate::cuda::program::Part;
use crate::cuda::samples::{SampleLayout, frame_bytes};
use crate::cuda::source::Shared as _;
use crate::cuda::transfer::Upload;
use crate::{Optimization, PixelFormat, Result};

impl CudaSession {
    /// Uploads a frame and converts it to the image `to`.
    pub(super) fn upload_frame(
        &mut self,
        format: PixelFormat,
        source: Upload<'_>,
        to: usize,
    ) -> Result<()> {
        let bytes = frame_bytes(self.size, format);
        let pinned = self.has(Optimization::PinnedMemory);
        let slot = self.next_upload;
        self.next_upload = 1 - slot;
        let streams = [&*self.upload, &*self.compute];
        let src = self.uploads[slot].upload(&self.shared.gpu, streams, source, bytes, pinned)?;
        if let PixelFormat::Yuv(yuv) = format {
            let (plan, dst) = (&self.single.compiled.plan, self.images[to].address());
            let frame = (self.size, yuv);
            // SAFETY: both addresses are memory of this session, `src` with a frame of this format
            // and `dst` with an image of this plan.
            unsafe { self.yuv.decode(&self.shared, &self.compute, plan, frame, (src, dst)) }?;
            return self.uploads[slot].release(&self.compute);
        }
        let layout = SampleLayout::packed(self.size, format);
        // SAFETY: `src` is memory of this session with a packed frame of this format.
        unsafe { self.convert(src, layout, to) }?;
        self.uploads[slot].release(&self.compute)
    }

    /// Queues the conversion of an RGB frame on the device to the image `to`.
    ///
    /// # Safety
    /// `src` and the strides describe a frame of this session's size in readable device memory,
    /// until the queued work is done.
    pub(super) unsafe fn convert(&self, src: u64, from: SampleLayout, to: usize) -> Result<()> {
        let plan = &self.single.compiled.plan;
        let (full_h, full_w) = (plan.padding.padded_height, plan.padding.padded_width);
        let args = Args {
            src,
            dst: self.images[to].address(),
            full_h: full_h as i32,
            full_w: full_w as i32,
            frame_h: self.size.height as i32,
            frame_w: self.size.width as i32,
            sample: from.sample.code(),
            row: from.row,
            pixel: from.pixel,
            channel: from.channel,
            ..Args::default()
        };
        let grid = (full_w.div_ceil(PLAIN_THREADS) as u32, full_h as u32, 1);
        // SAFETY: the kernel `frame` takes `Args`; the source is described by the caller, and the
        // image belongs to this session.
        unsafe { self.compute.launch(&self.convert_frame, grid, &args) }
    }

    /// Computes the encoder features of an image, if the model has an encoder.
    pub(super) fn encode(&mut self, image: usize) -> Result<()> {
        // Check the plan rather than the launches: without an arena, launches are created only when
        // they run.
        if self.single.compiled.plan.encoder.is_empty() {
            return Ok(());
        }
        let item = Item { image0: self.images[image].address(), ..Item::default() };
        self.write_items(self.items.address(), &[item])?;
        self.single.run(Part::Encoder, &self.shared, &self.items, &self.compute)
    }

    /// Repeats the uploads and encodings that disabled optimizations do not cache.
    pub(super) fn refresh(&mut self) -> Result<()> {
        if !self.has(Optimization::CachedFrames) {
            for image in [self.earlier, self.later] {
                if let Some((format, samples)) = self.originals[image].take() {
                    let result = self.upload_frame(format, Upload::Packed(&samples), image);
                    self.originals[image] = Some((format, samples));
                    result?;
                }
            }
        }
        if !(self.has(Optimization::CachedFrames) && self.has(Optimization::CachedFeatures)) {
            self.encode(self.earlier)?;
            self.encode(self.later)?;
        }
        Ok(())
    }
}
