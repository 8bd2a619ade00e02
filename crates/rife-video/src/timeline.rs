//! The output timeline: which frames to interpolate, and when they are shown. All arithmetic is
//! exact.

use crate::rate::Rate;
use crate::{Error, Rational, Result};

/// Position of an output frame relative to the source frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// On a source frame, which passes through unchanged.
    Frame,
    /// Between a source frame and the next one, at this timestep in (0, 1).
    Between(f32),
    /// After the last source frame, which repeats.
    Repeat,
}

/// An output frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputFrame {
    /// Position relative to the source frames.
    pub position: Position,
    /// Time since the first frame, in ticks of the output's time base.
    pub ticks: i64,
    /// Position between the latest source frame, at 0, and the next one, at 1. Unlike
    /// [`Self::position`], it is not rounded to a source frame.
    pub fraction: f64,
}

/// The timestep of an output frame between the drawings at `first` and `end`, in (0, 1). The frame
/// is at `fraction` of the interval from `time` to `next`, which is part of it. Times are in s.
pub(crate) fn timestep_within(
    [first, end]: [Rational; 2],
    [time, next]: [Rational; 2],
    fraction: f64,
) -> f32 {
    let seconds = |from: Rational, to: Rational| {
        let duration = wide(to) - wide(from);
        *duration.numer() as f64 / *duration.denom() as f64
    };
    let at = seconds(first, time) + fraction * seconds(time, next);
    ((at / seconds(first, end)) as f32).clamp(f32::MIN_POSITIVE, 1.0 - f32::EPSILON)
}

/// Computes the output timeline pair by pair.
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: Rate,
    /// Length of an output tick, in s.
    tick: Rational,
    /// Time of the first source frame, in s.
    first: Option<Rational>,
    /// Source frames so far.
    frame: i64,
    /// Output frames so far.
    frame_count: i64,
    /// Ticks between output frames, in the latest pair.
    spacing: Option<i64>,
    /// Start and end of the last output frame, in ticks.
    last: Option<(i64, i64)>,
    /// Time of the latest output frame, in ticks.
    previous: Option<i64>,
    /// Shortest interval between two output frames, in ticks.
    shortest: Option<i64>,
    /// Rounding error of the source's end, in s.
    rounding: Wide,
    /// Whether the last source frame repeats until the source ends.
    hold_last: bool,
}

/// Maximum ticks per second; containers store 32 bits.
const MOST_TICKS: i64 = 1 << 30;

/// Ticks per second if no common tick can express the start exactly.
const FINE_TICKS: i64 = 90_000;

/// Products of arbitrary rates and times exceed 64 bits.
type Wide = num_rational::Ratio<i128>;

fn wide(value: Rational) -> Wide {
    Wide::new_raw(i128::from(*value.numer()), i128::from(*value.denom()))
}

