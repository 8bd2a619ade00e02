//! The command line. [`crate::plan`] validates it.

mod compare;
mod kernels;
mod report;
mod video;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rife_model::ModelVersion;

use crate::mode::{Mode, Reference};
use crate::subject::{Device, Engine, Optimization, Precision, Size};

pub use compare::CompareArgs;
pub use kernels::KernelArgs;
pub use report::ReportArgs;
pub use video::VideoArgs;

/// Measure speed, memory and fidelity of every RIFE engine, and write a JSON record.
///
/// Without options it measures every configuration with defaults that finish within minutes. For
/// the full benchmark, use --frames 500 --size 1920x1080.
#[derive(Clone, Debug, Parser)]
#[command(name = "rife-bench", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// The subcommand; `None` to run the benchmark.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of the benchmark.
    #[command(flatten)]
    pub args: Args,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Time each kernel launch of a frame and compare it with the device's roofline
    Kernels(KernelArgs),
    /// Measure a video job through pipes, stage by stage
    Video(VideoArgs),
    /// Compare two records and show changes beyond noise
    Compare(CompareArgs),
    /// Generate reports from records: an HTML page, and tables in Markdown files
    Report(ReportArgs),
}

/// Options of the benchmark.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Models, precisions and optimizations.
    #[command(flatten)]
    pub selection: SelectionArgs,

    /// Device, threads and weights.
    #[command(flatten)]
    pub engine: EngineArgs,

    /// Run all selected configurations (default)
    #[arg(long)]
    pub all: bool,

    /// Engines, comma-separated: baseline, optimized [default: all available]
    #[arg(
        long = "engine",
        value_name = "ENGINE",
        value_delimiter = ',',
        value_parser = parse_engine
    )]
    pub engines: Vec<Engine>,

    /// Speed modes, comma-separated: latency (one frame at a time, host memory to host memory),
    /// end-to-end (the same with frames queued ahead, from pinned memory on a GPU), device (device
    /// time without host transfers; alias: throughput)
    /// [default: latency on a CPU; all on a GPU or with --ablate]
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',', hide_possible_values = true)]
    pub modes: Vec<Mode>,

    /// Measure the effect of each optimization: disabled alone and enabled alone
    #[arg(long)]
    pub ablate: bool,

    /// Profile each frame by stage and kernel against the device's roofline
    #[arg(long)]
    pub profile: bool,

    /// Measure quality against ground truth: drop every other frame of this clip (video or image
    /// folder, first 59 frames), interpolate it, and compare
    #[arg(long, value_name = "CLIP")]
    pub quality: Option<PathBuf>,

    /// Measure scaling with frame size (640x360 to 3840x2160), CPU threads and batch size
    #[arg(long)]
    pub scaling: bool,

    /// Also run other implementations (PyTorch; on a CPU also ONNX Runtime and OpenVINO) through
    /// tools/peers.py: all for the device, or those whose name contains one of the words
    #[arg(long, value_name = "WORD", num_args = 0.., require_equals = true, value_delimiter = ',',
        default_missing_value = "")]
    pub peers: Option<Vec<String>>,

    /// Python interpreter that has the packages for --peers [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,

    /// Script that runs them [default: tools/peers.py of the checkout that this program was built from]
    #[arg(long, value_name = "FILE")]
    pub peers_script: Option<PathBuf>,

    /// Output frames per input frame: 3 interpolates two frames per pair
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub factor: usize,

    /// Store thumbnails of each configuration's worst frame in the record
    #[arg(long)]
    pub pictures: bool,

    /// Reference for fidelity: baseline-f32 (if the device has none: on the CPU, at most 8 frames)
    /// or optimized-f32
    #[arg(long, value_name = "WHAT", default_value = "baseline-f32", hide_possible_values = true)]
    pub reference: Reference,

    /// Sizes of the rendered scene, comma-separated [default: 320x192 on a CPU, 1920x1080 on a GPU]
    #[arg(
        long = "size",
        value_name = "WxH",
        value_delimiter = ',',
        value_parser = parse_size,
        conflicts_with = "input"
    )]
    pub sizes: Vec<Size>,

    /// Seed of the rendered scene's textures
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "input")]
    pub seed: u32,

    /// Use these images, image folders or a video (through ffmpeg) as 8-bit RGB instead of the
    /// rendered scene; played forwards and backwards if --frames needs more
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub input: Vec<PathBuf>,

    /// Frames to interpolate per run and mode; disables the default time budget
    /// [default: 10 on a CPU, 500 on a GPU, at most one per pair of input images]
    #[arg(long, value_name = "N")]
    pub frames: Option<usize>,

    /// Runs of each configuration
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub repeats: usize,

    /// Warm-up frames per run [default: 1 on a CPU, 20 on a GPU]
    #[arg(long, value_name = "N")]
    pub warmup: Option<usize>,

    /// Time budget per configuration in seconds, over all its runs and modes; with --ablate also per
    /// variant [default: 12 on a CPU, 120 on a GPU, none with --frames]
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<f64>,

    /// Output file [default: rife-bench-UTCTIME.json]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace an existing output file
    #[arg(long)]
    pub overwrite: bool,

    /// Hide the progress bar
    #[arg(long)]
    pub quiet: bool,
}

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct SelectionArgs {
    /// Models, comma-separated: 4.6, 4.25, 4.26, or their lite and heavy versions, such as 4.25.lite
    /// [default: 4.6,4.25]
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

    /// Disable optimizations of the optimized engine, comma-separated: channels-last, cached-frames,
    /// winograd, cached-features, fused-kernels, preallocated-buffers, reused-buffers,
    /// pinned-memory, streams, cuda-graph, overlapped-launches, wgmma, autotune
    #[arg(long, value_name = "OPT", value_delimiter = ',')]
    pub without: Vec<Optimization>,
}

