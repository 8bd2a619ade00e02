//! Maps an output frame to a source frame and a timestep, for any output frame. The results are
//! those of [`rife_video::Timeline`] for a source of constant rate.

use num_rational::Ratio;
use rife_video::Rate;

/// Offsets below this are rounded to 0.
const NEAR: f64 = rife_video::Timeline::NEAR;

/// Largest factor.
const MAX_FACTOR: i64 = Rate::MAX_FACTOR;

/// Highest rate, in fps.
const MAX_FPS: i64 = Rate::MAX_FPS;

/// Products of rates and frame numbers exceed 64 bits.
type Wide = Ratio<i128>;

/// The position of an output frame in the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutputPosition {
    /// The source frame at or before it.
    pub(crate) frame: i32,
    /// Its distance from that frame, in source frames: in [0, 1).
    pub(crate) offset: f64,
    /// The timestep of the interpolation; `None` if the output is the source frame itself.
    pub(crate) timestep: Option<f32>,
    /// Whether it is the first output frame that belongs to the source frame.
    pub(crate) first: bool,
    /// Whether it is the last output frame that belongs to the source frame.
    pub(crate) last: bool,
}

/// The output timeline of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Timeline {
    /// Output frames per source frame.
    multiple: Wide,
    source_frames: i32,
    output_frames: i32,
}

impl Timeline {
    /// `multiple` output frames for each source frame.
    ///
    /// # Errors
    /// If the output has more frames than a clip can have.
    pub(crate) fn new(multiple: Wide, source_frames: i32) -> Result<Self, String> {
        let count = (multiple * i128::from(source_frames)).ceil().to_integer();
        let output_frames = i32::try_from(count).map_err(|_| {
            format!("the output has too many frames: at most {}, got {count}", i32::MAX)
        })?;
        Ok(Self { multiple, source_frames, output_frames })
    }

    /// Number of output frames.
    pub(crate) fn output_frames(&self) -> i32 {
        self.output_frames
    }

    /// Output frames per source frame.
    pub(crate) fn multiple(&self) -> Wide {
        self.multiple
    }

    /// The position of output frame `n`.
    pub(crate) fn position(&self, n: i32) -> OutputPosition {
        let at = |n: i32| (Wide::from(i128::from(n)) / self.multiple).reduced();
        let whole = |at: Wide| i32::try_from(at.floor().to_integer()).unwrap_or(i32::MAX);
        let last_frame = (self.source_frames - 1).max(0);
        let time = at(n);
        let frame = whole(time).clamp(0, last_frame);
        let offset = time - i128::from(frame);
        let offset = *offset.numer() as f64 / *offset.denom() as f64;
        // The same expressions as in rife_video::Timeline, so that timesteps are bit-identical.
        let on_frame = offset < NEAR || frame == last_frame;
        OutputPosition {
            frame,
            offset,
            timestep: (!on_frame).then(|| (offset as f32).min(1.0 - f32::EPSILON)),
            first: n == 0 || whole(at(n - 1)).min(last_frame) != frame,
            last: n + 1 >= self.output_frames || whole(at(n + 1)).min(last_frame) != frame,
        }
    }
}

/// The rate of the output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct OutputRate {
    /// Output frames per source frame.
    pub(crate) multiple: Wide,
    /// Numerator and denominator of the frame rate; those of the source if it has no constant rate.
    pub(crate) fps: (i64, i64),
}

impl OutputRate {
    /// The rate of a clip of `source` fps, multiplied.
    ///
    /// # Errors
    /// If the factor is not above 1 and up to [`MAX_FACTOR`], or the rate exceeds 64 bits.
    pub(crate) fn by_factor(num: i64, den: i64, source: (i64, i64)) -> Result<Self, String> {
        let invalid = || {
            format!("factor_num/factor_den must be above 1 and up to {MAX_FACTOR}, got {num}/{den}")
        };
        if num < 1 || den < 1 {
            return Err(invalid());
        }
        let multiple = Wide::new(num.into(), den.into());
        if multiple <= Wide::from(1) || multiple > Wide::from(i128::from(MAX_FACTOR)) {
            return Err(invalid());
        }
        let fps = match rate(source) {
            // Keep VapourSynth's representation of a variable or unknown rate.
            None => source,
            Some(source) => to_i64(source * multiple).ok_or_else(|| {
                format!(
                    "the output frame rate {}/{} * {multiple} is too large",
                    source.numer(),
                    source.denom()
                )
            })?,
        };
        Ok(Self { multiple, fps })
    }

