//! `rife job status`.

use std::time::Duration;

use anyhow::Result;
use rife_video::{Check, JobPlan, SegmentState, WorkFolder};
use serde_json::{Value, json};

use super::NOT_COMPLETE;
use crate::args::StatusArgs;

/// Prints the state of the segments. Returns the exit code.
pub(super) fn run(args: &StatusArgs) -> Result<u8> {
    let plan = JobPlan::read(&args.job)?;
    let stale = Duration::from_secs(args.stale_after.into());
    let work = WorkFolder::open(&plan.work_dir, stale)?;
    let check = if args.quick { Check::Size } else { Check::Content };
    let mut status = Status::default();
    for segment in &plan.segments {
        let index = segment.index;
        let state = work.as_ref().map_or(SegmentState::Missing, |work| work.state(segment, check));
        match state {
            SegmentState::Finished(record) => {
                status.finished.push(index);
                status.frames += record.frames;
                status.bytes = status.bytes.saturating_add(record.bytes);
                status.seconds += record.seconds;
            }
            SegmentState::Running(host) => status.running.push((index, host)),
            SegmentState::Missing => status.missing.push(index),
            SegmentState::Damaged(why) => status.damaged.push((index, why)),
            SegmentState::Failed(failure) => {
                status.failed.push((index, failure.attempts, failure.error));
            }
        }
    }
    let total = plan.segments.len();
    crate::print(&match args.json {
        true => format!("{}\n", status.json(&plan)),
        false => status.text(&plan),
    })?;
    Ok(if status.finished.len() == total { 0 } else { NOT_COMPLETE })
}

#[derive(Default)]
struct Status {
    finished: Vec<u64>,
    running: Vec<(u64, String)>,
    missing: Vec<u64>,
    damaged: Vec<(u64, String)>,
    failed: Vec<(u64, u32, String)>,
    /// Of the finished segments, as the two that follow.
    frames: i64,
    bytes: u64,
    seconds: f64,
}

impl Status {
    fn json(&self, plan: &JobPlan) -> Value {
        let total = plan.segments.len();
        let running = self.running.iter().map(|(n, host)| json!({ "segment": n, "host": host }));
        let damaged = self.damaged.iter().map(|(n, why)| json!({ "segment": n, "error": why }));
        let failed = self
            .failed
            .iter()
            .map(|(n, attempts, why)| json!({ "segment": n, "attempts": attempts, "error": why }));
        json!({
            "complete": self.finished.len() == total,
            "segments": total,
            "output": plan.output,
            "output_frames": plan.timeline.output_frames,
            "finished": self.finished,
            "finished_frames": self.frames,
            "finished_bytes": self.bytes,
            "seconds": self.seconds,
            "running": running.collect::<Vec<_>>(),
            "missing": self.missing,
            "damaged": damaged.collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
        })
    }

    fn text(&self, plan: &JobPlan) -> String {
        let mut text = format!(
            "{} of {} segments finished ({} of {} frames), {} running, {} missing, {} damaged, {} \
             failed\n",
            self.finished.len(),
            plan.segments.len(),
            self.frames,
            plan.timeline.output_frames,
            self.running.len(),
            self.missing.len(),
            self.damaged.len(),
            self.failed.len()
        );
        for (index, host) in &self.running {
            text += &format!("segment {index}: running on {host}\n");
        }
        for (index, why) in &self.damaged {
            text += &format!("segment {index}: damaged: {why}\n");
        }
        for (index, attempts, why) in &self.failed {
            text += &format!("segment {index}: failed {attempts} times: {why}\n");
        }
        text
    }
}
