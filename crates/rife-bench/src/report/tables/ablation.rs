//! What each optimization is worth: off alone, and on alone.

use super::note_failure;
use crate::measure::ablation::{Ablation, AloneVariant, Gain, Variant};
use crate::record::Record;
use crate::report::facts::{end_to_end_fps, engine_mib, median_run_fps, rank};
use crate::report::figures::{NOTHING, change, db, gain, known, mib_more, of_255};
use crate::report::grid::Grid;
use crate::report::optimizations::explained;
use crate::subject::Optimization;

/// What the words of the table mean.
pub const LEGEND: &str = "The gain is that of having the optimization, in frames a second: beside \
    all others (off alone) and without any other (on alone). It helped or hurt where no run with \
    it and none without it overlap and the gain is more than what runs of one configuration differ \
    by, these and those of all the others. Memory is what the \
    engine holds with everything on, then how much of it is due to the optimization. PSNR and \
    error are against everything on: \u{221e} where frames stay the same.";

const ONE_RUN: &str = "Some verdicts rest on one run, of which nothing tells the spread; where both sides of one do, \
     a gain of less than 3 % is taken for none.";

/// A configuration with everything on, and each of its optimizations.
pub fn of(ablation: &Ablation) -> Grid {
    let mut grid = Grid::new(format!("What each optimization is worth: {}", ablation.all.name()))
        .words(&["optimization"])
        .figures(&[
            "device fps without",
            "gain, off alone",
            "end-to-end fps without",
            "gain, off alone",
            "device gain, on alone",
            "end-to-end gain, on alone",
            "memory MiB",
            "PSNR without dB",
            "max error without /255",
        ])
        .words(&["verdict"]);
    let all = &ablation.all;
    let mut row = vec!["(all on)".into(), known(median_run_fps(all)), NOTHING.into()];
    row.extend([known(end_to_end_fps(all)), NOTHING.into(), NOTHING.into(), NOTHING.into()]);
    row.push(known(engine_mib(all)));
    grid.row(row);
    for one in optimizations(ablation) {
        let (off, on) = (off_alone(ablation, one), on_alone(ablation, one));
        let seen = off.map(|variant| &variant.seen);
        let fidelity = seen.and_then(|m| m.fidelity.as_ref());
        let memory = engine_mib(all).zip(seen.and_then(engine_mib));
        grid.row(vec![
            one.to_string(),
            known(seen.and_then(median_run_fps)),
            gain(off.and_then(|v| v.device.as_ref())),
            known(seen.and_then(end_to_end_fps)),
            gain(off.and_then(|v| v.end_to_end.as_ref())),
            gain(on.and_then(|v| v.device.as_ref())),
            gain(on.and_then(|v| v.end_to_end.as_ref())),
            mib_more(memory.map(|(with, without)| with - without)),
            fidelity.map_or_else(|| NOTHING.into(), |f| db(f.psnr_db)),
            fidelity.map_or_else(|| NOTHING.into(), |f| of_255(f.max_error)),
            verdict(off, on),
        ]);
    }
    if let Some(alone) = &ablation.alone {
        let none = &alone.none;
        let mut row = vec!["(all off)".into(), known(median_run_fps(none)), NOTHING.into()];
        row.extend([known(end_to_end_fps(none)), NOTHING.into(), NOTHING.into(), NOTHING.into()]);
        let memory = engine_mib(all).zip(engine_mib(none));
        row.push(mib_more(memory.map(|(with, without)| with - without)));
        let fidelity = none.fidelity.as_ref();
        row.push(fidelity.map_or_else(|| NOTHING.into(), |f| db(f.psnr_db)));
        row.push(fidelity.map_or_else(|| NOTHING.into(), |f| of_255(f.max_error)));
        grid.row(row);
    }
    let compared = ablation.seen().filter_map(|seen| Some(seen.fidelity.as_ref()?.frames.len()));
    if let Some(frames) = compared.min() {
        grid.note(format!("PSNR and error are of {frames} frames."));
    }
    if ablation.rests_on_one_run() {
        grid.note(ONE_RUN);
    }
    for seen in ablation.seen() {
        note_failure(&mut grid, seen);
    }
    grid.without_empty_columns()
}

/// The optimizations that were looked at, in order.
pub fn optimizations(ablation: &Ablation) -> Vec<Optimization> {
    let off = ablation.without.iter().map(|variant| variant.off);
    let on = ablation.alone.iter().flat_map(|alone| alone.with.iter().map(|variant| variant.on));
    let mut all = Vec::new();
    for one in off.chain(on) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// Everything else on.
pub fn off_alone(ablation: &Ablation, one: Optimization) -> Option<&Variant> {
    ablation.without.iter().find(|variant| variant.off == one)
}

/// Nothing else on.
pub fn on_alone(ablation: &Ablation, one: Optimization) -> Option<&AloneVariant> {
    ablation.alone.as_ref()?.with.iter().find(|variant| variant.on == one)
}

/// In words: where it is worth the same everywhere in one, else each that differs from the first.
fn verdict(off: Option<&Variant>, on: Option<&AloneVariant>) -> String {
    let judged = |gain: Option<Gain>| gain.map(|gain| gain.verdict);
    let all = [
        ("on the device", off.and_then(|v| judged(v.device))),
        ("end to end", off.and_then(|v| judged(v.end_to_end))),
        ("alone on the device", on.and_then(|v| judged(v.device))),
        ("alone end to end", on.and_then(|v| judged(v.end_to_end))),
    ];
    let seen: Vec<_> = all.into_iter().filter_map(|(how, v)| Some((how, v?))).collect();
    let Some((_, first)) = seen.first() else { return NOTHING.into() };
    let others = seen.iter().filter(|(_, v)| v != first).map(|(how, v)| format!(", {v} {how}"));
    format!("{first}{}", others.collect::<String>())
}

/// Each optimization over all configurations of some records.
pub fn overview(records: &[&Record]) -> Grid {
    let mut grid = Grid::new("Every optimization")
        .words(&["optimization", "what it does", "in PyTorch"])
        .figures(&[
            "off alone, device",
            "off alone, end to end",
            "on alone, device",
            "on alone, end to end",
            "helped",
            "neutral",
            "hurt",
        ]);
    let ablations: Vec<&Ablation> = records.iter().flat_map(|record| &record.ablations).collect();
    for one in Optimization::ALL {
        let off = || ablations.iter().filter_map(|ablation| off_alone(ablation, one));
        let on = || ablations.iter().filter_map(|ablation| on_alone(ablation, one));
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
        let (what, pytorch) = explained(one);
        let mut cells = vec![one.to_string(), what.into(), pytorch.into()];
        cells.extend(gains.iter().map(|gains| range(gains)));
        cells.extend(counts.map(|count| count.to_string()));
        grid.row(cells);
    }
    grid.note(
        "Gains in frames a second, from the least to the most of all models and precisions; off \
         alone beside all others, on alone without any other. Each gain counts as one verdict.",
    );
    if ablations.iter().any(|ablation| ablation.rests_on_one_run()) {
        grid.note(ONE_RUN);
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
