//! Sessions: pairs of source frames in, interpolated frames out.
//!
//! The threads of VapourSynth ask for frames in any order, several at once. A session works on one
//! pair at a time, but accepts the next while it computes: a thread pushes its pair, submits, and
//! lets others do the same before it waits for its result. Results do not depend on the order.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat, Session};

use crate::cache::{FramePool, lock};
use crate::weights::message;

/// Frame sizes of a clip of variable size that keep their session.
const SIZES: usize = 2;

/// A thread that waits for another one to submit looks again after this time.
const LONG: Duration = Duration::from_millis(100);

/// [`Lane::patience`] for a GPU: less than most frames take.
const GPU_PATIENCE: Duration = Duration::from_micros(500);

/// A frame to interpolate.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// Number of the earlier source frame.
    pub(crate) number: i32,
    pub(crate) earlier: &'a Frame,
    /// The next source frame, of the same size.
    pub(crate) later: &'a Frame,
    pub(crate) timestep: f32,
}

/// A loaded model with its sessions for one clip.
pub(crate) struct Engine {
    interpolator: Arc<Interpolator>,
    /// Output frames for reuse.
    memory: FramePool,
    /// Sessions by frame size, the latest used last.
    lanes: Mutex<VecDeque<(FrameSize, Arc<Lane>)>>,
}

impl Engine {
    /// `threads` is the number of frames that are asked for at once.
    pub(crate) fn new(interpolator: Arc<Interpolator>, threads: usize) -> Self {
        let memory = FramePool::new(threads + 2, &interpolator);
        Self { interpolator, memory, lanes: Mutex::default() }
    }

    /// Interpolates a frame, in the format of the earlier source frame. [`Engine::reuse`] takes the
    /// result back.
    ///
    /// # Errors
    /// Those of the device.
    pub(crate) fn interpolate(&self, job: Job<'_>) -> Result<Frame, String> {
        self.lane(job.earlier.size()).interpolate(job, &self.interpolator, &self.memory)
    }

    /// Keeps the memory of a result.
    pub(crate) fn reuse(&self, frame: Frame) {
        self.memory.give(frame);
    }

    fn lane(&self, size: FrameSize) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        let at = lanes.iter().position(|(of, _)| *of == size);
        let entry = at.and_then(|at| lanes.remove(at)).unwrap_or_else(|| {
            if lanes.len() >= SIZES {
                // Frees device memory before the next session needs it, unless it is in use.
                lanes.pop_front();
            }
            // A CPU computes when a frame is submitted, and waits for nothing.
            let cpu = self.interpolator.info().device == "cpu";
            let patience = if cpu { Duration::ZERO } else { GPU_PATIENCE };
            (size, Arc::new(Lane::new(patience)))
        });
        let lane = Arc::clone(&entry.1);
        lanes.push_back(entry);
        lane
    }
}

/// A session that several threads use.
struct Lane {
    state: Mutex<State>,
    /// Signals that frames were submitted or finished.
    changed: Condvar,
    /// Numbers of the pairs that threads are about to submit.
    waiting: Mutex<Vec<i32>>,
    /// How long a thread waits for others to submit before it waits for the device. Zero if frames
    /// are finished when they are submitted.
    patience: Duration,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// Numbers of the source frames that the session contains, the later one last.
    pushed: [Option<i32>; 2],
    next_ticket: u64,
    /// Tickets and formats of the submitted frames, in order.
    submitted: VecDeque<(u64, PixelFormat)>,
    /// Results that their threads have not fetched yet.
    finished: Vec<(u64, Result<Frame, String>)>,
}

/// A pair that a thread is about to submit.
struct Turn<'a> {
    lane: &'a Lane,
    number: i32,
}

impl<'a> Turn<'a> {
    fn new(lane: &'a Lane, number: i32) -> Self {
        lock(&lane.waiting).push(number);
        Self { lane, number }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.lane.waiting);
        if let Some(at) = waiting.iter().position(|number| *number == self.number) {
            waiting.swap_remove(at);
        }
    }
}

