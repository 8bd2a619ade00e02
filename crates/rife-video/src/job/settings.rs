//! Settings of a job.

use std::path::PathBuf;

use crate::ffmpeg::{Encoding, Feature, Probed, Programs};
use crate::job::content::ContentHash;
use crate::job::journal::Fingerprint;
use crate::{Colour, Orientation, Part, Rational, RawFormat};

/// Length of a segment, in s: the most that is lost if a job is killed.
const SEGMENT_S: i64 = 5;

/// Settings of a job.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// ffmpeg and ffprobe.
    pub programs: Programs,
    /// Path of the output video.
    pub output: PathBuf,
    /// File extension of the container (`mp4`).
    pub container: String,
    /// Whether to replace an existing output, and to discard an unfinished job.
    pub overwrite: bool,
    /// Whether the output is a pipe or a device, which is written to instead of replaced.
    pub write_through: bool,
    /// Whether to continue an unfinished job.
    pub resume: bool,
    /// The encoder.
    pub encoding: Encoding,
    /// Format of the frames that the encoder receives.
    pub raw: RawFormat,
    /// Rotation that was applied to the frames.
    pub applied_orientation: Orientation,
    /// Features whose loss has been reported.
    pub reported: Vec<Feature>,
    /// Length of an output tick, in s; every time is a multiple.
    pub tick: Rational,
    /// Average frame rate, in frames per second.
    pub rate: Rational,
    /// Pixel aspect ratio (width / height).
    pub sample_aspect: Option<Rational>,
    /// Colour properties.
    pub colour: Colour,
    /// The file to take other streams from.
    pub original: Option<Original>,
    /// Settings that determine the output; [`crate::Job`] adds those of the encoder and the input.
    pub fingerprint: Fingerprint,
}

impl JobSettings {
    /// Frames per segment.
    pub fn frames_per_segment(&self) -> i64 {
        (self.rate * SEGMENT_S).round().to_integer().clamp(24, 600)
    }

    /// Everything that determines the output, except the input: `fingerprint` and the settings of
    /// the encoder.
    pub fn all_settings(&self) -> Fingerprint {
        self.complete_fingerprint(None)
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

/// The file to copy audio, subtitles, chapters and metadata from.
#[derive(Clone, Debug)]
pub struct Original {
    /// Path of the file.
    pub path: PathBuf,
    /// What ffprobe found in it.
    pub probed: Probed,
    /// Whether to copy audio.
    pub audio: bool,
    /// Whether to copy subtitles, chapters and other streams.
    pub others: bool,
    /// Whether the video keeps its start time relative to the other streams.
    pub offset: bool,
    /// The part that the video shows; `None` for all of it.
    pub part: Option<Part>,
    /// Length of the video divided by that of the part: more than 1 in slow motion.
    pub slowdown: Rational,
}
