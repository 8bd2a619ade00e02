//! `rife-bench kernels`, from the options to the report.

use anyhow::Result;
use clap::Parser;
use rife_bench::args::{Command, CommandLine};
use rife_bench::measure::kernels::measure;
use rife_bench::plan::KernelPlan;
use rife_bench::record::{KernelRecord, write};
use rife_bench::report::kernels::render;
use rife_bench::subject::{Ceilings, Engines, KernelTime};

use crate::blend::{BlendEngines, BlendOnGpu, Simulated};

fn plan(line: &str, engines: &dyn Engines) -> Result<KernelPlan> {
    let words = ["rife-bench", "kernels"].into_iter().chain(line.split_whitespace());
    let Some(Command::Kernels(args)) = CommandLine::try_parse_from(words)?.command else {
        panic!("another command");
    };
    KernelPlan::new(&args, engines)
}

fn record(line: &str, engines: &dyn Engines) -> KernelRecord {
    let plan = plan(line, engines).expect("a plan");
    KernelRecord::new(&plan, measure(&plan, engines).expect("timings"))
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
        simulated: Simulated {
            device_ms: vec![2.0],
            kernels,
            ceilings: Some(Ceilings { flops: 5e14, bytes: 2.5e12, transfer: None }),
            ..Simulated::default()
        },
    }
}

#[test]
fn launches_are_timed_and_compared_with_the_roofline() {
    let gpu = gpu();
    let line = "--size 64x32,32x32 --model 4.6 --precision f16 --runs 5";
    let record = record(line, &gpu);
    let [first, second] = &record.frames[..] else { panic!("two sizes") };
    assert_eq!((first.launches.len(), second.size.width), (9, 32));
    assert_eq!(first.whole_ms.expect("a clock").samples, 5);

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kernels.json");
    write(&record, &path, false).expect("written");
    let text = std::fs::read_to_string(path).expect("read");
    assert_eq!(serde_json::from_str::<KernelRecord>(&text).expect("a record"), record);

    let text = render(&record, false);
    // 8 x 0.25 ms with a roofline of 0.2 ms each, and 0.5 ms with a roofline of 0.4 ms.
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
fn unknown_peak_throughput_leaves_the_roofline_empty() {
    let mut gpu = gpu();
    gpu.simulated.ceilings = None;
    gpu.simulated.device_ms.clear();
    let text = render(&record("--size 64x32 --model 4.6 --precision f16", &gpu), false);
    let input = text.lines().find(|line| line.starts_with("block0.input")).expect("a row");
    assert_eq!(input.matches(" -").count(), 3, "{input}");
}

#[test]
fn unsupported_requests_are_rejected_on_one_line() {
    let error = |line, engines: &dyn Engines| {
        let error = format!("{:#}", plan(line, engines).expect_err(line));
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(error("", &BlendEngines).contains("not available on cpu"));
    assert!(error("--device cpu", &gpu()).contains("not available on cpu"));
    error("--runs 0", &gpu());
    error("--threads 0", &gpu());
    error("--size 1x1", &gpu());
    error("--json .", &gpu());
    let silent = BlendOnGpu::default();
    let plan = plan("--size 64x32", &silent).expect("a plan");
    let error = format!("{:#}", measure(&plan, &silent).expect_err("no timings"));
    assert_eq!(error, "4.6 optimized f32 at 64x32: the engine does not report kernel times");
}
