//! Records as a page: one file that asks for nothing else, and runs nothing. Every text of a record
//! is text there, whatever it holds.

mod charts;
mod pictures;
mod sections;
mod summary;

use std::path::Path;

use anyhow::{Context, Result, bail};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::NOTHING;
use super::grid::Grid;
use super::sources::Source;
use crate::record::write_whole;

const STYLE: &str = include_str!("page/style.css");

/// The page; the same for the same records.
pub fn render(sources: &[Source]) -> String {
    let title = match sources {
        [one] => format!("RIFE in Rust: {}", one.name),
        _ => format!("RIFE in Rust: {} records", sources.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                // Without an icon browsers ask for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "RIFE in Rust" }
                    p { "Speed, memory and fidelity, as measured. Everything here is computed from "
                        "the records that are named; fps are generated frames a second." }
                    @if sources.len() > 1 {
                        nav aria-label="Records" {
                            ul {
                                @for (source, number) in sources.iter().zip(1..) {
                                    li { a href=(format!("#r{number}")) { (source.name) } }
                                }
                            }
                        }
                    }
                }
                main {
                    @for (source, number) in sources.iter().zip(1..) {
                        (sections::of(source, number))
                    }
                }
            }
        }
    };
    page.into_string() + "\n"
}

/// Writes the page, or, to check, fails where the file is another; `fix` is what to run.
///
/// # Errors
/// Where the file cannot be written or read, or, to check, is another.
pub fn update(path: &Path, sources: &[Source], check: bool, fix: &str) -> Result<()> {
    let page = render(sources);
    let name = path.display();
    if !check {
        // What somebody else wrote is not ours to replace.
        if let Ok(old) = std::fs::read(path)
            && !old.is_empty()
            && !old.starts_with(b"<!DOCTYPE html>")
        {
            bail!("{name} exists and is no page: remove it, or name another file");
        }
        return write_whole(path, true, |out| Ok(out.write_all(page.as_bytes())?));
    }
    let old = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    if old != page.as_bytes() {
        bail!("{name} is not what the records say; run {fix}");
    }
    Ok(())
}

/// A table that scrolls by itself where it is wide; nothing of no rows, but what has to be said.
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

/// Letters from which on a cell breaks into lines.
const LONG: usize = 30;

/// What a cell is: a figure, a verdict by its first word, or words, long ones in lines.
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

    #[test]
    fn a_table_says_what_its_cells_are_and_takes_no_markup() {
        let mut grid = Grid::new("a & b").words(&["<i>"]).figures(&["fps"]);
        grid.row(vec!["<script>".into(), "-".into()]);
        grid.row(vec!["\"x".into(), "5".into()]);
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
