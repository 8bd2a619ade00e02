//! Reading, judging, making and writing at once, each in a thread of its own, with bounded queues
//! between: the network waits for nobody while there is something to make.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rife_runtime::{Frame, FrameSize, Interpolator, PixelFormat};

use crate::pool::Pool;
use crate::queues::Queues;
use crate::scene::{Kind, Scenes};
use crate::timeline::{At, Output, Timeline};
use crate::{Error, Rational, Result, blend};

/// A frame of the source.
#[derive(Clone, Debug)]
pub struct SourceFrame {
    /// Its samples.
    pub frame: Arc<Frame>,
    /// When it is shown, s.
    pub time: Rational,
    /// How long it is shown were it the last, s; `None` where the source does not say.
    pub duration: Option<Rational>,
}

/// Where frames come from.
pub trait Source: Send {
    /// The next frame, later than the one before; `None` at the end. `pool` has frames of the
    /// input's size and format to fill.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn next(&mut self, pool: &Pool<'_>) -> Result<Option<SourceFrame>>;
}

/// Where frames go.
pub trait Sink: Send {
    /// Takes the next frame, shown `ticks` after the first in the timeline's time base. `left` is
    /// the source's frame at or before it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&mut self, number: i64, ticks: i64, frame: &Frame, left: &Frame) -> Result<()>;

    /// Frames of the output's format that it holds at most, between calls and during one: they
    /// count towards [`Settings::memory`].
    fn buffered(&self) -> usize {
        0
    }
}

/// What is done between the frames around a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtCut {
    /// The frame before it is held.
    #[default]
    Hold,
    /// One is blended into the other.
    Blend,
}

/// How cuts and stills are told.
#[derive(Clone, Copy, Debug)]
pub struct SceneSettings {
    /// The score from which on a pair is a cut, %, see [`crate::Judgement::score`]; infinite where
    /// none is.
    pub cut: f64,
    /// The difference up to which a pair is a still, %; with 0 only equal frames are.
    pub still: f64,
    /// What is done at a cut.
    pub at_cut: AtCut,
}

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

/// How a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Cuts and stills.
    pub scenes: SceneSettings,
    /// The size of all frames.
    pub size: FrameSize,
    /// The format of the input's frames.
    pub input: PixelFormat,
    /// The format of the output's frames.
    pub format: PixelFormat,
    /// Bytes that all frames between reading and writing may take; the least possible is used if
    /// that is more, see [`Queues`].
    pub memory: u64,
    /// Output frames that are there already: neither made nor written.
    pub skip: i64,
    /// How long the last frame is shown where the source does not say, s.
    pub frame_time: Rational,
}

/// Counts what has been done. Times are what a stage spent at work, not waiting for another.
#[derive(Debug, Default)]
pub struct Progress {
    /// Source frames read.
    pub read: AtomicU64,
    /// Output frames written, or there already.
    pub written: AtomicU64,
    /// Frames that the network made.
    pub made: AtomicU64,
    /// Cuts found.
    pub cuts: AtomicU64,
    /// Stills found.
    pub stills: AtomicU64,
    /// Bytes of the frames that the job allocated for its queues, at its end.
    pub pooled_bytes: AtomicU64,
    first: OnceLock<Rational>,
    last: OnceLock<(i64, i64)>,
    shortest: OnceLock<Rational>,
    reading_ns: AtomicU64,
    judging_ns: AtomicU64,
    making_ns: AtomicU64,
    writing_ns: AtomicU64,
}

/// The stages of a job, and the time each was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageTimes {
    /// Waiting for the decoder, or reading.
    pub decode: Duration,
    /// Telling cuts from motion.
    pub judge: Duration,
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
            ("scenes", self.judge),
            ("network", self.network),
            ("encode", self.encode),
        ]
    }

    /// The stage that was at work longest.
    pub fn slowest(&self) -> &'static str {
        self.named().into_iter().max_by_key(|(_, time)| *time).map_or("", |(name, _)| name)
    }
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
            decode: of(&self.reading_ns),
            judge: of(&self.judging_ns),
            network: of(&self.making_ns),
            encode: of(&self.writing_ns),
        }
    }
}

fn timed<T>(total: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    total.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    done
}

/// Source frames after which another device takes over. Each takes the frame between twice, so
/// that few changes cost little, and many keep the queues short.
pub(crate) const CHUNK: u64 = 8;

/// Frames to make of a pair.
struct Work {
    /// Where the earlier frame stands in the source.
    index: u64,
    earlier: Arc<Frame>,
    later: Arc<Frame>,
    at: Vec<f32>,
}

