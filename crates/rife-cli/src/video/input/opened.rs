//! An input that was opened, and the source of its frames.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use rife_runtime::PixelFormat;
use rife_video::{
    AsPlanned, Colour, ContainerTiming, DecoderInput, HwDecoder, Part, PartSource, PipeFormat,
    PipeSource, PlannedSource, Programs, Rational, RawFormat, ScannedFrame, SeekingDecoder,
    SegmentSource, Source,
};

use super::images::ImageFolder;
use super::webp::WebpSource;

/// Frame rate of images and raw video without --input-fps.
pub(super) const DEFAULT_RATE: i64 = 25;

/// An input that was opened and checked.
pub(in crate::video) struct Input {
    /// Its name in messages.
    pub(in crate::video) name: String,
    /// Memory layout of the frames.
    pub(in crate::video) raw: RawFormat,
    /// The same as a format of the engines.
    pub(in crate::video) pixel_format: PixelFormat,
    /// Colour description, with defaults for what the input does not declare.
    pub(in crate::video) colour: Colour,
    /// Colour description as declared by the input.
    pub(in crate::video) declared_colour: Colour,
    /// Every timestamp is a multiple of this, s.
    pub(in crate::video) time_base: Rational,
    /// Rounding of the container's timestamps, s; 0 if they are exact.
    pub(in crate::video) time_rounding: Rational,
    /// Average frame rate.
    pub(in crate::video) rate: Rational,
    /// Whether the container does not declare a constant frame rate.
    pub(in crate::video) variable_rate: bool,
    /// Number of frames, if known.
    pub(in crate::video) frames: Option<u64>,
    /// The part to interpolate; `None` for all of it. `frames` counts its frames.
    pub(in crate::video) part: Option<Part>,
    /// Width of a pixel divided by its height.
    pub(in crate::video) sample_aspect: Option<Rational>,
    pub(in crate::video) kind: InputKind,
    /// Temporary copy of a pipe, deleted on drop. The end of the job still reads audio from it.
    pub(super) _temporary_copy: Option<tempfile::TempPath>,
}

pub(in crate::video) enum InputKind {
    /// A file that ffmpeg decodes.
    File {
        path: PathBuf,
        source: Box<rife_video::Probed>,
        working: rife_video::WorkingFormat,
        /// The hardware decoder, if one is used.
        hardware: Option<HwDecoder>,
    },
    /// Y4M or raw video at the first frame; `None` once decoding has started.
    Stream { reader: Option<Box<dyn BufRead + Send>>, wrapping: PipeFormat },
    /// A folder of images.
    Images(ImageFolder),
    /// An animated WebP; `None` once decoding has started.
    Webp(Option<Box<WebpSource>>),
}

impl Input {
    /// Restricts the input to a part.
    ///
    /// # Errors
    /// If it is known to have no frame in this part.
    pub(super) fn select(&mut self, part: Part) -> Result<()> {
        self.part = Some(part);
        let Some(frames) = self.frames else { return Ok(()) };
        let frame_time = self.rate.recip();
        let numbers = part.numbers(frames, self.first_time(), frame_time);
        // The number of frames may be an estimate.
        let exact = match &self.kind {
            InputKind::Images(_) => true,
            InputKind::File { source, .. } => {
                !self.variable_rate && !source.video.frames_estimated && !source.clock_may_jump()
            }
            InputKind::Stream { .. } | InputKind::Webp(_) => false,
        };
        if exact && numbers.is_empty() {
            let time = |number: u64| self.first_time() + frame_time * number as i64;
            let last = numbers.start.checked_sub(1).map(time);
            let after = Some(numbers.start).filter(|number| *number < frames).map(time);
            return Err(part.error(&self.name, last, after).into());
        }
        self.frames = Some(numbers.end - numbers.start);
        Ok(())
    }

    /// Time of the first frame, s, as far as it is known.
    fn first_time(&self) -> Rational {
        match &self.kind {
            InputKind::File { source, .. } => source.video_start().unwrap_or_default(),
            _ => Rational::from(0),
        }
    }

    /// Start of the part, s; 0 without one.
    pub(in crate::video) fn part_start(&self) -> Rational {
        self.part.map(|part| part.from()).unwrap_or_default()
    }

    /// What decodes the input; `None` if that is not ffmpeg.
    pub(in crate::video) fn decoder(&self, programs: Option<&Programs>) -> Option<DecoderInput> {
        let InputKind::File { path, source, working, hardware } = &self.kind else { return None };
        Some(DecoderInput {
            programs: programs?.clone(),
            path: path.clone(),
            name: self.name.clone(),
            source: (**source).clone(),
            working: working.clone(),
            timing: timing(source),
            hardware: *hardware,
        })
    }

