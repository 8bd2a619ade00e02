//! Which frames are made, and at which times: exact arithmetic on exact times.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Rational, Result};

/// How many frames come out for those that go in, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// So many frames for each one, evenly spaced on the source's own timeline: of N frames come
    /// ⌈N·k⌉, the last one held.
    Factor(Rational),
    /// A constant rate, whatever the source's timeline is.
    Fps(Rational),
    /// As [`Rate::Factor`], and so much longer: the rate stays as it was.
    Slow(Rational),
}

/// The most frames for each one.
const MOST: i64 = 10_000;

/// The highest rate, frames a second.
const FASTEST: i64 = 10_000;

impl Rate {
    /// Frames for each one: a whole number, a fraction (`5/2`) or a decimal (`2.5`), above 1 and up
    /// to 1000.
    ///
    /// # Errors
    /// [`Error::Refused`] for anything else.
    pub fn factor(text: &str) -> Result<Self> {
        Ok(Self::Factor(multiple(text)?))
    }

    /// As [`Rate::factor`], for slow motion.
    ///
    /// # Errors
    /// As [`Rate::factor`].
    pub fn slow(text: &str) -> Result<Self> {
        Ok(Self::Slow(multiple(text)?))
    }

    /// Frames a second: `60`, `60000/1001`, `59.94` (which is 60000/1001).
    ///
    /// # Errors
    /// [`Error::Refused`] for what is not above 0 and up to 10000.
    pub fn fps(text: &str) -> Result<Self> {
        Ok(Self::Fps(frame_rate(text)?))
    }

    /// Output frames for each source frame, where the source's rate is known.
    pub fn multiple(self, source: Rational) -> Rational {
        match self {
            Self::Factor(k) | Self::Slow(k) => k,
            Self::Fps(fps) => fps / source,
        }
    }

    /// The output's rate, where the source's is known.
    pub fn output_rate(self, source: Rational) -> Rational {
        match self {
            Self::Factor(k) => source * k,
            Self::Fps(fps) => fps,
            Self::Slow(_) => source,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Factor(k) => write!(f, "factor {k}"),
            Self::Fps(fps) => write!(f, "{fps} fps"),
            Self::Slow(k) => write!(f, "{k} times as slow"),
        }
    }
}

fn multiple(text: &str) -> Result<Rational> {
    let refused = || {
        Error::Refused(format!(
            "expected a whole number or a fraction above 1 and up to {MOST} (2, 5/2, 2.5), got \
             {text:?}"
        ))
    };
    let k = rational(text).ok_or_else(refused)?;
    if k > Rational::from(1) && k <= Rational::from(MOST) && *k.denom() <= MOST {
        Ok(k)
    } else {
        Err(refused())
    }
}

/// A frame rate as people write it. The NTSC rates are what their roundings mean.
///
/// # Errors
/// [`Error::Refused`] for what is not above 0 and up to 10000.
pub fn frame_rate(text: &str) -> Result<Rational> {
    let refused = || {
        Error::Refused(format!(
            "expected frames a second (60, 60000/1001, 59.94), above 0 and up to {FASTEST}; got \
             {text:?}"
        ))
    };
    let rate = match text.trim() {
        "23.976" | "23.98" => Rational::new(24000, 1001),
        "29.97" => Rational::new(30000, 1001),
        "47.952" | "47.95" => Rational::new(48000, 1001),
        "59.94" => Rational::new(60000, 1001),
        "119.88" => Rational::new(120_000, 1001),
        other => rational(other).ok_or_else(refused)?,
    };
    if rate > Rational::from(0) && rate <= Rational::from(FASTEST) && *rate.denom() <= 1_000_000 {
        Ok(rate)
    } else {
        Err(refused())
    }
}

/// `7`, `7/2` or `3.5`.
fn rational(text: &str) -> Option<Rational> {
    let text = text.trim();
    if let Some((a, b)) = text.split_once('/') {
        let (a, b) = (a.trim().parse().ok()?, b.trim().parse().ok()?);
        return (b > 0).then(|| Rational::new(a, b));
    }
    let Some((whole, part)) = text.split_once('.') else {
        return i64::from_str(text).ok().map(Rational::from);
    };
    if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) || whole.len() > 9 {
        return None;
    }
    let scale = 10i64.pow(part.len() as u32);
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    (whole >= 0).then(|| Rational::new(whole * scale + part, scale))
}

