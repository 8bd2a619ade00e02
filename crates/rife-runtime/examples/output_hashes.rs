//! Prints a SHA-256 of the output of every engine, so that two builds can be compared bit by bit.
//!
//! ```text
//! cargo run --release -p rife-runtime --example output_hashes -- [--device cpu|cuda[:N]] [WEIGHTS]
//! ```
//!
//! Each line is `version engine device precision size timestep scale batch options: SHA-256`. The
//! input is four synthetic frames with published weights from the folder `WEIGHTS` (default:
//! `weights`, see `rife weights fetch`). Save the output of one build, and `diff` it with that of
//! another on the same machine. On the CPU, every supported instruction set runs: the program
//! restarts itself with `RIFE_CPU` set. CUDA kernels are not tuned, since tiles do not change the
//! result; `--tuned` enables tuning.

use std::process::{Command, ExitCode};

use rife_runtime::{
    Chroma, Device, Engine, Frame, FrameSize, Interpolator, InterpolatorBuilder, Matrix,
    ModelVersion, Optimization, Optimizations, PixelFormat, Precision, Scale, Siting, YuvFormat,
};
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SIZES: [FrameSize; 2] = [FrameSize::new(64, 64), FrameSize::new(150, 102)];
const TIMESTEPS: [f32; 2] = [0.5, 0.3];
const VERSIONS: [ModelVersion; 2] = [ModelVersion::V4_6, ModelVersion::V4_26];
const INSTRUCTION_SETS: [&str; 3] = ["scalar", "avx2", "avx512"];
const YUV420: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

/// Options that differ from the defaults of an engine.
#[derive(Clone, Copy)]
struct Options {
    name: &'static str,
    optimizations: Optimizations,
    scale: Scale,
    ensemble: bool,
    batch: usize,
    format: PixelFormat,
}

fn main() -> ExitCode {
    let mut device = Device::Cpu;
    let mut tuned = false;
    let mut weights = "weights".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--device" => match args.next().map(|value| value.parse()) {
                Some(Ok(value)) => device = value,
                _ => return usage(),
            },
            "--tuned" => tuned = true,
            other if other.starts_with("--") => return usage(),
            other => weights = other.to_owned(),
        }
    }
    let result = match device {
        Device::Cpu if std::env::var_os("RIFE_CPU").is_none() => return each_instruction_set(),
        Device::Cpu => on_cpu(&weights),
        _ => on_gpu(&weights, device, tuned),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: output_hashes [--device cpu|cuda[:N]] [--tuned] [WEIGHTS]");
    ExitCode::from(2)
}

