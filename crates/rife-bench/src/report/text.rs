//! Plain text of at most [`WIDTH`] columns.

pub(super) const WIDTH: usize = 100;

/// Trims trailing spaces, and replaces characters that could control a terminal: texts of a record
/// are not trusted.
pub(super) fn clean_lines(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_end().replace(is_control, "\u{fffd}") + "\n");
    lines.collect()
}

/// Whether a character is a control character or changes the text direction.
pub(super) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Breaks a text at spaces into lines of at most [`WIDTH`] columns. Continuation lines are indented.
pub(super) fn wrap(text: &str) -> String {
    let lines = wrap_to(text, WIDTH - 4);
    // The first line has no indentation and could be longer; equal lines read as well.
    lines.join("\n    ")
}

/// Breaks a text at spaces into lines of at most `width` columns, unless a word is longer.
pub(super) fn wrap_to(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if column + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
                column += 1 + length;
            }
            _ => {
                lines.push(word.to_owned());
                column = length;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        let cleaned = clean_lines("a \u{1b}[31mb\u{7}  \nc\u{202e}d \u{e9}\u{221e}\r\n");
        assert_eq!(cleaned, "a \u{fffd}[31mb\u{fffd}\nc\u{fffd}d \u{e9}\u{221e}\n");
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        assert_eq!(wrap_to("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap_to("unbreakable a", 4), ["unbreakable", "a"]);
        assert!(wrap_to("", 4).is_empty());
        assert!(wrap(&"word ".repeat(100)).lines().all(|line| line.len() <= WIDTH));
    }
}
