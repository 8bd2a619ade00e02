//! The folder of the segments of a planned job. Several processes, also on other machines, work in
//! it at the same time: every file appears under its name only when it is complete.
//!
//! Files of segment 3: `000003.mp4`, its record `000003.json`, a claim `000003.claim` while a process
//! works on it, and `000003.failed` after it failed.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::job::claim::Claim;
use crate::job::folder::JobFolder;
use crate::job::journal::Fingerprint;
use crate::job::plan::PlannedSegment;
use crate::job::segment_file::file_hash;
use crate::{Error, Result};

/// Size limit of a record, in bytes.
const MAX_RECORD: u64 = 1 << 20;

/// The record of the kind of device, if the first segment decides about it.
const DEVICE: &str = "device.json";

/// The record of a finished segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// [`PlannedSegment::address`].
    pub address: String,
    /// Number of frames in the file.
    pub frames: i64,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// The kind of device that computed it, and its arithmetic.
    pub device: Fingerprint,
    /// Time that it took, in s.
    pub seconds: f64,
    /// The machine.
    pub host: String,
}

/// The record of failed attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentFailure {
    /// Number of attempts that failed.
    pub attempts: u32,
    /// Error of the latest attempt.
    pub error: String,
    /// The machine of the latest attempt.
    pub host: String,
}

/// State of a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentState {
    /// The file is complete.
    Finished(SegmentRecord),
    /// There is a file or a record, but they do not belong together; the reason.
    Damaged(String),
    /// A process works on it; its machine.
    Running(String),
    /// It failed, and no process works on it.
    Failed(SegmentFailure),
    /// There is nothing.
    Missing,
}

/// How thoroughly to check a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The record and the size of the file.
    Size,
    /// Also every byte of the file.
    Content,
}

/// State of a claim.
pub(crate) enum ClaimState {
    /// Nobody claims the segment.
    None,
    /// A process works on it; its machine.
    Alive(String),
    /// The process ended without removing its claim.
    Abandoned,
}

/// The folder of the segments of a job.
#[derive(Clone, Debug)]
pub struct WorkFolder {
    folder: Arc<JobFolder>,
    /// Makes the names of incomplete files of this process unique.
    token: String,
    host: String,
    /// Age at which a claim counts as abandoned.
    stale: Duration,
}

impl WorkFolder {
    /// Age at which a claim counts as abandoned by default. Claims are renewed far more often.
    pub const STALE: Duration = Duration::from_secs(60);

    /// Opens the folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// If it cannot be created, or is not a private folder of this user.
    pub fn create(path: &Path, stale: Duration) -> Result<Self> {
        JobFolder::share(path).map(|folder| Self::new(folder, stale))
    }

