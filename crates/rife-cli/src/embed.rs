//! Jobs in a program that embeds this crate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgAction, CommandFactory};
use rife_model::weights::{Store, Weights, WeightsError};
use rife_runtime::{Device, Engine, FrameSize, Interpolator, ModelVersion, Precision, Scale};

use crate::args::{self, Args, Command, EngineArgs, ScaleChoice};
use crate::host::Host;
use crate::model::Model;
use crate::print::hint_for;
use crate::profiles::{self, ArgumentError};
use crate::video::engines::{self, EngineConfig};
use crate::{describe, video};

/// An option of a video job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOption {
    /// The long name, without hyphens in front.
    pub name: String,
    /// Whether it has no value.
    pub flag: bool,
}

/// Options that make no sense without a terminal, or for a video.
const EXCLUDED: [&str; 6] = ["output", "timestep", "dry-run", "json", "help", "version"];

/// The options that [`interpolate_video`] accepts.
pub fn job_options() -> Vec<JobOption> {
    let mut command = Args::command();
    // Adds the global arguments.
    command.build();
    let interpolate = command.find_subcommand("interpolate");
    let all = interpolate.into_iter().flat_map(clap::Command::get_arguments);
    let option = |arg: &clap::Arg| {
        let name = arg.get_long().filter(|name| !EXCLUDED.contains(name))?;
        let flag = matches!(arg.get_action(), ArgAction::SetTrue);
        Some(JobOption { name: name.to_owned(), flag })
    };
    all.filter_map(option).collect()
}

/// An invalid option, on one line.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Interpolates a video, as `rife interpolate INPUT --output OUTPUT OPTIONS` does. Reports to
/// `host`, which can also cancel the job.
///
/// # Errors
/// [`UsageError`] if an option is invalid; otherwise the errors of the job. After
/// [`Host::cancel`], any error is a consequence.
pub fn interpolate_video(
    input: &Path,
    output: &Path,
    options: Vec<OsString>,
    host: &Host,
) -> Result<()> {
    // With `=`, and after `--`, a name may start with a hyphen.
    let mut assigned = OsString::from("--output=");
    assigned.push(output);
    let mut words: Vec<OsString> = vec!["rife".into(), "interpolate".into(), assigned];
    words.extend(options);
    words.extend(["--".into(), input.into()]);
    let parsed = profiles::parse(&words).map_err(|error| {
        let message = match error {
            ArgumentError::Usage(error) => args::usage_message(&error),
            ArgumentError::Profile(why) => why,
        };
        UsageError(message.strip_prefix("error: ").unwrap_or(&message).to_owned())
    })?;
    match parsed.command {
        Command::Interpolate(args) => video::run(*args, host),
        // The words name the subcommand.
        _ => Err(UsageError("not a video job".into()).into()),
    }
}

/// The weights of a version in a folder, or in the default folder, downloaded and converted first
/// where necessary. Reports to `host`.
///
/// # Errors
/// See [`Store::fetch`].
pub fn fetch_weights(
    host: &Host,
    folder: Option<&Path>,
    version: ModelVersion,
) -> Result<Weights, WeightsError> {
    crate::weights::fetch(host, &Store::locate(folder)?, version)
}

/// The options of [`load`].
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The version; `None` for that of the weights file, else the default of the command.
    pub model: Option<ModelVersion>,
    /// The device.
    pub device: Device,
    /// The precision of convolutions.
    pub precision: Precision,
    /// The scale of motion estimation.
    pub scale: Scale,
    /// Whether to average with the reversed pair.
    pub ensemble: bool,
    /// CPU threads; `None` for one per logical core.
    pub threads: Option<usize>,
    /// A weights file or folder; `None` for the default folder.
    pub weights: Option<PathBuf>,
    /// The implementation.
    pub engine: Engine,
    /// Frames per launch.
    pub batch: usize,
}

/// Loads a model, whose weights are found, downloaded or converted as by the command. Reports to
/// `host`.
///
/// # Errors
/// If this machine does not support the options, or the weights are not available.
pub fn load(options: &EngineOptions, host: &Host) -> Result<Interpolator> {
    let args = EngineArgs {
        model: options.model,
        engine: options.engine,
        device: vec![options.device],
        precision: options.precision,
        scale: ScaleChoice::Fixed(options.scale),
        ensemble: options.ensemble,
        threads: options.threads,
        weights: options.weights.clone(),
    };
    let model = Model::of(&args, host)?;
    engines::check(&args, &model)?;
    // The scale does not depend on the size.
    let config = EngineConfig::new(&args, &model, options.device, FrameSize::new(1, 1));
    let builder = config.builder().batch(options.batch);
    builder.check()?;
    Ok(builder.load_weights(&model.weights(host)?)?)
}

/// An error with its causes on one line, and what the user can do about it.
pub fn describe_with_hint(error: &anyhow::Error) -> (String, Option<String>) {
    (describe(error), hint_for(error))
}
