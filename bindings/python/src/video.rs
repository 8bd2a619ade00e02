//! Video jobs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use rife_cli::{Host, Observer, Snapshot, Summary};

use crate::wait::{self, Events};
use crate::{error, logging};

/// An event while a job runs.
enum Event {
    Message(String),
    /// There is a new snapshot.
    Progress,
    Done(Summary),
}

/// The newest snapshot that was not passed to the callback yet. A slow callback skips older ones.
type Newest = Arc<Mutex<Option<Snapshot>>>;

/// Sends the events of a job to the calling thread.
struct Reporter {
    events: Events<Event>,
    newest: Newest,
}

impl Observer for Reporter {
    fn message(&self, line: &str) {
        self.events.send(Event::Message(line.to_owned()));
    }

    fn progress(&self, progress: &Snapshot) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.replace(progress.clone()).is_none() {
            self.events.send(Event::Progress);
        }
    }

    fn done(&self, summary: &Summary) {
        self.events.send(Event::Done(summary.clone()));
    }
}

/// The options of a job: their names, and whether they are flags.
#[pyfunction]
pub(crate) fn job_options() -> Vec<(String, bool)> {
    rife_cli::job_options().into_iter().map(|option| (option.name, option.flag)).collect()
}

fn take(newest: &Newest) -> Option<Snapshot> {
    newest.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Frames, interpolated frames, source frames, cuts, still pairs, seconds and replaced held frames of
/// a finished job.
type Result = (u64, u64, u64, u64, u64, f64, u64);

/// Runs a job with the options of the command. `progress` is called with frames, total, frames per
/// second, seconds left and the slowest stage; `message` with each message.
#[pyfunction]
pub(crate) fn interpolate_video(
    py: Python<'_>,
    input: PathBuf,
    output: PathBuf,
    options: Vec<OsString>,
    progress: Option<Py<PyAny>>,
    message: Py<PyAny>,
) -> PyResult<Result> {
    logging::install();
    let (events, waiter) = wait::events();
    let newest = Newest::default();
    let host = Host::embedded(Reporter { events, newest: newest.clone() });
    let of_job = host.clone();
    let work = move || rife_cli::interpolate_video(&input, &output, options, &of_job);
    let mut done = None;
    let on_event = |event, cancelled: bool| match event {
        Event::Message(line) => message.call1(py, (line,)).map(drop),
        Event::Progress => match (&progress, take(&newest)) {
            (Some(progress), Some(now)) if !cancelled => {
                let left = now.left.map(|left| left.as_secs_f64());
                let slowest = now.stages.slowest();
                progress.call1(py, (now.frames, now.total, now.fps, left, slowest)).map(drop)
            }
            _ => Ok(()),
        },
        Event::Done(summary) => {
            done = Some(summary);
            Ok(())
        }
    };
    let result = waiter.run(py, work, on_event, || host.cancel())?;
    result.map_err(|error| error::from_any(&error))?;
    let summary = done.ok_or_else(|| {
        error::VideoError::new_err("internal error: the job ended without a summary")
    })?;
    Ok((
        summary.frames,
        summary.interpolated,
        summary.read,
        summary.cuts,
        summary.stills,
        summary.elapsed.as_secs_f64(),
        summary.held,
    ))
}
