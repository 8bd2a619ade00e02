//! `rife job join`.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rife_video::{
    Check, ContentHash, Fingerprint, JobFolder, JobHandle, JobPlan, PlannedSegment, SegmentRecord,
    SegmentState, WorkFolder,
};

use super::open;
use crate::args::JoinArgs;
use crate::host::Host;
use crate::interrupt;
use crate::terminal::Terminal;
use crate::video::video_file;

/// Joins the segments of a job.
pub(super) fn run(args: &JoinArgs) -> Result<()> {
    let host = Host::command(Terminal::text());
    let result = join(args, &host);
    interrupt::remove_unfinished(&host);
    result
}

fn join(args: &JoinArgs, host: &Host) -> Result<()> {
    let start = Instant::now();
    let plan = JobPlan::read(&args.job)?;
    let local = open::Local {
        device: None,
        threads: None,
        weights: None,
        ffmpeg: args.ffmpeg.as_deref(),
        max_memory: None,
        overwrite: args.overwrite,
    };
    let job = open::job(&plan, &local, host)?;
    let content = match args.trust_input {
        true => None,
        false => Some(ContentHash::start(&open::files(&job)?)?),
    };
    let file = job.output.file().context("not a video file")?;
    let settings = video_file::segment_settings(&job, file)?;
    // Without an engine, only the settings of encoder and muxer are known.
    let here = settings.all_settings();
    let planned: Fingerprint =
        plan.settings.clone().into_iter().filter(|(key, _)| here.contains_key(key)).collect();
    open::refuse_differences(&open::differences(&planned, &here))?;

    interrupt::install(host)?;
    let folder = Arc::new(JobFolder::open(&JobFolder::beside(&file.path))?);
    interrupt::register_job(host, JobHandle::new(&folder));
    let work = WorkFolder::open(&plan.work_dir, WorkFolder::STALE)?;
    let records = verified(&plan, work.as_ref(), host)?;
    note_devices(&plan, &records, host);
    open::check_content(&plan, content.as_ref())?;
    let work = work.context("there are no segments")?;
    let notes = settings.join(&plan, &work, &folder)?;
    notes.iter().for_each(|line| host.report(line));
    if !args.keep_segments {
        // The video is complete; a leftover folder does no harm.
        let _ = work.remove();
    }
    host.say(&format!(
        "{}: {} frames from {} segments, {:.1} s",
        plan.output.display(),
        plan.timeline.output_frames,
        plan.segments.len(),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// The records of all segments, which are verified. Reports those that are not finished.
fn verified(plan: &JobPlan, work: Option<&WorkFolder>, host: &Host) -> Result<Vec<SegmentRecord>> {
    let mut records = Vec::new();
    let mut unfinished = 0;
    for segment in &plan.segments {
        let state = work.map_or(SegmentState::Missing, |work| work.state(segment, Check::Content));
        let why = match state {
            SegmentState::Finished(record) => {
                records.push(record);
                continue;
            }
            SegmentState::Missing => "missing".to_owned(),
            SegmentState::Damaged(why) => format!("damaged: {why}"),
            SegmentState::Running(host) => format!("not finished: a process on {host} works on it"),
            SegmentState::Failed(failure) => format!("failed: {}", failure.error),
        };
        unfinished += 1;
        host.say(&segment_line(segment, &why));
    }
    if unfinished > 0 {
        bail!(
            "cannot join: {unfinished} of {} segments are not finished; run them with `rife job run`",
            plan.segments.len()
        );
    }
    Ok(records)
}

fn segment_line(segment: &PlannedSegment, why: &str) -> String {
    format!("segment {} ({}): {why}", segment.index, segment.file)
}

/// Reports segments of another kind of device than the first.
fn note_devices(plan: &JobPlan, records: &[SegmentRecord], host: &Host) {
    let Some(expected) = plan.device.as_ref().or(records.first().map(|one| &one.device)) else {
        return;
    };
    let others = records.iter().filter(|record| record.device != *expected).count();
    if others > 0 {
        host.report(&format!(
            "{others} of {} segments were computed by another kind of device, and may differ in \
             their last bits",
            records.len()
        ));
    }
}
