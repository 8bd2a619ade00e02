//! Validated settings: everything that is needed before measuring starts. Invalid settings are
//! rejected here, before anything runs or is written.

mod kernels;
mod peers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use jiff::Timestamp;
use rife_model::ModelVersion;
use rife_runtime::InterpolatorBuilder;

use crate::args::{Args, VideoArgs};
use crate::clip::{ClipSource, FrameSource, check_size, images, video as clip_video};
use crate::distinct::distinct;
use crate::files::{check_output, file_name};
use crate::mode::{Mode, Reference};
use crate::subject::{Config, Device, Disabled, Engine, Engines, Size, cuda_ordinal};

pub use kernels::{KernelPlan, default_kernel_runs};
pub use peers::PeersPlan;
pub(crate) use peers::peer_device;

/// Number of frames read of a quality clip: 29 of them are interpolated.
const QUALITY_FRAMES: usize = 59;
/// Measured frames of a configuration that no time budget cuts.
pub const MIN_FRAMES: usize = 3;
const MAX_BUDGET: Duration = Duration::from_secs(1_000_000_000);

/// A benchmark that can run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The options, which are valid. The other fields are derived from them.
    pub args: Args,
    /// Configurations in report order.
    pub configs: Vec<Config>,
    /// Device.
    pub device: Device,
    /// Input clips. Each configuration is measured on each.
    pub sources: Vec<ClipSource>,
    /// Speed modes, each once, in order.
    pub modes: Vec<Mode>,
    /// Clip for quality against ground truth.
    pub quality: Option<QualityClip>,
    /// How to run other implementations.
    pub peers: Option<PeersPlan>,
    /// Frames to interpolate per run and mode.
    pub frames: usize,
    /// Warm-up frames per run.
    pub warmup: usize,
    /// Time budget of a configuration over all its runs and modes.
    pub budget: Option<Duration>,
    /// Output file.
    pub output: PathBuf,
}

/// A clip whose every other frame is interpolated and compared with the original.
#[derive(Clone, Debug)]
pub struct QualityClip {
    /// Name without folder.
    pub name: String,
    /// Frame size.
    pub size: Size,
    /// Frames in order, interleaved 8-bit RGB.
    pub frames: Vec<Vec<u8>>,
}

/// Position of an interpolated frame in a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FramePosition {
    /// Index of the clip frame before it.
    pub pair: usize,
    /// Time between that frame and the next, in (0, 1).
    pub timestep: f32,
    /// Whether it is the first interpolated frame of its pair.
    pub first_of_pair: bool,
}

impl FramePosition {
    /// Position of interpolated frame `index`, with `factor` (2 or more) output frames per input
    /// frame.
    pub fn of(index: usize, factor: usize) -> Self {
        let between = factor - 1;
        Self {
            pair: index / between,
            timestep: ((index % between + 1) as f64 / factor as f64) as f32,
            first_of_pair: index.is_multiple_of(between),
        }
    }
}

/// Default number of frames, of warm-up frames, and seconds of the time budget: a device finishes in
/// a few minutes.
const fn defaults(device: Device) -> (usize, usize, u64) {
    if cuda_ordinal(device).is_some() { (500, 20, 120) } else { (10, 1, 12) }
}

const fn default_size(device: Device) -> Size {
    match cuda_ordinal(device) {
        None => Size { width: 320, height: 192 },
        Some(_) => Size { width: 1920, height: 1080 },
    }
}