    /// Starts decoding. Can be called once.
    pub(in crate::video) fn start(
        &mut self,
        programs: Option<&Programs>,
    ) -> Result<Box<dyn Source>> {
        let source = self.start_whole(programs)?;
        Ok(match self.part {
            Some(part) => Box::new(PartSource::new(source, part, &self.name, self.rate.recip())),
            None => source,
        })
    }

    /// Starts decoding at the part or before it.
    fn start_whole(&mut self, programs: Option<&Programs>) -> Result<Box<dyn Source>> {
        const STARTED: &str = "decoding has already started";
        Ok(match &mut self.kind {
            InputKind::File { .. } => {
                let decoder = self.decoder(programs).context("ffmpeg was not located")?;
                Box::new(SeekingDecoder::start(decoder, self.part_start())?)
            }
            InputKind::Stream { reader, wrapping } => {
                let reader = reader.take().context(STARTED)?;
                Box::new(PipeSource::new(reader, &self.name, *wrapping, self.rate))
            }
            InputKind::Webp(source) => source.take().context(STARTED)?,
            InputKind::Images(folder) => {
                let frame_time = self.rate.recip();
                let numbers = |part: Part| {
                    part.numbers(folder.files().len() as u64, Rational::from(0), frame_time)
                };
                let first = self.part.map_or(0, |part| numbers(part).start);
                Box::new(folder.source(self.raw.size, self.pixel_format, frame_time, first))
            }
        })
    }

    /// Starts decoding the source frames of a segment. Without `may_seek`, decodes from the start.
    /// Also returns whether the frames were the planned ones, which is set when they have been read.
    pub(in crate::video) fn start_part(
        &self,
        programs: &Programs,
        range: &PlannedSource,
        may_seek: bool,
    ) -> Result<(Box<dyn Source>, AsPlanned)> {
        match &self.kind {
            InputKind::File { .. } => {
                let input = self.decoder(Some(programs)).context("ffmpeg was not located")?;
                let segment = SegmentSource::start(input, range, may_seek)?;
                let as_planned = segment.as_planned();
                Ok((Box::new(segment), as_planned))
            }
            InputKind::Images(folder) => {
                let frame_time = self.rate.recip();
                let first = u64::try_from(range.decode_from).unwrap_or_default();
                let source = folder.source(self.raw.size, self.pixel_format, frame_time, first);
                // The hash of the input covers the images.
                Ok((Box::new(source), Arc::new(OnceLock::from(true))))
            }
            InputKind::Stream { .. } | InputKind::Webp(_) => {
                bail!("{} cannot be read in parts", self.name)
            }
        }
    }

    /// Lists all source frames; a file is decoded once for that. `on_frame` is called with the
    /// number of frames so far.
    pub(in crate::video) fn scan(
        &self,
        programs: &Programs,
        on_frame: impl FnMut(u64) -> rife_video::Result<()>,
    ) -> Result<ScannedInput> {
        match &self.kind {
            InputKind::File { path, source, working, .. } => {
                let timing = timing(source);
                let frames =
                    rife_video::scan_frames(programs, path, source, working, timing, on_frame)?;
                // Elsewhere, the decoder's corrections depend on everything before a frame.
                let seek = Some(timing).filter(|_| !source.clock_may_jump());
                Ok(ScannedInput { frames, seek, checksums: true })
            }
            InputKind::Images(folder) => {
                let frame_time = self.rate.recip();
                let frame = |number| {
                    let time = frame_time * number as i64;
                    let duration = Some(frame_time);
                    ScannedFrame { stated: Some(time), time, duration, checksum: 0 }
                };
                let frames = (0..folder.files().len()).map(frame).collect();
                Ok(ScannedInput { frames, seek: None, checksums: false })
            }
            InputKind::Stream { .. } | InputKind::Webp(_) => {
                bail!(
                    "expected a video file that ffmpeg reads or a folder of images, got {}",
                    self.name
                )
            }
        }
    }
}

/// All source frames of an input.
pub(in crate::video) struct ScannedInput {
    pub(in crate::video) frames: Vec<ScannedFrame>,
    /// The timing of the container, if the decoder can seek in it.
    pub(in crate::video) seek: Option<ContainerTiming>,
    /// Whether the frames have checksums.
    pub(in crate::video) checksums: bool,
}

fn timing(source: &rife_video::Probed) -> ContainerTiming {
    ContainerTiming::new(source, Rational::from(DEFAULT_RATE))
}
