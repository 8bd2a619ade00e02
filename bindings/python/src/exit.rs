//! Keeps other threads out of the interpreter while it exits.
//!
//! While the interpreter finalizes, CPython before 3.14 ends each thread that attaches to it by
//! unwinding its stack, which is not defined for Rust frames. After that, thread states are freed,
//! and attaching accesses freed memory. Daemon threads may be inside a call at that time.
//! [`close_at_exit`] runs before the interpreter finalizes; after that, other threads never attach
//! again.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::marker::Ungil;
use pyo3::prelude::*;

/// Whether the interpreter exits.
static CLOSING: AtomicBool = AtomicBool::new(false);

/// Number of threads that are about to attach, or log a message.
static ATTACHING: AtomicUsize = AtomicUsize::new(0);

/// The longest time that the exit waits for threads that attach.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

thread_local! {
    /// Whether this thread finalizes the interpreter, and may therefore attach to it until the end.
    static FINALIZES: Cell<bool> = const { Cell::new(false) };
}

/// A thread that may attach. The exit waits until it is dropped.
struct Attaching;

impl Attaching {
    /// None if the interpreter exits.
    fn new() -> Option<Self> {
        ATTACHING.fetch_add(1, Ordering::SeqCst);
        let attaching = Self;
        let refused = CLOSING.load(Ordering::SeqCst) && !FINALIZES.get();
        (!refused).then_some(attaching)
    }
}

impl Drop for Attaching {
    fn drop(&mut self) {
        ATTACHING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` while this thread is detached from the interpreter. Does not return if the
/// interpreter exits in the meantime. Use this instead of [`Python::detach`].
pub(crate) fn detached<T: Ungil + Send>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Ungil + Send,
) -> T {
    let (result, _attaching) = py.detach(|| {
        let result = work();
        match Attaching::new() {
            Some(attaching) => (result, attaching),
            None => loop {
                std::thread::park();
            },
        }
    });
    result
}

/// Runs `work` attached to the interpreter, unless it exits or does not exist. Use this instead of
/// [`Python::try_attach`].
pub(crate) fn try_attached<T>(work: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _attaching = Attaching::new()?;
    Python::try_attach(work)
}

/// Keeps other threads from attaching from now on. Call this before the interpreter finalizes, in
/// the thread that does so.
#[pyfunction]
pub(crate) fn close_at_exit(py: Python<'_>) {
    FINALIZES.set(true);
    CLOSING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let start = Instant::now();
        while ATTACHING.load(Ordering::SeqCst) > 0 && start.elapsed() < LONGEST_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}
