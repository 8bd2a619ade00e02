//! Timing of an engine: see [`Session::kernel_times`](crate::Session::kernel_times),
//! [`Session::time_on_device`](crate::Session::time_on_device) and
//! [`Interpolator::peak_throughput`](crate::Interpolator::peak_throughput).

use crate::Result;

/// The time of one kernel launch of a frame; on a CPU, of one step of the network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KernelTime {
    /// The layer or step of the network, such as `block2.res5`.
    pub name: String,
    /// The kernel and its tile.
    pub kernel: String,
    /// Mean time in ms. On a GPU, of repeated launches of this kernel; on a CPU, of this step in
    /// whole frames.
    pub milliseconds: f32,
    /// Multiplications and additions of the layer as published; 0 if it has none.
    pub flops: f64,
    /// Bytes of the tensors that it reads and writes, each counted once, including weights.
    pub bytes: f64,
}

/// The peak throughput of a device, measured on it without a network, to compare
/// [`KernelTime`]s with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeakThroughput {
    /// Multiplications and additions per second in the engine's precision: of a GPU's tensor
    /// cores, or of all threads of an engine on the CPU.
    pub flops: f64,
    /// Bytes per second, read and written, of a copy within the device's memory (for a CPU, main
    /// memory).
    pub bytes: f64,
    /// Bytes per second between pinned host memory and the device, in the slower direction; `None`
    /// if the device computes in host memory.
    pub transfer: Option<f64>,
}

/// Measures the time of a session.
pub(crate) trait SessionProfiler {
    /// Interpolates between the last two frames pushed `runs` times without copies between host
    /// and device, encoding the newest frame each time, as in a stream. Returns the device time of
    /// each run in ms. Must be called after two pushes and with nothing submitted.
    fn time_on_device(&mut self, timestep: f32, runs: usize) -> Result<Vec<f32>>;

    /// The mean time of each kernel launch of a frame over `runs` launches. Empty if the times
    /// cannot be measured. Must be called after two pushes and with nothing submitted.
    fn kernel_times(&mut self, runs: usize) -> Result<Vec<KernelTime>>;
}
