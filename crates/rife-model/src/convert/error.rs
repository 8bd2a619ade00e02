//! Errors of reading and converting checkpoints.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::ModelVersion;

/// Why a checkpoint was not read or not converted.
///
/// The [`Display`](std::fmt::Display) of every variant is one line. Text that comes from the file
/// (names, keys, globals, and messages of the zip and JSON parsers, which quote them) is escaped
/// and shortened before it becomes part of an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// An error in the content of a file.
    #[error("cannot {op} {file}")]
    InFile {
        /// The operation, such as `read`.
        op: &'static str,
        /// The file, as named by the caller.
        file: String,
        /// What is wrong with the content.
        source: Box<Self>,
    },
    /// The operating system reported an error.
    #[error("cannot {op} {path}")]
    Io {
        /// The operation, such as `open`.
        op: &'static str,
        /// The file, as named by the caller.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// Something is larger than [`Limits`](super::Limits) allows.
    #[error("{what} needs {got} bytes, and the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes, or a lower bound of it.
        got: u64,
        /// The largest allowed size in bytes.
        limit: u64,
    },
    /// The tensors do not fit into memory.
    #[error("out of memory: {cause}")]
    OutOfMemory {
        /// The reason.
        cause: String,
    },
    /// The input is not a checkpoint.
    #[error("not a PyTorch checkpoint: {found}")]
    NotACheckpoint {
        /// What it looks like.
        found: String,
    },
    /// The zip archive is damaged or was not written by `torch.save`.
    #[error("zip entry {entry}: {problem}")]
    Archive {
        /// The entry or part of the archive.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// The data ends too early.
    #[error(
        "{stream} ends at byte {end}: {what} at byte {offset} needs {expected} bytes, got {got}"
    )]
    Truncated {
        /// The stream: a zip entry or the file.
        stream: String,
        /// What was being read.
        what: String,
        /// Its offset in the stream, in bytes.
        offset: u64,
        /// The end of the stream, in bytes.
        end: u64,
        /// Bytes needed.
        expected: u64,
        /// Bytes left.
        got: u64,
    },
    /// The pickle stream is malformed, or `torch.save` did not write it.
    #[error("{stream} at byte {offset}: {problem}")]
    Pickle {
        /// The stream: a zip entry or the file.
        stream: String,
        /// The offset of the opcode in the stream, in bytes.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The pickle stream names a Python object that a state dict does not need. Nothing was run.
    #[error("{stream} at byte {offset}: refused global {name}, which no state dict needs")]
    ForbiddenGlobal {
        /// The stream: a zip entry or the file.
        stream: String,
        /// The offset of the opcode in the stream, in bytes.
        offset: u64,
        /// `module.name`, escaped.
        name: String,
    },
    /// The pickled object is not a state dict and does not contain exactly one.
    #[error("no state dict: {problem}")]
    NoStateDict {
        /// What the object is instead.
        problem: String,
    },
    /// A tensor does not fit into its storage, or the storage is missing or damaged.
    #[error("tensor {name}: {problem}")]
    Tensor {
        /// The tensor's key, escaped.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor has a dtype that is not converted.
    #[error(
        "tensor {name}: unsupported dtype {dtype}: expected float64, float32, float16, bfloat16, \
         int64, int32, int16, int8, uint8 or bool"
    )]
    UnsupportedDtype {
        /// The tensor's key, escaped.
        name: String,
        /// PyTorch's name of the dtype.
        dtype: &'static str,
    },
    /// Two tensors have the same name without the prefix `module.`.
    #[error("keys {first} and {second} are the same without the prefix \"module.\"")]
    KeyCollision {
        /// One key, escaped.
        first: String,
        /// The other key, escaped.
        second: String,
    },
    /// The checkpoint belongs to another model than the expected one.
    #[error("not the weights of RIFE {expected}: {found}")]
    OtherModel {
        /// The expected model.
        expected: ModelVersion,
        /// Which model the tensors match.
        found: String,
    },
    /// The output exists, and [`ConvertOptions::overwrite`](super::ConvertOptions::overwrite) is
    /// not set.
    #[error("{path} exists")]
    OutputExists {
        /// The output.
        path: String,
    },
    /// The output is a folder, a device or a pipe, which is never replaced.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The output.
        path: String,
    },
    /// Input and output are the same file.
    #[error("input and output are the same file: {path}")]
    SameFile {
        /// The file.
        path: String,
    },
    /// A safetensors file cannot be read or written.
    #[error("not a valid safetensors file: {problem}")]
    Safetensors {
        /// What is wrong.
        problem: String,
    },
    /// The written file differs from the checkpoint. It has been removed.
    #[error("the written file differs from the checkpoint: {problem}")]
    ReadBack {
        /// The first difference.
        problem: String,
    },
}

impl ConvertError {
    /// The error itself, without the [`InFile`](Self::InFile) around it.
    pub fn innermost(&self) -> &Self {
        let mut error = self;
        while let Self::InFile { source, .. } = error {
            error = source;
        }
        error
    }

    /// As [`Self::innermost`], by value.
    pub(crate) fn into_innermost(self) -> Self {
        match self {
            Self::InFile { source, .. } => source.into_innermost(),
            other => other,
        }
    }

    /// Adds the operation and the file, unless the error already names a file.
    pub(super) fn in_file(self, op: &'static str, path: &Path) -> Self {
        match self {
            Self::InFile { .. } | Self::Io { .. } => self,
            other => Self::InFile { op, file: shown_path(path), source: Box::new(other) },
        }
    }

    pub(super) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = shown_path(path);
        move |source| Self::Io { op, path, source }
    }

    pub(super) fn tensor(name: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { name: quoted(name), problem: problem.into() }
    }
}

/// Longest piece of untrusted text in a message, in characters.
const SHOWN_CHARS: usize = 96;

/// `text` on one line: control characters escaped, and cut to [`SHOWN_CHARS`].
pub(super) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN_CHARS {
            out.push_str("...");
            break;
        }
        if c == '\'' || c == '"' {
            out.push(c);
        } else {
            out.extend(c.escape_debug());
        }
    }
    out
}

/// [`shown`] for bytes that should be text.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    // Cut before converting, so that the cost does not grow with the length.
    let head = bytes.get(..SHOWN_CHARS * 4).unwrap_or(bytes);
    shown(&String::from_utf8_lossy(head))
}

/// [`shown`] between quotation marks.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write!(out, "\"{}\"", shown(text));
    out
}

/// A path on one line. Paths come from the caller, so they are not shortened.
pub(super) fn shown_path(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .flat_map(|c| match c {
            c if c.is_control() => c.escape_debug().collect::<Vec<_>>(),
            c => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_is_escaped_and_cut() {
        assert_eq!(shown("a\nb\u{2028}c\u{1b}"), "a\\nb\\u{2028}c\\u{1b}");
        assert_eq!(shown(&"x".repeat(1000)).len(), SHOWN_CHARS + 3);
        assert_eq!(quoted("a\"b"), "\"a\"b\"");
        assert_eq!(shown_path(Path::new("a\nb")), "a\\nb");
    }
}
