//! HEAD device

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use rife_runtime::{Frame, Interpolator, PixelFormat};

use super::messages::Work;
use crate::pool::Pool;
use crate::progress::{Progress, timed};
use crate::{Error, Result};

/// A network on a device, and what to go on with where its memory does not suffice.
pub struct Maker {
    /// The network.
    pub rife: Interpolator,
    /// The same with less memory, to be tried next; `None` where there is nothing smaller.
    pub smaller: Box<dyn Fn(usize) -> Option<Result<Interpolator>> + Send + Sync>,
}

impl std::fmt::Debug for Maker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maker").field("rife", &self.rife).finish_non_exhaustive()
    }
}

/// Makes frames on a device until there are no more to make.
pub(super) fn device(
    maker: &Maker,
    work: &Receiver<Work>,
    made: &SyncSender<Frame>,
    pool: &Pool<'_>,
    format: PixelFormat,
    progress: &Progress,
) -> Result<()> {
    let mut session = None;
    // The source's frame that was pushed last.
    let mut held = None;
    loop {
        let mut next = match work.try_recv() {
            Ok(work) => work,
            Err(TryRecvError::Disconnected) => break,
            // Nothing to do meanwhile: what is being made can be waited for.
            Err(TryRecvError::Empty) => {
                if let Some(session) = &mut session
                    && !finish(session, made, pool, 0, progress)?
                {
                    return Ok(());
                }
                match work.recv() {
                    Ok(work) => work,
                    Err(_) => break,
                }
            }
        };
        let session = match &mut session {
            Some(session) => session,
            none => {
                let (first, frame) = begin(maker, &next, format, progress)?;
                if made.send(frame).is_err() {
                    return Ok(());
                }
                held = Some(next.index + 1);
                next.at.remove(0);
                none.insert(first)
            }
        };
        if held != Some(next.index + 1) {
            timed(&progress.making_ns, || -> Result<()> {
                if held != Some(next.index) {
                    session.push(&next.earlier.view())?;
                }
                session.push(&next.later.view())?;
                Ok(())
            })?;
            held = Some(next.index + 1);
        }
        for t in next.at {
            let room = session.depth().saturating_sub(1);
            if !finish(session, made, pool, room, progress)? {
                return Ok(());
            }
            timed(&progress.making_ns, || -> Result<()> { Ok(session.submit_as(t, format)?) })?;
        }
    }
    if let Some(session) = &mut session {
        finish(session, made, pool, 0, progress)?;
    }
    Ok(())
}

/// Makes the first frame, which shows whether the device's memory suffices; with less where it
/// does not.
fn begin(
    maker: &Maker,
    work: &Work,
    format: PixelFormat,
    progress: &Progress,
) -> Result<(rife_runtime::Session, Frame)> {
    let attempt = |rife: &Interpolator| -> Result<_> {
        timed(&progress.making_ns, || {
            let mut session = rife.session(work.earlier.size())?;
            session.push(&work.earlier.view())?;
            session.push(&work.later.view())?;
            let t = work.at.first().copied().unwrap_or(0.5);
            let frame = session.at_as(t, format)?;
            progress.made.fetch_add(1, Ordering::Relaxed);
            Ok((session, frame))
        })
    };
    let mut done = attempt(&maker.rife);
    for step in 0.. {
        let too_large = |error: &Error| match error {
            Error::Engine(error) => matches!(**error, rife_runtime::Error::OutOfMemory { .. }),
            _ => false,
        };
        if !done.as_ref().is_err_and(too_large) {
            break;
        }
        match (maker.smaller)(step) {
            None => break,
            Some(rife) => done = attempt(&rife?),
        }
    }
    done
}

/// Waits for frames until no more than `left` are pending; whether anybody takes them.
fn finish(
    session: &mut rife_runtime::Session,
    made: &SyncSender<Frame>,
    pool: &Pool<'_>,
    left: usize,
    progress: &Progress,
) -> Result<bool> {
    while session.pending() > left {
        let mut frame = pool.take()?;
        timed(&progress.making_ns, || -> Result<()> {
            Ok(session.finish_into(&mut frame.view_mut())?)
        })?;
        progress.made.fetch_add(1, Ordering::Relaxed);
        if made.send(frame).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
