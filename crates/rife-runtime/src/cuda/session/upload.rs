//! Uploads, converts and encodes frames.

use super::CudaSession;
use crate::cuda::abi::{Args, Item};
use crate::cuda::kernel::PLAIN_THREADS;
use crate::cuda::program::Part;
use crate::cuda::samples::{format_code, frame_bytes, pitch_and_plane};
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
        let slot = &mut self.uploads[self.next_upload];
        self.next_upload = 1 - self.next_upload;
        let streams = [&*self.upload, &*self.compute];
        let src = slot.upload(&self.shared.gpu, streams, source, bytes, pinned)?;
        let dst = self.images[to].address();
        let plan = &self.single.compiled.plan;
        if let PixelFormat::Yuv(yuv) = format {
            let frame = (self.size, yuv);
            // SAFETY: both addresses are memory of this session, `src` with a frame of this format
            // and `dst` with an image of this plan.
            unsafe { self.yuv.decode(&self.shared, &self.compute, plan, frame, (src, dst)) }?;
            return slot.release(&self.compute);
        }
        let (full_h, full_w) = (plan.padding.padded_height, plan.padding.padded_width);
        let (pitch, plane) = pitch_and_plane(self.size, format);
        let args = Args {
            src,
            dst,
            full_h: full_h as i32,
            full_w: full_w as i32,
            frame_h: self.size.height as i32,
            frame_w: self.size.width as i32,
            source: format_code(format),
            pitch,
            plane,
            ..Args::default()
        };
        let grid = (full_w.div_ceil(PLAIN_THREADS) as u32, full_h as u32, 1);
        // SAFETY: the kernel `frame` takes `Args`; the addresses are memory of this session.
        unsafe { self.compute.launch(&self.convert_frame, grid, &args) }?;
        slot.release(&self.compute)
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
