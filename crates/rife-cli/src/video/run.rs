//! Runs a validated job.

use std::sync::Arc;

use anyhow::Result;
use rife_video::{ContentHash, JobFolder, JobHandle};

use super::job::Job;
use super::output::Output;
use super::{engines, video_file, writers};
use crate::{image_folder, interrupt, paths};

/// Locks the output, reports losses, loads the engines, and writes the output.
pub(super) fn run(job: &mut Job) -> Result<()> {
    let folder = claim_folder(job)?;
    let content = start_hashing(job)?;
    job.losses()?.iter().for_each(|line| job.host.report(line));
    if let Some(warning) = job.coarse_timestamps_warning() {
        job.host.say(&warning);
    }
    let encoder_build = check_encoder(job)?;
    let engines = engines::load(&job.args.engine, &job.model, job.input.raw.size, &job.host)?;
    job.host.check()?;
    match (job.output.clone(), &folder) {
        (Output::Video(file), Some(folder)) => {
            video_file::write(job, &file, folder, content, encoder_build, &engines)
        }
        (Output::Images { folder: to, pattern }, Some(folder)) => {
            writers::write_images(job, &to, &pattern, folder, &engines)
        }
        (Output::Y4m(file) | Output::RawVideo(file), Some(folder)) => {
            writers::write_stream_file(job, &file.path, folder, &engines)
        }
        (output, _) => {
            let path = output.file().map(|file| file.path.as_path());
            writers::write_through(job, path, &engines)
        }
    }
}

/// Creates and locks the job folder of the output before any work, so that a second job for the
/// same output fails immediately. Y4M and raw video to a pipe or a device have none.
fn claim_folder(job: &Job) -> Result<Option<Arc<JobFolder>>> {
    let path = match &job.output {
        Output::Y4mToStdout => return Ok(None),
        Output::Y4m(file) | Output::RawVideo(file) if file.write_through => return Ok(None),
        Output::Y4m(file) | Output::RawVideo(file) | Output::Video(file) => {
            JobFolder::beside(&file.path)
        }
        Output::Images { folder, .. } => {
            paths::create_folders(&job.host, folder)?;
            folder.join(image_folder::JOB_FOLDER)
        }
    };
    let folder = Arc::new(JobFolder::open(&path)?);
    interrupt::register_job(&job.host, JobHandle::new(&folder));
    Ok(Some(folder))
}

/// Starts hashing the input of a job that can be resumed.
fn start_hashing(job: &Job) -> Result<Option<ContentHash>> {
    let files = job.resumable_files();
    // Reading all of a film would take longer than a few seconds of it.
    if job.args.part.is_short() && !job.args.video.resume {
        return Ok(None);
    }
    // Hashing a pipe would consume its content.
    let regular = !files.is_empty() && files.iter().all(|file| file.is_file());
    Ok(if regular { Some(ContentHash::start(files)?) } else { None })
}

/// Encodes a test frame, and returns the build of the encoder; empty without an encoder.
pub(super) fn check_encoder(job: &Job) -> Result<String> {
    let Some(encoding) = &job.format.encoding else { return Ok(String::new()) };
    encoding.notes.iter().for_each(|note| job.host.report(note));
    Ok(rife_video::check_encoding(job.programs()?, encoding)?)
}
