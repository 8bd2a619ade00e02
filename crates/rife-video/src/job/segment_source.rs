//! The source frames of one segment, and the proof that they are those of the plan.

use std::sync::{Arc, OnceLock};

use crate::decoder::Decoder;
use crate::error::Error;
use crate::ffmpeg::{DecodeOptions, ScannedFrame};
use crate::job::plan::{FrameDigest, PlannedSource};
use crate::pool::Pool;
use crate::seeking::DecoderInput;
use crate::stream::{Source, SourceFrame};
use crate::{Rational, Result};

/// Whether source frames were the planned ones; unset until they have been read.
pub type AsPlanned = Arc<OnceLock<bool>>;

/// Decodes the frames that a segment needs. It seeks if the plan allows that and the first frame
/// found is the planned one, and otherwise decodes from the start of the file.
#[derive(Debug)]
pub struct SegmentSource {
    input: DecoderInput,
    range: PlannedSource,
    seek_us: Option<i64>,
    decoder: Option<Decoder>,
    digest: FrameDigest,
    /// Number of the next source frame.
    next: i64,
    as_planned: AsPlanned,
}

impl SegmentSource {
    /// Starts decoding `range`. Without `may_seek`, decodes from the start of the file.
    ///
    /// # Errors
    /// If ffmpeg cannot be started.
    pub fn start(input: DecoderInput, range: &PlannedSource, may_seek: bool) -> Result<Self> {
        let seek_us = range.seek_us.filter(|_| may_seek);
        let mut source = Self {
            input,
            range: range.clone(),
            seek_us,
            decoder: None,
            digest: FrameDigest::default(),
            next: 0,
            as_planned: Arc::default(),
        };
        source.decoder = Some(source.decoder(seek_us)?);
        Ok(source)
    }

    /// Whether all frames needed were the planned ones; unset until they have been read.
    pub fn as_planned(&self) -> AsPlanned {
        self.as_planned.clone()
    }

    fn decoder(&self, seek_us: Option<i64>) -> Result<Decoder> {
        let input = &self.input;
        let options = DecodeOptions {
            start: seek_us.map(|micros| Rational::new(micros, 1_000_000)),
            drop_earlier: true,
            hardware: input.hardware,
        };
        let decoder = input.start_with(&options)?;
        Ok(match seek_us {
            Some(_) => decoder.starting_at(self.range.time),
            None => decoder,
        })
    }

    fn read(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        match &mut self.decoder {
            Some(decoder) => decoder.next(pool),
            None => Ok(None),
        }
    }

    /// The first frame: after a seek if it is the planned one, else by counting from the start.
    fn first(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        if let Some(micros) = self.seek_us {
            // An error of a decoder that starts in the middle is not one of the file.
            let found = self.read(pool).ok().flatten();
            if let Some(frame) = found.filter(|frame| frame.time == self.range.time) {
                return Ok(Some(frame));
            }
            tracing::info!("seeking to {micros} us failed: decoding from the start");
            self.decoder = None;
            self.decoder = Some(self.decoder(None)?);
        }
        for _ in 0..self.range.decode_from {
            match self.read(pool)? {
                Some(frame) => pool.recycle_shared(frame.frame),
                None => return Ok(None),
            }
        }
        let frame = self.read(pool)?;
        if let Some(frame) = &frame
            && frame.time != self.range.time
        {
            let (expected, got) = (self.range.time, frame.time);
            let _ = self.as_planned.set(false);
            return Err(Error::Unusable {
                path: self.input.path.clone(),
                why: format!(
                    "frame {} is not the planned one: expected the time {expected} s, got {got} s; \
                     plan the job again",
                    self.range.decode_from
                ),
            });
        }
        Ok(frame)
    }
}

impl Source for SegmentSource {
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        let number = self.range.decode_from + self.next;
        let frame = match self.next {
            0 => self.first(pool)?,
            _ => self.read(pool)?,
        };
        let Some(frame) = frame else {
            // Too few frames.
            let _ = self.as_planned.set(number > self.range.last && self.range.blake3.is_none());
            return Ok(None);
        };
        self.next += 1;
        if number <= self.range.last && self.range.blake3.is_some() {
            let mut adler = simd_adler32::Adler32::from_checksum(0);
            adler.write(frame.frame.as_bytes());
            self.digest.add(&ScannedFrame {
                stated: self.decoder.as_ref().and_then(Decoder::stated_time),
                time: frame.time,
                duration: None,
                checksum: adler.finish(),
            });
        }
        if number == self.range.last {
            let found = self.digest.finish();
            let same = self.range.blake3.as_ref().is_none_or(|planned| *planned == found);
            let _ = self.as_planned.set(same);
        }
        Ok(Some(frame))
    }
}
