//! The report on a terminal.

use rife_bench::measure::Summary;
use rife_bench::measure::gpu::GpuUse;
use rife_bench::measure::throughput::{DeviceRun, EndToEnd, EndToEndRun, OnDevice};
use rife_bench::report::{terminal, warnings};
use rife_bench::stats::Spread;
use rife_bench::subject::{Device, Engine, EngineMemory, Optimization};

use crate::blend::BlendEngines;
use crate::record;

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
