//! What was measured beside the configurations, as text: where the time goes, fidelity to a real
//! clip, how cost grows.

use std::fmt::Write;

use super::facts::missing;
use super::kernels::profile;
use super::layout::{figure, known, table, whole, wrap};
use crate::measure::quality::{Quality, Truth};
use crate::measure::scaling::{Axis, ScalingPoint};
use crate::record::Record;

/// All of it, one part after the other; empty where there is none.
pub(super) fn of(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for frame in &record.profiles {
        let _ = writeln!(text, "\n{}", profile(frame, record.settings.device));
    }
    if let Some(quality) = &record.quality {
        let _ = writeln!(text, "\n{}", against_the_truth(quality));
    }
    for (axis, what) in [
        (Axis::Size, "How cost grows with the size"),
        (Axis::Threads, "With the threads"),
        (Axis::Batch, "With the frames made at once, between the same two"),
        (Axis::Pairs, "With the frames made at once, each between two of its own"),
    ] {
        let points: Vec<_> = record.scaling.iter().filter(|point| point.axis == axis).collect();
        if !points.is_empty() {
            let _ = writeln!(text, "\n{what}\n{}", scaling(&points));
        }
    }
    text
}

fn against_the_truth(quality: &Quality) -> String {
    let mut table =
        table(3, &["model", "engine", "type", "frames", "PSNR\ndB", "worst\ndB", "SSIM"]);
    let cells = |truth: &Truth| {
        [
            truth.frames.len().to_string(),
            format!("{:.3}", truth.psnr_db.0),
            format!("{:.3}", truth.worst_frame_psnr_db.0),
            format!("{:.5}", truth.ssim),
        ]
    };
    for result in &quality.results {
        let case = result.case;
        let mut row: Vec<String> =
            vec![case.model.to_string(), case.engine.to_string(), case.precision.to_string()];
        match &result.truth {
            Some(truth) => row.extend(cells(truth)),
            None => row.push(missing(result.error.as_ref()).into()),
        }
        table.add_row(row);
    }
    let mut row = vec!["-".to_owned(), "mean of both".into(), "-".into()];
    row.extend(cells(&quality.blend));
    table.add_row(row);
    let what = format!(
        "Against the truth: every other one of {} frames of {} ({}) dropped and made again",
        quality.frames, quality.clip, quality.size
    );
    format!("{}\n{table}", wrap(&what))
}

fn scaling(points: &[&ScalingPoint]) -> String {
    let mut table = table(
        3,
        &[
            "model",
            "type",
            "size",
            "threads",
            "at\nonce",
            "fps",
            "ms",
            "ms a\nMpx",
            "device\nfps",
            "engine\nMiB",
            "RAM\nMiB",
            "GPU\nMiB",
        ],
    );
    for point in points {
        let mut row = vec![
            point.case.model.to_string(),
            point.case.precision.to_string(),
            point.size.to_string(),
            known(point.threads.map(|threads| threads as f64), whole),
            point.batch.to_string(),
        ];
        match point.fps {
            Some(fps) => row.extend([
                figure(fps),
                figure(1000.0 / fps),
                figure(1e9 / fps / point.size.pixels() as f64),
                known(point.device_fps, figure),
                known(point.memory.map(|memory| memory.device_mib), whole),
                known(point.peak_rss_mib, whole),
                known(point.peak_gpu_mib, whole),
            ]),
            None => row.push(missing(point.error.as_ref()).into()),
        }
        table.add_row(row);
    }
    table.to_string()
}
