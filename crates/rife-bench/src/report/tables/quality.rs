//! Interpolated frames against ground truth.

use crate::measure::quality::{GroundTruth, Quality};
use crate::report::facts::{config_cells, missing};
use crate::report::figures::{NOTHING, db, ssim};
use crate::report::grid::{Cell, Grid, figure, without_figures, word};

/// Blending, then every configuration.
pub fn grid(quality: &Quality) -> Grid {
    let caption = format!("Quality against ground truth: {} at {}", quality.clip, quality.size);
    let mut grid = Grid::new(caption);
    let mut cells = vec![word("model", NOTHING), word("engine", "blending"), word("type", NOTHING)];
    cells.extend(figures(&quality.blend, None));
    grid.row(cells);
    for result in &quality.results {
        let mut cells = config_cells(result.config);
        cells
            .extend(figures(result.truth.as_ref().unwrap_or(&quality.blend), Some(&quality.blend)));
        if result.truth.is_none() {
            cells = without_figures(cells, missing(result.error.as_ref()));
        }
        grid.row(cells);
        if let Some(error) = &result.error {
            grid.note(format!("Failed: {}: {error}", result.config));
        }
    }
    let all = [&quality.blend].into_iter().chain(quality.results.iter().flat_map(|r| &r.truth));
    let identical = all.map(GroundTruth::identical).max().unwrap_or(0);
    if identical > 0 {
        grid.note(format!(
            "Up to {identical} frames are identical to the ground truth, as in still moments; \
             they are excluded from the mean PSNR."
        ));
    }
    grid.note(format!(
        "Every other one of {} frames was dropped, interpolated from its neighbours, and compared \
         with the original in 8 bits.",
        quality.frames
    ));
    grid.without_empty_columns()
}

fn figures(truth: &GroundTruth, blend: Option<&GroundTruth>) -> [Cell; 5] {
    let gain = blend.map(|blend| truth.psnr_db.0 - blend.psnr_db.0).filter(|v| v.is_finite());
    [
        figure("frames", truth.frames.len().to_string()),
        figure("PSNR dB", db(truth.psnr_db)),
        figure("vs blending dB", gain.map_or_else(|| NOTHING.into(), |v| format!("{v:+.2}"))),
        figure("worst dB", db(truth.worst_frame_psnr_db)),
        figure("SSIM", ssim(truth.ssim, 3)),
    ]
}
