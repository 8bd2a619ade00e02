//! From the command line to the report, on the blending engine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use anyhow::{Result, bail};
use clap::Parser;
use rife_bench::args::Args;
use rife_bench::measure::ablation::Verdict;
use rife_bench::measure::gpu::GpuUse;
use rife_bench::measure::scaling::Axis;
use rife_bench::measure::throughput::{DeviceRun, EndToEnd, EndToEndRun, OnDevice};
use rife_bench::measure::{Measurement, Summary, Watcher, measure_all};
use rife_bench::mode::Mode;
use rife_bench::plan::Plan;
use rife_bench::record::{Record, SCHEMA};
use rife_bench::report::{terminal, warnings};
use rife_bench::stats::Spread;
use rife_bench::subject::blend::{BlendEngines, BlendOnGpu, Simulated};
use rife_bench::subject::{
    Config, Device, Engine, EngineMemory, Engines, Optimization, Precision, Size, Subject,
};

fn record(line: &str, engines: &dyn Engines) -> (Plan, Record) {
    let args = ["rife-bench"].into_iter().chain(line.split_whitespace());
    let plan = Plan::new(&Args::parse_from(args), engines).expect("a plan");
    let results = measure_all(&plan, engines, &()).expect("frames");
    let record = Record::new(&plan, results).expect("a record");
    (plan, record)
}

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
fn records_round_trip() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    std::fs::write(&path, "an older record").expect("a file");
    let (_, record) = record("--model 4.6 --size 32x32 --frames 4", &BlendEngines);
    record.write(&path, true).expect("written");
    assert_eq!(Record::read(&path).expect("read"), record);
    let files = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(files, 1, "no temporary file is left");

    std::fs::write(&path, "{}").expect("a file");
    assert!(Record::read(&path).is_err());
}

#[test]
fn terminal_report_contains_the_essentials() {
    let (_, record) = record("--size 64x48 --frames 5 --seed 7", &BlendEngines);
    let text = terminal::render(&record);
    for part in ["64x48 on cpu", "seed 7", "PSNR", "note: 4.25: blending", "too few frames"] {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
}

#[test]
fn terminal_report_fits_100_columns_with_large_figures() {
    let (_, mut record) = record("--size 64x48 --frames 5", &BlendEngines);
    record.header.machine.cpu = "A processor with a very long name ".repeat(5);
    for m in &mut record.measurements {
        m.config.engine = Engine::Optimized;
        let pinned = Optimization::PinnedMemory;
        m.config.without = Optimization::ALL.into_iter().filter(|one| *one != pinned).collect();
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
                utilisation_fed_percent: Some(99.0),
                steady_mib: Some(70_000.0),
                clock_mhz: Spread::of(&[1980.0]),
                power_w: Spread::of(&[345.6]),
                temperature_c: None,
                throttled: Vec::new(),
            });
            run.device = Some(DeviceRun { frame_ms: vec![123.4567; 9], cut_by_budget: false });
            run.end_to_end = Some(EndToEndRun {
                frames: 9,
                seconds: 1.2345,
                depth: 3,
                page_locked: false,
                cut_by_budget: true,
            });
        }
        m.summary = Summary::of(&m.runs);
        m.device = OnDevice::of(&m.runs);
        m.end_to_end = EndToEnd::of(&m.runs, m.device.as_ref());
        m.memory = Some(EngineMemory { device_mib: 77_777.0, pinned_host_mib: 12_345.0 });
    }
    record.settings.device = Device::Cuda(0);
    let text = terminal::render(&record);
    assert!(
        text.contains("78500")
            && text.contains("could not be pinned")
            && text.contains("GPU: clock 1980 MHz, max 346 W")
            && text.contains("ran without channels-last"),
        "{text}"
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}\nis too wide in\n{text}");
    }
    // No warning if pinning is disabled.
    for m in &mut record.measurements {
        m.config.without = m.config.without.and(Optimization::PinnedMemory);
    }
    let all = warnings::warnings(&record);
    assert!(!all.iter().any(|w| w.what.contains("pinned")), "{all:?}");
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

