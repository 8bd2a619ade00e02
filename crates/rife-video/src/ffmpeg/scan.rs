//! Lists the frames of a file by decoding it once, without keeping them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use crate::child::ChildProcess;
use crate::ffmpeg::decode::{ShowInfo, checksums_command, parse_showinfo};
use crate::ffmpeg::media::Probed;
use crate::ffmpeg::programs::Programs;
use crate::ffmpeg::working_format::WorkingFormat;
use crate::frame_clock::FrameClock;
use crate::{ContainerTiming, Error, Rational, Result};

/// A frame that a decoder returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedFrame {
    /// Time as stated by the container, in s; `None` if it states none.
    pub stated: Option<Rational>,
    /// Presentation time after corrections, in s.
    pub time: Rational,
    /// Duration if this is the last frame, in s; `None` if unknown.
    pub duration: Option<Rational>,
    /// Adler-32 of the samples in the working format, with an initial value of 0.
    pub checksum: u32,
}

/// Decodes the whole file and lists its frames, as [`crate::Decoder`] returns them. `on_frame` is
/// called with the number of frames so far.
///
/// # Errors
/// If ffmpeg fails or no frame can be decoded.
pub fn scan_frames(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
    timing: ContainerTiming,
    mut on_frame: impl FnMut(u64) -> Result<()>,
) -> Result<Vec<ScannedFrame>> {
    let mut command = checksums_command(programs, path, source, working);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let what = format!("decoding {}", path.display());
    let (sender, infos) = channel();
    let mut child = ChildProcess::start(command, &what, move |line| {
        if let Some(info) = parse_showinfo(line) {
            // Fails after an error, which is reported.
            let _ = sender.send(info);
            return false;
        }
        (line.contains("[error]") || line.contains("[fatal]")) && !line.contains("dts to muxer")
    })?;
    let mut clock = FrameClock::new(timing);
    let mut frames = Vec::new();
    if let Some(pipe) = child.stdout() {
        for line in BufReader::new(pipe).lines() {
            let line = line.map_err(Error::io(what.clone()))?;
            let Some(checksum) = parse_checksum(&line) else { continue };
            let (pts, duration) = loop {
                match infos.recv() {
                    Ok(ShowInfo::TimeBase(base)) => clock.time_base = base,
                    Ok(ShowInfo::Frame { pts, duration, .. }) => break (pts, duration),
                    // ffmpeg ended without a message: extrapolate, as the decoder does.
                    Err(_) => break (None, None),
                }
            };
            let stated = pts.map(|pts| clock.time_base * pts);
            let (time, duration) = clock.next(pts, duration);
            frames.push(ScannedFrame { stated, time, duration, checksum });
            on_frame(frames.len() as u64)?;
        }
    }
    child.wait()?;
    if frames.is_empty() {
        let why = "no video frame could be decoded".into();
        return Err(Error::Unusable { path: path.to_owned(), why });
    }
    Ok(frames)
}

/// The checksum in a line of ffmpeg's framecrc: `0, dts, pts, duration, size, 0x1234abcd`.
fn parse_checksum(line: &str) -> Option<u32> {
    let field = line.strip_prefix("0,")?.split(',').nth(4)?;
    u32::from_str_radix(field.trim().strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_parsed() {
        let line = "0,     126976,     126976,      512,      472, 0x29eb1255";
        assert_eq!(parse_checksum(line), Some(0x29eb_1255));
        let extra = format!("{line}, F=0x0, S=1, 8, 0x02000200");
        assert_eq!(parse_checksum(&extra), Some(0x29eb_1255));
        for other in ["#tb 0: 1/25", "", "1, 0, 0, 1, 4, 0x1", "0, 0, 0, 1, 4, 1"] {
            assert_eq!(parse_checksum(other), None, "{other}");
        }
    }
}
