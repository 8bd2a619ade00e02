//! A table as data: what a page and a Markdown text have in common.

use std::fmt::Write;

use super::figures::NOTHING;
use super::layout::steers;

/// A table, with what has to be said beneath it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// What it shows.
    pub caption: String,
    /// Its columns; the first names the row.
    pub columns: Vec<Column>,
    /// Its cells, row by row, as many in each as there are columns.
    pub rows: Vec<Vec<String>>,
    /// What has to be said beneath it.
    pub notes: Vec<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What stands above it.
    pub heading: String,
    /// Whether it holds figures, which stand to the right.
    pub figures: bool,
}

impl Grid {
    /// Without columns yet.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), ..Self::default() }
    }

    /// With further columns of words.
    #[must_use]
    pub fn words(self, headings: &[&str]) -> Self {
        self.columns(headings, false)
    }

    /// With further columns of figures.
    #[must_use]
    pub fn figures(self, headings: &[&str]) -> Self {
        self.columns(headings, true)
    }

    fn columns(mut self, headings: &[&str], figures: bool) -> Self {
        let column = |heading: &&str| Column { heading: (*heading).into(), figures };
        self.columns.extend(headings.iter().map(column));
        self
    }

    /// Adds a row; what it lacks is not known.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), NOTHING.into());
        self.rows.push(cells);
    }

    /// Adds a note, once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Without the columns in which no row has anything.
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

    /// Without the columns of this heading.
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

    /// As a table of GitHub's Markdown, padded so that the text reads well as it is.
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

/// Text on one line in which nothing is markup.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' => escaped.extend(['\\', c]),
            c if steers(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Text as code, on one line.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if steers(c) { ' ' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_tidy_and_leaves_out_what_is_empty() {
        let mut grid = Grid::new("").words(&["engine", "gone"]).figures(&["fps"]).words(&["it"]);
        grid.row(vec!["a|b".into(), "-".into(), "1.50".into()]);
        grid.row(vec!["\u{221e}".into(), String::new(), "1234".into(), "x".into()]);
        grid.note("mind *this*");
        let text = grid.without_empty_columns().markdown();
        let expected = "\
| engine |  fps | it  |
| ------ | ---: | --- |
| a\\|b   | 1.50 | -   |
| \u{221e}      | 1234 | x   |

mind \\*this\\*
";
        assert_eq!(text, expected);
    }

    #[test]
    fn code_keeps_its_ticks_and_stays_on_one_line() {
        assert_eq!(code("a b"), "`a b`");
        assert_eq!(code("a `b``c\nd`"), "``` a `b``c d` ```");
        assert_eq!(escape("<b>\n_x_\u{202e}"), "&lt;b&gt; \\_x\\_ ");
    }
}
