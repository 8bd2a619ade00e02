//! Command-line arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use rife_runtime::{Device, Engine, FrameSize, ModelVersion, Precision, Scale};
use rife_video::{Rate, Rational, SceneDetector};

use crate::picture::Format;

/// Interpolates video frames with RIFE 4.6, 4.25 and 4.26.
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
    /// Convert a PyTorch checkpoint to safetensors, every tensor bit for bit
    Convert(ConvertArgs),
    /// List, fetch and verify the published weights
    Weights(WeightsArgs),
    /// Show what this machine can run
    Info(InfoArgs),
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("when").args(["timestep", "factor", "fps", "slow"]))]
pub(crate) struct InterpolateArgs {
    /// A video, a folder of images, or - for Y4M on standard input; or the first image of a pair
    /// (PNG, JPEG, WebP, TIFF)
    #[arg(value_name = "INPUT")]
    pub(crate) earlier: PathBuf,
    /// The second image of a pair, of the same size
    pub(crate) later: Option<PathBuf>,
    /// The video to write (.mp4, .mkv, .mov, .webm, .avi, .y4m, .yuv), - or a device for Y4M, or a
    /// folder for images (also as out/%04d.png); for an image pair the image, or with --factor the
    /// folder. Pipes and devices are written through
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Position of the interpolated image between the pair, 0 < T < 1 [default: 0.5]
    #[arg(short, long, value_name = "T", value_parser = timestep, allow_negative_numbers = true)]
    pub(crate) timestep: Option<f32>,
    /// Multiply the frame rate by N: 2 (the default for a video), 4, 5/2; for an image pair write
    /// N-1 images into the folder OUT, starting with 0001.png
    #[arg(short, long, value_name = "N", value_parser = factor, allow_negative_numbers = true)]
    pub(crate) factor: Option<Rational>,
    /// Constant frame rate of the output: 60, 60000/1001, 59.94
    #[arg(long, value_name = "RATE", value_parser = fps, allow_negative_numbers = true)]
    pub(crate) fps: Option<Rational>,
    /// Slow motion: N times as long at the same frame rate, without sound unless --audio
    #[arg(long, value_name = "N", value_parser = factor, allow_negative_numbers = true)]
    pub(crate) slow: Option<Rational>,
    /// Replace existing output; in a folder also remove the images of an earlier, longer job
    #[arg(long)]
    pub(crate) overwrite: bool,
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
        value_parser = percent, allow_negative_numbers = true)]
    pub(crate) scene_threshold: f64,
    /// Treat frames as equal up to this difference, in percent of the luma range; 0: only if they
    /// are identical
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent,
        allow_negative_numbers = true)]
    pub(crate) static_threshold: f64,
    /// Video codec: h264, h265, av1, vp9, prores, ffv1 (lossless), or the name of an ffmpeg
    /// encoder such as hevc_nvenc [default: depends on the container]
    #[arg(long, value_name = "CODEC")]
    pub(crate) codec: Option<String>,
    /// Quality in the encoder's own scale, lower is better (0 to 51 for H.264 and H.265, 0 to 63 for
    /// AV1 and VP9) [default: depends on the codec]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
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
    #[arg(long, value_name = "RATE", value_parser = fps, allow_negative_numbers = true)]
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
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    pub(crate) max_memory: u64,
    /// Print frames, commands, and time and memory measured in a short trial; write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print progress as JSON lines on standard output (standard error with -o -)
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) json: bool,
}

/// What is done at a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scene {
    Hold,
    Blend,
    Off,
}

/// The resolution that motion is estimated at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScaleChoice {
    Auto,
    Fixed(Scale),
}

