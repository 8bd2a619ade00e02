//! What was typed, made whole and valid: everything that a benchmark needs to know before it
//! starts. A plan can be carried out; whatever cannot be is refused here, before anything ran or
//! was written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use jiff::Timestamp;
use rife_model::ModelVersion;
use rife_model::weights::Store;
use rife_runtime::InterpolatorBuilder;

use crate::args::Args;
use crate::child;
use crate::clip::{Source, file_name};
use crate::measure::quality::{self, TruthClip};
use crate::measure::{host, peers};
use crate::metrics::SSIM_WINDOW;
use crate::mode::{Mode, Reference};
use crate::pictures;
use crate::subject::{Case, Device, Engine, Engines, Size, Without};
use crate::video;

/// Sides of a frame, in px: SSIM needs its window, and the padding of the networks has its say.
const SIDE_PX: std::ops::RangeInclusive<usize> = 16..=16_384;
const _: () = assert!(*SIDE_PX.start() >= SSIM_WINDOW);
/// Pixels of a frame: two of them and the comparison's floats must fit any machine.
const MAX_PIXELS: usize = 1 << 26;

/// A benchmark that can run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The configurations, in the order in which they are reported.
    pub cases: Vec<Case>,
    /// Where they run.
    pub device: Device,
    /// What they are fed: each configuration is measured on each.
    pub sources: Vec<Source>,
    /// How speed is measured, each once, in order.
    pub modes: Vec<Mode>,
    /// Whether each optimized configuration also runs without each of its optimizations.
    pub ablate: bool,
    /// Whether a frame's time is taken apart.
    pub profile: bool,
    /// The clip whose frames are made again.
    pub quality: Option<TruthClip>,
    /// Whether to measure how cost grows.
    pub scaling: bool,
    /// How the peers are run, where they are.
    pub peers: Option<PeersPlan>,
    /// Frames of the output for each one of the input.
    pub factor: usize,
    /// Whether pictures of the worst frames are kept.
    pub pictures: bool,
    /// What frames are compared with.
    pub reference: Reference,
    /// Frames to generate in each run by each mode.
    pub frames: usize,
    /// Runs of each configuration.
    pub repeats: usize,
    /// Frames to generate before the measured ones of each run.
    pub warmup: usize,
    /// Time after which a configuration, all its runs and modes together, measures no further
    /// frames.
    pub budget: Option<Duration>,
    /// Where the record goes.
    pub output: PathBuf,
    /// Whether it may replace one.
    pub overwrite: bool,
    /// Whether progress is hidden.
    pub quiet: bool,
}

/// Where a generated frame lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The frame of the clip before it.
    pub pair: usize,
    /// When between that and the next, above 0 and below 1.
    pub timestep: f32,
    /// Whether it is the first between these two.
    pub opens_a_pair: bool,
}

impl Place {
    /// Of generated frame `index`, where there are `factor` frames of the output for each one of
    /// the input, 2 or more.
    pub fn of(index: usize, factor: usize) -> Self {
        let between = factor - 1;
        Self {
            pair: index / between,
            timestep: ((index % between + 1) as f64 / factor as f64) as f32,
            opens_a_pair: index.is_multiple_of(between),
        }
    }
}

/// How the peers are run.
#[derive(Clone, Debug)]
pub struct PeersPlan {
    /// The interpreter.
    pub python: PathBuf,
    /// What it runs.
    pub script: PathBuf,
    /// The peers of the device.
    pub names: Vec<String>,
    /// Folder with the weights of every model, converted.
    pub weights: PathBuf,
    /// Threads on a CPU.
    pub threads: usize,
}

/// What a device finishes in a few minutes.
struct Defaults {
    size: Size,
    frames: usize,
    warmup: usize,
    budget: Duration,
}

impl Defaults {
    const fn of(device: Device) -> Self {
        match device {
            Device::Cpu => Self {
                size: Size { width: 320, height: 192 },
                frames: 10,
                warmup: 1,
                budget: Duration::from_secs(12),
            },
            Device::Cuda(_) => Self {
                size: Size { width: 1920, height: 1080 },
                frames: 500,
                warmup: 20,
                budget: Duration::from_secs(120),
            },
        }
    }
}

/// Measured frames below which no budget cuts a configuration.
pub const MIN_FRAMES: usize = 3;

