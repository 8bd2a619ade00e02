//! Internals of an engine: memory, kernel times and the peak throughput of its device.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Memory allocated by an engine for a stream, as the engine accounts for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineMemory {
    /// Device memory including the weights. Excludes the driver's own memory.
    pub device_mib: f64,
    /// Pinned host memory. Excludes the benchmark's own frames.
    pub pinned_host_mib: f64,
}

/// One kernel launch of a frame; on a CPU one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelTime {
    /// Layer or step of the network, such as `block2.res5`.
    pub name: String,
    /// Kernel and its tiling.
    pub kernel: String,
    /// Mean of many runs: back-to-back launches on a GPU, the step within whole frames on a CPU.
    pub ms: f64,
    /// Floating-point operations of the layer, counting multiplications and additions; 0 if it has
    /// none.
    pub flops: f64,
    /// Bytes of the tensors read and written, each counted once.
    pub bytes: f64,
}

/// Measured peak throughput of a device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ceilings {
    /// Peak FLOP/s in the engine's precision.
    pub flops: f64,
    /// Peak memory bandwidth, B/s, reads and writes together.
    pub bytes: f64,
    /// Peak transfer rate between pinned host memory and the device, B/s. Absent on a CPU; missing
    /// in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<f64>,
}

impl Ceilings {
    /// The roofline bound: the least time, in ms, for this work on the device.
    pub fn roofline_ms(&self, flops: f64, bytes: f64) -> f64 {
        1000.0 * (flops / self.flops).max(bytes / self.bytes)
    }
}
