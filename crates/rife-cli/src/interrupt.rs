//! Removes unfinished files when the program is interrupted.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rife_video::JobHandle;

/// Exit code of a program ended by Ctrl-C, by shell convention: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Whether the program was interrupted. Later errors are consequences of the interruption.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the signal handler is installed.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// What to remove on interruption, in the order of creation.
static UNFINISHED: Mutex<Vec<Unfinished>> = Mutex::new(Vec::new());

#[derive(Debug)]
enum Unfinished {
    /// A folder that this run created; removed if empty.
    Folder(PathBuf),
    /// A temporary file.
    File(PathBuf),
    /// A job folder; kept if it has finished segments.
    Job(JobHandle),
}

/// Makes Ctrl-C and termination remove everything unfinished and exit immediately. Later calls do
/// nothing.
pub(crate) fn install() -> Result<()> {
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    #[cfg(unix)]
    let ignored = ignored_signals();
    ctrlc::set_handler(|| {
        IS_INTERRUPTED.store(true, Ordering::SeqCst);
        remove_all(true);
        std::process::exit(INTERRUPTED);
    })
    .context("cannot install the Ctrl-C handler")?;
    #[cfg(unix)]
    for signal in ignored {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    Ok(())
}

/// The signals that the parent process wants this one to ignore: `nohup` ignores SIGHUP, and shells
/// ignore SIGINT in background jobs of scripts. They stay ignored.
#[cfg(unix)]
fn ignored_signals() -> Vec<libc::c_int> {
    let is_ignored = |signal: &libc::c_int| {
        // SAFETY: all-zero bytes are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live struct; without a new action, the call only reads.
        let queried = unsafe { libc::sigaction(*signal, std::ptr::null(), &raw mut action) };
        queried == 0 && action.sa_sigaction == libc::SIG_IGN
    };
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].into_iter().filter(is_ignored).collect()
}

/// Returns immediately unless the program was interrupted, and then never: an error caused by the
/// removal of the job folder must not be reported, and the signal handler sets the exit code.
pub(crate) fn wait_for_exit_if_interrupted() {
    while IS_INTERRUPTED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Registers a folder that this run created; it is removed if empty.
pub(crate) fn register_folder(path: &Path) {
    register(Unfinished::Folder(path.to_owned()));
}

/// Registers a temporary file.
pub(crate) fn register_file(path: &Path) {
    register(Unfinished::File(path.to_owned()));
}

/// Registers a job folder; it is kept if it has finished segments.
pub(crate) fn register_job(handle: JobHandle) {
    register(Unfinished::Job(handle));
}

fn register(unfinished: Unfinished) {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).push(unfinished);
}

/// Removes everything unfinished at the end of a job, whether it succeeded or not.
pub(crate) fn remove_unfinished() {
    remove_all(false);
}

/// Removes everything unfinished. Errors are ignored: nothing more can be done.
fn remove_all(interrupted: bool) {
    let mut unfinished = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner);
    for item in unfinished.drain(..).rev() {
        match item {
            Unfinished::File(path) => _ = std::fs::remove_file(path),
            Unfinished::Folder(path) => _ = std::fs::remove_dir(path),
            Unfinished::Job(handle) => {
                let kept = handle.abandon();
                if let Some(frames) = kept.filter(|_| interrupted) {
                    crate::say(&format!(
                        "interrupted: {frames} finished frames are kept in {}; --resume continues \
                         after them",
                        handle.folder().path().display()
                    ));
                }
            }
        }
    }
}
