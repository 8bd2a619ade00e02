//! Video jobs from pipe to pipe, compared with the engine alone and with the pipes alone.

use std::io::{PipeReader, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rife_model::ModelVersion;
use rife_model::weights::Store;
use rife_runtime::{
    Chroma, Frame, FrameSize, Interpolator, Matrix, PixelFormat, Siting, YuvFormat,
};
use rife_video::{
    CutMode, DeviceWorker, PipeFormat, PipeSink, PipeSource, Progress, Rate, Rational,
    SceneDetector, SceneSettings, Settings, Timeline, Y4mHeader, enlarge_pipe, raw_format, run,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::args::VideoArgs;
use crate::clip::ping_pong;
use crate::clip::scene::Scene;
use crate::subject::Size;

/// Number of distinct input frames, played forwards and backwards.
const DISTINCT: usize = 16;
/// Duration of the measurement of a pipe.
const PIPE_TIME: Duration = Duration::from_millis(700);

/// Pixel format of the streams.
const FORMAT: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

/// A 2x job from pipe to pipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    /// Model version.
    pub model: String,
    /// Device.
    pub device: String,
    /// Precision.
    pub precision: String,
    /// Frame size.
    pub size: Size,
    /// Input frames.
    pub frames: usize,
    /// Bytes per frame.
    pub frame_bytes: usize,
    /// Interpolated frames per second of the job, pipes included.
    pub job_fps: f64,
    /// Interpolated frames per second of the engine alone, from memory to memory.
    pub engine_fps: f64,
    /// Interpolated frames per second that the output pipe can carry: half of its frame rate, as
    /// the other half are input frames.
    pub pipe_fps: f64,
    /// `job_fps` relative to the smaller one of `engine_fps` and `pipe_fps`.
    pub share: f64,
    /// Interpolated frames per second if each input frame is only copied twice to the output: the
    /// limit of the pipes when both are busy.
    pub pass_through_fps: f64,
    /// Duration of the job.
    pub seconds: f64,
    /// Busy time of each stage in seconds, as pairs of name and time.
    pub stages_s: Vec<(String, f64)>,
}

/// Measures a job of each model.
///
/// # Errors
/// When weights are missing or a job fails. `notify` receives progress messages.
pub fn measure(args: &VideoArgs, notify: &mut dyn FnMut(&str)) -> Result<Vec<Job>> {
    let store = Store::locate(args.engine.weights.as_deref())?;
    args.models.iter().map(|model| measure_model(args, *model, &store, notify)).collect()
}

fn measure_model(
    args: &VideoArgs,
    model: ModelVersion,
    store: &Store,
    notify: &mut dyn FnMut(&str),
) -> Result<Job> {
    let builder = Interpolator::builder(model).device(args.engine.device).precision(args.precision);
    let builder = match args.engine.threads {
        Some(threads) => builder.threads(threads),
        None => builder,
    };
    builder.check()?;
    let weights = store.fetch(model, notify)?;
    let rife = builder.load_weights(&weights)?;
    let gpu = rife.info().device != "cpu";
    let (width, height) = if gpu { (1920, 1080) } else { (640, 360) };
    let size = args.size.unwrap_or(Size { width, height });
    let frames = args.frames.unwrap_or(if gpu { 1500 } else { 60 });
    job(rife, size, frames)
}

fn job(rife: Interpolator, size: Size, frames: usize) -> Result<Job> {
    let frame_size = FrameSize::new(size.width, size.height);
    let format = PixelFormat::Yuv(FORMAT);
    let scene = Scene { size, seed: 1 };
    let clip: Vec<Frame> = (0..DISTINCT)
        .map(|i| -> Result<Frame> {
            let frame = Frame::rgb8(frame_size, scene.render(i as f64))?;
            Ok(frame.converted(format)?)
        })
        .collect::<Result<_>>()?;
    let frame_bytes = clip.first().map_or(0, |frame| frame.as_bytes().len());

    // Warm-up: the first frames may compile and tune kernels.
    let engine_frames = frames.min(600);
    engine(&rife, &clip, DISTINCT.min(frames))?;
    let clip: Vec<Frame> = clip.into_iter().map(|frame| rife.pin(frame)).collect();
    let engine_fps = engine(&rife, &clip, engine_frames)?;
    let pipe_fps = pipe(frame_bytes)? / 2.0;

    let pass_through_fps = pass_through(&clip, frames)?;

    let workers = [DeviceWorker { interpolator: rife, smaller: Box::new(|_| None) }];
    stream(&workers, &clip, DISTINCT.min(frames))?;
    let (seconds, progress) = stream(&workers, &clip, frames)?;
    let [DeviceWorker { interpolator: rife, .. }] = &workers;
    let info = rife.info();
    let job_fps = (frames - 1) as f64 / seconds;
    let stages = progress.stages().named();
    Ok(Job {
        model: info.model.to_string(),
        device: info.device.clone(),
        precision: info.precision.to_string(),
        size,
        frames,
        frame_bytes,
        job_fps,
        engine_fps,
        pipe_fps,
        share: job_fps / engine_fps.min(pipe_fps),
        pass_through_fps,
        seconds,
        stages_s: stages.map(|(name, time)| (name.to_owned(), time.as_secs_f64())).to_vec(),
    })
}

/// Interpolated frames per second from memory to memory, with a full pipeline.
fn engine(rife: &Interpolator, clip: &[Frame], frames: usize) -> Result<f64> {
    let first = clip.first().context("no frames")?;
    let of = |n: usize| clip.get(ping_pong(n, DISTINCT)).unwrap_or(first);
    let mut session = rife.session(first.size())?;
    let mut out = rife.pin(first.clone());
    session.push(&first.view())?;
    let start = Instant::now();
    for n in 1..frames {
        session.push(&of(n).view())?;
        if session.pending() == session.depth() {
            session.finish_into(&mut out.view_mut())?;
        }
        session.submit(0.5)?;
    }
    while session.pending() > 0 {
        session.finish_into(&mut out.view_mut())?;
    }
    Ok((frames - 1) as f64 / start.elapsed().as_secs_f64())
}

/// Reads a pipe to its end and returns the number of bytes.
fn drain(mut from: PipeReader) -> std::io::Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(bytes),
            n => bytes += n as u64,
        }
    }
}

