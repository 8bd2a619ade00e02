//! HEAD timing

use crate::Rational;
use crate::ffmpeg::Probed;
use crate::timeline::gcd;

/// What the container states about the frames.
#[derive(Clone, Copy, Debug)]
pub struct ContainerTiming {
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
    /// Whether a frame may be stored as two packets, one for each field.
    pub fields: bool,
}

/// Farther from the average rate than this is not the rate.
const SAME_RATE: (i64, i64) = (1, 500);

/// A grid's ticks a second are kept below this, so that an output's finer ticks still fit.
const GRID_TICKS: i64 = 1 << 22;

impl ContainerTiming {
    /// What a container states about a video; `default_rate` is taken where it states no rate.
    pub fn new(source: &Probed, default_rate: Rational) -> Self {
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
    pub(crate) fn exact_duration(&self, duration: Rational) -> Rational {
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

/// Makes times grow, and moves them to the rate that they were rounded from.
#[derive(Clone, Debug)]
pub(crate) struct Times {
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
    pub(crate) fn new(timing: &ContainerTiming) -> Self {
        Self {
            grid: timing.grid(),
            rate: timing.rate,
            frame_time: timing.frame_time,
            tick: timing.time_base,
            anchor: None,
            first: None,
            last: None,
            missing: 0,
        }
    }

    /// The time of the next frame, later than the one before.
    pub(crate) fn next(&mut self, time: Option<Rational>) -> Rational {
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
    pub(crate) fn lost(&self, end: Option<Rational>) -> u64 {
        let after = self.last.zip(end).map(|(last, end)| end - last - self.frame_time);
        self.missing + after.map_or(0, |time| self.frames_in(time))
    }

    /// Frames that fit before the first, if the container's clock starts at 0.
    pub(crate) fn lost_before(&self, origin: Option<Rational>) -> u64 {
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

    fn timing(
        time_base: Rational,
        rate: Option<Rational>,
        frame_time: Rational,
    ) -> ContainerTiming {
        let (frames, end, origin) = (None, None, None);
        ContainerTiming { time_base, rate, frame_time, frames, end, origin, fields: false }
    }

    #[test]
    fn times_rounded_to_milliseconds_are_those_of_the_rate() {
        let rate = r(30000, 1001);
        let mut times = Times::new(&timing(r(1, 1000), Some(rate), rate.recip()));
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
        let mut times = Times::new(&timing(r(1, 1000), None, r(1, 25)));
        let stated = [Some(r(1, 1)), Some(r(1, 1)), Some(r(1, 2)), None, Some(r(2, 1))];
        let got: Vec<_> = stated.into_iter().map(|time| times.next(time)).collect();
        assert!(got.windows(2).all(|w| w[0] < w[1]), "{got:?}");
        assert_eq!(got[3] - got[2], r(1, 25));
        assert_eq!(got[4], r(2, 1));
    }

    #[test]
    fn times_after_a_jump_are_those_of_the_rate_again() {
        let rate = r(24000, 1001);
        let mut times = Times::new(&timing(r(1, 90_000), Some(rate), rate.recip()));
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
        let of = |base, rate: Rational| timing(base, Some(rate), rate.recip());
        let mkv = of(r(1, 1000), ntsc);
        assert_eq!(mkv.exact_duration(r(42, 1000)), ntsc.recip());
        assert_eq!(mkv.exact_duration(r(41, 1000)), ntsc.recip());
        assert_eq!(mkv.exact_duration(r(125, 1000)), r(3, 1) / ntsc);
        assert_eq!(of(r(1, 15_360), r(30, 1)).exact_duration(r(33_334, 1_000_000)), r(1, 30));
        // A last frame that stays for some other time stays that long.
        assert_eq!(mkv.exact_duration(r(2060, 1000)), r(2060, 1000));
        let varying = timing(r(1, 1000), None, ntsc.recip());
        assert_eq!(varying.exact_duration(r(42, 1000)), r(42, 1000));
    }

    #[test]
    fn missing_frames_are_counted_by_the_gaps_they_leave() {
        let mut times = Times::new(&timing(r(1, 1000), Some(r(25, 1)), r(1, 25)));
        for at in [0, 1, 2, 7, 8, 10] {
            times.next(Some(r(at, 25)));
        }
        assert_eq!(times.lost(None), 5);
        assert_eq!(times.lost(Some(r(11, 25))), 5);
        assert_eq!(times.lost(Some(r(13, 25))), 7);
        assert_eq!(times.lost_before(None), 0);
        assert_eq!(times.lost_before(Some(r(10, 25))), 10);
    }
}
