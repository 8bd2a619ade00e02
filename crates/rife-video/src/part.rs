//! A part of a video: the frames between two times.

use std::path::PathBuf;

use crate::pool::Pool;
use crate::stream::{Source, SourceFrame};
use crate::{Error, Rational, Result};

/// The frames between two times of the source, in s. Zero is the start of the source as a player
/// shows it: that of the earliest stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    from: Rational,
    to: Option<Rational>,
}

/// Largest time, in s: about three years. Products with ticks and microseconds fit 64 bits.
const MAX_SECONDS: i64 = 100_000_000;

/// Decimals of a second that are kept.
const DECIMALS: usize = 6;

/// Sums of arbitrary times exceed 64 bits.
type Wide = num_rational::Ratio<i128>;

fn wide(time: Rational) -> Wide {
    Wide::new_raw(i128::from(*time.numer()), i128::from(*time.denom()))
}

/// How much earlier than a limit a frame may be, in s, and still count as at the limit: times are
/// typed and printed in milliseconds, and containers round them.
fn tolerance(frame_time: Rational) -> Rational {
    Rational::new(1, 2000).min(frame_time / 4)
}

/// Parses a time: seconds (`90`, `1.5`), minutes and seconds (`1:30`), or hours, minutes and
/// seconds (`0:01:30.5`).
///
/// # Errors
/// [`Error::Refused`] with the expected form.
pub fn parse_time(text: &str) -> Result<Rational> {
    let refused = |why: &str| Err(Error::Refused(why.to_owned()));
    if text.starts_with('-') {
        return refused("expected a time of at least 0 s");
    }
    parse_clock(text).map_or_else(
        || refused("expected seconds or a clock time, such as 90, 1:30 or 0:01:30.5"),
        Ok,
    )
}

fn parse_clock(text: &str) -> Option<Rational> {
    let digits = |text: &str| {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        number.then(|| text.parse::<i64>().ok())?.filter(|number| *number <= MAX_SECONDS)
    };
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.rsplit(':');
    let seconds = digits(parts.next()?)?;
    let minutes = parts.next().map(digits);
    let hours = parts.next().map(digits);
    if parts.next().is_some() {
        return None;
    }
    let is_clock = minutes.is_some();
    let (minutes, is_long) = (minutes.unwrap_or(Some(0))?, hours.is_some());
    let hours = hours.unwrap_or(Some(0))?;
    let valid = (!is_clock || seconds < 60) && (!is_long || minutes < 60);
    let whole = hours.checked_mul(3600)? + minutes * 60 + seconds;
    if !valid || whole > MAX_SECONDS {
        return None;
    }
    let fraction = match fraction {
        None => Rational::from(0),
        Some(fraction) => {
            let valid = fraction.bytes().all(|byte| byte.is_ascii_digit());
            // Further decimals are below the resolution of any container.
            let kept = fraction.get(..fraction.len().min(DECIMALS)).filter(|_| valid)?;
            Rational::new(digits(kept)?, 10i64.pow(kept.len() as u32))
        }
    };
    Some(fraction + whole)
}

impl Part {
    /// The frames from `from` up to but not including `to`, or to the end.
    ///
    /// # Errors
    /// [`Error::Refused`] if `to` is not after `from`.
    pub fn new(from: Rational, to: Option<Rational>) -> Result<Self> {
        match to {
            Some(to) if to <= from => Err(Error::Refused(format!(
                "the part is empty: it must end after its start at {} s, got {} s",
                seconds(from),
                seconds(to)
            ))),
            _ => Ok(Self { from, to }),
        }
    }

    /// Start, in s; 0 for the start of the source.
    pub fn from(&self) -> Rational {
        self.from
    }

    /// End, in s; `None` for the end of the source.
    pub fn to(&self) -> Option<Rational> {
        self.to
    }

    /// Whether the source is cut at the start.
    pub fn cuts_start(&self) -> bool {
        self.from > Rational::from(0)
    }

    /// Number of frames before a time, of frames `frame_time` s apart, the first of which is at
    /// `first`.
    fn frames_before(limit: Rational, first: Rational, frame_time: Rational) -> u64 {
        let until = wide(limit) - wide(tolerance(frame_time)) - wide(first);
        u64::try_from((until / wide(frame_time)).ceil().to_integer()).unwrap_or(0)
    }

    /// The frames of this part, as their numbers: of `frames` frames `frame_time` s apart, the
    /// first of which is at `first`, in s.
    pub fn numbers(
        &self,
        frames: u64,
        first: Rational,
        frame_time: Rational,
    ) -> std::ops::Range<u64> {
        let before = |limit| Self::frames_before(limit, first, frame_time).min(frames);
        let start = if self.cuts_start() { before(self.from) } else { 0 };
        start..self.to.map_or(frames, before).max(start)
    }

