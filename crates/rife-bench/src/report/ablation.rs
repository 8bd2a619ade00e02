//! What each optimization is worth, as a table.

use comfy_table::Table;

use super::facts::{median_run_fps, missing};
use super::layout::{change, figure, known, percent, table, whole};
use crate::measure::Measurement;
use crate::measure::ablation::{Ablation, Alone, Gain, LEAST_GAIN, LEAST_GAIN_OF_ONE_RUN};

/// A configuration with everything on, then without each optimization.
pub(super) fn of(ablation: &Ablation) -> Table {
    let mut table = headed("without");
    table.add_row(cells("- (all on)", &ablation.all, None, None));
    for variant in &ablation.without {
        let (device, end_to_end) = (variant.device.as_ref(), variant.end_to_end.as_ref());
        table.add_row(cells(variant.off.as_str(), &variant.seen, device, end_to_end));
    }
    table
}

/// The same engine with everything off, then with each optimization alone.
pub(super) fn alone(alone: &Alone) -> Table {
    let mut table = headed("with alone");
    table.add_row(cells("- (all off)", &alone.none, None, None));
    for variant in &alone.with {
        let (device, end_to_end) = (variant.device.as_ref(), variant.end_to_end.as_ref());
        table.add_row(cells(variant.on.as_str(), &variant.seen, device, end_to_end));
    }
    table
}

fn headed(what: &str) -> Table {
    table(
        1,
        &[
            what,
            "device\nfps",
            "gain\n%",
            "it",
            "end-to-end\nfps",
            "gain\n%",
            "it",
            "engine\nMiB",
            "PSNR\ndB",
            "max error\n1/255",
        ],
    )
}

fn cells(
    name: &str,
    seen: &Measurement,
    device: Option<&Gain>,
    end_to_end: Option<&Gain>,
) -> Vec<String> {
    if seen.error.is_some() || seen.runs.is_empty() {
        return vec![name.into(), missing(seen.error.as_ref()).into()];
    }
    let gain = |gain: Option<&Gain>| {
        let verdict = gain.map_or_else(|| "-".into(), |gain| gain.verdict.to_string());
        [known(gain.map(|gain| gain.gain), change), verdict]
    };
    let mut cells = vec![name.into(), known(median_run_fps(seen), figure)];
    cells.extend(gain(device));
    cells.push(known(seen.end_to_end.as_ref().map(|e| e.fps), figure));
    cells.extend(gain(end_to_end));
    cells.push(known(seen.memory.map(|memory| memory.device_mib), whole));
    let fidelity = seen.fidelity.as_ref();
    cells.push(known(fidelity.map(|f| f.psnr_db.0), |db| format!("{db:.2}")));
    cells.push(known(fidelity.map(|f| 255.0 * f.max_error), |error| format!("{error:.3}")));
    cells
}

/// What the table's words mean.
pub(super) fn legend(ablations: &[Ablation]) -> String {
    let rests = if ablations.iter().any(Ablation::rests_on_one_run) {
        let least = percent(LEAST_GAIN_OF_ONE_RUN);
        format!(
            " Some rest on one run, of which nothing tells the spread, and have to gain {least}% where \
             both sides do: take more --repeats."
        )
    } else {
        String::new()
    };
    format!(
        "The gain is that of having the optimization. It helped or hurt where no run with it and \
         none without it overlap and the gain is {}% or more, and more than what runs of \
         one configuration differ by, these and those of all the others.{rests}",
        percent(LEAST_GAIN)
    )
}
