//! `rife job`: a video in segments that any number of processes and machines encode, see
//! docs/scaling.md.

mod join;
mod open;
mod options;
mod plan;
mod run;
mod status;
mod worker;

use std::ffi::OsString;

use anyhow::Result;

use crate::args::JobAction;

/// Exit code if segments are not finished, or none is left to run.
const NOT_COMPLETE: u8 = 3;

/// Exit code if this machine or a file differs from the plan, so that trying again is no use.
const NOT_AS_PLANNED: u8 = 4;

/// A machine or a file that differs from the plan, on one line.
#[derive(Debug)]
struct NotAsPlanned(String);

impl std::fmt::Display for NotAsPlanned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAsPlanned {}

/// The exit code of the program after an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<NotAsPlanned>() { NOT_AS_PLANNED } else { 1 }
}

/// Runs `rife job`. `words` are the arguments of the program. Returns the exit code.
pub(crate) fn run(action: JobAction, words: &[OsString]) -> Result<u8> {
    match action {
        JobAction::Plan(args) => plan::run(*args, words).map(|()| 0),
        JobAction::Run(args) => run::run(&args),
        JobAction::Join(args) => join::run(&args).map(|()| 0),
        JobAction::Status(args) => status::run(&args),
    }
}
