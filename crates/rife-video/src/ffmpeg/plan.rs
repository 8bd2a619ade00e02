//! Decides what happens to each stream of the original, its timecode and its tags.

use crate::Rational;
use crate::ffmpeg::carry::{self, Transfer};
use crate::ffmpeg::feature::{Feature, Target};
use crate::ffmpeg::media::{Probed, Stream, StreamKind};
use crate::ffmpeg::mux::Mux;
use crate::ffmpeg::table::Support;
use crate::ffmpeg::timecode::{Converted, Timecode};

/// What happens to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamPlan {
    /// The video that is interpolated.
    Main,
    /// Kept.
    Keep(Transfer),
    /// Dropped, for this reason.
    Drop(String),
    /// Another form of something kept by other means, such as the timecode.
    Implied,
}

/// What happens to the timecode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TimecodePlan {
    /// There is no timecode.
    None,
    /// Written; labels the same moment.
    Exact(String),
    /// Written; labels the nearest frame.
    Nearest(String),
    /// Dropped, for this reason.
    Drop(String),
}

/// Reason to drop what belongs to moments of the video.
const SLOW: &str = "slow motion changes the speed";

/// The feature that a kind of stream is.
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
    // QuickTime chapters are a text track, which is read as data.
    let chapters = stream.tag == "text" && source.chapters > 0;
    stream.kind == StreamKind::Data && (stream.tag == "tmcd" || chapters)
}

/// What happens to each stream, in the order of the original.
pub(super) fn streams(mux: &Mux<'_>, source: &Probed) -> Vec<StreamPlan> {
    let container = mux.container.to_ascii_lowercase();
    let target = Target::from_extension(&container);
    let plan_stream = |stream: &Stream| {
        let feature = feature(stream.kind);
        if stream.index == source.video.index {
            return StreamPlan::Main;
        }
        if implied(stream, source) {
            return StreamPlan::Implied;
        }
        if !stream.present {
            return StreamPlan::Drop("the stream is announced but empty".into());
        }
        if stream.in_other_program {
            return StreamPlan::Drop("part of another program".into());
        }
        if stream.kind == StreamKind::Audio && !mux.audio {
            return StreamPlan::Drop(format!("{SLOW}, and keeping audio was not requested"));
        }
        if matches!(stream.kind, StreamKind::Subtitle | StreamKind::Data) && !mux.others {
            return StreamPlan::Drop(SLOW.into());
        }
        let carry = match stream.kind {
            StreamKind::Audio => carry::audio(&container, stream),
            StreamKind::Subtitle => carry::subtitles(&container, &stream.codec),
            StreamKind::Picture => carry::picture(&container, &stream.codec),
            StreamKind::Data => carry::data(&container, stream),
            StreamKind::Attachment => match target.map(|target| target.support(feature)) {
                Some(Support::Yes) => Transfer::Copy,
                _ => Transfer::Drop,
            },
            StreamKind::Video => Transfer::Drop,
        };
        match (carry, target.map(|target| target.support(feature))) {
            (Transfer::Drop, Some(Support::No(why) | Support::Partial(why))) => {
                StreamPlan::Drop(why.into())
            }
            (Transfer::Drop, _) => StreamPlan::Drop(format!(".{container} does not hold it")),
            (carry, _) => StreamPlan::Keep(carry),
        }
    };
    source.streams.iter().map(plan_stream).collect()
}

/// Why chapters are dropped; `None` if they are kept.
pub(super) fn chapters(mux: &Mux<'_>) -> Option<&'static str> {
    match Target::from_extension(mux.container)?.support(Feature::Chapters) {
        Support::No(why) => Some(why),
        _ => (!mux.others).then_some(SLOW),
    }
}

/// Whether to write tags as QuickTime metadata, which supports every name but excludes covers.
pub(super) fn quicktime_tags(mux: &Mux<'_>, source: &Probed) -> bool {
    let container = mux.container.to_ascii_lowercase();
    let cover = source.streams.iter().zip(streams(mux, source)).any(|(stream, plan_stream)| {
        stream.kind == StreamKind::Picture && matches!(plan_stream, StreamPlan::Keep(_))
    });
    let mut needed = source.tags.keys().filter(|key| !describes_file(key));
    let special = |key: &String| {
        let base = key.split_once('-').map_or(key.as_str(), |(base, _)| base);
        !carry::tag(&container, base)
    };
    matches!(&*container, "mp4" | "m4v" | "mov") && !cover && needed.any(special)
}

/// Whether a tag describes the file that contains it.
pub(super) fn describes_file(key: &str) -> bool {
    let own = ["major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"];
    let own = own.iter().any(|own| key.eq_ignore_ascii_case(own));
    own || key.eq_ignore_ascii_case("timecode") || key.eq_ignore_ascii_case("duration")
}

/// What happens to the timecode.
pub(super) fn timecode(mux: &Mux<'_>, source: &Probed) -> TimecodePlan {
    let video = &source.video;
    let Some(text) = &video.timecode else { return TimecodePlan::None };
    if !mux.others {
        return TimecodePlan::Drop(SLOW.into());
    }
    let Some(code) = Timecode::parse(text) else {
        return TimecodePlan::Drop("it is not a valid timecode".into());
    };
    let constant = video.rate.filter(|rate| {
        video.avg_rate.is_none_or(|average| {
            let off = *rate / average - 1;
            off < Rational::new(1, 500) && off > Rational::new(-1, 500)
        })
    });
    let Some(rate) = constant else {
        return TimecodePlan::Drop("the frame rate varies".into());
    };
    // The label of the first frame of the part.
    let start = mux.cut.map(|cut| cut.start).filter(|start| *start > Rational::from(0));
    let skipped = start.map(|start| start - source.video_start().unwrap_or_default());
    let skipped = skipped.map_or(0, |skipped| (skipped * rate).round().to_integer());
    let first = if skipped == 0 { Some(code) } else { code.later(skipped, rate) };
    let Some(code) = first else {
        return TimecodePlan::Drop("it is not valid at the frame rate".into());
    };
    match code.at_rate(rate, mux.rate) {
        Converted::Exact(code) => TimecodePlan::Exact(code.to_string()),
        Converted::Nearest(code) => TimecodePlan::Nearest(code.to_string()),
        Converted::None => {
            TimecodePlan::Drop(format!("no timecode at {} fps labels the same times", mux.rate))
        }
    }
}

/// Name of the temporary file of a cover to attach, in the folder of the segment list.
pub(super) fn cover_file(stream: &Stream, ending: &str) -> String {
    format!("unfinished-cover-{}.{ending}", stream.index)
}
