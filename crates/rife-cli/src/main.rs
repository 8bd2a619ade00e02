//! `rife`: frames between frames.

#![warn(clippy::unwrap_used, clippy::expect_used)]

mod args;
mod convert;
mod info;
mod interpolate;
mod interrupt;
mod picture;
mod target;
mod video;
mod weights;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rife_model::weights::WeightsError;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    report_file_size_limits();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return args::refuse(&error),
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
    let done = match args.command {
        Command::Interpolate(args) => interpolate::run(*args),
        Command::Convert(args) => convert::run(&args),
        Command::Weights(args) => weights::run(&args),
        Command::Info(args) => info::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            interrupt::yield_if_stopped();
            say_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Lets a write beyond a limit of file sizes (`ulimit -f`) fail with an error, as a full disk does:
/// by default the system kills the program, and ffmpeg, which inherits this, without a word.
fn report_file_size_limits() {
    #[cfg(unix)]
    // SAFETY: no other thread runs yet, and ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Prints a line for people on standard error.
fn say(line: &str) {
    // Where nobody can be told, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{}", visible(line));
}

/// Prints what a job loses, or what else should be known of it.
fn report(line: &str) {
    say(&as_report(line));
}

/// A report starts with what the user loses or what changes; anything else is a note.
fn as_report(line: &str) -> String {
    let loss = line.starts_with("lost: ") || line.starts_with("changed: ");
    if loss { line.to_owned() } else { format!("note: {line}") }
}

/// A file's name may hold control sequences: a terminal must not obey them.
fn visible(text: &str) -> String {
    let escape = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(escape) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| if escape(c) { c.escape_default().to_string() } else { c.into() })
        .collect()
}

/// Prints a result on standard output. A reader that has gone away is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// Prints an error on one line, with a line for each difference between two jobs, and last what
/// the user can do about it.
fn say_error(error: &anyhow::Error) {
    if let Some(rife_video::Error::OtherSettings { folder, differences }) = error.downcast_ref() {
        let folder = folder.display();
        say(&format!(
            "error: cannot resume: the unfinished job in {folder} was started differently"
        ));
        differences.iter().for_each(|line| say(&format!("  {}", one_line(line))));
        say("restore what differs, or start again with --overwrite and without --resume");
        return;
    }
    say(&format!("error: {}", describe(error)));
    let hint = WeightsError::hint_in(error.as_ref()).or_else(|| video_hint(error));
    if let Some(hint) = hint {
        say(&format!("hint: {hint}"));
    }
}

/// What the user can do about an error of `rife-video`.
fn video_hint(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref()? {
        rife_video::Error::NoProgram { .. } => Some(
            "install ffmpeg (https://ffmpeg.org), or name it with --ffmpeg; images and Y4M do not \
             need it"
                .into(),
        ),
        rife_video::Error::Playlist { .. } => {
            Some("if you trust it, --allow-playlists reads it, with local files only".into())
        }
        _ => None,
    }
}

/// An error and its causes on one line. Some crates repeat a cause in the text of what it caused:
/// it is said once.
fn describe(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(|cause| one_line(&cause.to_string())) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Text on one line, whatever line breaks it came with.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}
