//! The charts of a record.

use maud::{Markup, html};

use crate::distinct::distinct;
use crate::measure::Measurement;
use crate::measure::ablation::{Ablation, Gain};
use crate::measure::kernels::FrameTimes;
use crate::measure::peers::Peer;
use crate::measure::quality::Quality;
use crate::measure::scaling::{Axis, ScalingPoint};
use crate::record::Record;
use crate::report::chart::{Bar, Bars, Group, Lines};
use crate::report::facts::{engine_mib, is_gpu, peak_mib, rank};
use crate::report::figures::{change, db, share, three};
use crate::report::kernels::rows::Row;
use crate::report::kernels::stages::stages;
use crate::report::tables::ablation::{disabled_alone, enabled_alone, optimizations};
use crate::report::tables::profile;
use crate::report::tables::speed::fps_quartiles;
use crate::subject::{Config, Optimization, Size};

/// Label of axes.
const FPS: &str = "interpolated frames per second";
/// Number of kernels in a chart.
const KERNELS: usize = 12;

/// Speed of each configuration.
pub fn speed(measurements: &[&Measurement], size: Size) -> Markup {
    let bar = |series, fps, spread| Bar { spread: Some(spread), ..Bar::of(series, fps) };
    let group = |m: &&Measurement| {
        let (latency, end_to_end, device) =
            (m.summary.as_ref(), m.end_to_end.as_ref(), m.device.as_ref());
        let bars = [
            latency.map(|s| bar(0, s.fps, fps_quartiles(&s.frame_ms))),
            end_to_end.map(|e| bar(1, e.fps, (e.run_fps.p25, e.run_fps.p75))),
            device.map(|d| bar(2, d.fps, fps_quartiles(&d.frame_ms))),
        ];
        Group { name: m.config.to_string(), bars: bars.into_iter().flatten().collect() }
    };
    let series = ["latency", "end to end", "device"];
    Bars::new(format!("Speed at {size}"), FPS, &series, measurements.iter().map(group)).render()
}

/// Memory of each configuration.
pub fn memory(record: &Record, measurements: &[&Measurement], size: Size) -> Markup {
    let peak = if is_gpu(record) { "GPU peak (NVML)" } else { "process peak" };
    let group = |m: &&Measurement| {
        let memory = [engine_mib(m), peak_mib(record, m)].into_iter().enumerate();
        let bars = memory.filter_map(|(series, mib)| Some(Bar::of(series, mib?))).collect();
        Group { name: m.config.to_string(), bars }
    };
    let groups = measurements.iter().map(group);
    Bars::new(format!("Memory at {size}"), "MiB", &["engine", peak], groups).render()
}

/// Other implementations and ours, for each model and size.
pub fn peers(peers: &[Peer]) -> Markup {
    let kinds = distinct(peers.iter().map(|peer| (peer.model, peer.size)));
    let chart = |(model, size)| {
        let of = peers.iter().filter(move |peer| (peer.model, peer.size) == (model, size));
        let mut of: Vec<_> = of.filter_map(|peer| Some((peer, peer.fps?))).collect();
        of.sort_by(|a, b| b.1.total_cmp(&a.1));
        let group = |(peer, fps): &(&Peer, f64)| {
            let spread = peer.frame_ms.as_ref().map(fps_quartiles);
            let bar = Bar { spread, ..Bar::of(usize::from(peer.ours), *fps) };
            Group { name: peer.name.clone(), bars: vec![bar] }
        };
        let series = ["other implementations", "this project"];
        Bars::new(format!("{model} at {size}"), FPS, &series, of.iter().map(group)).render()
    };
    html! { @for kind in kinds { (chart(kind)) } }
}

/// The gain of each optimization, disabled alone and enabled alone.
pub fn gains(ablation: &Ablation) -> Markup {
    let chart = |title: &str, of: &dyn Fn(Optimization) -> Option<Gain>| {
        let group = |one: Optimization| {
            let gain = of(one)?;
            let bar = Bar {
                series: rank(gain.verdict),
                value: 100.0 * gain.gain,
                spread: Some((100.0 * gain.least, 100.0 * gain.most)),
                text: change(gain.gain),
            };
            Some(Group { name: format!("{one}: {}", gain.verdict), bars: vec![bar] })
        };
        let series = ["helped", "neutral", "hurt"].map(|name| (name, name)).into();
        let axis = "gain in frames per second, %; whiskers: range of the runs";
        let groups = optimizations(ablation).into_iter().filter_map(group);
        Bars { series, ..Bars::new(title, axis, &[], groups) }.render()
    };
    html! {
        (chart("Disabled alone: gain on top of all others, device", &|one| {
            disabled_alone(ablation, one)?.device
        }))
        (chart("Disabled alone, end to end", &|one| disabled_alone(ablation, one)?.end_to_end))
        (chart("Enabled alone: gain without any other, device", &|one| {
            enabled_alone(ablation, one)?.device
        }))
        (chart("Enabled alone, end to end", &|one| enabled_alone(ablation, one)?.end_to_end))
    }
}

