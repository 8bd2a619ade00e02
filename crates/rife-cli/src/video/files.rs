//! Writes each kind of output: completely, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rife_video::{
    ContentHash, DeviceWorker, Error, JobFolder, JobHandle, JobSettings, Original, PipeSink,
    Rational, Timeline,
};

use super::input::{Input, Kind};
use super::output::{Output, Pattern, Pictures};
use super::{Job, shown};
use crate::interpolate::create;
use crate::{interrupt, report, say};

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 20;

/// The name of a stream of frames while it is incomplete.
const WHOLE: &str = "whole.frames";

/// The folder in which pictures wait until all of them are complete.
pub(crate) const PICTURES_JOB: &str = ".rife-job";

/// The job folder of an output: claimed before any work, so that a second job for the same output
/// fails at once. A pipe or a device that takes frames as they come has none.
pub(crate) fn claim(job: &Job) -> Result<Option<Arc<JobFolder>>> {
    let path = match &job.output {
        Output::Y4m(None) => return Ok(None),
        Output::Y4m(Some(_)) | Output::Raw(_) if job.write_through => return Ok(None),
        Output::Y4m(Some(path)) | Output::Raw(path) | Output::Video(path) => {
            JobFolder::beside(path)
        }
        Output::Pictures(folder, _) => {
            create(folder)?;
            folder.join(PICTURES_JOB)
        }
    };
    let folder = Arc::new(JobFolder::open(&path)?);
    interrupt::job(JobHandle::new(&folder));
    Ok(Some(folder))
}

/// Begins to hash the input of a job that can resume.
pub(crate) fn content(job: &Job, input: &Input) -> Result<Option<ContentHash>> {
    let files: &[PathBuf] = match (&job.output, &input.kind) {
        (Output::Video(_), Kind::File { path, .. }) => std::slice::from_ref(path),
        (Output::Video(_), Kind::Pictures(folder)) => folder.paths(),
        _ => return Ok(None),
    };
    // A pipe has its content for one reader alone.
    let regular = files.iter().all(|file| file.is_file());
    Ok(if regular { Some(ContentHash::start(files)?) } else { None })
}

/// Writes frames to standard output, a pipe or a device as they come.
pub(crate) fn write_through(
    job: &Job,
    path: Option<&Path>,
    input: Input,
    timeline: Timeline,
    makers: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let name = path.map_or("standard output".into(), |path| path.display().to_string());
    let out = match path {
        None => super::streams::stdout().context("standard output is closed")?,
        // Waits until somebody reads from a pipe.
        Some(path) => OpenOptions::new()
            .write(true)
            .open(path)
            .with_context(|| format!("cannot write {name}"))?,
    };
    rife_video::enlarge_pipe(&out);
    let progress = write_frames(job, &name, out, input, timeline, makers)?.1;
    job.tell_done(&name, &progress, start);
    Ok(())
}

/// Writes Y4M or raw frames to a file.
pub(crate) fn stream(
    job: &Job,
    path: &Path,
    folder: &JobFolder,
    input: Input,
    timeline: Timeline,
    makers: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let name = path.display().to_string();
    let cannot = || format!("cannot write {name}");
    folder.clear(|_| true).with_context(cannot)?;
    let file = folder.create(WHOLE).with_context(cannot)?;
    let (file, progress) = write_frames(job, &name, file, input, timeline, makers)?;
    file.sync_all().with_context(cannot)?;
    folder.publish(WHOLE, path, job.args.overwrite).with_context(cannot)?;
    let _ = folder.remove();
    job.tell_done(&name, &progress, start);
    Ok(())
}

fn write_frames(
    job: &Job,
    name: &str,
    file: File,
    input: Input,
    timeline: Timeline,
    makers: &[DeviceWorker],
) -> Result<(File, rife_video::Progress)> {
    let header = job.header();
    let header = matches!(job.output, Output::Y4m(_)).then_some(&header);
    let mut sink = PipeSink::new(BufWriter::with_capacity(GATHERED, file), name, header)?;
    let progress = job.make(input, timeline, makers, &mut sink, 0)?;
    let file = sink.finish()?.into_inner().map_err(|error| error.into_error());
    Ok((file.with_context(|| format!("cannot write {name}"))?, progress))
}

/// Fills a folder with pictures.
pub(crate) fn pictures(
    job: &Job,
    (to, pattern): (&Path, &Pattern),
    folder: &Arc<JobFolder>,
    input: Input,
    timeline: Timeline,
    makers: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let cannot = || format!("cannot write to {}", to.display());
    folder.clear(|_| true).with_context(cannot)?;
    let memory = job.args.video.max_memory;
    let marks = job.marks(&input);
    let mut sink = Pictures::new(folder.clone(), pattern, marks, &job.written(), memory);
    let progress = job.make(input, timeline, makers, &mut sink, 0)?;
    let written = sink.finish()?;
    for number in 0..written {
        let name = pattern.name(number);
        folder
            .publish(&name, &to.join(&name), job.args.overwrite)
            .with_context(|| format!("cannot write {}", to.join(&name).display()))?;
    }
    if job.args.overwrite {
        remove_stale(to, |name| pattern.number(name).is_some_and(|number| number >= written))?;
    }
    let _ = folder.remove();
    job.tell_done(&to.display().to_string(), &progress, start);
    Ok(())
}

