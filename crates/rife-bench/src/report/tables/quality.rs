//! Interpolated frames against ground truth.

use crate::measure::quality::{GroundTruth, Quality};
use crate::report::facts::{config_cells, missing};
use crate::report::figures::{NOTHING, db, ssim};
use crate::report::grid::Grid;

/// Blending, then every configuration.
pub fn grid(quality: &Quality) -> Grid {
    let caption = format!("Quality against ground truth: {} at {}", quality.clip, quality.size);
    let mut grid = Grid::new(caption).words(&["model", "engine", "type"]).figures(&[
        "frames",
        "PSNR dB",
        "vs blending dB",
        "worst dB",
        "SSIM",
    ]);
    let blend = [NOTHING.into(), "blending".into(), NOTHING.into()];
    grid.row(blend.into_iter().chain(cells(&quality.blend, None)));
    for result in &quality.results {
        let mut row = config_cells(result.config);
        match &result.truth {
            Some(truth) => row.extend(cells(truth, Some(&quality.blend))),
            None => row.push(missing(result.error.as_ref()).into()),
        }
        grid.row(row);
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

fn cells(truth: &GroundTruth, blend: Option<&GroundTruth>) -> [String; 5] {
    let gain = blend.map(|blend| truth.psnr_db.0 - blend.psnr_db.0).filter(|v| v.is_finite());
    [
        truth.frames.len().to_string(),
        db(truth.psnr_db),
        gain.map_or_else(|| NOTHING.into(), |v| format!("{v:+.2}")),
        db(truth.worst_frame_psnr_db),
        ssim(truth.ssim, 3),
    ]
}
