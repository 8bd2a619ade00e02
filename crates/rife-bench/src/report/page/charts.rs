//! The charts of a record.

use maud::{Markup, html};

use crate::kernels::FrameTimes;
use crate::kernels::rows::Row;
use crate::kernels::stages::stages;
use crate::measure::Measurement;
use crate::measure::ablation::{Ablation, Gain};
use crate::measure::peers::Peer;
use crate::measure::quality::Quality;
use crate::measure::scaling::{Axis, ScalingPoint};
use crate::record::Record;
use crate::report::chart::{Bar, Bars, Group, Line, Lines};
use crate::report::facts::{engine_mib, peak_mib, rank};
use crate::report::figures::{change, db, share, three};
use crate::report::tables::ablation::{off_alone, on_alone, optimizations};
use crate::report::tables::profile;
use crate::report::tables::speed::fps_quartiles;
use crate::subject::{Case, Device, Optimization, Size};

/// Rows of kernels that a chart has room for.
const KERNELS: usize = 12;

/// Frames a second of each configuration.
pub fn speed(measurements: &[&Measurement], size: Size) -> Markup {
    let bar = |series, fps, spread| Bar { spread: Some(spread), ..Bar::of(series, fps) };
    let group = |m: &&Measurement| {
        let (latency, fed, device) = (m.summary.as_ref(), m.end_to_end.as_ref(), m.device.as_ref());
        let bars = [
            latency.map(|s| bar(0, s.fps, fps_quartiles(&s.frame_ms))),
            fed.map(|e| bar(1, e.fps, (e.run_fps.p25, e.run_fps.p75))),
            device.map(|d| bar(2, d.fps, fps_quartiles(&d.frame_ms))),
        ];
        Group { name: m.case.to_string(), bars: bars.into_iter().flatten().collect() }
    };
    Bars {
        title: format!("Speed at {size}"),
        axis: "generated frames a second".into(),
        series: Bars::series(&["one at a time", "end to end", "on the device"]),
        groups: groups(measurements.iter().map(group)),
    }
    .render()
}

/// Memory of each configuration.
pub fn memory(record: &Record, measurements: &[&Measurement], size: Size) -> Markup {
    let peak = match record.settings.device {
        Device::Cpu => "peak of the process",
        Device::Cuda(_) => "peak on the GPU (NVML)",
    };
    let group = |m: &&Measurement| {
        let seen = [engine_mib(m), peak_mib(record, m)].into_iter().enumerate();
        let bars = seen.filter_map(|(series, mib)| Some(Bar::of(series, mib?))).collect();
        Group { name: m.case.to_string(), bars }
    };
    Bars {
        title: format!("Memory at {size}"),
        axis: "MiB".into(),
        series: Bars::series(&["held by the engine", peak]),
        groups: groups(measurements.iter().map(group)),
    }
    .render()
}

fn groups(groups: impl Iterator<Item = Group>) -> Vec<Group> {
    groups.filter(|group| !group.bars.is_empty()).collect()
}

/// Others beside ours, model by model and size by size.
pub fn peers(peers: &[Peer]) -> Markup {
    let mut kinds = Vec::new();
    for peer in peers {
        if !kinds.contains(&(peer.model, peer.size)) {
            kinds.push((peer.model, peer.size));
        }
    }
    let chart = |(model, size)| {
        let of = peers.iter().filter(move |peer| (peer.model, peer.size) == (model, size));
        let mut of: Vec<_> = of.filter_map(|peer| Some((peer, peer.fps?))).collect();
        of.sort_by(|a, b| b.1.total_cmp(&a.1));
        let group = |(peer, fps): &(&Peer, f64)| {
            let spread = peer.frame_ms.as_ref().map(fps_quartiles);
            let bar = Bar { spread, ..Bar::of(usize::from(peer.ours), *fps) };
            Group { name: peer.name.clone(), bars: vec![bar] }
        };
        Bars {
            title: format!("{model} at {size}"),
            axis: "generated frames a second".into(),
            series: Bars::series(&["others", "this project"]),
            groups: of.iter().map(group).collect(),
        }
        .render()
    };
    html! { @for kind in kinds { (chart(kind)) } }
}

/// What each optimization of a configuration gains, off alone and on alone.
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
        let series = ["helped", "neutral", "hurt"].map(|name| (name.to_owned(), name.to_owned()));
        Bars {
            title: title.into(),
            axis: "gain in frames a second, %; whiskers: least to most of the runs".into(),
            series: series.into(),
            groups: optimizations(ablation).into_iter().filter_map(group).collect(),
        }
        .render()
    };
    html! {
        (chart("Off alone: what each adds to all others, on the device", &|one| {
            off_alone(ablation, one)?.device
        }))
        (chart("Off alone, end to end", &|one| off_alone(ablation, one)?.end_to_end))
        (chart("On alone: what each does by itself, on the device", &|one| {
            on_alone(ablation, one)?.device
        }))
        (chart("On alone, end to end", &|one| on_alone(ablation, one)?.end_to_end))
    }
}

