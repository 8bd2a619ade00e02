//! Arguments of `rife job`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use rife_runtime::Device;

use super::{InterpolateArgs, values};

#[derive(Debug, ClapArgs)]
pub(crate) struct JobArgs {
    #[command(subcommand)]
    pub(crate) action: JobAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// Print a job as JSON: its input, settings and segments
    Plan(Box<PlanArgs>),
    /// Interpolate and encode segments of a job
    Run(RunArgs),
    /// Verify all segments of a job, and join them to the output
    Join(JoinArgs),
    /// Show which segments are finished. Exit code: 0 if all are, else 3
    Status(StatusArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) interpolate: InterpolateArgs,
    /// Folder for the segments, which all machines reach under this path [default: a hidden folder
    /// next to OUT]
    #[arg(long, value_name = "DIR", help_heading = "Job")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Plan for a device that this machine does not have: the first segment decides the kind of
    /// device for all others
    #[arg(long, help_heading = "Job")]
    pub(crate) any_device: bool,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("which").args(["segment", "all", "next"]).required(true))]
pub(crate) struct RunArgs {
    /// The job, as printed by `rife job plan`
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    /// Run segment N, counted from 0, even if another process claims it
    #[arg(long, value_name = "N")]
    pub(crate) segment: Option<u64>,
    /// Run every segment that is not finished, not claimed by another process, and has failed fewer
    /// than three times. Exit code: 3 if others remain
    #[arg(long)]
    pub(crate) all: bool,
    /// Run the first such segment. Exit code: 3 if there is none
    #[arg(long)]
    pub(crate) next: bool,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// CPU threads of the network, 1 to 1024 [default: one per logical core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Accept a device of a different kind than planned, whose results may differ in the last bits,
    /// and record it
    #[arg(long)]
    pub(crate) allow_mixed_devices: bool,
    /// Compare only the size of the input with the plan, and not the hash of its content. Decoded
    /// frames are always compared
    #[arg(long)]
    pub(crate) trust_input: bool,
    /// Ignore a claim that has not been renewed for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60",
        value_parser = clap::value_parser!(u32).range(15..))]
    pub(crate) stale_after: u32,
    /// Weights file or folder [default: as planned, else as for `rife interpolate`]
    #[arg(long, value_name = "PATH")]
    pub(crate) weights: Option<PathBuf>,
    /// Path of ffmpeg, or of the folder with ffmpeg and ffprobe [default: search PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) ffmpeg: Option<PathBuf>,
    /// Memory for frames between decoder, network and encoder: 512M, 2G
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = values::bytes)]
    pub(crate) max_memory: u64,
    /// Print progress as JSON lines on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Always decode from the start of the input
    #[arg(long, hide = true)]
    pub(crate) no_seek: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct JoinArgs {
    /// The job, as printed by `rife job plan`
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    /// Replace an existing output
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Keep the segments
    #[arg(long)]
    pub(crate) keep_segments: bool,
    /// Compare only the size of the input with the plan, and not the hash of its content
    #[arg(long)]
    pub(crate) trust_input: bool,
    /// Path of ffmpeg, or of the folder with ffmpeg and ffprobe [default: search PATH]
    #[arg(long, value_name = "PATH")]
    pub(crate) ffmpeg: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    /// The job, as printed by `rife job plan`
    #[arg(value_name = "JOB")]
    pub(crate) job: PathBuf,
    /// Print the status as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare only the sizes of files, and not their hashes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Ignore a claim that has not been renewed for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60",
        value_parser = clap::value_parser!(u32).range(15..))]
    pub(crate) stale_after: u32,
}
