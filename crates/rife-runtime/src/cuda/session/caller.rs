//! Frames in the caller's device memory. They are read and written in place, ordered with the
//! caller's stream.

use super::{Batching, CudaSession, Place, Target};
use crate::cuda::driver::CallerStream;
use crate::cuda::samples::SampleLayout;
use crate::{DeviceSamples, Error, FrameViewMut, Result};

impl CudaSession {
    /// Converts the caller's frame to the image `to` of this session.
    pub(super) fn convert_from_caller(&self, samples: &DeviceSamples, to: usize) -> Result<()> {
        self.wait_for_caller(samples)?;
        // SAFETY: the creator of the view guarantees that the memory is valid in the order of the
        // caller's stream. The conversion runs in that order: after the event recorded above, and
        // before later work on the stream, which waits for it.
        let converted = unsafe { self.convert(samples.address, SampleLayout::device(samples), to) };
        converted.and(self.make_caller_wait(samples))
    }

    /// Interpolates frames into the caller's memory. Does not wait for the result.
    pub(super) fn interpolate_to_caller(
        &mut self,
        batching: Batching,
        targets: &[Target],
        outs: &[FrameViewMut<'_>],
    ) -> Result<()> {
        let samples: Vec<_> = outs.iter().filter_map(FrameViewMut::device_samples).collect();
        samples.iter().try_for_each(|samples| self.wait_for_caller(samples))?;
        let place = |samples: &&DeviceSamples| Place {
            address: samples.address,
            layout: SampleLayout::device(samples),
        };
        let places: Vec<_> = samples.iter().map(place).collect();
        let done = self.run_network(batching, targets, &places);
        // Also after an error: a part of the work may be queued.
        samples.iter().fold(done, |done, samples| {
            let waits = self.make_caller_wait(samples);
            done.and(waits)
        })
    }

    /// Makes later work of this session wait for all work that is queued on the caller's stream.
    fn wait_for_caller(&self, samples: &DeviceSamples) -> Result<()> {
        let gpu = &self.shared.gpu;
        if !gpu.owns(samples.address)? {
            return Err(Error::Frame {
                op: "device frame",
                expected: format!("memory of cuda:{}", samples.device),
                got: format!("address {:#x}, which is not on that device", samples.address),
            });
        }
        // SAFETY: the creator of the view guarantees that the stream is valid.
        unsafe { self.order.record_on_caller_stream(CallerStream::new(samples.stream)) }?;
        self.compute.wait(&self.order)
    }

    /// Makes later work on the caller's stream wait for all work that this session has queued.
    fn make_caller_wait(&self, samples: &DeviceSamples) -> Result<()> {
        self.order.record(&self.compute)?;
        // SAFETY: as above.
        unsafe { self.order.wait_on_caller_stream(CallerStream::new(samples.stream)) }
    }
}