impl Plan {
    /// Validates what was typed against what `engines` can do on this machine.
    ///
    /// # Errors
    /// What is impossible about it, as one line.
    pub fn new(args: &Args, engines: &dyn Engines) -> Result<Self> {
        check_threads(args.threads)?;
        let device = engines.resolve(args.device)?;
        let defaults = Defaults::of(device);
        let cases = cases(args, engines, device)?;

        let modes = modes(args, device, &cases)?;
        let optimized = cases.iter().any(|case| case.engine == Engine::Optimized);
        let about_it =
            [("--ablate", args.ablate), ("--profile", args.profile), ("--scaling", args.scaling)];
        for (option, _) in about_it.into_iter().filter(|(_, asked)| *asked) {
            ensure!(
                optimized,
                "{option}: it is about the optimized engine, which is not measured on {device}"
            );
        }
        if args.ablate {
            let timed = modes.iter().any(|mode| *mode != Mode::Latency);
            ensure!(timed, "--ablate: add --mode end-to-end or device, by which it measures");
        }
        let reference = args.reference.case(ModelVersion::V4_6);
        ensure!(
            args.reference == Reference::BaselineF32
                || engines.offered(device).contains(&(reference.engine, reference.precision)),
            "--reference optimized-f32: {device} has no optimized engine in f32"
        );

        let (sources, gaps) = if args.input.is_empty() {
            let scene = |size| Source::Scene { size, seed: args.seed };
            let sizes = distinct(&args.sizes, defaults.size);
            (sizes.into_iter().map(scene).collect(), usize::MAX)
        } else {
            match &args.input[..] {
                [path] if path.is_file() && !pictures::is_picture(path) => {
                    let (size, _) = video::read(path, 1)?;
                    (vec![Source::Video { size, path: path.clone() }], usize::MAX)
                }
                inputs => {
                    let (size, paths) = pictures::find(inputs)?;
                    let gaps = (paths.len() - 1).saturating_mul(args.factor.saturating_sub(1));
                    (vec![Source::Pictures { size, paths }], gaps.max(1))
                }
            }
        };
        let quality = args.quality.as_deref().map(truth_clip).transpose()?;
        sources.iter().try_for_each(|source: &Source| check_size(source.size()))?;

        let python = args.python.clone().unwrap_or_else(|| "python3".into());
        let peers = if let Some(words) = &args.peers {
            let script = child::peers_script(args.peers_script.as_deref())?;
            Some(PeersPlan {
                names: peers::names(&python, &script, device, words)?,
                script,
                python,
                weights: Store::locate(args.weights.as_deref())?.dir().to_owned(),
                threads: args.threads.unwrap_or_else(host::cores),
            })
        } else {
            ensure!(args.python.is_none(), "--python: add --peers, which it is for");
            ensure!(args.peers_script.is_none(), "--peers-script: add --peers");
            None
        };
        let frames = args.frames.unwrap_or(defaults.frames.min(gaps));
        let warmup = args.warmup.unwrap_or(defaults.warmup);
        let check = |what: &str, value: usize, range: std::ops::RangeInclusive<usize>| {
            let (min, max) = (range.start(), range.end());
            ensure!(range.contains(&value), "{what} {value}: expected {min} to {max}");
            Ok(())
        };
        check("--frames", frames, 1..=1_000_000)?;
        check("--repeats", args.repeats, 1..=1000)?;
        check("--warmup", warmup, 0..=10_000)?;
        check("--factor", args.factor, 2..=1000)?;

        let budget = match args.budget {
            Some(seconds) => Some(
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|budget| !budget.is_zero() && *budget <= MOST_BUDGET)
                    .with_context(|| {
                        format!("--budget {seconds:?}: expected 1e-9 to 1e9 seconds")
                    })?,
            ),
            None => args.frames.is_none().then_some(defaults.budget),
        };

        let output = args.output.clone().unwrap_or_else(default_output);
        check_output("--output", &output, args.overwrite)?;

