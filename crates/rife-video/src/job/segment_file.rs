//! Encodes one segment of a plan.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use rife_runtime::Frame;

use crate::job::JobSettings;
use crate::job::folder::JobFolder;
use crate::job::open_segment::{OpenSegment, SegmentEncoder};
use crate::job::plan::PlannedSegment;
use crate::job::work_folder::WorkFolder;
use crate::stream::Sink;
use crate::{Error, Result};

/// Read buffer for hashes, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// A sink for the frames of one segment. The file gets its name when it is complete.
#[derive(Debug)]
pub struct SegmentFile {
    encoder: SegmentEncoder,
    folder: Arc<JobFolder>,
    planned: PlannedSegment,
    unfinished: String,
    current: Option<OpenSegment>,
}

/// A segment file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenSegment {
    /// Size, in bytes.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub blake3: String,
}

impl SegmentFile {
    /// A sink for the frames of `planned`, in a work folder.
    pub fn new(settings: &JobSettings, folder: &WorkFolder, planned: &PlannedSegment) -> Self {
        Self {
            encoder: settings.encoder(),
            folder: folder.folder().clone(),
            unfinished: folder.unfinished(&planned.file),
            planned: planned.clone(),
            current: None,
        }
    }

    /// Waits for the encoder, checks that every planned frame was written, and gives the file its
    /// name.
    ///
    /// # Errors
    /// If the encoder failed, or the frames are not the planned ones.
    pub fn finish(mut self) -> Result<WrittenSegment> {
        let planned = self.planned.clone();
        let wrong = |what: &str, expected: i64, got: i64| {
            Error::Refused(format!(
                "segment {} is not as planned: expected {expected} {what}, got {got}; plan the job \
                 again",
                planned.index
            ))
        };
        let Some(current) = self.current.take() else {
            return Err(wrong("frames", planned.frames, 0));
        };
        let unfinished = current.unfinished().to_owned();
        let [first, last] = current.ticks();
        let result = match () {
            () if current.frames() != planned.frames => {
                Err(wrong("frames", planned.frames, current.frames()))
            }
            () if first != planned.first_tick => {
                Err(wrong("ticks before the first frame", planned.first_tick, first))
            }
            () if last != planned.last_tick => {
                Err(wrong("ticks before the last frame", planned.last_tick, last))
            }
            () => {
                let mut blake3 = String::new();
                let mut hash = |file: &mut File| {
                    blake3 = file_hash(file).map_err(Error::io("cannot read a segment"))?;
                    Ok(())
                };
                let segment = current.finish(&mut hash);
                segment.map(|segment| WrittenSegment { bytes: segment.bytes, blake3 })
            }
        };
        if result.is_err() {
            let _ = self.folder.remove_file(&unfinished);
        }
        result
    }
}

impl Sink for SegmentFile {
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, _left: &Frame) -> Result<()> {
        let current = match self.current.take() {
            Some(current) => current,
            None => {
                let names = [self.planned.file.clone(), self.unfinished.clone()];
                OpenSegment::begin(&self.encoder, &self.folder, names, number, ticks)?
            }
        };
        self.current = Some(current.put(ticks, frame)?);
        Ok(())
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if self.current.take().is_some() {
            let _ = self.folder.remove_file(&self.unfinished);
        }
    }
}

/// BLAKE3 of a file, in hexadecimal.
pub(crate) fn file_hash(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_hex().to_string()),
            Ok(n) => _ = hasher.update(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
