//! Probes a file with ffprobe.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use rife_runtime::FrameSize;
use serde::de::DeserializeOwned;

use crate::ffmpeg::access::{self, Access, Playlists};
use crate::ffmpeg::cut::Chapter;
use crate::ffmpeg::hdr::{Hdr, hdr_from_side_data};
use crate::ffmpeg::json::{
    RawContainer, RawFrame, RawProbe, RawStream, exact_time, parse_clock, parse_ratio,
    parse_seconds, tag,
};
use crate::ffmpeg::media::{Probed, Stream, StreamKind, Video};
use crate::ffmpeg::programs::{self, Programs, run_program_with};
use crate::{Colour, Error, Orientation, Rational, Result};

/// Probes a file. Playlists are refused; see [`probe_with`].
///
/// # Errors
/// [`Error::Unusable`] if the file does not exist, is not a media file or has no video;
/// [`Error::Playlist`] if it is a playlist.
pub fn probe(programs: &Programs, path: &Path) -> Result<Probed> {
    probe_with(programs, path, Playlists::Refuse)
}

/// Probes a file; `playlists` states whether it may be a playlist.
///
/// # Errors
/// [`Error::Unusable`] if the file does not exist, is not a media file or has no video;
/// [`Error::Playlist`] if it is a playlist and these are refused.
pub fn probe_with(programs: &Programs, path: &Path, playlists: Playlists) -> Result<Probed> {
    let mut access = Access::new(playlists);
    // The options for a playlist depend on its demuxer, so that is determined first.
    if playlists == Playlists::Allow
        && let Some(demuxer) = demuxer(programs, path)?
    {
        access = access.by(&demuxer);
    }
    let found = path
        .metadata()
        .map_err(|error| unusable(path, &std::io::Error::from(error.kind()).to_string()))?;
    if found.is_file() && found.len() == 0 {
        return Err(unusable(path, "the file is empty"));
    }
    let raw: RawProbe = run_ffprobe(programs, path, &access, &EVERYTHING)?;
    let first_frame = |stream: usize| {
        let raw = run_ffprobe::<RawProbe>(programs, path, &access, &first_frame_of(stream));
        raw.ok()?.frames.into_iter().next()
    };
    interpret(path, &raw, &access, first_frame)
}

/// Options that print everything about a file except its frames.
pub(super) const EVERYTHING: [&str; 4] =
    ["-show_format", "-show_streams", "-show_chapters", "-show_programs"];

/// Options that print the first frame of a stream.
pub(super) fn first_frame_of(stream: usize) -> [String; 5] {
    let stream = stream.to_string();
    ["-show_frames", "-select_streams", &stream, "-read_intervals", "%+#1"].map(str::to_owned)
}

/// Runs ffprobe with the given options, and parses the JSON that it prints.
pub(super) fn run_ffprobe<T: DeserializeOwned>(
    programs: &Programs,
    path: &Path,
    access: &Access,
    options: &[impl AsRef<OsStr>],
) -> Result<T> {
    let mut command = Command::new(&programs.ffprobe);
    command.args(["-hide_banner", "-v", "error"]).args(options).args(["-of", "json"]);
    access.limit(&mut command).arg("-i").arg(programs::file(path));
    let mut refused = None;
    let output = run_program_with(command, "probing", &mut refused, |line| {
        access::refused_demuxer(line).map(str::to_owned)
    });
    let output = output.map_err(|error| match error {
        Error::Program { why, .. } => {
            if let Some(demuxer) = &refused {
                return access.refusal(path, demuxer);
            }
            let name = programs::file(path);
            let why = why.replace(&format!("{}: ", name.to_string_lossy()), "");
            unusable(path, &format!("ffprobe cannot read the file: {why}"))
        }
        other => other,
    })?;
    serde_json::from_slice(&output)
        .map_err(|error| unusable(path, &format!("unexpected output of ffprobe: {error}")))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::Unusable { path: path.to_owned(), why: why.to_owned() }
}

fn kind(stream: &RawStream) -> StreamKind {
    let picture = stream.disposition.get("attached_pic") == Some(&1);
    match stream.codec_type.as_deref() {
        Some("video") if picture => StreamKind::Picture,
        Some("video") => StreamKind::Video,
        Some("audio") => StreamKind::Audio,
        Some("subtitle") => StreamKind::Subtitle,
        Some("attachment") => StreamKind::Attachment,
        _ => StreamKind::Data,
    }
}

