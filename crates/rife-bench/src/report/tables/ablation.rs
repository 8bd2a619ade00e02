//! Effects of optimizations: disabled alone, and enabled alone.

use super::note_failure;
use crate::distinct::distinct;
use crate::measure::Measurement;
use crate::measure::ablation::{Ablation, DisabledAlone, EnabledAlone, Gain};
use crate::record::Record;
use crate::report::facts::{end_to_end_fps, engine_mib, median_run_fps, rank};
use crate::report::figures::{NOTHING, change, fidelity, gain, known, mib_more};
use crate::report::grid::{Grid, figure, word};
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
    let mut grid = Grid::new(format!("Effect of each optimization: {}", ablation.all.name()));
    let all = &ablation.all;
    let memory_due_to = |without: Option<&Measurement>| {
        let memory = engine_mib(all).zip(without.and_then(engine_mib));
        mib_more(memory.map(|(with, without)| with - without))
    };
    let mut row = |name: &str,
                   m: Option<&Measurement>,
                   memory: String,
                   off: Option<&DisabledAlone>,
                   on: Option<&EnabledAlone>| {
        let [psnr, error] = fidelity(m.and_then(|m| m.fidelity.as_ref()));
        grid.row(vec![
            word("optimization", name),
            figure("device fps without", known(m.and_then(median_run_fps))),
            figure("gain, disabled alone", gain(off.and_then(|v| v.device.as_ref()))),
            figure("end-to-end fps without", known(m.and_then(end_to_end_fps))),
            figure("gain, disabled alone", gain(off.and_then(|v| v.end_to_end.as_ref()))),
            figure("device gain, enabled alone", gain(on.and_then(|v| v.device.as_ref()))),
            figure("end-to-end gain, enabled alone", gain(on.and_then(|v| v.end_to_end.as_ref()))),
            figure("memory MiB", memory),
            figure("PSNR without dB", psnr),
            figure("max error without /255", error),
            word("verdict", verdict(off, on)),
        ]);
    };
    row("(all on)", Some(all), known(engine_mib(all)), None, None);
    for one in optimizations(ablation) {
        let (off, on) = (disabled_alone(ablation, one), enabled_alone(ablation, one));
        let without = off.map(|variant| &variant.measurement);
        row(one.as_str(), without, memory_due_to(without), off, on);
    }
    if let Some(alone) = &ablation.alone {
        row("(all off)", Some(&alone.none), memory_due_to(Some(&alone.none)), None, None);
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
    let mut grid = Grid::new("Every optimization");
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
        let [off_device, off_end_to_end, on_device, on_end_to_end] =
            gains.each_ref().map(|gains| range(gains));
        let [helped, neutral, hurt] = counts.map(|count| count.to_string());
        grid.row(vec![
            word("optimization", one.as_str()),
            word("what it does", what),
            word("in PyTorch", pytorch),
            figure("disabled alone, device", off_device),
            figure("disabled alone, end to end", off_end_to_end),
            figure("enabled alone, device", on_device),
            figure("enabled alone, end to end", on_end_to_end),
            figure("helped", helped),
            figure("neutral", neutral),
            figure("hurt", hurt),
        ]);
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
