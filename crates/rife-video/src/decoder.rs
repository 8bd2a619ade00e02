//! Decodes a file with ffmpeg; frames have the times that the container states.

use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::child::{ChildProcess, strip_log_prefix};
use crate::ffmpeg::{ShowInfo, VideoStream, damaged_tail, parse_showinfo};
use crate::frame_clock::FrameClock;
use crate::pool::Pool;
use crate::stream::{Source, SourceFrame};
use crate::timing::ContainerTiming;
use crate::{Error, Rational, Result, frames};

/// Buffer for reading the pipe, in bytes.
const PIPE_BUFFER: usize = 1 << 20;

/// A log message of the decoder other than showinfo.
#[derive(Debug)]
enum Message {
    /// The file is damaged.
    Problem(String),
    /// Parts of a frame were reconstructed from its neighbours.
    Concealed,
}

/// A file being decoded.
#[derive(Debug)]
pub struct Decoder {
    path: PathBuf,
    child: Option<ChildProcess>,
    pipe: Option<BufReader<ChildStdout>>,
    showinfo: Receiver<ShowInfo>,
    messages: Receiver<Message>,
    stream: VideoStream,
    clock: FrameClock,
    read: u64,
    /// Whether decoding started at or will end at another frame than the first or the last one, so
    /// that the number of frames of the file says nothing.
    partial: bool,
    /// Whether to warn about damage at the end.
    reports_damage: bool,
    /// Whether the first frame is a keyframe that nothing before it affects.
    first_is_key: bool,
    /// Time that the container states for the latest frame, in s.
    stated: Option<Rational>,
}

impl Decoder {
    /// Starts decoding. `command` comes from [`crate::decode_command`]; `path` appears in messages;
    /// `stream` is the stream being decoded.
    ///
    /// # Errors
    /// If ffmpeg cannot be started.
    pub fn start(
        command: Command,
        path: &Path,
        timing: ContainerTiming,
        stream: VideoStream,
    ) -> Result<Self> {
        let (showinfo_in, showinfo) = channel();
        let (report, messages) = channel();
        let mut command = command;
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let what = format!("decoding {}", path.display());
        let mut child = ChildProcess::start(command, &what, move |line| {
            if let Some(info) = parse_showinfo(line) {
                let _ = showinfo_in.send(info);
                return false;
            }
            let is_error = line.contains("[error]") || line.contains("[fatal]");
            let text = strip_log_prefix(line);
            // Harmless: raw video has no decoding times.
            if text.contains("dts to muxer") {
                return false;
            }
            if text.starts_with("concealing ") {
                let _ = report.send(Message::Concealed);
            } else if is_error || DAMAGE_PATTERNS.iter().any(|pattern| text.contains(pattern)) {
                let _ = report.send(Message::Problem(text));
            }
            is_error
        })?;
        let pipe = child.stdout().map(|pipe| BufReader::with_capacity(PIPE_BUFFER, pipe));
        Ok(Self {
            path: path.to_owned(),
            child: Some(child),
            pipe,
            showinfo,
            messages,
            stream,
            clock: FrameClock::new(timing),
            read: 0,
            partial: false,
            reports_damage: true,
            first_is_key: false,
            stated: None,
        })
    }

    /// Declares that the command starts at a later frame, whose corrected time is `time`, in s.
    /// Damage is not reported: whoever decodes all frames does that.
    #[must_use]
    pub(crate) fn starting_at(mut self, time: Rational) -> Self {
        self.clock = FrameClock::starting_at(self.clock.timing, time);
        (self.partial, self.reports_damage) = (true, false);
        self
    }

    /// The time that the container states for the latest frame, in s.
    pub(crate) fn stated_time(&self) -> Option<Rational> {
        self.stated
    }

    /// Declares that the command starts to decode within the file, whose first frame is at `start`,
    /// in s: rounded times snap to the same grid as from the start.
    pub(crate) fn after_seek(mut self, start: Option<Rational>) -> Self {
        self.partial = true;
        if let Some(start) = start {
            self.clock.times.set_anchor(start);
        }
        self
    }

    /// Whether the first frame is a keyframe that nothing before it affects.
    pub(crate) fn starts_at_keyframe(&self) -> bool {
        self.first_is_key
    }

    /// Time and duration of the frame that was just read, in ticks.
    fn next_showinfo(&mut self) -> (Option<i64>, Option<i64>) {
        loop {
            match self.showinfo.recv() {
                Ok(ShowInfo::TimeBase(base)) => self.clock.time_base = base,
                Ok(ShowInfo::Frame { pts, duration, key }) => {
                    self.first_is_key |= key && pts.is_some() && self.read == 0;
                    return (pts, duration);
                }
                // ffmpeg ended without a message: extrapolate.
                Err(_) => return (None, None),
            }
        }
    }

