//! Measurements of every configuration and mode.

use rife_bench::measure::Measurement;
use rife_bench::measure::scaling::Axis;
use rife_bench::mode::Mode;
use rife_bench::record::SCHEMA;
use rife_bench::report::{terminal, warnings};
use rife_bench::subject::{Device, Engine, Engines, Precision};

use crate::blend::BlendEngines;
use crate::{CpuWith, gpu, record};

#[test]
fn every_configuration_is_measured_and_compared() {
    let (plan, record) = record("--size 64x48 --frames 5 --repeats 3", &BlendEngines);
    assert_eq!(record.header.schema, SCHEMA);
    assert_eq!(record.measurements.len(), 4);
    for Measurement { config, subject, error, summary, fidelity, runs, .. } in &record.measurements
    {
        assert_eq!(*error, None);
        assert_eq!(subject.as_ref().expect("a subject").weights, config.model);
        assert_eq!(runs.len(), 3);
        for run in runs {
            assert_eq!((run.frame_ms.len(), run.warmup_ms.len()), (5, plan.warmup));
            assert!(run.peak_rss_mib > 0.0 && !run.cut_by_budget && run.gpu.is_none());
        }
        assert!(runs.iter().all(|run| run.device.is_none() && run.end_to_end.is_none()));
        let summary = summary.as_ref().expect("a summary");
        assert_eq!(summary.frame_ms.samples, 15);
        assert!(summary.low_1_percent_fps <= summary.fps);
        assert_eq!(fidelity.is_none(), config.is_reference());
        if let Some(fidelity) = fidelity {
            // F16 rounds by 2^-11: close but not identical.
            assert_eq!(fidelity.frames.len(), 5);
            assert!((60.0..90.0).contains(&fidelity.psnr_db.0), "{:?}", fidelity.psnr_db);
            assert!(fidelity.max_error > 0.0 && fidelity.max_error <= 1.0 / 4096.0 + 1e-7);
            assert!(fidelity.ssim > 0.99);
        }
    }
}

#[test]
fn budget_cuts_runs_and_causes_a_warning() {
    let (plan, record) =
        record("--model 4.6 --size 512x512 --budget 0.000001 --repeats 2", &BlendEngines);
    let runs = || record.measurements.iter().flat_map(|m| &m.runs);
    assert!(runs().all(|run| run.frame_ms.len() == plan.min_run_frames() && run.cut_by_budget));
    let all = warnings::warnings(&record);
    assert!(all.iter().any(|w| w.what.contains("budget")), "{all:?}");
}

#[test]
fn failure_of_one_configuration_does_not_affect_others() {
    let available = BlendEngines.available(Device::Cpu);
    let engines = CpuWith { available, broken: Some(Precision::F16) };
    let (_, record) = record("--model 4.6 --size 32x32 --frames 2", &engines);
    let [fine, broken] = &record.measurements[..] else { panic!("two configurations") };
    assert!(fine.error.is_none() && fine.summary.is_some());
    assert!(broken.runs.is_empty() && broken.summary.is_none());
    let text = terminal::render(&record);
    assert!(text.contains("Failed: 4.6 baseline f16: F16 is not supported"), "{text}");
}

#[test]
fn higher_factors_interpolate_several_frames_per_pair() {
    let (plan, record) = record("--model 4.6 --size 48x32 --frames 7 --factor 4", &BlendEngines);
    assert_eq!(record.settings.factor, 4);
    let positions: Vec<_> = (0..4).map(|i| plan.position(i)).collect();
    let opens: Vec<_> = positions.iter().map(|position| position.first_of_pair).collect();
    assert_eq!(opens, [true, false, false, true]);
    assert_eq!(positions.iter().map(|p| p.timestep).collect::<Vec<_>>(), [0.25, 0.5, 0.75, 0.25]);
    // Seven interpolated frames need three pairs.
    assert_eq!(record.settings.clip_frames, 4);
    assert!(record.measurements.iter().all(|m| m.runs.iter().all(|run| run.frame_ms.len() == 7)));
    let half = record.measurements[1].fidelity.as_ref().expect("compared");
    assert_eq!(half.frames.len(), 7);
    // Blending at 0.25 and 0.75 rounds differently.
    assert!(half.frames[0].mse != half.frames[2].mse);
}

#[test]
fn gpu_is_measured_in_all_modes() {
    let line = "--model 4.6 --size 64x48,32x32 --frames 7 --repeats 3 --reference optimized-f32";
    let (plan, record) = record(line, &gpu());
    assert_eq!(plan.modes, [Mode::Latency, Mode::EndToEnd, Mode::Device]);
    assert_eq!(record.measurements.len(), 6);
    for m in &record.measurements {
        assert_eq!(m.error, None);
        for run in &m.runs {
            let end_to_end = run.end_to_end.as_ref().expect("an end-to-end run");
            assert_eq!((end_to_end.frames, end_to_end.depth), (7, 2));
            assert_eq!(run.device.as_ref().expect("timed").frame_ms.len(), 7);
            assert_eq!(run.frame_ms.len(), 7);
        }
        let (device, end_to_end) = (m.device.as_ref(), m.end_to_end.as_ref());
        let (device, end_to_end) = (device.expect("timed"), end_to_end.expect("an end-to-end run"));
        assert_eq!((device.fps, device.frame_ms.samples), (500.0, 21));
        assert_eq!(end_to_end.share_of_device, Some(end_to_end.fps / 500.0));
        assert_eq!(m.memory.expect("known").device_mib, 345.6);
        let fidelity = m.fidelity.as_ref().map(|f| (f.reference.engine, f.frames.len()));
        let reference = m.config.precision == Precision::F32;
        assert_eq!(fidelity, (!reference).then_some((Engine::Optimized, 7)));
    }
    let sizes: Vec<_> = record.measurements.iter().map(|m| m.size.expect("several")).collect();
    assert_eq!((sizes[0].width, sizes[5].width), (64, 32));
    assert_eq!(record.measurements[5].name(), "4.6 optimized f16 at 32x32");
    let text = terminal::render(&record);
    for part in
        ["64x48, 32x32 on cuda:0", " 64x48 ", " 32x32 ", "end-to-end", "346", "optimized f32"]
    {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn scaling_is_measured_along_every_axis() {
    let line = "--model 4.6 --precision f16 --size 48x32 --frames 2 --repeats 1 --scaling";
    let (_, record) = record(line, &gpu());
    let along = |axis| -> Vec<_> { record.scaling.iter().filter(|p| p.axis == axis).collect() };
    let widths: Vec<_> = along(Axis::Size).iter().map(|p| p.size.width).collect();
    assert_eq!(widths, [640, 960, 1280, 1920, 2560, 3840]);
    assert!(along(Axis::Threads).is_empty(), "a GPU has no threads to choose");
    let batch = along(Axis::Batch);
    assert_eq!(batch.iter().map(|p| p.batch).collect::<Vec<_>>(), [1, 2, 4, 8]);
    let pairs = along(Axis::Pairs);
    assert_eq!(pairs.iter().map(|p| p.batch).collect::<Vec<_>>(), [1, 2, 4, 8]);
    for point in &record.scaling {
        assert!(point.error.is_none() && point.fps.is_some_and(|fps| fps > 0.0), "{point:?}");
        // Pairs have no stream with device times and memory.
        let stream = point.axis != Axis::Pairs;
        assert_eq!((point.device_fps.is_some(), point.memory.is_some()), (stream, stream));
    }
    let text = terminal::render(&record);
    assert!(text.contains("Scaling") && text.contains("3840x2160"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}
