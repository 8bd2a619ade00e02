//! HEAD decoder

use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::child::{Worker, without_origin};
use crate::ffmpeg::{ShowInfo, VideoStream, parse_showinfo};
use crate::pool::Pool;
use crate::stream::{Source, SourceFrame};
use crate::timing::{Expected, Times};
use crate::{Error, Rational, Result, frames};

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 20;

/// A message of the decoder's that is not about a frame's time.
#[derive(Debug)]
enum Message {
    /// Something in the file is wrong.
    Complaint(String),
    /// A frame has parts that were made up from its neighbours.
    Concealed,
}

/// A file that is being decoded.
#[derive(Debug)]
pub struct Decoder {
    path: PathBuf,
    worker: Option<Worker>,
    pipe: Option<BufReader<ChildStdout>>,
    shown: Receiver<ShowInfo>,
    messages: Receiver<Message>,
    stream: VideoStream,
    expected: Expected,
    /// As the filter that tells the times has it.
    time_base: Rational,
    times: Times,
    read: u64,
}

impl Decoder {
    /// Starts decoding by a command of [`crate::decode_command`]'s. `path` is the name in messages;
    /// `stream` is what is decoded.
    ///
    /// # Errors
    /// When ffmpeg does not start.
    pub fn start(
        command: Command,
        path: &Path,
        expected: Expected,
        stream: VideoStream,
    ) -> Result<Self> {
        let (show, shown) = channel();
        let (complain, messages) = channel();
        let mut command = command;
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let what = format!("decoding {}", path.display());
        let mut worker = Worker::start(command, &what, move |line| {
            if let Some(info) = parse_showinfo(line) {
                let _ = show.send(info);
                return false;
            }
            let bad = line.contains("[error]") || line.contains("[fatal]");
            let said = without_origin(line);
            // Of raw video nobody asks for such times.
            if said.contains("dts to muxer") {
                return false;
            }
            if said.starts_with("concealing ") {
                let _ = complain.send(Message::Concealed);
            } else if bad || DAMAGE.iter().any(|words| said.contains(words)) {
                let _ = complain.send(Message::Complaint(said));
            }
            bad
        })?;
        let pipe = worker.stdout().map(|pipe| BufReader::with_capacity(AT_ONCE, pipe));
        let times = Times::new(&expected);
        Ok(Self {
            path: path.to_owned(),
            worker: Some(worker),
            pipe,
            shown,
            messages,
            stream,
            time_base: expected.time_base,
            expected,
            times,
            read: 0,
        })
    }

    /// What the filter says of the frame that was just read.
    fn shown(&mut self) -> (Option<i64>, Option<i64>) {
        loop {
            match self.shown.recv() {
                Ok(ShowInfo::TimeBase(base)) => self.time_base = base,
                Ok(ShowInfo::Frame { pts, duration }) => return (pts, duration),
                // It ended without a word: times go on as they did.
                Err(_) => return (None, None),
            }
        }
    }

    /// Ends with what ffmpeg says of it, or with the end of the stream.
    fn end(&mut self) -> Result<()> {
        self.pipe = None;
        if let Some(worker) = self.worker.take() {
            worker.wait()?;
        }
        let (mut complaint, mut concealed) = (None, 0);
        for message in self.messages.try_iter() {
            match message {
                // The first says what is wrong, the others what that led to.
                Message::Complaint(said) => _ = complaint.get_or_insert(said),
                Message::Concealed => concealed += 1,
            }
        }
        if self.read == 0 {
            return Err(Error::Unusable {
                path: self.path.clone(),
                why: complaint.unwrap_or("it has no frame of video".into()),
            });
        }
        if complaint.is_some() || concealed > 0 {
            let lost = self.lost();
            tracing::warn!(
                "{}",
                damaged(&self.path, self.read, lost, concealed, complaint.as_deref())
            );
        }
        Ok(())
    }

    /// Frames that the file holds and that were not decoded.
    fn lost(&self) -> u64 {
        if let Some(listed) = self.expected.frames {
            return listed.saturating_sub(self.read);
        }
        // What is damaged may have cost packets, which leaves gaps in the times, or not, which
        // leaves packets without a frame.
        let gaps = self.times.lost(self.expected.end);
        let packets = self.stream.count_packets();
        let mut packets = packets.unwrap_or(0);
        if self.expected.fields && packets > self.read * 3 / 2 {
            packets /= 2;
        }
        let lost = gaps.max(packets.saturating_sub(self.read));
        // Packets that are lost at the start leave no gap. A late start alone is no damage.
        if lost == 0 { self.times.lost_before(self.expected.origin) } else { lost }
    }
}

/// Words of messages below errors that tell that a file is damaged.
const DAMAGE: &[&str] = &["partial file", "Packet corrupt", "corrupt input packet"];

/// The warning about a damaged file.
fn damaged(path: &Path, read: u64, lost: u64, concealed: u64, complaint: Option<&str>) -> String {
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
    if let Some(complaint) = complaint {
        text += &format!(" (ffmpeg: {complaint})");
    }
    text
}

impl Source for Decoder {
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        let Some(pipe) = &mut self.pipe else { return Ok(None) };
        match frames::read(pipe, pool) {
            Ok(Some(frame)) => {
                let (pts, duration) = self.shown();
                self.read += 1;
                let base = self.time_base;
                let time = self.times.next(pts.map(|pts| base * pts));
                // The last frame is shown until the stream ends.
                let until_end =
                    || Some(self.expected.end? - time).filter(|left| *left > Rational::from(0));
                let duration = duration.filter(|d| *d > 0).map(|d| base * d).or_else(until_end);
                let duration = duration.map(|duration| self.expected.exact_duration(duration));
                Ok(Some(SourceFrame { frame: Arc::new(frame), time, duration }))
            }
            Ok(None) => self.end().map(|()| None),
            Err(error) => {
                let otherwise = match error.kind() {
                    ErrorKind::UnexpectedEof => Error::Unusable {
                        path: self.path.clone(),
                        why: format!("decoding ended within frame {}", self.read),
                    },
                    _ => Error::io(format!("decoding {}", self.path.display()))(error),
                };
                self.pipe = None;
                match self.worker.take() {
                    Some(worker) => Err(worker.blame(otherwise)),
                    None => Err(otherwise),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warning_states_how_many_frames_are_lost() {
        let path = Path::new("in.mp4");
        assert_eq!(
            damaged(path, 146, 4, 0, Some("Invalid NAL unit size")),
            "4 frames of 150 could not be decoded: in.mp4 is damaged (ffmpeg: Invalid NAL unit \
             size)"
        );
        let text = damaged(path, 149, 1, 2, None);
        assert!(text.starts_with("1 frame of 150 could not"), "{text}");
        assert!(text.ends_with("; 2 frames decoded with errors"), "{text}");
        assert!(!damaged(path, 150, 0, 0, Some("x")).contains("could not"));
    }
}