/// Blending whose F16 fails to load.
struct F16Broken;

impl Engines for F16Broken {
    fn resolve(&self, device: Device) -> Result<Device> {
        BlendEngines.resolve(device)
    }

    fn available(&self, device: Device) -> Vec<(Engine, Precision)> {
        BlendEngines.available(device)
    }

    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>> {
        if config.precision == Precision::F16 {
            bail!("F16 is not supported");
        }
        BlendEngines.load(config, device)
    }
}

#[test]
fn failure_of_one_configuration_does_not_affect_others() {
    let (_, record) = record("--model 4.6 --size 32x32 --frames 2", &F16Broken);
    let [fine, broken] = &record.measurements[..] else { panic!("two configurations") };
    assert!(fine.error.is_none() && fine.summary.is_some());
    assert!(broken.runs.is_empty() && broken.summary.is_none());
    let text = terminal::render(&record);
    assert!(text.contains("Failed: 4.6 baseline f16: F16 is not supported"), "{text}");
}

/// Blending with F16 only.
struct F16Only;

impl Engines for F16Only {
    fn resolve(&self, device: Device) -> Result<Device> {
        BlendEngines.resolve(device)
    }

    fn available(&self, _device: Device) -> Vec<(Engine, Precision)> {
        vec![(Engine::Baseline, Precision::F16)]
    }

    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>> {
        BlendEngines.load(config, device)
    }
}

#[test]
fn missing_reference_is_replaced_by_the_cpu_over_a_few_frames() {
    let (_, record) = record("--model 4.6 --size 32x32 --frames 12 --repeats 1", &F16Only);
    let [half] = &record.measurements[..] else { panic!("one configuration") };
    assert_eq!((half.error.as_ref(), half.runs[0].frame_ms.len()), (None, 12));
    let fidelity = half.fidelity.as_ref().expect("compared");
    assert!(fidelity.frames.len() == 8 && fidelity.reference.is_reference());
}

