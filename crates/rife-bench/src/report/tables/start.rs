//! Time to the first frame, and memory of the process.

use crate::record::Record;
use crate::report::facts::{name_cells, over_runs, ram_mib};
use crate::report::figures::known;
use crate::report::grid::{Grid, figure};

/// Every configuration that ran.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("Start-up and memory of the process");
    for m in record.measurements.iter().filter(|m| !m.runs.is_empty()) {
        let first = over_runs(m, |run| Some(run.first_frame_ms));
        let steady = over_runs(m, |run| run.steady_rss_mib);
        let load = over_runs(m, |run| Some(run.load_ms));
        let mut cells = name_cells(m.config, m.size);
        cells.extend([
            figure("runs", m.runs.len().to_string()),
            figure("load ms", known(load.map(|ms| ms.median))),
            figure("first frame ms", known(first.map(|ms| ms.median))),
            figure("slowest first frame ms", known(first.map(|ms| ms.max))),
            figure("steady RAM MiB", known(steady.map(|mib| mib.max))),
            figure("peak RAM MiB", known(ram_mib(m))),
        ]);
        grid.row(cells);
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
