//! Jobs that can be interrupted and resumed; see [`Job`].

mod claim;
mod content;
mod fingerprint;
mod folder;
#[cfg(unix)]
mod folder_unix;
#[cfg(not(unix))]
mod folder_windows;
mod join;
mod journal;
mod open_segment;
mod plan;
mod ratio;
mod segment_file;
mod segment_source;
mod segments;
mod settings;
mod work_folder;

use std::sync::Arc;
use std::time::Duration;

pub use claim::Claim;
pub use content::ContentHash;
pub use fingerprint::fingerprint;
pub use folder::JobFolder;
pub use journal::{Fingerprint, Journal, Segment};
pub use plan::{
    JobPlan, Layout, LayoutOptions, PlannedEncoder, PlannedInput, PlannedProgram, PlannedSegment,
    PlannedSource, PlannedTimeline, PlannedWeights, lay_out, split_device,
};
pub use segment_file::{SegmentFile, WrittenSegment};
pub use segment_source::{AsPlanned, SegmentSource};
pub use segments::SegmentSink;
pub use settings::{JobSettings, Original};
pub use work_folder::{Check, SegmentFailure, SegmentRecord, SegmentState, WorkFolder};

use crate::progress::Progress;
use crate::{Error, NutFormat, Planes, Result, Sink};
use open_segment::SegmentEncoder;
use segments::{SegmentSettings, is_unfinished};

/// How long a resumed job waits for the hash of its input before it starts. A later hash is
/// compared before the segments are joined.
const HASH_TIMEOUT: Duration = Duration::from_secs(5);

/// A job that can be interrupted and resumed. The output is encoded in segments, which are kept in
/// a folder next to the output, listed in a journal, and finally joined with the streams of the
/// original.
///
/// 1. [`JobFolder::open`] claims the folder: a second job for the same output fails at once.
/// 2. [`Job::begin`] compares the settings with those of an unfinished job, if there is one.
/// 3. [`crate::run`] writes frames to [`Job::sink`], from [`Job::finished_frames`] on.
/// 4. [`Job::finish`] checks that the input is still the same, joins, and gives the video its name.
///
/// After an error or an interruption, [`JobHandle::abandon`] keeps finished segments for the next
/// run, or removes everything if there are none.
#[derive(Debug)]
pub struct Job {
    settings: JobSettings,
    folder: Arc<JobFolder>,
    segments: SegmentSink,
}

/// Ends a job after an error or an interruption.
#[derive(Clone, Debug)]
pub struct JobHandle(Arc<JobFolder>);

impl JobHandle {
    /// The handle of an open job folder.
    pub fn new(folder: &Arc<JobFolder>) -> Self {
        Self(folder.clone())
    }

    /// The job folder.
    pub fn folder(&self) -> &JobFolder {
        &self.0
    }

    /// Removes incomplete files, and the folder if there is nothing to resume. Returns the number
    /// of frames that are kept, if any.
    pub fn abandon(&self) -> Option<i64> {
        match Journal::open(&self.0) {
            Ok(Some(journal)) if journal.frames() > 0 => {
                // Incomplete files must not keep a full disk full.
                let _ = self.0.clear(is_unfinished);
                Some(journal.frames())
            }
            Ok(_) => {
                let _ = self.0.remove();
                None
            }
            // A journal of another version: keep it.
            Err(_) => None,
        }
    }
}

impl Job {
    /// Begins or resumes the job in `folder`. `content` is the hash of the input, which may be
    /// incomplete; without it, the job cannot resume.
    ///
    /// # Errors
    /// [`Error::Unfinished`] if an unfinished job is neither to be resumed nor discarded,
    /// [`Error::OtherSettings`] if it was started with other settings.
    pub fn begin(
        folder: Arc<JobFolder>,
        content: Option<ContentHash>,
        settings: JobSettings,
    ) -> Result<Self> {
        if settings.resume && content.is_none() {
            return Err(Error::Refused(
                "cannot resume: the input cannot be read again (expected a file or a folder)"
                    .into(),
            ));
        }
        let fingerprint = settings.complete_fingerprint(content.as_ref());
        let found = match Journal::open(&folder) {
            Ok(found) => found.filter(|journal| journal.frames() > 0),
            Err(_) if settings.overwrite && !settings.resume => None,
            Err(error) => return Err(error),
        };
        let journal = match found {
            Some(mut journal) if settings.resume => {
                let differences = journal.differences(&fingerprint);
                if !differences.is_empty() {
                    return Err(journal.other_settings(differences));
                }
                let hash = content.as_ref().map(|content| content.wait_timeout(HASH_TIMEOUT));
                if let Some(hash) = hash.transpose()?.flatten() {
                    journal.check_input(&hash)?;
                }
                // From a job that was killed.
                let _ = folder.clear(is_unfinished);
                journal
            }
            Some(journal) if !settings.overwrite => {
                let path = folder.path().to_owned();
                return Err(Error::Unfinished { path, frames: journal.frames() });
            }
            _ => {
                let cannot = || format!("cannot empty {}", folder.path().display());
                folder.clear(|_| true).map_err(Error::io(cannot()))?;
                Journal::new(folder.clone(), fingerprint)
            }
        };
        let segments = SegmentSink::new(settings.segments(content), folder.clone(), journal);
        Ok(Self { settings, folder, segments })
    }