/// Interprets the output of ffprobe. `first_frame` returns the first frame of a stream; it is only
/// called if the stream lacks HDR metadata.
pub(super) fn interpret(
    path: &Path,
    raw: &RawProbe,
    access: &Access,
    first_frame: impl FnOnce(usize) -> Option<RawFrame>,
) -> Result<Probed> {
    let videos = || raw.streams.iter().filter(|stream| kind(stream) == StreamKind::Video);
    let default = |stream: &&RawStream| stream.disposition.get("default") == Some(&1);
    let Some(main) = videos().find(default).or(videos().next()) else {
        let audio = raw.streams.iter().any(|stream| kind(stream) == StreamKind::Audio);
        let why = match audio {
            true => "the file has audio but no video",
            false => "the file has no video",
        };
        return Err(unusable(path, why));
    };
    let sides = 1..=FrameSize::MAX_SIDE;
    if !sides.contains(&main.width) || !sides.contains(&main.height) {
        let why = format!("unsupported frame size {}x{}", main.width, main.height);
        return Err(unusable(path, &why));
    }
    if main.pix_fmt.as_deref().is_none_or(|name| name == "unknown") {
        let codec = main.codec_name.as_deref().unwrap_or("unknown");
        let why = format!(
            "cannot decode the video ({codec}): it is damaged, truncated, or not supported by \
             this ffmpeg"
        );
        return Err(unusable(path, &why));
    }
    let mut hdr = hdr_from_side_data(&main.side_data_list);
    let transfer = main.color_transfer.as_deref().unwrap_or_default();
    let incomplete = hdr.mastering.is_none() || hdr.content_light.is_none();
    if incomplete
        && matches!(transfer, "smpte2084" | "arib-std-b67")
        && let Some(frame) = first_frame(main.index)
    {
        hdr = hdr.or(hdr_from_side_data(&frame.side_data_list));
    }
    let container = raw.format.as_ref();
    let name = container.map(|format| format.format_name.clone()).unwrap_or_default();
    let mut video = video(main, container, hdr);
    // MOV stores the timecode in a track, MXF and AVI globally, Matroska as a tag.
    let of_file = container.and_then(|format| tag(&format.tags, "timecode"));
    let of_track = |name: &str| raw.streams.iter().find_map(|stream| tag(&stream.tags, name));
    video.timecode =
        tag(&main.tags, "timecode").or(of_file).or_else(|| of_track("timecode")).cloned();
    video.reel = of_track("reel_name").cloned();
    let (mut own_program, mut other_programs) = (BTreeSet::new(), BTreeSet::new());
    for program in &raw.programs {
        let streams: Vec<usize> = program.streams.iter().map(|stream| stream.index).collect();
        let to = if streams.contains(&main.index) { &mut own_program } else { &mut other_programs };
        to.extend(streams);
    }
    let mut probed = Probed {
        access: access.by(&name),
        container: name,
        start: container
            .and_then(|format| parse_seconds(format.start_time.as_deref()))
            .unwrap_or_default(),
        video,
        chapters: raw.chapters.len(),
        chapter_list: Vec::new(),
        tags: container.map(|format| format.tags.clone()).unwrap_or_default(),
        streams: raw
            .streams
            .iter()
            .map(|stream| Stream {
                index: stream.index,
                kind: kind(stream),
                codec: stream.codec_name.clone().unwrap_or_default(),
                tag: stream.codec_tag_string.clone(),
                dispositions: {
                    let set = stream.disposition.iter().filter(|(_, value)| **value == 1);
                    set.map(|(name, _)| name.clone()).collect()
                },
                file_name: tag(&stream.tags, "filename").cloned(),
                channels: stream.channels,
                present: match kind(stream) {
                    StreamKind::Audio => {
                        stream.channels > 0
                            && stream.sample_rate.as_deref().is_some_and(|rate| rate != "0")
                    }
                    StreamKind::Video | StreamKind::Picture => {
                        stream.width > 0 && stream.height > 0
                    }
                    _ => true,
                },
                in_other_program: !own_program.is_empty()
                    && other_programs.contains(&stream.index)
                    && !own_program.contains(&stream.index),
                start: parse_seconds(stream.start_time.as_deref()),
            })
            .collect(),
    };
    let origin = probed.start;
    let chapters = raw.chapters.iter().filter_map(|chapter| Chapter::of(chapter, origin));
    probed.chapter_list = chapters.collect();
    // ASF states the duration of the file for every stream.
    if probed.container != "asf" && !probed.clock_may_jump() {
        let base = probed.video.time_base;
        let start =
            exact_time(main.start_pts, base, main.start_time.as_deref()).unwrap_or_default();
        let known = container.is_some_and(|format| format.start_time.is_some());
        // ffmpeg shifts times by whole ticks.
        let origin = if known { (probed.origin() / base).round() * base } else { start };
        probed.video.end = probed.video.duration.map(|duration| start - origin + duration);
    }
    // AVI counts empty chunks, which stand for reordered frames.
    probed.video.frames_estimated |= probed.container == "avi";
    Ok(probed)
}

