//! The launches of a frame: what was typed becomes a plan, the plan a record of each launch's
//! time, and that what [`crate::report::kernels`] shows.

pub mod rows;
pub mod stages;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use rife_model::ModelVersion;
use serde::{Deserialize, Serialize};

use crate::args::KernelArgs;
use crate::clip::{Clip, Source};
use crate::measure::TIMESTEP;
use crate::plan::{check_output, check_size, check_threads, distinct, models};
use crate::record::{Build, Git, Machine, command_line, now_utc, write_json};
use crate::stats::Spread;
use crate::subject::{
    Case, Ceilings, Device, Engine, Engines, KernelTime, Size, SubjectInfo, Without,
};

/// The schema of the record of launches that this program writes.
pub const SCHEMA: u32 = 1;

/// What a device finishes in seconds.
pub(crate) struct Defaults {
    size: Size,
    /// Runs of each launch.
    pub(crate) runs: usize,
}

impl Defaults {
    pub(crate) const fn of(device: Device) -> Self {
        match device {
            Device::Cpu => Self { size: Size { width: 320, height: 192 }, runs: 10 },
            Device::Cuda(_) => Self { size: Size { width: 1920, height: 1080 }, runs: 100 },
        }
    }
}

/// What is to be timed, valid.
#[derive(Clone, Debug)]
pub struct KernelPlan {
    /// The configurations.
    pub cases: Vec<Case>,
    /// Where they run.
    pub device: Device,
    /// The sizes of frame at which they run.
    pub sizes: Vec<Size>,
    /// Runs of each launch.
    pub runs: usize,
    /// Where the record goes, if anywhere.
    pub json: Option<PathBuf>,
    /// Whether it may replace one.
    pub overwrite: bool,
}

impl KernelPlan {
    /// Validates what was typed against what `engines` can do on this machine.
    ///
    /// # Errors
    /// What is impossible about it, as one line.
    pub fn new(args: &KernelArgs, engines: &dyn Engines) -> Result<Self> {
        check_threads(args.threads)?;
        let device = engines.resolve(args.device)?;
        let offered = engines.offered(device);
        let optimized = offered.iter().filter(|(engine, _)| *engine == Engine::Optimized);
        let there: Vec<_> = optimized.map(|(_, precision)| *precision).collect();
        ensure!(
            !there.is_empty(),
            "kernels: no engine on {device} tells how long its launches take; the optimized one does"
        );
        let wanted = |p: &_| args.precisions.is_empty() || args.precisions.contains(p);
        let precisions: Vec<_> = there.iter().copied().filter(wanted).collect();
        ensure!(!precisions.is_empty(), "the optimized engine on {device} computes in {}", {
            let names: Vec<_> = there.iter().map(ToString::to_string).collect();
            names.join(", ")
        });
        let defaults = Defaults::of(device);
        let runs = args.runs.unwrap_or(defaults.runs);
        ensure!((1..=10_000).contains(&runs), "--runs {runs}: expected 1 to 10000");
        let sizes = distinct(&args.sizes, defaults.size);
        sizes.iter().try_for_each(|size| check_size(*size))?;
        if let Some(json) = &args.json {
            check_output("--json", json, args.overwrite)?;
        }
        let without: Without = args.without.iter().copied().collect();
        let case = |model, precision| Case { model, engine: Engine::Optimized, precision, without };
        let of_model = |model| precisions.iter().map(move |p| case(model, *p));
        let cases = models(&args.models).into_iter().flat_map(of_model).collect();
        Ok(Self { cases, device, sizes, runs, json: args.json.clone(), overwrite: args.overwrite })
    }

    /// The models of the plan, each once, in order.
    pub fn models(&self) -> Vec<ModelVersion> {
        let mut models: Vec<_> = self.cases.iter().map(|case| case.model).collect();
        models.dedup();
        models
    }
}

/// The launches of every configuration, as a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelRecord {
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
    /// Where it ran.
    pub device: Device,
    /// Runs of each launch, and of the whole frame.
    pub runs: usize,
    /// Each configuration, size by size.
    pub frames: Vec<FrameTimes>,
}

/// The launches of a frame of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameTimes {
    /// What was measured.
    pub case: Case,
    /// Size of the frame.
    pub size: Size,
    /// What the engine says of itself.
    pub subject: SubjectInfo,
    /// What the device gives at most; `null` where that is not known.
    pub ceilings: Option<Ceilings>,
    /// Every launch, in order.
    pub launches: Vec<KernelTime>,
    /// The whole frame by the device's own clock, in ms; `null` where it has none.
    pub whole_ms: Option<Spread>,
}

impl KernelRecord {
    /// Carries out a plan.
    ///
    /// # Errors
    /// The first configuration that cannot be timed, and why.
    pub fn measure(plan: &KernelPlan, engines: &dyn Engines) -> Result<Self> {
        let mut frames = Vec::new();
        for size in &plan.sizes {
            for case in &plan.cases {
                let clip = Source::Scene { size: *size, seed: 1 }.load(1)?;
                let times = frame_times(engines, *case, plan.device, &clip, plan.runs);
                frames.push(times.with_context(|| format!("{case} at {size}"))?);
            }
        }
        Ok(Self {
            schema: SCHEMA,
            time_utc: now_utc(),
            command: command_line(),
            machine: Machine::this(),
            build: Build::this(),
            git: Git::of_project(),
            device: plan.device,
            runs: plan.runs,
            frames,
        })
    }

