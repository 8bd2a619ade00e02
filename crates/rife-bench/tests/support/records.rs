//! Complete records, measured on the blending engine and extended with synthetic data.

mod blend;

use blend::{BlendOnGpu, Simulated};
use clap::Parser;
use rife_bench::args::Args;
use rife_bench::benchmark;
use rife_bench::measure::fidelity::{Comparison, Fidelity};
use rife_bench::measure::gpu::{GpuFacts, GpuUse};
use rife_bench::measure::peers::Peer;
use rife_bench::measure::quality::{GroundTruth, Quality, QualityResult};
use rife_bench::measure::scaling::{Axis, ScalingPoint};
use rife_bench::measure::{Measurement, Summary};
use rife_bench::plan::Plan;
use rife_bench::record::Record;
use rife_bench::stats::Spread;
use rife_bench::subject::{
    Ceilings, Config, Engine, EngineMemory, KernelTime, Optimization, Precision, Size,
};
use rife_model::ModelVersion;

fn gpu() -> BlendOnGpu {
    let launch = |name: String, kernel: &str, ms, flops, bytes| KernelTime {
        name,
        kernel: kernel.into(),
        ms,
        flops,
        bytes,
    };
    let mut kernels = Vec::new();
    for block in 0..4 {
        kernels.push(launch(format!("block{block}.input"), "gather", 0.05, 0.0, 1e8));
        kernels.extend(
            (0..8).map(|i| launch(format!("block{block}.res{i}"), "conv 64>64", 0.04, 1.5e10, 2e7)),
        );
    }
    kernels.push(launch("blend".into(), "blend", 0.03, 0.0, 5e7));
    BlendOnGpu {
        simulated: Simulated {
            device_ms: vec![2.0, 2.01, 1.99, 2.05],
            optimizations: vec![
                (Optimization::FusedKernels, 2.0),
                (Optimization::Streams, 1.0),
                (Optimization::CudaGraph, 0.8),
                (Optimization::OverlappedLaunches, 1.04),
            ],
            memory: Some(EngineMemory { device_mib: 345.6, pinned_host_mib: 12.0 }),
            kernels,
            ceilings: Some(Ceilings { flops: 5e14, bytes: 2.5e12, transfer: Some(2e10) }),
        },
    }
}

/// A record with every section.
pub fn full() -> Record {
    let engines = gpu();
    let line = "rife-bench --model 4.6 --precision f32,f16 --size 96x64 --frames 24 --repeats 2 \
                --ablate --profile --pictures --quiet";
    let plan = Plan::new(&Args::parse_from(line.split_whitespace()), &engines).expect("a plan");
    let mut record = benchmark::run(&plan, &engines, &()).expect("a record");
    record.header.command = line.into();
    record.header.machine.cpu = "A processor".into();
    record.header.machine.gpus = vec![GpuFacts { name: "A card".into(), memory_mib: 81_920.0 }];
    record.header.machine.gpu_driver = Some("1.2.3".into());
    with_baseline(&mut record);
    record.peers = peers();
    record.quality = Some(quality(&record));
    record.scaling = scaling();
    record
}

/// Adds a baseline, which the blending engine lacks on a GPU, as a slower copy of its results.
fn with_baseline(record: &mut Record) {
    for m in &mut record.measurements {
        m.runs.iter_mut().for_each(|run| run.gpu = Some(on_gpu(846.0)));
        m.summary = Summary::of(&m.runs);
    }
    let optimized = record.measurements.clone();
    let mut baseline = optimized.clone();
    for m in &mut baseline {
        m.config.engine = Engine::Baseline;
        (m.device, m.memory) = (None, None);
        for run in &mut m.runs {
            run.frame_ms.iter_mut().for_each(|ms| *ms = *ms * 7.0 + 5.0);
            run.gpu = Some(on_gpu(1512.0));
        }
        m.summary = Summary::of(&m.runs);
    }
    let half = |m: &&Measurement| m.config.precision == Precision::F16;
    if let Some(fidelity) = optimized.iter().find(half).and_then(|m| m.fidelity.clone()) {
        let config =
            Config { engine: Engine::Optimized, precision: Precision::F16, ..fidelity.reference };
        for reference in [
            Config { engine: Engine::Baseline, ..config },
            Config { precision: Precision::F32, ..config },
        ] {
            let fidelity = Fidelity { reference, ..fidelity.clone() };
            record.comparisons.push(Comparison { config, size: None, fidelity });
        }
    }
    record.measurements = baseline.into_iter().chain(optimized).collect();
}

