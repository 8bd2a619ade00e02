//! What was typed to see the launches of a frame.

use std::path::PathBuf;

use clap::Args;
use rife_model::ModelVersion;

use super::{parse_device, parse_size};
use crate::subject::{DeviceChoice, Optimization, Precision, Size};

/// Shows how long each launch of a frame takes, and how near that is to what the device gives.
#[derive(Clone, Debug, Args)]
pub struct KernelArgs {
    /// Models: 4.6, 4.25, 4.26; several with commas [default: 4.6,4.25]
    #[arg(long = "model", value_name = "VERSION", value_delimiter = ',')]
    pub models: Vec<ModelVersion>,

    /// Precisions: f32, tf32, f16, bf16; several with commas [default: all there are]
    #[arg(long = "precision", value_name = "TYPE", value_delimiter = ',')]
    pub precisions: Vec<Precision>,

    /// Size of the frames; several with commas [default: 320x192 on a CPU, 1920x1080 on a GPU]
    #[arg(long = "size", value_name = "WxH", value_delimiter = ',', value_parser = parse_size)]
    pub sizes: Vec<Size>,

    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,

    /// Threads on a CPU, 1 to 1024 [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Run without these optimizations; several with commas
    #[arg(long, value_name = "OPT", value_delimiter = ',')]
    pub without: Vec<Optimization>,

    /// Runs of each launch, and of the whole frame [default: 10 on a CPU, 100 on a GPU]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// Show each launch with its kernel, instead of one row for all that are alike in a block
    #[arg(long)]
    pub each: bool,

    /// Also write what was measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Replace a file that exists
    #[arg(long)]
    pub overwrite: bool,

    /// Folder of the models' weights, as for measuring
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
}