        Ok(Self {
            cases,
            device,
            sources,
            modes,
            ablate: args.ablate,
            profile: args.profile,
            quality,
            scaling: args.scaling,
            peers,
            factor: args.factor,
            pictures: args.pictures,
            reference: args.reference,
            frames,
            repeats: args.repeats,
            warmup,
            budget,
            output,
            overwrite: args.overwrite,
            quiet: args.quiet,
        })
    }

    /// The models of the plan, each once, in order.
    pub fn models(&self) -> Vec<ModelVersion> {
        let mut models: Vec<_> = self.cases.iter().map(|case| case.model).collect();
        models.dedup();
        models
    }

    /// Where generated frame `index` lies in the clip.
    pub fn place(&self, index: usize) -> Place {
        Place::of(index, self.factor)
    }

    /// Pairs of neighbours of the clip between which so many frames lie.
    pub const fn pairs(&self, frames: usize) -> usize {
        frames.div_ceil(self.factor - 1)
    }

    /// Time that one run may measure for by one mode.
    pub fn run_budget(&self) -> Option<Duration> {
        self.budget.map(|budget| budget.div_f64((self.repeats * self.modes.len()) as f64))
    }

    /// The modes that optimizations are measured by.
    pub fn ablation_modes(&self) -> Vec<Mode> {
        self.modes.iter().copied().filter(|mode| *mode != Mode::Latency).collect()
    }

    /// Frames that one run measures however long they take.
    pub fn min_run_frames(&self) -> usize {
        MIN_FRAMES.div_ceil(self.repeats).min(self.frames)
    }
}

/// Those that were named, else both that differ in structure.
pub(crate) fn models(named: &[ModelVersion]) -> Vec<ModelVersion> {
    let mut models = named.to_vec();
    if models.is_empty() {
        models = vec![ModelVersion::V4_6, ModelVersion::V4_25];
    }
    models.sort();
    models.dedup();
    models
}

/// Each of the sizes once, in the order in which they were named.
pub(crate) fn distinct(named: &[Size], default: Size) -> Vec<Size> {
    let mut sizes: Vec<Size> = Vec::new();
    for size in named {
        if !sizes.contains(size) {
            sizes.push(*size);
        }
    }
    if sizes.is_empty() { vec![default] } else { sizes }
}

fn modes(args: &Args, device: Device, cases: &[Case]) -> Result<Vec<Mode>> {
    if args.modes.is_empty() {
        let all = || Mode::value_variants().to_vec();
        return Ok(if args.ablate { all() } else { Mode::of(device) });
    }
    let timed = device != Device::Cpu || cases.iter().any(|case| case.engine == Engine::Optimized);
    ensure!(
        timed || !args.modes.contains(&Mode::Device),
        "--mode device: no engine measured on {device} tells its own time; the optimized one does"
    );
    let mut modes = args.modes.clone();
    modes.sort();
    modes.dedup();
    Ok(modes)
}

fn cases(args: &Args, engines: &dyn Engines, device: Device) -> Result<Vec<Case>> {
    let models = models(&args.models);
    let offered = engines.offered(device);
    let wanted: Vec<_> = offered
        .iter()
        .filter(|(engine, _)| args.engines.is_empty() || args.engines.contains(engine))
        .filter(|(_, precision)| args.precisions.is_empty() || args.precisions.contains(precision))
        .collect();
    ensure!(!wanted.is_empty(), "no such configuration on {device}: there is {}", {
        let names: Vec<_> = offered.iter().map(|(e, p)| format!("{e} {p}")).collect();
        names.join(", ")
    });
    let without: Without = args.without.iter().copied().collect();
    ensure!(
        without.is_nothing() || wanted.iter().any(|(engine, _)| *engine == Engine::Optimized),
        "--without {without}: it is about the optimized engine, which is not measured on {device}"
    );
    let of_model = |&model: &ModelVersion| {
        wanted.iter().map(move |&&(engine, precision)| {
            let optimized = engine == Engine::Optimized;
            let without = if optimized { without } else { Without::NOTHING };
            Case { model, engine, precision, without }
        })
    };
    Ok(models.iter().flat_map(of_model).collect())
}

/// The clip of `--quality`, which is short.
fn truth_clip(path: &Path) -> Result<TruthClip> {
    let name = file_name(path);
    let (size, frames) = if path.is_dir() {
        let (size, mut paths) = pictures::find(&[path.to_owned()])?;
        paths.truncate(quality::FRAMES);
        (size, pictures::read_all(&paths, size)?)
    } else {
        ensure!(path.is_file(), "--quality {}: there is no such clip", path.display());
        video::read(path, quality::FRAMES)?
    };
    check_size(size)?;
    ensure!(frames.len() >= 3, "--quality {}: at least 3 frames are needed", path.display());
    Ok(TruthClip { name, size, frames })
}