    /// A constant rate, for a clip of `source` fps.
    ///
    /// # Errors
    /// If the clip has no constant rate, or the rate is not above 0 and up to 10000.
    pub(crate) fn by_fps(num: i64, den: i64, source: (i64, i64)) -> Result<Self, String> {
        let wanted = (num > 0 && den > 0).then(|| Wide::new(num.into(), den.into()));
        let wanted =
            wanted.filter(|fps| *fps <= Wide::from(i128::from(MAX_FPS))).ok_or_else(|| {
                format!("fps_num/fps_den must be above 0 and up to {MAX_FPS}, got {num}/{den}")
            })?;
        let source = rate(source).ok_or(
            "fps_num requires a clip with a constant frame rate, but this clip has none\n\
             hint: set the rate with std.AssumeFPS, or use factor_num",
        )?;
        let fps = to_i64(wanted).unwrap_or((num, den));
        let multiple = wanted / source;
        // Products with frame numbers must fit 128 bits.
        if to_i64(multiple).is_none() {
            return Err(format!(
                "the ratio of the frame rates {wanted} and {source} exceeds 64 bits: use rates with \
                 smaller terms"
            ));
        }
        Ok(Self { multiple, fps })
    }
}

/// The constant rate of a clip, if it has one.
fn rate((num, den): (i64, i64)) -> Option<Wide> {
    (num > 0 && den > 0).then(|| Wide::new(num.into(), den.into()))
}

fn to_i64(value: Wide) -> Option<(i64, i64)> {
    Some((i64::try_from(*value.numer()).ok()?, i64::try_from(*value.denom()).ok()?))
}

