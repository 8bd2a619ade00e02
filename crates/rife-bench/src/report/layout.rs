//! How reports lay out text: plain, of at most [`WIDTH`] columns.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

pub(super) const WIDTH: usize = 100;
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('-').junction('-'));

/// A table whose first columns are words and whose others are figures.
pub(super) fn table(words: usize, headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if index >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Without what tables pad their last column with, and without what a terminal would obey: words of
/// a record may be anybody's.
pub(super) fn trim_lines(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_end().replace(steers, "\u{fffd}") + "\n");
    lines.collect()
}

/// Whether a character is no text but moves what is beside it: a control, or a mark of direction.
pub(super) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Breaks a line at spaces; what follows is indented.
pub(super) fn wrap(line: &str) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in line.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            text.push_str("\n    ");
            column = 4;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}

/// About three significant digits.
pub(super) fn figure(v: f64) -> String {
    let decimals = if v < 10.0 { 2 } else { usize::from(v < 100.0) };
    format!("{v:.decimals$}")
}

/// A time in ms that may be well below one.
pub(super) fn fine(ms: f64) -> String {
    let decimals = if ms < 10.0 { 3 } else { 2 - usize::from(ms >= 100.0) };
    format!("{ms:.decimals$}")
}

/// What is known, else a dash.
pub(super) fn known(v: Option<f64>, show: impl Fn(f64) -> String) -> String {
    v.map_or_else(|| "-".into(), show)
}

/// A whole number.
pub(super) fn whole(v: f64) -> String {
    format!("{v:.0}")
}

/// A change, in %, with its sign: none of what is none.
pub(super) fn change(share: f64) -> String {
    let percent = 100.0 * share;
    format!("{:+.1}", if percent.abs() < 0.05 { 0.0 } else { percent })
}

/// A share, in %.
pub(super) fn percent(v: f64) -> String {
    format!("{:.1}", 100.0 * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_nothing_has_no_minus() {
        assert_eq!([change(-0.0001), change(0.0), change(-0.01)], ["+0.0", "+0.0", "-1.0"]);
    }

    #[test]
    fn nothing_of_a_record_steers_a_terminal() {
        let said = trim_lines("a \u{1b}[31mb\u{7}  \nc\u{202e}d \u{e9}\u{221e}\r\n");
        assert_eq!(said, "a \u{fffd}[31mb\u{fffd}\nc\u{fffd}d \u{e9}\u{221e}\n");
    }
}
