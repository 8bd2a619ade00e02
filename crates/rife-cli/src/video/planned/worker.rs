//! A process that encodes segments: its engine, and the comparison with the plan.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rife_video::{
    ContentHash, DeviceWorker, Fingerprint, JobPlan, JobSettings, PlannedSegment, SegmentFile,
    SegmentRecord, WorkFolder,
};

use super::{NotAsPlanned, open};
use crate::args::RunArgs;
use crate::host::Host;
use crate::video::job::Job;
use crate::video::pipeline::{Part, interpolate_part};
use crate::video::{engines, run, video_file};

/// A process that can encode segments of a plan.
pub(super) struct Worker {
    job: Job,
    settings: JobSettings,
    engines: Vec<DeviceWorker>,
    device: Fingerprint,
    /// `None` if the input is trusted.
    content: Option<ContentHash>,
    may_seek: bool,
}

impl Worker {
    /// Opens the input, loads the engine, and compares everything with the plan.
    ///
    /// # Errors
    /// [`NotAsPlanned`] if something differs.
    pub(super) fn new(
        plan: &JobPlan,
        args: &RunArgs,
        work: &WorkFolder,
        host: &Host,
    ) -> Result<Self> {
        let local = open::Local {
            device: Some(args.device),
            threads: args.threads,
            weights: args.weights.as_deref(),
            ffmpeg: args.ffmpeg.as_deref(),
            max_memory: Some(args.max_memory),
            overwrite: true,
        };
        let job = open::job(plan, &local, host)?;
        let content = match args.trust_input {
            true => None,
            false => Some(ContentHash::start(&open::files(&job)?)?),
        };
        let encoder_build = run::check_encoder(&job)?;
        let engines = engines::load(&job.args.engine, &job.model, job.input.raw.size, host)?;
        // Other settings after running out of memory would give another result.
        let engines: Vec<_> = engines
            .into_iter()
            .map(|engine| DeviceWorker { smaller: Box::new(|_| None), ..engine })
            .collect();
        let file = job.output.file().context("not a video file")?;
        let settings = video_file::complete_settings(&job, file, &engines, encoder_build)?;
        let [all, device] = rife_video::split_device(settings.all_settings());
        open::refuse_differences(&open::differences(&plan.settings, &all))?;
        let planned = match &plan.device {
            Some(planned) => planned.clone(),
            None => work.decide_device(&device)?,
        };
        let differences = open::differences(&planned, &device);
        if !differences.is_empty() {
            let differences = differences.join("; ");
            if !args.allow_mixed_devices {
                return Err(NotAsPlanned(format!(
                    "another kind of device may give results that differ in the last bits: {differences}; \
                     --allow-mixed-devices accepts it"
                ))
                .into());
            }
            host.say(&format!("note: another kind of device than planned: {differences}"));
        }
        Ok(Self { job, settings, engines, device, content, may_seek: !args.no_seek })
    }

    /// Encodes a segment and records it.
    pub(super) fn encode(
        &self,
        plan: &JobPlan,
        segment: &PlannedSegment,
        work: &WorkFolder,
    ) -> Result<SegmentRecord> {
        let start = Instant::now();
        let mut sink = SegmentFile::new(&self.settings, work, segment);
        if !self.interpolate(plan, segment, &mut sink, self.may_seek)? {
            self.job.host.say(&format!(
                "note: segment {}: seeking gave unexpected frames; decoding from the start",
                segment.index
            ));
            sink = SegmentFile::new(&self.settings, work, segment);
            let as_planned = self.interpolate(plan, segment, &mut sink, false)?;
            if !as_planned {
                // The better reason, if it is true.
                open::check_content(plan, self.content.as_ref())?;
            }
            ensure!(
                as_planned,
                NotAsPlanned(format!(
                    "{} no longer decodes to the frames that were planned: the file or ffmpeg may differ",
                    plan.input.path.display()
                ))
            );
        }
        open::check_content(plan, self.content.as_ref())?;
        let written = sink.finish()?;
        let record = SegmentRecord {
            address: segment.address.clone(),
            frames: segment.frames,
            bytes: written.bytes,
            blake3: written.blake3,
            device: self.device.clone(),
            seconds: start.elapsed().as_secs_f64(),
            host: work.host().to_owned(),
        };
        work.record(segment, &record)?;
        Ok(record)
    }

    /// Interpolates the frames of a segment. Returns whether the source frames were the planned
    /// ones.
    fn interpolate(
        &self,
        plan: &JobPlan,
        segment: &PlannedSegment,
        sink: &mut SegmentFile,
        may_seek: bool,
    ) -> Result<bool> {
        let range = &segment.source;
        let (source, as_planned) =
            self.job.input.start_part(self.job.programs()?, range, may_seek)?;
        let after = segment.first_frame + segment.frames;
        let is_last = segment.index + 1 == plan.segments.len() as u64;
        let timeline = self.job.timeline.clone();
        let part = Part {
            source,
            timeline: timeline.starting_at(
                plan.timeline.start,
                range.decode_from,
                range.frames_before,
            ),
            skip: segment.first_frame,
            // The end of the source shows whether it has more frames than planned.
            until: Some(after).filter(|_| !is_last),
            total: u64::try_from(after).ok(),
        };
        let result = interpolate_part(&self.job, &self.engines, sink, part);
        // Other source frames may be the cause of an error.
        let as_planned = as_planned.get().copied();
        if as_planned != Some(false) {
            result?;
        }
        Ok(as_planned.unwrap_or(false))
    }
}
