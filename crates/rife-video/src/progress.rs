//! HEAD progress

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Rational;

/// Counts what has been done. Times are what a stage spent at work, not waiting for another.
#[derive(Debug, Default)]
pub struct Progress {
    /// Source frames read.
    pub read: AtomicU64,
    /// Output frames written, or there already.
    pub written: AtomicU64,
    /// Frames that the network made.
    pub interpolated: AtomicU64,
    /// Cuts found.
    pub cuts: AtomicU64,
    /// Stills found.
    pub stills: AtomicU64,
    /// Bytes of the frames that the job allocated for its queues, at its end.
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
    /// The time of the source's first frame, s, once it was read.
    pub fn first_time(&self) -> Option<Rational> {
        self.first.get().copied()
    }

    /// When the last output frame is shown and when it ends, in ticks of the output, once the
    /// source was read.
    pub fn last_frame(&self) -> Option<(i64, i64)> {
        self.last.get().copied()
    }

    /// The shortest interval between two output frames, s, once the source was read; `None` of a
    /// single frame.
    pub fn shortest_interval(&self) -> Option<Rational> {
        self.shortest.get().copied()
    }

    /// What each stage spent at work.
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

/// The stages of a job, and the time each was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// Waiting for the decoder, or reading.
    pub decode: Duration,
    /// Telling cuts from motion.
    pub scenes: Duration,
    /// In the network, copies to and from its device included; of several devices the sum.
    pub network: Duration,
    /// Waiting for the encoder, or writing.
    pub encode: Duration,
}

impl StageTimes {
    /// Each stage by name.
    pub fn named(&self) -> [(&'static str, Duration); 4] {
        [
            ("decode", self.decode),
            ("scenes", self.scenes),
            ("network", self.network),
            ("encode", self.encode),
        ]
    }

    /// The stage that was at work longest.
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
