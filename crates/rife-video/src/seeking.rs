//! Decodes from a time on, without decoding everything before it where that gives the same frames.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ffmpeg::{DecodeOptions, HwDecoder, Probed, Programs, VideoStream, WorkingFormat};
use crate::pool::Pool;
use crate::stream::{Source, SourceFrame};
use crate::timing::ContainerTiming;
use crate::{Decoder, Rational, Result, decode_command_with};

/// How long before the wanted time the seek ends, in s: containers round times, and list packets in
/// the order of decoding.
const MARGIN_S: i64 = 1;

/// An input that ffmpeg decodes.
#[derive(Clone, Debug)]
pub struct DecoderInput {
    /// ffmpeg and ffprobe.
    pub programs: Programs,
    /// Path of the file.
    pub path: PathBuf,
    /// Name of the file in messages.
    pub name: String,
    /// What ffprobe found in it.
    pub source: Probed,
    /// Format of the frames.
    pub working: WorkingFormat,
    /// What the container states about frame times.
    pub timing: ContainerTiming,
    /// The hardware decoder, if one is to be used.
    pub hardware: Option<HwDecoder>,
}

impl DecoderInput {
    /// The time at which the decoder is asked to start, so that it delivers all frames from `from`
    /// on, in s; `None` for the start of the file.
    pub fn seek_time(&self, from: Rational) -> Option<Rational> {
        let start = from - MARGIN_S;
        (self.source.seeks_exactly() && start > Rational::from(0)).then_some(start)
    }

    /// The command that decodes from `start` on, in s, or from the start of the file.
    pub fn command(&self, start: Option<Rational>) -> Command {
        let path = self.path.as_path();
        let options = self.options(start);
        decode_command_with(&self.programs, path, &self.source, &self.working, &options)
    }

    /// Starts decoding with the command for these options.
    pub(crate) fn start_with(&self, options: &DecodeOptions) -> Result<Decoder> {
        let Self { programs, path, source, working, timing, .. } = self;
        let command = decode_command_with(programs, path, source, working, options);
        let stream = VideoStream::new(programs, path, source);
        Decoder::start(command, Path::new(&self.name), *timing, stream)
    }

    fn start(&self, from: Option<Rational>) -> Result<Decoder> {
        let decoder = self.start_with(&self.options(from))?;
        Ok(match from {
            Some(_) => decoder.after_seek(self.source.video_start()),
            None => decoder,
        })
    }

    fn options(&self, start: Option<Rational>) -> DecodeOptions {
        DecodeOptions { start, drop_earlier: false, hardware: self.hardware }
    }
}

/// Decodes a file. The first frame is that at `from` or one before it.
#[derive(Debug)]
pub struct SeekingDecoder {
    decoder: Decoder,
    input: DecoderInput,
    from: Rational,
    /// Whether the decoder started within the file, and no frame was read yet.
    is_at_seek: bool,
}

impl SeekingDecoder {
    /// Starts decoding at a keyframe before `from`, in s, or at the start of the file. 0 stands for
    /// the start of the file.
    ///
    /// # Errors
    /// If ffmpeg cannot be started.
    pub fn start(input: DecoderInput, from: Rational) -> Result<Self> {
        let seek = input.seek_time(from);
        let decoder = input.start(seek)?;
        Ok(Self { decoder, input, from, is_at_seek: seek.is_some() })
    }
}

impl Source for SeekingDecoder {
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        let frame = self.decoder.next(pool);
        if !std::mem::take(&mut self.is_at_seek) {
            return frame;
        }
        let covers = matches!(&frame, Ok(Some(first)) if first.time <= self.from);
        if covers && self.decoder.starts_at_keyframe() {
            return frame;
        }
        drop(frame);
        tracing::debug!("no usable keyframe before {} s: decoding from the start", self.from);
        self.decoder = self.input.start(None)?;
        self.decoder.next(pool)
    }

    fn stop(&mut self) {
        self.decoder.stop();
    }
}