/// Runs this program once for each instruction set that the CPU supports.
fn each_instruction_set() -> ExitCode {
    for set in INSTRUCTION_SETS {
        #[cfg(target_arch = "x86_64")]
        let available = match set {
            "avx2" => is_x86_feature_detected!("avx2"),
            "avx512" => is_x86_feature_detected!("avx512f"),
            _ => true,
        };
        #[cfg(not(target_arch = "x86_64"))]
        let available = set == "scalar";
        if !available {
            continue;
        }
        let run = std::env::current_exe().and_then(|program| {
            Command::new(program).args(std::env::args_os().skip(1)).env("RIFE_CPU", set).status()
        });
        match run {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("cannot restart this program: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn on_cpu(weights: &str) -> Result<()> {
    let set = std::env::var("RIFE_CPU").unwrap_or_default();
    let device = format!("cpu/{set}");
    for version in VERSIONS {
        for precision in precisions(Engine::Optimized, Device::Cpu) {
            let builder = Interpolator::builder(version).engine(Engine::Optimized);
            let builder = builder.device(Device::Cpu).precision(precision);
            for options in cpu_options(version) {
                run(builder.clone(), version, &device, &options, weights)?;
            }
        }
        // The baseline does not depend on the instruction set.
        for precision in precisions(Engine::Baseline, Device::Cpu) {
            if set == "scalar" {
                let builder = Interpolator::builder(version).engine(Engine::Baseline);
                let builder = builder.device(Device::Cpu).precision(precision);
                run(builder, version, "cpu", &default_options(), weights)?;
            }
        }
    }
    Ok(())
}

fn on_gpu(weights: &str, device: Device, tuned: bool) -> Result<()> {
    for version in VERSIONS {
        for precision in precisions(Engine::Optimized, device) {
            let builder = Interpolator::builder(version).engine(Engine::Optimized);
            let builder = builder.device(device).precision(precision);
            for mut options in gpu_options(version) {
                if !tuned {
                    options.optimizations = options.optimizations.without(Optimization::Autotune);
                }
                run(builder.clone(), version, "cuda", &options, weights)?;
            }
        }
    }
    Ok(())
}

/// The precisions of an engine on a device. Empty if the engine cannot run there.
fn precisions(engine: Engine, device: Device) -> Vec<Precision> {
    rife_runtime::engines()
        .into_iter()
        .filter(|a| a.engine == engine && a.device.same_kind(device) && a.state.is_ok())
        .flat_map(|a| a.precisions)
        .collect()
}

fn default_options() -> Options {
    Options {
        name: "default",
        optimizations: Optimizations::all(),
        scale: Scale::One,
        ensemble: false,
        batch: 1,
        format: PixelFormat::Rgb16,
    }
}

fn without(name: &'static str, optimizations: &[Optimization]) -> Options {
    let all = Optimizations::all();
    let optimizations = optimizations.iter().fold(all, |enabled, one| enabled.without(*one));
    Options { name, optimizations, ..default_options() }
}

/// The options for every engine: formats, a scale, and the ensemble of 4.6.
fn common_options(version: ModelVersion) -> Vec<Options> {
    let default = default_options();
    let mut all = vec![
        default,
        Options { name: "rgb8", format: PixelFormat::Rgb8, ..default },
        Options { name: "planar-f32", format: PixelFormat::PlanarF32, ..default },
        Options { name: "yuv420", format: PixelFormat::Yuv(YUV420), ..default },
        Options { name: "half", scale: Scale::Half, ..default },
    ];
    if version.spec().supports_ensemble {
        all.push(Options { name: "ensemble", ensemble: true, ..default });
    }
    all
}

fn cpu_options(version: ModelVersion) -> Vec<Options> {
    let mut all = common_options(version);
    all.push(without("no-winograd", &[Optimization::Winograd]));
    all.push(without("no-fused-kernels", &[Optimization::FusedKernels]));
    all
}

fn gpu_options(version: ModelVersion) -> Vec<Options> {
    let mut all = common_options(version);
    all.extend([
        Options { name: "batch", batch: 4, ..default_options() },
        without("no-wgmma", &[Optimization::Wgmma]),
        without("no-channels-last", &[Optimization::ChannelsLast]),
        without("no-fused-kernels", &[Optimization::FusedKernels]),
        without("no-cuda-graph", &[Optimization::CudaGraph]),
        without(
            "no-memory-plan",
            &[Optimization::PreallocatedBuffers, Optimization::PinnedMemory, Optimization::Streams],
        ),
    ]);
    all
}

fn run(
    builder: InterpolatorBuilder,
    version: ModelVersion,
    device: &str,
    options: &Options,
    weights: &str,
) -> Result<()> {
    let rife = builder
        .optimizations(options.optimizations)
        .scale(options.scale)
        .ensemble(options.ensemble)
        .batch(options.batch)
        .load(weights)?;
    let info = rife.info();
    let (engine, precision) = (info.engine, info.precision);
    for size in SIZES {
        let frames = frames(size, options.format)?;
        for timestep in TIMESTEPS {
            let mut digest = Sha256::new();
            let mut session = rife.session(size)?;
            session.push(&frames[0].view())?;
            for frame in &frames[1..] {
                session.push(&frame.view())?;
                if options.batch > 1 {
                    let timesteps: Vec<f32> = (0..5).map(|i| timestep + 0.1 * i as f32).collect();
                    for frame in session.at_many(&timesteps)? {
                        digest.update(frame.as_bytes());
                    }
                } else {
                    digest.update(session.at(timestep)?.as_bytes());
                }
            }
            let (first, second) = (frames[0].view(), frames[1].view());
            let results =
                rife.interpolate_many(&[(first, second, timestep), (second, first, 0.5)])?;
            results.iter().for_each(|frame| digest.update(frame.as_bytes()));
            let hash: String = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
            println!(
                "{version} {engine} {device} {precision} {size} t={timestep} scale={} batch={} {}: {hash}",
                options.scale, options.batch, options.name
            );
        }
    }
    Ok(())
}

/// Four frames of a moving picture: thin lines on a smooth background.
fn frames(size: FrameSize, format: PixelFormat) -> Result<Vec<Frame>> {
    (0..4)
        .map(|i| {
            let planar = rife_testkit::lines(size.width, size.height, 3 * i, -2 * i);
            let pixels = size.pixels();
            // Use all 16 bits.
            let sample = |i: usize| {
                let v = u16::from(planar[i % 3 * pixels + i / 3]);
                v * 256 + (i as u16).wrapping_mul(40503) / 256
            };
            let frame = Frame::rgb16(size, (0..3 * pixels).map(sample).collect())?;
            Ok(frame.converted(format)?)
        })
        .collect()
}
