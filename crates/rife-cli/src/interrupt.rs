//! Leaves nothing behind when the program is interrupted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rife_video::JobHandle;

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Whether the program was interrupted. What fails from then on fails because of that.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether the program listens.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// What would be left behind by stopping now, in the order in which it was made.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Unfinished {
    /// A folder that this run created, removed if nothing is in it.
    Created(PathBuf),
    /// A temporary file.
    File(PathBuf),
    /// The folder of a job, which stays if finished segments are in it.
    Job(JobHandle),
}

/// From now on Ctrl-C and termination remove what is unfinished, and end the program at once.
/// Does nothing where that is so already.
pub(crate) fn install() -> Result<()> {
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    ctrlc::set_handler(|| {
        STOPPED.store(true, Ordering::SeqCst);
        remove_all(true);
        std::process::exit(INTERRUPTED);
    })
    .context("cannot listen for Ctrl-C")
}

/// Returns at once unless the program was interrupted, and never afterwards: work that fails because
/// its folder is gone is not an error to report, and the signal handler sets the exit code.
pub(crate) fn yield_if_stopped() {
    while STOPPED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// A folder that this run created, removed if nothing is in it.
pub(crate) fn created(path: &Path) {
    push(Unfinished::Created(path.to_owned()));
}

/// A temporary file.
pub(crate) fn file(path: &Path) {
    push(Unfinished::File(path.to_owned()));
}

/// The folder of a job.
pub(crate) fn job(handle: JobHandle) {
    push(Unfinished::Job(handle));
}

fn push(unfinished: Unfinished) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(unfinished);
}

/// Removes what is unfinished, at the end of the work, whether it succeeded or not.
pub(crate) fn clean() {
    remove_all(false);
}

/// Removes what is unfinished. What cannot be removed stays: nobody could do more about it.
fn remove_all(stopped: bool) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for what in unfinished.drain(..).rev() {
        match what {
            Unfinished::File(path) => _ = std::fs::remove_file(path),
            Unfinished::Created(path) => _ = std::fs::remove_dir(path),
            Unfinished::Job(handle) => {
                let kept = handle.abandon();
                if let Some(frames) = kept.filter(|_| stopped) {
                    crate::say(&format!(
                        "stopped; {frames} finished frames are kept in {}: --resume continues \
                         with them",
                        handle.folder().path().display()
                    ));
                }
            }
        }
    }
}
