//! Time to the first frame, and memory of the process.

use crate::record::Record;
use crate::report::facts::{CONFIG_COLUMNS, name_cells, over_runs, ram_mib};
use crate::report::figures::known;
use crate::report::grid::Grid;

/// Every configuration that ran.
pub fn grid(record: &Record) -> Grid {
    let mut grid =
        Grid::new("Start-up and memory of the process").words(&CONFIG_COLUMNS).figures(&[
            "runs",
            "load ms",
            "first frame ms",
            "slowest first frame ms",
            "steady RAM MiB",
            "peak RAM MiB",
        ]);
    for m in record.measurements.iter().filter(|m| !m.runs.is_empty()) {
        let first = over_runs(m, |run| Some(run.first_frame_ms));
        let cells = [
            m.runs.len().to_string(),
            known(over_runs(m, |run| Some(run.load_ms)).map(|ms| ms.median)),
            known(first.map(|ms| ms.median)),
            known(first.map(|ms| ms.max)),
            known(over_runs(m, |run| run.steady_rss_mib).map(|mib| mib.max)),
            known(ram_mib(m)),
        ];
        grid.row(name_cells(m).into_iter().chain(cells));
    }
    if !grid.rows.is_empty() {
        grid.note(format!(
            "Load: loading the weights and preparing the engine. First frame: from there to the \
             first interpolated frame, median and slowest run; the first run on a machine includes \
             compiling and tuning kernels. RAM includes {:.0} MiB of input frames.",
            record.settings.clip_mib
        ));
    }
    grid.without_empty_columns()
}
