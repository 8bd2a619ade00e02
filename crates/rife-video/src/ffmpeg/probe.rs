//! What ffprobe says of a file, and what is made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rife_runtime::FrameSize;
use serde::Deserialize;

use crate::ffmpeg::access::{self, Access, Playlists};
use crate::ffmpeg::programs::{self, Programs, run_program_heard};
use crate::{Colour, Error, Orientation, Planes, Rational, RawFormat, Result};

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
    pub(crate) fn together(&self) -> Vec<usize> {
        // Ogg's are counted so by ffmpeg 6 and newer.
        if !self.clock_may_jump() {
            return Vec::new();
        }
        let main = |stream: &&Stream| {
            let sound = stream.kind == StreamKind::Audio && stream.present && !stream.beside;
            stream.index == self.video.index || sound && !stream.codec.is_empty()
        };
        let first = self.streams.iter().filter(main).filter_map(|stream| stream.start).min();
        // Text is sparse, and waited for: it counts where it comes first.
        let text = |stream: &&Stream| {
            let text = stream.kind == StreamKind::Subtitle && !stream.beside;
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
    fn origin(&self) -> Rational {
        let together = self.together();
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
    pub beside: bool,
    /// When it starts, s; `None` where that is not known.
    pub start: Option<Rational>,
}

/// The colours of the display that a video was made on, see SMPTE ST 2086.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MasteringDisplay {
    /// Chromaticities x and y of red, green, blue and white.
    pub primaries: [[f64; 2]; 4],
    /// The least and the most luminance, cd/m².
    pub luminance: [f64; 2],
}

/// What a video says of its high dynamic range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hdr {
    /// The display it was made on.
    pub mastering: Option<MasteringDisplay>,
    /// The brightest pixel and the brightest frame on average, cd/m².
    pub content_light: Option<(u32, u32)>,
    /// The profile of Dolby Vision, where it is that.
    pub dolby_vision: Option<u32>,
}

impl Hdr {
    /// What is known here, and what `other` knows beyond it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            mastering: self.mastering.or(other.mastering),
            content_light: self.content_light.or(other.content_light),
            dolby_vision: self.dolby_vision.or(other.dolby_vision),
        }
    }
}

impl std::fmt::Display for MasteringDisplay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.luminance;
        for (name, [x, y]) in ["R", "G", "B", "W"].iter().zip(self.primaries) {
            write!(f, "{name}({x:.3},{y:.3}) ")?;
        }
        write!(f, "{low:.4}-{high:.0} cd/m²")
    }
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

#[derive(Deserialize)]
struct RawProbe {
    #[serde(default)]
    streams: Vec<RawStream>,
    #[serde(default)]
    frames: Vec<RawFrame>,
    #[serde(default)]
    chapters: Vec<serde_json::Value>,
    #[serde(default)]
    programs: Vec<RawProgram>,
    format: Option<RawContainer>,
}

#[derive(Deserialize)]
struct RawProgram {
    #[serde(default)]
    streams: Vec<RawStream>,
}

