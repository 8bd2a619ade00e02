//! The decoder command, and the log messages that it prints.

use std::path::Path;
use std::process::Command;

use crate::Rational;
use crate::ffmpeg::hardware::HwDecoder;
use crate::ffmpeg::media::Probed;
use crate::ffmpeg::programs::{self, Programs};
use crate::ffmpeg::working_format::WorkingFormat;

/// How to decode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Start at the last keyframe before this time, in s; see [`Probed::seeks_exactly`]. Frame times
    /// do not depend on it.
    pub start: Option<Rational>,
    /// Drop the frames before `start`. Otherwise the first frame shows where decoding started.
    pub drop_earlier: bool,
    /// The hardware decoder; see [`crate::probe_hw_decoder`].
    pub hardware: Option<HwDecoder>,
}

/// The decoder command: raw frames on standard output, and their times in the log.
pub fn decode_command(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
) -> Command {
    decode_command_with(programs, path, source, working, &DecodeOptions::default())
}

/// As [`decode_command`], with options.
pub fn decode_command_with(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
    options: &DecodeOptions,
) -> Command {
    decode(programs, path, source, working, options, "rawvideo")
}

/// As [`decode_command`], with a line and a checksum per frame instead of its samples.
pub(super) fn checksums_command(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
) -> Command {
    decode(programs, path, source, working, &DecodeOptions::default(), "framecrc")
}

fn decode(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
    options: &DecodeOptions,
    format: &str,
) -> Command {
    let mut command = Command::new(&programs.ffmpeg);
    command
        .args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"])
        // Continue however much of a damaged file is lost.
        .args(["-max_error_rate", "1"])
        // Rotation is handled separately.
        .arg("-noautorotate");
    if let Some(hardware) = options.hardware {
        command.args(["-hwaccel", hardware.as_str()]);
    }
    if let Some(start) = options.start {
        // Times count from the start of the file, as without a seek.
        command.args(["-copyts", "-start_at_zero"]);
        if !options.drop_earlier {
            command.arg("-noaccurate_seek");
        }
        command.args(["-ss", &microseconds(start)]);
    }
    source.access.limit(&mut command).arg("-i").arg(programs::file(path));
    command
        .args(["-map", &format!("0:{}", source.video.index)])
        .args(programs.passthrough())
        .args(["-vf", "showinfo=checksum=0"])
        // In video of variable rate, frames may be closer than the average rate suggests.
        .args(["-enc_time_base", if programs.version >= (7, 0) { "demux" } else { "-1" }])
        .args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact"])
        .args(["-f", format, "-pix_fmt", &working.pix_fmt, "pipe:1"]);
    select_timing_streams(&mut command, 0, source);
    command
}

/// A time in s as an option of ffmpeg.
pub(super) fn microseconds(time: Rational) -> String {
    format!("{}us", (time * 1_000_000).round())
}

/// See [`Probed::timing_streams`].
pub(super) fn select_timing_streams(command: &mut Command, input: usize, source: &Probed) {
    let streams = source.timing_streams();
    if streams.is_empty() {
        return;
    }
    for stream in streams {
        command.args(["-map", &format!("{input}:{stream}")]);
    }
    command.args(["-c", "copy", "-f", "null", "-"]);
}

/// A log message of the showinfo filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowInfo {
    /// Length of a tick from now on, in s.
    TimeBase(Rational),
    /// The next frame.
    Frame {
        /// Presentation time, in ticks; `None` if the container does not state it.
        pts: Option<i64>,
        /// Duration, in ticks; `None` if the container does not state it.
        duration: Option<i64>,
        /// Whether it depends on no other frame, and frames after it on none before it.
        key: bool,
    },
}

/// Parses a log message; `None` if it is not from showinfo.
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
    // The first frame of a gradual refresh is a keyframe, too, but depends on others.
    let key = after(" iskey:") == Some("1") && after(" type:") == Some("I");
    Some(ShowInfo::Frame { pts, duration, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn showinfo_of_every_release_is_parsed() {
        let head = "[Parsed_showinfo_0 @ 0x55bb8e6b8700] [info] ";
        let parse = |text: &str| parse_showinfo(&format!("{head}{text}"));
        assert_eq!(
            parse("config in time_base: 1/12800, frame_rate: 25/1"),
            Some(ShowInfo::TimeBase(Rational::new(1, 12800)))
        );
        assert_eq!(
            parse("n:   1 pts:    512 pts_time:0.04    pos:     9633 fmt:yuv420p sar:1/1"),
            Some(ShowInfo::Frame { pts: Some(512), duration: None, key: false })
        );
        assert_eq!(
            parse("n:   1 pts:   -512 pts_time:-0.04   duration:    512 duration_time:0.04"),
            Some(ShowInfo::Frame { pts: Some(-512), duration: Some(512), key: false })
        );
        assert_eq!(
            parse("n:   1 pts:    NOPTS pts_time:NOPTS"),
            Some(ShowInfo::Frame { pts: None, duration: None, key: false })
        );
        let keys = |flags: &str| match parse(&format!("n: 0 pts: 1 {flags} checksum:0")) {
            Some(ShowInfo::Frame { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert!(keys("fmt:yuv420p i:P iskey:1 type:I"));
        assert!(!keys("fmt:yuv420p i:P iskey:1 type:P") && !keys("i:P iskey:0 type:I"));
        assert_eq!(parse("color_range:unknown color_space:unknown"), None);
        assert_eq!(parse("config out time_base: 0/0, frame_rate: 0/0"), None);
        assert_eq!(parse_showinfo("[h264 @ 0x1] [error] n: 5 pts: 6"), None);
    }
}
