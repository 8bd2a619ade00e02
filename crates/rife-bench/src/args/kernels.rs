//! Options of `rife-bench kernels`.

use std::path::PathBuf;

use clap::Args;
use rife_model::ModelVersion;

use super::{parse_precision, parse_size};
use crate::subject::{Device, Optimization, Precision, Size};

/// Time each kernel launch of a frame and compare it with the device's roofline.
#[derive(Clone, Debug, Args)]
pub struct KernelArgs {
    /// Models, comma-separated: 4.6, 4.25, 4.26 [default: 4.6,4.25]
    #[arg(long = "model", value_name = "VERSION", value_delimiter = ',')]
    pub models: Vec<ModelVersion>,

    /// Precisions, comma-separated: f32, tf32, f16, bf16 [default: all available]
    #[arg(
        long = "precision",
        value_name = "TYPE",
        value_delimiter = ',',
        value_parser = parse_precision
    )]
    pub precisions: Vec<Precision>,

    /// Frame sizes, comma-separated [default: 320x192 on a CPU, 1920x1080 on a GPU]
    #[arg(long = "size", value_name = "WxH", value_delimiter = ',', value_parser = parse_size)]
    pub sizes: Vec<Size>,

    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,

    /// CPU threads, 1 to 1024 [default: one per logical core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Disable optimizations, comma-separated
    #[arg(long, value_name = "OPT", value_delimiter = ',')]
    pub without: Vec<Optimization>,

    /// Runs of each launch and of the whole frame [default: 10 on a CPU, 100 on a GPU]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// List each launch with its kernel instead of grouping similar ones
    #[arg(long)]
    pub each: bool,

    /// Also write a JSON record to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Replace an existing file
    #[arg(long)]
    pub overwrite: bool,

    /// Weights folder [default: as for the benchmark]
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
}
