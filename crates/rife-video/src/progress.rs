//! Counters and timers of a run.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Rational;

/// Counters of a run. Stage times exclude waiting for other stages.
#[derive(Debug, Default)]
pub struct Progress {
    /// Source frames read.
    pub read: AtomicU64,
    /// Output frames written, including those that existed already.
    pub written: AtomicU64,
    /// Interpolated frames.
    pub interpolated: AtomicU64,
    /// Cuts.
    pub cuts: AtomicU64,
    /// Still pairs, without those of replaced held frames.
    pub stills: AtomicU64,
    /// Held frames that were replaced by interpolated frames, because the output moves from one
    /// drawing to the next; see [`crate::SceneSettings::longest_hold`].
    pub held: AtomicU64,
    /// Memory allocated for queued frames, in bytes; set at the end of the run.
    pub pooled_bytes: AtomicU64,
    pub(crate) first: OnceLock<Rational>,
    pub(crate) last: OnceLock<(i64, i64)>,
    pub(crate) shortest: OnceLock<Rational>,
    pub(crate) decode_ns: AtomicU64,
    pub(crate) scenes_ns: AtomicU64,
    pub(crate) network_ns: AtomicU64,
    pub(crate) encode_ns: AtomicU64,
}

impl Progress {
    /// Time of the first source frame, in s; `None` until it is read.
    pub fn first_time(&self) -> Option<Rational> {
        self.first.get().copied()
    }

    /// Start and end of the last output frame, in output ticks; `None` until the source has been
    /// read.
    pub fn last_frame(&self) -> Option<(i64, i64)> {
        self.last.get().copied()
    }

    /// Shortest interval between two output frames, in s; `None` until the source has been read, or
    /// if there is one frame only.
    pub fn shortest_interval(&self) -> Option<Rational> {
        self.shortest.get().copied()
    }

    /// Busy time of each stage.
    pub fn stages(&self) -> StageTimes {
        let of = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        StageTimes {
            decode: of(&self.decode_ns),
            scenes: of(&self.scenes_ns),
            network: of(&self.network_ns),
            encode: of(&self.encode_ns),
        }
    }
}

/// Busy time of each stage of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// Reading frames, including the wait for the decoder.
    pub decode: Duration,
    /// Detecting cuts and still pairs.
    pub scenes: Duration,
    /// Interpolation, including copies to and from the device; the sum over all devices.
    pub network: Duration,
    /// Writing frames, including the wait for the encoder.
    pub encode: Duration,
}

impl StageTimes {
    /// The stages with their names.
    pub fn named(&self) -> [(&'static str, Duration); 4] {
        [
            ("decode", self.decode),
            ("scenes", self.scenes),
            ("network", self.network),
            ("encode", self.encode),
        ]
    }

    /// Name of the stage with the longest busy time.
    pub fn slowest(&self) -> &'static str {
        self.named().into_iter().max_by_key(|(_, time)| *time).map_or("", |(name, _)| name)
    }
}

pub(crate) fn timed<T>(total: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    total.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    done
}