pub(crate) fn check_threads(threads: Option<usize>) -> Result<()> {
    let most = InterpolatorBuilder::MAX_THREADS;
    threads.map_or(Ok(()), |threads| {
        ensure!((1..=most).contains(&threads), "--threads {threads}: expected 1 to {most}");
        Ok(())
    })
}

pub(crate) fn check_size(size: Size) -> Result<()> {
    let (min, max) = (SIDE_PX.start(), SIDE_PX.end());
    for side in [size.width, size.height] {
        ensure!(SIDE_PX.contains(&side), "size {size}: sides must be {min} to {max} px");
    }
    ensure!(size.pixels() <= MAX_PIXELS, "size {size}: at most {MAX_PIXELS} px a frame");
    Ok(())
}

/// Longer than anybody waits.
const MOST_BUDGET: Duration = Duration::from_secs(1_000_000_000);

fn default_output() -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("rife-bench-{now}.json").into()
}

/// Minutes of measuring must not end at a file that cannot be written.
pub(crate) fn check_output(flag: &str, output: &Path, overwrite: bool) -> Result<()> {
    ensure!(!output.is_dir(), "{flag} {} is a folder", output.display());
    if output.symlink_metadata().is_ok() {
        // What a link leads to is what would be written: a pipe is not, though a link to one is there.
        let replaceable = output.metadata().is_ok_and(|found| found.is_file());
        ensure!(replaceable, "{flag} {} is not a file that could be replaced", output.display());
        ensure!(overwrite, "{} exists: add --overwrite to replace it", output.display());
    }
    ensure!(output.file_name().is_some(), "{flag} {} names no file", output.display());
    behind_links(output)
        .and_then(|file| tempfile::tempfile_in(folder_of(&file)))
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(())
}

