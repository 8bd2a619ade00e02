//! Times and durations of decoded frames, from what the decoder prints about them.

use crate::Rational;
use crate::timing::{ContainerTiming, Times};

/// Turns the ticks of frames into exact times. Frames must come in order.
#[derive(Clone, Debug)]
pub(crate) struct FrameClock {
    /// Length of a tick, in s.
    pub(crate) time_base: Rational,
    pub(crate) timing: ContainerTiming,
    pub(crate) times: Times,
}

impl FrameClock {
    /// A clock for decoding from the start of a stream.
    pub(crate) fn new(timing: ContainerTiming) -> Self {
        Self { time_base: timing.time_base, times: Times::new(&timing), timing }
    }

    /// A clock for decoding from a later frame on, whose corrected time is `time`, in s.
    pub(crate) fn starting_at(timing: ContainerTiming, time: Rational) -> Self {
        Self { times: Times::starting_at(&timing, time), ..Self::new(timing) }
    }

    /// Time of the next frame and, if known, its duration in case it is the last one, in s. `pts`
    /// and `duration` are in ticks.
    pub(crate) fn next(
        &mut self,
        pts: Option<i64>,
        duration: Option<i64>,
    ) -> (Rational, Option<Rational>) {
        let base = self.time_base;
        let time = self.times.next(pts.map(|pts| base * pts));
        // The last frame is shown until the stream ends.
        let until_end = || Some(self.timing.end? - time).filter(|left| *left > Rational::from(0));
        let duration = duration.filter(|d| *d > 0).map(|d| base * d).or_else(until_end);
        (time, duration.map(|duration| self.timing.exact_duration(duration)))
    }
}
