//! Tables as data, rendered as Markdown, as text on a terminal, or as HTML by the page.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::figures::NOTHING;
use super::text::{WIDTH, is_control, wrap, wrap_to};

/// Width of a text column on a terminal.
const MAX_TEXT_WIDTH: usize = 32;
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('-').junction('-'));

/// A table with notes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    pub caption: String,
    /// Columns. The first identifies the row.
    pub columns: Vec<Column>,
    /// Cells of each row, one per column.
    pub rows: Vec<Vec<String>>,
    /// Notes below the table.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub heading: String,
    /// Whether it contains figures, which are aligned right.
    pub figures: bool,
}

/// A cell and its column.
pub struct Cell {
    column: Column,
    text: String,
}

/// A cell of a column of text.
pub fn word(heading: &str, text: impl Into<String>) -> Cell {
    Cell { column: Column { heading: heading.into(), figures: false }, text: text.into() }
}

/// A cell of a column of figures.
pub fn figure(heading: &str, text: impl Into<String>) -> Cell {
    Cell { column: Column { heading: heading.into(), figures: true }, text: text.into() }
}

/// Replaces the first figure of a row without results by the reason, and the others by dashes.
pub fn without_figures(mut cells: Vec<Cell>, reason: &str) -> Vec<Cell> {
    let mut reason = Some(reason);
    for cell in cells.iter_mut().filter(|cell| cell.column.figures) {
        cell.text = reason.take().unwrap_or(NOTHING).into();
    }
    cells
}

impl Grid {
    /// A table without rows.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..Self::default() }
    }

    /// Adds a row. The first row defines the columns.
    pub fn row(&mut self, cells: Vec<Cell>) {
        let (columns, texts) = cells.into_iter().map(|cell| (cell.column, cell.text)).unzip();
        if self.rows.is_empty() {
            self.columns = columns;
        }
        self.rows.push(texts);
    }

    /// Adds a note, unless it exists.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Removes the columns that are empty in every row.
    #[must_use]
    pub fn without_empty_columns(mut self) -> Self {
        let full = |at: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(at));
            cells.any(|cell| cell != NOTHING && !cell.is_empty())
        };
        let keep: Vec<bool> = (0..self.columns.len()).map(full).collect();
        self.keep(|at| keep.get(at).copied().unwrap_or(true));
        self
    }

    /// Removes the columns with this heading.
    #[must_use]
    pub fn without(mut self, heading: &str) -> Self {
        let keep: Vec<bool> = self.columns.iter().map(|c| c.heading != heading).collect();
        self.keep(|at| keep.get(at).copied().unwrap_or(true));
        self
    }

    fn keep(&mut self, kept: impl Fn(usize) -> bool) {
        let mut at = 0..;
        self.columns.retain(|_| at.next().is_some_and(&kept));
        for row in &mut self.rows {
            let mut at = 0..;
            row.retain(|_| at.next().is_some_and(&kept));
        }
    }

    /// As text of at most [`WIDTH`] columns with the caption above. A table that is too wide is
    /// split, repeating its leading text columns.
    pub fn terminal(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if !self.rows.is_empty() {
            let _ = writeln!(text, "{}", wrap(&self.caption));
            for part in self.parts() {
                let _ = writeln!(text, "{}", self.part(&part));
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "{}", wrap(note));
        }
        text
    }

    /// Indices of the columns of each part that fits on a terminal.
    fn parts(&self) -> Vec<Vec<usize>> {
        // Two spaces separate columns.
        let width = |at: &usize| 2 + self.width(*at);
        let names = self.columns.iter().position(|column| column.figures).unwrap_or(1).max(1);
        let names: Vec<usize> = (0..names.min(self.columns.len())).collect();
        let room = WIDTH.saturating_sub(names.iter().map(width).sum());
        let (mut parts, mut used) = (vec![names.clone()], 0);
        for at in names.len()..self.columns.len() {
            if used > 0 && used + width(&at) > room {
                parts.push(names.clone());
                used = 0;
            }
            used += width(&at);
            parts.last_mut().into_iter().for_each(|part| part.push(at));
        }
        parts
    }

    /// Width of a column on a terminal, with its heading and any text broken at spaces.
    fn width(&self, at: usize) -> usize {
        let Some(column) = self.columns.get(at) else { return 0 };
        let longest_word = |text: &str| text.split_whitespace().map(|w| w.chars().count()).max();
        let heading = longest_word(&column.heading).unwrap_or(0);
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        let cell = if column.figures {
            cells.map(|cell| cell.chars().count()).max()
        } else {
            cells.map(|cell| cell.chars().count().min(MAX_TEXT_WIDTH)).max()
        };
        heading.max(cell.unwrap_or(0))
    }

    fn part(&self, columns: &[usize]) -> Table {
        let cell = |text: Option<&str>, at: usize| {
            let text = text.unwrap_or_default();
            wrap_to(text, self.width(at)).join("\n")
        };
        let mut table = Table::new();
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        let heading = |at: &usize| cell(self.columns.get(*at).map(|c| c.heading.as_str()), *at);
        table.set_header(columns.iter().map(heading));
        for row in &self.rows {
            table.add_row(columns.iter().map(|at| cell(row.get(*at).map(String::as_str), *at)));
        }
        for (column, at) in table.column_iter_mut().zip(columns) {
            column.set_padding((0, 1));
            if self.columns.get(*at).is_some_and(|column| column.figures) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    /// As GitHub Markdown, padded so that the source is readable.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| escape(cell));
            let heading = self.columns.get(at).map(|column| escape(&column.heading));
            cells.chain(heading).map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            let mut padded =
                cells.zip(&widths).zip(&self.columns).map(|((cell, width), column)| {
                    let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                    if column.figures {
                        format!("| {gap}{cell} ")
                    } else {
                        format!("| {cell}{gap} ")
                    }
                });
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}|", padded.by_ref().collect::<String>());
        };
        if !self.rows.is_empty() {
            line(&mut self.columns.iter().map(|column| escape(&column.heading)));
            line(&mut self.columns.iter().zip(&widths).map(|(column, width)| {
                if column.figures {
                    format!("{}:", "-".repeat(width - 1))
                } else {
                    "-".repeat(*width)
                }
            }));
            for row in &self.rows {
                line(&mut row.iter().map(|cell| escape(cell)));
            }
        }
        for note in &self.notes {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}", escape(note));
        }
        text
    }
}

