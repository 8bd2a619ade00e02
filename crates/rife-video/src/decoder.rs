//! Frames of a file, through ffmpeg, with the times that its container gives them.

use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::child::{Worker, without_origin};
use crate::ffmpeg::{Probed, Programs, ShowInfo, count_packets, parse_showinfo};
use crate::pipeline::{Source, SourceFrame};
use crate::pool::Pool;
use crate::timeline::gcd;
use crate::{Error, Rational, Result, frames};

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 20;

/// What the container states about the frames.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Seconds of a tick of the container.
    pub time_base: Rational,
    /// Frames a second, where the container states a constant rate.
    pub rate: Option<Rational>,
    /// How long a frame is shown where nothing states it, s.
    pub frame_time: Rational,
    /// Frames that the container lists.
    pub frames: Option<u64>,
    /// When the stream ends, s, on the timeline of the frames' times.
    pub end: Option<Rational>,
    /// Where the timeline of the frames' times starts on the container's clock, s, if that clock
    /// starts at 0.
    pub origin: Option<Rational>,
    /// The index of the stream in the file.
    pub stream: usize,
    /// Whether a frame may be stored as two packets, one for each field.
    pub fields: bool,
}

/// Farther from the average rate than this is not the rate.
const SAME_RATE: (i64, i64) = (1, 500);

/// A grid's ticks a second are kept below this, so that an output's finer ticks still fit.
const GRID_TICKS: i64 = 1 << 22;

impl Expected {
    /// What a container states about a video; `default_rate` is taken where it states no rate.
    pub fn of(source: &Probed, default_rate: Rational) -> Self {
        let video = &source.video;
        let stated = video.rate.or(video.avg_rate).unwrap_or(default_rate);
        let near = |average: Rational| {
            let off = stated / average - 1;
            let limit = Rational::new(SAME_RATE.0, SAME_RATE.1);
            off < limit && off > -limit
        };
        let constant = match video.avg_rate {
            // ffprobe rounds the lowest common rate of coarse times: 24/1 for 24000/1001.
            Some(average) if near(average) && *average.denom() == 1001 => Some(average),
            Some(average) => video.rate.filter(|_| near(average)),
            None => video.rate,
        };
        Self {
            time_base: video.time_base,
            rate: constant,
            frame_time: constant.or(video.avg_rate).unwrap_or(stated).recip(),
            frames: video.frames.filter(|_| !video.frames_estimated),
            end: video.end,
            origin: source.clock_origin(),
            stream: video.index,
            fields: video.interlaced,
        }
    }

    /// The rate that times are moved to, where the container rounds them so coarsely that a
    /// constant rate does not look like one.
    fn grid(&self) -> Option<Rational> {
        self.rate.filter(|rate| {
            let frame_in_ticks = (self.time_base * rate).recip();
            let coarse = frame_in_ticks < Rational::from(1000);
            !frame_in_ticks.is_integer() && (coarse || self.common(*rate) <= GRID_TICKS)
        })
    }

    /// Ticks a second that express the container's times and those of a rate.
    fn common(&self, rate: Rational) -> i64 {
        let (a, b) = (*self.time_base.denom(), *rate.numer());
        (a / gcd(a, b)).saturating_mul(b)
    }

    /// Seconds of which every time is a multiple: the time base, or what fits a constant rate, too.
    pub fn tick(&self) -> Rational {
        match self.grid() {
            None => self.time_base,
            Some(rate) => Rational::new(1, self.common(rate)),
        }
    }

    /// How long the last frame is shown, where the container states `duration`, s: a constant rate
    /// is exact, what is stated is rounded.
    fn exact_duration(&self, duration: Rational) -> Rational {
        let Some(rate) = self.rate else { return duration };
        let frames = (duration * rate).round();
        let off = duration - frames / rate;
        // The start and the end of the frame may each be off by a tick; ffprobe's seconds have six
        // decimals.
        let rounding = self.time_base * 2 + Rational::new(1, 1_000_000);
        let exact = frames >= Rational::from(1) && off <= rounding && off >= -rounding;
        if exact { frames / rate } else { duration }
    }
}

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
    programs: Programs,
    expected: Expected,
    /// As the filter that tells the times has it.
    time_base: Rational,
    times: Times,
    read: u64,
}