/// The file itself, where its name is a link's.
pub(crate) fn behind_links(file: &Path) -> std::io::Result<PathBuf> {
    let is_link = file.symlink_metadata().is_ok_and(|found| found.is_symlink());
    if is_link { file.canonicalize() } else { Ok(file.to_owned()) }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::subject::blend::{BlendEngines, BlendOnGpu};
    use crate::subject::{DeviceChoice, Precision, Subject};

    fn plan(line: &str) -> Result<Plan> {
        let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
        Plan::new(&Args::try_parse_from(args)?, &BlendEngines)
    }

    /// What `/dev/stdout` is: a link to what is no file. It was replaced by one once.
    #[cfg(unix)]
    #[test]
    fn a_link_to_a_pipe_or_to_nothing_is_no_output() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = |to: &str| {
            let link = folder.path().join(to.replace('/', "-"));
            std::os::unix::fs::symlink(to, &link).expect("a link");
            check_output("--output", &link, true).map_err(|error| error.to_string())
        };
        for to in ["/dev/null", "nowhere"] {
            assert!(link(to).expect_err(to).contains("not a file that could be replaced"), "{to}");
        }
        std::fs::write(folder.path().join("it.json"), "{}").expect("written");
        assert_eq!(link("./it.json"), Ok(()));
    }

    #[test]
    fn without_flags_everything_is_measured_within_a_budget() {
        let plan = plan("").expect("a plan");
        assert_eq!(plan.models(), [ModelVersion::V4_6, ModelVersion::V4_25]);
        assert_eq!(plan.cases.len(), 4);
        assert!(plan.cases[0].is_reference() && !plan.cases[1].is_reference());
        assert_eq!(plan.device, Device::Cpu);
        assert!(plan.budget.is_some() && plan.run_budget() < plan.budget);
        assert_eq!(plan.min_run_frames() * plan.repeats, 4);
        assert!(plan.output.extension().is_some_and(|e| e == "json"));
    }

    #[test]
    fn flags_narrow_and_sizes_are_taken_as_they_are() {
        let plan = plan("--all --model 4.26,4.6,4.6 --precision f16 --size 1921x17 --frames 500")
            .expect("a plan");
        let case = |model| Case { precision: Precision::F16, ..Case::reference(model) };
        assert_eq!(plan.cases, [case(ModelVersion::V4_6), case(ModelVersion::V4_26)]);
        assert_eq!(plan.sources[0].size(), Size { width: 1921, height: 17 });
        assert_eq!((plan.frames, plan.budget), (500, None));
    }

    #[test]
    fn the_impossible_is_refused() {
        for line in [
            "--frames 0",
            "--repeats 0",
            "--threads 0",
            "--threads 1025",
            "--threads many",
            "--size 1x1",
            "--size 15x640",
            "--size 1000000000x1000000000",
            "--size 16384x16384",
            "--size 640",
            "--budget 0",
            "--budget -1",
            "--budget nan",
            "--engine optimized",
            "--without autotune",
            "--without haste",
            "--device cuda",
            "--mode device",
            "--mode swiftly",
            "--ablate",
            "--ablate --mode end-to-end",
            "--reference optimized-f32",
            "--reference nothing",
            "--size 64x64,1x1",
            "--input does-not-exist.png neither.png",
            "--output does/not/exist.json",
            "--output .",
        ] {
            let error = plan(line).expect_err(line);
            assert!(!format!("{error:#}").is_empty());
        }
    }

    #[test]
    fn a_gpu_is_measured_in_every_way_and_precision() {
        let plan = |line: &str| {
            let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
            Plan::new(&Args::try_parse_from(args)?, &BlendOnGpu::default())
        };
        let whole = plan("--all --ablate").expect("a plan");
        assert_eq!(whole.modes, [Mode::Latency, Mode::EndToEnd, Mode::Device]);
        assert_eq!(whole.ablation_modes(), [Mode::EndToEnd, Mode::Device]);
        let precisions: Vec<_> = whole.cases.iter().take(3).map(|c| c.precision).collect();
        assert_eq!(precisions, [Precision::F32, Precision::Tf32, Precision::F16]);
        assert_eq!(whole.run_budget(), whole.budget.map(|budget| budget / 6));

        let line = "--mode device,latency,device --precision tf32,f16 --size 64x32,32x32,64x32";
        let some = plan(&format!("{line} --reference optimized-f32")).expect("a plan");
        assert_eq!(some.modes, [Mode::Latency, Mode::Device]);
        let sizes: Vec<_> = some.sources.iter().map(|s| s.size().to_string()).collect();
        assert_eq!(sizes, ["64x32", "32x32"]);
        assert_eq!(some.cases.len(), 4);
        assert!(plan("--ablate --mode latency").is_err());
    }

    /// A CPU with both engines.
    struct CpuWithBoth;

    impl Engines for CpuWithBoth {
        fn resolve(&self, _choice: DeviceChoice) -> Result<Device> {
            Ok(Device::Cpu)
        }

        fn offered(&self, _device: Device) -> Vec<(Engine, Precision)> {
            [Engine::Baseline, Engine::Optimized].map(|engine| (engine, Precision::F32)).into()
        }

        fn load(&self, _case: Case, _device: Device) -> Result<Box<dyn Subject>> {
            anyhow::bail!("there is nothing to load")
        }
    }

    #[test]
    fn a_cpu_is_measured_by_latency_unless_more_is_asked_for() {
        let plan = |line: &str| {
            let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
            Plan::new(&Args::try_parse_from(args)?, &CpuWithBoth)
        };
        assert_eq!(plan("").expect("a plan").modes, [Mode::Latency]);
        let ablating = plan("--ablate").expect("a plan");
        assert_eq!(ablating.ablation_modes(), [Mode::EndToEnd, Mode::Device]);
        let plain = plan("--ablate --mode device --reference optimized-f32").expect("a plan");
        assert_eq!((plain.modes, plain.reference), (vec![Mode::Device], Reference::OptimizedF32));
        for line in [
            "--mode device --engine baseline",
            "--ablate --engine baseline",
            "--profile --engine baseline",
            "--scaling --engine baseline",
            "--ablate --mode latency",
            "--without winograd --engine baseline",
        ] {
            assert!(plan(line).is_err(), "{line}");
        }
    }

    #[test]
    fn pictures_set_size_and_frames() {
        let folder = tempfile::tempdir().expect("a folder");
        for i in 0..4 {
            image::RgbImage::new(40, 24).save(folder.path().join(format!("{i}.png"))).expect("PNG");
        }
        let plan = plan(&format!("--input {}", folder.path().display())).expect("a plan");
        assert_eq!(plan.sources[0].size(), Size { width: 40, height: 24 });
        assert_eq!(plan.frames, 3);
    }
}