/// Escapes a text for Markdown, on one line.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' => escaped.extend(['\\', c]),
            c if is_control(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Formats a text as inline code, on one line.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_padded_and_empty_columns_are_removed() {
        let mut grid = Grid::new("");
        let mut row = |engine: &str, gone: &str, fps: &str, verdict: &str| {
            let text = [word("engine", engine), word("gone", gone)];
            let rest = [figure("fps", fps), word("verdict", verdict)];
            grid.row(text.into_iter().chain(rest).collect());
        };
        row("a|b", "-", "1.50", "-");
        row("\u{221e}", "", "1234", "x");
        grid.note("mind *this*");
        let text = grid.without_empty_columns().markdown();
        let expected = "\
| engine |  fps | verdict |
| ------ | ---: | ------- |
| a\\|b   | 1.50 | -       |
| \u{221e}      | 1234 | x       |

mind \\*this\\*
";
        assert_eq!(text, expected);
    }

    #[test]
    fn code_and_text_are_escaped() {
        assert_eq!(code("a b"), "`a b`");
        assert_eq!(code("a `b``c\nd`"), "``` a `b``c d` ```");
        assert_eq!(escape("<b>\n_x_\u{202e}"), "&lt;b&gt; \\_x\\_ ");
    }

    #[test]
    fn wide_tables_are_split_on_a_terminal() {
        let mut grid = Grid::new("Caption");
        let figures = (0..30).map(|i| figure(&format!("figure {i}"), (1000 * i).to_string()));
        grid.row([word("name", "a")].into_iter().chain(figures).collect());
        grid.note("word ".repeat(50));
        let text = grid.terminal();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("Caption\n") && text.contains("29000"), "{text}");
        assert!(text.lines().filter(|line| line.starts_with("a ")).count() > 1, "{text}");
    }
}