impl Decoder {
    /// Starts decoding by a command of [`crate::decode_command`]'s.
    ///
    /// # Errors
    /// When ffmpeg does not start.
    pub fn start(
        command: Command,
        path: &Path,
        expected: Expected,
        programs: &Programs,
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
            programs: programs.clone(),
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
        let packets = count_packets(&self.programs, &self.path, self.expected.stream);
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

/// Makes times grow, and moves them to the rate that they were rounded from.
#[derive(Clone, Debug)]
struct Times {
    grid: Option<Rational>,
    /// The constant rate, frames a second.
    rate: Option<Rational>,
    frame_time: Rational,
    /// What times were rounded to, s.
    tick: Rational,
    /// A time on the grid.
    anchor: Option<Rational>,
    first: Option<Rational>,
    last: Option<Rational>,
    /// Frames that are missing between those there are, at the constant rate.
    missing: u64,
}

impl Times {
    fn new(expected: &Expected) -> Self {
        Self {
            grid: expected.grid(),
            rate: expected.rate,
            frame_time: expected.frame_time,
            tick: expected.time_base,
            anchor: None,
            first: None,
            last: None,
            missing: 0,
        }
    }

    /// The time of the next frame, later than the one before.
    fn next(&mut self, time: Option<Rational>) -> Rational {
        let zero = Rational::from(0);
        let follows = self.last.map_or(zero, |last| last + self.frame_time);
        let time = time.unwrap_or(follows);
        let anchor = *self.anchor.get_or_insert(time);
        let time = match self.grid {
            None => time,
            Some(rate) => {
                let on_grid = anchor + ((time - anchor) * rate).round() / rate;
                let off = on_grid - time;
                if off <= self.tick && off >= -self.tick {
                    on_grid
                } else {
                    // After a jump of the clock the grid lies elsewhere.
                    self.anchor = Some(time);
                    time
                }
            }
        };
        let time = match self.last {
            Some(last) if time <= last => last + self.least_step(),
            _ => time,
        };
        if let (Some(last), Some(rate)) = (self.last, self.rate) {
            let frames = ((time - last) * rate).round().to_integer();
            self.missing += u64::try_from(frames - 1).unwrap_or(0);
        }
        self.first.get_or_insert(time);
        self.last = Some(time);
        time
    }

    /// The step to a frame that is stated to be shown no later than the one before, s: some ticks,
    /// as containers with coarser ticks must tell the two apart.
    fn least_step(&self) -> Rational {
        let ticks = (self.frame_time / 16 / self.tick).floor();
        self.tick * ticks.max(Rational::from(1))
    }

    /// Frames that are missing between those there are and up to the end of the stream, at a
    /// constant rate; 0 without one.
    fn lost(&self, end: Option<Rational>) -> u64 {
        let after = self.last.zip(end).map(|(last, end)| end - last - self.frame_time);
        self.missing + after.map_or(0, |time| self.frames_in(time))
    }

    /// Frames that fit before the first, if the container's clock starts at 0.
    fn lost_before(&self, origin: Option<Rational>) -> u64 {
        self.first.zip(origin).map_or(0, |(first, origin)| self.frames_in(origin + first))
    }

    fn frames_in(&self, time: Rational) -> u64 {
        let frames = self.rate.map(|rate| (time * rate).round().to_integer());
        frames.map_or(0, |frames| u64::try_from(frames).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(a: i64, b: i64) -> Rational {
        Rational::new(a, b)
    }

    fn expected(time_base: Rational, rate: Option<Rational>, frame_time: Rational) -> Expected {
        let (frames, end, origin) = (None, None, None);
        Expected { time_base, rate, frame_time, frames, end, origin, stream: 0, fields: false }
    }

    #[test]
    fn times_rounded_to_milliseconds_are_those_of_the_rate() {
        let rate = r(30000, 1001);
        let mut times = Times::new(&expected(r(1, 1000), Some(rate), rate.recip()));
        for i in 0..10_000i64 {
            let exact = r(i, 1) / rate + r(7, 1000);
            let rounded = (exact * 1000).round() / 1000;
            assert_eq!(times.next(Some(rounded)), exact);
        }
        assert_eq!(times.lost(Some(r(10_000, 1) / rate + r(7, 1000))), 0);
        // One that lies elsewhere stays there.
        let last = r(10_000, 1) / rate;
        assert_eq!(times.next(Some(last + r(12, 1000))), last + r(12, 1000));
    }

    #[test]
    fn times_grow_whatever_the_container_says() {
        let mut times = Times::new(&expected(r(1, 1000), None, r(1, 25)));
        let said = [Some(r(1, 1)), Some(r(1, 1)), Some(r(1, 2)), None, Some(r(2, 1))];
        let got: Vec<_> = said.into_iter().map(|time| times.next(time)).collect();
        assert!(got.windows(2).all(|w| w[0] < w[1]), "{got:?}");
        assert_eq!(got[3] - got[2], r(1, 25));
        assert_eq!(got[4], r(2, 1));
    }

    #[test]
    fn times_after_a_jump_are_those_of_the_rate_again() {
        let rate = r(24000, 1001);
        let mut times = Times::new(&expected(r(1, 90_000), Some(rate), rate.recip()));
        let mut got = Vec::new();
        for i in 0..200i64 {
            let jump = if i < 100 { r(0, 1) } else { r(12_345, 1_000_000) };
            let exact = r(i, 1) / rate + jump;
            got.push(times.next(Some((exact * 90_000).round() / 90_000)));
        }
        let steps: Vec<_> = got.windows(2).map(|two| two[1] - two[0]).collect();
        let regular = steps.iter().filter(|step| **step == rate.recip()).count();
        assert_eq!(regular, 198, "all but the jump");
    }

    #[test]
    fn last_frame_of_a_constant_rate_lasts_whole_frames() {
        let ntsc = r(24000, 1001);
        let of = |base, rate: Rational| expected(base, Some(rate), rate.recip());
        let mkv = of(r(1, 1000), ntsc);
        assert_eq!(mkv.exact_duration(r(42, 1000)), ntsc.recip());
        assert_eq!(mkv.exact_duration(r(41, 1000)), ntsc.recip());
        assert_eq!(mkv.exact_duration(r(125, 1000)), r(3, 1) / ntsc);
        assert_eq!(of(r(1, 15_360), r(30, 1)).exact_duration(r(33_334, 1_000_000)), r(1, 30));
        // A last frame that stays for some other time stays that long.
        assert_eq!(mkv.exact_duration(r(2060, 1000)), r(2060, 1000));
        let varying = expected(r(1, 1000), None, ntsc.recip());
        assert_eq!(varying.exact_duration(r(42, 1000)), r(42, 1000));
    }

    #[test]
    fn missing_frames_are_counted_by_the_gaps_they_leave() {
        let mut times = Times::new(&expected(r(1, 1000), Some(r(25, 1)), r(1, 25)));
        for at in [0, 1, 2, 7, 8, 10] {
            times.next(Some(r(at, 25)));
        }
        assert_eq!(times.lost(None), 5);
        assert_eq!(times.lost(Some(r(11, 25))), 5);
        assert_eq!(times.lost(Some(r(13, 25))), 7);
        assert_eq!(times.lost_before(None), 0);
        assert_eq!(times.lost_before(Some(r(10, 25))), 10);
    }

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