    /// Opens a folder; `None` if it does not exist.
    ///
    /// # Errors
    /// If it is not a private folder of this user.
    pub fn open(path: &Path, stale: Duration) -> Result<Option<Self>> {
        match JobFolder::share_existing(path) {
            Ok(folder) => Ok(Some(Self::new(folder, stale))),
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(folder: JobFolder, stale: Duration) -> Self {
        // Process numbers repeat between machines and containers.
        let token = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { folder: Arc::new(folder), token, host: host_name(), stale }
    }

    pub(crate) fn folder(&self) -> &Arc<JobFolder> {
        &self.folder
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Name of this machine.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Name of a file while this process writes it.
    pub(crate) fn unfinished(&self, name: &str) -> String {
        format!("unfinished-{}-{name}", self.token)
    }

    /// Path of the file of a segment while this process writes it.
    pub fn unfinished_path(&self, segment: &PlannedSegment) -> std::path::PathBuf {
        self.path().join(self.unfinished(&segment.file))
    }

    fn cannot_write(&self, name: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(format!("cannot write {}", self.path().join(name).display()))
    }

    /// The state of a segment.
    pub fn state(&self, segment: &PlannedSegment, check: Check) -> SegmentState {
        let finished = self.finished(segment, check);
        if let Ok(Some(record)) = finished {
            return SegmentState::Finished(record);
        }
        if let ClaimState::Alive(host) = self.claim_state(&claim_name(segment)) {
            return SegmentState::Running(host);
        }
        match (finished, self.failure(segment)) {
            (Err(why), _) => SegmentState::Damaged(why),
            (_, Some(failure)) => SegmentState::Failed(failure),
            _ => SegmentState::Missing,
        }
    }

    /// The record of a finished segment whose file matches it; `None` if there is no record.
    /// Otherwise returns the reason.
    fn finished(
        &self,
        segment: &PlannedSegment,
        check: Check,
    ) -> std::result::Result<Option<SegmentRecord>, String> {
        let name = record_name(segment);
        let record: SegmentRecord = match self.read_json(&name) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(why) => return Err(format!("its record {name} cannot be read: {why}")),
        };
        if record.address != segment.address {
            return Err("it belongs to another plan (its address differs)".into());
        }
        if record.frames != segment.frames {
            return Err(format!("expected {} frames, got {}", segment.frames, record.frames));
        }
        let file = &segment.file;
        let mut open = match self.folder.read(file) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("its file {file} is missing"));
            }
            Err(error) => return Err(format!("its file {file} cannot be read: {error}")),
        };
        let bytes = open.metadata().map_or(0, |metadata| metadata.len());
        if bytes != record.bytes {
            return Err(format!("its file {file} has {bytes} bytes, expected {}", record.bytes));
        }
        if check == Check::Content {
            match file_hash(&mut open) {
                Ok(hash) if hash == record.blake3 => {}
                Ok(_) => return Err(format!("the content of its file {file} has changed")),
                Err(error) => return Err(format!("its file {file} cannot be read: {error}")),
            }
        }
        Ok(Some(record))
    }

    /// Records a finished segment, and forgets earlier failures.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn record(&self, segment: &PlannedSegment, record: &SegmentRecord) -> Result<()> {
        self.write_json(&record_name(segment), record)?;
        let _ = self.folder.remove_file(&failure_name(segment));
        Ok(())
    }

    /// Records a failed attempt, as far as possible.
    pub fn record_failure(&self, segment: &PlannedSegment, error: &str) {
        let attempts = self.failure(segment).map_or(0, |failure| failure.attempts);
        let failure = SegmentFailure {
            attempts: attempts.saturating_add(1),
            error: error.to_owned(),
            host: self.host.clone(),
        };
        // The error itself is reported, too.
        let _ = self.write_json(&failure_name(segment), &failure);
    }

    /// The latest failure of a segment.
    pub fn failure(&self, segment: &PlannedSegment) -> Option<SegmentFailure> {
        self.read_json(&failure_name(segment)).ok().flatten()
    }

    /// Claims a segment for this process. `None` if another process has claimed it, unless `force`.
    ///
    /// # Errors
    /// If the claim cannot be written.
    pub fn claim(&self, segment: &PlannedSegment, force: bool) -> Result<Option<Claim>> {
        let name = claim_name(segment);
        match self.claim_state(&name) {
            ClaimState::Alive(_) if !force => return Ok(None),
            ClaimState::None => {}
            ClaimState::Alive(_) | ClaimState::Abandoned => {
                if !Claim::remove_other(self, &name, force) {
                    return Ok(None);
                }
            }
        }
        Claim::take(self, &name)
    }

    /// Whether a process works on a segment.
    pub(crate) fn claim_state(&self, name: &str) -> ClaimState {
        let Some(modified) = self.modified(name) else { return ClaimState::None };
        // Without a clock, no claim is abandoned.
        let now = self.now().unwrap_or(modified);
        let content = || self.read_json::<crate::job::claim::Content>(name).ok().flatten();
        match now.duration_since(modified).unwrap_or_default() < self.stale {
            true => {
                let host = content().map(|claim| claim.host);
                ClaimState::Alive(host.unwrap_or("another machine".into()))
            }
            false => ClaimState::Abandoned,
        }
    }

    fn modified(&self, name: &str) -> Option<SystemTime> {
        self.folder.read(name).and_then(|file| file.metadata()?.modified()).ok()
    }

    /// The time of the file system, whose clock may differ from that of this machine.
    fn now(&self) -> Option<SystemTime> {
        let name = self.unfinished("now");
        let written = self.folder.create(&name).and_then(|mut file| {
            io::Write::write_all(&mut file, b"0")?;
            file.sync_data()?;
            file.metadata()?.modified()
        });
        let _ = self.folder.remove_file(&name);
        written.ok()
    }

    /// Records the kind of device of the first segment; returns the one that is recorded.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn decide_device(&self, device: &Fingerprint) -> Result<Fingerprint> {
        let text = serde_json::to_vec_pretty(device).map_err(io::Error::other);
        let new = self.unfinished(DEVICE);
        let unreadable = |why: String| Error::Unusable { path: self.path().join(DEVICE), why };
        if let Some(decided) = self.decided_device().map_err(unreadable)? {
            return Ok(decided);
        }
        // A hard link fails if the name exists, so that the first process decides.
        let linked = text.and_then(|text| {
            self.folder.write_by(&new, &text, &self.unfinished("device"))?;
            match std::fs::hard_link(self.path().join(&new), self.path().join(DEVICE)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    // No hard links: two first processes at the same time are not told apart.
                    self.folder.rename(&new, DEVICE)
                }
                _ => Ok(()),
            }
        });
        let _ = self.folder.remove_file(&new);
        linked.map_err(self.cannot_write(DEVICE))?;
        let decided = self.decided_device().map_err(unreadable)?;
        Ok(decided.unwrap_or_else(|| device.clone()))
    }

    /// The kind of device that the first segment decided; otherwise returns the reason.
    fn decided_device(&self) -> Result<Option<Fingerprint>, String> {
        self.read_json(DEVICE)
    }

    /// Removes the folder with all segments.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self) -> Result<()> {
        self.folder.remove().map_err(self.cannot_write(""))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let file = match self.folder.read(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        read_json(file).map(Some)
    }

    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec_pretty(value).map_err(io::Error::other);
        text.and_then(|text| self.folder.write_by(name, &text, &self.unfinished(name)))
            .map_err(self.cannot_write(name))
    }
}

fn read_json<T: DeserializeOwned>(file: File) -> Result<T, String> {
    let mut text = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn record_name(segment: &PlannedSegment) -> String {
    format!("{:06}.json", segment.index)
}

fn failure_name(segment: &PlannedSegment) -> String {
    format!("{:06}.failed", segment.index)
}

fn claim_name(segment: &PlannedSegment) -> String {
    format!("{:06}.claim", segment.index)
}

/// Name of this machine, for people.
fn host_name() -> String {
    let file = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let known = file.or_else(|| std::env::var("HOSTNAME").ok());
    let known = known.or_else(|| std::env::var("COMPUTERNAME").ok());
    known.map_or("unknown".into(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests;
