//! A position in a byte stream, with bounds-checked reads.

use super::error::{ConvertError, shown};

/// Reads a stream from start to end.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) pos: usize,
    /// Offset of `bytes` in the file or entry, for messages.
    pub(super) base: u64,
    /// The name of the stream, for messages.
    pub(super) name: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], base: u64, name: &'a str) -> Self {
        Self { bytes, pos: 0, base, name }
    }

    /// The next `len` bytes; `what` describes them in an error.
    pub(super) fn take(&mut self, len: u64, what: &'static str) -> Result<&'a [u8], ConvertError> {
        let left = self.bytes.len().saturating_sub(self.pos);
        let found = usize::try_from(len)
            .ok()
            .and_then(|len| self.pos.checked_add(len))
            .and_then(|end| Some((end, self.bytes.get(self.pos..end)?)));
        let Some((end, found)) = found else {
            return Err(ConvertError::Truncated {
                stream: shown(self.name),
                what: what.to_owned(),
                offset: self.at(self.pos),
                end: self.at(self.bytes.len()),
                expected: len,
                got: left as u64,
            });
        };
        self.pos = end;
        Ok(found)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], ConvertError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    /// The bytes up to the next newline, which is consumed.
    pub(super) fn line(&mut self, what: &'static str) -> Result<&'a [u8], ConvertError> {
        let rest = self.bytes.get(self.pos..).unwrap_or_default();
        let Some(len) = rest.iter().take(MAX_LINE).position(|&b| b == b'\n') else {
            if rest.len() < MAX_LINE {
                return self.take(rest.len() as u64 + 1, what);
            }
            return Err(self.error(self.pos, format!("{what}: expected at most {MAX_LINE} bytes")));
        };
        let line = self.take(len as u64, what)?;
        self.pos += 1;
        Ok(line)
    }

    /// The offset of `pos` in the file or entry.
    pub(super) fn at(&self, pos: usize) -> u64 {
        self.base.saturating_add(pos as u64)
    }

    /// An error about the opcode at `pos`.
    pub(super) fn error(&self, pos: usize, problem: impl Into<String>) -> ConvertError {
        ConvertError::Pickle {
            stream: shown(self.name),
            offset: self.at(pos),
            problem: problem.into(),
        }
    }
}

/// Longest module or class name in bytes.
const MAX_LINE: usize = 4096;