/// An output frame, in order.
struct Item {
    output: Output,
    number: i64,
    what: What,
    left: Arc<Frame>,
}

enum What {
    Given(Arc<Frame>),
    /// The next of this device.
    Made(usize),
    Blended(Arc<Frame>, f32),
}

/// Makes the output of a source, frame by frame. The timeline is laid out as frames come.
///
/// # Errors
/// The first thing that failed. What was put into the sink before stays there.
pub fn run(
    source: &mut dyn Source,
    timeline: &mut Timeline,
    devices: &[Maker],
    sink: &mut dyn Sink,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let locks = devices.first().map(|maker| &maker.rife);
    let given = Pool::new(settings.size, settings.input, locks);
    let other = Pool::new(settings.size, settings.format, locks);
    let (given, out) = (&given, if settings.input == settings.format { &given } else { &other });
    // A queue of a stage that nobody waits for any more is closed: who writes to it ends quietly,
    // and the error is that of the stage that ended first.
    std::thread::scope(|scope| {
        let first = match timed(&progress.reading_ns, || source.next(given))? {
            None => return Err(Error::Refused("there is no frame in the input".into())),
            Some(frame) => frame,
        };
        progress.read.fetch_add(1, Ordering::Relaxed);
        progress.first.get_or_init(|| first.time);
        let queues = Queues::new(settings, devices.len(), sink.buffered());
        let (read_in, read_out) = sync_channel::<SourceFrame>(queues.read);
        let (items_in, items_out) = sync_channel::<Item>(queues.items);
        let reader = scope.spawn(move || -> Result<()> {
            while let Some(frame) = timed(&progress.reading_ns, || source.next(given))? {
                progress.read.fetch_add(1, Ordering::Relaxed);
                if read_in.send(frame).is_err() {
                    break;
                }
            }
            Ok(())
        });

        let mut work = Vec::new();
        let mut made = Vec::new();
        let mut workers = Vec::new();
        for maker in devices {
            let (work_in, work_out) = sync_channel::<Work>(queues.work);
            let (made_in, made_out) = sync_channel::<Frame>(queues.made);
            work.push(work_in);
            made.push(made_out);
            workers.push(
                scope.spawn(move || {
                    device(maker, &work_out, &made_in, out, settings.format, progress)
                }),
            );
        }

        let director = scope.spawn(move || {
            direct(first, &read_out, timeline, &work, &items_in, settings, progress)
        });
        let written = collect(&items_out, &made, sink, settings, [given, out], progress);
        // Whoever waits to hand something over finds nobody, and ends.
        drop((items_out, made));
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<()>>| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        // Upstream comes first: what ends it ends everything after it.
        let mut results = vec![join(reader)];
        results.extend(workers.into_iter().map(join));
        results.push(join(director));
        results.push(written);
        let shared = std::ptr::eq(given, out);
        let allocated = given.allocated() + if shared { 0 } else { out.allocated() };
        progress.pooled_bytes.store(allocated, Ordering::Relaxed);
        results.into_iter().collect()
    })
}

/// Source frames, of which some are looked at before it is their turn: no more than
/// [`Scenes::LOOK_AHEAD`], and only where a pair may be a cut.
struct Ahead<'a> {
    frames: &'a Receiver<SourceFrame>,
    taken: VecDeque<SourceFrame>,
    /// Spent in [`Self::peek`] waiting for frames, ns.
    waited_ns: u64,
}

impl Ahead<'_> {
    fn next(&mut self) -> Option<SourceFrame> {
        self.taken.pop_front().or_else(|| self.frames.recv().ok())
    }

    /// The frame that [`Self::next`] gives after `number` others.
    fn peek(&mut self, number: usize) -> Option<Arc<Frame>> {
        let start = Instant::now();
        while self.taken.len() <= number {
            self.taken.push_back(self.frames.recv().ok()?);
        }
        self.waited_ns += start.elapsed().as_nanos() as u64;
        self.taken.get(number).map(|taken| taken.frame.clone())
    }
}

