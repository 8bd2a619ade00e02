//! In which files ffmpeg can start to decode at any time, with the same frames as from the start.

use crate::Rational;
use crate::ffmpeg::media::Probed;

/// Demuxers that find the keyframe before a time, and whose times do not depend on where reading
/// starts.
const DEMUXERS: [&str; 2] = ["mov", "matroska"];

/// Codecs whose frames after a keyframe depend on nothing before it, and whose frames have
/// presentation times in these containers.
const CODECS: [&str; 18] = [
    "h264", "hevc", "vvc", "av1", "vp8", "vp9", "mjpeg", "prores", "ffv1", "dnxhd", "cfhd", "png",
    "huffyuv", "ffvhuff", "utvideo", "rawvideo", "v210", "jpeg2000",
];

impl Probed {
    /// Whether a read may start at any time of this file, instead of at its start.
    pub fn seeks(&self) -> bool {
        self.container.split(',').any(|name| DEMUXERS.contains(&name))
    }

    /// Whether decoding may start at any keyframe, with the same frames as from the start.
    pub fn seeks_exactly(&self) -> bool {
        self.seeks() && CODECS.contains(&self.video.codec.as_str())
    }

    /// Start of the main video stream in ffmpeg's times, in s: the time of its first frame.
    pub fn video_start(&self) -> Option<Rational> {
        let main = self.streams.iter().find(|stream| stream.index == self.video.index)?;
        let base = self.video.time_base;
        // Stated in microseconds, but a multiple of the tick.
        Some(((main.start? - self.origin()) / base).round() * base)
    }
}
