//! Measures `--dedup` on clips whose true motion is known, and on a real clip: PSNR against the true
//! motion, and judder, the variance of displacement between output frames.
//!
//! ```text
//! cargo run --release -p rife-video --example dedup -- [IMAGE.svg]
//! ```
//!
//! Prints a table in Markdown, and draws the displacement of each output frame of one clip. It needs
//! the weights of 4.6 (`RIFE_WEIGHTS`, default: `weights`). Clips that need ffmpeg, or
//! `carphone_pristine.mp4` in the folder `RIFE_CLIPS`, are skipped without them, and named.

mod chart;
mod clips;
mod coded;
mod measure;
mod pictures;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rife_runtime::{Device, Frame, FrameSize, Interpolator, ModelVersion, PixelFormat};
use rife_video::{
    CutMode, DeviceWorker, Pool, Progress, Rate, Rational, SceneDetector, SceneSettings, Settings,
    Sink, Source, SourceFrame, Timeline,
};

use clips::Clip;
use measure::Measured;
use pictures::Luma;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The clip of the chart.
const DRAWN: &str = "pan, on threes";

/// Output frames in the chart.
const DRAWN_FRAMES: usize = 49;

fn main() -> ExitCode {
    match evaluate(std::env::args_os().nth(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(image: Option<std::ffi::OsString>) -> Result<()> {
    let weights = std::env::var_os("RIFE_WEIGHTS").unwrap_or_else(|| "weights".into());
    let interpolator =
        Interpolator::builder(ModelVersion::V4_6).device(Device::Cpu).load(weights)?;
    let worker = [DeviceWorker { interpolator, smaller: Box::new(|_| None) }];
    println!(
        "| clip | frames replaced | PSNR, dB: without | with | judder, px²: without | with | truth |"
    );
    println!("|---|---|---|---|---|---|---|");
    for clip in clips::all() {
        let clip = match clip {
            Ok(clip) => clip,
            Err(missing) => {
                println!("| {missing} |");
                continue;
            }
        };
        let (plain, _) = interpolate(&clip, &worker, 1)?;
        let (smooth, replaced) = interpolate(&clip, &worker, SceneSettings::DEFAULT_LONGEST_HOLD)?;
        let [without, with] = [&plain, &smooth].map(|frames| measure::against_truth(&clip, frames));
        let truth = clip.truth.first().and_then(|first| first.as_ref()).is_some();
        let truth = truth.then(|| {
            let frames: Vec<Luma> = clip.truth.iter().flatten().cloned().collect();
            (frames.len() == clip.truth.len()).then(|| measure::against_truth(&clip, &frames))
        });
        let judder_of_truth = match truth.flatten() {
            Some(Measured { judder, .. }) => format!("{judder:.2}"),
            None => "-".into(),
        };
        println!(
            "| {} | {replaced} of {} | {:.2} | {:.2} | {:.2} | {:.2} | {judder_of_truth} |",
            clip.name, clip.held, without.psnr, with.psnr, without.judder, with.judder,
        );
        if let Some(image) = image.as_ref().filter(|_| clip.name == DRAWN) {
            let shown =
                |of: &Measured| of.displacements.iter().take(DRAWN_FRAMES).copied().collect();
            let lines = [("without --dedup", shown(&without)), ("with --dedup", shown(&with))];
            std::fs::write(image, chart::svg(&lines)?)?;
        }
    }
    Ok(())
}

/// The luma of the output frames at twice the frame rate, and the number of frames replaced.
fn interpolate(
    clip: &Clip,
    workers: &[DeviceWorker],
    longest_hold: usize,
) -> Result<(Vec<Luma>, u64)> {
    let size = clip.frames.first().map_or(FrameSize::new(1, 1), |frame| frame.size());
    let dedup = longest_hold > 1;
    let settings = Settings {
        scenes: SceneSettings {
            cut_threshold: SceneDetector::DEFAULT_CUT,
            still_threshold: if dedup { SceneDetector::DEFAULT_HELD } else { 0.0 },
            cut_mode: CutMode::Hold,
            longest_hold,
        },
        size,
        input: PixelFormat::Rgb8,
        format: PixelFormat::Rgb8,
        memory: 1 << 28,
        skip: 0,
        until: None,
        frame_time: Rational::new(1, 24),
    };
    let mut timeline = Timeline::new(Rate::Factor(Rational::from(2)), Rational::new(1, 24))?;
    let mut source = Frames { frames: clip.frames.iter().cloned().collect(), number: 0 };
    let mut sink = Collected::default();
    let progress = Progress::default();
    rife_video::run(&mut source, &mut timeline, workers, &mut sink, &settings, &progress)?;
    Ok((sink.0, progress.held.load(Ordering::Relaxed)))
}

/// Frames in memory, at 24 per second.
struct Frames {
    frames: VecDeque<Arc<Frame>>,
    number: i64,
}

impl Source for Frames {
    fn next(&mut self, _: &Pool<'_>) -> rife_video::Result<Option<SourceFrame>> {
        let time = Rational::new(self.number, 24);
        self.number += 1;
        Ok(self.frames.pop_front().map(|frame| SourceFrame { frame, time, duration: None }))
    }
}

#[derive(Default)]
struct Collected(Vec<Luma>);

impl Sink for Collected {
    fn put(&mut self, _: i64, _: i64, frame: &Frame, _: &Frame) -> rife_video::Result<()> {
        self.0.push(Luma::of(frame));
        Ok(())
    }
}
