//! What an engine tells of its inside: memory, launches, and what the device could give.

use serde::{Deserialize, Serialize};

/// Memory that an engine holds for a stream, by its own account.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineMemory {
    /// On the device, weights included, in MiB. What the driver itself takes is not in it.
    pub device_mib: f64,
    /// Page-locked on the host, in MiB; not the benchmark's own frames.
    pub pinned_host_mib: f64,
}

/// One launch of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelTime {
    /// The layer or the step of the network, as `block2.res5`.
    pub name: String,
    /// The kernel, and how it is cut.
    pub kernel: String,
    /// The mean of many, in ms: of launches one right after the other on a GPU, of the step within
    /// whole frames on a CPU.
    pub ms: f64,
    /// Multiplications and additions of the layer; 0 where it has none.
    pub flops: f64,
    /// Bytes of the tensors that it reads and writes, each once.
    pub bytes: f64,
}

/// The most that a device gives, measured on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// Multiplications and additions a second, in the engine's precision.
    pub flops: f64,
    /// Bytes of the device's memory a second, read and written.
    pub bytes: f64,
    /// Bytes a second between page-locked host memory and the device; absent where the device
    /// computes in host memory, and from older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<f64>,
}

impl Ceilings {
    /// The least time, in ms, that so much work takes on the device.
    pub fn floor_ms(&self, flops: f64, bytes: f64) -> f64 {
        1000.0 * (flops / self.flops).max(bytes / self.bytes)
    }
}
