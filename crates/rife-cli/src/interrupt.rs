//! Leaves nothing behind when the program is told to stop.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// What a shell expects of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// How often a folder is emptied again that the work, not yet ended, still writes into.
const ATTEMPTS: usize = 100;

/// Whether the program was told to stop. What fails from then on fails because of that.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether the program listens.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// What would be left behind by stopping now, in the order in which it was made.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Unfinished {
    /// A folder of our own, with all that is in it.
    Scratch(PathBuf),
    /// A folder that this run created, removed if nothing is in it.
    Created(PathBuf),
    /// A file of our own.
    File(PathBuf),
    /// A folder of finished segments, which stays for the job to go on with; removed where none
    /// is finished.
    Job(PathBuf),
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

/// Returns at once while nobody has told the program to stop, and never afterwards: the work that
/// lost its folder is not an error to speak of, and the exit code is the listener's to give.
pub(crate) fn yield_if_stopped() {
    while STOPPED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// A folder of our own, removed with all that is in it.
pub(crate) fn scratch(path: &Path) {
    push(Unfinished::Scratch(path.to_owned()));
}

/// A folder that this run created, removed if nothing is in it.
pub(crate) fn created(path: &Path) {
    push(Unfinished::Created(path.to_owned()));
}

/// A file of our own, removed.
pub(crate) fn file(path: &Path) {
    push(Unfinished::File(path.to_owned()));
}

/// A folder of finished segments, which stays; removed where none is finished.
pub(crate) fn job(path: &Path) {
    push(Unfinished::Job(path.to_owned()));
}

fn push(unfinished: Unfinished) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(unfinished);
}

/// Removes what is unfinished, at the end of the work. What a job has finished stays as the job
/// left it.
pub(crate) fn clean() {
    remove_all(false);
}

/// Removes what is unfinished. What cannot be removed stays: there is nobody left to tell.
fn remove_all(stopped: bool) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for what in unfinished.drain(..).rev() {
        let _ = match what {
            Unfinished::Scratch(path) => remove(&path),
            Unfinished::Created(path) => std::fs::remove_dir(path),
            Unfinished::File(path) => std::fs::remove_file(path),
            Unfinished::Job(path) if stopped => stop(&path),
            Unfinished::Job(_) => Ok(()),
        };
    }
}

/// Leaves a job as it can be gone on with. Of one that has ended nothing is there any more.
fn stop(folder: &Path) -> std::io::Result<()> {
    match rife_video::Journal::open(folder) {
        Ok(Some(journal)) if journal.frames() > 0 => {
            crate::say(&format!(
                "stopped; {} finished frames are kept in {}: --resume goes on with them",
                journal.frames(),
                folder.display()
            ));
            Ok(())
        }
        _ => remove(folder),
    }
}

/// Removes a folder although files may still be put into it.
fn remove(folder: &Path) -> std::io::Result<()> {
    let mut removed = std::fs::remove_dir_all(folder);
    for _ in 1..ATTEMPTS {
        match &removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                removed = std::fs::remove_dir_all(folder);
            }
            _ => break,
        }
    }
    removed
}
