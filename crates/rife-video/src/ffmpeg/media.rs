//! HEAD media

use rife_runtime::FrameSize;
use std::collections::BTreeMap;

use crate::ffmpeg::access::Access;
use crate::ffmpeg::hdr::Hdr;
use crate::{Colour, Orientation, Rational};

/// A file with a video stream.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Names of the container's format, as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub container: String,
    /// When the earliest stream starts, s.
    pub start: Rational,
    /// All streams, in order.
    pub streams: Vec<Stream>,
    /// The main video stream.
    pub video: Video,
    /// Chapters.
    pub chapters: usize,
    /// Tags of the file.
    pub tags: BTreeMap<String, String>,
    /// What commands that read it may open.
    pub(crate) access: Access,
}

impl Probed {
    /// The streams that ffmpeg is made to use together wherever it uses one of them. In containers
    /// whose times may jump it counts them from the first of the streams that it uses, and not of
    /// all: that picture and sound are read apart must not change what they are to each other.
    /// None in others.
    pub(crate) fn timing_streams(&self) -> Vec<usize> {
        // Ogg's are counted so by ffmpeg 6 and newer.
        if !self.clock_may_jump() {
            return Vec::new();
        }
        let main = |stream: &&Stream| {
            let sound =
                stream.kind == StreamKind::Audio && stream.present && !stream.in_other_program;
            stream.index == self.video.index || sound && !stream.codec.is_empty()
        };
        let first = self.streams.iter().filter(main).filter_map(|stream| stream.start).min();
        // Text is sparse, and waited for: it counts where it comes first.
        let text = |stream: &&Stream| {
            let text = stream.kind == StreamKind::Subtitle && !stream.in_other_program;
            text && !stream.codec.is_empty() && stream.start < first && stream.start.is_some()
        };
        let used = self.streams.iter().filter(|stream| main(stream) || text(stream));
        used.map(|stream| stream.index).collect()
    }

    /// Whether the container's clock may jump, as in recordings that were joined: ffmpeg corrects
    /// frames' times for that while it reads, and the stated start and end do not belong together.
    /// These are the demuxers that ffmpeg marks with `AVFMT_TS_DISCONT`.
    pub fn clock_may_jump(&self) -> bool {
        const JUMPING: &[&str] =
            &["mpegts", "mpegtsraw", "mpeg", "ogg", "hls", "dhav", "live_flv", "ty"];
        self.container.split(',').any(|name| JUMPING.contains(&name))
    }

    /// Where ffmpeg's times start on the container's clock, s; `None` where that clock may start
    /// anywhere. Matroska's starts at 0.
    pub(crate) fn clock_origin(&self) -> Option<Rational> {
        self.container.split(',').any(|name| name == "matroska").then_some(self.start)
    }

    /// What ffmpeg counts times from, s.
    pub(super) fn origin(&self) -> Rational {
        let together = self.timing_streams();
        let used = self.streams.iter().filter(|stream| together.contains(&stream.index));
        let first = used.filter_map(|stream| stream.start).min();
        first.map_or(self.start, |first| first.max(self.start))
    }
}

/// What a stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamKind {
    /// Moving pictures.
    Video,
    /// A picture that goes with the file, as a cover.
    Picture,
    /// Sound.
    Audio,
    /// Text or pictures of text.
    Subtitle,
    /// A file, as a font.
    Attachment,
    /// Anything else.
    #[default]
    Data,
}

/// A stream of a file.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Its place in the file.
    pub index: usize,
    /// What it is.
    pub kind: StreamKind,
    /// Its codec, in ffmpeg's words.
    pub codec: String,
    /// The container's code for its kind, such as `tmcd` or `gpmd`.
    pub tag: String,
    /// What it is for, in ffmpeg's words: `default`, `forced`, …
    pub dispositions: Vec<String>,
    /// The name of the file that it holds, where it is an attachment or a cover that has one.
    pub file_name: Option<String>,
    /// Channels of sound.
    pub channels: usize,
    /// Whether it was found to hold anything: recordings announce streams that never come, of
    /// which sizes and sample rates stay unknown, and which cannot be copied.
    pub present: bool,
    /// Whether it belongs to another program than the picture, as in recordings of several.
    pub in_other_program: bool,
    /// When it starts, s; `None` where that is not known.
    pub start: Option<Rational>,
}

/// The main video stream.
#[derive(Clone, Debug)]
pub struct Video {
    /// Its place in the file.
    pub index: usize,
    /// Its codec, in ffmpeg's words.
    pub codec: String,
    /// Its size as it lies in the file, not rotated.
    pub size: FrameSize,
    /// The format of its samples, in ffmpeg's words.
    pub pix_fmt: String,
    /// Width of a pixel over its height.
    pub sample_aspect: Option<Rational>,
    /// Seconds of a tick.
    pub time_base: Rational,
    /// The lowest rate that all times fit, frames a second.
    pub rate: Option<Rational>,
    /// Frames over duration, frames a second.
    pub avg_rate: Option<Rational>,
    /// Frames.
    pub frames: Option<u64>,
    /// Whether `frames` is duration by rate.
    pub frames_estimated: bool,
    /// How long the stream lasts, s; `None` where only the container's duration is known.
    pub duration: Option<Rational>,
    /// When it ends, s, as ffmpeg counts times; `None` where that is not known.
    pub end: Option<Rational>,
    /// What its samples mean.
    pub colour: Colour,
    /// Degrees by which a player turns it, counter-clockwise.
    pub rotation: i32,
    /// How a player turns and mirrors it; `None` for angles that are not right.
    pub orientation: Option<Orientation>,
    /// Whether it has transparency in a stream of its own, as VP8 and VP9 do.
    pub alpha: bool,
    /// The timecode of the first frame, `HH:MM:SS:FF`.
    pub timecode: Option<String>,
    /// The name of the reel that the timecode counts.
    pub reel: Option<String>,
    /// Whether its frames are fields.
    pub interlaced: bool,
    /// High dynamic range.
    pub hdr: Hdr,
}
