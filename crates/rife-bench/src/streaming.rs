//! Video through pipes: what a job reaches beside what its engine and its pipes would.

use std::io::{PipeReader, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rife_model::weights::Store;
use rife_runtime::{
    Chroma, Frame, FrameSize, Interpolator, Matrix, PixelFormat, Siting, YuvFormat,
};
use rife_video::{
    AtCut, Header, Maker, PipeSink, PipeSource, Progress, Rate, Rational, SceneSettings, Scenes,
    Settings, Timeline, Wrapping, raw_format, run, widen,
};
use serde::{Deserialize, Serialize};

use crate::args::VideoArgs;
use crate::plan::{check_output, check_size, check_threads};
use crate::record::{Build, Git, Machine, command_line, now_utc, write_json};
use crate::scene::Scene;
use crate::subject::Size;

/// The schema of the record of video through pipes that this program writes.
pub const SCHEMA: u32 = 1;

/// Different frames, played forth and back, so that none is far from the one before.
const DISTINCT: usize = 16;

/// How long a pipe is measured.
const PIPE_TIME: Duration = Duration::from_millis(700);

/// The frames of the streams: what most video is.
const FORMAT: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

/// Video through pipes, as a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamingRecord {
    /// Version of the format: [`SCHEMA`].
    pub schema: u32,
    /// When measuring ended, UTC, RFC 3339.
    pub time_utc: String,
    /// The command as typed.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// What ran.
    pub build: Build,
    /// The checkout that it was run in; `null` outside one.
    pub git: Option<Git>,
    /// Each model.
    pub jobs: Vec<Job>,
}

/// A 2x job from a pipe to a pipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The model.
    pub model: String,
    /// Where it ran.
    pub device: String,
    /// In which precision.
    pub precision: String,
    /// Size of the frames.
    pub size: Size,
    /// Frames read.
    pub frames: usize,
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Frames generated a second by the job, its pipes included.
    pub job_fps: f64,
    /// Frames generated a second by the engine alone, from frames in memory to frames in memory.
    pub engine_fps: f64,
    /// Frames generated a second that the output's pipe has room for: half of those that fit
    /// through one of its kind.
    pub pipe_fps: f64,
    /// The job's frames over the lesser of the two.
    pub share: f64,
    /// Frames generated a second, were each frame read from the one pipe written twice to the
    /// other and nothing else done: what the pipes give when both are busy.
    pub pass_through_fps: f64,
    /// How long the job took, s.
    pub seconds: f64,
    /// What each stage was at work, s.
    pub stages_s: Vec<(String, f64)>,
}

/// Measures what was asked for.
///
/// # Errors
/// What is impossible about it, or what failed, as one line.
pub fn measure(args: &VideoArgs) -> Result<StreamingRecord> {
    check_threads(args.threads)?;
    if let Some(json) = &args.json {
        check_output("--json", json, args.overwrite)?;
    }
    let frames = |gpu: bool| args.frames.unwrap_or(if gpu { 1500 } else { 60 });
    ensure!((3..=1_000_000).contains(&frames(false)), "--frames: expected 3 to 1000000");
    let store = Store::locate(args.weights.as_deref())?;
    let mut jobs = Vec::new();
    for model in &args.models {
        let builder = Interpolator::builder(*model).device(args.device).precision(args.precision);
        let builder = match args.threads {
            Some(threads) => builder.threads(threads),
            None => builder,
        };
        builder.check()?;
        let weights = store.obtain(*model, &mut |line| eprintln!("{line}"))?;
        let rife = builder.load_weights(&weights)?;
        let gpu = rife.info().device != "cpu";
        let default = if gpu { (1920, 1080) } else { (640, 360) };
        let size = args.size.unwrap_or(Size { width: default.0, height: default.1 });
        check_size(size)?;
        jobs.push(job(rife, size, frames(gpu))?);
    }
    let record = StreamingRecord {
        schema: SCHEMA,
        time_utc: now_utc(),
        command: command_line(),
        machine: Machine::this(),
        build: Build::this(),
        git: Git::of_project(),
        jobs,
    };
    if let Some(json) = &args.json {
        write_json(&record, json, args.overwrite)?;
    }
    Ok(record)
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

    // The first frames tune and compile what is kept.
    let engine_frames = frames.min(600);
    engine(&rife, &clip, DISTINCT.min(frames))?;
    let clip: Vec<Frame> = clip.into_iter().map(|frame| rife.lock(frame)).collect();
    let engine_fps = engine(&rife, &clip, engine_frames)?;
    let pipe_fps = pipe(frame_bytes)? / 2.0;

    let pass_through_fps = pass_through(&clip, frames)?;

    let makers = [Maker { rife, smaller: Box::new(|_| None) }];
    stream(&makers, &clip, DISTINCT.min(frames))?;
    let (seconds, progress) = stream(&makers, &clip, frames)?;
    let [Maker { rife, .. }] = &makers;
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

/// Which of the distinct frames is the n-th.
fn nth(n: usize) -> usize {
    let at = n % (2 * DISTINCT - 2);
    if at < DISTINCT { at } else { 2 * DISTINCT - 2 - at }
}

/// Frames generated a second, from memory to memory, as many in flight as the engine has room for.
fn engine(rife: &Interpolator, clip: &[Frame], frames: usize) -> Result<f64> {
    let first = clip.first().context("no frames")?;
    let of = |n: usize| clip.get(nth(n)).unwrap_or(first);
    let mut session = rife.session(first.size())?;
    let mut out = rife.lock(first.clone());
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

/// Reads a pipe to its end.
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

/// Frames a second that go through a pipe while nobody does anything else.
fn pipe(frame_bytes: usize) -> Result<f64> {
    let (from, mut to) = std::io::pipe()?;
    widen(&to);
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

/// Feeds frames as Y4M has them.
fn feed(mut to: impl Write, clip: &[Frame], frames: usize) -> std::io::Result<()> {
    for n in 0..frames {
        to.write_all(b"FRAME\n")?;
        to.write_all(clip.get(nth(n)).map(Frame::as_bytes).unwrap_or_default())?;
    }
    Ok(())
}

/// Frames a second that come in at one pipe and go out twice at another, read and written by a
/// thread each.
fn pass_through(clip: &[Frame], frames: usize) -> Result<f64> {
    let bytes = clip.first().map_or(0, |frame| frame.as_bytes().len()) + b"FRAME\n".len();
    let (mut from, to) = std::io::pipe()?;
    let (out, mut sink) = std::io::pipe()?;
    widen(&to);
    widen(&sink);
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
            // The reader ends before the buffers do.
            let _ = empty.send(buffer);
        }
        drop(sink);
        Ok(())
    })?;
    Ok(frames as f64 / start.elapsed().as_secs_f64())
}