/// A frame's time by stage and by kernel.
pub fn profile(frame: &FrameTimes) -> Markup {
    let all = profile::sum_ms(frame);
    let chart = |title: &str, rows: Vec<Row>| {
        let group = |row: &Row| {
            let text = format!("{} ms, {}%", three(row.ms), share(Some(row.ms / all)));
            let mut bars = vec![Bar { text: three(row.ms), ..Bar::of(0, row.ms) }];
            bars.extend(row.floor_ms.map(|floor| Bar::of(1, floor)));
            Group { name: format!("{}: {text}", row.name), bars }
        };
        Bars {
            title: title.into(),
            axis: "ms".into(),
            series: Bars::series(&["taken", "least on this device"]),
            groups: rows.iter().map(group).collect(),
        }
        .render()
    };
    let mut kernels = profile::kernels(frame);
    kernels.truncate(KERNELS);
    html! {
        (chart("By stage", stages(frame)))
        (chart("By kernel, the most expensive", kernels))
    }
}

/// Configurations against the truth.
pub fn quality(quality: &Quality) -> Markup {
    let bar = |series, psnr| Bar { text: db(psnr), ..Bar::of(series, psnr.0) };
    let blend = Group { name: "blending".into(), bars: vec![bar(0, quality.blend.psnr_db)] };
    let results = quality.results.iter().filter_map(|result| {
        let bars = vec![bar(1, result.truth.as_ref()?.psnr_db)];
        Some(Group { name: result.case.to_string(), bars })
    });
    Bars {
        title: format!("PSNR against the truth, {}", quality.clip),
        axis: "dB".into(),
        series: Bars::series(&["blending", "interpolated"]),
        groups: [blend].into_iter().chain(results).collect(),
    }
    .render()
}

/// How cost grows with each axis.
pub fn scaling(points: &[ScalingPoint]) -> Markup {
    let fps = |point: &ScalingPoint| point.fps.or(point.device_fps);
    let memory = |point: &ScalingPoint| {
        let engine = point.memory.map(|memory| memory.device_mib);
        engine.or(point.peak_gpu_mib).or(point.peak_rss_mib)
    };
    let pixels = |point: &ScalingPoint| point.size.pixels() as f64;
    let places = |axis| {
        let mut places: Vec<(f64, String)> = points
            .iter()
            .filter(|point| point.axis == axis)
            .map(|point| (pixels(point), point.size.to_string()))
            .collect();
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        places.dedup();
        places
    };
    let counted = |title: &str, across: &str, axis, count: &dyn Fn(&ScalingPoint) -> f64| Lines {
        title: title.into(),
        across: across.into(),
        up: "generated frames a second".into(),
        logarithmic: false,
        places: Vec::new(),
        lines: lines(points, axis, &|point| Some((count(point), fps(point)?))),
    };
    let by_size = |title: &str, up: &str, of: &dyn Fn(&ScalingPoint) -> Option<f64>| Lines {
        title: title.into(),
        across: "size of the frames, px".into(),
        up: up.into(),
        logarithmic: true,
        places: places(Axis::Size),
        lines: lines(points, Axis::Size, &|point| Some((pixels(point), of(point)?))),
    };
    let threads = |point: &ScalingPoint| point.threads.map_or(f64::NAN, |threads| threads as f64);
    html! {
        (by_size("Time of a frame over its size", "ms a frame", &|p| fps(p).map(|v| 1000.0 / v))
            .render())
        (by_size("Memory over the size of the frames", "MiB", &memory).render())
        (counted("Speed over threads", "threads", Axis::Threads, &threads).render())
        (counted("Speed over batch", "frames at once", Axis::Batch, &|p| p.batch as f64).render())
        (counted("Speed over pairs", "pairs at once", Axis::Pairs, &|p| p.batch as f64).render())
    }
}

fn lines(
    points: &[ScalingPoint],
    axis: Axis,
    place: &dyn Fn(&ScalingPoint) -> Option<(f64, f64)>,
) -> Vec<Line> {
    let mut cases: Vec<Case> = Vec::new();
    for point in points.iter().filter(|point| point.axis == axis) {
        if !cases.contains(&point.case) {
            cases.push(point.case);
        }
    }
    let line = |case: Case| {
        let of = points.iter().filter(|point| (point.axis, point.case) == (axis, case));
        let mut points: Vec<_> = of.filter_map(place).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line { name: case.to_string(), points }
    };
    cases.into_iter().map(line).collect()
}