impl Plan {
    /// Validates the options against the engines of this machine.
    ///
    /// # Errors
    /// The first invalid option, on one line.
    pub fn new(args: &Args, engines: &dyn Engines) -> Result<Self> {
        check_threads(args.engine.threads)?;
        let device = engines.resolve(args.engine.device)?;
        let (default_frames, default_warmup, default_budget) = defaults(device);
        let configs = configs(args, engines, device)?;

        let modes = modes(args, device, &configs)?;
        let optimized = configs.iter().any(Config::is_optimized);
        for (option, given) in
            [("--ablate", args.ablate), ("--profile", args.profile), ("--scaling", args.scaling)]
        {
            ensure!(
                optimized || !given,
                "{option} requires the optimized engine, which is not measured on {device}"
            );
        }
        if args.ablate {
            let timed = modes.iter().any(|mode| *mode != Mode::Latency);
            ensure!(timed, "--ablate requires --mode end-to-end or device");
        }
        let reference = args.reference.config(ModelVersion::V4_6);
        ensure!(
            args.reference == Reference::BaselineF32
                || engines.available(device).contains(&(reference.engine, reference.precision)),
            "--reference optimized-f32 is not available on {device}"
        );

        let (sources, gaps) = sources(args, default_size(device))?;
        sources.iter().try_for_each(|source| check_size(source.size))?;
        let quality = args.quality.as_deref().map(quality_clip).transpose()?;
        let peers = PeersPlan::new(args, device)?;

        let frames = args.frames.unwrap_or(default_frames.min(gaps));
        let warmup = args.warmup.unwrap_or(default_warmup);
        check_range("--frames", frames, 1..=1_000_000)?;
        check_range("--repeats", args.repeats, 1..=1000)?;
        check_range("--warmup", warmup, 0..=10_000)?;
        check_range("--factor", args.factor, 2..=1000)?;

        let budget = match args.budget {
            Some(seconds) => Some(
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|budget| !budget.is_zero() && *budget <= MAX_BUDGET)
                    .with_context(|| {
                        format!("invalid --budget {seconds:?}: expected 1e-9 to 1e9 seconds")
                    })?,
            ),
            None => args.frames.is_none().then_some(Duration::from_secs(default_budget)),
        };

        let output = args.output.clone().unwrap_or_else(default_output);
        check_output("--output", &output, args.overwrite)?;

        Ok(Self {
            args: args.clone(),
            configs,
            device,
            sources,
            modes,
            quality,
            peers,
            frames,
            warmup,
            budget,
            output,
        })
    }

    /// The models of the plan, each once, in order.
    pub fn models(&self) -> Vec<ModelVersion> {
        distinct(self.configs.iter().map(|config| config.model))
    }

    /// The configurations of the optimized engine.
    pub fn optimized(&self) -> impl Iterator<Item = Config> {
        self.configs.iter().copied().filter(Config::is_optimized)
    }

    /// Position of interpolated frame `index` in the clip.
    pub fn position(&self, index: usize) -> FramePosition {
        FramePosition::of(index, self.args.factor)
    }

    /// Number of pairs of clip frames needed for `frames` interpolated frames.
    pub const fn pairs(&self, frames: usize) -> usize {
        frames.div_ceil(self.args.factor - 1)
    }

    /// Time budget of one run in one mode.
    pub fn run_budget(&self) -> Option<Duration> {
        self.budget.map(|budget| budget.div_f64((self.args.repeats * self.modes.len()) as f64))
    }

    /// Modes in which optimizations are measured.
    pub fn ablation_modes(&self) -> Vec<Mode> {
        self.modes.iter().copied().filter(|mode| *mode != Mode::Latency).collect()
    }

    /// Frames that a run measures regardless of the time budget.
    pub fn min_run_frames(&self) -> usize {
        MIN_FRAMES.div_ceil(self.args.repeats).min(self.frames)
    }
}

/// Validates the options of `rife-bench video`.
///
/// # Errors
/// The first invalid option, on one line.
pub fn check_video(args: &VideoArgs) -> Result<()> {
    check_threads(args.engine.threads)?;
    if let Some(json) = &args.output.json {
        check_output("--json", json, args.output.overwrite)?;
    }
    args.frames.map_or(Ok(()), |frames| check_range("--frames", frames, 3..=1_000_000))?;
    args.size.map_or(Ok(()), check_size)
}

/// Logical cores that the process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The given models, sorted; by default the two architectures.
fn models(given: &[ModelVersion]) -> Vec<ModelVersion> {
    let mut models = given.to_vec();
    if models.is_empty() {
        models = vec![ModelVersion::V4_6, ModelVersion::V4_25];
    }
    models.sort();
    models.dedup();
    models
}

/// The given sizes without duplicates, in the given order.
fn sizes(given: &[Size], default: Size) -> Vec<Size> {
    if given.is_empty() { vec![default] } else { distinct(given.iter().copied()) }
}

