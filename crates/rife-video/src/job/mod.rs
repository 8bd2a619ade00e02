//! Jobs that survive being interrupted, see [`Job`].

mod content;
mod fingerprint;
mod folder;
#[cfg(unix)]
mod folder_unix;
#[cfg(not(unix))]
mod folder_windows;
mod join;
mod journal;
mod segments;
mod settings;

use std::sync::Arc;
use std::time::Duration;

pub use content::ContentHash;
pub use fingerprint::fingerprint;
pub use folder::JobFolder;
pub use journal::{Fingerprint, Journal, Segment};
pub use segments::SegmentSink;
pub use settings::{JobSettings, Original};

use crate::progress::Progress;
use crate::{Error, NutFormat, Planes, Result, Sink};
use segments::{SegmentSettings, is_unfinished};

/// How long a resumed job waits for the hash of its input before it begins to work; what is not
/// hashed by then is compared before anything is joined.
const HASH_TIMEOUT: Duration = Duration::from_secs(5);

/// A job that survives being interrupted: the output is encoded in segments that are kept in a
/// folder beside it, listed in a journal, and joined with the streams of the original at the end.
///
/// 1. [`JobFolder::open`] claims the folder: a second job for the same output fails at once.
/// 2. [`Job::begin`] compares the settings with those of an unfinished job, if there is one.
/// 3. [`crate::run`] writes frames to [`Job::sink`], from [`Job::finished_frames`] on.
/// 4. [`Job::finish`] checks that the input is still the same, joins, and gives the video its name.
///
/// Whatever fails or interrupts it, [`JobHandle::abandon`] leaves finished segments for the next
/// run, or nothing.
#[derive(Debug)]
pub struct Job {
    settings: JobSettings,
    folder: Arc<JobFolder>,
    segments: SegmentSink,
}

/// Ends a job from wherever something failed or somebody interrupts it.
#[derive(Clone, Debug)]
pub struct JobHandle(Arc<JobFolder>);

impl JobHandle {
    /// The handle of a claimed folder.
    pub fn new(folder: &Arc<JobFolder>) -> Self {
        Self(folder.clone())
    }

    /// The job's folder.
    pub fn folder(&self) -> &JobFolder {
        &self.0
    }

    /// Removes what is incomplete, and the folder if there is nothing to resume in it. Returns the
    /// number of frames that are kept for the job to resume, if any.
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
            // Another version's: not this job's to remove.
            Err(_) => None,
        }
    }
}

impl Job {
    /// Begins a job in its folder, or resumes the one that is there. `content` is the hash of the
    /// input, which may still be computed; a job without one cannot resume.
    ///
    /// # Errors
    /// [`Error::Unfinished`] if there is an unfinished job that is neither to be resumed nor
    /// discarded, [`Error::OtherSettings`] if it was started differently.
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
                // Left by a job that was killed.
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

    /// Output frames that are finished already: [`crate::Settings::skip`] of the run.
    pub fn finished_frames(&self) -> i64 {
        self.segments.finished_frames()
    }

    /// Where the frames go.
    pub fn sink(&mut self) -> &mut dyn Sink {
        &mut self.segments
    }

    /// Waits for the last segment, joins all of them, and gives the video its name. Returns what
    /// the user should know of it.
    ///
    /// # Errors
    /// If an encoder or the muxer failed, something cannot be written, or the input has changed.
    pub fn finish(self, progress: &Progress) -> Result<Vec<String>> {
        let Self { settings, folder, segments } = self;
        let journal = segments.finish()?;
        let notes = join::join(&settings, &folder, journal.segments(), progress)?;
        // Nothing in it is needed any more.
        let _ = folder.remove();
        Ok(notes)
    }
}

impl JobSettings {
    fn segments(&self, content: Option<ContentHash>) -> SegmentSettings {
        let (programs, encoding) = (self.programs.clone(), self.encoding.clone());
        let tick = self.tick;
        let counting = programs.clone();
        SegmentSettings {
            encoder: Box::new(move |file| crate::segment_command(&programs, &encoding, tick, file)),
            count: Arc::new(move |file| crate::count_frames(&counting, file)),
            format: match self.raw.planes {
                Planes::Gbr => NutFormat::rgb(&self.raw, self.sample_aspect),
                _ => NutFormat::planar(&self.raw, self.sample_aspect),
            }
            .with_rate(self.rate),
            tick,
            frames: self.frames_per_segment(),
            extension: self.encoding.segment_ext.to_owned(),
            content,
        }
    }

    /// The commands that encode a segment and join all of them, to be shown, and what the output
    /// will lose.
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
