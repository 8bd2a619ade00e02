//! Worker threads, and the memory that they share.

use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::pack::zeros;
use super::tensor::Floats;
use crate::Result;

/// Threads, each with its own scratch memory.
pub(crate) struct Team {
    pool: Arc<ThreadPool>,
    scratch: Vec<Mutex<Floats>>,
}

impl Team {
    pub(crate) fn new(pool: &Arc<ThreadPool>, scratch: usize) -> Result<Self> {
        let own = |_| zeros(scratch).map(Mutex::new);
        let scratch = (0..pool.current_num_threads()).map(own).collect::<Result<_>>()?;
        Ok(Self { pool: Arc::clone(pool), scratch })
    }

    /// The number of floats of scratch memory of all threads.
    pub(crate) fn floats(&self) -> usize {
        let len = |m: &Mutex<Floats>| m.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.scratch.iter().map(len).sum()
    }

    /// Runs `work` on the team.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Runs `task` for each number below `count`, with the scratch memory of the thread that runs
    /// it. Must be called within [`Team::enter`].
    pub(crate) fn each(&self, count: usize, task: impl Fn(usize, &mut Floats) + Sync) {
        (0..count).into_par_iter().with_max_len(1).for_each(|i| {
            let thread = rayon::current_thread_index().unwrap_or(0);
            // A task never waits for another one on the same thread, so the lock is uncontended.
            let own = self.scratch[thread].lock();
            task(i, &mut own.unwrap_or_else(PoisonError::into_inner));
        });
    }
}

/// An address that threads share.
#[derive(Clone, Copy)]
pub(crate) struct SharedPtr<T>(*mut T);

// SAFETY: this is only an address; each access through it states its own invariant.
unsafe impl<T> Send for SharedPtr<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for SharedPtr<T> {}

impl<T> SharedPtr<T> {
    pub(crate) fn new(at: *mut T) -> Self {
        Self(at)
    }

    pub(crate) fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}