    /// Number of finished output frames; the run starts there, see [`crate::Settings::skip`].
    pub fn finished_frames(&self) -> i64 {
        self.segments.finished_frames()
    }

    /// The sink that encodes the frames.
    pub fn sink(&mut self) -> &mut dyn Sink {
        &mut self.segments
    }

    /// Waits for the last segment, joins all segments, and moves the video to its final path.
    /// Returns one line per loss.
    ///
    /// # Errors
    /// If an encoder or the muxer failed, the output cannot be written, or the input has changed.
    pub fn finish(self, progress: &Progress) -> Result<Vec<String>> {
        let Self { settings, folder, segments } = self;
        let journal = segments.finish()?;
        let ends = join::Ends::of(&settings, progress);
        let notes = join::join(&settings, &folder, journal.segments(), ends)?;
        // The video is complete; a leftover folder does no harm.
        let _ = folder.remove();
        Ok(notes)
    }
}

impl JobSettings {
    fn segments(&self, content: Option<ContentHash>) -> SegmentSettings {
        SegmentSettings {
            encoder: self.encoder(),
            frames: self.frames_per_segment(),
            extension: self.encoding.segment_ext.to_owned(),
            content,
        }
    }

    /// Joins the segments of a planned job, and moves the video to its final path. `folder` is the
    /// job folder of the output; the segments are read from `work`. Returns one line per loss.
    ///
    /// # Errors
    /// [`Error::Unfinished`] if `folder` has an unfinished job that is not to be discarded. If a path
    /// is not valid Unicode, the muxer failed, or the output cannot be written.
    pub fn join(
        &self,
        plan: &JobPlan,
        work: &WorkFolder,
        folder: &Arc<JobFolder>,
    ) -> Result<Vec<String>> {
        let unfinished = Journal::open(folder).ok().flatten().map_or(0, |journal| journal.frames());
        if unfinished > 0 && !self.overwrite {
            let path = folder.path().to_owned();
            return Err(Error::Unfinished { path, frames: unfinished });
        }
        let mut segments = Vec::new();
        for segment in &plan.segments {
            let path = work.path().join(&segment.file);
            let file = path.to_str().ok_or_else(|| {
                Error::Refused(format!("{}: the name is not valid Unicode", path.display()))
            })?;
            segments.push(Segment {
                file: file.to_owned(),
                first: segment.first_frame,
                frames: segment.frames,
                ticks: segment.first_tick,
                bytes: 0,
            });
        }
        let notes = join::join(self, folder, &segments, join::Ends::planned(&plan.timeline))?;
        let _ = folder.remove();
        Ok(notes)
    }

    /// How a segment is encoded.
    fn encoder(&self) -> SegmentEncoder {
        let (programs, encoding) = (self.programs.clone(), self.encoding.clone());
        let tick = self.tick;
        let counting = programs.clone();
        SegmentEncoder {
            command: Box::new(move |file| crate::segment_command(&programs, &encoding, tick, file)),
            count: Arc::new(move |file| crate::count_frames(&counting, file)),
            format: match self.raw.planes {
                Planes::Gbr => NutFormat::rgb(&self.raw, self.sample_aspect),
                _ => NutFormat::planar(&self.raw, self.sample_aspect),
            }
            .with_rate(self.rate),
            tick,
        }
    }

    /// The commands that encode a segment and join the segments, for display, and the losses
    /// expected.
    ///
    /// # Errors
    /// If the original cannot be read.
    pub fn commands(&self) -> Result<([std::process::Command; 2], Vec<String>)> {
        let folder = JobFolder::beside(&self.output);
        let file = folder.join(format!("000000.{}", self.encoding.segment_ext));
        let encode = crate::segment_command(&self.programs, &self.encoding, self.tick, &file);
        let (join, notes) = join::command(self, &folder)?;
        Ok(([encode, join], notes))
    }
}
