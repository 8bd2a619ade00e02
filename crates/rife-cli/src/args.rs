//! Command-line arguments.

mod job;
mod part;
mod setup;
mod usage_error;
mod values;

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use rife_runtime::{Device, Engine, FrameSize, ModelVersion, Precision, Scale};
use rife_video::{Rational, SceneDetector, SceneSettings};

pub(crate) use self::job::{JobAction, JobArgs, JoinArgs, PlanArgs, RunArgs, StatusArgs};
pub(crate) use self::part::PartArgs;
pub(crate) use self::setup::{HwAccel, SetupArgs};
pub(crate) use self::usage_error::{exit_with_usage_error, message as usage_message};

/// Interpolates video frames with RIFE 4.6, 4.25, 4.26 and four lite and heavy versions.
#[derive(Debug, Parser)]
#[command(name = "rife", version, about, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Interpolate a video or an image pair
    Interpolate(Box<InterpolateArgs>),
    /// Interpolate a video in segments, on several machines
    Job(JobArgs),
    /// Convert a PyTorch checkpoint to safetensors, every tensor bit for bit
    Convert(ConvertArgs),
    /// List, fetch, import and verify weights
    Weights(WeightsArgs),
    /// List the profiles of --profile, and where they are
    Profiles,
    /// Show what this machine can run
    Info(InfoArgs),
    /// Test every engine, ffmpeg, the weights and the caches, for a bug report
    Doctor(DoctorArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    Man {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("when").args(["timestep", "factor", "fps", "slow"]))]
pub(crate) struct InterpolateArgs {
    /// A video, a folder of images, or - for Y4M on standard input; or the first image of a pair
    /// (PNG, JPEG, WebP, TIFF)
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// The second image of a pair, of the same size
    #[arg(value_name = "SECOND")]
    pub(crate) second_image: Option<PathBuf>,
    /// The video to write (.mp4, .mkv, .mov, .webm, .avi, .y4m, .yuv), - or a device for Y4M, or a
    /// folder for images (also as out/%04d.png); for an image pair the image, or with --factor the
    /// folder. Pipes and devices are written to directly
    #[arg(
        short,
        long,
        value_name = "OUT",
        required = false,
        required_unless_present = "preview",
        default_value_if("preview", ArgPredicate::IsPresent, part::PREVIEW_OUTPUT),
        hide_default_value = true
    )]
    pub(crate) output: PathBuf,
    /// Position of the interpolated image between the pair, 0 < T < 1 [default: 0.5]
    #[arg(short, long, value_name = "T", value_parser = values::timestep,
        allow_negative_numbers = true)]
    pub(crate) timestep: Option<f32>,
    /// Multiply the frame rate by N: 2 (the default for a video), 4, 5/2; for an image pair write
    /// N-1 images into the folder OUT, starting with 0001.png
    #[arg(short, long, value_name = "N", value_parser = values::factor,
        allow_negative_numbers = true)]
    pub(crate) factor: Option<Rational>,
    /// Constant frame rate of the output: 60, 60000/1001, 59.94
    #[arg(long, value_name = "RATE", value_parser = values::fps, allow_negative_numbers = true)]
    pub(crate) fps: Option<Rational>,
    /// Slow motion: N times as long at the same frame rate, without sound unless --audio
    #[arg(long, value_name = "N", value_parser = values::factor, allow_negative_numbers = true)]
    pub(crate) slow: Option<Rational>,
    /// Replace existing output; in a folder also remove the images of an earlier, longer job
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) part: PartArgs,
    #[command(flatten)]
    pub(crate) setup: SetupArgs,
    #[command(flatten)]
    pub(crate) video: VideoArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Video")]
