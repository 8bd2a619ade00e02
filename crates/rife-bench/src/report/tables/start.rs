//! What a job waits for before its first frame, and what its process holds afterwards.

use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::report::facts::{at_size, ram_mib};
use crate::report::figures::known;
use crate::report::grid::Grid;
use crate::stats::Spread;

/// Every configuration that ran.
pub fn of(record: &Record) -> Grid {
    let mut grid = Grid::new("Start-up and the process's memory")
        .words(&["model", "engine", "type", "size"])
        .figures(&[
            "runs",
            "start-up ms",
            "first frame ms",
            "latest first frame ms",
            "steady RAM MiB",
            "peak RAM MiB",
        ]);
    for m in record.measurements.iter().filter(|m| !m.runs.is_empty()) {
        let case = m.case;
        let mut row =
            vec![case.model.to_string(), case.engine.to_string(), case.precision.to_string()];
        row.extend([at_size(m), m.runs.len().to_string()]);
        let first = over(m, |run| Some(run.first_frame_ms));
        row.extend([
            known(over(m, |run| Some(run.load_ms)).map(|ms| ms.median)),
            known(first.map(|ms| ms.median)),
            known(first.map(|ms| ms.max)),
            known(over(m, |run| run.steady_rss_mib).map(|mib| mib.max)),
            known(ram_mib(m)),
        ]);
        grid.row(row);
    }
    if !grid.rows.is_empty() {
        grid.note(format!(
            "Start-up: loading the weights and making the engine ready. First frame: from there to \
             the first frame made, the median and the latest run; what is compiled and timed once \
             for a machine is in the first of them that needs it. RAM holds the {:.0} MiB of frames \
             to interpolate between.",
            record.settings.clip_mib
        ));
    }
    grid.without_empty_columns()
}

fn over(m: &Measurement, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
    Spread::of(&m.runs.iter().filter_map(of).collect::<Vec<_>>())
}
