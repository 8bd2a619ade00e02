//! The tables of a Markdown text, each between markers on lines of their own, made from records:
//!
//! ```text
//! <!-- table: speed h100.json f16 -->
//! <!-- /table -->
//! ```

mod kinds;

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::sources::Source;
use crate::record::write_whole;

const BEGIN: &str = "<!-- table:";
const END: &str = "<!-- /table -->";

/// A text with its tables made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The whole of it.
    pub text: String,
    /// The first table that was another: its line, from 1, and what it is of.
    pub first_changed: Option<(usize, String)>,
    /// Whether there is a marker at all.
    pub has_tables: bool,
}

/// The line that a fenced block begins with, as CommonMark has it.
#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (fence, info) = Self::at_the_start_of(line)?;
        // What holds a backtick in its first line is code within a line.
        (fence.mark == '~' || !info.contains('`')).then_some(fence)
    }

    fn is_closed_by(self, line: &str) -> bool {
        Self::at_the_start_of(line).is_some_and(|(end, info)| {
            end.mark == self.mark && end.length >= self.length && info.trim().is_empty()
        })
    }

    /// Three marks or more after at most three spaces, and what comes after them.
    fn at_the_start_of(line: &str) -> Option<(Self, &str)> {
        let text = line.trim_start_matches(' ');
        let mark = text.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        (line.len() - text.len() <= 3 && length >= 3).then_some((Self { mark, length }, info))
    }
}

/// Makes the tables of a text anew and leaves all else as it is, byte for byte. Markers in a fenced
/// block are part of the text.
///
/// # Errors
/// The first marker that is wrong, as `name:line: what`.
pub fn rewrite(text: &str, name: &str, sources: &[Source]) -> Result<Rewritten> {
    let mut out = String::with_capacity(text.len());
    let mut first_changed = None;
    let mut has_tables = false;
    let mut lines = text.split_inclusive('\n').zip(1..);
    let mut fence: Option<Fence> = None;
    while let Some((line, number)) = lines.next() {
        out.push_str(line);
        let words = line.trim();
        match fence {
            Some(open) if open.is_closed_by(line) => fence = None,
            None => fence = Fence::opened_by(line),
            Some(_) => {}
        }
        if fence.is_some() {
            continue;
        }
        if words == END {
            bail!("{name}:{number}: {END} without a table before it");
        }
        let Some(rest) = words.strip_prefix(BEGIN) else { continue };
        let Some(what) = rest.strip_suffix("-->") else {
            bail!("{name}:{number}: the marker does not end with -->");
        };
        has_tables = true;
        let what: Vec<&str> = what.split_whitespace().collect();
        let table = kinds::make(&what, sources);
        let table = table.with_context(|| format!("{name}:{number}"))?;
        let mut old = String::new();
        let end = loop {
            match lines.next() {
                Some((line, _)) if line.trim() == END => break line,
                Some((line, at)) if line.trim().starts_with(BEGIN) => {
                    bail!("{name}:{number}: no {END} before the next table on line {at}");
                }
                Some((line, _)) => old.push_str(line),
                None => bail!("{name}:{number}: no {END} after this table"),
            }
        };
        let newline = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        // A table begins after an empty line, or Markdown takes it for text.
        let new = format!("\n{}\n", table.trim_end())
            .lines()
            .fold(String::new(), |new, line| new + line + newline)
            + newline;
        if new != old && first_changed.is_none() {
            first_changed = Some((number, what.join(" ")));
        }
        out.push_str(&new);
        out.push_str(end);
    }
    Ok(Rewritten { text: out, has_tables, first_changed })
}

/// Makes the tables of a file anew, or, to check, says which one is another; `fix` is what to run.
///
/// # Errors
/// Where the file cannot be read or written, a marker is wrong, or, to check, a table is another.
pub fn update(path: &Path, sources: &[Source], check: bool, fix: &str) -> Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let new = rewrite(&text, &name.to_string(), sources)?;
    if !new.has_tables {
        bail!("{name} has no table: a marker is a line {BEGIN} ... -->");
    }
    match new.first_changed {
        Some((line, what)) if check => {
            bail!("{name}:{line}: table \"{what}\" is not what the records say; run {fix}")
        }
        Some(_) => {
            // What a link points to is written, not the link.
            let path = path.canonicalize().with_context(|| format!("cannot write {name}"))?;
            let as_it_was = std::fs::metadata(&path).map(|old| old.permissions());
            write_whole(&path, true, |out| Ok(out.write_all(new.text.as_bytes())?))?;
            if let Ok(permissions) = as_it_was {
                std::fs::set_permissions(&path, permissions)
                    .with_context(|| format!("cannot write {name}"))?;
            }
            Ok(())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