pub(crate) struct VideoArgs {
    /// Resume an interrupted job after its last finished segment. Input, settings and programs must
    /// be the same
    #[arg(long)]
    pub(crate) resume: bool,
    /// What to do at a scene cut: hold the frame before it, blend across it, or off (interpolate
    /// across it)
    #[arg(long, value_name = "HOW", default_value = "hold")]
    pub(crate) scene: Scene,
    /// Scene-cut threshold: image content lost from one frame to the next, above the recent median,
    /// in percent
    #[arg(long, value_name = "PERCENT", default_value_t = SceneDetector::DEFAULT_CUT,
        value_parser = values::percent, allow_negative_numbers = true)]
    pub(crate) scene_threshold: f64,
    /// Treat frames as equal up to this difference, in percent of the luma range; 0: only if they
    /// are identical [default: 0; with --dedup 0.25]
    #[arg(long, value_name = "PERCENT", value_parser = values::percent,
        allow_negative_numbers = true)]
    pub(crate) static_threshold: Option<f64>,
    /// For animation, which shows each drawing for two or three frames: interpolate from one
    /// drawing to the next, over all frames that show it. Length, times and sound stay the same
    #[arg(long)]
    pub(crate) dedup: bool,
    /// Longest hold that --dedup interpolates over, in frames (2 to 30). A drawing that is shown for longer
    /// is a pause and stays still
    #[arg(long, value_name = "N", default_value_t = SceneSettings::DEFAULT_LONGEST_HOLD,
        value_parser = values::hold, allow_negative_numbers = true, requires = "dedup")]
    pub(crate) dedup_max: usize,
    /// End with the last source frame, instead of repeating it until the input ends
    #[arg(long)]
    pub(crate) no_hold_last: bool,
    /// Video codec: h264, h265, av1, vp9, prores, ffv1 (lossless), or the name of an ffmpeg
    /// encoder such as hevc_nvenc [default: depends on the container]
    #[arg(long, value_name = "CODEC")]
    pub(crate) codec: Option<String>,
    /// Quality in the encoder's own scale, lower is better (0 to 51 for H.264 and H.265, 0 to 63
    /// for AV1 and VP9) [default: depends on the codec]
    #[arg(long, value_name = "N", value_parser = values::number, allow_negative_numbers = true)]
    pub(crate) crf: Option<f64>,
    /// Preset of the encoder, such as slow or p7
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Additional ffmpeg arguments for the encoder, in one string
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub(crate) encoder_args: Option<String>,
    /// Keep the sound with --slow, at its original speed
    #[arg(long)]
    pub(crate) audio: bool,
    /// Show input and output side by side
    #[arg(long)]
    pub(crate) compare: bool,
    /// Frame size of raw video
    #[arg(long, value_name = "WxH")]
    pub(crate) size: Option<FrameSize>,
    /// Read the input as raw video in this pixel format: yuv420p, yuv444p10le, rgb24, ...
    #[arg(long, value_name = "FORMAT")]
    pub(crate) pix_fmt: Option<String>,
    /// Frame rate of images, raw video or Y4M [default: the rate in Y4M, else 25]
    #[arg(long, value_name = "RATE", value_parser = values::fps, allow_negative_numbers = true)]
    pub(crate) input_fps: Option<Rational>,
    /// Names of the output images; %08d is an eight-digit number that starts at 1
    #[arg(long, value_name = "NAME")]
    pub(crate) pattern: Option<String>,
    /// Accept playlists (HLS, DASH, ffconcat, IMF), which make other local files part of the output
    #[arg(long)]
    pub(crate) allow_playlists: bool,
    /// Path of ffmpeg, or of the folder with ffmpeg and ffprobe [default: search PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) ffmpeg: Option<PathBuf>,
    /// Memory for frames between decoder, network and encoder: 512M, 2G. If frames are too large
    /// for it, the least possible is used and reported
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = values::bytes)]
    pub(crate) max_memory: u64,
    /// Print frames, commands, and time and memory measured in a short trial; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print progress as JSON lines on standard output (standard error with -o -)
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) json: bool,
}

/// What to do between the two frames of a scene cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scene {
    Hold,
    Blend,
    Off,
}

