//! Frame times of a container: what it states, and how rounded times are corrected.

use crate::Rational;
use crate::ffmpeg::Probed;
use crate::timeline::gcd;

/// What a container states about frame times.
#[derive(Clone, Copy, Debug)]
pub struct ContainerTiming {
    /// Length of a tick, in s.
    pub time_base: Rational,
    /// The constant frame rate, in frames per second, if the container states one.
    pub rate: Option<Rational>,
    /// Frame duration if nothing else states it, in s.
    pub frame_time: Rational,
    /// Number of frames, if the container states it.
    pub frames: Option<u64>,
    /// End of the stream in s, in the timeline of the frame times.
    pub end: Option<Rational>,
    /// Zero of the frame times on the container's clock, in s, if that clock starts at 0.
    pub origin: Option<Rational>,
    /// Whether a frame may be stored as two packets, one per field.
    pub fields: bool,
}

/// The stated rate counts as constant if the average is within this of it.
const SAME_RATE: (i64, i64) = (1, 500);

/// Maximum ticks per second of a grid, so that the finer ticks of the output still fit.
const GRID_TICKS: i64 = 1 << 22;

impl ContainerTiming {
    /// Reads the timing of a probed file. `default_rate` is used if the container states no rate.
    pub fn new(source: &Probed, default_rate: Rational) -> Self {
        let video = &source.video;
        let stated = video.rate.or(video.avg_rate).unwrap_or(default_rate);
        let near = |average: Rational| {
            let off = stated / average - 1;
            let limit = Rational::new(SAME_RATE.0, SAME_RATE.1);
            off < limit && off > -limit
        };
        let constant = match video.avg_rate {
            // With coarse times, ffprobe reports a rounded `r_frame_rate`: 24/1 for 24000/1001.
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

    /// The rate to snap times to, if the container rounds times of a constant rate.
    fn grid(&self) -> Option<Rational> {
        self.rate.filter(|rate| {
            let frame_in_ticks = (self.time_base * rate).recip();
            let coarse = frame_in_ticks < Rational::from(1000);
            !frame_in_ticks.is_integer() && (coarse || self.common(*rate) <= GRID_TICKS)
        })
    }

    /// Ticks per second that express both the container's times and those of `rate`.
    fn common(&self, rate: Rational) -> i64 {
        let (a, b) = (*self.time_base.denom(), *rate.numer());
        (a / gcd(a, b)).saturating_mul(b)
    }

    /// A tick of which every time is a multiple, in s: the time base, refined if times snap to a
    /// rate.
    pub fn tick(&self) -> Rational {
        match self.grid() {
            None => self.time_base,
            Some(rate) => Rational::new(1, self.common(rate)),
        }
    }

    /// Corrects the stated duration of the last frame, in s: at a constant rate it is a multiple of
    /// the frame duration.
    pub(crate) fn exact_duration(&self, duration: Rational) -> Rational {
        let Some(rate) = self.rate else { return duration };
        let frames = (duration * rate).round();
        let off = duration - frames / rate;
        // The start and the end may each be off by one tick, and ffprobe prints seconds with six
        // decimals.
        let rounding = self.time_base * 2 + Rational::new(1, 1_000_000);
        let exact = frames >= Rational::from(1) && off <= rounding && off >= -rounding;
        if exact { frames / rate } else { duration }
    }
}

/// Makes frame times strictly increasing, and snaps them to the constant rate that the container
/// rounded.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    grid: Option<Rational>,
    /// Constant frame rate, in frames per second.
    rate: Option<Rational>,
    frame_time: Rational,
    /// Unit that the container rounds times to, in s.
    tick: Rational,
    /// A time on the grid.
    anchor: Option<Rational>,
    first: Option<Rational>,
    last: Option<Rational>,
    /// Number of frames missing in gaps between frames, at the constant rate.
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

    /// Starts at a frame in the middle of a stream, whose corrected time is `time`, in s. The result
    /// for this frame is only the same as in the whole stream if it is later than its stated
    /// predecessor.
    pub(crate) fn starting_at(timing: &ContainerTiming, time: Rational) -> Self {
        Self { anchor: Some(time), ..Self::new(timing) }
    }

    /// Sets a time on the grid, by default that of the first frame.
    pub(crate) fn set_anchor(&mut self, anchor: Rational) {
        self.anchor = Some(anchor);
    }

    /// Returns the time of the next frame, which is later than the previous one.
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
                    // The grid moves when the clock jumps.
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

    /// Step to a frame whose stated time is not later than the previous one, in s. Several ticks,
    /// so that containers with coarser ticks can keep the two apart.
    fn least_step(&self) -> Rational {
        let ticks = (self.frame_time / 16 / self.tick).floor();
        self.tick * ticks.max(Rational::from(1))
    }

    /// Number of frames missing between frames and before the end of the stream; 0 without a
    /// constant rate.
    pub(crate) fn lost(&self, end: Option<Rational>) -> u64 {
        let after = self.last.zip(end).map(|(last, end)| end - last - self.frame_time);
        self.missing + after.map_or(0, |time| self.frames_in(time))
    }

    /// Number of frames that fit before the first one, if the container's clock starts at 0.
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
    fn times_rounded_to_milliseconds_snap_to_the_rate() {
        let rate = r(30000, 1001);
        let mut times = Times::new(&timing(r(1, 1000), Some(rate), rate.recip()));
        for i in 0..10_000i64 {
            let exact = r(i, 1) / rate + r(7, 1000);
            let rounded = (exact * 1000).round() / 1000;
            assert_eq!(times.next(Some(rounded)), exact);
        }
        assert_eq!(times.lost(Some(r(10_000, 1) / rate + r(7, 1000))), 0);
        // A time off the grid is kept.
        let last = r(10_000, 1) / rate;
        assert_eq!(times.next(Some(last + r(12, 1000))), last + r(12, 1000));
    }

    #[test]
    fn times_increase_whatever_the_container_states() {
        let mut times = Times::new(&timing(r(1, 1000), None, r(1, 25)));
        let stated = [Some(r(1, 1)), Some(r(1, 1)), Some(r(1, 2)), None, Some(r(2, 1))];
        let got: Vec<_> = stated.into_iter().map(|time| times.next(time)).collect();
        assert!(got.windows(2).all(|w| w[0] < w[1]), "{got:?}");
        assert_eq!(got[3] - got[2], r(1, 25));
        assert_eq!(got[4], r(2, 1));
    }

    #[test]
    fn times_snap_to_the_rate_after_a_jump() {
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
        // A last frame with any other duration keeps it.
        assert_eq!(mkv.exact_duration(r(2060, 1000)), r(2060, 1000));
        let varying = timing(r(1, 1000), None, ntsc.recip());
        assert_eq!(varying.exact_duration(r(42, 1000)), r(42, 1000));
    }

    #[test]
    fn missing_frames_are_counted_from_gaps() {
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