impl Lane {
    fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            waiting: Mutex::default(),
            patience,
        }
    }

    fn interpolate(
        &self,
        job: Job<'_>,
        interpolator: &Interpolator,
        memory: &FramePool,
    ) -> Result<Frame, String> {
        let mut state = self.take_turn(job.number);
        let ticket = state.submit(job, interpolator, memory);
        self.changed.notify_all();
        let ticket = ticket?;
        let until = Instant::now() + self.patience;
        loop {
            if let Some(at) = state.finished.iter().position(|(of, _)| *of == ticket) {
                return state.finished.swap_remove(at).1;
            }
            // Another frame in the queue of the device is worth more than an early result.
            if state.has_room() && !self.patience.is_zero() {
                let submitting = !lock(&self.waiting).is_empty();
                let rest = until.saturating_duration_since(Instant::now());
                if submitting || !rest.is_zero() {
                    state = self.wait(state, if submitting { LONG } else { rest });
                    continue;
                }
            }
            if !state.finish_oldest(memory) {
                return Err("the device lost the frame".to_owned());
            }
            self.changed.notify_all();
        }
    }

    /// Waits for the turn of a pair: in the order of the clip, so that the session needs each
    /// source frame once.
    fn take_turn(&self, number: i32) -> MutexGuard<'_, State> {
        let turn = Turn::new(self, number);
        let mut state = self.lock();
        let until = Instant::now() + self.patience;
        loop {
            if lock(&self.waiting).iter().any(|other| *other < number) {
                state = self.wait(state, LONG);
                continue;
            }
            // The pair that continues the session may be on its way. While the device is busy,
            // waiting costs nothing.
            let rest = until.saturating_duration_since(Instant::now());
            if state.continues(number) || state.submitted.is_empty() || rest.is_zero() {
                drop(turn);
                return state;
            }
            state = self.wait(state, rest);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Locks the state. After a panic, it starts again without a session.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.discard("another frame failed");
            state
        })
    }
}

impl State {
    /// Whether the session contains the earlier frame of a pair.
    fn continues(&self, number: i32) -> bool {
        self.pushed[1] == Some(number) || self.pushed == [Some(number), Some(number + 1)]
    }

    fn has_room(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.pending() < session.depth())
    }

    /// Submits a frame, and returns its ticket.
    fn submit(
        &mut self,
        job: Job<'_>,
        interpolator: &Interpolator,
        memory: &FramePool,
    ) -> Result<u64, String> {
        while self.session.is_some() && !self.has_room() {
            self.finish_oldest(memory);
        }
        let submitted = self.try_submit(job, interpolator);
        if let Err(error) = &submitted {
            self.discard(error);
        }
        submitted
    }

    fn try_submit(&mut self, job: Job<'_>, interpolator: &Interpolator) -> Result<u64, String> {
        let text = |error: rife_runtime::Error| message(&error);
        let session = match &mut self.session {
            Some(session) => session,
            none => {
                self.pushed = [None; 2];
                none.insert(interpolator.session(job.earlier.size()).map_err(text)?)
            }
        };
        let (first, second) = (job.number, job.number + 1);
        if self.pushed != [Some(first), Some(second)] {
            // In sequential reading, the session has the earlier frame already.
            if self.pushed[1] != Some(first) {
                session.push(&job.earlier.view()).map_err(text)?;
                self.pushed = [self.pushed[1], Some(first)];
            }
            session.push(&job.later.view()).map_err(text)?;
            self.pushed = [self.pushed[1], Some(second)];
        }
        session.submit_as(job.timestep, job.earlier.format()).map_err(text)?;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.submitted.push_back((ticket, job.earlier.format()));
        Ok(ticket)
    }

    /// Waits for the frame that was submitted first; `false` if there is none.
    fn finish_oldest(&mut self, memory: &FramePool) -> bool {
        let Some((ticket, format)) = self.submitted.pop_front() else {
            // Only after an error elsewhere: start again.
            self.session = None;
            return false;
        };
        let finished = self.finish(format, memory);
        let failed = finished.as_ref().err().cloned();
        self.finished.push((ticket, finished));
        if let Some(error) = failed {
            self.discard(&error);
        }
        true
    }

    fn finish(&mut self, format: PixelFormat, memory: &FramePool) -> Result<Frame, String> {
        let session = self.session.as_mut().ok_or("the device lost the frame")?;
        let mut frame = memory.take(session.size(), format)?;
        session.finish_into(&mut frame.view_mut()).map_err(|error| message(&error))?;
        Ok(frame)
    }

    /// Drops the session. The frames submitted to it fail with `error`; the next frame starts a new
    /// session.
    fn discard(&mut self, error: &str) {
        self.session = None;
        self.pushed = [None; 2];
        let lost = self.submitted.drain(..).map(|(ticket, _)| (ticket, Err(error.to_owned())));
        self.finished.extend(lost);
    }
}