impl ScaleChoice {
    /// For frames of a size: motion in 4K is wider than the network looks.
    pub(crate) fn of(self, size: FrameSize) -> Scale {
        match self {
            Self::Fixed(scale) => scale,
            Self::Auto if size.pixels() > 2560 * 1600 => Scale::Half,
            Self::Auto => Scale::One,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EngineArgs {
    /// Model version: 4.6, 4.25 or 4.26
    #[arg(short, long, value_name = "VERSION", default_value = "4.25")]
    pub(crate) model: ModelVersion,
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
    #[arg(long, value_name = "SCALE", default_value = "1", value_parser = scale,
        allow_negative_numbers = true)]
    pub(crate) scale: ScaleChoice,
    /// Average with the reversed pair (2x slower, 4.6 only)
    #[arg(long)]
    pub(crate) ensemble: bool,
    /// CPU threads, 1 to 1024 [default: one per core]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WeightsDir {
    /// Weights folder [default: RIFE_WEIGHTS, else weights/ of the checkout, else the user's cache
    /// folder]
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
        /// 4.6, 4.25, 4.26 or all
        #[arg(default_value = "all", value_parser = versions)]
        which: Versions,
    },
    /// Compare every file with its published hash
    Verify,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

#[derive(Clone, Debug)]
pub(crate) struct Versions(pub(crate) Vec<ModelVersion>);

fn versions(s: &str) -> Result<Versions, String> {
    match s {
        "all" => Ok(Versions(ModelVersion::ALL.to_vec())),
        _ => match s.parse() {
            Ok(version) => Ok(Versions(vec![version])),
            Err(_) => Err("expected 4.6, 4.25, 4.26 or all".into()),
        },
    }
}

fn factor(s: &str) -> Result<Rational, String> {
    match Rate::factor(s) {
        Ok(Rate::Factor(k)) => Ok(k),
        Ok(_) => Err("expected a factor".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn fps(s: &str) -> Result<Rational, String> {
    rife_video::parse_frame_rate(s).map_err(|error| error.to_string())
}

fn scale(s: &str) -> Result<ScaleChoice, String> {
    match s {
        "auto" => Ok(ScaleChoice::Auto),
        _ => s.parse().map(ScaleChoice::Fixed).map_err(|e: rife_model::UnknownScale| e.to_string()),
    }
}

fn percent(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(p) if (0.0..=100.0).contains(&p) => Ok(p),
        _ => Err("expected a number from 0 to 100".into()),
    }
}

/// Bytes, as people write them: 512M, 2G, 1.5GiB.
fn bytes(s: &str) -> Result<u64, String> {
    let text = s.trim().trim_end_matches(['b', 'B']).trim_end_matches(['i', 'I']);
    let (digits, unit) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&text[..at], unit.to_ascii_uppercase()),
        _ => (text, ' '),
    };
    let shift = match unit {
        ' ' => 0,
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => 64,
    };
    match digits.trim().parse::<f64>() {
        Ok(n) if shift < 64 && n > 0.0 && n * 2f64.powi(shift) < 2f64.powi(50) => {
            Ok((n * 2f64.powi(shift)) as u64)
        }
        _ => Err("expected bytes, as 512M or 2G".into()),
    }
}

fn timestep(s: &str) -> Result<f32, String> {
    match s.parse::<f32>() {
        Ok(t) if t > 0.0 && t < 1.0 => Ok(t),
        _ => Err("expected a number in (0, 1)".into()),
    }
}

/// Answers what cannot be parsed: help and version in full, anything else in one line.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let rendered = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match crate::print(&rendered) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            crate::say(&rendered);
            ExitCode::from(2)
        }
        _ => {
            // The first paragraph is the cause; usage follows.
            let cause = rendered.split("\n\n").next().unwrap_or(&rendered);
            let typed: Vec<_> = std::env::args_os().skip(1).collect();
            let hint = hint(error.kind(), &typed).map(|hint| format!("; {hint}"));
            crate::say(&format!(
                "{}{} (see --help)",
                crate::one_line(cause),
                hint.unwrap_or_default()
            ));
            ExitCode::from(2)
        }
    }
}

/// What to do about arguments that were meant as files: names that begin with a hyphen, which are
/// read as options, and many pictures, which a shell makes of `frames/*.png`.
fn hint(kind: ErrorKind, typed: &[OsString]) -> Option<String> {
    let options = typed.iter().take_while(|word| *word != "--");
    let is_file = |word: &&OsString| {
        let text = word.to_string_lossy();
        let name = Path::new(word);
        // `-c`, `--codec` and `-0.5` are no names.
        let long = text.strip_prefix('-').is_some_and(|rest| {
            rest.chars().count() > 1 && !rest.starts_with(|c: char| c == '.' || c.is_ascii_digit())
        });
        let ending = name.extension().is_some_and(|ending| {
            let ending = ending.to_string_lossy();
            (2..=4).contains(&ending.len()) && ending.chars().all(char::is_alphanumeric)
        });
        long && !text.contains('=') && (ending || name.exists())
    };
    if let Some(name) = { options }.find(is_file) {
        let name = name.to_string_lossy();
        return Some(format!("for a file of that name write ./{name}, or put it after --"));
    }
    let is_output = |at: usize| at > 0 && (typed[at - 1] == "-o" || typed[at - 1] == "--output");
    let is_picture = |word: &OsString| Format::of(Path::new(word)).is_ok();
    let inputs = typed.iter().enumerate().filter(|(at, word)| is_picture(word) && !is_output(*at));
    let pictures = inputs.count();
    let many = kind == ErrorKind::UnknownArgument && pictures > 2;
    many.then(|| "for more than two pictures name their folder".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_options_get_a_hint() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            hint(ErrorKind::UnknownArgument, &words)
        };
        for line in [
            "interpolate -clip.mp4 -o out.mp4",
            "interpolate in.mp4 -o -clip.mp4",
            // Read as -o ut.mp4, -m ovie.mkv, -f inal.png.
            "interpolate in.mp4 -out.mp4",
            "interpolate -movie.mkv -o x.mkv",
            "interpolate a.png -final.png -o x.png",
            "interpolate --strange.webm -o x.webm",
        ] {
            let hint = of(line).unwrap_or_default();
            assert!(hint.contains("write ./-") && hint.contains("after --"), "{line}: {hint}");
        }
        for line in [
            "interpolate in.mp4 -o out.mp4 --dance",
            "interpolate in.mp4 -o out.mp4 -x",
            "interpolate a.png b.png -o m.png -t -0.25",
            "interpolate in.mp4 --output=-x.mp4",
            "interpolate -o out.mp4 -- -clip.mp4",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        let many = of("interpolate f/1.png f/2.png f/3.png -o out.mp4").unwrap_or_default();
        assert!(many.contains("folder"), "{many}");
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
