//! What becomes of each stream of the original, and of its timecode and tags.

use crate::Rational;
use crate::ffmpeg::carry::{self, Carry};
use crate::ffmpeg::feature::{Feature, Target};
use crate::ffmpeg::media::{Probed, Stream, StreamKind};
use crate::ffmpeg::mux::Mux;
use crate::ffmpeg::table::Carried;
use crate::ffmpeg::timecode::{Converted, Timecode};

/// What becomes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the video that is interpolated.
    Main,
    /// It goes along.
    Carried(Carry),
    /// It is left out, for this reason.
    Left(String),
    /// It is another form of what goes along by other means, such as the timecode.
    Implied,
}

/// What becomes of a timecode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// There is none.
    None,
    /// It is written, and labels the same moment.
    Exact(String),
    /// It is written, and labels the nearest frame.
    Nearest(String),
    /// It is left out, for this reason.
    Left(String),
}

/// Why speed matters.
const SLOW: &str = "slow motion changes the speed";

/// The kind of thing that a stream is.
pub(super) fn feature(kind: StreamKind) -> Feature {
    match kind {
        StreamKind::Audio => Feature::Audio,
        StreamKind::Subtitle => Feature::Subtitles,
        StreamKind::Picture => Feature::Cover,
        StreamKind::Attachment => Feature::Attachment,
        StreamKind::Video => Feature::OtherVideo,
        StreamKind::Data => Feature::Data,
    }
}

/// Whether a stream is another form of the timecode or of the chapters.
pub(super) fn implied(stream: &Stream, source: &Probed) -> bool {
    // Chapters of QuickTime are a track of text that is read as data.
    let chapters = stream.tag == "text" && source.chapters > 0;
    stream.kind == StreamKind::Data && (stream.tag == "tmcd" || chapters)
}

/// What becomes of each stream, in the order of the original.
pub(super) fn streams(mux: &Mux<'_>, source: &Probed) -> Vec<Fate> {
    let container = mux.container.to_ascii_lowercase();
    let target = Target::of_container(&container);
    let fate = |stream: &Stream| {
        let feature = feature(stream.kind);
        if stream.index == source.video.index {
            return Fate::Main;
        }
        if implied(stream, source) {
            return Fate::Implied;
        }
        if !stream.present {
            return Fate::Left("announced, but empty".into());
        }
        if stream.beside {
            return Fate::Left("part of another program".into());
        }
        if stream.kind == StreamKind::Audio && !mux.audio {
            return Fate::Left(format!("{SLOW}; --audio keeps audio"));
        }
        if matches!(stream.kind, StreamKind::Subtitle | StreamKind::Data) && !mux.others {
            return Fate::Left(SLOW.into());
        }
        let carry = match stream.kind {
            StreamKind::Audio => carry::audio(&container, stream),
            StreamKind::Subtitle => carry::subtitles(&container, &stream.codec),
            StreamKind::Picture => carry::picture(&container, &stream.codec),
            StreamKind::Data => carry::data(&container, stream),
            StreamKind::Attachment => match target.map(|target| target.carries(feature)) {
                Some(Carried::Yes) => Carry::Copied,
                _ => Carry::Left,
            },
            StreamKind::Video => Carry::Left,
        };
        match (carry, target.map(|target| target.carries(feature))) {
            (Carry::Left, Some(Carried::No(why) | Carried::Some(why))) => Fate::Left(why.into()),
            (Carry::Left, _) => Fate::Left(format!(".{container} does not hold it")),
            (carry, _) => Fate::Carried(carry),
        }
    };
    source.streams.iter().map(fate).collect()
}

/// Why chapters are left out; `None` where they go along.
pub(super) fn chapters(mux: &Mux<'_>) -> Option<&'static str> {
    match Target::of_container(mux.container)?.carries(Feature::Chapters) {
        Carried::No(why) => Some(why),
        _ => (!mux.others).then_some(SLOW),
    }
}

/// Whether tags are written as QuickTime's own metadata, which holds tags of every name, but no
/// cover beside them.
pub(super) fn quicktime_tags(mux: &Mux<'_>, source: &Probed) -> bool {
    let container = mux.container.to_ascii_lowercase();
    let cover = source.streams.iter().zip(streams(mux, source)).any(|(stream, fate)| {
        stream.kind == StreamKind::Picture && matches!(fate, Fate::Carried(_))
    });
    let mut needed = source.tags.keys().filter(|key| !of_the_file(key));
    let special = |key: &String| {
        let base = key.split_once('-').map_or(key.as_str(), |(base, _)| base);
        !carry::tag(&container, base)
    };
    matches!(&*container, "mp4" | "m4v" | "mov") && !cover && needed.any(special)
}

/// Whether a tag describes the file that it stands in, which the output is not.
pub(super) fn of_the_file(key: &str) -> bool {
    let own = ["major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"];
    let own = own.iter().any(|own| key.eq_ignore_ascii_case(own));
    own || key.eq_ignore_ascii_case("timecode") || key.eq_ignore_ascii_case("duration")
}

/// What becomes of the timecode.
pub(super) fn timecode(mux: &Mux<'_>, source: &Probed) -> Code {
    let video = &source.video;
    let Some(text) = &video.timecode else { return Code::None };
    if !mux.others {
        return Code::Left(SLOW.into());
    }
    let Some(code) = Timecode::parse(text) else {
        return Code::Left("it is not a valid timecode".into());
    };
    let constant = video.rate.filter(|rate| {
        video.avg_rate.is_none_or(|average| {
            let off = *rate / average - 1;
            off < Rational::new(1, 500) && off > Rational::new(-1, 500)
        })
    });
    let Some(rate) = constant else {
        return Code::Left("the frame rate varies".into());
    };
    match code.at_rate(rate, mux.rate) {
        Converted::Exact(code) => Code::Exact(code.to_string()),
        Converted::Nearest(code) => Code::Nearest(code.to_string()),
        Converted::None => {
            Code::Left(format!("no timecode at {} fps labels the same times", mux.rate))
        }
    }
}

/// The name of the file, beside the list of segments, that a cover is attached from.
pub(super) fn cover_file(stream: &Stream, ending: &str) -> String {
    format!("unfinished-cover-{}.{ending}", stream.index)
}
