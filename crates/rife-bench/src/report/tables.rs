//! The tables of a report, each computed from a record.

pub mod ablation;
pub mod brief;
pub mod comparisons;
pub mod fidelity;
pub mod gpu;
pub mod machine;
pub mod peers;
pub mod profile;
pub mod quality;
pub mod scaling;
pub mod speed;
pub mod start;

use super::grid::Grid;
use crate::measure::Measurement;

/// Adds a note about a failure.
fn note_failure(grid: &mut Grid, m: &Measurement) {
    if let Some(error) = &m.error {
        grid.note(format!("Failed: {}: {error}", m.name()));
    }
}