fn on_gpu(peak_mib: f64) -> GpuUse {
    GpuUse {
        card_before_mib: 500.0,
        card_peak_mib: 500.0 + peak_mib,
        process_peak_mib: None,
        utilisation_mean_percent: Some(45.0),
        utilisation_max_percent: Some(80.0),
        utilisation_samples: 9,
        utilisation_fed_percent: Some(99.0),
        steady_mib: Some(peak_mib),
        clock_mhz: Spread::of(&[1410.0, 1980.0]),
        power_w: Spread::of(&[312.0, 345.0]),
        temperature_c: Spread::of(&[51.0]),
        throttled: Vec::new(),
    }
}

fn peers() -> Vec<Peer> {
    let peer = |name: &str, ours, ms: Option<f64>| Peer {
        version: ms.map(|_| "2.11.0".into()),
        absent: ms.is_none().then(|| "not for this device".into()),
        round_frame_ms: ms.iter().map(|ms| vec![*ms, ms * 1.1]).collect(),
        frame_ms: ms.and_then(|ms| Spread::of(&[ms * 0.95, ms, ms * 1.1])),
        fps: ms.map(|ms| 1000.0 / ms),
        setup_ms: ms.map(|ms| 900.0 * ms),
        peak_rss_mib: ms.map(|_| 2345.0),
        peak_gpu_mib: ms.map(|_| 777.0),
        ..Peer::new(name, ours, ModelVersion::V4_6, Size { width: 96, height: 64 })
    };
    vec![
        peer("torch eager f32", false, Some(21.0)),
        peer("torch.compile f16", false, Some(6.5)),
        peer("TensorRT f16", false, None),
        peer("rife-bench optimized f16", true, Some(2.0)),
    ]
}

fn quality(record: &Record) -> Quality {
    let mut measured = record.measurements.iter().filter_map(|m| m.fidelity.as_ref());
    // Identical frames would have an infinite PSNR.
    let measured = measured.find(|fidelity| fidelity.psnr_db.0.is_finite());
    let frames = measured.expect("fidelity").frames.clone();
    let blend = GroundTruth::of(frames).expect("frames");
    let result = |m: &Measurement| QualityResult {
        config: m.config,
        truth: Some(GroundTruth { ssim: 0.97, ..blend.clone() }),
        error: None,
    };
    Quality {
        clip: "bikes".into(),
        size: Size { width: 96, height: 64 },
        frames: 59,
        results: record.measurements.iter().map(result).collect(),
        blend: blend.clone(),
    }
}

fn scaling() -> Vec<ScalingPoint> {
    let model = ModelVersion::V4_6;
    let size = |width: usize| Size { width, height: width * 9 / 16 };
    let mut points = Vec::new();
    let mut point = |axis, precision, size: Size, threads, batch, fps: f64| {
        let config = Config { engine: Engine::Optimized, precision, ..Config::reference(model) };
        let device_mib = size.pixels() as f64 / 1e4;
        points.push(ScalingPoint {
            threads,
            batch,
            fps: Some(fps),
            run_fps: Spread::of(&[fps * 0.98, fps, fps * 1.02]),
            device_fps: Some(fps * 1.5),
            memory: Some(EngineMemory { device_mib, pinned_host_mib: 0.0 }),
            peak_rss_mib: Some(500.0),
            ..ScalingPoint::new(axis, config, size)
        });
    };
    for (precision, speed) in [(Precision::F32, 2e8), (Precision::F16, 6e8)] {
        for width in [640, 960, 1280, 1920, 2560, 3840] {
            let pixels = size(width).pixels() as f64;
            point(Axis::Size, precision, size(width), None, 1, speed / pixels);
        }
        for threads in [1usize, 2, 4, 8] {
            let fps = 3.0 * (threads as f64).powf(0.9);
            point(Axis::Threads, precision, size(640), Some(threads), 1, fps);
        }
        for batch in [1usize, 2, 4, 8] {
            let fps = 100.0 * (1.0 + 0.1 * batch as f64);
            point(Axis::Batch, precision, size(640), None, batch, fps);
            point(Axis::Pairs, precision, size(640), None, batch, 0.9 * fps);
        }
    }
    points
}
