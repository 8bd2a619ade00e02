//! Report of a comparison of two records.

use std::fmt::Write;

use super::figures::{change, three};
use super::grid::{Grid, figure, word};
use super::text::{clean_lines, wrap};
use crate::compare::{Change, RecordComparison, Row};

/// The changed figures, then everything else to know.
pub fn render(compared: &RecordComparison) -> String {
    let changed: Vec<&Row> =
        compared.rows.iter().filter(|row| row.change != Change::Same).collect();
    let mut grid = Grid::new("Changes beyond noise");
    for row in &changed {
        grid.row(vec![
            word("configuration", &row.name),
            word("figure", row.what),
            figure("before", three(row.before)),
            figure("after", three(row.after)),
            figure("change", change(row.after / row.before - 1.0)),
            word("verdict", verdict(row)),
        ]);
    }
    let mut text = grid.terminal();
    let same = compared.rows.len() - changed.len();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{} figure(s) changed, {same} unchanged within noise.", changed.len());
    if compared.few_runs {
        let few = "With one run, changes of speed below 10% count as noise; with two, below 5%. Use \
                   --repeats 3 or more to detect smaller changes.";
        let _ = writeln!(text, "{}", wrap(few));
    }
    for (what, items) in [
        ("failed", &compared.failed),
        ("missing", &compared.missing),
        ("warning: not the same", &compared.differences),
    ] {
        for item in items {
            let _ = writeln!(text, "{}", wrap(&format!("{what}: {item}")));
        }
    }
    clean_lines(&text)
}

fn verdict(row: &Row) -> &'static str {
    let better = row.change == Change::Better;
    let speed = [" fps", " ms"].iter().any(|unit| row.what.ends_with(unit));
    match (row.what.ends_with("MiB"), speed, better) {
        (true, _, true) => "less",
        (true, _, false) => "more",
        (_, true, true) => "faster",
        (_, true, false) => "slower",
        (_, _, true) => "closer",
        (_, _, false) => "less exact",
    }
}
