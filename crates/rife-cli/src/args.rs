//! What can be typed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand};
use rife_runtime::{Device, Engine, ModelVersion, Precision, Scale};

/// Makes the frames between two frames, with RIFE 4.6, 4.25 and 4.26.
#[derive(Debug, Parser)]
#[command(name = "rife", version, about, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the picture between two pictures
    Interpolate(InterpolateArgs),
    /// Convert a PyTorch checkpoint to safetensors, every tensor bit for bit
    Convert(ConvertArgs),
    /// List, fetch and verify the published weights
    Weights(WeightsArgs),
    /// Say what this machine can run
    Info(InfoArgs),
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("when").args(["timestep", "factor"]))]
pub(crate) struct InterpolateArgs {
    /// The earlier picture: PNG, JPEG, WebP or TIFF
    pub(crate) earlier: PathBuf,
    /// The later picture, of the same size
    pub(crate) later: PathBuf,
    /// The picture to make (.png, .jpg, .webp, .tif), or with --factor the folder to fill
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Where the new picture lies between the two, 0 < T < 1
    #[arg(short, long, value_name = "T", default_value = "0.5", value_parser = timestep,
        allow_negative_numbers = true)]
    pub(crate) timestep: f32,
    /// Make N-1 evenly spaced pictures into the folder OUT, from 0001.png on; N is 2 to 10000
    #[arg(short, long, value_name = "N", value_parser = factor, allow_negative_numbers = true)]
    pub(crate) factor: Option<u32>,
    /// Replace pictures that exist
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EngineArgs {
    /// Version of the network: 4.6, 4.25 or 4.26
    #[arg(short, long, value_name = "VERSION", default_value = "4.25")]
    pub(crate) model: ModelVersion,
    /// Implementation: auto, baseline or optimized
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub(crate) engine: Engine,
    /// Where to run: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Arithmetic of the convolutions: auto, f32, tf32 (GPU), f16 or bf16 (CPU)
    #[arg(long, value_name = "PRECISION", default_value = "auto")]
    pub(crate) precision: Precision,
    /// Resolution that motion is estimated at: 0.25, 0.5 (suits 4K), 1, 2 or 4
    #[arg(long, value_name = "SCALE", default_value = "1", allow_negative_numbers = true)]
    pub(crate) scale: Scale,
    /// Average in the swapped pair: about twice the work (4.6 only)
    #[arg(long)]
    pub(crate) ensemble: bool,
    /// Threads on a CPU, 1 to 1024 [default: one for each processor]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) weights: WeightsDir,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct WeightsDir {
    /// Folder of the weights [default: RIFE_WEIGHTS, else weights/ of the checkout, else the
    /// user's cache folder]
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
    /// Replace a file that exists
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
    /// Say which weights are there and where the others can be had
    List,
    /// Fetch weights that are missing
    Fetch {
        /// 4.6, 4.25, 4.26 or all
        #[arg(default_value = "all", value_parser = versions)]
        which: Versions,
    },
    /// Check every file against its published hash
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

fn factor(s: &str) -> Result<u32, String> {
    match s.parse::<u32>() {
        Ok(n) if (2..=10_000).contains(&n) => Ok(n),
        _ => Err("expected a whole number from 2 to 10000".into()),
    }
}

fn timestep(s: &str) -> Result<f32, String> {
    match s.parse::<f32>() {
        Ok(t) if t > 0.0 && t < 1.0 => Ok(t),
        _ => Err("expected a number between 0 and 1, both excluded".into()),
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
            // What is wrong is the first paragraph; tips and usage follow.
            let said = rendered.split("\n\n").next().unwrap_or(&rendered);
            crate::say(&format!("{} (see --help)", crate::one_line(said)));
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