/// Reads frames, judges pairs, and says what is made by whom and in which order it is written.
fn direct(
    first: SourceFrame,
    frames: &Receiver<SourceFrame>,
    timeline: &mut Timeline,
    work: &[SyncSender<Work>],
    items: &SyncSender<Item>,
    settings: &Settings,
    progress: &Progress,
) -> Result<()> {
    let mut scenes = Scenes::new(settings.scenes.cut, settings.scenes.still);
    let mut frames = Ahead { frames, taken: VecDeque::new(), waited_ns: 0 };
    let mut earlier = first;
    let mut index = 0u64;
    loop {
        let number = timeline.made();
        let Some(later) = frames.next() else {
            let duration = earlier.duration.unwrap_or(settings.frame_time);
            let outputs = timeline.last(earlier.time, duration);
            if let Some(last) = timeline.last_frame() {
                progress.last.get_or_init(|| last);
            }
            if let Some(shortest) = timeline.shortest_interval() {
                progress.shortest.get_or_init(|| shortest);
            }
            for (output, number) in outputs.into_iter().zip(number..) {
                let what = What::Given(earlier.frame.clone());
                let left = earlier.frame.clone();
                if number >= settings.skip
                    && items.send(Item { output, number, what, left }).is_err()
                {
                    break;
                }
            }
            return Ok(());
        };
        let outputs = timeline.pair(earlier.time, later.time);
        let judgement = timed(&progress.judging_ns, || {
            scenes.judge(&earlier.frame, &later.frame, |number| frames.peek(number))
        });
        // Waiting for a frame is no work of this stage.
        progress.judging_ns.fetch_sub(std::mem::take(&mut frames.waited_ns), Ordering::Relaxed);
        tracing::debug!(
            "frame {index}: {:?}, difference {:.3} %, score {:.3}",
            judgement.kind,
            judgement.difference,
            judgement.score
        );
        match judgement.kind {
            Kind::Cut => {
                progress.cuts.fetch_add(1, Ordering::Relaxed);
                tracing::info!("cut after frame {index}, score {:.1}", judgement.score);
            }
            Kind::Still => _ = progress.stills.fetch_add(1, Ordering::Relaxed),
            Kind::Motion => {}
        }
        let wanted = outputs.iter().zip(number..).filter(|(_, number)| *number >= settings.skip);
        let device = (index / CHUNK) as usize % work.len().max(1);
        if judgement.kind == Kind::Motion {
            let at: Vec<f32> = wanted
                .clone()
                .filter_map(|(output, _)| match output.at {
                    At::Between(t) => Some(t),
                    _ => None,
                })
                .collect();
            let pair =
                Work { index, earlier: earlier.frame.clone(), later: later.frame.clone(), at };
            if !pair.at.is_empty() && work.get(device).is_none_or(|to| to.send(pair).is_err()) {
                return Ok(());
            }
        }
        for (output, number) in wanted {
            let held = || What::Given(earlier.frame.clone());
            let what = match (output.at, judgement.kind) {
                (At::Between(_), Kind::Motion) => What::Made(device),
                (At::Between(t), Kind::Cut) if settings.scenes.at_cut == AtCut::Blend => {
                    What::Blended(later.frame.clone(), t)
                }
                _ => held(),
            };
            let left = earlier.frame.clone();
            if items.send(Item { output: *output, number, what, left }).is_err() {
                return Ok(());
            }
        }
        earlier = later;
        index += 1;
    }
}

/// Makes frames on a device until there are no more to make.
fn device(
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

/// Writes the output in order.
fn collect(
    items: &Receiver<Item>,
    made: &[Receiver<Frame>],
    sink: &mut dyn Sink,
    settings: &Settings,
    [given, out]: [&Pool<'_>; 2],
    progress: &Progress,
) -> Result<()> {
    progress.written.store(settings.skip.max(0) as u64, Ordering::Relaxed);
    for Item { output, number, what, left } in items {
        let in_format = |frame: &Frame| frame.format() == settings.format;
        // A frame that was made for this output alone.
        let mut fresh = None;
        let shared: Arc<Frame>;
        let frame = match what {
            What::Given(frame) => {
                shared = frame;
                &*shared
            }
            What::Made(device) => match made.get(device).map(Receiver::recv) {
                Some(Ok(frame)) => &*fresh.insert(frame),
                _ => return Ok(()),
            },
            What::Blended(later, t) => &*fresh.insert(blend::blend(&left, &later, t)?),
        };
        timed(&progress.writing_ns, || -> Result<()> {
            let frames = [frame, &*left];
            let mut both = Vec::new();
            for frame in frames {
                if !in_format(frame) {
                    both.push(frame.converted(settings.format)?);
                }
            }
            match &both[..] {
                [] => sink.put(number, output.ticks, frame, &left),
                [one] if in_format(frame) => sink.put(number, output.ticks, frame, one),
                [one] => sink.put(number, output.ticks, one, &left),
                [one, two, ..] => sink.put(number, output.ticks, one, two),
            }
        })?;
        progress.written.fetch_add(1, Ordering::Relaxed);
        if let Some(frame) = fresh {
            out.put(frame);
        }
        given.put_shared(left);
    }
    Ok(())
}
