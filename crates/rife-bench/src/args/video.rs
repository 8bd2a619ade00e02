//! Options of `rife-bench video`.

use clap::Args;
use rife_model::ModelVersion;

use super::{EngineArgs, JsonArgs, parse_size};
use crate::subject::{Precision, Size};

/// Measure a 2x video job from pipe to pipe (Y4M).
#[derive(Clone, Debug, Args)]
pub struct VideoArgs {
    /// Models, comma-separated: 4.6, 4.25, 4.26, or their lite and heavy versions
    #[arg(
        long = "model",
        value_name = "VERSION",
        value_delimiter = ',',
        default_value = "4.6,4.25"
    )]
    pub models: Vec<ModelVersion>,

    /// Precision: auto, f32, tf32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    pub precision: Precision,

    /// Device, threads and weights.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// Frame size [default: 640x360 on a CPU, 1920x1080 on a GPU]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<Size>,

    /// Input frames [default: 60 on a CPU, 1500 on a GPU]
    #[arg(long, value_name = "N")]
    pub frames: Option<usize>,

    /// Output file.
    #[command(flatten)]
    pub output: JsonArgs,
}
