//! Effects of optimizations: disabled alone, and enabled alone.

use super::note_failure;
use crate::distinct::distinct;
use crate::measure::Measurement;
use crate::measure::ablation::{Ablation, DisabledAlone, EnabledAlone, Gain};
use crate::record::Record;
use crate::report::facts::{end_to_end_fps, engine_mib, median_run_fps, rank};
use crate::report::figures::{NOTHING, change, fidelity, gain, known, mib_more};
use crate::report::grid::Grid;
use crate::report::optimizations::explain;
use crate::subject::Optimization;

/// Explanation of the table.
pub const LEGEND: &str = "Gain: change in frames per second from having the optimization, in \
    addition to all others (disabled alone) or without any other (enabled alone). Helped or hurt: \
    no run with it overlaps a run without it, and the gain exceeds the noise between runs of the \
    same configuration, estimated over all configurations. Memory: of the engine with all \
    optimizations, then the part due to each. PSNR and max error: relative to all optimizations \
    on; \u{221e} means identical frames.";

const SINGLE_RUN: &str = "Some verdicts are based on single runs, whose spread is unknown. Between \
    single runs, gains below 3% count as neutral; use more --repeats for reliable verdicts.";

/// A configuration with all optimizations, and the effect of each one.
pub fn grid(ablation: &Ablation) -> Grid {
    let mut grid = Grid::new(format!("Effect of each optimization: {}", ablation.all.name()))
        .words(&["optimization"])
        .figures(&[
            "device fps without",
            "gain, disabled alone",
            "end-to-end fps without",
            "gain, disabled alone",
            "device gain, enabled alone",
            "end-to-end gain, enabled alone",
            "memory MiB",
            "PSNR without dB",
            "max error without /255",
        ])
        .words(&["verdict"]);
    let all = &ablation.all;
    let memory_due_to = |without: Option<&Measurement>| {
        let memory = engine_mib(all).zip(without.and_then(engine_mib));
        mib_more(memory.map(|(with, without)| with - without))
    };
    let row = |name: &str, m: &Measurement, memory: String| {
        let nothing = || NOTHING.to_owned();
        let fps = [name.into(), known(median_run_fps(m)), nothing(), known(end_to_end_fps(m))];
        let gains = [nothing(), nothing(), nothing(), memory];
        fps.into_iter().chain(gains).chain(fidelity(m.fidelity.as_ref())).collect::<Vec<_>>()
    };
    grid.row(row("(all on)", all, known(engine_mib(all))));
    for one in optimizations(ablation) {
        let (off, on) = (disabled_alone(ablation, one), enabled_alone(ablation, one));
        let without = off.map(|variant| &variant.measurement);
        let cells = [
            one.to_string(),
            known(without.and_then(median_run_fps)),
            gain(off.and_then(|v| v.device.as_ref())),
            known(without.and_then(end_to_end_fps)),
            gain(off.and_then(|v| v.end_to_end.as_ref())),
            gain(on.and_then(|v| v.device.as_ref())),
            gain(on.and_then(|v| v.end_to_end.as_ref())),
            memory_due_to(without),
        ];
        let fidelity = fidelity(without.and_then(|m| m.fidelity.as_ref()));
        grid.row(cells.into_iter().chain(fidelity).chain([verdict(off, on)]));
    }
    if let Some(alone) = &ablation.alone {
        grid.row(row("(all off)", &alone.none, memory_due_to(Some(&alone.none))));
    }
    let compared =
        ablation.all_measurements().filter_map(|m| Some(m.fidelity.as_ref()?.frames.len()));
    if let Some(frames) = compared.min() {
        grid.note(format!("PSNR and max error are over {frames} frames."));
    }
    if ablation.has_single_run() {
        grid.note(SINGLE_RUN);
    }
    for m in ablation.all_measurements() {
        note_failure(&mut grid, m);
    }
    grid.without_empty_columns()
}

