//! The contents of a file other than its samples, as reported by ffprobe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rife_runtime::FrameSize;
use serde::Deserialize;
use serde_json::Value;

use crate::ffmpeg::access::{Access, Playlists};
use crate::ffmpeg::cut::Cut;
use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::hdr::hdr_from_frame;
use crate::ffmpeg::json::{RawFrame, RawProbe};
use crate::ffmpeg::media::{Probed, StreamKind};
use crate::ffmpeg::probe::{EVERYTHING, first_frame_of, interpret, run_ffprobe};
use crate::ffmpeg::programs::Programs;
use crate::{Error, Result};

/// Tags by lower-case name.
pub(super) type Tags = BTreeMap<String, String>;

/// The contents of a file.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    /// All streams in order, including the main video.
    pub(super) streams: Vec<StreamContents>,
    /// Index of the main video stream.
    pub(super) main: usize,
    /// Properties of the main video stream, as text.
    pub(super) video: BTreeMap<Feature, String>,
    /// Whether the samples are RGB.
    pub(super) rgb: bool,
    /// Whether chroma is vertically subsampled, so that its location matters.
    pub(super) subsampled: bool,
    /// Frame size as stored.
    pub(super) size: FrameSize,
    /// Global tags.
    pub(super) tags: Tags,
    /// Start in ms, and title.
    pub(super) chapters: Vec<(i64, String)>,
    /// Tags of programs.
    pub(super) programs: Vec<String>,
}

/// The contents of a stream.
#[derive(Clone, Debug)]
pub(super) struct StreamContents {
    pub(super) index: usize,
    pub(super) kind: StreamKind,
    pub(super) codec: String,
    pub(super) tag: String,
    pub(super) channels: i64,
    pub(super) tags: Tags,
    pub(super) dispositions: BTreeSet<String>,
    pub(super) side_data: BTreeSet<String>,
}

/// Tags that describe how a file was written; they always change.
const WRITER_TAGS: &[&str] = &[
    "encoder",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "duration",
    "number_of_frames",
    "number_of_bytes",
    "bps",
    "_statistics_tags",
    "_statistics_writing_app",
    "_statistics_writing_date_utc",
    "source_id",
    "handler_name",
    "vendor_id",
    "variant_bitrate",
    "alpha_mode",
    "timecode",
    "rotate",
    "stereo_mode",
];

/// Side data that belongs to the encoding, or is compared by other means.
const ENCODER_SIDE_DATA: &[&str] = &[
    "CPB properties",
    "AVPanScan",
    "Display Matrix",
    "GOP timecode",
    "SMPTE 12-1 timecode",
    "H.26[45] User Data Unregistered SEI message",
    "Motion vectors",
    "QP table data",
    "QP table properties",
    "Video encoding parameters",
    "Video Encoding Params",
    "Regions Of Interest",
    "Skip Samples",
    "MPEGTS Stream ID",
    "New Extradata",
    "Palette",
    "H.263 MB info",
    "unknown",
];

/// Options that print the first frames of all streams. The first frame of the main video is nearly
/// always among these few, so that one process is enough.
const FIRST_FRAMES: [&str; 3] = ["-show_frames", "-read_intervals", "%+#8"];

/// Reads the contents of a file that was probed.
///
/// # Errors
/// If ffprobe cannot read it.
pub(super) fn read(programs: &Programs, path: &Path, probed: &Probed) -> Result<Contents> {
    let raw: Value = run_ffprobe(programs, path, &probed.access, &options())?;
    contents(programs, path, &raw, probed)
}

/// Reads the contents of a part of a file that was probed; `None` for all of it.
///
/// # Errors
/// If ffprobe cannot read it.
pub(super) fn read_part(
    programs: &Programs,
    path: &Path,
    probed: &Probed,
    cut: Option<Cut>,
) -> Result<Contents> {
    let mut all = read(programs, path, probed)?;
    if let Some(cut) = cut {
        all.chapters = cut.chapters(probed).iter().map(|chapter| (0, chapter.title())).collect();
    }
    Ok(all)
}

/// Probes a file and reads its contents, with a single process if possible.
///
/// # Errors
/// If ffprobe cannot read it.
pub(super) fn probe_and_read(programs: &Programs, path: &Path) -> Result<(Probed, Contents)> {
    let access = Access::new(Playlists::Refuse);
    let json: Value = run_ffprobe(programs, path, &access, &options())?;
    let raw = RawProbe::deserialize(&json).map_err(|error| Error::Unusable {
        path: path.to_owned(),
        why: format!("unexpected output of ffprobe: {error}"),
    })?;
    let frame = |stream: usize| {
        let frame = first_frame(programs, path, &access, &json, stream).ok()??;
        RawFrame::deserialize(&frame).ok()
    };
    let probed = interpret(path, &raw, &access, frame)?;
    let contents = contents(programs, path, &json, &probed)?;
    Ok((probed, contents))
}