/// Scale of motion estimation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScaleChoice {
    Auto,
    Fixed(Scale),
}

impl ScaleChoice {
    /// The scale for a frame size: motion in 4K exceeds the range of the network at full scale.
    pub(crate) fn for_size(self, size: FrameSize) -> Scale {
        match self {
            Self::Fixed(scale) => scale,
            Self::Auto if size.pixels() > 2560 * 1600 => Scale::Half,
            Self::Auto => Scale::One,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EngineArgs {
    /// Model version: 4.6, 4.22.lite, 4.25, 4.25.lite, 4.25.heavy, 4.26 or 4.26.heavy [default: the
    /// version of the weights file; otherwise 4.26, or 4.25 if the folder has 4.25 but not 4.26]
    #[arg(short, long, value_name = "VERSION")]
    pub(crate) model: Option<ModelVersion>,
    /// Implementation: auto, baseline or optimized
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: Engine,
    /// Device: auto, cpu, cuda or cuda:N; several devices share a video (cuda:0,cuda:1)
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_delimiter = ',')]
    pub(crate) device: Vec<Device>,
    /// Precision of the convolutions: auto, f32, tf32 (GPU), f16 or bf16 (CPU)
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    pub(crate) precision: Precision,
    /// Scale of motion estimation: 0.25, 0.5 (for 4K), 1, 2, 4, or auto (0.5 above 2560x1600)
    #[arg(long, value_name = "SCALE", default_value = "1", value_parser = values::scale,
        allow_negative_numbers = true)]
    pub(crate) scale: ScaleChoice,
    /// Average with the reversed pair (2x slower, 4.6 only)
    #[arg(long)]
    pub(crate) ensemble: bool,
    /// CPU threads, 1 to 1024 [default: one per logical core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    /// Weights file (.pth, .pkl, .pt, .ckpt, .safetensors) or folder [default: RIFE_WEIGHTS, else
    /// weights/ of the rife source tree that contains the working directory or the program, else
    /// rife/weights in the user's cache folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WeightsDir {
    /// Weights folder [default: RIFE_WEIGHTS, else weights/ of the rife source tree that contains the
    /// working directory or the program, else rife/weights in the user's cache folder]
    #[arg(long = "weights", value_name = "DIR", global = true)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConvertArgs {
    /// The checkpoint: .pth, .pkl or .pt, in PyTorch's zip or legacy format
    pub(crate) input: PathBuf,
    /// The file to write [default: the input with the extension .safetensors]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WeightsArgs {
    #[command(subcommand)]
    pub(crate) action: WeightsAction,
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsAction {
    /// List available weights, and where to get the others
    List,
    /// Download missing weights
    Fetch {
        /// A version, or `all`: every version that can be downloaded
        #[arg(default_value = "all", value_name = "VERSION", value_parser = values::versions)]
        which: Versions,
    },
    /// Copy a weights file into the weights folder, and record its hash
    Import {
        /// Weights file: .pth, .pkl, .pt, .ckpt or .safetensors
        file: PathBuf,
        /// Version of the weights, if the tensors and the file name do not identify it
        #[arg(long = "as", value_name = "VERSION")]
        version: Option<ModelVersion>,
        /// Replace existing weights of this version
        #[arg(long)]
        overwrite: bool,
    },
    /// Check every file against its published or recorded hash
    Verify,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The ffmpeg program, or the folder that contains ffmpeg and ffprobe [default: search PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) ffmpeg: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

/// One model version, or all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Versions {
    All,
    One(ModelVersion),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_states_the_threshold_of_held_drawings() {
        let mut command = Args::command();
        let interpolate = command.find_subcommand_mut("interpolate").unwrap();
        let expected = format!("[default: 0; with --dedup {}]", SceneDetector::DEFAULT_HELD);
        assert!(interpolate.render_long_help().to_string().contains(&expected));
    }
}
