//! Frames in the caller's device memory, which are read and written in place, in the order of the
//! caller's stream.

use super::{Batching, CudaSession, Place, Target};
use crate::cuda::driver::CallerStream;
use crate::cuda::samples::SampleLayout;
use crate::{DeviceSamples, Error, FrameViewMut, Result};

impl CudaSession {
    /// Converts a frame to the image `to`.
    pub(super) fn convert_from_caller(&self, samples: &DeviceSamples, to: usize) -> Result<()> {
        self.take_from_caller(samples)?;
        // SAFETY: whoever created the view guarantees the memory and its strides, in the order of
        // the stream, which waits for the conversion below.
        unsafe { self.convert(samples.address, SampleLayout::device(samples), to) }?;
        self.return_to_caller(samples)
    }

    /// Interpolates frames into the caller's memory, without waiting for the result.
    pub(super) fn interpolate_to_caller(
        &mut self,
        batching: Batching,
        targets: &[Target],
        outs: &[FrameViewMut<'_>],
    ) -> Result<()> {
        let samples: Vec<_> = outs.iter().filter_map(FrameViewMut::device_samples).collect();
        samples.iter().try_for_each(|samples| self.take_from_caller(samples))?;
        let place = |samples: &&DeviceSamples| Place {
            address: samples.address,
            layout: SampleLayout::device(samples),
        };
        let places: Vec<_> = samples.iter().map(place).collect();
        self.run_network(batching, targets, &places)?;
        samples.iter().try_for_each(|samples| self.return_to_caller(samples))
    }

    /// Makes later work of this session wait for the work that is queued on the caller's stream.
    fn take_from_caller(&self, samples: &DeviceSamples) -> Result<()> {
        let gpu = &self.shared.gpu;
        if !gpu.owns(samples.address)? {
            return Err(Error::Frame {
                op: "device frame",
                expected: format!("memory of cuda:{}", samples.device),
                got: format!("the address {:#x}, which is not", samples.address),
            });
        }
        // SAFETY: whoever created the view guarantees that the stream is valid.
        unsafe { self.order.record_on_caller(CallerStream::new(samples.stream)) }?;
        self.compute.wait(&self.order)
    }

    /// Makes later work of the caller's stream wait for the work of this session so far.
    fn return_to_caller(&self, samples: &DeviceSamples) -> Result<()> {
        self.order.record(&self.compute)?;
        // SAFETY: as above.
        unsafe { self.order.hold_caller(CallerStream::new(samples.stream)) }
    }
}
