//! The three main comparisons: the optimized engine against the baseline in F32 and in F16, and F16
//! against F32.

use crate::record::Record;
use crate::report::facts::{device_fps, end_to_end_fps, engine_mib, latency_fps, peak_mib, ratio};
use crate::report::figures::{NOTHING, fidelity, known, times};
use crate::report::grid::Grid;
use crate::report::pairs::pairs;

/// The comparisons of a record.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("Comparisons")
        .words(&["model", "size", "comparison"])
        .figures(&[
            "latency fps",
            "latency",
            "end to end",
            "device",
            "engine MiB",
            "peak MiB",
            "PSNR dB",
            "max error /255",
        ])
        .words(&["verdict"]);
    let several = record.settings.sizes().len() > 1;
    for pair in pairs(record) {
        let speedup = |fps: fn(&_) -> Option<f64>| times(ratio(fps(pair.to), fps(pair.from)));
        let cells = [
            pair.to.config.model.to_string(),
            if several { pair.size.to_string() } else { NOTHING.into() },
            pair.name(),
            from_to(latency_fps(pair.from), latency_fps(pair.to)),
            speedup(latency_fps),
            speedup(end_to_end_fps),
            speedup(device_fps),
            from_to(engine_mib(pair.from), engine_mib(pair.to)),
            from_to(peak_mib(record, pair.from), peak_mib(record, pair.to)),
        ];
        grid.row(cells.into_iter().chain(fidelity(pair.fidelity)).chain([pair.words()]));
    }
    grid.without_empty_columns()
}

fn from_to(from: Option<f64>, to: Option<f64>) -> String {
    match (from, to) {
        (None, None) => NOTHING.into(),
        _ => format!("{} \u{2192} {}", known(from), known(to)),
    }
}
