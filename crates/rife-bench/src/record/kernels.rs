//! Record of `rife-bench kernels`.

use std::path::Path;

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Header;
use crate::files::write_json;
use crate::measure::kernels::FrameTimes;
use crate::plan::KernelPlan;
use crate::subject::Device;

/// Record of kernel timings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KernelRecord {
    /// Header.
    #[serde(flatten)]
    pub header: Header,
    /// Device: `"cpu"`, or `{"cuda": N}` with CUDA's ordinal.
    #[schemars(with = "serde_json::Value")]
    pub device: Device,
    /// Runs of each launch and of the whole frame.
    pub runs: usize,
    /// Each configuration, size by size.
    pub frames: Vec<FrameTimes>,
}

impl KernelRecord {
    /// Combines results with a header for this machine and program.
    pub fn new(plan: &KernelPlan, frames: Vec<FrameTimes>) -> Self {
        Self { header: Header::now(), device: plan.device, runs: plan.runs, frames }
    }

    /// Writes the record. The file appears only once it is complete.
    ///
    /// # Errors
    /// When the file cannot be written, or exists and `overwrite` is not set.
    pub fn write(&self, path: &Path, overwrite: bool) -> Result<()> {
        write_json(self, path, overwrite)
    }
}
