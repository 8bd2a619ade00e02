//! The HTML page: a single self-contained file without scripts. Texts of a record are escaped.

mod charts;
mod pictures;
mod sections;
mod summary;

use std::path::Path;

use anyhow::{Result, bail};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::NOTHING;
use super::grid::Grid;
use super::records::NamedRecord;
use crate::files::update_generated;

const STYLE: &str = include_str!("page/style.css");

/// Renders the page. The same records always produce the same page.
pub fn render(records: &[NamedRecord]) -> String {
    let title = match records {
        [one] => format!("RIFE in Rust: {}", one.name),
        _ => format!("RIFE in Rust: {} records", records.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // Without an icon, browsers request one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "RIFE in Rust" }
                    p { "Speed, memory and fidelity, computed from the records named below. "
                        "fps are interpolated frames per second." }
                    @if records.len() > 1 {
                        nav aria-label="Records" {
                            ul {
                                @for (record, number) in records.iter().zip(1..) {
                                    li { a href=(format!("#r{number}")) { (record.name) } }
                                }
                            }
                        }
                    }
                }
                main {
                    @for (record, number) in records.iter().zip(1..) {
                        (sections::section(record, number))
                    }
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// Writes the page. With `check`, fails if the file differs; `fix` is the command to run then.
pub fn update(path: &Path, records: &[NamedRecord], check: bool, fix: &str) -> Result<()> {
    // Do not replace files of others.
    if !check
        && let Ok(old) = std::fs::read(path)
        && !old.is_empty()
        && !old.starts_with(b"<!DOCTYPE html>")
    {
        let name = path.display();
        bail!("cannot write {name}: it exists and is not an HTML page; choose another file");
    }
    update_generated(path, &render(records), check, fix)
}

/// A table that scrolls by itself if it is wide, and its notes.
fn table(grid: &Grid) -> Markup {
    html! {
        @if !grid.rows.is_empty() {
            div.scroll tabindex="0" role="region" aria-label=(grid.caption) {
                table {
                    caption { (grid.caption) }
                    thead {
                        tr {
                            @for column in &grid.columns {
                                th .figure[column.figures] scope="col" { (column.heading) }
                            }
                        }
                    }
                    tbody {
                        @for row in &grid.rows { tr { (cells(grid, row)) } }
                    }
                }
            }
        }
        @for note in &grid.notes { p.note { (note) } }
    }
}

fn cells(grid: &Grid, row: &[String]) -> Markup {
    html! {
        @for ((cell, column), at) in row.iter().zip(&grid.columns).zip(0..) {
            @if at == 0 {
                th scope="row" { (cell) }
            } @else if cell == NOTHING {
                td class=(if column.figures { "nothing figure" } else { "nothing" }) { "\u{2013}" }
            } @else {
                td class=(class(column.figures, cell)) { (cell) }
            }
        }
    }
}

/// Length from which a cell is wrapped.
const LONG: usize = 30;

/// Class of a cell: a figure, a verdict by its first word, or text.
fn class(figure: bool, cell: &str) -> String {
    if figure {
        return "figure".into();
    }
    let words =
        [("helped", "helped"), ("neutral", "neutral"), ("hurt", "hurt"), ("failed", "hurt")];
    let verdict = words.into_iter().find(|(word, _)| cell.starts_with(word));
    let long = if cell.chars().count() >= LONG { " long" } else { "" };
    format!("{}{long}", verdict.map_or("words", |(_, class)| class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::grid::{figure, word};

    #[test]
    fn tables_classify_cells_and_escape_markup() {
        let mut grid = Grid::new("a & b");
        grid.row(vec![word("<i>", "<script>"), figure("fps", "-")]);
        grid.row(vec![word("<i>", "\"x"), figure("fps", "5")]);
        grid.note("</table>");
        let text = table(&grid).into_string();
        for part in [
            "<th class=\"figure\" scope=\"col\">fps</th>",
            "<th scope=\"row\">&lt;script&gt;</th>",
            "&lt;i&gt;",
            "aria-label=\"a &amp; b\"",
            "<td class=\"figure\">5</td>",
            "<td class=\"nothing figure\">\u{2013}</td>",
            "&lt;/table&gt;",
        ] {
            assert!(text.contains(part), "{part} is missing from {text}");
        }
        assert!(table(&Grid::new("")).into_string().is_empty());
    }
}