/// The job: s, and what its stages did.
fn stream(makers: &[Maker], clip: &[Frame], frames: usize) -> Result<(f64, Progress)> {
    let first = clip.first().context("no frames")?;
    let (size, format) = (first.size(), first.format());
    let raw = raw_format(size, format).context("no raw format")?;
    let rate = Rational::from(30);
    let (from, feed) = std::io::pipe()?;
    let (out, to) = std::io::pipe()?;
    widen(&feed);
    widen(&to);
    let mut timeline = Timeline::new(Rate::Factor(Rational::from(2)), rate.recip())?;
    let header = Header {
        raw,
        rate: Some(rate * 2),
        sample_aspect: None,
        colour: rife_video::default_colour(size),
        interlaced: false,
    };
    let settings = Settings {
        scenes: SceneSettings { cut: Scenes::DEFAULT_CUT, still: 0.0, at_cut: AtCut::Hold },
        size,
        input: format,
        format,
        memory: 1 << 30,
        skip: 0,
        frame_time: rate.recip(),
    };
    let progress = Progress::default();
    let seconds = std::thread::scope(|scope| -> Result<f64> {
        let fed = scope.spawn(move || self::feed(feed, clip, frames));
        let drained = scope.spawn(move || drain(out));
        let start = Instant::now();
        let from = std::io::BufReader::with_capacity(1 << 13, from);
        let mut source = PipeSource::new(from, "pipe", Wrapping::Y4m, rate);
        let mut sink = PipeSink::new(std::io::BufWriter::new(to), "pipe", Some(&header))?;
        let done = run(&mut source, &mut timeline, makers, &mut sink, &settings, &progress);
        drop(sink.finish()?);
        let seconds = start.elapsed().as_secs_f64();
        done?;
        let joined = |text: &'static str| move |_| anyhow::anyhow!(text);
        fed.join().map_err(joined("the feeder panicked"))??;
        let bytes = drained.join().map_err(joined("the drain panicked"))??;
        let expected = 2 * frames as u64 * (raw.frame_bytes() as u64 + 6);
        ensure!(bytes > expected, "{bytes} bytes came out where more than {expected} had to");
        Ok(seconds)
    })?;
    Ok((seconds, progress))
}

/// What was measured, for a terminal.
pub fn render(record: &StreamingRecord) -> String {
    let mut text = String::from("Video through pipes: Y4M in, twice as many frames out\n");
    for job in &record.jobs {
        text += &format!(
            "\n{} {} on {} at {}, {} frames of {:.2} MB in {:.1} s\n\
             generated frames a second: {:.1}\n\
             the engine from memory to memory: {:.1}; the pipe has room for: {:.1}\n\
             of the lesser of the two: {:.0} %\n\
             with both pipes busy and nothing else done: {:.1}\n\
             at work:",
            job.model,
            job.precision,
            job.device,
            job.size,
            job.frames,
            job.frame_bytes as f64 / 1e6,
            job.seconds,
            job.job_fps,
            job.engine_fps,
            job.pipe_fps,
            100.0 * job.share,
            job.pass_through_fps,
        );
        for (name, seconds) in &job.stages_s {
            text += &format!(" {name} {:.0} %", 100.0 * seconds / job.seconds);
        }
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The README shows what the program prints of the record, and nothing else.
    #[test]
    fn the_text_shows_the_record() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a text");
        let record = serde_json::from_str(&read("docs/results/video/h100.json")).expect("a record");
        let printed = render(&record);
        let (_, jobs) = printed.split_once("\n\n").expect("a heading");
        let block = format!("```text\n{jobs}```\n");
        assert!(read("README.md").contains(&block), "the README has to show\n{block}");
    }
}
