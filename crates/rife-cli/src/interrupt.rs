//! Removes unfinished files when the program is interrupted.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use rife_video::JobHandle;

use crate::host::Host;

/// Exit code of a program ended by Ctrl-C, by shell convention: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Whether the program was interrupted. Later errors are consequences of the interruption.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether the signal handler is installed.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// What a job removes when it ends early.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// A folder that this run created; removed if empty.
    Folder(PathBuf),
    /// A temporary file.
    File(PathBuf),
    /// A job folder; kept if it has finished segments.
    Job(JobHandle),
}

/// Makes Ctrl-C and termination remove everything unfinished and exit immediately. Later calls do
/// nothing, and neither does a call in a program that embeds the job.
pub(crate) fn install(host: &Host) -> Result<()> {
    if !host.handles_signals() || INSTALLED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    #[cfg(unix)]
    let ignored = ignored_signals();
    let host = host.clone();
    ctrlc::set_handler(move || {
        IS_INTERRUPTED.store(true, Ordering::SeqCst);
        remove_all(&host, true);
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
pub(crate) fn register_folder(host: &Host, path: &Path) {
    register(host, Unfinished::Folder(path.to_owned()));
}

/// Registers a temporary file.
pub(crate) fn register_file(host: &Host, path: &Path) {
    register(host, Unfinished::File(path.to_owned()));
}

/// Registers a job folder; it is kept if it has finished segments.
pub(crate) fn register_job(host: &Host, handle: JobHandle) {
    register(host, Unfinished::Job(handle));
}

fn register(host: &Host, unfinished: Unfinished) {
    host.unfinished().lock().unwrap_or_else(PoisonError::into_inner).push(unfinished);
}

/// Removes everything unfinished at the end of a job, whether it succeeded or not.
pub(crate) fn remove_unfinished(host: &Host) {
    remove_all(host, false);
}

/// Removes everything unfinished. Errors are ignored: nothing more can be done.
fn remove_all(host: &Host, interrupted: bool) {
    let mut unfinished = host.unfinished().lock().unwrap_or_else(PoisonError::into_inner);
    for item in unfinished.drain(..).rev() {
        match item {
            Unfinished::File(path) => _ = std::fs::remove_file(path),
            Unfinished::Folder(path) => _ = std::fs::remove_dir(path),
            Unfinished::Job(handle) => {
                let kept = handle.abandon();
                if let Some(frames) = kept.filter(|_| interrupted) {
                    host.say(&format!(
                        "interrupted: {frames} finished frames are kept in {}; --resume continues \
                         after them",
                        handle.folder().path().display()
                    ));
                }
            }
        }
    }
}
