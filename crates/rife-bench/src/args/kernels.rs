//! Options of `rife-bench kernels`.

use clap::Args;

use super::{EngineArgs, JsonArgs, SelectionArgs, parse_size};
use crate::subject::Size;

/// Time each kernel launch of a frame and compare it with the device's roofline.
#[derive(Clone, Debug, Args)]
pub struct KernelArgs {
    /// Models, precisions and optimizations.
    #[command(flatten)]
    pub selection: SelectionArgs,

    /// Device, threads and weights.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// Frame sizes, comma-separated [default: 320x192 on a CPU, 1920x1080 on a GPU]
    #[arg(long = "size", value_name = "WxH", value_delimiter = ',', value_parser = parse_size)]
    pub sizes: Vec<Size>,

    /// Runs of each launch and of the whole frame [default: 10 on a CPU, 100 on a GPU]
    #[arg(long, value_name = "N")]
    pub runs: Option<usize>,

    /// List each launch with its kernel instead of grouping similar ones
    #[arg(long)]
    pub each: bool,

    /// Output file.
    #[command(flatten)]
    pub output: JsonArgs,
}
