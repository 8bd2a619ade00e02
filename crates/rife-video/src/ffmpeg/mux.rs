//! What is decoded, and how segments become a video with all that the original has beside its
//! frames.

use std::path::Path;
use std::process::Command;

use rife_runtime::FrameSize;

use crate::ffmpeg::carry::{self, Carry};
use crate::ffmpeg::plan::{self, Code, Fate};
use crate::ffmpeg::probe::{Probed, Stream, StreamKind, WorkingFormat};
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::ffmpeg::table::Feature;
use crate::ffmpeg::words;
use crate::{Colour, Error, Orientation, Rational, Result};

/// The decoder of a file: frames on standard output, and the time of each among the messages.
pub fn decode_command(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
) -> Command {
    let mut command = Command::new(&programs.ffmpeg);
    command
        .args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"])
        // However much of a damaged file is lost, the rest is wanted.
        .args(["-max_error_rate", "1"])
        // As it lies in the file: how it is turned is told apart from it.
        .arg("-noautorotate");
    source.access.limit(&mut command).arg("-i").arg(programs::file(path));
    command
        .args(["-map", &format!("0:{}", source.video.index)])
        .args(programs.passthrough())
        .args(["-vf", "showinfo=checksum=0"])
        // Frames of a variable rate may be nearer to each other than its average says.
        .args(["-enc_time_base", if programs.version >= (7, 0) { "demux" } else { "-1" }])
        .args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact"])
        .args(["-f", "rawvideo", "-pix_fmt", &working.pix_fmt, "pipe:1"]);
    use_together(&mut command, 0, source);
    command
}

/// See [`Probed::together`].
fn use_together(command: &mut Command, input: usize, source: &Probed) {
    let streams = source.together();
    if streams.is_empty() {
        return;
    }
    for stream in streams {
        command.args(["-map", &format!("{input}:{stream}")]);
    }
    command.args(["-c", "copy", "-f", "null", "-"]);
}

/// What the decoder says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowInfo {
    /// Seconds of a tick, from now on.
    TimeBase(Rational),
    /// The next frame.
    Frame {
        /// When it is shown, in ticks; `None` where the container does not say.
        pts: Option<i64>,
        /// How long, in ticks; `None` where the container does not say.
        duration: Option<i64>,
    },
}

/// Reads a message of the decoder's; `None` for one of another kind.
pub fn parse_showinfo(line: &str) -> Option<ShowInfo> {
    if !line.contains("showinfo") {
        return None;
    }
    if let Some((_, base)) = line.split_once("config in time_base: ") {
        let (a, b) = base.split(',').next()?.split_once('/')?;
        let (a, b): (i64, i64) = (a.trim().parse().ok()?, b.trim().parse().ok()?);
        return (a > 0 && b > 0).then(|| ShowInfo::TimeBase(Rational::new(a, b)));
    }
    // "n:   0 pts:    512 pts_time:0.04    duration:    512 …"
    let after = |key: &str| {
        let (_, rest) = line.split_once(key)?;
        rest.split_whitespace().next()
    };
    after("] n:").or_else(|| after(" n:"))?;
    let pts = after(" pts:")?.parse().ok();
    let duration = after(" duration:").and_then(|text| text.parse().ok());
    Some(ShowInfo::Frame { pts, duration })
}

/// The list of segments, as ffmpeg's concat demuxer reads it: names and starts in s. Durations are
/// rounded so that the roundings do not add up.
pub fn concat_list(segments: &[(String, Rational)]) -> String {
    let micros = |time: Rational| (time * 1_000_000).round().to_integer();
    let mut list = String::from("ffconcat version 1.0\n");
    for (at, (name, start)) in segments.iter().enumerate() {
        list += &format!("file '{}'\n", name.replace('\'', r"'\''"));
        if let Some((_, next)) = segments.get(at + 1) {
            let duration = micros(*next) - micros(*start);
            list += &format!("duration {}.{:06}\n", duration / 1_000_000, duration % 1_000_000);
        }
    }
    list
}

