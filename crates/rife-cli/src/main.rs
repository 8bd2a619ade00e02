//! The `rife` command: interpolates videos and image pairs.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod convert;
mod doctor;
mod documentation;
mod image_file;
mod image_folder;
mod info;
mod interpolate;
mod interrupt;
mod model;
mod pair;
mod paths;
mod print;
mod version;
mod video;
mod weights;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
pub(crate) use crate::print::{describe, print, report, say};

fn main() -> ExitCode {
    ignore_file_size_signal();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return args::exit_with_usage_error(&error),
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("RIFE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .init();
    let result = match args.command {
        Command::Interpolate(args) => interpolate::run(*args),
        Command::Convert(args) => convert::run(&args),
        Command::Weights(args) => weights::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions { shell } => documentation::print_completions(shell),
        Command::Man { folder } => documentation::write_manual(&folder),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            interrupt::wait_for_exit_if_interrupted();
            print::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Ignores SIGXFSZ, so that a write beyond the file-size limit (`ulimit -f`) fails with an error,
/// like a full disk. By default the signal kills the process without a message. ffmpeg inherits
/// this.
fn ignore_file_size_signal() {
    #[cfg(unix)]
    // SAFETY: no other thread runs yet, and ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
