//! The journal of a job: its settings and finished segments, so that an interrupted job can resume.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::folder::JobFolder;
use crate::{Error, Result};

/// Version of the file format.
const VERSION: u32 = 2;

pub(crate) const FILE: &str = "journal.json";

/// Everything that determines the output: name and value of each setting, as text. A job can only
/// resume with the same fingerprint.
pub type Fingerprint = BTreeMap<String, String>;

/// A finished segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// File name.
    pub file: String,
    /// Number of the first frame.
    pub first: i64,
    /// Number of frames.
    pub frames: i64,
    /// Time of the first frame, in output ticks.
    pub ticks: i64,
    /// File size, in bytes.
    pub bytes: u64,
}

/// The journal of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    /// The settings that the job was started with.
    fingerprint: Fingerprint,
    /// Hash of the input of the segments.
    input: String,
    /// Finished segments, in order.
    segments: Vec<Segment>,
    #[serde(skip)]
    folder: Option<Arc<JobFolder>>,
}

impl Journal {
    /// The journal of a new job.
    pub(crate) fn new(folder: Arc<JobFolder>, fingerprint: Fingerprint) -> Self {
        Self {
            version: VERSION,
            fingerprint,
            input: String::new(),
            segments: Vec::new(),
            folder: Some(folder),
        }
    }

    /// Reads the journal of a folder; `None` if the folder has no journal.
    ///
    /// # Errors
    /// [`Error::Unusable`] if it cannot be read or has another version.
    pub(crate) fn open(folder: &Arc<JobFolder>) -> Result<Option<Self>> {
        let unusable = |why: String| Error::Unusable {
            path: folder.path().join(FILE),
            why: format!("not a journal of this version: {why}"),
        };
        let mut text = Vec::new();
        match folder.read(FILE).and_then(|mut file| file.read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let found: Versioned =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        if found.version != VERSION {
            return Err(unusable(format!("expected {VERSION}, got {}", found.version)));
        }
        let mut journal: Self =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        journal.folder = Some(folder.clone());
        journal.drop_damaged(folder);
        Ok(Some(journal))
    }

    /// Drops the first missing or changed segment and all later ones.
    fn drop_damaged(&mut self, folder: &JobFolder) {
        let mut next = 0;
        let whole = self.segments.iter().take_while(|segment| {
            let follows = segment.first == next && segment.frames > 0;
            next = segment.first.saturating_add(segment.frames);
            // Opening a segment refuses links and paths out of the folder.
            let found = folder.read(&segment.file).and_then(|file| file.metadata());
            follows && found.is_ok_and(|found| found.len() == segment.bytes)
        });
        let whole = whole.count();
        self.segments.truncate(whole);
    }

    /// One line for each setting that differs.
    pub(crate) fn differences(&self, now: &Fingerprint) -> Vec<String> {
        let keys: BTreeSet<_> = self.fingerprint.keys().chain(now.keys()).collect();
        let value = |of: &Fingerprint, key: &str| of.get(key).map_or("unset".into(), String::clone);
        keys.into_iter()
            .map(|key| (key, value(&self.fingerprint, key), value(now, key)))
            .filter(|(_, before, now)| before != now)
            .map(|(key, before, now)| format!("{key}: was {before}, is {now}"))
            .collect()
    }

    /// Output frames in finished segments.
    pub fn frames(&self) -> i64 {
        self.segments.last().map_or(0, |segment| segment.first.saturating_add(segment.frames))
    }

    /// Finished segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Compares the hash of the input with that of the finished segments.
    ///
    /// # Errors
    /// [`Error::OtherSettings`] if the input differs.
    pub(crate) fn check_input(&mut self, hash: &str) -> Result<()> {
        if self.input.is_empty() || self.segments.is_empty() {
            hash.clone_into(&mut self.input);
        }
        if self.input == hash {
            return Ok(());
        }
        Err(self.other_settings(vec!["input: its content has changed".into()]))
    }

    /// The error for these differences.
    pub(crate) fn other_settings(&self, differences: Vec<String>) -> Error {
        let folder = self.folder.as_ref().map(|folder| folder.path().to_owned());
        Error::OtherSettings { folder: folder.unwrap_or_default(), differences }
    }

    /// Adds a segment.
    pub(crate) fn push(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    /// Writes the journal atomically.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub(crate) fn write(&self) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other);
        text.and_then(|text| folder.write(FILE, &text))
            .map_err(Error::io(format!("cannot write {}", folder.path().join(FILE).display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(n: i64, bytes: u64) -> Segment {
        Segment { file: format!("{n}.mp4"), first: n * 10, frames: 10, ticks: n * 10, bytes }
    }

    fn folder() -> (tempfile::TempDir, Arc<JobFolder>) {
        let root = tempfile::tempdir().unwrap();
        let folder = JobFolder::open(&root.path().join("job")).unwrap();
        (root, folder.into())
    }

    #[test]
    fn resumes_after_the_last_undamaged_segment() {
        let (_root, folder) = folder();
        assert!(Journal::open(&folder).unwrap().is_none());
        let settings = Fingerprint::from([("model".into(), "4.6".into())]);
        let mut journal = Journal::new(folder.clone(), settings.clone());
        for n in 0..3 {
            folder.write(&format!("{n}.mp4"), &[0; 5]).unwrap();
            journal.push(segment(n, 5));
            journal.write().unwrap();
        }
        let again = Journal::open(&folder).unwrap().unwrap();
        assert_eq!(again.segments(), journal.segments());
        assert_eq!(again.frames(), 30);
        assert!(again.differences(&settings).is_empty());

        folder.write("1.mp4", b"four").unwrap();
        assert_eq!(Journal::open(&folder).unwrap().unwrap().frames(), 10);
    }

    #[test]
    fn each_difference_is_stated_once() {
        let (_root, folder) = folder();
        let of = |pairs: &[(&str, &str)]| -> Fingerprint {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        let journal = Journal::new(folder, of(&[("model", "4.6"), ("a", "1"), ("z", "2")]));
        let now = of(&[("model", "4.25"), ("x", "1"), ("z", "2")]);
        assert_eq!(
            journal.differences(&now),
            ["a: was 1, is unset", "model: was 4.6, is 4.25", "x: was unset, is 1"]
        );
    }

    #[test]
    fn segments_of_another_input_are_refused() {
        let (_root, folder) = folder();
        let mut journal = Journal::new(folder.clone(), Fingerprint::new());
        journal.check_input("a").unwrap();
        // No segment exists yet.
        journal.check_input("b").unwrap();
        folder.write("0.mp4", &[0; 5]).unwrap();
        journal.push(segment(0, 5));
        journal.write().unwrap();
        let mut journal = Journal::open(&folder).unwrap().unwrap();
        journal.check_input("b").unwrap();
        let error = journal.check_input("a").unwrap_err().to_string();
        assert!(error.contains("content has changed"), "{error}");
    }

    #[test]
    fn invalid_journals_and_paths_out_of_the_folder_are_refused() {
        let (_root, folder) = folder();
        for text in ["", "{", "[]", r#"{"version":1,"fingerprint":{},"segments":[]}"#] {
            folder.write(FILE, text.as_bytes()).unwrap();
            assert!(Journal::open(&folder).is_err(), "{text}");
        }
        let text = r#"{"version":2,"fingerprint":{},"input":"","segments":[
            {"file":"../x","first":0,"frames":1,"ticks":0,"bytes":0}]}"#;
        folder.write(FILE, text.as_bytes()).unwrap();
        assert_eq!(Journal::open(&folder).unwrap().unwrap().frames(), 0);
    }
}
