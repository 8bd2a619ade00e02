//! What was typed. What is valid is [`crate::plan`]'s business.

mod compare;
mod kernels;
mod report;
mod video;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rife_model::ModelVersion;

use crate::mode::{Mode, Reference};
use crate::subject::{DeviceChoice, Engine, Optimization, Precision, Size};

pub use compare::CompareArgs;
pub use kernels::KernelArgs;
pub use report::ReportArgs;
pub use video::VideoArgs;

/// Measures speed, memory and fidelity of every engine and writes one JSON record.
///
/// Without flags it measures everything, as --all does, in a form that the device finishes in a
/// few minutes. The full form is --frames 500 --size 1920x1080.
#[derive(Clone, Debug, Parser)]
#[command(name = "rife-bench", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// Something else than measuring whole frames.
    #[command(subcommand)]
    pub command: Option<Other>,

    /// What to measure.
    #[command(flatten)]
    pub args: Args,
}

/// What else there is to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Other {
    /// Show how long each launch of a frame takes, and how near that is to what the device gives
    Kernels(KernelArgs),
    /// Measure video through pipes, and where its time goes
    Video(VideoArgs),
    /// Say what changed from one record to another beyond noise
    Compare(CompareArgs),
    /// Make reports of records: a page, and the tables of a text
    Report(ReportArgs),
}

/// What was typed to measure whole frames.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Measure every configuration that the other flags leave over (what happens anyway)
    #[arg(long)]
    pub all: bool,

    /// Models to measure: 4.6, 4.25, 4.26; several with commas [default: 4.6,4.25]
    #[arg(long = "model", value_name = "VERSION", value_delimiter = ',')]
    pub models: Vec<ModelVersion>,

    /// Engines to measure: baseline, optimized [default: all there are]
    #[arg(long = "engine", value_name = "ENGINE", value_delimiter = ',')]
    pub engines: Vec<Engine>,

    /// Precisions to measure: f32, tf32, f16, bf16 [default: all there are]
    #[arg(long = "precision", value_name = "TYPE", value_delimiter = ',')]
    pub precisions: Vec<Precision>,

    /// Run the optimized engine without this, to see what it is worth; several with commas:
    /// channels-last, cached-frames, winograd, cached-features, fused-kernels, preallocated-buffers,
    /// reused-buffers, pinned-memory, streams, cuda-graph, overlapped-launches, wgmma, autotune
    #[arg(long, value_name = "OPT", value_delimiter = ',')]
    pub without: Vec<Optimization>,

    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,

    /// Threads on a CPU, 1 to 1024 [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// How to measure speed: latency (one frame at a time, from host memory to host memory),
    /// end-to-end (the same fed ahead, over page-locked frames on a GPU), device (by the device's
    /// clock, without copies; on a CPU the optimized engine without reading frames in; throughput
    /// is another name of it); several with commas [default: latency on a CPU, all on a GPU and with --ablate]
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',', hide_possible_values = true)]
    pub modes: Vec<Mode>,

    /// Also run each optimized configuration without each of its optimizations alone, and with
    /// each alone, and say what each is worth in speed, memory and fidelity (by --mode end-to-end
    /// and device)
    #[arg(long)]
    pub ablate: bool,

    /// Also show where a frame's time goes, by stage and by kernel, beside what the device gives at
    /// most, and name the bottleneck
    #[arg(long)]
    pub profile: bool,

    /// Also drop every other frame of this clip (a video file, or a folder of pictures; of its first
    /// 59 frames), make it again, and compare with the truth
    #[arg(long, value_name = "CLIP")]
    pub quality: Option<PathBuf>,

    /// Also show how frames a second and memory grow with the size of the frames (640x360 to
    /// 3840x2160), with the threads of a CPU, and with the frames made at once
    #[arg(long)]
    pub scaling: bool,

    /// Also run the same networks by others (PyTorch's recipes; on a CPU ONNX Runtime and OpenVINO)
    /// in the same rounds, through tools/peers.py of the checkout that this program was built from,
    /// or --peers-script: all that there are for the device, or --peers=WORD,... for those whose names contain one of the words
    #[arg(long, value_name = "WORD", num_args = 0.., require_equals = true, value_delimiter = ',',
        default_missing_value = "")]
    pub peers: Option<Vec<String>>,

    /// Python that runs the peers, with what they need installed [default: python3]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,

    /// Script that runs the peers [default: tools/peers.py of the checkout of this build]
    #[arg(long, value_name = "FILE")]
    pub peers_script: Option<PathBuf>,

    /// Frames of the output for each one of the input: --factor 3 makes two between two
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub factor: usize,

    /// Keep small pictures of each configuration's worst frame in the record, for reports
    #[arg(long)]
    pub pictures: bool,

    /// What to compare frames with: baseline-f32 (where the device has none: on the CPU, over 8
    /// frames at most), optimized-f32 (on the device)
    #[arg(long, value_name = "WHAT", default_value = "baseline-f32", hide_possible_values = true)]
    pub reference: Reference,

    /// Size of the rendered scene, several with commas: each configuration is measured at each
    /// [default: 320x192 on a CPU, 1920x1080 on a GPU]
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

    /// Use these pictures, a folder's in natural order, or a video file's frames (through ffmpeg), as
    /// 8-bit RGB instead of the rendered scene; with more --frames than they give, they are played
    /// forwards and backwards
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub input: Vec<PathBuf>,

    /// Frames to generate in each run by each mode; lifts the default time budget
    /// [default: 10 on a CPU, 500 on a GPU, and no more than the pictures have gaps]
    #[arg(long, value_name = "N")]
    pub frames: Option<usize>,

    /// Runs of each configuration
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub repeats: usize,

    /// Frames to generate before the measured ones of each run [default: 1 on a CPU, 20 on a GPU]
    #[arg(long, value_name = "N")]
    pub warmup: Option<usize>,

    /// Seconds after which a configuration, all its runs and modes together, measures no further
    /// frames; one without an optimization (--ablate) has as many for itself
    /// [default: 12 on a CPU, 120 on a GPU, none with --frames]
    #[arg(long, value_name = "SECONDS")]
    pub budget: Option<f64>,

    /// Folder of the models' weights [default: RIFE_WEIGHTS, else weights/ of the checkout, else
    /// the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,

    /// Where to write the record [default: rife-bench-UTCTIME.json in this folder]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace a record that exists
    #[arg(long)]
    pub overwrite: bool,

    /// Show no progress
    #[arg(long)]
    pub quiet: bool,
}

