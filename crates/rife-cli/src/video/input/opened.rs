//! An input that was opened, and the source of its frames.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rife_runtime::PixelFormat;
use rife_video::{
    Colour, ContainerTiming, Decoder, PipeFormat, PipeSource, Programs, Rational, RawFormat,
    Source, VideoStream,
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
    /// Width of a pixel divided by its height.
    pub(in crate::video) sample_aspect: Option<Rational>,
    pub(in crate::video) kind: InputKind,
    /// Temporary copy of a pipe, deleted on drop. The end of the job still reads audio from it.
    pub(super) _temporary_copy: Option<tempfile::TempPath>,
}

pub(in crate::video) enum InputKind {
    /// A file that ffmpeg decodes.
    File { path: PathBuf, source: Box<rife_video::Probed>, working: rife_video::WorkingFormat },
    /// Y4M or raw video at the first frame; `None` once decoding has started.
    Stream { reader: Option<Box<dyn BufRead + Send>>, wrapping: PipeFormat },
    /// A folder of images.
    Images(ImageFolder),
    /// An animated WebP; `None` once decoding has started.
    Webp(Option<Box<WebpSource>>),
}

impl Input {
    /// Starts decoding. Can be called once.
    pub(in crate::video) fn start(
        &mut self,
        programs: Option<&Programs>,
    ) -> Result<Box<dyn Source>> {
        const STARTED: &str = "decoding has already started";
        Ok(match &mut self.kind {
            InputKind::File { path, source, working } => {
                let programs = programs.context("ffmpeg was not located")?;
                let command = rife_video::decode_command(programs, path, source, working);
                let expected = ContainerTiming::new(source, Rational::from(DEFAULT_RATE));
                let stream = VideoStream::new(programs, path, source);
                Box::new(Decoder::start(command, Path::new(&self.name), expected, stream)?)
            }
            InputKind::Stream { reader, wrapping } => {
                let reader = reader.take().context(STARTED)?;
                Box::new(PipeSource::new(reader, &self.name, *wrapping, self.rate))
            }
            InputKind::Webp(source) => source.take().context(STARTED)?,
            InputKind::Images(folder) => {
                Box::new(folder.source(self.raw.size, self.pixel_format, self.rate.recip()))
            }
        })
    }
}