/// Removes pictures that an earlier, longer job left in a folder, and reports how many.
pub(crate) fn remove_stale(folder: &Path, is_stale: impl Fn(&str) -> bool) -> Result<()> {
    let cannot = || format!("cannot remove old pictures from {}", folder.display());
    let mut removed = 0u64;
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let stale = entry.file_name().to_str().is_some_and(&is_stale);
        if stale && !entry.file_type().with_context(cannot)?.is_dir() {
            fs::remove_file(entry.path()).with_context(cannot)?;
            removed += 1;
        }
    }
    if removed > 0 {
        let pictures = if removed == 1 { "picture" } else { "pictures" };
        say(&format!(
            "note: removed {removed} {pictures} of an earlier job from {}",
            folder.display()
        ));
    }
    Ok(())
}

/// What the job writes.
fn settings(job: &Job, path: &Path, input: &Input, timeline: &Timeline) -> Result<JobSettings> {
    let slow = job.args.slow.is_some();
    Ok(JobSettings {
        programs: job.programs()?.clone(),
        output: path.to_owned(),
        container: job.container(),
        overwrite: job.args.overwrite,
        write_through: job.write_through,
        resume: job.args.video.resume,
        encoding: job.encoding.clone().context("no encoder was chosen")?,
        raw: job.written(),
        applied_orientation: job.turned,
        reported: job.reported.clone(),
        tick: timeline.tick(),
        rate: job.out_rate,
        sample_aspect: job.sample_aspect,
        colour: job.said.clone(),
        original: match &input.kind {
            Kind::File { path, source, .. } => Some(Original {
                path: path.clone(),
                probed: (**source).clone(),
                audio: !slow || job.args.video.audio,
                others: !slow,
                offset: !slow,
            }),
            _ => None,
        },
        fingerprint: Default::default(),
    })
}

/// A warning where a container cannot tell frames apart that are `interval` s from each other.
pub(crate) fn shared_times(container: &str, interval: Rational) -> Option<String> {
    let coarse = matches!(container, "mkv" | "webm") && interval < Rational::new(1, 1000);
    coarse.then(|| {
        format!(
            "warning: frames share timestamps: .{container} counts milliseconds, and frames are up \
             to {:.0} a second; .mp4 and .mov keep every time",
            *interval.denom() as f64 / *interval.numer() as f64
        )
    })
}

/// Writes a video in segments, and joins them.
pub(crate) fn video(
    job: &Job,
    path: &Path,
    (folder, content): (&Arc<JobFolder>, Option<ContentHash>),
    input: Input,
    timeline: Timeline,
    makers: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let mut settings = settings(job, path, &input, &timeline)?;
    settings.fingerprint = rife_video::fingerprint(makers, &job.settings(&input, 0), job.rate);
    let layout = if job.args.video.compare { "side by side" } else { "single" };
    settings.fingerprint.insert("layout".into(), layout.into());
    settings.fingerprint.insert("encoder build".into(), job.encoder_build.clone());
    let mut segmented = rife_video::Job::begin(folder.clone(), content, settings)?;
    let finished = segmented.finished_frames();
    if finished > 0 {
        say(&format!("resuming after {finished} frames"));
    }
    let made = job.make(input, timeline, makers, segmented.sink(), finished);
    let done = made.and_then(|progress| Ok((segmented.finish(&progress)?, progress)));
    let (notes, progress) = match done {
        Ok(done) => done,
        Err(error) => {
            if let Some(frames) = JobHandle::new(folder).abandon() {
                say(&format!(
                    "{frames} finished frames are kept in {}: --resume continues with them",
                    folder.path().display()
                ));
            }
            return Err(error);
        }
    };
    notes.iter().for_each(|line| report(line));
    if let Some(interval) = progress.shortest_interval()
        && job.coarse_rate().is_none()
        && let Some(warning) = shared_times(&job.container(), interval)
    {
        say(&warning);
    }
    job.tell_done(&path.display().to_string(), &progress, start);
    Ok(())
}

/// Adds what the user can do about an error of a job.
pub(crate) fn advise(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Error>() {
        Some(Error::Unfinished { .. }) => {
            anyhow::anyhow!("{error}: --resume continues with them, --overwrite starts again")
        }
        _ => error,
    }
}

/// The commands that would be run.
pub(crate) fn commands(job: &Job, input: &Input, timeline: &Timeline) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    if let Kind::File { path, source, working } = &input.kind {
        let command = rife_video::decode_command(job.programs()?, path, source, working);
        lines.push(format!("decode: {}", shown(&command)));
    }
    if let (Output::Video(path), Some(encoding)) = (&job.output, &job.encoding) {
        let settings = settings(job, path, input, timeline)?;
        let ([encode, join], notes) = settings.commands()?;
        let frames = settings.frames_per_segment();
        lines.push(format!("encode, each {frames} frames: {}", shown(&encode)));
        lines.push(format!("join: {}", shown(&join)));
        lines.extend(encoding.notes.iter().chain(&notes).map(|note| crate::as_report(note)));
        lines.extend(job.coarse_rate());
    }
    Ok(lines)
}

/// Refuses to replace pictures of a pattern.
pub(crate) fn refuse_existing_pictures(folder: &Path, pattern: &Pattern) -> Result<()> {
    let cannot = || format!("cannot read {}", folder.display());
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let exists = entry.file_name().to_str().is_some_and(|name| pattern.number(name).is_some());
        ensure!(!exists, "{} exists: add --overwrite to replace it", entry.path().display());
    }
    Ok(())
}