fn modes(args: &Args, device: Device, configs: &[Config]) -> Result<Vec<Mode>> {
    if args.modes.is_empty() {
        let all = || Mode::value_variants().to_vec();
        return Ok(if args.ablate { all() } else { Mode::default_for(device) });
    }
    let timed = device != Device::Cpu || configs.iter().any(Config::is_optimized);
    ensure!(
        timed || !args.modes.contains(&Mode::Device),
        "--mode device requires the optimized engine, which is not measured on {device}"
    );
    let mut modes = args.modes.clone();
    modes.sort();
    modes.dedup();
    Ok(modes)
}

fn configs(args: &Args, engines: &dyn Engines, device: Device) -> Result<Vec<Config>> {
    let models = models(&args.selection.models);
    let precisions = &args.selection.precisions;
    let available = engines.available(device);
    let selected: Vec<_> = available
        .iter()
        .filter(|(engine, _)| args.engines.is_empty() || args.engines.contains(engine))
        .filter(|(_, precision)| precisions.is_empty() || precisions.contains(precision))
        .collect();
    ensure!(!selected.is_empty(), "no such configuration on {device}: available are {}", {
        let names: Vec<_> = available.iter().map(|(e, p)| format!("{e} {p}")).collect();
        names.join(", ")
    });
    let without: Disabled = args.selection.without.iter().copied().collect();
    ensure!(
        without.is_none() || selected.iter().any(|(engine, _)| *engine == Engine::Optimized),
        "--without requires the optimized engine, which is not measured on {device}"
    );
    let of_model = |&model: &ModelVersion| {
        selected.iter().map(move |&&(engine, precision)| {
            let without = if engine == Engine::Optimized { without } else { Disabled::NONE };
            Config { model, engine, precision, without }
        })
    };
    Ok(models.iter().flat_map(of_model).collect())
}

/// The input clips, and the number of interpolated frames that they have room for.
fn sources(args: &Args, default_size: Size) -> Result<(Vec<ClipSource>, usize)> {
    match &args.input[..] {
        [] => {
            let sizes = sizes(&args.sizes, default_size).into_iter();
            let scene = |size| ClipSource::scene(size, args.seed);
            Ok((sizes.map(scene).collect(), usize::MAX))
        }
        [path] if path.is_file() && !images::is_image(path) => {
            let (size, _) = clip_video::read(path, 1)?;
            let frames = FrameSource::Video(path.clone());
            Ok((vec![ClipSource { size, frames }], usize::MAX))
        }
        inputs => {
            let (size, paths) = images::find(inputs)?;
            let gaps = (paths.len() - 1).saturating_mul(args.factor.saturating_sub(1));
            let frames = FrameSource::Images(paths);
            Ok((vec![ClipSource { size, frames }], gaps.max(1)))
        }
    }
}

/// Reads the clip of `--quality`.
fn quality_clip(path: &Path) -> Result<QualityClip> {
    let name = path.display();
    let (size, frames) = if path.is_dir() {
        let (size, mut paths) = images::find(&[path.to_owned()])?;
        paths.truncate(QUALITY_FRAMES);
        (size, images::read_all(&paths, size)?)
    } else {
        ensure!(path.is_file(), "--quality: {name} does not exist");
        clip_video::read(path, QUALITY_FRAMES)?
    };
    check_size(size)?;
    let count = frames.len();
    ensure!(count >= 3, "--quality: {name} is too short (expected 3 frames or more, got {count})");
    Ok(QualityClip { name: file_name(path), size, frames })
}

fn check_threads(threads: Option<usize>) -> Result<()> {
    let max = InterpolatorBuilder::MAX_THREADS;
    threads.map_or(Ok(()), |threads| check_range("--threads", threads, 1..=max))
}

fn check_range(option: &str, value: usize, range: std::ops::RangeInclusive<usize>) -> Result<()> {
    let (min, max) = (range.start(), range.end());
    ensure!(range.contains(&value), "invalid {option} {value}: expected {min} to {max}");
    Ok(())
}

fn default_output() -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("rife-bench-{now}.json").into()
}
