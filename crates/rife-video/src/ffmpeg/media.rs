//! What ffprobe reports about a file.

use rife_runtime::FrameSize;
use std::collections::BTreeMap;

use crate::ffmpeg::access::Access;
use crate::ffmpeg::cut::Chapter;
use crate::ffmpeg::hdr::Hdr;
use crate::{Colour, Orientation, Rational};

/// A probed file with a video stream.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Names of the demuxer, as in `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// Start of the earliest stream, in s.
    pub start: Rational,
    /// All streams, in order.
    pub streams: Vec<Stream>,
    /// The main video stream.
    pub video: Video,
    /// Number of chapters.
    pub chapters: usize,
    /// Global tags.
    pub tags: BTreeMap<String, String>,
    /// The chapters.
    pub(crate) chapter_list: Vec<Chapter>,
    /// What commands that read the file may open.
    pub(crate) access: Access,
}

impl Probed {
    /// The streams that every ffmpeg command must select together. In containers whose clock may
    /// jump, ffmpeg counts times from the earliest stream selected instead of the earliest of all.
    /// Video and audio are read by separate commands and must stay in sync. Empty for other
    /// containers.
    pub(crate) fn timing_streams(&self) -> Vec<usize> {
        // For Ogg this applies to ffmpeg 6 and later.
        if !self.clock_may_jump() {
            return Vec::new();
        }
        let main = |stream: &&Stream| {
            let sound =
                stream.kind == StreamKind::Audio && stream.present && !stream.in_other_program;
            stream.index == self.video.index || sound && !stream.codec.is_empty()
        };
        let first = self.streams.iter().filter(main).filter_map(|stream| stream.start).min();
        // Subtitles are sparse; they count if they start first.
        let text = |stream: &&Stream| {
            let text = stream.kind == StreamKind::Subtitle && !stream.in_other_program;
            text && !stream.codec.is_empty() && stream.start < first && stream.start.is_some()
        };
        let used = self.streams.iter().filter(|stream| main(stream) || text(stream));
        used.map(|stream| stream.index).collect()
    }

    /// Whether the container's clock may jump, as in joined recordings: ffmpeg corrects frame times
    /// while reading, and the stated start and end do not belong together. These are the demuxers
    /// with ffmpeg's flag `AVFMT_TS_DISCONT`.
    pub fn clock_may_jump(&self) -> bool {
        const JUMPING: &[&str] =
            &["mpegts", "mpegtsraw", "mpeg", "ogg", "hls", "dhav", "live_flv", "ty"];
        self.container.split(',').any(|name| JUMPING.contains(&name))
    }

    /// Zero of ffmpeg's times on the container's clock, in s; `None` if that clock may start
    /// anywhere. Matroska's starts at 0.
    pub(crate) fn clock_origin(&self) -> Option<Rational> {
        self.container.split(',').any(|name| name == "matroska").then_some(self.start)
    }

    /// Zero of ffmpeg's times, in s.
    pub(super) fn origin(&self) -> Rational {
        let together = self.timing_streams();
        let used = self.streams.iter().filter(|stream| together.contains(&stream.index));
        let first = used.filter_map(|stream| stream.start).min();
        first.map_or(self.start, |first| first.max(self.start))
    }
}

/// Kind of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamKind {
    /// Video.
    Video,
    /// Attached picture, such as a cover.
    Picture,
    /// Audio.
    Audio,
    /// Text or bitmap subtitles.
    Subtitle,
    /// Attached file, such as a font.
    Attachment,
    /// Anything else.
    #[default]
    Data,
}

/// A stream of a file.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Index in the file.
    pub index: usize,
    /// Kind.
    pub kind: StreamKind,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// The container's four-character code, such as `tmcd` or `gpmd`.
    pub tag: String,
    /// Dispositions, as named by ffmpeg: `default`, `forced`, …
    pub dispositions: Vec<String>,
    /// File name of an attachment or cover, if stated.
    pub file_name: Option<String>,
    /// Number of audio channels.
    pub channels: usize,
    /// Whether the stream has content. Recordings announce streams that never arrive; their sizes
    /// and sample rates are unknown, and they cannot be copied.
    pub present: bool,
    /// Whether it belongs to another program than the main video.
    pub in_other_program: bool,
    /// Start, in s; `None` if unknown.
    pub start: Option<Rational>,
}

/// The main video stream.
#[derive(Clone, Debug)]
pub struct Video {
    /// Index in the file.
    pub index: usize,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// Frame size as stored, before rotation.
    pub size: FrameSize,
    /// ffmpeg's name of the pixel format.
    pub pix_fmt: String,
    /// Pixel aspect ratio (width / height).
    pub sample_aspect: Option<Rational>,
    /// Length of a tick, in s.
    pub time_base: Rational,
    /// Lowest rate that all times fit, in frames per second.
    pub rate: Option<Rational>,
    /// Average rate, in frames per second.
    pub avg_rate: Option<Rational>,
    /// Number of frames.
    pub frames: Option<u64>,
    /// Whether `frames` was computed from duration and rate.
    pub frames_estimated: bool,
    /// Duration of the stream, in s; `None` if only that of the container is known.
    pub duration: Option<Rational>,
    /// End in ffmpeg's times, in s; `None` if unknown.
    pub end: Option<Rational>,
    /// Colour properties.
    pub colour: Colour,
    /// Rotation for display, in degrees counter-clockwise.
    pub rotation: i32,
    /// Rotation and mirroring for display; `None` unless it is a multiple of 90 degrees.
    pub orientation: Option<Orientation>,
    /// Whether there is a separate alpha stream, as in VP8 and VP9.
    pub alpha: bool,
    /// Timecode of the first frame, `HH:MM:SS:FF`.
    pub timecode: Option<String>,
    /// Reel name of the timecode.
    pub reel: Option<String>,
    /// Whether the video is interlaced.
    pub interlaced: bool,
    /// HDR metadata.
    pub hdr: Hdr,
}
