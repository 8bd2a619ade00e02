//! How near each configuration comes to what it was compared with.

use super::note_failure;
use crate::measure::fidelity::Fidelity;
use crate::record::Record;
use crate::report::facts::at_size;
use crate::report::figures::{NOTHING, db, of_255, share};
use crate::report::grid::Grid;
use crate::subject::{Case, Size};

/// Every configuration against its reference, then the further comparisons.
pub fn of(record: &Record) -> Grid {
    let mut grid = Grid::new("Fidelity to the reference")
        .words(&["model", "engine", "type", "size", "against"])
        .figures(&[
            "frames",
            "PSNR dB",
            "worst dB",
            "SSIM",
            "max error /255",
            "mean error /255",
            "8-bit pixels that differ %",
        ]);
    for m in &record.measurements {
        if let Some(fidelity) = &m.fidelity {
            grid.row(cells(m.case, at_size(m), fidelity));
            note_non_finite(&mut grid, &m.name(), fidelity);
        }
        note_failure(&mut grid, m);
    }
    for one in &record.comparisons {
        let at = |size: Size| size.to_string();
        let size = one.size.map_or_else(|| NOTHING.into(), at);
        grid.row(cells(one.case, size, &one.fidelity));
        note_non_finite(&mut grid, &one.case.to_string(), &one.fidelity);
    }
    grid.without_empty_columns()
}

fn cells(case: Case, size: String, f: &Fidelity) -> Vec<String> {
    vec![
        case.model.to_string(),
        case.engine.to_string(),
        case.precision.to_string(),
        size,
        format!("{} {}", f.reference.engine, f.reference.precision),
        f.frames.len().to_string(),
        db(f.psnr_db),
        db(f.worst_frame_psnr_db),
        if f.ssim.is_finite() { format!("{:.6}", f.ssim) } else { NOTHING.into() },
        of_255(f.max_error),
        of_255(f.mean_error),
        share(Some(f.differing_8_bit_share)),
    ]
}

fn note_non_finite(grid: &mut Grid, name: &str, f: &Fidelity) {
    if f.non_finite > 0 {
        grid.note(format!("{name}: {} samples are not finite.", f.non_finite));
    }
}