/// A duration divided by `multiple`, reduced; `None` if the result exceeds 64 bits, or the value is not
/// a duration.
pub(crate) fn divide_duration((num, den): (i64, i64), multiple: Wide) -> Option<(i64, i64)> {
    if num < 0 || den < 1 {
        return None;
    }
    let [num, den] = [i128::from(num), i128::from(den)];
    let num = num.checked_mul(*multiple.denom())?;
    let den = den.checked_mul(*multiple.numer())?;
    to_i64(Wide::new(num, den))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_of_frame_rates_that_overflows_is_refused() {
        let source = ((1 << 62) - 57, (1 << 61) - 1);
        let error = OutputRate::by_fps(i64::MAX, (1 << 62) - 3, source).unwrap_err();
        assert!(error.contains("exceeds 64 bits"), "{error}");
        assert!(OutputRate::by_fps(60000, 1001, (24000, 1001)).is_ok());
    }
    use rife_video::{Position, Rational};

    /// The output frames of the `rife` command: source frame and position.
    fn expected(rate: Rate, fps: Rational, frames: i64) -> Vec<(i32, Position)> {
        let time = fps.recip();
        let mut timeline = rife_video::Timeline::new(rate, time).unwrap();
        let mut all = Vec::new();
        for frame in 0..frames {
            let outputs = match frame + 1 == frames {
                true => timeline.last(time * frame, time),
                false => timeline.pair(time * frame, time * (frame + 1)),
            };
            all.extend(outputs.into_iter().map(|output| (frame as i32, output.position)));
        }
        all
    }

    fn check(rate: Rate, fps: (i64, i64), frames: i32) {
        let source = Rational::new(fps.0, fps.1);
        let output = match rate {
            Rate::Fps(wanted) => OutputRate::by_fps(*wanted.numer(), *wanted.denom(), fps),
            Rate::Factor(k) | Rate::Slow(k) => OutputRate::by_factor(*k.numer(), *k.denom(), fps),
        };
        let timeline = Timeline::new(output.unwrap().multiple, frames).unwrap();
        let expected = expected(rate, source, frames.into());
        let what = format!("{rate}, {frames} frames at {source}");
        assert_eq!(timeline.output_frames() as usize, expected.len(), "{what}");
        for (n, (frame, position)) in expected.iter().enumerate() {
            let actual = timeline.position(n as i32);
            let got = match actual.timestep {
                Some(t) => Position::Between(t),
                None if actual.offset >= NEAR => Position::Repeat,
                None => Position::Frame,
            };
            assert_eq!((actual.frame, got), (*frame, *position), "{what}: output {n}");
            let differs = |other: Option<&(i32, Position)>| other.is_none_or(|o| o.0 != *frame);
            assert_eq!(actual.first, n == 0 || differs(expected.get(n - 1)), "{what}: {n}");
            assert_eq!(actual.last, differs(expected.get(n + 1)), "{what}: {n}");
        }
    }

    #[test]
    fn positions_equal_those_of_the_rife_command() {
        for (num, den) in [(2, 1), (3, 1), (5, 2), (4, 3), (10, 1), (2001, 2000), (1000, 999)] {
            for frames in [1, 2, 3, 17, 700] {
                check(Rate::Factor(Rational::new(num, den)), (24000, 1001), frames);
                check(Rate::Factor(Rational::new(num, den)), (25, 1), frames);
            }
        }
        for (num, den) in [(60, 1), (60000, 1001), (144, 1), (24, 1), (23, 1), (1, 7)] {
            for source in [(24000, 1001), (24, 1), (30, 1), (60000, 1001), (25, 1)] {
                for frames in [1, 2, 5, 300] {
                    check(Rate::Fps(Rational::new(num, den)), source, frames);
                }
            }
        }
    }

    #[test]
    fn rates_are_exact_and_reduced() {
        let factor = |num, den, source| OutputRate::by_factor(num, den, source).unwrap().fps;
        assert_eq!(factor(2, 1, (24000, 1001)), (48000, 1001));
        assert_eq!(factor(5, 2, (24, 1)), (60, 1));
        assert_eq!(factor(1001, 1000, (24000, 1001)), (24, 1));
        assert_eq!(factor(2, 1, (0, 1)), (0, 1), "an unknown rate stays unknown");
        assert_eq!(factor(2, 1, (0, 0)), (0, 0));
        let fps = OutputRate::by_fps(120, 2, (24000, 1001)).unwrap();
        assert_eq!((fps.fps, fps.multiple), ((60, 1), Wide::new(1001, 400)));
    }

    #[test]
    fn invalid_rates_are_refused_with_a_reason() {
        let factor = |num, den| OutputRate::by_factor(num, den, (24, 1)).unwrap_err();
        for (num, den) in [(1, 1), (2, 3), (0, 1), (-2, 1), (2, 0), (i64::MAX, 1), (10_001, 1)] {
            assert!(factor(num, den).contains(&format!("{num}/{den}")), "{num}/{den}");
        }
        let large = OutputRate::by_factor(10_000, 3, (i64::MAX, 1)).unwrap_err();
        assert!(large.contains("too large"), "{large}");
        let none = OutputRate::by_fps(60, 1, (0, 1)).unwrap_err();
        assert!(none.contains("has none"), "{none}");
        for (num, den) in [(0, 1), (60, 0), (-60, 1), (20_000, 1)] {
            assert!(OutputRate::by_fps(num, den, (24, 1)).is_err(), "{num}/{den}");
        }
        let many = Timeline::new(Wide::from(10_000), i32::MAX).unwrap_err();
        assert!(many.contains("too many frames"), "{many}");
    }

    #[test]
    fn durations_are_divided_and_reduced() {
        let k = Wide::new(5, 2);
        assert_eq!(divide_duration((1001, 24000), k), Some((1001, 60000)));
        assert_eq!(divide_duration((2, 48), Wide::from(2)), Some((1, 48)));
        assert_eq!(divide_duration((0, 1), k), Some((0, 1)));
        assert_eq!(divide_duration((1, 0), k), None);
        assert_eq!(divide_duration((-1, 5), k), None);
        assert_eq!(divide_duration((1, i64::MAX), Wide::from(7)), None);
    }

    #[test]
    fn last_frame_of_the_longest_clip_is_a_source_frame() {
        let timeline = Timeline::new(Wide::new(3, 2), i32::MAX / 2).unwrap();
        let last = timeline.position(timeline.output_frames() - 1);
        assert_eq!((last.frame, last.timestep), (i32::MAX / 2 - 1, None));
        assert!(last.last);
    }
}
