//! Writes a video in segments, and joins them with the other streams of the input.

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use rife_video::{
    ContentHash, DeviceWorker, JobFolder, JobHandle, JobSettings, Original, StreamKind,
};

use super::input::InputKind;
use super::job::{self, Job};
use super::pipeline::interpolate;
use super::progress;
use crate::paths::OutputFile;

/// Writes the video. `content` hashes the input if the job can be resumed; `encoder_build`
/// identifies the encoder.
pub(super) fn write(
    job: &mut Job,
    file: &OutputFile,
    folder: &Arc<JobFolder>,
    content: Option<ContentHash>,
    encoder_build: String,
    engines: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let settings = complete_settings(job, file, engines, encoder_build)?;
    let mut segments = rife_video::Job::begin(folder.clone(), content, settings)?;
    let finished = segments.finished_frames();
    if finished > 0 {
        job.host.say(&format!("resuming after {finished} frames"));
    }
    let result = interpolate(job, engines, segments.sink(), finished)
        .and_then(|progress| Ok((segments.finish(&progress)?, progress)));
    let (notes, progress) = match result {
        Ok(result) => result,
        Err(error) => {
            if let Some(frames) = JobHandle::new(folder).abandon() {
                job.host.say(&format!(
                    "{frames} finished frames are kept in {}; --resume continues after them",
                    folder.path().display()
                ));
            }
            return Err(error);
        }
    };
    notes.iter().for_each(|line| job.host.report(line));
    if drops_audio_of_slow_motion(job) {
        job.host.say("hint: --audio keeps the audio, at its original speed");
    }
    if let Some(interval) = progress.shortest_interval()
        && job.coarse_timestamps_warning().is_none()
        && let Some(warning) = job::coarse_timestamps_warning(&job.container(), interval)
    {
        job.host.say(&warning);
    }
    let name = file.path.display().to_string();
    progress::report_summary(job, &name, &progress, start);
    Ok(())
}

/// Whether slow motion drops audio that the user can ask to keep.
fn drops_audio_of_slow_motion(job: &Job) -> bool {
    let has_audio = match &job.input.kind {
        InputKind::File { source, .. } => {
            source.streams.iter().any(|stream| stream.kind == StreamKind::Audio)
        }
        _ => false,
    };
    has_audio && job.args.slow.is_some() && !job.args.video.audio
}

/// The settings of the segments, with everything that determines the output.
pub(super) fn complete_settings(
    job: &Job,
    file: &OutputFile,
    engines: &[DeviceWorker],
    encoder_build: String,
) -> Result<JobSettings> {
    let mut settings = segment_settings(job, file)?;
    settings.fingerprint = rife_video::fingerprint(engines, &job.pipeline_settings(0), job.rate);
    let layout = if job.args.video.compare { "side by side" } else { "single" };
    settings.fingerprint.insert("layout".into(), layout.into());
    let end = if job.args.video.no_hold_last { "ends" } else { "repeats" };
    settings.fingerprint.insert("last frame".into(), end.into());
    settings.fingerprint.insert("encoder build".into(), encoder_build);
    if let Some(part) = job.input.part {
        settings.fingerprint.insert("part".into(), part.to_string());
    }
    if let InputKind::File { hardware: Some(decoder), .. } = &job.input.kind {
        settings.fingerprint.insert("hardware decoder".into(), decoder.to_string());
    }
    Ok(settings)
}

/// The settings of the segments, without a fingerprint.
pub(super) fn segment_settings(job: &Job, file: &OutputFile) -> Result<JobSettings> {
    let slow_motion = job.args.slow.is_some();
    Ok(JobSettings {
        programs: job.programs()?.clone(),
        output: file.path.clone(),
        container: job.container(),
        overwrite: job.args.overwrite,
        write_through: file.write_through,
        resume: job.args.video.resume,
        encoding: job.format.encoding.clone().context("no encoder was chosen")?,
        raw: job.written_format(),
        applied_orientation: job.orientation,
        reported: job.reported.clone(),
        tick: job.timeline.tick(),
        rate: job.output_rate,
        sample_aspect: job.sample_aspect,
        colour: job.format.colour.clone(),
        original: match &job.input.kind {
            InputKind::File { path, source, .. } => Some(Original {
                path: path.clone(),
                probed: (**source).clone(),
                audio: !slow_motion || job.args.video.audio,
                others: !slow_motion,
                offset: !slow_motion,
                part: job.input.part,
                slowdown: job.args.slow.unwrap_or_else(|| 1.into()),
            }),
            _ => None,
        },
        fingerprint: Default::default(),
    })
}

/// The commands that encode a segment and join all segments, with what these lose.
pub(super) struct Commands {
    pub(super) encode: Command,
    pub(super) join: Command,
    pub(super) notes: Vec<String>,
    pub(super) frames_per_segment: i64,
}

pub(super) fn commands(job: &Job, file: &OutputFile) -> Result<Commands> {
    let settings = segment_settings(job, file)?;
    let ([encode, join], notes) = settings.commands()?;
    Ok(Commands { encode, join, notes, frames_per_segment: settings.frames_per_segment() })
}