/// The measured optimizations, in order.
pub fn optimizations(ablation: &Ablation) -> Vec<Optimization> {
    let off = ablation.without.iter().map(|variant| variant.off);
    let on = ablation.alone.iter().flat_map(|alone| alone.with.iter().map(|variant| variant.on));
    distinct(off.chain(on))
}

/// The variant with only this optimization disabled.
pub fn disabled_alone(ablation: &Ablation, one: Optimization) -> Option<&DisabledAlone> {
    ablation.without.iter().find(|variant| variant.off == one)
}

/// The variant with only this optimization enabled.
pub fn enabled_alone(ablation: &Ablation, one: Optimization) -> Option<&EnabledAlone> {
    ablation.alone.as_ref()?.with.iter().find(|variant| variant.on == one)
}

/// The first verdict, then those that differ from it.
fn verdict(off: Option<&DisabledAlone>, on: Option<&EnabledAlone>) -> String {
    let verdict = |gain: Option<Gain>| gain.map(|gain| gain.verdict);
    let all = [
        ("on the device", off.and_then(|v| verdict(v.device))),
        ("end to end", off.and_then(|v| verdict(v.end_to_end))),
        ("alone on the device", on.and_then(|v| verdict(v.device))),
        ("alone end to end", on.and_then(|v| verdict(v.end_to_end))),
    ];
    let known: Vec<_> = all.into_iter().filter_map(|(how, v)| Some((how, v?))).collect();
    let Some((_, first)) = known.first() else { return NOTHING.into() };
    let others = known.iter().filter(|(_, v)| v != first).map(|(how, v)| format!(", {v} {how}"));
    format!("{first}{}", others.collect::<String>())
}

/// Each optimization over all configurations of some records.
pub fn overview(records: &[&Record]) -> Grid {
    let mut grid = Grid::new("Every optimization")
        .words(&["optimization", "what it does", "in PyTorch"])
        .figures(&[
            "disabled alone, device",
            "disabled alone, end to end",
            "enabled alone, device",
            "enabled alone, end to end",
            "helped",
            "neutral",
            "hurt",
        ]);
    let ablations: Vec<&Ablation> = records.iter().flat_map(|record| &record.ablations).collect();
    for one in Optimization::ALL {
        let off = || ablations.iter().filter_map(|ablation| disabled_alone(ablation, one));
        let on = || ablations.iter().filter_map(|ablation| enabled_alone(ablation, one));
        let gains: [Vec<Gain>; 4] = [
            off().filter_map(|v| v.device).collect(),
            off().filter_map(|v| v.end_to_end).collect(),
            on().filter_map(|v| v.device).collect(),
            on().filter_map(|v| v.end_to_end).collect(),
        ];
        let mut counts = [0usize; 3];
        for gain in gains.iter().flatten() {
            if let Some(count) = counts.get_mut(rank(gain.verdict)) {
                *count += 1;
            }
        }
        if counts == [0; 3] {
            continue;
        }
        let (what, pytorch) = explain(one);
        let mut cells = vec![one.to_string(), what.into(), pytorch.into()];
        cells.extend(gains.iter().map(|gains| range(gains)));
        cells.extend(counts.map(|count| count.to_string()));
        grid.row(cells);
    }
    grid.note(
        "Gains in frames per second, from the smallest to the largest over all models and \
         precisions. Disabled alone: in addition to all others. Enabled alone: without any other. \
         Each gain counts as one verdict.",
    );
    if ablations.iter().any(|ablation| ablation.has_single_run()) {
        grid.note(SINGLE_RUN);
    }
    grid.without_empty_columns()
}

fn range(gains: &[Gain]) -> String {
    let gains = || gains.iter().map(|gain| gain.gain).filter(|gain| gain.is_finite());
    match gains().reduce(f64::min).zip(gains().reduce(f64::max)) {
        None => NOTHING.into(),
        Some((least, most)) if change(least) == change(most) => change(least),
        Some((least, most)) => format!("{} to {}", change(least), change(most)),
    }
}
