//! The three main comparisons: the optimized engine against the baseline in F32 and in F16, and F16
//! against F32.

use crate::record::Record;
use crate::report::facts::{device_fps, end_to_end_fps, engine_mib, latency_fps, peak_mib, ratio};
use crate::report::figures::{NOTHING, fidelity, known, times};
use crate::report::grid::{Grid, figure, word};
use crate::report::pairs::pairs;

/// The comparisons of a record.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("Comparisons");
    let several = record.settings.sizes().len() > 1;
    for pair in pairs(record) {
        let speedup = |fps: fn(&_) -> Option<f64>| times(ratio(fps(pair.to), fps(pair.from)));
        let [psnr, error] = fidelity(pair.fidelity);
        let peak = |m| peak_mib(record, m);
        grid.row(vec![
            word("model", pair.to.config.model.to_string()),
            word("size", if several { pair.size.to_string() } else { NOTHING.into() }),
            word("comparison", pair.name()),
            figure("latency fps", from_to(latency_fps(pair.from), latency_fps(pair.to))),
            figure("latency", speedup(latency_fps)),
            figure("end to end", speedup(end_to_end_fps)),
            figure("device", speedup(device_fps)),
            figure("engine MiB", from_to(engine_mib(pair.from), engine_mib(pair.to))),
            figure("peak MiB", from_to(peak(pair.from), peak(pair.to))),
            figure("PSNR dB", psnr),
            figure("max error /255", error),
            word("verdict", pair.words()),
        ]);
    }
    grid.without_empty_columns()
}

fn from_to(from: Option<f64>, to: Option<f64>) -> String {
    match (from, to) {
        (None, None) => NOTHING.into(),
        _ => format!("{} \u{2192} {}", known(from), known(to)),
    }
}
