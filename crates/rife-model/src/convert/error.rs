//! What can go wrong, always said in one line.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::ModelVersion;

/// Why a checkpoint was not read or not converted.
///
/// The [`Display`](std::fmt::Display) of every variant is one line: text that comes from the file
/// (names, keys, globals) is escaped and shortened before it gets in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// An error about the content of a named file.
    #[error("{file}: {inner}")]
    InFile {
        /// The file, as it was named by the caller.
        file: String,
        /// What is wrong with it.
        inner: Box<Self>,
    },
    /// The operating system refused something.
    #[error("cannot {op} {path}: {}", shown(&cause.to_string()))]
    Io {
        /// What was being done.
        op: &'static str,
        /// The file it was done to.
        path: String,
        /// The system's reason.
        cause: io::Error,
    },
    /// Something is larger than [`Limits`](super::Limits) allow.
    #[error("{what} needs {got} bytes; the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes, or the least that it would be.
        got: u64,
        /// The size in bytes that is allowed.
        limit: u64,
    },
    /// The input is something else.
    #[error("not a PyTorch checkpoint: {found}")]
    NotACheckpoint {
        /// What it looks like.
        found: String,
    },
    /// The zip container is broken, or it is not the one that `torch.save` writes.
    #[error("zip entry {entry}: {problem}")]
    Archive {
        /// The entry, or the part of the container.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The data ends too early.
    #[error(
        "{stream} ends at byte {end}: {what} at byte {offset} needs {expected} bytes, got {got}"
    )]
    Truncated {
        /// The stream: a zip entry, or the file.
        stream: String,
        /// What was being read.
        what: String,
        /// Where it starts in the stream.
        offset: u64,
        /// Where the stream ends.
        end: u64,
        /// How many bytes it needs.
        expected: u64,
        /// How many are left.
        got: u64,
    },
    /// The pickle stream is malformed or does what no `torch.save` does.
    #[error("{stream} at byte {offset}: {problem}")]
    Pickle {
        /// The stream: a zip entry, or the file.
        stream: String,
        /// Where the opcode starts in the stream.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The pickle stream names a Python object that a state dict does not need. Nothing was run.
    #[error("{stream} at byte {offset}: refused global {name}: not part of a state dict")]
    ForbiddenGlobal {
        /// The stream: a zip entry, or the file.
        stream: String,
        /// Where the opcode starts in the stream.
        offset: u64,
        /// `module.name`, escaped.
        name: String,
    },
    /// The object in the file is not, and does not hold, one clear state dict.
    #[error("no state dict: {problem}")]
    NoStateDict {
        /// What was found instead.
        problem: String,
    },
    /// A tensor's description does not fit its storage, or its storage is missing or broken.
    #[error("tensor {name}: {problem}")]
    Tensor {
        /// The tensor's key, escaped.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tensor of a dtype that the output cannot hold exactly.
    #[error(
        "tensor {name}: dtype {dtype} is not supported: expected float64/32/16, bfloat16, int64/32/16/8, uint8 or bool"
    )]
    UnsupportedDtype {
        /// The tensor's key, escaped.
        name: String,
        /// The dtype as PyTorch names it.
        dtype: &'static str,
    },
    /// Two tensors have one name once `module.` is dropped.
    #[error("keys {first} and {second} are one name once the prefix \"module.\" is dropped")]
    KeyCollision {
        /// One key, escaped.
        first: String,
        /// The other key, escaped.
        second: String,
    },
    /// The checkpoint is not of the model it should be of.
    #[error("these are not the weights of RIFE {expected}: {found}")]
    OtherModel {
        /// The model that was asked for.
        expected: ModelVersion,
        /// What the tensors are instead.
        found: String,
    },
    /// The output is there already and overwriting was not asked for.
    #[error("{path} exists already; it is replaced only when overwriting is asked for")]
    OutputExists {
        /// The output.
        path: String,
    },
    /// The output is a folder, a device or a pipe: replacing it would destroy it.
    #[error("{path} is not a file that could be replaced")]
    NotAFile {
        /// The output.
        path: String,
    },
    /// The output is the input.
    #[error("input and output are the same file: {path}")]
    SameFile {
        /// The file.
        path: String,
    },
    /// A safetensors file that cannot be read.
    #[error("safetensors: {problem}")]
    Safetensors {
        /// What is wrong with it.
        problem: String,
    },
    /// What was written is not what was read; the output was discarded.
    #[error("the written file differs from the checkpoint: {problem}")]
    ReadBack {
        /// The first difference.
        problem: String,
    },
}

impl ConvertError {
    /// The error itself, without the file names around it.
    pub fn innermost(&self) -> &Self {
        let mut error = self;
        while let Self::InFile { inner, .. } = error {
            error = inner;
        }
        error
    }

    /// Names the file that the error is about, unless the error names one already.
    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::InFile { .. } | Self::Io { .. } => self,
            other => Self::InFile { file: shown_path(path), inner: Box::new(other) },
        }
    }

    pub(super) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = shown_path(path);
        move |cause| Self::Io { op, path, cause }
    }

    pub(super) fn tensor(name: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { name: quoted(name), problem: problem.into() }
    }
}

/// Characters of untrusted text that get into a message.
const SHOWN_CHARS: usize = 96;

/// `text` fit for one line: control characters escaped, and the end cut where it is long.
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

/// [`shown`] for bytes that ought to be text.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    // Cut first: the conversion must not cost more than what is shown.
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

/// A path fit for one line; paths are the caller's, so they are not shortened.
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
