//! Sessions: pairs of source frames in, interpolated frames out.
//!
//! VapourSynth's threads request frames concurrently and in any order. A session works on one pair
//! at a time, but accepts further frames while it computes: a thread pushes its pair, submits a
//! frame, and lets other threads do the same before it waits for its result. Results do not depend
//! on the order.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat, Session};

use crate::cache::{FramePool, lock};
use crate::weights::message;

/// In a clip of variable size, the number of frame sizes with a session.
const MAX_SESSIONS: usize = 2;

/// A thread that waits for another one to submit rechecks the state after this time.
const RECHECK_INTERVAL: Duration = Duration::from_millis(100);

/// [`SharedSession::max_wait`] for a GPU: shorter than the computation of most frames.
const GPU_MAX_WAIT: Duration = Duration::from_micros(500);

const NO_RESULT: &str = "internal error: no result for a submitted frame";

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

/// The numbers of the output frames in progress. Not a count: VapourSynth may start a request that it
/// then serves from its cache, without telling the filter.
#[derive(Default)]
struct Requests(Mutex<HashSet<i32>>);

impl Requests {
    fn are_several(&self) -> bool {
        lock(&self.0).len() > 1
    }
}

/// A loaded model with its sessions for one clip.
pub(crate) struct Engine {
    interpolator: Arc<Interpolator>,
    /// Output frames for reuse.
    memory: FramePool,
    /// Sessions by frame size, the most recently used last.
    sessions: Mutex<VecDeque<(FrameSize, Arc<SharedSession>)>>,
    /// Requests for output frames in progress, including those that wait for source frames.
    requests: Arc<Requests>,
}

impl Engine {
    /// `threads` is the number of frames that are requested at once.
    pub(crate) fn new(interpolator: Arc<Interpolator>, threads: usize) -> Self {
        let memory = FramePool::new(threads + 2, &interpolator);
        Self { interpolator, memory, sessions: Mutex::default(), requests: Arc::default() }
    }

    /// Interpolates a frame, in the format of the earlier source frame. Return the result with
    /// [`Engine::reuse`].
    ///
    /// # Errors
    /// Those of the device.
    pub(crate) fn interpolate(&self, job: Job<'_>) -> Result<Frame, String> {
        self.shared_session(job.earlier.size()).interpolate(job, &self.interpolator, &self.memory)
    }

    /// Counts a request for an output frame.
    pub(crate) fn request_started(&self, n: i32) {
        lock(&self.requests.0).insert(n);
    }

    /// Ends a request that [`Self::request_started`] counted.
    pub(crate) fn request_finished(&self, n: i32) {
        lock(&self.requests.0).remove(&n);
    }

    /// Whether at most one output frame is requested, as after a seek.
    pub(crate) fn has_single_request(&self) -> bool {
        !self.requests.are_several()
    }

    /// Returns the buffer of a result to the pool.
    pub(crate) fn reuse(&self, frame: Frame) {
        self.memory.put_back(frame);
    }

    fn shared_session(&self, size: FrameSize) -> Arc<SharedSession> {
        let mut sessions = lock(&self.sessions);
        let at = sessions.iter().position(|(of, _)| *of == size);
        let entry = at.and_then(|at| sessions.remove(at)).unwrap_or_else(|| {
            if sessions.len() >= MAX_SESSIONS {
                // Unless it is in use, this frees its device memory before the new session needs
                // it.
                sessions.pop_front();
            }
            // A CPU computes a frame when it is submitted, so there is nothing to overlap.
            let cpu = self.interpolator.info().device == "cpu";
            let max_wait = if cpu { Duration::ZERO } else { GPU_MAX_WAIT };
            (size, Arc::new(SharedSession::new(max_wait, Arc::clone(&self.requests))))
        });
        let shared = Arc::clone(&entry.1);
        sessions.push_back(entry);
        shared
    }
}

/// A session that several threads use in turns.
struct SharedSession {
    state: Mutex<State>,
    /// Notified when frames were submitted or finished.
    changed: Condvar,
    /// Numbers of the pairs that threads are about to submit.
    waiting: Mutex<Vec<i32>>,
    /// The longest time that a thread waits for others to submit before it waits for the device.
    /// Zero if frames are finished when they are submitted.
    max_wait: Duration,
    /// See [`Engine::requests`].
    requests: Arc<Requests>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// Numbers of the source frames that the session contains, the later one last.
    pushed: [Option<i32>; 2],
    next_ticket: u64,
    /// Tickets and formats of the submitted frames, in order.
    submitted: VecDeque<(u64, PixelFormat)>,
    /// Results that no thread has taken yet.
    finished: Vec<(u64, Result<Frame, String>)>,
}

/// Registers a pair that a thread is about to submit, until it is dropped.
struct Turn<'a> {
    shared: &'a SharedSession,
    number: i32,
}

impl<'a> Turn<'a> {
    fn new(shared: &'a SharedSession, number: i32) -> Self {
        lock(&shared.waiting).push(number);
        Self { shared, number }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.shared.waiting);
        if let Some(at) = waiting.iter().position(|number| *number == self.number) {
            waiting.swap_remove(at);
        }
    }
}

impl SharedSession {
    fn new(max_wait: Duration, requests: Arc<Requests>) -> Self {
        Self {
            requests,
            state: Mutex::default(),
            changed: Condvar::new(),
            waiting: Mutex::default(),
            max_wait,
        }
    }

    /// Submits a frame and waits for its result.
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
        let until = Instant::now() + self.max_wait;
        loop {
            if let Some(at) = state.finished.iter().position(|(of, _)| *of == ticket) {
                return state.finished.swap_remove(at).1;
            }
            // If there are other requests, let their threads submit first, so that the device
            // always has work queued. A single request, such as after a seek, does not wait.
            let single = !self.requests.are_several();
            if state.has_room() && !self.max_wait.is_zero() && !single {
                let submitting = !lock(&self.waiting).is_empty();
                let rest = until.saturating_duration_since(Instant::now());
                if submitting || !rest.is_zero() {
                    state = self.wait(state, if submitting { RECHECK_INTERVAL } else { rest });
                    continue;
                }
            }
            if !state.finish_oldest(memory) {
                return Err(NO_RESULT.to_owned());
            }
            self.changed.notify_all();
        }
    }

    /// Waits until it is the turn of a pair. Pairs are submitted in the order of the clip, so that
    /// each source frame is pushed once.
    fn take_turn(&self, number: i32) -> MutexGuard<'_, State> {
        let turn = Turn::new(self, number);
        let mut state = self.lock();
        let until = Instant::now() + self.max_wait;
        loop {
            if lock(&self.waiting).iter().any(|other| *other < number) {
                state = self.wait(state, RECHECK_INTERVAL);
                continue;
            }
            // Another thread may soon submit the pair that continues the session. While the device
            // is busy, waiting for it costs nothing.
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

    /// Locks the state. After a panic in another thread, discards the session.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.discard("internal error while another frame was computed");
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
            // In sequential reading, the session already contains the earlier frame.
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
            // A caller expects a frame although none is pending: start again with a new session.
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
        let session = self.session.as_mut().ok_or(NO_RESULT)?;
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
