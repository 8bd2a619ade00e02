//! HEAD jobsettings

use std::path::PathBuf;

use crate::ffmpeg::{Encoding, Feature, Probed, Programs};
use crate::job::content::ContentHash;
use crate::job::journal::Fingerprint;
use crate::{Colour, Orientation, Rational, RawFormat};

/// The length of a segment in seconds: at most so much is lost when a job is killed.
const SEGMENT_S: i64 = 5;

/// What a job writes.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// ffmpeg.
    pub programs: Programs,
    /// The video to write.
    pub output: PathBuf,
    /// The container, by the ending of names (`mp4`).
    pub container: String,
    /// Whether an existing output is replaced, and an unfinished job discarded.
    pub overwrite: bool,
    /// Whether the output is a pipe or a device: written through, never replaced.
    pub write_through: bool,
    /// Whether to continue an unfinished job.
    pub resume: bool,
    /// The encoder.
    pub encoding: Encoding,
    /// The frames that it gets.
    pub raw: RawFormat,
    /// How the frames were applied_orientation before they are written.
    pub applied_orientation: Orientation,
    /// Features whose loss was reported already.
    pub reported: Vec<Feature>,
    /// Seconds of which every time is a multiple.
    pub tick: Rational,
    /// Frames a second, on average.
    pub rate: Rational,
    /// Width of a pixel over its height.
    pub sample_aspect: Option<Rational>,
    /// What samples mean.
    pub colour: Colour,
    /// The file whose other streams go along.
    pub original: Option<Original>,
    /// Every setting that decides what the output's bits are; those known here are added.
    pub fingerprint: Fingerprint,
}

impl JobSettings {
    /// Frames of a segment.
    pub fn frames_per_segment(&self) -> i64 {
        (self.rate * SEGMENT_S).round().to_integer().clamp(24, 600)
    }

    pub(super) fn complete_fingerprint(&self, content: Option<&ContentHash>) -> Fingerprint {
        let mut all = self.fingerprint.clone();
        let mut add = |key: &str, value: String| _ = all.insert(key.into(), value);
        let encoding = &self.encoding;
        if let Some(content) = content {
            add("input size", format!("{} bytes", content.bytes()));
        }
        add("encoder", encoding.encoder.clone());
        add("encoder options", encoding.args.join(" "));
        add("encoder pixel format", encoding.pix_fmt.clone());
        add("ffmpeg", self.programs.build.clone());
        add("written frame size", self.raw.size.to_string());
        add("frames per segment", self.frames_per_segment().to_string());
        add("output rate", format!("{} fps", self.rate));
        add("time base", format!("{} s", self.tick));
        let aspect = self.sample_aspect.unwrap_or_else(|| Rational::from(1));
        add("pixel aspect ratio", aspect.to_string());
        add("program", format!("rife {}", env!("CARGO_PKG_VERSION")));
        all
    }
}

/// The file whose sound, subtitles, chapters and metadata go along.
#[derive(Clone, Debug)]
pub struct Original {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub probed: Probed,
    /// Whether its sound goes along.
    pub audio: bool,
    /// Whether its subtitles, chapters and other streams do.
    pub others: bool,
    /// Whether the video keeps the time at which it starts after the other streams.
    pub offset: bool,
}
