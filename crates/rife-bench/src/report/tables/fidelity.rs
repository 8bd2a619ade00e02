//! Fidelity of each configuration to its reference.

use super::note_failure;
use crate::measure::fidelity::Fidelity;
use crate::record::Record;
use crate::report::facts::{CONFIG_COLUMNS, config_cells, size_cell};
use crate::report::figures::{db, of_255, share, ssim};
use crate::report::grid::Grid;
use crate::subject::{Config, Size};

/// Every configuration against its reference, then the other comparisons.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("Fidelity to the reference")
        .words(&CONFIG_COLUMNS)
        .words(&["reference"])
        .figures(&[
            "frames",
            "PSNR dB",
            "worst dB",
            "SSIM",
            "max error /255",
            "mean error /255",
            "differing 8-bit pixels %",
        ]);
    let add = |grid: &mut Grid, config: Config, size: Option<Size>, f: &Fidelity| {
        grid.row(cells(config, size, f));
        if f.non_finite > 0 {
            grid.note(format!("{config}: {} samples are not finite.", f.non_finite));
        }
    };
    for m in &record.measurements {
        if let Some(fidelity) = &m.fidelity {
            add(&mut grid, m.config, m.size, fidelity);
        }
        note_failure(&mut grid, m);
    }
    for one in &record.comparisons {
        add(&mut grid, one.config, one.size, &one.fidelity);
    }
    grid.without_empty_columns()
}

fn cells(config: Config, size: Option<Size>, f: &Fidelity) -> Vec<String> {
    let mut cells = config_cells(config);
    cells.extend([
        size_cell(size),
        format!("{} {}", f.reference.engine, f.reference.precision),
        f.frames.len().to_string(),
        db(f.psnr_db),
        db(f.worst_frame_psnr_db),
        ssim(f.ssim, 6),
        of_255(f.max_error),
        of_255(f.mean_error),
        share(Some(f.differing_8_bit_share)),
    ]);
    cells
}