/// Rounds a time to ticks of `tick` s.
fn in_ticks(time: Wide, tick: Rational) -> i64 {
    let ticks = (time / wide(tick)).round().to_integer();
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

impl Timeline {
    /// A timestep below this counts as 0: containers round times, and a source frame is better than
    /// an interpolated one.
    pub const NEAR: f64 = 1.0 / 512.0;

    /// Creates the timeline for a source whose times are multiples of `time_base`, in s. For a
    /// source of constant rate, that is the frame duration.
    ///
    /// # Errors
    /// [`Error::Refused`] if the output times need finer ticks than containers have.
    pub fn new(rate: Rate, time_base: Rational) -> Result<Self> {
        let tick = match rate {
            Rate::Factor(k) => time_base / *k.numer(),
            Rate::Slow(k) => time_base / *k.numer() / *k.denom(),
            Rate::Fps(fps) => fps_tick(fps, time_base),
        };
        // Containers count ticks of 1/n s.
        let tick = Rational::new(1, *tick.denom());
        if *tick.denom() > MOST_TICKS {
            return Err(Error::Refused(format!(
                "{rate} with source times in units of {time_base} s needs ticks of {tick} s, \
                 finer than containers support; use a smaller factor or a constant frame rate"
            )));
        }
        Ok(Self {
            rate,
            tick,
            first: None,
            frame: 0,
            frame_count: 0,
            spacing: None,
            last: None,
            previous: None,
            shortest: None,
            rounding: Wide::from(0),
            hold_last: true,
        })
    }

    /// Declares that source times are rounded to multiples of `unit` s, so that a rounding error of
    /// the source's end does not become an output frame.
    #[must_use]
    pub fn with_end_rounding(mut self, unit: Rational) -> Self {
        self.rounding = match self.rate {
            Rate::Fps(fps) => wide(unit).min(wide(fps.recip()) / 2),
            Rate::Factor(_) | Rate::Slow(_) => Wide::from(0),
        };
        self
    }

    /// Declares whether the last source frame repeats until the source ends, which is the default.
    /// Otherwise the output ends with the last source frame, or just before it: N source frames
    /// become ⌊(N - 1)·k⌋ + 1.
    #[must_use]
    pub fn with_hold_last(mut self, hold_last: bool) -> Self {
        self.hold_last = hold_last;
        self
    }

    /// Continues in the middle of a source that starts at `first`, in s: the next call of
    /// [`Self::pair`] or [`Self::last`] is for source frame number `frame`, and `frame_count` output
    /// frames come before it. Positions and times are the same as for the whole source.
    #[must_use]
    pub fn starting_at(mut self, first: Rational, frame: i64, frame_count: i64) -> Self {
        self.first = Some(first);
        (self.frame, self.frame_count) = (frame, frame_count);
        self
    }

    /// Number of output frames of `frames` source frames, of which the output has `multiple` times
    /// as many, see [`Rate::multiple`].
    pub fn count(&self, frames: u64, multiple: Rational) -> u64 {
        let of = |frames: i64| wide(multiple) * i128::from(frames);
        let frames = i64::try_from(frames).unwrap_or(i64::MAX);
        let count = match self.hold_last {
            true => of(frames).ceil(),
            false if frames == 0 => Wide::from(0),
            false => of(frames - 1).floor() + 1,
        };
        u64::try_from(count.to_integer()).unwrap_or(0)
    }

    /// Length of an output tick, in s; always 1/n.
    pub fn tick(&self) -> Rational {
        self.tick
    }

    /// Number of output frames so far.
    pub fn frame_count(&self) -> i64 {
        self.frame_count
    }

    /// Returns the output frames from the source frame at `time` up to the next one at `next`, in
    /// s.
    pub fn pair(&mut self, time: Rational, next: Rational) -> Vec<OutputFrame> {
        self.lay_out(time, next, false)
    }

    /// Returns the output frames from the last source frame on, which lasts `duration` s.
    pub fn last(&mut self, time: Rational, duration: Rational) -> Vec<OutputFrame> {
        let spacing = self.spacing;
        let outputs = self.lay_out(time, time + duration, true);
        let end = match self.rate {
            Rate::Factor(_) => time + duration - self.first.unwrap_or(time),
            Rate::Slow(k) => (time + duration - self.first.unwrap_or(time)) * k,
            Rate::Fps(fps) => Rational::from(self.frame_count) / fps,
        };
        // With a fractional factor, the last frame may start just before the source ends.
        // Without repeats, the output may end before the last source frame.
        let before = self.previous.filter(|_| !self.hold_last);
        let last = outputs.last().map(|last| last.ticks).or(before);
        self.last = last.map(|last| {
            let usual = spacing.into_iter().chain(self.spacing).min().unwrap_or(1).max(1);
            let end = (end / self.tick).round().to_integer();
            (last, end.max(last + usual))
        });
        outputs
    }

    /// Start and end of the last output frame, in ticks; `None` before [`Self::last`].
    pub fn last_frame(&self) -> Option<(i64, i64)> {
        self.last
    }

    /// Shortest interval between two output frames so far, in s; `None` before the second one.
    pub fn shortest_interval(&self) -> Option<Rational> {
        self.shortest.map(|ticks| self.tick * ticks)
    }

    fn lay_out(&mut self, time: Rational, next: Rational, last: bool) -> Vec<OutputFrame> {
        let first = wide(*self.first.get_or_insert(time));
        let (time, next) = (wide(time), wide(next));
        let mut outputs = Vec::new();
        let spacing = match self.rate {
            Rate::Factor(k) => (next - time) / wide(k),
            Rate::Slow(_) => next - time,
            Rate::Fps(fps) => wide(fps).recip(),
        };
        self.spacing = Some(in_ticks(spacing, self.tick));
        // A frame that would start within the rounding error of the end is not output.
        let end = if last { next - self.rounding } else { next };
        loop {
            // Timestep between this source frame and the next, and presentation time.
            let count = Wide::from(i128::from(self.frame_count));
            let (t, at, done) = match self.rate {
                Rate::Factor(k) | Rate::Slow(k) => {
                    let t = count / wide(k) - i128::from(self.frame);
                    let at = time - first + (next - time) * t;
                    let done = t >= Wide::from(1);
                    (t, if let Rate::Slow(k) = self.rate { at * wide(k) } else { at }, done)
                }
                Rate::Fps(fps) => {
                    let at = count / wide(fps);
                    let done = first + at >= end && (!last || self.frame_count > 0);
                    ((at - (time - first)) / (next - time), at, done)
                }
            };
            if done {
                break;
            }
            let near = t.max(Wide::from(0));
            let near = *near.numer() as f64 / *near.denom() as f64;
            let at_frame = near < Self::NEAR;
            if last && !at_frame && !self.hold_last {
                break;
            }
            let ticks = in_ticks(at, self.tick);
            outputs.push(OutputFrame {
                position: match () {
                    () if last && !at_frame => Position::Repeat,
                    () if at_frame => Position::Frame,
                    () => Position::Between((near as f32).min(1.0 - f32::EPSILON)),
                },
                ticks,
                fraction: near,
            });
            if let Some(previous) = self.previous.replace(ticks) {
                let interval = ticks - previous;
                self.shortest = Some(self.shortest.map_or(interval, |least| least.min(interval)));
            }
            self.frame_count += 1;
        }
        self.frame += 1;
        outputs
    }
}

/// The tick of an output at constant rate. It divides the time base of the source, so that the
/// start of the output can be expressed exactly: only the rate is that of the output.
fn fps_tick(fps: Rational, time_base: Rational) -> Rational {
    let (a, b) = (*fps.numer(), *time_base.denom());
    let common = i128::from(a / gcd(a, b)) * i128::from(b);
    let ticks = match i64::try_from(common) {
        Ok(common) if common <= MOST_TICKS => common,
        _ => a * (FINE_TICKS / a).max(1),
    };
    Rational::new(1, ticks)
}

/// Greatest common divisor.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