    /// Writes the record. Under its name there is never a part of one.
    ///
    /// # Errors
    /// Where the file cannot be written, or is there and not to be replaced.
    pub fn write(&self, path: &std::path::Path, overwrite: bool) -> Result<()> {
        write_json(self, path, overwrite)
    }
}

/// Times every launch of a frame of an engine that tells, over so many runs of each.
///
/// # Errors
/// Where the engine fails, or does not tell.
pub(crate) fn frame_times(
    engines: &dyn Engines,
    case: Case,
    device: Device,
    clip: &Clip,
    runs: usize,
) -> Result<FrameTimes> {
    let size = clip.size;
    let subject = engines.load(case, device)?;
    let mut stream = subject.session(size)?;
    stream.push(clip.frame(0))?;
    stream.push(clip.frame(1))?;
    // What the first frames bring about, such as compiling, is nobody's time.
    stream.at_rgb8(TIMESTEP, &mut vec![0; size.samples()])?;
    let launches = stream.kernel_times(runs)?;
    if launches.is_empty() {
        bail!("this engine does not tell how long its launches take");
    }
    let whole = stream.time_on_device(TIMESTEP, runs)?.unwrap_or_default();
    let whole: Vec<f64> = whole.into_iter().map(f64::from).collect();
    drop(stream);
    Ok(FrameTimes {
        case,
        size,
        subject: subject.info(),
        ceilings: subject.ceilings()?,
        launches,
        whole_ms: Spread::of(&whole),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{CommandLine, Other};
    use crate::report::kernels::render;
    use crate::subject::blend::{BlendEngines, BlendOnGpu, Inside};

    fn plan(line: &str, engines: &dyn Engines) -> Result<KernelPlan> {
        let words = ["rife-bench", "kernels"].into_iter().chain(line.split_whitespace());
        let Some(Other::Kernels(args)) = CommandLine::try_parse_from(words)?.command else {
            panic!("another command");
        };
        KernelPlan::new(&args, engines)
    }

    fn gpu() -> BlendOnGpu {
        let launch = |name: &str, ms, flops, bytes| KernelTime {
            name: name.into(),
            kernel: "conv 64>64".into(),
            ms,
            flops,
            bytes,
        };
        let mut kernels = vec![launch("block0.input", 0.5, 0.0, 1e9)];
        kernels.extend((0..8).map(|i| launch(&format!("block0.res{i}"), 0.25, 1e11, 1e8)));
        BlendOnGpu {
            inside: Inside {
                device_ms: vec![2.0],
                kernels,
                ceilings: Some(Ceilings { flops: 5e14, bytes: 2.5e12, transfer: None }),
                ..Inside::default()
            },
        }
    }

    #[test]
    fn a_frame_is_taken_apart_and_held_against_what_the_device_gives() {
        let gpu = gpu();
        let line = "--size 64x32,32x32 --model 4.6 --precision f16 --runs 5";
        let plan = plan(line, &gpu).expect("a plan");
        let record = KernelRecord::measure(&plan, &gpu).expect("a record");
        let [first, second] = &record.frames[..] else { panic!("two sizes") };
        assert_eq!((first.launches.len(), second.size.width), (9, 32));
        assert_eq!(first.whole_ms.expect("a clock").samples, 5);

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kernels.json");
        record.write(&path, false).expect("written");
        let text = std::fs::read_to_string(path).expect("read");
        assert_eq!(serde_json::from_str::<KernelRecord>(&text).expect("a record"), record);

        let text = render(&record, false);
        // 8 of 0.25 ms and 0.2 ms at least each: 2 ms, of which 80%; 0.5 ms of 0.4 ms.
        for part in ["4.6 optimized f16 at 64x32", "block0.res0-7 x8", "2.5000", "80.0"] {
            assert!(text.contains(part), "{part} is missing from\n{text}");
        }
        assert!(text.contains("2.0000 ms (median of 5), 20.0% less than the sum"), "{text}");
        assert!(!text.contains("block0.res3"), "{text}");
        let text = render(&record, true);
        assert!(text.contains("block0.res3") && text.contains("conv 64>64"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn without_ceilings_there_is_no_floor() {
        let mut gpu = gpu();
        gpu.inside.ceilings = None;
        gpu.inside.device_ms.clear();
        let plan = plan("--size 64x32 --model 4.6 --precision f16", &gpu).expect("a plan");
        let text = render(&KernelRecord::measure(&plan, &gpu).expect("a record"), false);
        let input = text.lines().find(|line| line.starts_with("block0.input")).expect("a row");
        assert_eq!(input.matches(" -").count(), 3, "{input}");
    }

    #[test]
    fn what_cannot_be_taken_apart_is_refused_in_one_line() {
        let refused = |line, engines: &dyn Engines| {
            let error = format!("{:#}", plan(line, engines).expect_err(line));
            assert!(!error.contains('\n'), "{error}");
            error
        };
        assert!(refused("", &BlendEngines).contains("no engine on cpu tells"));
        assert!(refused("--device cpu", &gpu()).contains("no engine on cpu tells"));
        refused("--runs 0", &gpu());
        refused("--threads 0", &gpu());
        refused("--size 1x1", &gpu());
        refused("--json .", &gpu());
        let silent = BlendOnGpu::default();
        let plan = plan("--size 64x32", &silent).expect("a plan");
        let error = format!("{:#}", KernelRecord::measure(&plan, &silent).expect_err("silence"));
        assert_eq!(
            error,
            "4.6 optimized f32 at 64x32: this engine does not tell how long its launches take"
        );
    }
}
