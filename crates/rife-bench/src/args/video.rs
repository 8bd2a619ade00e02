//! What was typed to measure video through pipes.

use std::path::PathBuf;

use clap::Args;
use rife_model::ModelVersion;
use rife_runtime::{Device, Precision};

use super::parse_size;
use crate::subject::Size;

/// Measures video through pipes: Y4M in, twice as many frames out.
#[derive(Clone, Debug, Args)]
pub struct VideoArgs {
    /// Models: 4.6, 4.25, 4.26; several with commas
    #[arg(
        long = "model",
        value_name = "VERSION",
        value_delimiter = ',',
        default_value = "4.6,4.25"
    )]
    pub models: Vec<ModelVersion>,

    /// Arithmetic of the convolutions: auto, f32, tf32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    pub precision: Precision,

    /// Size of the frames [default: 640x360 on a CPU, 1920x1080 on a GPU]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<Size>,

    /// Frames to read [default: 60 on a CPU, 1500 on a GPU]
    #[arg(long, value_name = "N")]
    pub frames: Option<usize>,

    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,

    /// Threads on a CPU, 1 to 1024 [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

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