impl CommandLine {
    /// Parses the command line. Help and the version are printed and end the program.
    ///
    /// # Errors
    /// What is wrong with it, as one line.
    pub fn parse_line() -> Result<Self, String> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                error.exit();
            }
            one_line(&error.to_string())
        })
    }
}

/// The paragraph that says what is wrong, without clap's own prefix and the usage that follows.
fn one_line(error: &str) -> String {
    let text: Vec<_> = error.lines().take_while(|l| !l.is_empty()).map(str::trim).collect();
    let text = text.join(" ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

fn parse_size(s: &str) -> Result<Size, String> {
    let sides = s.split_once(['x', 'X']).map(|(w, h)| (w.parse(), h.parse()));
    match sides {
        Some((Ok(width), Ok(height))) => Ok(Size { width, height }),
        _ => Err("expected WIDTHxHEIGHT, such as 1920x1080".into()),
    }
}

fn parse_device(s: &str) -> Result<DeviceChoice, String> {
    match s.split_once(':') {
        None if s == "auto" => Ok(DeviceChoice::Auto),
        None if s == "cpu" => Ok(DeviceChoice::Cpu),
        None if s == "cuda" => Ok(DeviceChoice::Cuda(0)),
        Some(("cuda", ordinal)) if ordinal.parse::<u16>().is_ok() => {
            Ok(DeviceChoice::Cuda(ordinal.parse().map_err(|_| "no such ordinal")?))
        }
        _ => Err("expected auto, cpu, cuda or cuda:N".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn lists_take_commas_and_repetition() {
        let args = Args::parse_from(["", "--model", "4.6,4.25", "--model", "4.26"]);
        assert_eq!(args.models, ModelVersion::ALL);
        let args = Args::parse_from(["", "--size", "64x48,32x32", "--mode", "device,end-to-end"]);
        assert_eq!(args.sizes, [(64, 48), (32, 32)].map(|(width, height)| Size { width, height }));
        assert_eq!(args.modes, [Mode::Device, Mode::EndToEnd]);
    }

    #[test]
    fn a_word_leads_to_something_else() {
        let typed = |line: &[&str]| CommandLine::try_parse_from(line);
        let kernels =
            typed(&["", "kernels", "--size", "64x48", "--each"]).expect("kernels").command;
        let Some(Other::Kernels(kernels)) = kernels else { panic!("{kernels:?}") };
        assert!(kernels.each && kernels.sizes.len() == 1);
        assert!(typed(&["", "--ablate"]).expect("measuring").command.is_none());
        assert!(typed(&["", "--ablate", "kernels"]).is_err());
    }

    #[test]
    fn the_help_names_every_optimization() {
        use clap::CommandFactory;
        let help = CommandLine::command().render_long_help().to_string();
        for optimization in Optimization::ALL {
            assert!(help.contains(optimization.as_str()), "{optimization}");
        }
    }

    #[test]
    fn devices_parse() {
        assert_eq!(parse_device("auto"), Ok(DeviceChoice::Auto));
        assert_eq!(parse_device("cuda"), Ok(DeviceChoice::Cuda(0)));
        assert_eq!(parse_device("cuda:3"), Ok(DeviceChoice::Cuda(3)));
        for wrong in ["gpu", "cuda:", "cuda:-1", "cpu:0", "cuda:99999999999999999999"] {
            assert!(parse_device(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_usage_error_is_one_line() {
        for line in [&["", "--nonsense"][..], &["", "--size", "big"], &["", "--model", "4.7"]] {
            let error = CommandLine::try_parse_from(line).expect_err("wrong").to_string();
            let text = one_line(&error);
            assert!(!text.contains('\n') && !text.starts_with("error"), "{text}");
        }
    }
}
