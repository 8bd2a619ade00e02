//! Runs long work in another thread while this thread handles signals and events.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pyo3::prelude::*;

use crate::error::RifeError;
use crate::exit::detached;

/// Interval between checks for signals.
const INTERVAL: Duration = Duration::from_millis(50);

enum Message<E> {
    Event(E),
    Ended,
}

/// Sends events to the thread that waits.
pub(crate) struct Events<E>(Sender<Message<E>>);

impl<E> Clone for Events<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Events<E> {
    /// Sends an event. Ignored if the receiver no longer exists.
    pub(crate) fn send(&self, event: E) {
        let _ = self.0.send(Message::Event(event));
    }
}

/// Runs the work and receives its events.
pub(crate) struct Waiter<E> {
    messages: Receiver<Message<E>>,
    ended: Sender<Message<E>>,
}

/// A channel for the events of one piece of work.
pub(crate) fn events<E>() -> (Events<E>, Waiter<E>) {
    let (sender, messages) = channel();
    (Events(sender.clone()), Waiter { messages, ended: sender })
}

/// Sends [`Message::Ended`] when it is dropped, so also after a panic.
struct EndGuard<E>(Sender<Message<E>>);

impl<E> Drop for EndGuard<E> {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Ended);
    }
}

impl<E: Send + 'static> Waiter<E> {
    /// Runs `work` in a new thread. Meanwhile, this thread handles signals and passes events to
    /// `on_event`, together with whether the work is being cancelled.
    ///
    /// After a signal that raises or an error of `on_event`, `cancel` is called once, and the
    /// exception is raised when `work` has returned. A second signal raises immediately and
    /// detaches the thread.
    ///
    /// # Errors
    /// The exception of a signal handler or of `on_event`.
    pub(crate) fn run<T: Send + 'static>(
        self,
        py: Python<'_>,
        work: impl FnOnce() -> T + Send + 'static,
        mut on_event: impl FnMut(E, bool) -> PyResult<()>,
        cancel: impl Fn(),
    ) -> PyResult<T> {
        let end_guard = EndGuard(self.ended);
        let thread = std::thread::Builder::new()
            .name("rife".into())
            .spawn(move || {
                let _end_guard = end_guard;
                work()
            })
            .map_err(|error| RifeError::new_err(format!("cannot start a thread: {error}")))?;
        let mut failed: Option<PyErr> = None;
        let mut messages = self.messages;
        loop {
            let message;
            (message, messages) = detached(py, move || (messages.recv_timeout(INTERVAL), messages));
            match message {
                Ok(Message::Event(event)) => {
                    let handled = on_event(event, failed.is_some());
                    if let (Err(error), None) = (handled, &failed) {
                        cancel();
                        failed = Some(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Ended) | Err(RecvTimeoutError::Disconnected) => break,
            }
            if let Err(error) = py.check_signals() {
                if failed.is_some() {
                    return Err(error);
                }
                cancel();
                failed = Some(error);
            }
        }
        match (failed, detached(py, || thread.join())) {
            (Some(error), _) => Err(error),
            (None, Ok(value)) => Ok(value),
            (None, Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}
