//! HEAD timeline

use crate::rate::Rate;
use crate::{Error, Rational, Result};

/// Where an output frame lies between the frames of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// On a frame of the source: it is passed on.
    Frame,
    /// Between a frame and the next, so far from the first: above 0 and below 1.
    Between(f32),
    /// After the source's last frame, which is held.
    StreamContents,
}

/// A frame of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputFrame {
    /// Where it lies.
    pub position: Position,
    /// Its time since the first frame, in ticks of the output's time base.
    pub ticks: i64,
}

/// Lays out the output's frames, pair by pair.
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: Rate,
    /// Seconds of a tick of the output.
    tick: Rational,
    /// The time of the first source frame, s.
    first: Option<Rational>,
    /// Source frames seen.
    frame: i64,
    /// OutputFrame frames laid out.
    frame_count: i64,
    /// Ticks from an output frame to the next, between the last two source frames.
    spacing: Option<i64>,
    /// When the last output frame was shown, and when it ends, in ticks.
    last: Option<(i64, i64)>,
    /// The output frame before the next one, in ticks.
    previous: Option<i64>,
    /// The shortest interval between two output frames, in ticks.
    shortest: Option<i64>,
    /// How far the source's end may be from where it is stated, s: containers round times.
    rounding: Wide,
}

/// Ticks a second are kept below what containers can hold.
const MOST_TICKS: i64 = 1 << 30;

/// Ticks a second that suffice for a start that no common tick expresses exactly.
const FINE_TICKS: i64 = 90_000;

/// Products of arbitrary rates and times exceed 64 bits.
type Wide = num_rational::Ratio<i128>;

fn wide(value: Rational) -> Wide {
    Wide::new_raw(i128::from(*value.numer()), i128::from(*value.denom()))
}

/// A time in ticks of `tick` s, to the nearest.
fn in_ticks(time: Wide, tick: Rational) -> i64 {
    let ticks = (time / wide(tick)).round().to_integer();
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

impl Timeline {
    /// A timeline of a source whose times are multiples of `time_base`, in s; of one at a constant
    /// rate that is the time of a frame.
    ///
    /// # Errors
    /// [`Error::Refused`] where the output's times would need ticks finer than containers have.
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
                "{rate} on a timeline of {time_base} s needs ticks of {tick} s, finer than \
                 containers have: take a smaller factor, or --fps"
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
        })
    }

    /// States that the source's times are rounded to multiples of `unit` s: its end is known no
    /// better, and a rounding error at the end must not become an output frame.
    #[must_use]
    pub fn with_end_rounding(mut self, unit: Rational) -> Self {
        self.rounding = match self.rate {
            Rate::Fps(fps) => wide(unit).min(wide(fps.recip()) / 2),
            Rate::Factor(_) | Rate::Slow(_) => Wide::from(0),
        };
        self
    }

    /// Seconds of a tick of the output: 1/n.
    pub fn tick(&self) -> Rational {
        self.tick
    }

    /// OutputFrame frames laid out so far.
    pub fn frame_count(&self) -> i64 {
        self.frame_count
    }

    /// The output from a source frame on, which lies at `time`, up to the next, which lies at
    /// `next`, both in s.
    pub fn pair(&mut self, time: Rational, next: Rational) -> Vec<OutputFrame> {
        self.lay_out(time, next, false)
    }

    /// The output from the source's last frame on, which lasts for `duration` s.
    pub fn last(&mut self, time: Rational, duration: Rational) -> Vec<OutputFrame> {
        let spacing = self.spacing;
        let outputs = self.lay_out(time, time + duration, true);
        let end = match self.rate {
            Rate::Factor(_) => time + duration - self.first.unwrap_or(time),
            Rate::Slow(k) => (time + duration - self.first.unwrap_or(time)) * k,
            Rate::Fps(fps) => Rational::from(self.frame_count) / fps,
        };
        // With a factor that is not whole the last may begin just before the source ends.
        self.last = outputs.last().map(|last| {
            let usual = spacing.into_iter().chain(self.spacing).min().unwrap_or(1).max(1);
            let end = (end / self.tick).round().to_integer();
            (last.ticks, end.max(last.ticks + usual))
        });
        outputs
    }

    /// When the last output frame is shown and when it ends, in ticks of the output; `None` before
    /// the last was laid out.
    pub fn last_frame(&self) -> Option<(i64, i64)> {
        self.last
    }

    /// The shortest interval between two output frames so far, s; `None` before the second.
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
        // A frame that would start within the rounding error of the source's end is not in it.
        let end = if last { next - self.rounding } else { next };
        loop {
            // Where the next output frame lies between this source frame and the next, and when.
            let made = Wide::from(i128::from(self.frame_count));
            let (t, at, done) = match self.rate {
                Rate::Factor(k) | Rate::Slow(k) => {
                    let t = made / wide(k) - i128::from(self.frame);
                    let at = time - first + (next - time) * t;
                    let done = t >= Wide::from(1);
                    (t, if let Rate::Slow(k) = self.rate { at * wide(k) } else { at }, done)
                }
                Rate::Fps(fps) => {
                    let at = made / wide(fps);
                    let done = first + at >= end && (!last || self.frame_count > 0);
                    ((at - (time - first)) / (next - time), at, done)
                }
            };
            if done {
                break;
            }
            let near = t.max(Wide::from(0));
            let near = *near.numer() as f64 / *near.denom() as f64;
            let at_frame = near < NEAR;
            let ticks = in_ticks(at, self.tick);
            outputs.push(OutputFrame {
                position: match () {
                    () if last && !at_frame => Position::StreamContents,
                    () if at_frame => Position::Frame,
                    () => Position::Between((near as f32).min(1.0 - f32::EPSILON)),
                },
                ticks,
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

/// The tick of an output at a constant rate. It divides the source's time base, so that the
/// output's start can be given exactly: the output has the rate, not the source's clock.
fn fps_tick(fps: Rational, time_base: Rational) -> Rational {
    let (a, b) = (*fps.numer(), *time_base.denom());
    let common = i128::from(a / gcd(a, b)) * i128::from(b);
    let ticks = match i64::try_from(common) {
        Ok(common) if common <= MOST_TICKS => common,
        _ => a * (FINE_TICKS / a).max(1),
    };
    Rational::new(1, ticks)
}

/// The greatest common divisor.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Nearer to a frame than this part of the way to the next is on the frame: containers round
/// times, and a frame that is passed on is better than one made.
const NEAR: f64 = 1.0 / 512.0;

#[cfg(test)]
mod tests;