#[derive(Deserialize)]
struct RawContainer {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawFrame {
    #[serde(default)]
    side_data_list: Vec<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct RawStream {
    #[serde(default)]
    index: usize,
    codec_type: Option<String>,
    codec_name: Option<String>,
    #[serde(default)]
    codec_tag_string: String,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    channels: usize,
    sample_rate: Option<String>,
    pix_fmt: Option<String>,
    sample_aspect_ratio: Option<String>,
    time_base: Option<String>,
    r_frame_rate: Option<String>,
    avg_frame_rate: Option<String>,
    nb_frames: Option<String>,
    duration: Option<String>,
    duration_ts: Option<i64>,
    start_time: Option<String>,
    start_pts: Option<i64>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    chroma_location: Option<String>,
    field_order: Option<String>,
    #[serde(default)]
    disposition: BTreeMap<String, i64>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<BTreeMap<String, serde_json::Value>>,
}

/// Asks ffprobe what is in a file. A playlist is refused, see [`probe_with`].
///
/// # Errors
/// [`Error::Unusable`] where the file is not there, is no media file or has no video.
pub fn probe(programs: &Programs, path: &Path) -> Result<Probed> {
    probe_with(programs, path, Playlists::Refuse)
}

/// Asks ffprobe what is in a file, whatever it is called, and whether it may be a playlist.
///
/// # Errors
/// [`Error::Unusable`] where the file is not there, is no media file, has no video, or names other
/// files without being allowed to.
pub fn probe_with(programs: &Programs, path: &Path, playlists: Playlists) -> Result<Probed> {
    let mut access = Access::new(playlists);
    // Of a playlist, options depend on which it is: it is opened once to see that.
    if playlists == Playlists::Allow
        && let Some(demuxer) = demuxer(programs, path)?
    {
        access = access.by(&demuxer);
    }
    let unusable = |why: &str| Error::Unusable { path: path.to_owned(), why: why.to_owned() };
    let found = path
        .metadata()
        .map_err(|error| unusable(&std::io::Error::from(error.kind()).to_string()))?;
    if found.is_file() && found.len() == 0 {
        return Err(unusable("it is empty"));
    }
    let ask = |what: &[&str]| -> Result<RawProbe> {
        let mut command = Command::new(&programs.ffprobe);
        command.args(["-hide_banner", "-v", "error"]).args(what).args(["-of", "json"]);
        access.limit(&mut command).arg("-i").arg(programs::file(path));
        let mut refused = None;
        let said = run_program_heard(command, "probing", &mut refused, |line| {
            access::refused_demuxer(line).map(str::to_owned)
        });
        let said = said.map_err(|error| match error {
            Error::Program { why, .. } => {
                if let Some(demuxer) = &refused {
                    return unusable(&access::refusal(demuxer, playlists));
                }
                let name = programs::file(path);
                let why = why.replace(&format!("{}: ", name.to_string_lossy()), "");
                unusable(&format!("ffprobe cannot read it: {why}"))
            }
            other => other,
        })?;
        serde_json::from_slice(&said)
            .map_err(|error| unusable(&format!("ffprobe says nothing of use: {error}")))
    };
    let raw = ask(&["-show_format", "-show_streams", "-show_chapters", "-show_programs"])?;
    let picture = |stream: &RawStream| stream.disposition.get("attached_pic") == Some(&1);
    let kind = |stream: &RawStream| match stream.codec_type.as_deref() {
        Some("video") if picture(stream) => StreamKind::Picture,
        Some("video") => StreamKind::Video,
        Some("audio") => StreamKind::Audio,
        Some("subtitle") => StreamKind::Subtitle,
        Some("attachment") => StreamKind::Attachment,
        _ => StreamKind::Data,
    };
    let videos = || raw.streams.iter().filter(|stream| kind(stream) == StreamKind::Video);
    let default = |stream: &&RawStream| stream.disposition.get("default") == Some(&1);
    let Some(main) = videos().find(default).or(videos().next()) else {
        let sound = raw.streams.iter().any(|stream| kind(stream) == StreamKind::Audio);
        return Err(unusable(if sound { "it has sound, but no video" } else { "it has no video" }));
    };
    let side = (1..=FrameSize::MAX_SIDE, "px");
    if !side.0.contains(&main.width) || !side.0.contains(&main.height) {
        return Err(unusable(&format!("frames of {}x{} cannot be", main.width, main.height)));
    }
    if main.pix_fmt.as_deref().is_none_or(|name| name == "unknown") {
        return Err(unusable(&format!(
            "its video ({}) cannot be decoded: it is damaged, cut off, or of a kind that this \
             ffmpeg does not know",
            main.codec_name.as_deref().unwrap_or("unknown")
        )));
    }
    let mut hdr = hdr(&main.side_data_list);
    let transfer = main.color_transfer.as_deref().unwrap_or_default();
    let unsaid = hdr.mastering.is_none() || hdr.content_light.is_none();
    if unsaid && matches!(transfer, "smpte2084" | "arib-std-b67") {
        let stream = main.index.to_string();
        let frame = ask(&["-show_frames", "-select_streams", &stream, "-read_intervals", "%+#1"]);
        if let Some(frame) = frame.ok().and_then(|raw| raw.frames.into_iter().next()) {
            hdr = hdr.or(self::hdr(&frame.side_data_list));
        }
    }
    let container = raw.format.as_ref();
    let name = container.map(|format| format.format_name.clone()).unwrap_or_default();
    let mut video = video(main, container, hdr);
    // MOV has a track for it, MXF and AVI a field of the file, Matroska a tag.
    let of_file = container.and_then(|format| tag(&format.tags, "timecode"));
    let of_track = |name: &str| raw.streams.iter().find_map(|stream| tag(&stream.tags, name));
    video.timecode =
        tag(&main.tags, "timecode").or(of_file).or_else(|| of_track("timecode")).cloned();
    video.reel = of_track("reel_name").cloned();
    let (mut with, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for program in &raw.programs {
        let streams: Vec<usize> = program.streams.iter().map(|stream| stream.index).collect();
        let to = if streams.contains(&main.index) { &mut with } else { &mut apart };
        to.extend(streams);
    }
    let mut probed = Probed {
        access: access.by(&name),
        container: name,
        start: container
            .and_then(|format| seconds(format.start_time.as_deref()))
            .unwrap_or_default(),
        video,
        chapters: raw.chapters.len(),
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
                beside: !with.is_empty()
                    && apart.contains(&stream.index)
                    && !with.contains(&stream.index),
                start: seconds(stream.start_time.as_deref()),
            })
            .collect(),
    };
    // ASF says of every stream how long the file is.
    if probed.container != "asf" && !probed.clock_may_jump() {
        let base = probed.video.time_base;
        let start = exact(main.start_pts, base, main.start_time.as_deref()).unwrap_or_default();
        let known = container.is_some_and(|format| format.start_time.is_some());
        // ffmpeg moves times by whole ticks.
        let origin = if known { (probed.origin() / base).round() * base } else { start };
        probed.video.end = probed.video.duration.map(|duration| start - origin + duration);
    }
    // AVI counts the empty chunks, too, that stand for the frames' order.
    probed.video.frames_estimated |= probed.container == "avi";
    Ok(probed)
}

/// The demuxer that matches a file's content, without running it; `None` if no demuxer matches.
fn demuxer(programs: &Programs, path: &Path) -> Result<Option<String>> {
    let mut command = Command::new(&programs.ffprobe);
    command.args(["-hide_banner", "-v", "error", "-protocol_whitelist", "file"]);
    command.args(["-format_whitelist", "none", "-i"]).arg(programs::file(path));
    let mut found = None;
    let asked = run_program_heard(command, "probing", &mut found, |line| {
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
    // Matroska keeps a stream's end as a tag.
    let start = seconds(main.start_time.as_deref()).unwrap_or_default();
    let tagged = main.tags.get("DURATION").and_then(|text| clock(text)).map(|end| end - start);
    let base = ratio(main.time_base.as_deref(), '/').unwrap_or(Rational::new(1, 90_000));
    let duration = exact(main.duration_ts, base, main.duration.as_deref()).or(tagged);
    let rate = ratio(main.r_frame_rate.as_deref(), '/');
    let avg_rate = ratio(main.avg_frame_rate.as_deref(), '/');
    // What is beyond any camera is a tick's rate, not a frame's.
    let rate = rate.filter(|rate| *rate <= Rational::from(1000)).or(avg_rate);
    let counted = main.nb_frames.as_deref().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let whole = duration.or_else(|| seconds(container?.duration.as_deref()));
    let estimated = whole.zip(avg_rate.or(rate)).and_then(|(duration, rate)| {
        u64::try_from((duration * rate).round().to_integer()).ok().filter(|n| *n > 0)
    });
    Video {
        index: main.index,
        codec: main.codec_name.clone().unwrap_or_default(),
        size: FrameSize::new(main.width, main.height),
        pix_fmt,
        sample_aspect: ratio(main.sample_aspect_ratio.as_deref(), ':'),
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

/// A tag, whatever the case of its name: Matroska's are in capitals.
fn tag<'a>(tags: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The numbers of a display matrix as ffprobe prints it, three a line after the line's offset.
fn matrix(text: &str) -> Option<[i64; 4]> {
    let rows = text.lines().filter_map(|line| line.split_once(':')).map(|(_, row)| row);
    let mut numbers = rows.flat_map(str::split_whitespace).map(|number| number.parse().ok());
    let (a, b) = (numbers.next()??, numbers.next()??);
    numbers.next();
    Some([a, b, numbers.next()??, numbers.next()??])
}

fn orientation(main: &RawStream) -> Option<Orientation> {
    let of =
        |data: &BTreeMap<String, serde_json::Value>| matrix(data.get("displaymatrix")?.as_str()?);
    match main.side_data_list.iter().find_map(of) {
        Some(matrix) => Orientation::of_matrix(matrix),
        None => Orientation::of_degrees(rotation(main)),
    }
}

fn rotation(main: &RawStream) -> i32 {
    let of_matrix = main.side_data_list.iter().find_map(|data| data.get("rotation")?.as_f64());
    let of_tag = || tag(&main.tags, "rotate")?.parse::<f64>().ok().map(|degrees| -degrees);
    of_matrix.or_else(of_tag).map_or(0, |degrees| degrees.round() as i32)
}

/// What the side data of a frame says of high dynamic range.
pub(super) fn hdr_of(frame: &serde_json::Value) -> Hdr {
    let list = frame.get("side_data_list").cloned().unwrap_or_default();
    hdr(&serde_json::from_value::<Vec<_>>(list).unwrap_or_default())
}

fn hdr(side_data: &[BTreeMap<String, serde_json::Value>]) -> Hdr {
    let mut hdr = Hdr::default();
    for data in side_data {
        let number = |key: &str| -> Option<f64> {
            match data.get(key)? {
                serde_json::Value::Number(n) => n.as_f64(),
                serde_json::Value::String(text) => {
                    let (a, b) = text.split_once('/')?;
                    Some(a.parse::<f64>().ok()? / b.parse::<f64>().ok()?)
                }
                _ => None,
            }
        };
        let profile = || Some(number("dv_profile")? as u32);
        hdr.dolby_vision = hdr.dolby_vision.or_else(profile);
        let mastering = || {
            let point = |name: &str| -> Option<[f64; 2]> {
                Some([number(&format!("{name}_x"))?, number(&format!("{name}_y"))?])
            };
            Some(MasteringDisplay {
                primaries: [point("red")?, point("green")?, point("blue")?, point("white_point")?],
                luminance: [number("min_luminance")?, number("max_luminance")?],
            })
        };
        hdr.mastering = hdr.mastering.or_else(mastering);
        let light = || Some((number("max_content")? as u32, number("max_average")? as u32));
        hdr.content_light = hdr.content_light.or_else(light);
    }
    hdr
}

/// `30000/1001`; nothing where a side is 0 or less, or not a number.
fn ratio(text: Option<&str>, by: char) -> Option<Rational> {
    let (a, b) = text?.split_once(by)?;
    let (a, b): (i64, i64) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0).then(|| Rational::new(a, b))
}

/// `12.345000`, exactly.
fn seconds(text: Option<&str>) -> Option<Rational> {
    let text = text?;
    let (text, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.get(..part.len().min(6))?;
    let scale = 10i64.pow(part.len() as u32);
    let whole: i64 = whole.parse().ok().filter(|s| *s < 1 << 32)?;
    let part: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let value = Rational::new(whole * scale + part, scale);
    Some(if negative { -value } else { value })
}

/// A time in ticks, where ffprobe gives it so, else as seconds with six decimals.
fn exact(ticks: Option<i64>, base: Rational, text: Option<&str>) -> Option<Rational> {
    let stated = seconds(text)?;
    let ticks = ticks.filter(|ticks| ticks.unsigned_abs() < 1 << 40);
    Some(ticks.map_or(stated, |ticks| base * ticks))
}

/// `00:00:12.345000000`, exactly.
fn clock(text: &str) -> Option<Rational> {
    let mut parts = text.trim().splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let rest = seconds(parts.next())?;
    ((0..1 << 20).contains(&hours)).then(|| rest + minutes * 60 + hours * 3600)
}

/// How a stream's frames are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingFormat {
    /// How they lie.
    pub raw: RawFormat,
    /// What ffmpeg is asked for.
    pub pix_fmt: String,
    /// Whether no sample changes on the way.
    pub exact: bool,
    /// What should be known of it.
    pub note: Option<String>,
}

/// How a stream's frames are taken: as they are wherever they are planar, or can be without
/// changing a sample.
pub fn working_format(video: &Video) -> WorkingFormat {
    let mut working = working_format_of_samples(video);
    if video.alpha {
        working.note = Some(match working.note {
            Some(note) => format!("{ALPHA}; {note}"),
            None => ALPHA.to_owned(),
        });
    }
    working
}

/// What is reported where a stream has transparency.
const ALPHA: &str = "lost: transparency - the networks interpolate colour only";

fn working_format_of_samples(video: &Video) -> WorkingFormat {
    let name = video.pix_fmt.as_str();
    let size = video.size;
    let as_is = |pix_fmt: &str| RawFormat::of_pix_fmt(pix_fmt, size);
    if let Some(raw) = as_is(name) {
        let pix_fmt = match raw.planes {
            Planes::Gbr => crate::pipe_pix_fmt(&rgb(raw)),
            // Asked for as they are called, so that their range stays as it is.
            _ => name.to_owned(),
        };
        let whole = if raw.planes == Planes::Gbr { rgb(raw) } else { raw };
        let exact = whole.depth == raw.depth;
        let note = (!exact).then(|| changed(name));
        return WorkingFormat { raw: whole, pix_fmt, exact, note };
    }
    let (target, exact, note) = nearest(name);
    let raw = as_is(target).unwrap_or(RawFormat { size, planes: Planes::Yuv420, depth: 8 });
    let raw = if raw.planes == Planes::Gbr { rgb(raw) } else { raw };
    WorkingFormat { raw, pix_fmt: crate::pipe_pix_fmt(&raw), exact, note }
}

fn changed(name: &str) -> String {
    format!("frames in {name} are converted: they change by rounding")
}

/// Red, green and blue of more than 8 bits go as 16.
fn rgb(raw: RawFormat) -> RawFormat {
    RawFormat { depth: if raw.depth == 8 { 8 } else { 16 }, ..raw }
}

/// The planar format that a name of another kind fits into, whether it fits exactly, and what
/// should be known.
fn nearest(name: &str) -> (&'static str, bool, Option<String>) {
    let alpha = || Some(ALPHA.to_owned());
    let changed = || Some(changed(name));
    let deep = name.ends_with("be") || name.ends_with("le");
    match name {
        "nv12" | "nv21" => ("yuv420p", true, None),
        "nv16" | "yuyv422" | "uyvy422" | "yvyu422" => ("yuv422p", true, None),
        "nv24" | "nv42" => ("yuv444p", true, None),
        "p010le" | "p010be" => ("yuv420p10le", true, None),
        "p016le" | "p016be" => ("yuv420p16le", true, None),
        "y210le" | "p210le" | "nv20le" => ("yuv422p10le", true, None),
        "rgb24" | "bgr24" | "0rgb" | "rgb0" | "0bgr" | "bgr0" => ("gbrp", true, None),
        "rgba" | "bgra" | "argb" | "abgr" | "gbrap" | "pal8" => ("gbrp", true, alpha()),
        "rgb48le" | "rgb48be" | "bgr48le" | "bgr48be" => ("gbrp16le", true, None),
        _ if name.starts_with("rgba64") || name.starts_with("bgra64") => {
            ("gbrp16le", true, alpha())
        }
        _ if name.starts_with("gbrap") => ("gbrp16le", true, alpha()),
        _ if name.starts_with("gbrp") => ("gbrp16le", true, None),
        _ if name.starts_with("ya8") => ("gray", true, alpha()),
        _ if name.starts_with("ya16") => ("gray16le", true, alpha()),
        _ if name.starts_with("gray") || name.starts_with("mono") => {
            (if deep { "gray16le" } else { "gray" }, name.starts_with("gray16"), None)
        }
        _ if name.starts_with("yuv") || name.starts_with("ayuv") || name.starts_with("vuy") => {
            let after = name.split_once('p').map_or("", |(_, after)| after);
            let depth = ["16", "14", "12", "10", "9"].into_iter().find(|d| after.starts_with(d));
            let transparent = name.contains('a');
            let target = match (&name[..name.len().min(7)], depth) {
                (n, None) if n.contains("420") => "yuv420p",
                (n, None) if n.contains("422") => "yuv422p",
                (_, None) => "yuv444p",
                (n, Some("9" | "10")) if n.contains("420") => "yuv420p10le",
                (n, Some("9" | "10")) if n.contains("422") => "yuv422p10le",
                (_, Some("9" | "10")) => "yuv444p10le",
                (n, Some("12")) if n.contains("420") => "yuv420p12le",
                (n, Some("12")) if n.contains("422") => "yuv422p12le",
                (_, Some("12")) => "yuv444p12le",
                (n, _) if n.contains("420") => "yuv420p16le",
                (n, _) if n.contains("422") => "yuv422p16le",
                _ => "yuv444p16le",
            };
            let kept = transparent || name.ends_with("be");
            (
                target,
                kept,
                if transparent {
                    alpha()
                } else if kept {
                    None
                } else {
                    changed()
                },
            )
        }
        _ => ("yuv444p", false, changed()),
    }
}

/// What samples mean where nothing is said: BT.709 from 720 rows or 1280 columns on, else BT.601;
/// limited range; chroma at the left.
pub fn default_colour(size: FrameSize) -> Colour {
    let hd = size.height >= 720 || size.width >= 1280;
    let pal = matches!(size.height, 576 | 288);
    let matrix = match (hd, pal) {
        (true, _) => "bt709",
        (_, true) => "bt470bg",
        _ => "smpte170m",
    };
    Colour {
        range: Some("tv".into()),
        matrix: Some(matrix.into()),
        chroma_location: Some("left".into()),
        ..Colour::default()
    }
}

/// What a stream's samples mean: as it says, and by custom where it does not.
pub fn effective_colour(video: &Video, working: &WorkingFormat) -> Colour {
    let default = default_colour(video.size);
    let said = video.colour.clone();
    let rgb = working.raw.planes == Planes::Gbr;
    let picture = ["mjpeg", "mjpegb", "jpegls", "ljpeg"].contains(&video.codec.as_str());
    let gray = working.raw.planes == Planes::Gray
        && ["png", "apng", "tiff", "bmp", "jpeg2000", "gif"].contains(&video.codec.as_str());
    let wide = said.matrix.as_deref().is_some_and(|matrix| matrix.starts_with("bt2020"));
    let location = match video.pix_fmt.starts_with("yuvj") || picture {
        // JPEG's chroma lies in the middle.
        true => "center",
        // See BT.2100.
        false if wide && working.raw.planes == Planes::Yuv420 => "topleft",
        false => "left",
    };
    let whole = rgb || said.range.is_none() && (picture || gray);
    Colour {
        range: if whole { Some("pc".into()) } else { said.range.or(default.range) },
        matrix: said.matrix.filter(|matrix| rgb || matrix != "gbr").or(default.matrix),
        chroma_location: said.chroma_location.or(Some(location.into())),
        primaries: said.primaries,
        transfer: said.transfer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_exactly() {
        assert_eq!(seconds(Some("12.345000")), Some(Rational::new(12345, 1000)));
        assert_eq!(seconds(Some("-0.021")), Some(Rational::new(-21, 1000)));
        assert_eq!(seconds(Some("N/A")), None);
        assert_eq!(clock("01:00:02.500000000"), Some(Rational::new(36025, 10)));
        assert_eq!(ratio(Some("0/0"), '/'), None);
        assert_eq!(ratio(Some("30000/1001"), '/'), Some(Rational::new(30000, 1001)));
    }

    #[test]
    fn formats_fit_into_planar_ones() {
        for (name, target, exact) in [
            ("nv12", "yuv420p", true),
            ("yuv410p", "yuv444p", false),
            ("yuv420p9le", "yuv420p10le", false),
            ("yuv444p14le", "yuv444p16le", false),
            ("yuva444p10le", "yuv444p10le", true),
            ("yuv420p10be", "yuv420p10le", true),
            ("rgba", "gbrp", true),
            ("something", "yuv444p", false),
        ] {
            let (got, fits, note) = nearest(name);
            assert_eq!((got, fits), (target, exact), "{name}");
            assert!(fits || note.is_some(), "{name}");
        }
    }
}
