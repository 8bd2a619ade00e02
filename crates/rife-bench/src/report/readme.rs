//! Generated tables in Markdown files. Each table is between markers on their own lines:
//!
//! ```text
//! <!-- table: speed h100.json f16 -->
//! <!-- /table -->
//! ```

mod kinds;

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::records::NamedRecord;
use crate::files::write_atomically;

const BEGIN: &str = "<!-- table:";
const END: &str = "<!-- /table -->";

/// A text with regenerated tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The whole text.
    pub text: String,
    /// The first table that changed: its line, from 1, and its specification.
    pub first_changed: Option<(usize, String)>,
    /// Whether the text contains any table.
    pub has_tables: bool,
}

/// The opening line of a fenced code block, as defined by CommonMark.
#[derive(Clone, Copy)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let (fence, info) = Self::at_the_start_of(line)?;
        // A first line that contains another backtick is inline code.
        (fence.mark == '~' || !info.contains('`')).then_some(fence)
    }

    fn is_closed_by(self, line: &str) -> bool {
        Self::at_the_start_of(line).is_some_and(|(end, info)| {
            end.mark == self.mark && end.length >= self.length && info.trim().is_empty()
        })
    }

    /// Three or more fence characters after at most three spaces, and the text after them.
    fn at_the_start_of(line: &str) -> Option<(Self, &str)> {
        let text = line.trim_start_matches(' ');
        let mark = text.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let info = text.trim_start_matches(mark);
        let length = text.len() - info.len();
        (line.len() - text.len() <= 3 && length >= 3).then_some((Self { mark, length }, info))
    }
}

/// Regenerates the tables of a text and leaves everything else unchanged. Markers inside fenced code
/// blocks are text.
///
/// # Errors
/// The first invalid marker, as `name:line: what`.
pub fn rewrite(text: &str, name: &str, records: &[NamedRecord]) -> Result<Rewritten> {
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
            bail!("{name}:{number}: {END} without {BEGIN} before it");
        }
        let Some(rest) = words.strip_prefix(BEGIN) else { continue };
        let Some(what) = rest.strip_suffix("-->") else {
            bail!("{name}:{number}: marker must end with -->");
        };
        has_tables = true;
        let spec: Vec<&str> = what.split_whitespace().collect();
        let table = kinds::render(&spec, records);
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
        // Markdown requires an empty line before a table.
        let new = format!("\n{}\n", table.trim_end())
            .lines()
            .fold(String::new(), |new, line| new + line + newline)
            + newline;
        if new != old && first_changed.is_none() {
            first_changed = Some((number, spec.join(" ")));
        }
        out.push_str(&new);
        out.push_str(end);
    }
    Ok(Rewritten { text: out, has_tables, first_changed })
}

/// Regenerates the tables of a file. With `check`, fails if a table would change; `fix` is the
/// command to run then.
///
/// # Errors
/// When the file cannot be read or written, a marker is invalid, or the check fails.
pub fn update(path: &Path, records: &[NamedRecord], check: bool, fix: &str) -> Result<()> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let new = rewrite(&text, &name.to_string(), records)?;
    if !new.has_tables {
        bail!("{name} contains no table; expected a line {BEGIN} ... -->");
    }
    match new.first_changed {
        Some((line, spec)) if check => {
            bail!("{name}:{line}: table \"{spec}\" is out of date; run {fix}")
        }
        Some(_) => {
            // Symbolic links are followed.
            let path = path.canonicalize().with_context(|| format!("cannot write {name}"))?;
            let permissions = std::fs::metadata(&path).map(|old| old.permissions());
            write_atomically(&path, true, |out| Ok(out.write_all(new.text.as_bytes())?))?;
            if let Ok(permissions) = permissions {
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
