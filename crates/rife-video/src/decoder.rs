//! Frames of a file, through ffmpeg, with the times that its container gives them.

use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::child::{Worker, without_origin};
use crate::ffmpeg::{ShowInfo, parse_showinfo};
use crate::pipeline::{Source, SourceFrame};
use crate::pool::Pool;
use crate::{Error, Rational, Result, frames};

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 20;

/// What is known of the frames before they come.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Seconds of a tick of the container.
    pub time_base: Rational,
    /// Frames a second, where the container says that the rate is constant.
    pub rate: Option<Rational>,
    /// How long a frame is shown where nothing says it, s.
    pub frame_time: Rational,
    /// Frames that the container claims.
    pub frames: Option<u64>,
    /// When the stream ends, s, as frames' times are counted, as the container claims.
    pub end: Option<Rational>,
}

impl Expected {
    /// The rate that times are moved to, where the container rounds them so coarsely that a
    /// constant rate does not look like one.
    fn grid(&self) -> Option<Rational> {
        self.rate.filter(|rate| {
            let frame_in_ticks = (self.time_base * rate).recip();
            !frame_in_ticks.is_integer() && frame_in_ticks < Rational::from(1000)
        })
    }

    /// Seconds of which every time is a multiple: the time base, or what fits a constant rate, too.
    pub fn tick(&self) -> Rational {
        match self.grid() {
            None => self.time_base,
            Some(rate) => {
                let (a, b) = (*self.time_base.denom(), *rate.numer());
                let common = a / gcd(a, b) * b;
                Rational::new(1, common)
            }
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A file that is being decoded.
#[derive(Debug)]
pub struct Decoder {
    path: PathBuf,
    worker: Option<Worker>,
    pipe: Option<BufReader<ChildStdout>>,
    shown: Receiver<ShowInfo>,
    complaints: Receiver<String>,
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
    pub fn start(command: Command, path: &Path, expected: Expected) -> Result<Self> {
        let (show, shown) = channel();
        let (complain, complaints) = channel();
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
            if bad || said.contains("partial file") {
                let _ = complain.send(said);
            }
            bad
        })?;
        let pipe = worker.stdout().map(|pipe| BufReader::with_capacity(AT_ONCE, pipe));
        let times = Times::new(expected.grid(), expected.frame_time, expected.time_base);
        Ok(Self {
            path: path.to_owned(),
            worker: Some(worker),
            pipe,
            shown,
            complaints,
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
        let complaint = self.complaints.try_iter().last();
        let unusable = |why: String| Error::Unusable { path: self.path.clone(), why };
        if self.read == 0 {
            return Err(unusable(complaint.unwrap_or("it has no frame of video".into())));
        }
        let short = match (self.expected.frames, self.expected.end) {
            (Some(frames), _) => self.read + 2 < frames,
            // What is missing at the start, where a recording begins, is none of it.
            (None, Some(end)) => self.times.end() + self.expected.frame_time * 3 < end,
            (None, None) => false,
        };
        match complaint {
            Some(complaint) if short => Err(unusable(format!(
                "it ends early, after {} frames ({complaint}); what there is of it can be made \
                 whole by ffmpeg -i FILE -c copy WHOLE",
                self.read
            ))),
            Some(complaint) => {
                tracing::warn!("{}: ffmpeg says: {complaint}", self.path.display());
                Ok(())
            }
            None => Ok(()),
        }
    }
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
    frame_time: Rational,
    /// What times were rounded to, s.
    tick: Rational,
    first: Option<Rational>,
    last: Option<Rational>,
}

impl Times {
    fn new(grid: Option<Rational>, frame_time: Rational, tick: Rational) -> Self {
        Self { grid, frame_time, tick, first: None, last: None }
    }

    /// The time of the next frame, later than the one before.
    fn next(&mut self, time: Option<Rational>) -> Rational {
        let zero = Rational::from(0);
        let follows = self.last.map_or(zero, |last| last + self.frame_time);
        let time = time.unwrap_or(follows);
        let first = *self.first.get_or_insert(time);
        let time = match self.grid {
            None => time,
            Some(rate) => {
                let on_grid = first + ((time - first) * rate).round() / rate;
                let off = on_grid - time;
                if off <= self.tick && off >= -self.tick { on_grid } else { time }
            }
        };
        let time = match self.last {
            Some(last) if time <= last => last + self.tick,
            _ => time,
        };
        self.last = Some(time);
        time
    }

    /// The end of the last frame.
    fn end(&self) -> Rational {
        self.last.map_or(Rational::from(0), |last| last + self.frame_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(a: i64, b: i64) -> Rational {
        Rational::new(a, b)
    }

    #[test]
    fn times_rounded_to_milliseconds_are_those_of_the_rate() {
        let rate = r(30000, 1001);
        let mut times = Times::new(Some(rate), rate.recip(), r(1, 1000));
        for i in 0..10_000i64 {
            let exact = r(i, 1) / rate + r(7, 1000);
            let rounded = (exact * 1000).round() / 1000;
            assert_eq!(times.next(Some(rounded)), exact);
        }
        // One that lies elsewhere stays there.
        let last = r(10_000, 1) / rate;
        assert_eq!(times.next(Some(last + r(12, 1000))), last + r(12, 1000));
    }

    #[test]
    fn times_grow_whatever_the_container_says() {
        let mut times = Times::new(None, r(1, 25), r(1, 1000));
        let said = [Some(r(1, 1)), Some(r(1, 1)), Some(r(1, 2)), None, Some(r(2, 1))];
        let got: Vec<_> = said.into_iter().map(|time| times.next(time)).collect();
        assert!(got.windows(2).all(|w| w[0] < w[1]), "{got:?}");
        assert_eq!(got[3] - got[2], r(1, 25));
        assert_eq!(got[4], r(2, 1));
    }
}
