//! HEAD mux

use std::path::Path;

use rife_runtime::FrameSize;

use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::media::Probed;
use crate::{Colour, Orientation, Rational};

/// SegmentSink and an original that become a video.
#[derive(Clone, Copy, Debug)]
pub struct Mux<'a> {
    /// The list of segments.
    pub list: &'a Path,
    /// The file whose sound, subtitles, chapters and metadata go along.
    pub original: Option<(&'a Path, &'a Probed)>,
    /// The video.
    pub output: &'a Path,
    /// The container, by the ending of the video's final name.
    pub container: &'a str,
    /// Whether sound goes along.
    pub audio: bool,
    /// Whether subtitles, chapters, data and the timecode do: what belongs to moments of the video.
    pub others: bool,
    /// How the frames were applied_orientation before they were encoded.
    pub applied_orientation: Orientation,
    /// The size of the output's frames.
    pub size: FrameSize,
    /// Features whose loss was reported already.
    pub reported: &'a [Feature],
    /// When the first frame is shown after the original's start, s.
    pub offset: Rational,
    /// The last frame, if it is known: segments say of all but that how long they are shown.
    pub last: Option<LastFrame>,
    /// Ticks a second.
    pub time_scale: i64,
    /// Frames a second, on average: AVI knows no other times.
    pub rate: Rational,
    /// What samples mean, for what does not say so itself.
    pub colour: &'a Colour,
    /// Width of a pixel over its height.
    pub sample_aspect: Option<Rational>,
}

/// A video's last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFrame {
    /// Frames before it.
    pub number: u64,
    /// When it is shown after the first, s.
    pub time: Rational,
    /// How long, s.
    pub duration: Rational,
}
