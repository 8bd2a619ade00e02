//! The request to join segments into a video.

use std::path::Path;

use rife_runtime::FrameSize;

use crate::ffmpeg::cut::Cut;
use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::media::Probed;
use crate::{Colour, Orientation, Rational};

/// A request to join segments into a video, with the other streams of the original.
#[derive(Clone, Copy, Debug)]
pub struct Mux<'a> {
    /// The segment list.
    pub list: &'a Path,
    /// The file to copy audio, subtitles, chapters and metadata from.
    pub original: Option<(&'a Path, &'a Probed)>,
    /// Path of the video.
    pub output: &'a Path,
    /// File extension of the final output.
    pub container: &'a str,
    /// Whether to copy audio.
    pub audio: bool,
    /// Whether to copy subtitles, chapters, data and the timecode, which belong to moments of the
    /// video.
    pub others: bool,
    /// Rotation that was applied to the frames.
    pub applied_orientation: Orientation,
    /// Frame size.
    pub size: FrameSize,
    /// Features whose loss has been reported.
    pub reported: &'a [Feature],
    /// Time of the first frame after the start of the original, in s.
    pub offset: Rational,
    /// The part of the original that the video shows; `None` for all of it.
    pub cut: Option<Cut>,
    /// The last frame, if known: segments state the duration of every other frame.
    pub last: Option<LastFrame>,
    /// Ticks per second.
    pub time_scale: i64,
    /// Average frame rate, in frames per second; AVI has no other times.
    pub rate: Rational,
    /// Colour properties, for codecs that do not store them.
    pub colour: &'a Colour,
    /// Pixel aspect ratio (width / height).
    pub sample_aspect: Option<Rational>,
}

/// The last frame of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFrame {
    /// Frames before it.
    pub number: u64,
    /// Time after the first frame, in s.
    pub time: Rational,
    /// Duration, in s.
    pub duration: Rational,
}
