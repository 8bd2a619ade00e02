//! Plans from options.

use anyhow::Result;
use clap::Parser;
use rife_bench::args::Args;
use rife_bench::mode::{Mode, Reference};
use rife_bench::plan::Plan;
use rife_bench::subject::{Config, Device, Engine, Engines, Precision, Size};
use rife_model::ModelVersion;

use crate::CpuWith;
use crate::blend::{BlendEngines, BlendOnGpu};

fn plan_on(engines: &dyn Engines, line: &str) -> Result<Plan> {
    let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
    Plan::new(&Args::try_parse_from(args)?, engines)
}

fn plan(line: &str) -> Result<Plan> {
    plan_on(&BlendEngines, line)
}

#[test]
fn default_plan_measures_everything_within_a_budget() {
    let plan = plan("").expect("a plan");
    assert_eq!(plan.models(), [ModelVersion::V4_6, ModelVersion::V4_25]);
    assert_eq!(plan.configs.len(), 4);
    assert!(plan.configs[0].is_reference() && !plan.configs[1].is_reference());
    assert_eq!(plan.device, Device::Cpu);
    assert!(plan.budget.is_some() && plan.run_budget() < plan.budget);
    assert_eq!(plan.min_run_frames() * plan.args.repeats, 4);
    assert!(plan.output.extension().is_some_and(|e| e == "json"));
}

#[test]
fn options_select_configurations_and_sizes() {
    let plan = plan("--all --model 4.26,4.6,4.6 --precision f16 --size 1921x17 --frames 500")
        .expect("a plan");
    let config = |model| Config { precision: Precision::F16, ..Config::reference(model) };
    assert_eq!(plan.configs, [config(ModelVersion::V4_6), config(ModelVersion::V4_26)]);
    assert_eq!(plan.sources[0].size, Size { width: 1921, height: 17 });
    assert_eq!((plan.frames, plan.budget), (500, None));
}

#[test]
fn invalid_options_are_rejected() {
    for line in [
        "--size 15x640",
        "--size 16384x16384",
        "--size 640",
        "--budget 0",
        "--budget -1",
        "--budget nan",
        "--engine optimized",
        "--engine auto",
        "--precision auto",
        "--without autotune",
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
fn gpu_plan_covers_every_mode_and_precision() {
    let plan = |line: &str| plan_on(&BlendOnGpu::default(), line);
    let full = plan("--all --ablate").expect("a plan");
    assert_eq!(full.modes, [Mode::Latency, Mode::EndToEnd, Mode::Device]);
    assert_eq!(full.ablation_modes(), [Mode::EndToEnd, Mode::Device]);
    let precisions: Vec<_> = full.configs.iter().take(3).map(|c| c.precision).collect();
    assert_eq!(precisions, [Precision::F32, Precision::Tf32, Precision::F16]);
    assert_eq!(full.run_budget(), full.budget.map(|budget| budget / 6));

    let line = "--mode device,latency,device --precision tf32,f16 --size 64x32,32x32,64x32";
    let some = plan(&format!("{line} --reference optimized-f32")).expect("a plan");
    assert_eq!(some.modes, [Mode::Latency, Mode::Device]);
    let sizes: Vec<_> = some.sources.iter().map(|s| s.size.to_string()).collect();
    assert_eq!(sizes, ["64x32", "32x32"]);
    assert_eq!(some.configs.len(), 4);
    assert!(plan("--ablate --mode latency").is_err());
}

#[test]
fn cpu_plan_measures_latency_by_default() {
    let both = [Engine::Baseline, Engine::Optimized].map(|engine| (engine, Precision::F32));
    let engines = CpuWith { available: both.into(), broken: None };
    let plan = |line: &str| plan_on(&engines, line);
    assert_eq!(plan("").expect("a plan").modes, [Mode::Latency]);
    let ablating = plan("--ablate").expect("a plan");
    assert_eq!(ablating.ablation_modes(), [Mode::EndToEnd, Mode::Device]);
    let plain = plan("--ablate --mode device --reference optimized-f32").expect("a plan");
    assert_eq!((plain.modes, plain.args.reference), (vec![Mode::Device], Reference::OptimizedF32));
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
fn images_determine_size_and_frame_count() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..4 {
        image::RgbImage::new(40, 24).save(folder.path().join(format!("{i}.png"))).expect("PNG");
    }
    let plan = plan(&format!("--input {}", folder.path().display())).expect("a plan");
    assert_eq!(plan.sources[0].size, Size { width: 40, height: 24 });
    assert_eq!(plan.frames, 3);
}
