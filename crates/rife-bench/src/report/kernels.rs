//! Report of kernel timings.

pub mod rows;
pub mod stages;

use super::figures::{known, share, three};
use super::grid::Grid;
use super::text::clean_lines;
use crate::measure::kernels::FrameTimes;
use crate::record::KernelRecord;
use crate::subject::{Device, cuda_ordinal};
use rows::Row;

/// A record of kernel timings as text. With `each`, every launch has its own row; otherwise similar
/// launches are grouped.
pub fn render(record: &KernelRecord, each: bool) -> String {
    let unit = Unit::of(record.device);
    let tables: Vec<_> =
        record.frames.iter().map(|frame| grid(frame, unit, each).terminal()).collect();
    clean_lines(&tables.join("\n"))
}

/// Prefix of rates.
#[derive(Clone, Copy)]
struct Unit {
    prefix: char,
    factor: f64,
}

impl Unit {
    fn of(device: Device) -> Self {
        match cuda_ordinal(device) {
            None => Self { prefix: 'G', factor: 1e9 },
            Some(_) => Self { prefix: 'T', factor: 1e12 },
        }
    }
}

fn grid(frame: &FrameTimes, unit: Unit, each: bool) -> Grid {
    let (launches, ceilings) = (&frame.launches, frame.ceilings);
    let rates = ["FLOP/s", "B/s"].map(|rate| format!("{}{rate}", unit.prefix));
    let caption = format!("{} at {} on {}", frame.config, frame.size, frame.subject.device);
    let mut grid = Grid::new(caption).words(&["layers"]).figures(&[
        "ms",
        "share %",
        &rates[0],
        &rates[1],
        "roofline ms",
        "of roofline %",
    ]);
    let rows = if each {
        grid = grid.words(&["kernel"]);
        rows::each(launches, ceilings)
    } else {
        rows::grouped(launches, ceilings)
    };
    let total = rows::total(launches, ceilings);
    for row in rows.iter().chain([&total]) {
        // Zero means that there is no such work, or that it is unknown.
        let rate = |v: f64| known(Some(v / unit.factor).filter(|v| *v > 0.0));
        grid.row(
            [
                row.name.clone(),
                format!("{:.4}", row.ms),
                share(Some(row.ms / total.ms)),
                rate(row.flops_per_second()),
                rate(row.bytes_per_second()),
                known(row.roofline_ms),
                share(row.share_of_roofline()),
                row.kernel.clone(),
            ]
            .into_iter()
            .take(if each { 8 } else { 7 }),
        );
    }
    if let Some(ceilings) = ceilings {
        grid.note(format!(
            "Peak throughput of the device: {} {p}FLOP/s and {} {p}B/s.",
            three(ceilings.flops / unit.factor),
            three(ceilings.bytes / unit.factor),
            p = unit.prefix
        ));
    }
    grid.note(whole_frame(frame, &total));
    if launches.iter().any(|launch| launch.kernel.contains("winograd")) {
        grid.note(
            "Rates and rooflines count the layer's operations as published. Winograd convolutions \
             need a quarter of the multiplications and can exceed 100% of the roofline.",
        );
    }
    grid
}

/// The whole frame compared with the sum of its launches: overlap makes it shorter, gaps longer.
fn whole_frame(frame: &FrameTimes, total: &Row) -> String {
    let Some(whole) = frame.whole_ms else {
        return format!("{} launches; the whole frame was not timed.", total.launches);
    };
    let difference = whole.median / total.ms - 1.0;
    let than = if difference < 0.0 { "less" } else { "more" };
    let roofline = total
        .roofline_ms
        .map(|roofline| format!(", {}% of its roofline", share(Some(roofline / whole.median))));
    format!(
        "{} launches. Whole frame: {:.4} ms (median of {}), {}% {than} than the sum{}.",
        total.launches,
        whole.median,
        whole.samples,
        share(Some(difference.abs())),
        roofline.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use anyhow::Result;
    use clap::Parser;

    use super::*;
    use crate::args::{Command, CommandLine};
    use crate::measure::kernels::measure;
    use crate::plan::KernelPlan;
    use crate::subject::blend::{BlendEngines, BlendOnGpu, Simulated};
    use crate::subject::{Ceilings, Engines, KernelTime};

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
        record.write(&path, false).expect("written");
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
}
