//! The whole way from what was typed to what is read, on the stand-in engine.

use anyhow::{Result, bail};
use clap::Parser;
use rife_bench::args::Args;
use rife_bench::measure::gpu::GpuUse;
use rife_bench::measure::{Measurement, Summary, measure};
use rife_bench::plan::Plan;
use rife_bench::record::{Record, SCHEMA};
use rife_bench::report::{terminal, warnings};
use rife_bench::subject::blend::BlendEngines;
use rife_bench::subject::{
    Case, Device, DeviceChoice, Engine, Engines, Optimization, Precision, Subject,
};

fn record(line: &str, engines: &dyn Engines) -> (Plan, Record) {
    let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
    let plan = Plan::new(&Args::parse_from(args), engines).expect("a plan");
    let clip = plan.source.load(plan.frames).expect("a clip");
    let measurements = measure(&plan, &clip, engines, &());
    let record = Record::new(&plan, &clip, measurements);
    (plan, record)
}

#[test]
fn every_configuration_is_measured_and_compared() {
    let (plan, record) = record("--size 64x48 --frames 5 --repeats 3", &BlendEngines);
    assert_eq!(record.schema, SCHEMA);
    assert_eq!(record.measurements.len(), 4);
    for Measurement { case, subject, error, summary, fidelity, runs } in &record.measurements {
        assert_eq!(*error, None);
        assert_eq!(subject.as_ref().expect("a subject").weights, case.model);
        assert_eq!(runs.len(), 3);
        for run in runs {
            assert_eq!((run.frame_ms.len(), run.warmup_ms.len()), (5, plan.warmup));
            assert!(run.peak_rss_mib > 0.0 && !run.cut_by_budget && run.gpu.is_none());
        }
        let summary = summary.as_ref().expect("a summary");
        assert_eq!(summary.frame_ms.samples, 15);
        assert!(summary.low_1_percent_fps <= summary.fps);
        assert_eq!(fidelity.is_none(), case.is_reference());
        if let Some(fidelity) = fidelity {
            // Half precision is 2^-11 of rounding: close, and not the same.
            assert_eq!(fidelity.frames.len(), 5);
            assert!((60.0..90.0).contains(&fidelity.psnr_db.0), "{:?}", fidelity.psnr_db);
            assert!(fidelity.max_error > 0.0 && fidelity.max_error <= 1.0 / 4096.0 + 1e-7);
            assert!(fidelity.ssim > 0.99);
        }
    }
}

#[test]
fn a_record_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    std::fs::write(&path, "an older record").expect("a file");
    let (_, record) = record("--model 4.6 --size 32x32 --frames 4", &BlendEngines);
    record.write(&path).expect("written");
    assert_eq!(Record::read(&path).expect("read"), record);
    let files = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(files, 1, "nothing is left beside the record");

    std::fs::write(&path, "{}").expect("a file");
    assert!(Record::read(&path).is_err());
}

#[test]
fn the_report_says_what_matters() {
    let (_, record) = record("--size 64x48 --frames 5 --seed 7", &BlendEngines);
    let text = terminal::render(&record);
    for part in ["64x48 on cpu", "seed 7", "PSNR", "note: 4.25: blending", "too few frames"] {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
}

#[test]
fn the_report_fits_its_columns_with_large_figures_and_a_gpu() {
    let (_, mut record) = record("--size 64x48 --frames 5", &BlendEngines);
    record.machine.cpu = "A processor with a very long name ".repeat(5);
    for m in &mut record.measurements {
        m.case.engine = Engine::Optimized;
        m.case.without = Optimization::ALL.into_iter().collect();
        for run in &mut m.runs {
            run.frame_ms.iter_mut().for_each(|ms| *ms += 1234.0);
            run.load_ms += 12_345.0;
            run.first_frame_ms += 12_345.0;
            run.peak_rss_mib += 12_345.0;
            run.gpu = Some(GpuUse {
                card_before_mib: 500.0,
                card_peak_mib: 79_000.0,
                process_peak_mib: None,
                utilisation_mean_percent: Some(100.0),
                utilisation_max_percent: Some(100.0),
                utilisation_samples: 9,
            });
        }
        m.summary = Summary::of(&m.runs);
    }
    let text = terminal::render(&record);
    assert!(text.contains("78500") && text.contains("ran without channels-last"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}\nis too wide in\n{text}");
    }
}

#[test]
fn a_budget_ends_runs_and_is_warned_about() {
    let (plan, record) =
        record("--model 4.6 --size 512x512 --budget 0.000001 --repeats 2", &BlendEngines);
    let runs = || record.measurements.iter().flat_map(|m| &m.runs);
    assert!(runs().all(|run| run.frame_ms.len() == plan.min_run_frames() && run.cut_by_budget));
    let all = warnings::warnings(&record);
    assert!(all.iter().any(|w| w.what.contains("budget")), "{all:?}");
}

/// Blending whose half precision does not load.
struct HalfBroken;

impl Engines for HalfBroken {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        BlendEngines.resolve(choice)
    }

    fn offered(&self, device: Device) -> Vec<(Engine, Precision)> {
        BlendEngines.offered(device)
    }

    fn load(&self, case: Case, device: Device) -> Result<Box<dyn Subject>> {
        if case.precision == Precision::F16 {
            bail!("no half precision here");
        }
        BlendEngines.load(case, device)
    }
}

#[test]
fn one_failure_does_not_take_the_others_along() {
    let (_, record) = record("--model 4.6 --size 32x32 --frames 2", &HalfBroken);
    let [fine, broken] = &record.measurements[..] else { panic!("two configurations") };
    assert!(fine.error.is_none() && fine.summary.is_some());
    assert!(broken.runs.is_empty() && broken.summary.is_none());
    let text = terminal::render(&record);
    assert!(text.contains("failed: 4.6 baseline f16: no half precision here"), "{text}");
}

/// Blending that offers half precision alone.
struct HalfAlone;

impl Engines for HalfAlone {
    fn resolve(&self, choice: DeviceChoice) -> Result<Device> {
        BlendEngines.resolve(choice)
    }

    fn offered(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F16)]
    }

    fn load(&self, case: Case, device: Device) -> Result<Box<dyn Subject>> {
        BlendEngines.load(case, device)
    }
}

#[test]
fn a_device_without_the_reference_is_compared_with_the_cpu_over_a_few_frames() {
    let (_, record) = record("--model 4.6 --size 32x32 --frames 12 --repeats 1", &HalfAlone);
    let [half] = &record.measurements[..] else { panic!("one configuration") };
    assert_eq!((half.error.as_ref(), half.runs[0].frame_ms.len()), (None, 12));
    let fidelity = half.fidelity.as_ref().expect("compared");
    assert!(fidelity.frames.len() == 8 && fidelity.reference.is_reference());
}