    /// The error for a source without a frame in this part. `last` is the time of its last frame
    /// before the part, in s, if there is one, and `after` that of the first one after it.
    pub fn error(&self, name: &str, last: Option<Rational>, after: Option<Rational>) -> Error {
        let from = seconds(self.from);
        let why = match (self.to, last, after) {
            (Some(to), _, Some(after)) => format!(
                "no frame from {from} s up to {} s: the next one is at {} s",
                seconds(to),
                seconds(after)
            ),
            (_, Some(last), _) => {
                format!("no frame at or after {from} s: the last one is at {} s", seconds(last))
            }
            _ => format!("no frame at or after {from} s"),
        };
        Error::Unusable { path: PathBuf::from(name), why }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            Some(to) => write!(f, "from {} s to {} s", seconds(self.from), seconds(to)),
            None => write!(f, "from {} s", seconds(self.from)),
        }
    }
}

/// A time in s with up to six decimals.
pub(crate) fn seconds(time: Rational) -> String {
    let micros = (wide(time) * 1_000_000).round().to_integer();
    let (whole, rest) = (micros / 1_000_000, (micros % 1_000_000).abs());
    let sign = if micros < 0 && whole == 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The frames of a source that belong to a part. Frames before it are read and dropped, and none is
/// read after the first one behind it.
pub struct PartSource {
    source: Box<dyn Source>,
    part: Part,
    name: String,
    frame_time: Rational,
    /// Time of the latest frame before the part.
    before: Option<Rational>,
    /// Whether a frame of the part was found.
    found: bool,
    ended: bool,
}

impl std::fmt::Debug for PartSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartSource").field("part", &self.part).finish_non_exhaustive()
    }
}

impl PartSource {
    /// The frames of `source`, which is called `name` in errors, that belong to `part`. A frame
    /// usually lasts `frame_time` s.
    pub fn new(source: Box<dyn Source>, part: Part, name: &str, frame_time: Rational) -> Self {
        let name = name.to_owned();
        Self { source, part, name, frame_time, before: None, found: false, ended: false }
    }

    /// Whether a frame at `time` is at `limit` or after it.
    fn reaches(&self, time: Rational, limit: Rational) -> bool {
        wide(time) + wide(tolerance(self.frame_time)) >= wide(limit)
    }

    /// The duration of a frame if it is the last one: it ends with the part, but lasts at least as
    /// long as usual, so that a part of N frames becomes as many frames as a video of N frames.
    fn duration(&self, frame: &SourceFrame) -> Option<Rational> {
        let stated = frame.duration?;
        let Some(to) = self.part.to else { return Some(stated) };
        Some(stated.min((to - frame.time).max(self.frame_time)))
    }
}

