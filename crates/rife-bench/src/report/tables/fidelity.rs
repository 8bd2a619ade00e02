//! Fidelity of each configuration to its reference.

use super::note_failure;
use crate::measure::fidelity::Fidelity;
use crate::record::Record;
use crate::report::facts::name_cells;
use crate::report::figures::{db, of_255, share, ssim};
use crate::report::grid::{Cell, Grid, figure, word};
use crate::subject::{Config, Size};

/// Every configuration against its reference, then the other comparisons.
pub fn grid(record: &Record) -> Grid {
    let mut grid = Grid::new("Fidelity to the reference");
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

fn cells(config: Config, size: Option<Size>, f: &Fidelity) -> Vec<Cell> {
    let mut cells = name_cells(config, size);
    cells.extend([
        word("reference", format!("{} {}", f.reference.engine, f.reference.precision)),
        figure("frames", f.frames.len().to_string()),
        figure("PSNR dB", db(f.psnr_db)),
        figure("worst dB", db(f.worst_frame_psnr_db)),
        figure("SSIM", ssim(f.ssim, 6)),
        figure("max error /255", of_255(f.max_error)),
        figure("mean error /255", of_255(f.mean_error)),
        figure("differing 8-bit pixels %", share(Some(f.differing_8_bit_share))),
    ]);
    cells
}
