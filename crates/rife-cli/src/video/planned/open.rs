//! Opens the input of a plan, and compares this machine with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use rife_runtime::{Device, Engine, Precision};
use rife_video::{ContentHash, Fingerprint, JobPlan};

use super::{NotAsPlanned, options};
use crate::args::{self, Args, Command};
use crate::host::Host;
use crate::version;
use crate::video::job::Job;

/// What a process chooses for itself.
pub(super) struct Local<'a> {
    /// `None` if nothing is interpolated.
    pub(super) device: Option<Device>,
    pub(super) threads: Option<usize>,
    pub(super) weights: Option<&'a Path>,
    pub(super) ffmpeg: Option<&'a Path>,
    pub(super) max_memory: Option<u64>,
    /// Whether to replace the output.
    pub(super) overwrite: bool,
}

/// Opens the input of a plan with the settings of the plan. The size of the input is compared.
pub(super) fn job(plan: &JobPlan, local: &Local<'_>, host: &Host) -> Result<Job> {
    check_program(plan)?;
    options::check(&plan.options)?;
    let mut output = OsString::from("--output=");
    output.push(&plan.output);
    let mut words: Vec<OsString> = vec!["rife".into(), "interpolate".into(), output];
    words.extend(plan.options.iter().map(OsString::from));
    words.extend(["--".into(), plan.input.path.clone().into()]);
    let parsed = Args::try_parse_from(words)
        .map_err(|error| anyhow!("not a valid job: {}", args::usage_message(&error)))?;
    let Command::Interpolate(mut args) = parsed.command else {
        return Err(anyhow!("not a valid job"));
    };
    args.overwrite = local.overwrite;
    args.engine.device = vec![local.device.unwrap_or(Device::Cpu)];
    args.engine.threads = local.threads;
    args.engine.weights = weights(plan, local);
    if local.device.is_none() {
        // What does not interpolate needs neither the planned kind of device nor weights.
        args.engine.engine = Engine::Auto;
        args.engine.precision = Precision::Auto;
        args.engine.weights = None;
    }
    args.video.ffmpeg = local.ffmpeg.map(Path::to_owned);
    if let Some(bytes) = local.max_memory {
        args.video.max_memory = bytes;
    }
    let job = Job::new(*args, host.clone())?;
    check_size(plan, &files(&job)?)?;
    Ok(job)
}

/// The weights named on the command line, else those of the plan.
fn weights(plan: &JobPlan, local: &Local<'_>) -> Option<PathBuf> {
    local.weights.map(Path::to_owned).or_else(|| plan.weights.path.clone())
}

/// The files of the input.
pub(super) fn files(job: &Job) -> Result<Vec<PathBuf>> {
    let files = job.resumable_files();
    let regular = !files.is_empty() && files.iter().all(|file| file.is_file());
    ensure!(
        regular,
        "cannot plan {}: expected a video file that ffmpeg reads or a folder of images",
        job.input.name
    );
    Ok(files.to_vec())
}

fn check_program(plan: &JobPlan) -> Result<()> {
    let [planned, this] = [&plan.program, &version::program()];
    // A build outside the repository has no commit.
    let other_commit = planned.commit.is_some() && this.commit.is_some();
    if planned.version == this.version && (!other_commit || planned.commit == this.commit) {
        return Ok(());
    }
    let name = |program: &rife_video::PlannedProgram| {
        let commit = program.commit.as_ref().map(|commit| format!(" ({commit})"));
        format!("{}{}", program.version, commit.unwrap_or_default())
    };
    Err(NotAsPlanned(format!(
        "the job was planned by a different version of rife: expected {}, got {}",
        name(planned),
        name(this)
    ))
    .into())
}

fn check_size(plan: &JobPlan, files: &[PathBuf]) -> Result<()> {
    let mut bytes = 0;
    for file in files {
        let metadata =
            file.metadata().with_context(|| format!("cannot read {}", file.display()))?;
        bytes += metadata.len();
    }
    if bytes == plan.input.bytes {
        return Ok(());
    }
    Err(NotAsPlanned(format!(
        "{} has changed since the job was planned: expected {} bytes, got {bytes}",
        plan.input.path.display(),
        plan.input.bytes
    ))
    .into())
}

/// Compares the content of the input with the plan, once it is known.
pub(super) fn check_content(plan: &JobPlan, content: Option<&ContentHash>) -> Result<()> {
    let Some(content) = content else { return Ok(()) };
    let hash = content.wait()?;
    if hash == plan.input.blake3 {
        return Ok(());
    }
    Err(NotAsPlanned(format!(
        "{} has changed since the job was planned: expected the BLAKE3 {}, got {hash}",
        plan.input.path.display(),
        plan.input.blake3
    ))
    .into())
}

/// One text for each setting of `here` that differs from the plan.
pub(super) fn differences(planned: &Fingerprint, here: &Fingerprint) -> Vec<String> {
    let all = planned.keys().chain(here.keys().filter(|key| !planned.contains_key(*key)));
    let value = |of: &Fingerprint, key: &str| of.get(key).map_or("unset".into(), String::clone);
    all.map(|key| (key, value(planned, key), value(here, key)))
        .filter(|(_, planned, here)| planned != here)
        .map(|(key, planned, here)| format!("{key}: planned {planned}, here {here}"))
        .collect()
}

/// The error for settings that differ.
pub(super) fn refuse_differences(differences: &[String]) -> Result<()> {
    if differences.is_empty() {
        return Ok(());
    }
    let threads = differences.iter().any(|line| line.starts_with("encoder build:"));
    let hint = match threads {
        true => {
            "; encoders depend on the number of cores: --encoder-args \"-threads 8\" in the plan \
                 fixes their threads"
        }
        false => "",
    };
    Err(NotAsPlanned(format!(
        "settings on this machine differ from the plan: {}{hint}",
        differences.join("; ")
    ))
    .into())
}