/// The name of the demuxer that matches the content, without running it; `None` if no demuxer does.
fn demuxer(programs: &Programs, path: &Path) -> Result<Option<String>> {
    let mut command = Command::new(&programs.ffprobe);
    command.args(["-hide_banner", "-v", "error", "-protocol_whitelist", "file"]);
    command.args(["-format_whitelist", "none", "-i"]).arg(programs::file(path));
    let mut found = None;
    let asked = run_program_with(command, "probing", &mut found, |line| {
        access::refused_demuxer(line).map(str::to_owned)
    });
    match asked {
        Ok(_) | Err(Error::Program { .. }) => Ok(found),
        Err(error) => Err(error),
    }
}

fn video(main: &RawStream, container: Option<&RawContainer>, hdr: Hdr) -> Video {
    let known = |word: &Option<String>| {
        word.clone().filter(|w| !matches!(&**w, "unknown" | "unspecified" | "reserved" | "N/A"))
    };
    let pix_fmt = main.pix_fmt.clone().unwrap_or_default();
    let range = known(&main.color_range);
    let range = if pix_fmt.starts_with("yuvj") { Some("pc".into()) } else { range };
    // Matroska stores the end of a stream as a tag.
    let start = parse_seconds(main.start_time.as_deref()).unwrap_or_default();
    let tagged =
        main.tags.get("DURATION").and_then(|text| parse_clock(text)).map(|end| end - start);
    let base = parse_ratio(main.time_base.as_deref(), '/').unwrap_or(Rational::new(1, 90_000));
    let duration = exact_time(main.duration_ts, base, main.duration.as_deref()).or(tagged);
    let rate = parse_ratio(main.r_frame_rate.as_deref(), '/');
    let avg_rate = parse_ratio(main.avg_frame_rate.as_deref(), '/');
    // A rate beyond any camera is that of ticks.
    let rate = rate.filter(|rate| *rate <= Rational::from(1000)).or(avg_rate);
    let counted = main.nb_frames.as_deref().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let whole = duration.or_else(|| parse_seconds(container?.duration.as_deref()));
    let estimated = whole.zip(avg_rate.or(rate)).and_then(|(duration, rate)| {
        u64::try_from((duration * rate).round().to_integer()).ok().filter(|n| *n > 0)
    });
    Video {
        index: main.index,
        codec: main.codec_name.clone().unwrap_or_default(),
        size: FrameSize::new(main.width, main.height),
        pix_fmt,
        sample_aspect: parse_ratio(main.sample_aspect_ratio.as_deref(), ':'),
        time_base: base,
        rate,
        avg_rate,
        frames: counted.or(estimated),
        frames_estimated: counted.is_none(),
        duration,
        end: None,
        colour: Colour {
            range,
            matrix: known(&main.color_space),
            primaries: known(&main.color_primaries),
            transfer: known(&main.color_transfer),
            chroma_location: known(&main.chroma_location),
        },
        rotation: rotation(main),
        orientation: orientation(main),
        alpha: tag(&main.tags, "alpha_mode").is_some_and(|mode| mode == "1"),
        timecode: None,
        reel: None,
        interlaced: main
            .field_order
            .as_deref()
            .is_some_and(|order| matches!(order, "tt" | "bb" | "tb" | "bt")),
        hdr,
    }
}

/// Parses a display matrix as printed by ffprobe: rows of three numbers, each after an offset.
fn parse_display_matrix(text: &str) -> Option<[i64; 4]> {
    let rows = text.lines().filter_map(|line| line.split_once(':')).map(|(_, row)| row);
    let mut numbers = rows.flat_map(str::split_whitespace).map(|number| number.parse().ok());
    let (a, b) = (numbers.next()??, numbers.next()??);
    numbers.next();
    Some([a, b, numbers.next()??, numbers.next()??])
}

fn orientation(main: &RawStream) -> Option<Orientation> {
    let from_side_data = |data: &BTreeMap<String, serde_json::Value>| {
        parse_display_matrix(data.get("displaymatrix")?.as_str()?)
    };
    match main.side_data_list.iter().find_map(from_side_data) {
        Some(matrix) => Orientation::from_matrix(matrix),
        None => Orientation::from_degrees(rotation(main)),
    }
}

fn rotation(main: &RawStream) -> i32 {
    let from_matrix = main.side_data_list.iter().find_map(|data| data.get("rotation")?.as_f64());
    let of_tag = || tag(&main.tags, "rotate")?.parse::<f64>().ok().map(|degrees| -degrees);
    from_matrix.or_else(of_tag).map_or(0, |degrees| degrees.round() as i32)
}