/// Counts the frames in a finished file.
///
/// # Errors
/// When ffprobe cannot read it.
pub fn count_frames(programs: &Programs, file: &Path) -> Result<u64> {
    let mut command = Command::new(&programs.ffprobe);
    command
        .args(["-v", "error", "-select_streams", "v:0", "-count_packets"])
        .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-i"])
        .arg(programs::file(file));
    let said = run_program(command, "counting frames")?;
    let said = String::from_utf8_lossy(&said);
    let count = said.trim().trim_end_matches(',').lines().next().and_then(|n| n.parse().ok());
    count.ok_or_else(|| Error::Program {
        what: "counting frames".into(),
        why: format!("ffprobe says {:?}", said.trim()),
    })
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

/// Segments and an original that become a video.
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
    /// How the frames were turned before they were encoded.
    pub turned: Orientation,
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

/// A file of the folder that ffmpeg runs in, whatever its name is.
fn relative(name: &std::ffi::OsStr) -> std::ffi::OsString {
    let mut file = std::ffi::OsString::from("file:");
    file.push(name);
    file
}

/// The command that joins segments, and what should be known of it.
pub fn mux_command(programs: &Programs, mux: &Mux<'_>) -> (Command, Vec<String>) {
    let mut command = programs.ffmpeg();
    let mut notes = Vec::new();
    let container = mux.container.to_ascii_lowercase();
    let container = container.as_str();
    // However much of damaged sound is lost, the rest is kept.
    command.args(["-y", "-max_error_rate", "1"]);
    let turned = mux.turned != Orientation::IDENTITY;
    let stored = mux.original.filter(|_| !turned);
    let rotation = stored.map_or(0, |(_, source)| source.video.rotation);
    if rotation != 0 && programs.version >= (6, 0) {
        command.args(["-display_rotation:v:0", &rotation.to_string()]);
    }
    if mux.offset != Rational::from(0) {
        let micros = (mux.offset * 1_000_000).round().to_integer();
        command.args(["-itsoffset", &format!("{}us", micros)]);
    }
    // What the list names is looked for beside it, and a "?" in a folder's name ends what ffmpeg
    // takes for the folder.
    let list = std::path::absolute(mux.list).unwrap_or_else(|_| mux.list.into());
    command.args(["-protocol_whitelist", "file", "-format_whitelist", "concat,mov,matroska,nut"]);
    command.args(["-f", "concat", "-safe", "0", "-i"]);
    command.arg(relative(list.file_name().unwrap_or_default()));
    if let Some(folder) = list.parent() {
        command.current_dir(folder);
    }
    if let Some((path, source)) = mux.original {
        source.access.limit(&mut command).arg("-i").arg(programs::file(path));
    }
    command.args(["-map", "0:v:0", "-c", "copy"]);
    if let Some((_, source)) = mux.original {
        streams(&mut command, mux, container, source, &mut notes);
    }
    if let Some(last) = mux.last.filter(|_| programs.sets_durations()) {
        command.args(["-bsf:v:0", &show_last(&last, mux.offset, container)]);
    }
    if rotation != 0 && programs.version < (6, 0) {
        let turned = rotation.rem_euclid(360);
        command.args(["-metadata:s:v:0", &format!("rotate={turned}")]);
    }
    if let Some(aspect) = mux.sample_aspect.filter(|aspect| *aspect != Rational::from(1)) {
        // Of pixels; ffmpeg's -aspect is of the whole picture.
        let whole = aspect * Rational::new(mux.size.width as i64, mux.size.height as i64);
        command.args(["-aspect:v:0", &format!("{}:{}", whole.numer(), whole.denom())]);
    }
    // Codecs that do not carry their colours leave them to the container.
    let colour = mux.colour;
    for (option, word) in [
        ("-color_range:v:0", &colour.range),
        ("-colorspace:v:0", &colour.matrix.clone().filter(|matrix| matrix != "gbr")),
        ("-color_primaries:v:0", &colour.primaries),
        ("-color_trc:v:0", &colour.transfer),
    ] {
        if let Some(word) = word {
            command.args([option, &words::option_word(option, word)]);
        }
    }
    if matches!(container, "mp4" | "m4v" | "mov") {
        // FLAC and TrueHD in MP4 were long called experimental.
        command.args(["-strict", "experimental"]);
        let quicktime = mux.original.is_some_and(|(_, source)| plan::quicktime_tags(mux, source));
        let tags = if quicktime { "+use_metadata_tags" } else { "" };
        command.args(["-movflags", &format!("+faststart{tags}")]);
        command.args(["-video_track_timescale", &mux.time_scale.to_string()]);
    }
    command.args(["-disposition:v:0", &dispositions(mux)]);
    // The same job gives the same bytes: no number drawn at random, no date.
    command.args(["-fflags", "+bitexact"]);
    if container == "avi" {
        // It has one clock for all, from the first frame on.
        command.args(["-avoid_negative_ts", "disabled"]);
        // Else it gets empty frames, up to a rate that ffmpeg finds.
        command.args(["-r:v:0", &format!("{}/{}", mux.rate.numer(), mux.rate.denom())]);
    }
    // All is at hand: nothing has to be held back for a stream that lags.
    command.args(["-max_interleave_delta", "0"]);
    if let Some(muxer) = carry::muxer(container) {
        command.args(["-f", muxer]);
    }
    // Beside the list it is named from there, as the list is.
    match mux.output.file_name().filter(|_| mux.output.parent() == mux.list.parent()) {
        Some(name) => _ = command.arg(relative(name)),
        None => _ = command.arg(programs::file(mux.output)),
    }
    if let Some((_, source)) = mux.original.filter(|_| mux.audio || mux.others) {
        use_together(&mut command, 1, source);
    }
    (command, notes)
}

/// The filter that says how long the last frame is shown.
fn show_last(last: &LastFrame, offset: Rational, container: &str) -> String {
    let seconds = |time: Rational| *time.numer() as f64 / *time.denom() as f64;
    // The list gives starts in millionths, and Matroska's times are thousandths.
    let near = (last.duration / 2).min(Rational::new(1, 500));
    let time = offset + last.time;
    let number = last.number;
    let duration = seconds(last.duration);
    let mut decoded = "DTS".to_owned();
    let duration = match container {
        // What PTS counts depends on the release: thousandths, or ticks of the segments.
        "mkv" | "webm" => {
            let (time, near) = (seconds(time), seconds(near));
            let is =
                |unit: &str| format!("gt(N,{number}-16)*lt(abs(PTS*{unit}-{time:.6}),{near:.6})");
            format!(
                "if({},round({duration:.9}/0.001),if({},round({duration:.9}/TB),DURATION))",
                is("0.001"),
                is("TB")
            )
        }
        // What is decoded last may be shown before it, and ends the track as well: decoded as late
        // as it can be, it lasts as long as it can.
        _ => {
            let (from, length) = (seconds(time - near), seconds(last.time + last.duration));
            let (start, end) = (seconds(offset), seconds(time + last.duration));
            let late = format!("max(DTS,min(PTS,PTS+STARTDTS-round({start:.9}/TB)))");
            decoded = format!("if(eq(N,{number}),{late},DTS)");
            format!(
                "if(gte(PTS*TB,{from:.6}),round({duration:.9}/TB),\
                 if(eq(N,{number}),min(round({length:.9}/TB)-{late}+STARTDTS,\
                 round({end:.9}/TB)-PTS),DURATION))"
            )
        }
    };
    let escaped = |expression: &str| expression.replace(',', "\\,");
    format!("setts=pts=PTS:dts={}:duration={}", escaped(&decoded), escaped(&duration))
}

/// Whether a stream starts 10 ms or more before or after the picture.
fn starts_apart(source: &Probed, stream: &Stream) -> bool {
    let main = source.streams.iter().find(|main| main.index == source.video.index);
    let starts = main.and_then(|main| Some((main.start?, stream.start?)));
    starts.is_some_and(|(a, b)| (a - b) * 100 >= 1.into() || (b - a) * 100 >= 1.into())
}

/// The original's streams.
fn streams(
    command: &mut Command,
    mux: &Mux<'_>,
    container: &str,
    source: &Probed,
    notes: &mut Vec<String>,
) {
    let (mut audio, mut subtitles, mut pictures, mut data, mut files) = (0, 0, 1, 0, 0);
    // Where each stream of the output comes from, ours first.
    let mut from = vec![source.video.index];
    let mut covers = Vec::new();
    for (stream, fate) in source.streams.iter().zip(plan::streams(mux, source)) {
        let Fate::Carried(carry) = fate else { continue };
        let (kind, number) = match stream.kind {
            StreamKind::Audio => ("a", &mut audio),
            StreamKind::Subtitle => ("s", &mut subtitles),
            StreamKind::Data => ("d", &mut data),
            StreamKind::Attachment => ("t", &mut files),
            StreamKind::Video | StreamKind::Picture => ("v", &mut pictures),
        };
        if let Carry::Attached(ending, mime) = carry {
            covers.push((stream, ending, mime));
            continue;
        }
        if container == "avi" && kind == "a" && starts_apart(source, stream) {
            notes.push(
                "changed: start of audio - AVI has one start for all streams, and this one began \
                 earlier or later than the video"
                    .into(),
            );
        }
        command.args(["-map", &format!("1:{}", stream.index)]);
        match carry {
            Carry::Encoded(encoder, options) => {
                command.args([format!("-c:{kind}:{number}"), encoder.into()]);
                for (option, value) in options {
                    command.args([format!("-{option}:{kind}:{number}"), value]);
                }
            }
            _ if kind == "v" => {
                command.args([format!("-disposition:v:{number}"), "attached_pic".into()]);
            }
            _ if kind == "d" => {
                command.args([format!("-tag:d:{number}"), stream.tag.clone()]);
            }
            _ => {}
        }
        *number += 1;
        from.push(stream.index);
    }
    notes.sort();
    notes.dedup();
    let chapters = if plan::chapters(mux).is_none() { "1" } else { "-1" };
    command.args(["-map_metadata", "1", "-map_chapters", chapters]);
    for (to, from) in from.into_iter().enumerate() {
        command.args([format!("-map_metadata:s:{to}"), format!("1:s:{from}")]);
    }
    for (number, (stream, ending, mime)) in (files..).zip(covers) {
        let name = stream.file_name.clone().unwrap_or_else(|| format!("cover.{ending}"));
        command.arg("-attach").arg(plan::cover_file(stream, ending));
        command.args([format!("-metadata:s:t:{number}"), format!("mimetype={mime}")]);
        command.args([format!("-metadata:s:t:{number}"), format!("filename={name}")]);
    }
    stale_tags(command, mux, source);
    timecode(command, mux, container, source);
}

/// Removes tags that describe the original's encoding and file, which are others now.
fn stale_tags(command: &mut Command, mux: &Mux<'_>, source: &Probed) {
    for key in ["major_brand", "minor_version", "compatible_brands"] {
        command.args(["-metadata", &format!("{key}=")]);
    }
    for key in ["NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "BPS", "DURATION"] {
        for language in ["", "-eng"] {
            command.args(["-metadata:s:v:0", &format!("{key}{language}=")]);
        }
    }
    // Transparency is lost, and a player would look for it.
    for key in ["encoder", "_STATISTICS_TAGS", "_STATISTICS_WRITING_APP", "alpha_mode"] {
        command.args(["-metadata:s:v:0", &format!("{key}=")]);
    }
    if mux.turned != Orientation::IDENTITY && source.video.rotation != 0 {
        command.args(["-metadata:s:v:0", "rotate="]);
    }
}

/// Writes the timecode where the container has it.
fn timecode(command: &mut Command, mux: &Mux<'_>, container: &str, source: &Probed) {
    let code = match plan::timecode(mux, source) {
        Code::None => return,
        Code::Exact(code) | Code::Nearest(code) => code,
        Code::Left(_) => String::new(),
    };
    let (of_file, of_stream) = if container == "avi" { (&*code, "") } else { ("", &*code) };
    command.args(["-metadata", &format!("timecode={of_file}")]);
    command.args(["-metadata:s:v:0", &format!("timecode={of_stream}")]);
    let reel = source.video.reel.as_deref().filter(|_| !code.is_empty());
    command.args(["-metadata:s:v:0", &format!("reel_name={}", reel.unwrap_or_default())]);
}

/// What the video is for: the default one, and what the original was.
fn dispositions(mux: &Mux<'_>) -> String {
    let main = mux.original.and_then(|(_, source)| {
        source.streams.iter().find(|stream| stream.index == source.video.index)
    });
    let others = main.map(|stream| stream.dispositions.as_slice()).unwrap_or_default();
    let others = others.iter().filter(|name| *name != "default");
    others.fold("default".to_owned(), |all, name| format!("{all}+{name}"))
}

/// Joins segments with everything else of the original, in the folder of the list of segments;
/// `what` names the work in errors. Returns what should be known of the output.
///
/// # Errors
/// When ffmpeg cannot write the output.
pub fn join(programs: &Programs, mux: &Mux<'_>, what: &str) -> Result<Vec<String>> {
    if let Some((path, source)) = mux.original {
        for (stream, fate) in source.streams.iter().zip(plan::streams(mux, source)) {
            let Fate::Carried(Carry::Attached(ending, _)) = fate else { continue };
            let mut command = programs.ffmpeg();
            command.arg("-y");
            source.access.limit(&mut command).arg("-i").arg(programs::file(path));
            command.args(["-map", &format!("0:{}", stream.index), "-c", "copy"]);
            command.args(["-frames:v", "1", "-f", "image2pipe"]);
            command.arg(relative(plan::cover_file(stream, ending).as_ref()));
            if let Some(folder) = mux.list.parent() {
                command.current_dir(folder);
            }
            run_program(command, what)?;
        }
    }
    let (command, notes) = mux_command(programs, mux);
    run_program(command, what)?;
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_release_are_understood() {
        let head = "[Parsed_showinfo_0 @ 0x55bb8e6b8700] [info] ";
        let parse = |text: &str| parse_showinfo(&format!("{head}{text}"));
        assert_eq!(
            parse("config in time_base: 1/12800, frame_rate: 25/1"),
            Some(ShowInfo::TimeBase(Rational::new(1, 12800)))
        );
        assert_eq!(
            parse("n:   1 pts:    512 pts_time:0.04    pos:     9633 fmt:yuv420p sar:1/1"),
            Some(ShowInfo::Frame { pts: Some(512), duration: None })
        );
        assert_eq!(
            parse("n:   1 pts:   -512 pts_time:-0.04   duration:    512 duration_time:0.04"),
            Some(ShowInfo::Frame { pts: Some(-512), duration: Some(512) })
        );
        assert_eq!(
            parse("n:   1 pts:    NOPTS pts_time:NOPTS"),
            Some(ShowInfo::Frame { pts: None, duration: None })
        );
        assert_eq!(parse("color_range:unknown color_space:unknown"), None);
        assert_eq!(parse("config out time_base: 0/0, frame_rate: 0/0"), None);
        assert_eq!(parse_showinfo("[h264 @ 0x1] [error] n: 5 pts: 6"), None);
    }

    #[test]
    fn roundings_of_segments_do_not_add_up() {
        let segments: Vec<_> =
            (0..4).map(|i| (format!("{i}.mp4"), Rational::new(i * 1001, 3000))).collect();
        let list = concat_list(&segments);
        let sum: f64 = list
            .lines()
            .filter_map(|line| line.strip_prefix("duration ")?.parse::<f64>().ok())
            .sum();
        assert!((sum - 1.001).abs() < 1e-9, "{list}");
        assert!(concat_list(&[("it's.mp4".into(), Rational::from(0))]).contains(r"'it'\''s.mp4'"));
    }
}
