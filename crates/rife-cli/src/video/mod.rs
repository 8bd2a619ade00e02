//! `rife interpolate` for a video: arguments become a validated [`job::Job`], which is planned
//! (--dry-run) or run.

pub(crate) mod engines;
mod format;
mod image_sink;
mod input;
mod job;
mod output;
mod pattern;
mod pipeline;
mod plan;
mod programs;
mod progress;
mod run;
mod side_by_side;
mod stdio;
mod video_file;
mod writers;

use anyhow::Result;
use serde_json::json;

use self::job::Job;
use self::progress::ProgressOutput;
use crate::args::InterpolateArgs;
use crate::interrupt;

pub(crate) fn run(args: InterpolateArgs) -> Result<()> {
    let progress_output = ProgressOutput::from_args(&args);
    let result = Job::new(args, progress_output).and_then(plan_or_run);
    if let Err(error) = &result {
        let message = crate::describe(error);
        progress_output.json_line(&json!({ "event": "error", "message": message }));
    }
    result
}

fn plan_or_run(mut job: Job) -> Result<()> {
    if job.args.video.dry_run {
        return plan::print(&job);
    }
    interrupt::install()?;
    let result = run::run(&mut job);
    interrupt::remove_unfinished();
    result.map_err(add_resume_options)
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