/// Where to run, and with which weights.
#[derive(Clone, Debug, clap::Args)]
pub struct EngineArgs {
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,

    /// CPU threads, 1 to 1024 [default: one per logical core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Weights folder [default: RIFE_WEIGHTS, else weights/ of the checkout, else the user's cache]
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
}

/// Where to write a record, if anywhere.
#[derive(Clone, Debug, clap::Args)]
pub struct JsonArgs {
    /// Also write a JSON record to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Replace an existing file
    #[arg(long)]
    pub overwrite: bool,
}

impl CommandLine {
    /// Parses the command line. `--help` and `--version` print and exit.
    ///
    /// # Errors
    /// A usage error, on one line.
    pub fn parse_line() -> Result<Self, String> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            one_line(&error.to_string())
        })
    }
}

/// The first paragraph of clap's message, without its prefix and the usage that follows.
fn one_line(error: &str) -> String {
    let text: Vec<_> = error.lines().take_while(|l| !l.is_empty()).map(str::trim).collect();
    let text = text.join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

fn parse_size(s: &str) -> Result<Size, String> {
    let sides = s.split_once(['x', 'X']).map(|(w, h)| (w.parse(), h.parse()));
    match sides {
        Some((Ok(width), Ok(height))) => Ok(Size { width, height }),
        _ => Err("expected WIDTHxHEIGHT, for example 1920x1080".into()),
    }
}

/// `auto` would select one engine, while the benchmark lists the engines to compare.
pub(crate) fn parse_engine(s: &str) -> Result<Engine, String> {
    match s.parse() {
        Ok(Engine::Auto) | Err(_) => Err("expected baseline or optimized".into()),
        Ok(engine) => Ok(engine),
    }
}

pub(crate) fn parse_precision(s: &str) -> Result<Precision, String> {
    match s.parse() {
        Ok(Precision::Auto) | Err(_) => Err("expected f32, tf32, f16 or bf16".into()),
        Ok(precision) => Ok(precision),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_are_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn lists_accept_commas_and_repetition() {
        let args = Args::parse_from(["", "--model", "4.6,4.25", "--model", "4.26"]);
        let expected = [ModelVersion::V4_6, ModelVersion::V4_25, ModelVersion::V4_26];
        assert_eq!(args.selection.models, expected);
        let args = Args::parse_from(["", "--size", "64x48,32x32", "--mode", "device,end-to-end"]);
        assert_eq!(args.sizes, [(64, 48), (32, 32)].map(|(width, height)| Size { width, height }));
        assert_eq!(args.modes, [Mode::Device, Mode::EndToEnd]);
    }

    #[test]
    fn subcommands_exclude_benchmark_options() {
        let parse = |line: &[&str]| CommandLine::try_parse_from(line);
        let kernels =
            parse(&["", "kernels", "--size", "64x48", "--each"]).expect("kernels").command;
        let Some(Command::Kernels(kernels)) = kernels else { panic!("{kernels:?}") };
        assert!(kernels.each && kernels.sizes.len() == 1);
        assert!(parse(&["", "--ablate"]).expect("a benchmark").command.is_none());
        assert!(parse(&["", "--ablate", "kernels"]).is_err());
    }

    #[test]
    fn help_lists_every_optimization() {
        let help = CommandLine::command().render_long_help().to_string();
        for optimization in Optimization::ALL {
            assert!(help.contains(optimization.as_str()), "{optimization}");
        }
    }

    #[test]
    fn automatic_choices_are_not_configurations() {
        assert_eq!(parse_engine("optimized"), Ok(Engine::Optimized));
        assert_eq!(parse_precision("bf16"), Ok(Precision::Bf16));
        for word in ["auto", "fast", ""] {
            assert!(parse_engine(word).is_err() && parse_precision(word).is_err(), "{word}");
        }
    }

    #[test]
    fn usage_errors_are_one_line() {
        for line in [&["", "--nonsense"][..], &["", "--size", "big"], &["", "--model", "4.7"]] {
            let error = CommandLine::try_parse_from(line).expect_err("wrong").to_string();
            let text = one_line(&error);
            assert!(!text.contains('\n') && !text.starts_with("error"), "{text}");
        }
    }
}
