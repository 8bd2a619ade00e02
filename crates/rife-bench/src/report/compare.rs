//! What changed between two records, as text.

use std::fmt::Write;

use super::layout::{figure, table, trim_lines, wrap};
use crate::compare::{Change, Compared, Row};

/// Rows that changed, then what else a reader has to know.
pub fn render(compared: &Compared) -> String {
    let mut text = String::new();
    let changed: Vec<&Row> =
        compared.rows.iter().filter(|row| row.change != Change::Same).collect();
    // Writing to a string cannot fail.
    if !changed.is_empty() {
        let mut table =
            table(2, &["configuration", "figure", "before", "after", "change\n%", "it"]);
        for row in &changed {
            table.add_row([
                row.name.clone(),
                row.what.to_owned(),
                figure(row.before),
                figure(row.after),
                percent(row),
                word(row).to_owned(),
            ]);
        }
        let _ = writeln!(text, "{table}");
    }
    let same = compared.rows.len() - changed.len();
    let _ = writeln!(
        text,
        "{} figure(s) changed, {same} did not beyond noise.",
        if changed.is_empty() { "No".to_owned() } else { changed.len().to_string() }
    );
    if compared.few_runs {
        let few = "Of one run a change of speed below 10 % is taken for noise, of two one below 5 %: \
                   --repeats 3 tells more.";
        let _ = writeln!(text, "{}", wrap(few));
    }
    for failed in &compared.failed {
        let _ = writeln!(text, "{}", wrap(&format!("failed: {failed}")));
    }
    for lost in &compared.lost {
        let _ = writeln!(text, "{}", wrap(&format!("lost: {lost}")));
    }
    for difference in &compared.differences {
        let _ = writeln!(text, "{}", wrap(&format!("warning: not the same: {difference}")));
    }
    trim_lines(&text)
}

fn percent(row: &Row) -> String {
    let change = 100.0 * (row.after / row.before - 1.0);
    if change.is_finite() { format!("{change:+.1}") } else { "-".into() }
}

fn word(row: &Row) -> &'static str {
    let better = row.change == Change::Better;
    let speed = [" fps", " ms"].iter().any(|unit| row.what.ends_with(unit));
    match (row.what.ends_with("MiB"), speed, better) {
        (true, _, true) => "less",
        (true, _, false) => "more",
        (_, true, true) => "faster",
        (_, true, false) => "slower",
        (_, _, true) => "closer",
        (_, _, false) => "further off",
    }
}