    /// Waits for ffmpeg, and warns if the file is damaged.
    fn end(&mut self) -> Result<()> {
        self.pipe = None;
        if let Some(child) = self.child.take() {
            child.wait()?;
        }
        if self.read == 0 {
            let why = self.messages.try_iter().find_map(|message| match message {
                Message::Problem(text) => Some(text),
                Message::Concealed => None,
            });
            let why = why.unwrap_or("no video frame could be decoded".into());
            return Err(Error::Unusable { path: self.path.clone(), why });
        }
        if self.reports_damage
            && !self.report_damage()
            && let Ok(Some(bytes)) = damaged_tail(&self.path)
        {
            // How many frames these bytes contained is stated nowhere.
            tracing::warn!(
                "frames may be missing at the end: {} is damaged: {bytes} bytes near its end are not \
                 MPEG-TS packets",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Warns if the file is damaged, according to the messages so far. Returns whether it is.
    fn report_damage(&self) -> bool {
        let (mut problem, mut concealed) = (None, 0);
        for message in self.messages.try_iter() {
            match message {
                // The first message names the cause, the others its consequences.
                Message::Problem(text) => _ = problem.get_or_insert(text),
                Message::Concealed => concealed += 1,
            }
        }
        let damaged = problem.is_some() || concealed > 0;
        if damaged {
            let lost = self.lost();
            tracing::warn!(
                "{}",
                damage_warning(&self.path, self.read, lost, concealed, problem.as_deref())
            );
        }
        damaged
    }

    /// Number of frames that could not be decoded.
    fn lost(&self) -> u64 {
        if self.partial {
            return self.clock.times.lost(self.clock.timing.end);
        }
        if let Some(listed) = self.clock.timing.frames {
            return listed.saturating_sub(self.read);
        }
        // Damage either loses packets, which leaves gaps in the times, or leaves packets that
        // decode to no frame.
        let gaps = self.clock.times.lost(self.clock.timing.end);
        let packets = self.stream.count_packets();
        let mut packets = packets.unwrap_or(0);
        if self.clock.timing.fields && packets > self.read * 3 / 2 {
            packets /= 2;
        }
        let lost = gaps.max(packets.saturating_sub(self.read));
        // Packets lost at the start leave no gap. A late start alone is not damage.
        if lost == 0 { self.clock.times.lost_before(self.clock.timing.origin) } else { lost }
    }
}

/// Messages below the error level that indicate a damaged file.
const DAMAGE_PATTERNS: &[&str] = &["partial file", "Packet corrupt", "corrupt input packet"];

/// The warning about a damaged file.
fn damage_warning(
    path: &Path,
    read: u64,
    lost: u64,
    concealed: u64,
    problem: Option<&str>,
) -> String {
    let frames = |n: u64| if n == 1 { "1 frame".to_owned() } else { format!("{n} frames") };
    let path = path.display();
    let mut text = match lost {
        0 => {
            format!(
                "parts of the picture may be wrong: {path} is damaged; every frame found was decoded"
            )
        }
        _ => format!("{} of {} could not be decoded: {path} is damaged", frames(lost), read + lost),
    };
    if concealed > 0 {
        text += &format!("; {} decoded with errors", frames(concealed));
    }
    if let Some(problem) = problem {
        text += &format!(" (ffmpeg: {problem})");
    }
    text
}

impl Source for Decoder {
    fn stop(&mut self) {
        self.pipe = None;
        let Some(child) = self.child.take() else { return };
        child.stop();
        self.partial = true;
        // The end of the file was not reached.
        self.clock.timing.end = None;
        if self.reports_damage {
            self.report_damage();
        }
    }

    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        let Some(pipe) = &mut self.pipe else { return Ok(None) };
        match frames::read(pipe, pool) {
            Ok(Some(frame)) => {
                let (pts, duration) = self.next_showinfo();
                self.read += 1;
                self.stated = pts.map(|pts| self.clock.time_base * pts);
                let (time, duration) = self.clock.next(pts, duration);
                Ok(Some(SourceFrame { frame: Arc::new(frame), time, duration }))
            }
            Ok(None) => self.end().map(|()| None),
            Err(error) => {
                let fallback = match error.kind() {
                    ErrorKind::UnexpectedEof => Error::Unusable {
                        path: self.path.clone(),
                        why: format!("the decoded stream ends within frame {}", self.read),
                    },
                    _ => Error::io(format!("decoding {}", self.path.display()))(error),
                };
                self.pipe = None;
                match self.child.take() {
                    Some(child) => Err(child.into_error(fallback)),
                    None => Err(fallback),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_warning_counts_lost_frames() {
        let path = Path::new("in.mp4");
        assert_eq!(
            damage_warning(path, 146, 4, 0, Some("Invalid NAL unit size")),
            "4 frames of 150 could not be decoded: in.mp4 is damaged (ffmpeg: Invalid NAL unit \
             size)"
        );
        let text = damage_warning(path, 149, 1, 2, None);
        assert!(text.starts_with("1 frame of 150 could not"), "{text}");
        assert!(text.ends_with("; 2 frames decoded with errors"), "{text}");
        assert!(!damage_warning(path, 150, 0, 0, Some("x")).contains("could not"));
    }
}
