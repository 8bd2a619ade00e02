//! Writes streams and images. Files get their final names when they are complete.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use rife_video::{DeviceWorker, JobFolder, PipeSink, Progress};

use super::image_sink::ImageSink;
use super::job::Job;
use super::output::Output;
use super::pattern::NamePattern;
use super::pipeline::interpolate;
use super::{progress, stdio};
use crate::image_folder;

/// Write buffer in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// The name of an incomplete stream in the job folder.
const INCOMPLETE_STREAM: &str = "whole.frames";

/// Writes frames directly to a pipe, a device, or standard output if `path` is `None`.
pub(super) fn write_through(
    job: &mut Job,
    path: Option<&Path>,
    engines: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let name = path.map_or("standard output".into(), |path| path.display().to_string());
    let file = match path {
        None => stdio::stdout().context("standard output is closed")?,
        // Opening a FIFO waits for its reader.
        Some(path) => OpenOptions::new()
            .write(true)
            .open(path)
            .with_context(|| format!("cannot write {name}"))?,
    };
    rife_video::enlarge_pipe(&file);
    let (_, progress) = write_frames(job, &name, file, engines)?;
    progress::report_summary(job, &name, &progress, start);
    Ok(())
}

/// Writes Y4M or raw video to a file.
pub(super) fn write_stream_file(
    job: &mut Job,
    path: &Path,
    folder: &JobFolder,
    engines: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    let name = path.display().to_string();
    let error = || format!("cannot write {name}");
    folder.clear(|_| true).with_context(error)?;
    let file = folder.create(INCOMPLETE_STREAM).with_context(error)?;
    let (file, progress) = write_frames(job, &name, file, engines)?;
    file.sync_all().with_context(error)?;
    folder.publish(INCOMPLETE_STREAM, path, job.args.overwrite).with_context(error)?;
    let _ = folder.remove();
    progress::report_summary(job, &name, &progress, start);
    Ok(())
}

fn write_frames(
    job: &mut Job,
    name: &str,
    file: File,
    engines: &[DeviceWorker],
) -> Result<(File, Progress)> {
    let header = match job.output {
        Output::Y4m(_) | Output::Y4mToStdout => Some(job.y4m_header()),
        _ => None,
    };
    let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let mut sink = PipeSink::new(writer, name, header.as_ref())?;
    let progress = interpolate(job, engines, &mut sink, 0)?;
    let file = sink.finish()?.into_inner().map_err(|error| error.into_error());
    Ok((file.with_context(|| format!("cannot write {name}"))?, progress))
}

/// Writes images into the folder `to`.
pub(super) fn write_images(
    job: &mut Job,
    to: &Path,
    pattern: &NamePattern,
    folder: &Arc<JobFolder>,
    engines: &[DeviceWorker],
) -> Result<()> {
    let start = Instant::now();
    folder.clear(|_| true).with_context(|| format!("cannot write to {}", to.display()))?;
    let mut sink = ImageSink::new(
        folder.clone(),
        pattern,
        job.colour_tags(),
        &job.written_format(),
        job.args.video.max_memory,
    );
    let progress = interpolate(job, engines, &mut sink, 0)?;
    let written = sink.finish()?;
    for index in 0..written {
        let name = pattern.name(index);
        let path = to.join(&name);
        folder
            .publish(&name, &path, job.args.overwrite)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if job.args.overwrite {
        let is_stale = |name: &str| pattern.index(name).is_some_and(|index| index >= written);
        image_folder::remove_stale(&job.host, to, is_stale)?;
    }
    let _ = folder.remove();
    progress::report_summary(job, &to.display().to_string(), &progress, start);
    Ok(())
}
