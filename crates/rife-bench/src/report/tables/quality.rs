//! Made frames against those that the camera saw.

use crate::measure::quality::{Quality, Truth};
use crate::report::facts::missing;
use crate::report::figures::{NOTHING, db, three};
use crate::report::grid::Grid;

/// Every configuration, after the mean of both neighbours.
pub fn of(quality: &Quality) -> Grid {
    let caption = format!("Against the truth: {} at {}", quality.clip, quality.size);
    let mut grid = Grid::new(caption).words(&["model", "engine", "type"]).figures(&[
        "frames",
        "PSNR dB",
        "over blending dB",
        "worst dB",
        "SSIM",
    ]);
    let mut blend = vec!["none".into(), "blending".into(), NOTHING.into()];
    blend.extend(cells(&quality.blend, None));
    grid.row(blend);
    for result in &quality.results {
        let case = result.case;
        let mut row =
            vec![case.model.to_string(), case.engine.to_string(), case.precision.to_string()];
        match &result.truth {
            Some(truth) => row.extend(cells(truth, Some(&quality.blend))),
            None => row.push(missing(result.error.as_ref()).into()),
        }
        grid.row(row);
        if let Some(error) = &result.error {
            grid.note(format!("Failed: {case}: {error}"));
        }
    }
    let equal = [&quality.blend].into_iter().chain(quality.results.iter().flat_map(|r| &r.truth));
    let equal = equal.map(Truth::equal).max().unwrap_or(0);
    if equal > 0 {
        grid.note(format!(
            "Up to {equal} of the made frames are equal to the truth, as in a still moment: they \
             count in no mean PSNR."
        ));
    }
    grid.note(format!(
        "Every other of {} frames was dropped, made again from its neighbours, and compared as 8 \
         bits.",
        quality.frames
    ));
    grid.without_empty_columns()
}

fn cells(truth: &Truth, blend: Option<&Truth>) -> [String; 5] {
    let over = blend.map(|blend| truth.psnr_db.0 - blend.psnr_db.0).filter(|v| v.is_finite());
    [
        truth.frames.len().to_string(),
        db(truth.psnr_db),
        over.map_or_else(|| NOTHING.into(), |v| format!("{v:+.2}")),
        db(truth.worst_frame_psnr_db),
        if truth.ssim.is_finite() { three(truth.ssim) } else { NOTHING.into() },
    ]
}
