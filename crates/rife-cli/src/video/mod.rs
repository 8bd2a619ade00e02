//! `rife interpolate` for a video: arguments become a validated [`job::Job`], which is planned
//! (--dry-run) or run.

mod cancel;
pub(crate) mod engines;
mod format;
mod image_sink;
mod input;
mod job;
mod output;
mod pattern;
mod pipeline;
mod plan;
pub(crate) mod planned;
mod preview;
mod programs;
mod progress;
mod run;
mod side_by_side;
mod stdio;
mod video_file;
mod writers;

use anyhow::Result;

use self::job::Job;
pub(crate) use self::output::is_stdout;
use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::interrupt;

pub(crate) fn run(mut args: InterpolateArgs, host: &Host) -> Result<()> {
    preview::complete(&mut args);
    let result = Job::new(args, host.clone()).and_then(plan_or_run);
    interrupt::remove_unfinished(host);
    if let Err(error) = &result {
        host.observer().failed(&crate::describe(error));
    }
    result
}

fn plan_or_run(mut job: Job) -> Result<()> {
    if job.args.video.dry_run {
        return plan::print(&job);
    }
    interrupt::install(&job.host)?;
    run::run(&mut job).map_err(add_resume_options)
}

/// Adds the options for an unfinished job to the library's error.
fn add_resume_options(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<rife_video::Error>() {
        Some(rife_video::Error::Unfinished { .. }) => {
            anyhow::anyhow!("{error}: --resume continues after them, --overwrite starts again")
        }
        _ => error,
    }
}