/// A GPU on which one optimization doubles the speed, one has no effect and one hurts.
fn gpu() -> BlendOnGpu {
    BlendOnGpu {
        simulated: Simulated {
            device_ms: vec![2.0, 2.01, 1.99],
            optimizations: vec![
                (Optimization::FusedKernels, 2.0),
                (Optimization::Streams, 1.0),
                (Optimization::CudaGraph, 0.8),
            ],
            memory: Some(EngineMemory { device_mib: 345.6, pinned_host_mib: 12.0 }),
            ..Simulated::default()
        },
    }
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
            let end_to_end = run.end_to_end.as_ref().expect("fed ahead");
            assert_eq!((end_to_end.frames, end_to_end.depth), (7, 2));
            assert_eq!(run.device.as_ref().expect("timed").frame_ms.len(), 7);
            assert_eq!(run.frame_ms.len(), 7);
        }
        let (device, end_to_end) = (m.device.as_ref(), m.end_to_end.as_ref());
        let (device, end_to_end) = (device.expect("timed"), end_to_end.expect("fed ahead"));
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
fn effect_of_each_optimization_is_measured_and_judged() {
    let line = "--model 4.6 --precision f16 --size 64x48 --frames 6 --repeats 3 --ablate";
    let (_, record) = record(&format!("{line} --mode device"), &gpu());
    let [measurement] = &record.measurements[..] else { panic!("one configuration") };
    assert!(measurement.summary.is_none() && measurement.runs[0].frame_ms.is_empty());
    assert!(measurement.fidelity.is_some());
    let [ablation] = &record.ablations[..] else { panic!("one configuration") };
    let verdicts: Vec<_> = ablation
        .without
        .iter()
        .map(|v| (v.off, v.device.expect("timed").verdict, v.end_to_end.is_some()))
        .collect();
    assert_eq!(
        verdicts,
        [
            (Optimization::FusedKernels, Verdict::Helped, false),
            (Optimization::Streams, Verdict::Neutral, false),
            (Optimization::CudaGraph, Verdict::Hurt, false),
        ]
    );
    let fused = &ablation.without[0];
    assert!((fused.device.expect("timed").gain - 1.0).abs() < 1e-6);
    let off: Vec<_> = fused.measurement.subject.as_ref().expect("loaded").optimizations.clone();
    assert_eq!(off, [Optimization::Streams, Optimization::CudaGraph]);
    let fidelity = fused.measurement.fidelity.as_ref().expect("compared");
    assert_eq!((fidelity.psnr_db.0, fidelity.reference), (f64::INFINITY, measurement.config));

    let alone = ablation.alone.as_ref().expect("each alone");
    assert!(alone.none.subject.as_ref().expect("loaded").optimizations.is_empty());
    let gains: Vec<_> = alone
        .with
        .iter()
        .map(|v| (v.on, v.device.expect("timed").verdict, &v.measurement.subject))
        .map(|(on, verdict, subject)| {
            (on, verdict, subject.as_ref().expect("loaded").optimizations.clone())
        })
        .collect();
    assert_eq!(
        gains,
        [
            (Optimization::FusedKernels, Verdict::Helped, vec![Optimization::FusedKernels]),
            (Optimization::Streams, Verdict::Neutral, vec![Optimization::Streams]),
            (Optimization::CudaGraph, Verdict::Hurt, vec![Optimization::CudaGraph]),
        ]
    );

    let text = terminal::render(&record);
    for part in
        ["fused-kernels", "(all off)", "+100%", "helped", "neutral", "hurt", "\u{221e}", "346"]
    {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
    assert!(!text.contains("1%"), "no latency was measured:\n{text}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    record.write(&path, false).expect("written");
    assert_eq!(Record::read(&path).expect("read"), record);
}

#[test]
fn older_records_are_read_and_reported() {
    let (_, new) = record("--model 4.6 --size 64x48 --frames 5", &BlendEngines);
    let mut old = serde_json::to_value(&new).expect("JSON");
    // Fields of later versions. A latency record of a CPU may lack nothing else.
    old["settings"].as_object_mut().expect("settings").remove("modes").expect("modes");
    assert!(old.get("ablations").is_none() && old["settings"].get("further_clips").is_none());
    let measurement = &old["measurements"][0];
    for later in ["size", "device", "end_to_end", "memory"] {
        assert!(measurement.get(later).is_none() && measurement["runs"][0].get(later).is_none());
    }
    assert!(measurement["subject"].get("optimizations").is_none());
    let read: Record = serde_json::from_value(old).expect("an older record");
    assert_eq!(read, new);
    assert!(terminal::render(&read).contains("PSNR"));
}

#[test]
fn repeated_frames_are_compared_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..3u8 {
        let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([40 * i, 90, 7 * i]));
        picture.save(folder.path().join(format!("{i}.png"))).expect("a picture");
    }
    let line = format!("--model 4.6 --frames 30 --repeats 1 --input {}", folder.path().display());
    let (_, record) = record(&line, &BlendEngines);
    let fidelity = record.measurements[1].fidelity.as_ref().expect("compared");
    assert_eq!(fidelity.frames.len(), 4);
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
fn further_comparisons_are_measured_and_summarized() {
    let line = "--model 4.6 --size 48x32 --frames 3 --repeats 1 --pictures";
    let (_, record) = record(line, &gpu());
    let pairs: Vec<_> = record.comparisons.iter().map(|pair| pair.config.precision).collect();
    assert!(pairs.contains(&Precision::F16) && pairs.contains(&Precision::Tf32), "{pairs:?}");
    for m in &record.measurements {
        let pictures = m.fidelity.as_ref().expect("compared").pictures.as_ref().expect("kept");
        assert_eq!(pictures.size, Size { width: 48, height: 32 });
    }
    let text = terminal::render(&record);
    assert!(text.contains("4.6 optimized f16 vs optimized f32:"), "{text}");
}

#[test]
fn quality_is_measured_and_unsupported_profiles_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..6u8 {
        let level = image::Rgb([20 * i, 10 * i, 5]);
        let name = folder.path().join(format!("{i}.png"));
        image::RgbImage::from_pixel(40, 24, level).save(name).expect("PNG");
    }
    let engines = gpu();
    let line = format!(
        "--model 4.6 --precision f16 --size 48x32 --frames 3 --repeats 1 --profile --quality {}",
        folder.path().display()
    );
    let (_, mut record) = record(&line, &engines);
    let quality = record.quality.as_ref().expect("a quality");
    assert_eq!((quality.frames, quality.size), (6, Size { width: 40, height: 24 }));
    let truth = quality.results[0].truth.as_ref().expect("no failure");
    // Levels increase linearly, so that the mean of both neighbours is the missing frame.
    assert_eq!((truth.frames.len(), truth.psnr_db.0), (2, f64::INFINITY));
    assert_eq!(quality.blend.psnr_db.0, f64::INFINITY);
    let text = terminal::render(&record);
    assert!(text.contains("Quality against ground truth") && text.contains("blending"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    // The blending engine reports no kernel times, which is recorded as a failure.
    assert!(record.profiles.is_empty());
    let error = record.measurements[0].error.take().expect("a failure");
    assert!(error.contains("cannot profile"), "{error}");
}

/// Stops after the first frame of the second step with this name.
#[derive(Default)]
struct StopsIn {
    name: &'static str,
    seen: AtomicUsize,
    inside: AtomicBool,
    stopped: AtomicBool,
    later: Mutex<Vec<String>>,
}

impl Watcher for StopsIn {
    fn step(&self, name: &str, _frames: usize) {
        if self.stopped() {
            self.later.lock().expect("a lock").push(name.to_owned());
        }
        let second = name.contains(self.name) && self.seen.fetch_add(1, Relaxed) == 1;
        self.inside.store(second, Relaxed);
        // Profiles do not report frames.
        self.stopped.fetch_or(second && self.name == "profile", Relaxed);
    }

    fn frame(&self) {
        self.stopped.fetch_or(self.inside.load(Relaxed), Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
}

#[test]
fn stopping_at_any_step_keeps_complete_results() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..9u8 {
        let picture = image::RgbImage::from_pixel(40, 24, image::Rgb([20 * i, 10 * i, 5]));
        picture.save(folder.path().join(format!("{i}.png"))).expect("PNG");
    }
    let line = format!(
        "rife-bench --precision f16,f32 --size 48x32 --frames 4 --repeats 2 --profile --quality {}",
        folder.path().display()
    );
    let plan = Plan::new(&Args::parse_from(line.split_whitespace()), &gpu()).expect("a plan");
    for name in ["run 2", "fidelity", "profile", "ground truth"] {
        let watcher = StopsIn { name, ..StopsIn::default() };
        let results = measure_all(&plan, &gpu(), &watcher).expect("frames");
        let record = Record::new(&plan, results).expect("a record");
        assert!(watcher.stopped() && record.settings.stopped, "{name}");
        assert_eq!(*watcher.later.lock().expect("a lock"), [] as [&str; 0], "after {name}");
        let failed: Vec<_> = record
            .measurements
            .iter()
            .filter_map(|m| m.error.as_deref().filter(|e| !e.contains("cannot profile")))
            .collect();
        assert!(failed.is_empty(), "{name}: {failed:?}");
        // Only complete comparisons are kept: the second one was interrupted.
        let truths = record.quality.iter().flat_map(|quality| &quality.results);
        let frames: Vec<_> =
            truths.map(|r| r.truth.as_ref().expect("no failure").frames.len()).collect();
        let whole: &[usize] = if name == "ground truth" { &[4] } else { &[] };
        assert_eq!(frames, whole, "{name}");
        assert!(!terminal::render(&record).is_empty());
    }
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
