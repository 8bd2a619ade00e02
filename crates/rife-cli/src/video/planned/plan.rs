//! `rife job plan`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rife_runtime::{Device, Engine, Precision};
use rife_video::{
    ContentHash, Error, JobPlan, LayoutOptions, PlannedEncoder, PlannedInput, PlannedWeights,
    StageTimes,
};

use super::{open, options};
use crate::args::{HwAccel, InterpolateArgs, PlanArgs};
use crate::host::{Host, Snapshot};
use crate::paths::OutputFile;
use crate::terminal::Terminal;
use crate::video::job::Job;
use crate::video::output::Output;
use crate::video::{engines, run as video_run, video_file};
use crate::{interrupt, version};

/// Interval of progress reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// Prints the plan of a job.
pub(super) fn run(args: PlanArgs, words: &[OsString]) -> Result<()> {
    let host = Host::command(Terminal::text());
    let result = plan(args, words, &host);
    interrupt::remove_unfinished(&host);
    crate::print(&result?.to_json()?)
}

fn plan(args: PlanArgs, words: &[OsString], host: &Host) -> Result<JobPlan> {
    let PlanArgs { mut interpolate, work_dir, any_device } = args;
    let mut options = options::recorded(words)?;
    refuse_unsupported(&interpolate)?;
    interpolate.input = absolute(&interpolate.input)?;
    interpolate.output = absolute(&interpolate.output)?;
    let weights_path = interpolate.engine.weights.as_deref().map(absolute).transpose()?;
    if any_device {
        // Only the weights and the settings of the model are needed.
        interpolate.engine.device = vec![Device::Cpu];
        interpolate.engine.engine = Engine::Auto;
        interpolate.engine.precision = Precision::Auto;
    }
    let model_is_named = interpolate.engine.model.is_some();
    let job = Job::new(interpolate, host.clone())?;
    let file = output_file(&job)?;
    if !model_is_named {
        // The default depends on the weights that a machine has.
        options.push(format!("--model={}", job.model.version));
    }
    let files = open::files(&job)?;
    interrupt::install(host)?;
    let content = ContentHash::start(&files)?;
    job.losses()?.iter().for_each(|line| host.report(line));
    if let Some(warning) = job.coarse_timestamps_warning() {
        host.say(&warning);
    }
    let encoder_build = video_run::check_encoder(&job)?;
    let engines = engines::load(&job.args.engine, &job.model, job.input.raw.size, host)?;
    let settings = video_file::complete_settings(&job, &file, &engines, encoder_build.clone())?;
    let [all, device] = rife_video::split_device(settings.all_settings());
    let device = if any_device { Default::default() } else { device };
    let scanned = scan(&job, host)?;
    let layout = rife_video::lay_out(
        &scanned.frames,
        job.timeline.clone(),
        &LayoutOptions {
            per_segment: settings.frames_per_segment(),
            extension: settings.encoding.segment_ext,
            seek: scanned.seek,
            checksums: scanned.checksums,
            frame_time: job.input.rate.recip(),
            longest_hold: job.pipeline_settings(0).scenes.longest_hold,
        },
    )?;
    let input = PlannedInput {
        path: job.args.input.clone(),
        bytes: content.bytes(),
        blake3: content.wait()?,
    };
    let weights = PlannedWeights {
        version: job.model.version.to_string(),
        sha256: all.get("weights").cloned().unwrap_or_default(),
        path: weights_path,
    };
    let encoder = PlannedEncoder {
        name: settings.encoding.encoder.clone(),
        ffmpeg: settings.programs.build.clone(),
        build: encoder_build,
    };
    let output = job.args.output.clone();
    let work_dir = match work_dir {
        Some(dir) => absolute(&dir)?,
        None => beside(&file.path),
    };
    let paths = [output, work_dir];
    let plan = JobPlan::new(
        version::program(),
        input,
        paths,
        options,
        [all, device],
        weights,
        encoder,
        layout,
    );
    let (frames, segments) = (plan.timeline.output_frames, plan.segments.len());
    host.say(&format!("{frames} frames in {segments} segments"));
    Ok(plan)
}

/// The default work folder: a hidden folder next to the output.
fn beside(output: &Path) -> PathBuf {
    let job = rife_video::JobFolder::beside(output);
    let name =
        job.file_name().map(|name| name.to_string_lossy().replace(".rife-job", ".rife-segments"));
    job.with_file_name(name.unwrap_or_default())
}

/// Options of `rife interpolate` that a plan cannot have.
fn refuse_unsupported(args: &InterpolateArgs) -> Result<()> {
    let video = &args.video;
    for (given, name) in [
        (args.second_image.is_some(), "a second image"),
        (video.resume, "--resume"),
        (video.dry_run, "--dry-run"),
        (video.json, "--json"),
        (video.pattern.is_some(), "--pattern"),
        (args.part.from.is_some() || args.part.to.is_some(), "--from and --to"),
        (args.part.preview.is_some(), "--preview"),
        (args.setup.profile.is_some(), "--profile"),
        (args.setup.hwaccel != HwAccel::None, "--hwaccel"),
    ] {
        ensure!(!given, "rife job plan does not support {name}");
    }
    ensure!(args.input.as_os_str() != "-", "cannot plan a stream: expected a file");
    ensure!(
        args.engine.device.len() == 1,
        "a segment runs on one device: plan for one, and start a `rife job run` on each"
    );
    Ok(())
}

fn output_file(job: &Job) -> Result<OutputFile> {
    match &job.output {
        Output::Video(file) if !file.write_through => Ok(file.clone()),
        _ => bail!(
            "cannot plan {}: expected a video file in a container such as .mp4 or .mkv",
            job.args.output.display()
        ),
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))
}

/// Lists the source frames, and reports progress.
fn scan(job: &Job, host: &Host) -> Result<crate::video::input::ScannedInput> {
    let start = Instant::now();
    let mut reported = start;
    let scanned = job.input.scan(job.programs()?, |frames| {
        host.check().map_err(|error| Error::Refused(error.to_string()))?;
        if reported.elapsed() >= INTERVAL {
            reported = Instant::now();
            let fps = frames as f64 / start.elapsed().as_secs_f64();
            let zero = Duration::ZERO;
            let stages =
                StageTimes { decode: start.elapsed(), scenes: zero, network: zero, encode: zero };
            let total = job.input.frames;
            host.observer().progress(&Snapshot { frames, total, fps, left: None, stages });
        }
        Ok(())
    });
    host.observer().progress_ended();
    scanned
}
