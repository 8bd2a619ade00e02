//! The three comparisons: what the optimized engine is worth in F32 and in F16, and what F16 is.

use crate::record::Record;
use crate::report::facts::{
    device_fps, end_to_end_fps, engine_mib, latency_fps, pairs, peak_mib, ratio,
};
use crate::report::figures::{NOTHING, db, known, of_255, times};
use crate::report::grid::Grid;

/// The comparisons that the record has, each with its verdict.
pub fn of(record: &Record) -> Grid {
    let mut grid = Grid::new("The comparisons")
        .words(&["model", "size", "comparison"])
        .figures(&[
            "fps",
            "one at a time",
            "end to end",
            "on the device",
            "engine MiB",
            "peak MiB",
            "PSNR dB",
            "max error /255",
        ])
        .words(&["verdict"]);
    let several = record.settings.sizes().len() > 1;
    for pair in pairs(record) {
        let times_of = |fps: fn(&_) -> Option<f64>| times(ratio(fps(pair.to), fps(pair.from)));
        let fidelity = pair.verdict.fidelity.as_ref();
        let peaks = [pair.from, pair.to].map(|m| peak_mib(record, m));
        grid.row(vec![
            pair.to.case.model.to_string(),
            if several { pair.verdict.size.to_string() } else { NOTHING.into() },
            pair.name(),
            from_to(latency_fps(pair.from), latency_fps(pair.to)),
            times_of(latency_fps),
            times_of(end_to_end_fps),
            times_of(device_fps),
            from_to(engine_mib(pair.from), engine_mib(pair.to)),
            from_to(peaks[0], peaks[1]),
            fidelity.map_or_else(|| NOTHING.into(), |f| db(f.psnr_db)),
            fidelity.map_or_else(|| NOTHING.into(), |f| of_255(f.max_error)),
            pair.verdict.words(),
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
