//! Validated settings of `rife-bench video`.

use std::path::PathBuf;

use anyhow::Result;
use rife_model::ModelVersion;

use super::{check_range, check_threads};
use crate::args::{EngineArgs, JsonArgs, VideoArgs};
use crate::clip::check_size;
use crate::files::check_output;
use crate::subject::{Device, Precision, Size};

/// Video jobs to measure.
#[derive(Clone, Debug)]
pub struct VideoPlan {
    /// Models.
    pub models: Vec<ModelVersion>,
    /// Device.
    pub device: Device,
    /// Precision.
    pub precision: Precision,
    /// CPU threads; `None` for the engine's default.
    pub threads: Option<usize>,
    /// Frame size; `None` for the device's default.
    pub size: Option<Size>,
    /// Input frames; `None` for the device's default.
    pub frames: Option<usize>,
    /// Weights folder; `None` for the default.
    pub weights: Option<PathBuf>,
    /// Output file, if any.
    pub json: Option<PathBuf>,
    /// Whether to replace an existing output file.
    pub overwrite: bool,
}

impl VideoPlan {
    /// Validates the options.
    ///
    /// # Errors
    /// The first invalid option, on one line.
    pub fn new(args: &VideoArgs) -> Result<Self> {
        let EngineArgs { device, threads, weights } = &args.engine;
        let JsonArgs { json, overwrite } = &args.output;
        check_threads(*threads)?;
        if let Some(json) = json {
            check_output("--json", json, *overwrite)?;
        }
        args.frames.map_or(Ok(()), |frames| check_range("--frames", frames, 3..=1_000_000))?;
        args.size.map_or(Ok(()), check_size)?;
        Ok(Self {
            models: args.models.clone(),
            device: *device,
            precision: args.precision,
            threads: *threads,
            size: args.size,
            frames: args.frames,
            weights: weights.clone(),
            json: json.clone(),
            overwrite: *overwrite,
        })
    }
}