/// Frames per second through an otherwise idle pipe.
fn pipe(frame_bytes: usize) -> Result<f64> {
    let (from, mut to) = std::io::pipe()?;
    enlarge_pipe(&to);
    let drained = std::thread::spawn(move || drain(from));
    let frame = vec![128; frame_bytes];
    let start = Instant::now();
    while start.elapsed() < PIPE_TIME {
        to.write_all(&frame)?;
    }
    drop(to);
    let bytes = drained.join().unwrap_or(Ok(0))?;
    Ok(bytes as f64 / frame_bytes as f64 / start.elapsed().as_secs_f64())
}

/// Writes frames in Y4M format.
fn feed(mut to: impl Write, clip: &[Frame], frames: usize) -> std::io::Result<()> {
    for n in 0..frames {
        to.write_all(b"FRAME\n")?;
        to.write_all(clip.get(ping_pong(n, DISTINCT)).map(Frame::as_bytes).unwrap_or_default())?;
    }
    Ok(())
}

/// Frames per second read from one pipe and written twice to another, on two threads.
fn pass_through(clip: &[Frame], frames: usize) -> Result<f64> {
    let bytes = clip.first().map_or(0, |frame| frame.as_bytes().len()) + b"FRAME\n".len();
    let (mut from, to) = std::io::pipe()?;
    let (out, mut sink) = std::io::pipe()?;
    enlarge_pipe(&to);
    enlarge_pipe(&sink);
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(move || feed(to, clip, frames));
        scope.spawn(move || drain(out));
        let (full, filled) = std::sync::mpsc::sync_channel::<Vec<u8>>(4);
        let (empty, free) = std::sync::mpsc::channel();
        (0..6).try_for_each(|_| empty.send(vec![0; bytes]))?;
        scope.spawn(move || {
            while let Ok(mut buffer) = free.recv() {
                if from.read_exact(&mut buffer).is_err() || full.send(buffer).is_err() {
                    return;
                }
            }
        });
        for buffer in filled {
            sink.write_all(&buffer)?;
            sink.write_all(&buffer)?;
            // The reader may have finished already.
            let _ = empty.send(buffer);
        }
        drop(sink);
        Ok(())
    })?;
    Ok(frames as f64 / start.elapsed().as_secs_f64())
}

/// Runs the job; its duration in seconds, and its progress counters.
fn stream(workers: &[DeviceWorker], clip: &[Frame], frames: usize) -> Result<(f64, Progress)> {
    let first = clip.first().context("no frames")?;
    let (size, format) = (first.size(), first.format());
    let raw = raw_format(size, format).context("unsupported pixel format")?;
    let rate = Rational::from(30);
    let (from, feed) = std::io::pipe()?;
    let (out, to) = std::io::pipe()?;
    enlarge_pipe(&feed);
    enlarge_pipe(&to);
    let mut timeline = Timeline::new(Rate::Factor(Rational::from(2)), rate.recip())?;
    let header = Y4mHeader {
        raw,
        rate: Some(rate * 2),
        sample_aspect: None,
        colour: rife_video::default_colour(size),
        interlaced: false,
    };
    let settings = Settings {
        scenes: SceneSettings {
            cut_threshold: SceneDetector::DEFAULT_CUT,
            still_threshold: 0.0,
            cut_mode: CutMode::Hold,
            longest_hold: 1,
        },
        size,
        input: format,
        format,
        memory: 1 << 30,
        skip: 0,
        until: None,
        frame_time: rate.recip(),
    };
    let progress = Progress::default();
    let seconds = std::thread::scope(|scope| -> Result<f64> {
        let fed = scope.spawn(move || self::feed(feed, clip, frames));
        let drained = scope.spawn(move || drain(out));
        let start = Instant::now();
        let from = std::io::BufReader::with_capacity(1 << 13, from);
        let mut source = PipeSource::new(from, "pipe", PipeFormat::Y4m, rate);
        let mut sink = PipeSink::new(std::io::BufWriter::new(to), "pipe", Some(&header))?;
        let done = run(&mut source, &mut timeline, workers, &mut sink, &settings, &progress);
        drop(sink.finish()?);
        let seconds = start.elapsed().as_secs_f64();
        done?;
        let joined = |text: &'static str| move |_| anyhow::anyhow!(text);
        fed.join().map_err(joined("the feeder panicked"))??;
        let bytes = drained.join().map_err(joined("the drain panicked"))??;
        let expected = 2 * frames as u64 * (raw.frame_bytes() as u64 + 6);
        ensure!(
            bytes > expected,
            "unexpected output size: {bytes} bytes, expected more than {expected}"
        );
        Ok(seconds)
    })?;
    Ok((seconds, progress))
}
