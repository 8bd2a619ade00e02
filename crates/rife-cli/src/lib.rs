//! The `rife` command, and its jobs for programs that embed them.
//!
//! This is the inside of a program, not an API: it changes without notice. The libraries are
//! `rife-runtime` and `rife-video`.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod convert;
mod doctor;
mod documentation;
mod embed;
mod host;
mod image_file;
mod image_folder;
mod info;
mod interpolate;
mod interrupt;
mod model;
mod pair;
mod paths;
mod print;
mod profiles;
mod terminal;
mod version;
mod video;
mod weights;

use std::ffi::OsString;

use crate::args::Command;
#[doc(hidden)]
pub use crate::embed::{
    EngineOptions, JobOption, UsageError, describe_with_hint, fetch_weights, interpolate_video,
    job_options, load,
};
#[doc(hidden)]
pub use crate::host::{Host, Observer, Snapshot, Summary};
pub(crate) use crate::print::{describe, print, say};
use crate::profiles::ArgumentError;
#[doc(hidden)]
pub use crate::version::version as build_version;

/// Runs the command with its arguments, of which the first is the name of the program. Returns the
/// exit code.
#[doc(hidden)]
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = args.into_iter().collect();
    ignore_file_size_signal();
    let args = match profiles::parse(&words) {
        Ok(args) => args,
        Err(ArgumentError::Usage(error)) => {
            return args::exit_with_usage_error(&error, words.get(1..).unwrap_or_default());
        }
        Err(ArgumentError::Profile(why)) => {
            say(&format!("error: {why}"));
            return 2;
        }
    };
    // Fails if the process has a subscriber already, which then receives the messages.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RIFE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .try_init();
    let result = match args.command {
        Command::Interpolate(args) => interpolate::run(*args),
        Command::Job(job) => match video::planned::run(job.action, &words) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Convert(args) => convert::run(&args),
        Command::Weights(args) => weights::run(&args),
        Command::Profiles => profiles::list(),
        Command::Info(args) => info::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions { shell } => documentation::print_completions(shell),
        Command::Man { folder } => documentation::write_manual(&folder),
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            interrupt::wait_for_exit_if_interrupted();
            print::print_error(&error);
            video::planned::exit_code(&error)
        }
    }
}

/// Ignores SIGXFSZ, so that a write beyond the file-size limit (`ulimit -f`) fails with an error,
/// like a full disk. By default the signal kills the process without a message. ffmpeg inherits
/// this.
fn ignore_file_size_signal() {
    #[cfg(unix)]
    // SAFETY: ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
