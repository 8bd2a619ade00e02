//! What a job runs in: the `rife` command, or a program that embeds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rife_video::StageTimes;

use crate::interrupt::Unfinished;
use crate::print::loss_or_note;

/// Receives what a job reports. Threads of the job call it, one at a time or several at once.
pub trait Observer: Send + Sync {
    /// A message on one line. It starts with `note: `, `hint: `, `warning: `, `lost: ` or
    /// `changed: `, or states a fact about the job.
    fn message(&self, line: &str);

    /// Bytes downloaded so far, and the approximate total, while weights are fetched. Not called
    /// if they are there already.
    fn download(&self, _done: u64, _total: u64) {}

    /// Called a few times per second while frames are interpolated.
    fn progress(&self, _progress: &Snapshot) {}

    /// Called when no more calls of [`Observer::progress`] follow.
    fn progress_ended(&self) {}

    /// Called once if the job succeeds.
    fn done(&self, _summary: &Summary) {}

    /// Called once if the job fails.
    fn failed(&self, _message: &str) {}
}

/// The progress of a running job.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Output frames so far, including those of an earlier run.
    pub frames: u64,
    /// Output frames of the whole job, if known.
    pub total: Option<u64>,
    /// Output frames per second of this run.
    pub fps: f64,
    /// Estimated time left, if it can be estimated.
    pub left: Option<Duration>,
    /// Busy time of each stage.
    pub stages: StageTimes,
}

/// A finished job.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The output, as named by the user.
    pub output: String,
    /// Output frames, including those of an earlier run.
    pub frames: u64,
    /// Source frames read.
    pub read: u64,
    /// Interpolated frames.
    pub interpolated: u64,
    /// Scene cuts.
    pub cuts: u64,
    /// Pairs of equal frames that stayed still.
    pub stills: u64,
    /// Held frames of animation that were replaced.
    pub held: u64,
    /// Peak memory of the frames between the stages, in bytes.
    pub frame_bytes: u64,
    /// Time that the job took.
    pub elapsed: Duration,
    /// Number of devices.
    pub devices: usize,
    /// Busy time of each stage.
    pub stages: StageTimes,
}

/// The surroundings of one job: who is told about it, what ends it, and what it must remove at its
/// end. Clones refer to the same job.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    observer: Box<dyn Observer>,
    /// Whether Ctrl-C and termination end the process. Programs that embed a job have their own
    /// handlers.
    handles_signals: bool,
    cancelled: AtomicBool,
    pub(crate) unfinished: Mutex<Vec<Unfinished>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Host {
    /// A program that embeds a job. No signal handler is installed.
    pub fn embedded(observer: impl Observer + 'static) -> Self {
        Self::new(observer, false)
    }

    /// The `rife` command. Ctrl-C and termination remove everything unfinished and end the process.
    pub(crate) fn command(observer: impl Observer + 'static) -> Self {
        Self::new(observer, true)
    }

    fn new(observer: impl Observer + 'static, handles_signals: bool) -> Self {
        Self(Arc::new(Inner {
            observer: Box::new(observer),
            handles_signals,
            cancelled: AtomicBool::new(false),
            unfinished: Mutex::default(),
        }))
    }

    /// Makes the job end with an error as soon as possible. What it leaves behind is the same as
    /// after Ctrl-C in the command.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
    }

    /// Whether the job was cancelled. A later error of the job is a consequence.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn handles_signals(&self) -> bool {
        self.0.handles_signals
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.0.observer
    }

    pub(crate) fn unfinished(&self) -> &Mutex<Vec<Unfinished>> {
        &self.0.unfinished
    }

    /// Passes a message on.
    pub(crate) fn say(&self, line: &str) {
        self.observer().message(line);
    }

    /// Passes a loss, a change or a note about a job on.
    pub(crate) fn report(&self, line: &str) {
        self.say(&loss_or_note(line));
    }

    /// The error of a job that was cancelled.
    ///
    /// # Errors
    /// If it was cancelled.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.is_cancelled(), "the job was cancelled");
        Ok(())
    }
}