impl Source for PartSource {
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let Some(frame) = self.source.next(pool)? else {
                self.ended = true;
                return match self.found {
                    true => Ok(None),
                    false => Err(self.part.error(&self.name, self.before, None)),
                };
            };
            if self.part.to.is_some_and(|to| self.reaches(frame.time, to)) {
                self.ended = true;
                if !self.found {
                    return Err(self.part.error(&self.name, self.before, Some(frame.time)));
                }
                self.source.stop();
                return Ok(None);
            }
            if self.found || !self.part.cuts_start() || self.reaches(frame.time, self.part.from) {
                self.found = true;
                let duration = self.duration(&frame);
                return Ok(Some(SourceFrame { duration, ..frame }));
            }
            self.before = Some(frame.time);
        }
    }

    fn stop(&mut self) {
        self.ended = true;
        self.source.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rife_runtime::{Frame, FrameSize, PixelFormat};

    use super::*;

    fn r(a: i64, b: i64) -> Rational {
        Rational::new(a, b)
    }

    #[test]
    fn times_are_seconds_or_clock_times() {
        for (text, expected) in [
            ("0", r(0, 1)),
            ("3", r(3, 1)),
            ("3.5", r(7, 2)),
            ("90", r(90, 1)),
            ("1:30", r(90, 1)),
            ("90:00", r(5400, 1)),
            ("01:02:03.500", r(37235, 10)),
            ("1:00:00", r(3600, 1)),
            ("0.0000019", r(1, 1_000_000)),
        ] {
            assert_eq!(parse_time(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "-1",
            "-1:30",
            "nan",
            "inf",
            "1e3",
            "1:60",
            "1:60:00",
            "1:2:3:4",
            "1:",
            ":1",
            ".5",
            "1.",
            "1.5.5",
            "1.x",
            "1.000000x",
            "+1",
            "1:30.5:2",
            "99999999999999999999",
            "3000000000000000:00:00",
            "1 s",
            "１",
        ] {
            let error = parse_time(text).unwrap_err().to_string();
            assert!(error.starts_with("expected "), "{text}: {error}");
        }
    }

    /// A source of frames at given times, each lasting until the next.
    struct Times(std::collections::VecDeque<Rational>);

    impl Source for Times {
        fn next(&mut self, _: &Pool<'_>) -> Result<Option<SourceFrame>> {
            let Some(time) = self.0.pop_front() else { return Ok(None) };
            let frame = Arc::new(Frame::rgb8(FrameSize::new(1, 1), vec![0; 3])?);
            let next = self.0.front().map(|next| next - time);
            Ok(Some(SourceFrame { frame, time, duration: next.or(Some(r(1, 25))) }))
        }
    }

    /// Times of the frames in a part, and the duration of the last one.
    fn cut(times: &[Rational], part: Part) -> Result<(Vec<Rational>, Option<Rational>)> {
        let source = Box::new(Times(times.iter().copied().collect()));
        let mut source = PartSource::new(source, part, "in.mp4", r(1, 25));
        let pool = Pool::new(FrameSize::new(1, 1), PixelFormat::Rgb8, None);
        let (mut found, mut last) = (Vec::new(), None);
        while let Some(frame) = source.next(&pool)? {
            found.push(frame.time);
            last = frame.duration;
        }
        Ok((found, last))
    }

    #[test]
    fn part_starts_at_from_and_ends_before_to() {
        let times: Vec<_> = (0..50).map(|n| r(n, 25)).collect();
        let part = |from, to| Part::new(from, to).unwrap();
        for (from, to, expected) in [
            (r(0, 1), None, 0..50),
            (r(1, 1), None, 25..50),
            (r(1, 1), Some(r(3, 2)), 25..38),
            (r(101, 100), Some(r(151, 100)), 26..38),
            // Typed in milliseconds, or rounded by the container.
            (r(10_004, 10_000), Some(r(15_204, 10_000)), 25..38),
            (r(10_006, 10_000), Some(r(15_206, 10_000)), 26..39),
            (r(0, 1), Some(r(9, 1)), 0..50),
        ] {
            let part = part(from, to);
            let (found, last) = cut(&times, part).unwrap();
            assert_eq!(found, times[expected.clone()], "{part}");
            assert_eq!(last, Some(r(1, 25)), "{part}");
            let numbers = part.numbers(50, r(0, 1), r(1, 25));
            assert_eq!(numbers, expected.start as u64..expected.end as u64, "{part}");
        }
        // Two adjacent parts are the whole.
        let numbers = |from, to| part(from, to).numbers(50, r(0, 1), r(1, 25));
        for at in [r(1, 1), r(10_004, 10_000), r(10_006, 10_000), r(1234, 1000)] {
            assert_eq!(numbers(r(0, 1), Some(at)).end, numbers(at, None).start);
        }
    }

    #[test]
    fn long_last_frame_ends_with_the_part() {
        let times = [r(0, 1), r(1, 25), r(5, 1)];
        let (found, last) = cut(&times, Part::new(r(0, 1), Some(r(2, 1))).unwrap()).unwrap();
        assert_eq!((found.len(), last), (2, Some(r(49, 25))));
        let (found, last) = cut(&times, Part::new(r(0, 1), Some(r(9, 1))).unwrap()).unwrap();
        assert_eq!((found.len(), last), (3, Some(r(1, 25))));
    }

    #[test]
    fn part_without_frames_is_an_error() {
        let times = [r(0, 1), r(1, 25), r(5, 1)];
        let refused = |from, to| cut(&times, Part::new(from, to).unwrap()).unwrap_err().to_string();
        assert_eq!(
            refused(r(6, 1), None),
            "in.mp4: no frame at or after 6 s: the last one is at 5 s"
        );
        assert_eq!(
            refused(r(1, 1), Some(r(2, 1))),
            "in.mp4: no frame from 1 s up to 2 s: the next one is at 5 s"
        );
        for to in [r(1, 1), r(1, 2)] {
            let error = Part::new(r(1, 1), Some(to)).unwrap_err().to_string();
            assert!(error.contains("must end after its start at 1 s"), "{error}");
        }
    }

    #[test]
    fn times_are_printed_without_trailing_zeros() {
        assert_eq!(seconds(r(7, 2)), "3.5");
        assert_eq!(seconds(r(1, 3)), "0.333333");
        assert_eq!(seconds(r(120, 1)), "120");
        assert_eq!(seconds(r(-1, 2)), "-0.5");
    }
}
