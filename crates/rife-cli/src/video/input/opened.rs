//! An input that was opened, and the source of its frames.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rife_runtime::PixelFormat;
use rife_video::{
    Colour, ContainerTiming, DecoderInput, HwDecoder, Part, PartSource, PipeFormat, PipeSource,
    Programs, Rational, RawFormat, SeekingDecoder, Source,
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
            timing: ContainerTiming::new(source, Rational::from(DEFAULT_RATE)),
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
}