fn options() -> Vec<&'static str> {
    EVERYTHING.into_iter().chain(FIRST_FRAMES).collect()
}

fn contents(programs: &Programs, path: &Path, raw: &Value, probed: &Probed) -> Result<Contents> {
    let frame = first_frame(programs, path, &probed.access, raw, probed.video.index)?;
    Ok(Contents::of(raw, frame.as_ref(), probed))
}

/// The first frame of a stream: one of those in `raw`, or read by another process.
fn first_frame(
    programs: &Programs,
    path: &Path,
    access: &Access,
    raw: &Value,
    stream: usize,
) -> Result<Option<Value>> {
    let frames = |raw: &Value| raw.get("frames").and_then(Value::as_array).cloned();
    let is_of_stream =
        |frame: &Value| frame.get("stream_index").and_then(Value::as_u64) == Some(stream as u64);
    if let Some(frame) = frames(raw).into_iter().flatten().find(is_of_stream) {
        return Ok(Some(frame));
    }
    let raw: Value = run_ffprobe(programs, path, access, &first_frame_of(stream))?;
    Ok(frames(&raw).into_iter().flatten().next())
}

impl Contents {
    fn of(raw: &Value, frame: Option<&Value>, probed: &Probed) -> Self {
        let list = |value: &Value, key: &str| -> Vec<Value> {
            value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let raw_streams = list(raw, "streams");
        let main = raw_streams.get(probed.video.index).cloned().unwrap_or_default();
        let streams = probed.streams.iter().zip(&raw_streams).map(|(stream, raw)| StreamContents {
            index: stream.index,
            kind: stream.kind,
            codec: stream.codec.clone(),
            tag: stream.tag.clone(),
            channels: raw.get("channels").and_then(Value::as_i64).unwrap_or(0),
            tags: tags(raw),
            dispositions: dispositions(raw),
            side_data: side_data(raw),
        });
        let chapters = list(raw, "chapters").into_iter().map(|chapter| {
            let start = text(&chapter, "start_time").and_then(|time| time.parse::<f64>().ok());
            let title = tags(&chapter).remove("title").unwrap_or_default();
            ((start.unwrap_or(0.0) * 1000.0).round() as i64, title)
        });
        let programs = list(raw, "programs");
        let programs = programs.iter().flat_map(|program| {
            tags(program).into_iter().map(|(key, value)| format!("{key} {value:?}"))
        });
        let mut tags = raw.get("format").map(tags).unwrap_or_default();
        // Of a tag in several languages, the first one counts.
        let translated: Vec<_> =
            tags.keys().filter(|key| without_language(key) != **key).cloned().collect();
        for key in translated {
            if let Some(value) = tags.remove(&key) {
                tags.entry(without_language(&key).to_owned()).or_insert(value);
            }
        }
        Self {
            streams: streams.collect(),
            main: probed.video.index,
            video: properties(&main, frame, probed),
            rgb: ["rgb", "bgr", "gbr", "0rgb", "0bgr", "argb", "abgr", "pal8"]
                .iter()
                .any(|start| probed.video.pix_fmt.starts_with(start)),
            subsampled: ["420", "nv12", "nv21", "p010", "p016"]
                .iter()
                .any(|name| probed.video.pix_fmt.contains(name)),
            size: probed.video.size,
            tags,
            chapters: chapters.collect(),
            programs: programs.collect(),
        }
    }

    /// The main video stream.
    pub(super) fn main(&self) -> Option<&StreamContents> {
        self.streams.iter().find(|stream| stream.index == self.main)
    }
}

/// Removes the language from a tag name such as `location-eng`.
fn without_language(key: &str) -> &str {
    match key.rsplit_once('-') {
        Some((name, language)) if language.len() == 3 && !name.is_empty() => name,
        _ => key,
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn tags(value: &Value) -> Tags {
    let tags = value.get("tags").and_then(Value::as_object);
    let tags = tags.into_iter().flatten().filter_map(|(key, value)| {
        let key = key.to_lowercase().replace(' ', "_");
        let value = value.as_str()?.trim();
        let undetermined = key == "language" && value == "und";
        // Cameras write their own name here, ffmpeg writes its own.
        let own = key == "software" && value.starts_with("Lavf");
        let of_writing = own || WRITER_TAGS.contains(&without_language(&key));
        (!undetermined && !of_writing && !value.is_empty()).then(|| (key, value.to_owned()))
    });
    tags.collect()
}

fn dispositions(stream: &Value) -> BTreeSet<String> {
    let flags = stream.get("disposition").and_then(Value::as_object);
    let flags = flags.into_iter().flatten().filter(|(name, value)| {
        // This flag is reflected in the kind of the stream.
        value.as_i64() == Some(1) && *name != "attached_pic"
    });
    flags.map(|(name, _)| name.clone()).collect()
}

fn side_data(value: &Value) -> BTreeSet<String> {
    let list = value.get("side_data_list").and_then(Value::as_array);
    let names = list.into_iter().flatten().filter_map(|data| text(data, "side_data_type"));
    names.filter(|name| !ENCODER_SIDE_DATA.contains(name)).map(str::to_owned).collect()
}

/// Properties of the main video stream, as text that is equal if the meaning is.
fn properties(main: &Value, frame: Option<&Value>, probed: &Probed) -> BTreeMap<Feature, String> {
    let video = &probed.video;
    let mut found = BTreeMap::new();
    let mut put = |feature: Feature, value: Option<String>| {
        if let Some(value) = value {
            found.insert(feature, value);
        }
    };
    let alpha = video.alpha || has_alpha(&video.pix_fmt);
    put(Feature::Alpha, alpha.then(String::new));
    put(
        Feature::Orientation,
        match video.orientation {
            Some(crate::Orientation::IDENTITY) => None,
            Some(orientation) => Some(orientation.to_string()),
            None => Some(format!("{} degrees", video.rotation)),
        },
    );
    let aspect = video.sample_aspect.filter(|aspect| *aspect != 1.into());
    put(Feature::SampleAspect, aspect.map(|a| format!("{}:{}", a.numer(), a.denom())));
    let colour = &video.colour;
    put(Feature::Range, colour.range.clone());
    put(Feature::Matrix, colour.matrix.clone());
    put(Feature::Primaries, colour.primaries.clone());
    put(Feature::Transfer, colour.transfer.clone());
    put(Feature::ChromaLocation, colour.chroma_location.clone());
    let hdr = video.hdr.or(frame.map(hdr_from_frame).unwrap_or_default());
    put(Feature::Mastering, hdr.mastering.map(|display| display.to_string()));
    put(Feature::LightLevels, hdr.content_light.map(|(most, mean)| format!("{most}/{mean} cd/m²")));
    let profile = hdr.dolby_vision.map(|profile| format!("profile {profile}"));
    put(Feature::DolbyVision, profile);
    let order = text(main, "field_order").filter(|o| ["tt", "bb", "tb", "bt"].contains(o));
    put(Feature::FieldOrder, order.map(str::to_owned));
    put(Feature::Timecode, video.timecode.clone());
    let flag = |key: &str| main.get(key).and_then(Value::as_i64) == Some(1);
    put(Feature::ClosedCaptions, flag("closed_captions").then(String::new));
    put(Feature::FilmGrain, flag("film_grain").then(String::new));
    let raw_tags = main.get("tags").and_then(Value::as_object);
    let stereo =
        raw_tags.into_iter().flatten().find(|(key, _)| key.eq_ignore_ascii_case("stereo_mode"));
    let stereo = stereo.and_then(|(_, value)| value.as_str()).filter(|mode| *mode != "mono");
    put(Feature::Stereo, stereo.map(str::to_owned));
    let mut others = side_data(main);
    others.extend(frame.map(side_data).unwrap_or_default());
    let mut rest = Vec::new();
    for name in others {
        let lower = name.to_lowercase();
        let known = [
            ("mastering display", Feature::Mastering),
            ("content light", Feature::LightLevels),
            ("dovi", Feature::DolbyVision),
            ("dolby vision", Feature::DolbyVision),
            ("dynamic metadata", Feature::DynamicHdr),
            ("hdr10+", Feature::DynamicHdr),
            ("hdr vivid", Feature::DynamicHdr),
            ("icc profile", Feature::IccProfile),
            ("stereo 3d", Feature::Stereo),
            ("spherical", Feature::Spherical),
            ("closed captions", Feature::ClosedCaptions),
            ("film grain", Feature::FilmGrain),
        ];
        match known.into_iter().find(|(start, _)| lower.contains(start)) {
            Some((_, feature)) => _ = found.entry(feature).or_insert_with(String::new),
            None => rest.push(name),
        }
    }
    if !rest.is_empty() {
        found.insert(Feature::SideData, rest.join(", "));
    }
    found
}

/// Whether a pixel format has alpha. Palettes may have, but are not counted.
fn has_alpha(pix_fmt: &str) -> bool {
    ["yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "ayuv", "vuya"]
        .iter()
        .any(|start| pix_fmt.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_tags_are_ignored() {
        let value = serde_json::json!({ "tags": {
            "TITLE": " A film ", "ENCODER": "x", "language": "und", "BPS-eng": "7",
            "Reel Name": "7", "empty": "",
        }});
        let expected = [("reel_name", "7"), ("title", "A film")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(tags(&value), Tags::from(expected));
    }

    #[test]
    fn language_is_removed_from_tag_names() {
        assert_eq!(without_language("location-eng"), "location");
        assert_eq!(without_language("x-y"), "x-y");
        assert_eq!(without_language("com.apple.quicktime.model"), "com.apple.quicktime.model");
    }
}