/// A frame's time by stage and by kernel.
pub fn profile(frame: &FrameTimes) -> Markup {
    let all = profile::sum_ms(frame);
    let chart = |title: &str, rows: Vec<Row>| {
        let group = |row: &Row| {
            let text = format!("{} ms, {}%", three(row.ms), share(Some(row.ms / all)));
            let mut bars = vec![Bar { text: three(row.ms), ..Bar::of(0, row.ms) }];
            bars.extend(row.roofline_ms.map(|roofline| Bar::of(1, roofline)));
            Group { name: format!("{}: {text}", row.name), bars }
        };
        Bars::new(title, "ms", &["measured", "roofline"], rows.iter().map(group)).render()
    };
    let mut kernels = profile::kernels(frame);
    kernels.truncate(KERNELS);
    html! {
        (chart("By stage", stages(frame)))
        (chart("By kernel, the slowest", kernels))
    }
}

/// Configurations against ground truth.
pub fn quality(quality: &Quality) -> Markup {
    let bar = |series, psnr| Bar { text: db(psnr), ..Bar::of(series, psnr.0) };
    let blend = Group { name: "blending".into(), bars: vec![bar(0, quality.blend.psnr_db)] };
    let results = quality.results.iter().filter_map(|result| {
        let bars = vec![bar(1, result.truth.as_ref()?.psnr_db)];
        Some(Group { name: result.config.to_string(), bars })
    });
    let title = format!("PSNR against ground truth, {}", quality.clip);
    let groups = [blend].into_iter().chain(results);
    Bars::new(title, "dB", &["blending", "interpolated"], groups).render()
}

/// Scaling along each axis.
pub fn scaling(points: &[ScalingPoint]) -> Markup {
    let fps = |point: &ScalingPoint| point.fps.or(point.device_fps);
    let memory = |point: &ScalingPoint| {
        let engine = point.memory.map(|memory| memory.device_mib);
        engine.or(point.peak_gpu_mib).or(point.peak_rss_mib)
    };
    let pixels = |point: &ScalingPoint| point.size.pixels() as f64;
    let names = |axis| {
        let mut names: Vec<(f64, String)> = points
            .iter()
            .filter(|point| point.axis == axis)
            .map(|point| (pixels(point), point.size.to_string()))
            .collect();
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        names.dedup();
        names
    };
    let counted = |title: &str, x: &str, axis, count: &dyn Fn(&ScalingPoint) -> f64| Lines {
        title: title.into(),
        x: x.into(),
        y: FPS.into(),
        logarithmic: false,
        names: Vec::new(),
        lines: lines(points, axis, &|point| Some((count(point), fps(point)?))),
    };
    let by_size = |title: &str, y: &str, of: &dyn Fn(&ScalingPoint) -> Option<f64>| Lines {
        title: title.into(),
        x: "frame size, px".into(),
        y: y.into(),
        logarithmic: true,
        names: names(Axis::Size),
        lines: lines(points, Axis::Size, &|point| Some((pixels(point), of(point)?))),
    };
    let threads = |point: &ScalingPoint| point.threads.map_or(f64::NAN, |threads| threads as f64);
    html! {
        (by_size("Frame time by frame size", "ms per frame", &|p| fps(p).map(|v| 1000.0 / v))
            .render())
        (by_size("Memory by frame size", "MiB", &memory).render())
        (counted("Speed by threads", "threads", Axis::Threads, &threads).render())
        (counted("Speed by batch size", "frames per call", Axis::Batch, &|p| p.batch as f64).render())
        (counted("Speed by pairs per call", "pairs per call", Axis::Pairs, &|p| p.batch as f64).render())
    }
}

fn lines(
    points: &[ScalingPoint],
    axis: Axis,
    place: &dyn Fn(&ScalingPoint) -> Option<(f64, f64)>,
) -> Vec<(String, Vec<(f64, f64)>)> {
    let of_axis = points.iter().filter(|point| point.axis == axis);
    let configs = distinct(of_axis.map(|point| point.config));
    let line = |config: Config| {
        let of = points.iter().filter(|point| (point.axis, point.config) == (axis, config));
        let mut points: Vec<_> = of.filter_map(place).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (config.to_string(), points)
    };
    configs.into_iter().map(line).collect()
}
