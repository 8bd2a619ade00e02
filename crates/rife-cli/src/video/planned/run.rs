//! `rife job run`.

use anyhow::{Context, Result, bail};
use rife_video::{Check, Claim, JobPlan, PlannedSegment, SegmentRecord, SegmentState, WorkFolder};

use super::worker::Worker;
use super::{NOT_COMPLETE, NotAsPlanned};
use crate::args::RunArgs;
use crate::host::Host;
use crate::interrupt;
use crate::terminal::Terminal;

/// Failed attempts after which --next and --all leave a segment alone.
const MAX_ATTEMPTS: u32 = 3;

/// Runs one or more segments. Returns the exit code.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let host = Host::command(Terminal::reporting(args.json));
    interrupt::install(&host)?;
    let mut runner = Runner {
        plan: JobPlan::read(&args.job)?,
        work: None,
        worker: None,
        args,
        host: host.clone(),
    };
    let result = match args.segment {
        Some(number) => runner.named(number),
        None if args.next => runner.next(&[]).map(|taken| match taken {
            Some(_) => 0,
            None => {
                host.say("nothing to do: every segment is finished, claimed by another process, or has failed three times");
                NOT_COMPLETE
            }
        }),
        None => runner.all(),
    };
    if let Err(error) = &result {
        host.observer().failed(&crate::describe(error));
    }
    interrupt::remove_unfinished(&host);
    result
}

struct Runner<'a> {
    plan: JobPlan,
    work: Option<WorkFolder>,
    /// Created when the first segment is run: a segment that is finished needs none.
    worker: Option<Worker>,
    args: &'a RunArgs,
    host: Host,
}

impl Runner<'_> {
    fn work(&mut self) -> Result<WorkFolder> {
        if let Some(work) = &self.work {
            return Ok(work.clone());
        }
        let stale = std::time::Duration::from_secs(self.args.stale_after.into());
        let work = WorkFolder::create(&self.plan.work_dir, stale)?;
        Ok(self.work.insert(work).clone())
    }

    /// Runs the segment with this number.
    fn named(&mut self, number: u64) -> Result<u8> {
        let count = self.plan.segments.len();
        let segment = usize::try_from(number).ok().and_then(|at| self.plan.segments.get(at));
        let segment = segment.cloned().with_context(|| {
            format!("there is no segment {number}: expected 0 to {}", count.saturating_sub(1))
        })?;
        let work = self.work()?;
        if let SegmentState::Finished(record) = work.state(&segment, Check::Content) {
            self.report(&segment, &record, true)?;
            return Ok(0);
        }
        // Without a claim, another process does the same work at the same time, with the same
        // result.
        let claim = work.claim(&segment, true)?;
        self.encode(&segment, &work, claim)?;
        Ok(0)
    }

    /// Runs the first segment that is free, except those in `tried`. `None` if there is none.
    fn next(&mut self, tried: &[u64]) -> Result<Option<u64>> {
        let work = self.work()?;
        let mut free = Vec::new();
        for segment in self.plan.segments.iter().filter(|one| !tried.contains(&one.index)) {
            let attempts = match work.state(segment, Check::Size) {
                SegmentState::Finished(_) | SegmentState::Running(_) => continue,
                SegmentState::Failed(failure) => failure.attempts,
                SegmentState::Damaged(_) | SegmentState::Missing => 0,
            };
            if attempts == 0 {
                // Most calls need not look at the others.
                if let Some(claim) = work.claim(segment, false)? {
                    let segment = segment.clone();
                    return self.take(&segment, &work, claim);
                }
            } else if attempts < MAX_ATTEMPTS {
                free.push((attempts, segment.clone()));
            }
        }
        free.sort_by_key(|(attempts, _)| *attempts);
        for (_, segment) in free {
            if let Some(claim) = work.claim(&segment, false)? {
                return self.take(&segment, &work, claim);
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        segment: &PlannedSegment,
        work: &WorkFolder,
        claim: Claim,
    ) -> Result<Option<u64>> {
        // Another process may have finished it before this one claimed it.
        if let SegmentState::Finished(record) = work.state(segment, Check::Size) {
            self.report(segment, &record, true)?;
            return Ok(Some(segment.index));
        }
        self.encode(segment, work, Some(claim)).map(|()| Some(segment.index))
    }

    /// Runs all segments that are free.
    fn all(&mut self) -> Result<u8> {
        let mut failed = Vec::new();
        loop {
            match self.next(&failed) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => match error.downcast::<SegmentError>() {
                    // The others may succeed.
                    Ok(error) => {
                        self.host.say(&format!("warning: {error}"));
                        failed.push(error.segment);
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        let work = self.work()?;
        let is_finished = |one: &&PlannedSegment| {
            matches!(work.state(one, Check::Size), SegmentState::Finished(_))
        };
        let left = self.plan.segments.iter().filter(|one| !is_finished(one)).count();
        if !failed.is_empty() {
            let count = failed.len();
            let names: Vec<_> = failed.iter().map(u64::to_string).collect();
            bail!("{count} of {} segments failed: {}", self.plan.segments.len(), names.join(", "));
        }
        if left > 0 {
            self.host.say(&format!("{left} segments are claimed by other processes, or failed"));
            return Ok(NOT_COMPLETE);
        }
        Ok(0)
    }

    /// Encodes a segment, and records the result or the failure.
    fn encode(
        &mut self,
        segment: &PlannedSegment,
        work: &WorkFolder,
        claim: Option<Claim>,
    ) -> Result<()> {
        if let Some(claim) = &claim {
            interrupt::register_file(&self.host, &claim.path());
        }
        interrupt::register_file(&self.host, &work.unfinished_path(segment));
        let result = self.try_to_encode(segment, work);
        // Before the claim is dropped, so that only the own claim is removed.
        interrupt::remove_unfinished(&self.host);
        drop(claim);
        match result {
            Ok(record) => self.report(segment, &record, false),
            // Not the fault of the segment.
            Err(error) if error.is::<NotAsPlanned>() => Err(error),
            Err(error) => {
                interrupt::wait_for_exit_if_interrupted();
                let why = crate::describe(&error);
                work.record_failure(segment, &why);
                Err(SegmentError { segment: segment.index, why }.into())
            }
        }
    }

    fn try_to_encode(
        &mut self,
        segment: &PlannedSegment,
        work: &WorkFolder,
    ) -> Result<SegmentRecord> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::new(&self.plan, self.args, work, &self.host)?,
        };
        self.worker.insert(worker).encode(&self.plan, segment, work)
    }

    fn report(
        &self,
        segment: &PlannedSegment,
        record: &SegmentRecord,
        existed: bool,
    ) -> Result<()> {
        let SegmentRecord { frames, bytes, seconds, .. } = record;
        let index = segment.index;
        if self.args.json {
            let line = serde_json::json!({
                "event": "segment", "segment": index, "existed": existed, "frames": frames,
                "bytes": bytes, "seconds": seconds, "file": segment.file,
            });
            return crate::print(&format!("{line}\n"));
        }
        self.host.say(&match existed {
            true => format!("segment {index}: already finished, {frames} frames"),
            false => format!("segment {index}: {frames} frames, {bytes} bytes, {seconds:.1} s"),
        });
        Ok(())
    }
}

/// A segment that failed, and why.
#[derive(Debug)]
struct SegmentError {
    segment: u64,
    why: String,
}

impl std::fmt::Display for SegmentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {}: {}", self.segment, self.why)
    }
}

impl std::error::Error for SegmentError {}
