//! What of a job is done, kept beside its segments, so that a job that was ended can go on.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The version of the file's layout.
const VERSION: u32 = 1;

const FILE: &str = "journal.json";

/// What a job was begun with, in words. Only a job of the same can go on.
pub type Fingerprint = BTreeMap<String, String>;

/// A finished segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its file's name.
    pub file: String,
    /// The number of its first frame.
    pub first: i64,
    /// Its frames.
    pub frames: i64,
    /// When its first frame is shown, in ticks of the output.
    pub ticks: i64,
    /// Its file's size.
    pub bytes: u64,
}

/// The journal of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    /// What the job was begun with.
    pub fingerprint: Fingerprint,
    /// Finished segments, in order.
    pub segments: Vec<Segment>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Journal {
    /// Of a job that begins.
    pub fn new(folder: &Path, fingerprint: Fingerprint) -> Self {
        Self { version: VERSION, fingerprint, segments: Vec::new(), folder: folder.to_owned() }
    }

    /// The journal in a folder; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read or is no journal of this version.
    pub fn open(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(format!("cannot read {}", path.display()))(error)),
        };
        let unusable =
            |why: String| Error::Unusable { path: path.clone(), why: format!("no journal: {why}") };
        let mut journal: Self =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        if journal.version != VERSION {
            return Err(unusable(format!("version {}", journal.version)));
        }
        folder.clone_into(&mut journal.folder);
        journal.keep_whole();
        Ok(Some(journal))
    }

    /// Forgets segments from the first on that is not there as it was.
    fn keep_whole(&mut self) {
        let mut next = 0;
        let whole = self.segments.iter().take_while(|segment| {
            let follows = segment.first == next && segment.frames > 0;
            next = segment.first + segment.frames;
            // A name alone: a journal must not lead out of its folder.
            let named = Path::new(&segment.file).file_name() == Some(segment.file.as_ref());
            let there = fs::metadata(self.folder.join(&segment.file));
            follows && named && there.is_ok_and(|file| file.len() == segment.bytes)
        });
        let whole = whole.count();
        self.segments.truncate(whole);
    }

    /// What was begun with something else than this, in words; `None` where all is the same.
    pub fn difference(&self, fingerprint: &Fingerprint) -> Option<String> {
        let said = |of: &Fingerprint, key: &str| of.get(key).map_or("-".into(), String::clone);
        let keys = self.fingerprint.keys().chain(fingerprint.keys());
        let differing = keys.filter(|key| self.fingerprint.get(*key) != fingerprint.get(*key));
        let mut lines: Vec<String> = differing
            .map(|key| {
                format!(
                    "{key} was {} and is {}",
                    said(&self.fingerprint, key),
                    said(fingerprint, key)
                )
            })
            .collect();
        lines.dedup();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Output frames in finished segments.
    pub fn frames(&self) -> i64 {
        self.segments.last().map_or(0, |segment| segment.first + segment.frames)
    }

    /// The folder of the job.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a segment, and writes the journal as a whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, segment: Segment) -> Result<()> {
        self.segments.push(segment);
        self.write()
    }

    /// Writes the journal as a whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let path = self.folder.join(FILE);
        let cannot = || format!("cannot write {}", path.display());
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::io(cannot())(std::io::Error::other(error)))?;
        let mut file =
            tempfile::NamedTempFile::new_in(&self.folder).map_err(Error::io(cannot()))?;
        file.write_all(&text)
            .and_then(|()| file.as_file().sync_all())
            .map_err(Error::io(cannot()))?;
        file.persist(&path).map_err(|error| Error::io(cannot())(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(n: i64, bytes: u64) -> Segment {
        Segment { file: format!("{n}.mp4"), first: n * 10, frames: 10, ticks: n * 10, bytes }
    }

    #[test]
    fn a_journal_goes_on_after_the_segments_that_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap(), None);
        let said = Fingerprint::from([("model".into(), "4.6".into())]);
        let mut journal = Journal::new(folder.path(), said.clone());
        for n in 0..3 {
            fs::write(folder.path().join(format!("{n}.mp4")), vec![0; 5]).unwrap();
            journal.add(segment(n, 5)).unwrap();
        }
        let again = Journal::open(folder.path()).unwrap().unwrap();
        assert_eq!(again, journal);
        assert_eq!(again.frames(), 30);
        assert_eq!(again.difference(&said), None);
        let other = Fingerprint::from([("model".into(), "4.25".into()), ("x".into(), "1".into())]);
        assert_eq!(
            again.difference(&other).unwrap(),
            "model was 4.6 and is 4.25; x was - and is 1"
        );

        fs::write(folder.path().join("1.mp4"), b"four").unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap().unwrap().frames(), 10);
    }

    #[test]
    fn a_journal_that_is_none_is_refused_and_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(folder.path().join(FILE), text).unwrap();
        for text in ["", "{", "[]", r#"{"version":9,"fingerprint":{},"segments":[]}"#] {
            write(text);
            assert!(Journal::open(folder.path()).is_err(), "{text}");
        }
        write(
            r#"{"version":1,"fingerprint":{},"segments":[
                {"file":"../x","first":0,"frames":1,"ticks":0,"bytes":0}]}"#,
        );
        assert_eq!(Journal::open(folder.path()).unwrap().unwrap().frames(), 0);
    }
}
