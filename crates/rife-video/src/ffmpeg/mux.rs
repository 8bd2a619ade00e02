//! What is decoded, and how segments become a video with all that the original has beside its
//! frames.

use std::path::Path;
use std::process::Command;

use crate::ffmpeg::probe::{Probed, StreamKind, WorkingFormat};
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::{Colour, Error, Rational, Result};

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
        // As it lies in the file: how it is turned is told apart from it.
        .args(["-noautorotate", "-i"])
        .arg(programs::file(path))
        .args(["-map", &format!("0:{}", source.video.index)])
        .args(programs.passthrough())
        .args(["-vf", "showinfo=checksum=0"])
        // Frames of a variable rate may be nearer to each other than its average says.
        .args(["-enc_time_base", if programs.version >= (7, 0) { "demux" } else { "-1" }])
        .args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact"])
        .args(["-f", "rawvideo", "-pix_fmt", &working.pix_fmt, "pipe:1"]);
    command
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
    /// Whether subtitles, chapters and data do.
    pub others: bool,
    /// When the first frame is shown after the original's start, s.
    pub offset: Rational,
    /// Ticks a second.
    pub time_scale: i64,
    /// What samples mean, for what does not say so itself.
    pub colour: &'a Colour,
    /// Width of a pixel over its height.
    pub sample_aspect: Option<Rational>,
}

/// The command that joins segments, and what should be known of it.
pub fn mux_command(programs: &Programs, mux: &Mux<'_>) -> (Command, Vec<String>) {
    let mut command = programs.ffmpeg();
    let mut notes = Vec::new();
    command.arg("-y");
    let rotation = mux.original.map_or(0, |(_, source)| source.video.rotation);
    if rotation != 0 && programs.version >= (6, 0) {
        command.args(["-display_rotation:v:0", &rotation.to_string()]);
    }
    if mux.offset != Rational::from(0) {
        let micros = (mux.offset * 1_000_000).round().to_integer();
        command.args(["-itsoffset", &format!("{}us", micros)]);
    }
    command.args(["-f", "concat", "-safe", "0", "-i"]).arg(programs::file(mux.list));
    if let Some((path, _)) = mux.original {
        command.arg("-i").arg(programs::file(path));
    }
    command.args(["-map", "0:v:0", "-c", "copy"]);
    if let Some((_, source)) = mux.original {
        streams(&mut command, mux, source, &mut notes);
    }
    if rotation != 0 && !matches!(mux.container, "mp4" | "m4v" | "mov") {
        notes.push(format!(
            ".{} may not keep that the video is turned by {rotation} degrees: .mp4 does",
            mux.container
        ));
    }
    if rotation != 0 && programs.version < (6, 0) {
        let turned = rotation.rem_euclid(360);
        command.args(["-metadata:s:v:0", &format!("rotate={turned}")]);
    }
    if let Some(aspect) = mux.sample_aspect.filter(|aspect| *aspect != Rational::from(1)) {
        // Of pixels; ffmpeg's -aspect is of the whole picture.
        if let Some((_, source)) = mux.original {
            let size = source.video.size;
            let whole = aspect * Rational::new(size.width as i64, size.height as i64);
            command.args(["-aspect:v:0", &format!("{}:{}", whole.numer(), whole.denom())]);
        }
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
            command.args([option, word]);
        }
    }
    if matches!(mux.container, "mp4" | "m4v" | "mov") {
        command.args(["-movflags", "+faststart"]);
        command.args(["-video_track_timescale", &mux.time_scale.to_string()]);
    }
    command.args(["-disposition:v:0", "default"]);
    // The same job gives the same bytes: no number drawn at random, no date.
    command.args(["-fflags", "+bitexact"]);
    if mux.container == "avi" {
        // It has one clock for all, from the first frame on.
        command.args(["-avoid_negative_ts", "disabled"]);
    }
    // All is at hand: nothing has to be held back for a stream that lags.
    command.args(["-max_interleave_delta", "0"]);
    command.arg(programs::file(mux.output));
    (command, notes)
}

/// The original's streams.
fn streams(command: &mut Command, mux: &Mux<'_>, source: &Probed, notes: &mut Vec<String>) {
    let container = match mux.container {
        "m4v" | "mov" => "mp4",
        other => other,
    };
    let mov = mux.container == "mov";
    let (mut audio, mut subtitles, mut pictures) = (0, 0, 1);
    // Where each stream of the output comes from, ours first.
    let mut from = vec![source.video.index];
    for stream in &source.streams {
        let codec = stream.codec.as_str();
        let map = format!("1:{}", stream.index);
        match stream.kind {
            StreamKind::Audio if mux.audio => {
                command.args(["-map", &map]);
                let instead = match container {
                    "mp4" if mov || !codec.starts_with("pcm_") => None,
                    "mp4" => Some("aac"),
                    "webm" if matches!(codec, "opus" | "vorbis") => None,
                    "webm" => Some("libopus"),
                    "avi" if matches!(codec, "opus" | "vorbis" | "flac") => Some("mp3"),
                    _ => None,
                };
                if let Some(instead) = instead {
                    command.args([format!("-c:a:{audio}"), instead.into()]);
                    notes.push(format!(
                        ".{} cannot hold {codec}: it becomes {instead}",
                        mux.container
                    ));
                }
                audio += 1;
                from.push(stream.index);
            }
            StreamKind::Subtitle if mux.others => {
                let text =
                    matches!(codec, "subrip" | "ass" | "ssa" | "mov_text" | "webvtt" | "text");
                let instead = match container {
                    "mp4" if codec == "mov_text" => Some("copy"),
                    "mp4" if text => Some("mov_text"),
                    "mkv" if codec == "mov_text" => Some("srt"),
                    "mkv" => Some("copy"),
                    "webm" if codec == "webvtt" => Some("copy"),
                    "webm" if text => Some("webvtt"),
                    _ => None,
                };
                let Some(instead) = instead else {
                    notes.push(format!(
                        ".{} cannot hold the {codec} subtitles: they are left out",
                        mux.container
                    ));
                    continue;
                };
                command.args(["-map", &map]);
                if instead != "copy" {
                    command.args([format!("-c:s:{subtitles}"), instead.into()]);
                }
                subtitles += 1;
                from.push(stream.index);
            }
            StreamKind::Picture if mux.others && container != "mp4" => {
                notes.push(format!(".{} gets no cover: it is left out", mux.container));
            }
            StreamKind::Picture if mux.others => {
                command.args(["-map", &map]);
                command.args([format!("-disposition:v:{pictures}"), "attached_pic".into()]);
                pictures += 1;
                from.push(stream.index);
            }
            StreamKind::Attachment if mux.others => {
                if container == "mkv" {
                    command.args(["-map", &map]);
                    from.push(stream.index);
                } else {
                    notes.push(format!(
                        ".{} cannot hold attachments: they are left out",
                        mux.container
                    ));
                }
            }
            // Times of frames that are no more, and what only its own container understands.
            _ => {}
        }
    }
    let metadata = if mux.others { "1" } else { "-1" };
    command.args(["-map_metadata", "1", "-map_chapters", metadata]);
    for (to, from) in from.into_iter().enumerate() {
        command.args([format!("-map_metadata:s:{to}"), format!("1:s:{from}")]);
    }
    // What it says of the frames that were, which are others now, or of how they were made.
    for key in ["encoder", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "BPS", "DURATION"] {
        command.args(["-metadata:s:v:0", &format!("{key}=")]);
    }
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