/// Where an output frame lies between the frames of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// On a frame of the source: it is passed on.
    Frame,
    /// Between a frame and the next, so far from the first: above 0 and below 1.
    Between(f32),
    /// After the source's last frame, which is held.
    Held,
}

/// A frame of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// Where it lies.
    pub at: At,
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
    /// Output frames laid out.
    made: i64,
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
            made: 0,
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
    pub fn rounded_to(mut self, unit: Rational) -> Self {
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

    /// Output frames laid out so far.
    pub fn made(&self) -> i64 {
        self.made
    }

    /// The output from a source frame on, which lies at `time`, up to the next, which lies at
    /// `next`, both in s.
    pub fn pair(&mut self, time: Rational, next: Rational) -> Vec<Output> {
        self.lay_out(time, next, false)
    }

    /// The output from the source's last frame on, which lasts for `duration` s.
    pub fn last(&mut self, time: Rational, duration: Rational) -> Vec<Output> {
        let spacing = self.spacing;
        let outputs = self.lay_out(time, time + duration, true);
        let end = match self.rate {
            Rate::Factor(_) => time + duration - self.first.unwrap_or(time),
            Rate::Slow(k) => (time + duration - self.first.unwrap_or(time)) * k,
            Rate::Fps(fps) => Rational::from(self.made) / fps,
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

    fn lay_out(&mut self, time: Rational, next: Rational, last: bool) -> Vec<Output> {
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
            let made = Wide::from(i128::from(self.made));
            let (t, at, done) = match self.rate {
                Rate::Factor(k) | Rate::Slow(k) => {
                    let t = made / wide(k) - i128::from(self.frame);
                    let at = time - first + (next - time) * t;
                    let done = t >= Wide::from(1);
                    (t, if let Rate::Slow(k) = self.rate { at * wide(k) } else { at }, done)
                }
                Rate::Fps(fps) => {
                    let at = made / wide(fps);
                    let done = first + at >= end && (!last || self.made > 0);
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
            outputs.push(Output {
                at: match () {
                    () if last && !at_frame => At::Held,
                    () if at_frame => At::Frame,
                    () => At::Between((near as f32).min(1.0 - f32::EPSILON)),
                },
                ticks,
            });
            if let Some(previous) = self.previous.replace(ticks) {
                let interval = ticks - previous;
                self.shortest = Some(self.shortest.map_or(interval, |least| least.min(interval)));
            }
            self.made += 1;
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn r(a: i64, b: i64) -> Rational {
        Rational::new(a, b)
    }

    fn run(rate: Rate, times: &[Rational], last: Rational, base: Rational) -> Vec<Output> {
        let mut line = Timeline::new(rate, base).unwrap();
        let mut all = Vec::new();
        for pair in times.windows(2) {
            all.extend(line.pair(pair[0], pair[1]));
        }
        all.extend(line.last(*times.last().unwrap(), last));
        assert_eq!(line.made() as usize, all.len());
        all
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(Rate::factor("2").unwrap(), Rate::Factor(r(2, 1)));
        assert_eq!(Rate::factor("5/2").unwrap(), Rate::Factor(r(5, 2)));
        assert_eq!(Rate::factor("2.5").unwrap(), Rate::Factor(r(5, 2)));
        assert_eq!(Rate::fps("59.94").unwrap(), Rate::Fps(r(60000, 1001)));
        assert_eq!(Rate::fps("24000/1001").unwrap(), Rate::Fps(r(24000, 1001)));
        for wrong in ["", "1", "0", "-2", "2/0", "x", "1/3", "1e3", "10001", "2.", "NaN", "3/-1"] {
            // "2." is a way to write 2.
            assert_eq!(Rate::factor(wrong).is_err(), wrong != "2.", "{wrong}");
        }
        for wrong in ["", "0", "-1", "1/0", "10001", "abc", "1/10000000"] {
            assert!(Rate::fps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_factor_makes_n_times_k_frames_and_holds_the_last() {
        let times: Vec<_> = (0..4).map(|i| r(i * 1001, 30000)).collect();
        let all = run(Rate::Factor(r(2, 1)), &times, r(1001, 30000), r(1001, 30000));
        let at: Vec<_> = all.iter().map(|o| o.at).collect();
        use At::{Between as B, Frame as F, Held as H};
        assert_eq!(at, [F, B(0.5), F, B(0.5), F, B(0.5), F, H]);
        // A tick is 1/60000 s.
        assert_eq!(all[1].ticks, 1001);
        assert_eq!(all[7].ticks, 7 * 1001);

        let all = run(Rate::Factor(r(5, 2)), &times, r(1001, 30000), r(1001, 30000));
        assert_eq!(all.len(), 10);
        assert_eq!(all.iter().map(|o| o.ticks).collect::<Vec<_>>()[..3], [0, 2 * 1001, 4 * 1001]);
        assert_eq!(all[5].at, F);
        assert_eq!(all[1].at, B(0.4));
    }

    #[test]
    fn a_variable_rate_keeps_its_own_timeline() {
        let times = [r(5, 1000), r(38, 1000), r(138, 1000)];
        let all = run(Rate::Factor(r(2, 1)), &times, r(40, 1000), r(1, 1000));
        let ticks: Vec<_> = all.iter().map(|o| o.ticks).collect();
        assert_eq!(ticks, [0, 33, 66, 166, 266, 306]);
    }

    #[test]
    fn a_rate_asked_for_is_constant_whatever_the_source_does() {
        let times = [r(0, 1), r(1, 10), r(1, 2)];
        let all = run(Rate::Fps(r(10, 1)), &times, r(1, 10), r(1, 1000));
        let ticks: Vec<_> = all.iter().map(|o| o.ticks).collect();
        // Ticks of the source, 1/1000 s, so that a start on any of them can be kept.
        assert_eq!(ticks, [0, 100, 200, 300, 400, 500]);
        assert_eq!(all[2].at, At::Between(0.25));
        assert_eq!(all[5].at, At::Frame);
        // Fewer frames than there are.
        let times: Vec<_> = (0..50).map(|i| r(i, 50)).collect();
        let all = run(Rate::Fps(r(25, 1)), &times, r(1, 50), r(1, 50));
        assert_eq!(all.len(), 25);
        assert!(all.iter().all(|o| o.at == At::Frame));
    }

    #[test]
    fn slow_motion_keeps_the_rate() {
        let times: Vec<_> = (0..3).map(|i| r(i, 25)).collect();
        let all = run(Rate::Slow(r(4, 1)), &times, r(1, 25), r(1, 25));
        assert_eq!(all.len(), 12);
        let mut line = Timeline::new(Rate::Slow(r(4, 1)), r(1, 25)).unwrap();
        line.pair(r(0, 1), r(1, 25));
        for (i, o) in all.iter().enumerate() {
            assert_eq!(line.tick() * o.ticks, r(i as i64, 25));
        }
    }

    #[test]
    fn fps_keeps_the_length_of_the_source() {
        let ntsc = |rate: i64| r(rate * 1000, 1001);
        for (source, frames, target, made) in [
            (r(30, 1), 50, r(60, 1), 100),
            (r(25, 1), 50, r(60, 1), 120),
            (r(24, 1), 48, ntsc(24), 48),
            (ntsc(24), 48, r(60, 1), 121),
            (ntsc(30), 30, ntsc(60), 60),
            (ntsc(30), 30, r(60, 1), 61),
            (r(60, 1), 1, r(10, 1), 1),
            (r(9973, 7), 100, r(9973, 14), 50),
        ] {
            let times: Vec<_> = (0..frames).map(|i| r(i, 1) / source).collect();
            let all = run(Rate::Fps(target), &times, source.recip(), source.recip());
            assert_eq!(all.len(), made, "{frames} frames from {source} to {target}");
        }
        // An end rounded up to a microsecond or a millisecond adds no frame.
        for unit in [1_000_000, 1000] {
            let times: Vec<_> = (0..50).map(|i| r(i, 30)).collect();
            let end = r((5 * unit + 2) / 3, unit);
            let mut line = Timeline::new(Rate::Fps(r(60, 1)), r(1, unit)).unwrap();
            line = line.rounded_to(r(1, unit));
            for pair in times.windows(2) {
                line.pair(pair[0], pair[1]);
            }
            line.last(times[49], end - times[49]);
            assert_eq!(line.made(), 100, "in 1/{unit} s");
        }
    }

    #[test]
    fn fps_ticks_express_any_start_of_the_source() {
        for (fps, base) in [
            (r(60, 1), r(1, 90_000)),
            (r(10, 1), r(1, 12_800)),
            (r(60_000, 1001), r(1, 1000)),
            (r(50, 1), r(1001, 30_000)),
        ] {
            let tick = Timeline::new(Rate::Fps(fps), base).unwrap().tick();
            assert!((base / tick).is_integer(), "{base} in ticks of {tick}");
            assert!((fps.recip() / tick).is_integer(), "{fps} in ticks of {tick}");
        }
        // Without a common tick that containers hold, the tick is still fine.
        let tick = Timeline::new(Rate::Fps(r(59, 1)), r(1, 999_999_937)).unwrap().tick();
        assert!(tick < r(1, 80_000) && (r(1, 59) / tick).is_integer());
    }

    #[test]
    fn shortest_interval_is_that_between_the_closest_frames() {
        let mut line = Timeline::new(Rate::Factor(r(2, 1)), r(1, 1000)).unwrap();
        assert_eq!(line.shortest_interval(), None);
        line.pair(r(0, 1), r(40, 1000));
        line.pair(r(40, 1000), r(41, 1000));
        line.last(r(41, 1000), r(40, 1000));
        assert_eq!(line.shortest_interval(), Some(r(1, 2000)));
    }

    /// Rates as sources have them and as users ask for them.
    fn any_rate() -> impl Strategy<Value = Rational> {
        prop_oneof![
            (1i64..=240).prop_map(Rational::from),
            (1i64..=240).prop_map(|rate| r(rate * 1000, 1001)),
            (1i64..=10_000_000, 1i64..=1_000_000)
                .prop_map(|(a, b)| r(a, b))
                .prop_filter("up to 10000 fps", |rate| *rate <= r(10_000, 1)),
        ]
    }

    proptest! {
        #[test]
        fn times_grow_and_frames_are_counted(
            steps in prop::collection::vec(1i64..5000, 1..40),
            p in 2i64..40, q in 1i64..8, base in 1i64..100_000,
        ) {
            prop_assume!(p > q);
            let mut ticks = 0;
            let times: Vec<_> = steps.iter().map(|s| { ticks += s; r(ticks, base) }).collect();
            let k = r(p, q);
            let all = run(Rate::Factor(k), &times, r(40, base), r(1, base));
            let n = times.len() as i64;
            prop_assert_eq!(all.len() as i64, (k * n).ceil().to_integer());
            prop_assert!(all.windows(2).all(|w| w[0].ticks < w[1].ticks));
            // Every frame of the source that an output frame falls on is passed on.
            let whole = (0..all.len() as i64).filter(|j| (r(*j, 1) / k).is_integer()).count();
            prop_assert_eq!(all.iter().filter(|o| o.at == At::Frame).count(), whole);
        }

        #[test]
        fn fps_length_is_within_one_frame_and_exact_where_possible(
            rate in any_rate(), target in any_rate(), frames in 1i64..400,
        ) {
            // In ticks of the source's rate, as most containers have.
            let times: Vec<_> = (0..frames).map(|i| r(i, 1) / rate).collect();
            let made = run(Rate::Fps(target), &times, rate.recip(), rate.recip()).len() as i64;
            let source = Wide::from(i128::from(frames)) / wide(rate);
            let output = Wide::from(i128::from(made)) / wide(target);
            let frame = wide(target).recip();
            prop_assert!(output - source < frame && source - output < frame);
            let exact = source * wide(target);
            if exact.is_integer() {
                prop_assert_eq!(i128::from(made), exact.to_integer());
            }
        }

        #[test]
        fn fps_length_is_right_for_times_rounded_to_milliseconds(
            rate in 1i64..=120, target in any_rate(), frames in 1i64..400,
        ) {
            // A variable rate, as far as the container tells: neither times nor the end are exact.
            let millis = |time: Rational| (time * 1000).round() / 1000;
            let times: Vec<_> = (0..frames).map(|i| millis(r(i, rate))).collect();
            let end = millis(r(frames, rate));
            let made =
                run(Rate::Fps(target), &times, end - times[times.len() - 1], r(1, 1000)).len();
            let output = Wide::from(made as i128) / wide(target);
            let frame = wide(target).recip();
            prop_assert!(output - wide(end) < frame && wide(end) - output < frame);
        }
    }
}
