//! Interpolation on one device.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use rife_runtime::{Frame, Interpolator, PixelFormat};

use super::messages::PairJob;
use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::{Error, Result};

/// An interpolator on a device, and smaller ones to use if the device runs out of memory.
pub struct DeviceWorker {
    /// The interpolator.
    pub interpolator: Interpolator,
    /// Returns the interpolator to use after `n` failed attempts that ran out of memory, for `n` =
    /// 0, 1, …; `None` if there is no smaller one.
    pub smaller: Box<dyn Fn(usize) -> Option<Result<Interpolator>> + Send + Sync>,
}

impl std::fmt::Debug for DeviceWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceWorker")
            .field("interpolator", &self.interpolator)
            .finish_non_exhaustive()
    }
}

/// Interpolates frames on a device until there are no more jobs.
pub(super) fn run_device(
    worker: &DeviceWorker,
    jobs: &Receiver<PairJob>,
    frames: &SyncSender<Frame>,
    pool: &Pool<'_>,
    format: PixelFormat,
    progress: &Progress,
) -> Result<()> {
    let mut session = None;
    // Index of the source frame that was pushed last.
    let mut last_pushed = None;
    loop {
        let mut next = match jobs.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Disconnected) => break,
            // Idle: complete the frames in flight.
            Err(TryRecvError::Empty) => {
                if let Some(session) = &mut session
                    && !drain(session, frames, pool, 0, progress)?
                {
                    return Ok(());
                }
                match jobs.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                }
            }
        };
        let session = match &mut session {
            Some(session) => session,
            none => {
                let (first, frame) = first_frame(worker, &next, format, progress)?;
                if frames.send(frame).is_err() {
                    return Ok(());
                }
                last_pushed = Some(next.indices[1]);
                next.timesteps.remove(0);
                none.insert(first)
            }
        };
        let [earlier, later] = next.indices;
        if last_pushed != Some(later) {
            timed(&progress.network_ns, || -> Result<()> {
                if last_pushed != Some(earlier) {
                    session.push(&next.earlier.view())?;
                }
                session.push(&next.later.view())?;
                Ok(())
            })?;
            last_pushed = Some(later);
        }
        for t in next.timesteps {
            let room = session.depth().saturating_sub(1);
            if !drain(session, frames, pool, room, progress)? {
                return Ok(());
            }
            timed(&progress.network_ns, || -> Result<()> { Ok(session.submit_as(t, format)?) })?;
        }
    }
    if let Some(session) = &mut session {
        drain(session, frames, pool, 0, progress)?;
    }
    Ok(())
}

/// Interpolates the first frame. Only then is it known whether the device has enough memory; if
/// not, tries the smaller interpolators.
fn first_frame(
    worker: &DeviceWorker,
    job: &PairJob,
    format: PixelFormat,
    progress: &Progress,
) -> Result<(rife_runtime::Session, Frame)> {
    let attempt = |interpolator: &Interpolator| -> Result<_> {
        timed(&progress.network_ns, || {
            let mut session = interpolator.session(job.earlier.size())?;
            session.push(&job.earlier.view())?;
            session.push(&job.later.view())?;
            let t = job.timesteps.first().copied().unwrap_or(0.5);
            let frame = session.at_as(t, format)?;
            progress.interpolated.fetch_add(1, Ordering::Relaxed);
            Ok((session, frame))
        })
    };
    let mut done = attempt(&worker.interpolator);
    for step in 0.. {
        let too_large = |error: &Error| match error {
            Error::Engine(error) => matches!(**error, rife_runtime::Error::OutOfMemory { .. }),
            _ => false,
        };
        if !done.as_ref().is_err_and(too_large) {
            break;
        }
        match (worker.smaller)(step) {
            None => break,
            Some(smaller) => done = attempt(&smaller?),
        }
    }
    done
}

/// Completes frames until at most `left` are in flight. Returns whether the receiver still exists.
fn drain(
    session: &mut rife_runtime::Session,
    frames: &SyncSender<Frame>,
    pool: &Pool<'_>,
    left: usize,
    progress: &Progress,
) -> Result<bool> {
    while session.pending() > left {
        let mut frame = pool.take()?;
        timed(&progress.network_ns, || -> Result<()> {
            Ok(session.finish_into(&mut frame.view_mut())?)
        })?;
        progress.interpolated.fetch_add(1, Ordering::Relaxed);
        if frames.send(frame).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
