//! The errors of finding and fetching weights.

use std::io;
use std::path::{Path, PathBuf};

use crate::convert::ConvertError;
use crate::{ModelVersion, StateDictMismatch};

/// Why a version's weights could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file or folder could not be read or written.
    #[error("cannot {op} {path}: {cause}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// There is no folder for weights.
    #[error("no folder for weights: give one with --weights or RIFE_WEIGHTS")]
    NoFolder,
    /// A file is not the published one.
    #[error(
        "{path} is not the published file of RIFE {version}: the SHA-256 of {of} is {got}, not \
         {expected}; delete it to fetch it again"
    )]
    Hash {
        /// The version.
        version: ModelVersion,
        /// The file.
        path: PathBuf,
        /// What was hashed: the file, or its tensors alone.
        of: &'static str,
        /// What the manifest says.
        expected: String,
        /// What the file has.
        got: String,
    },
    /// A converted file cannot be read.
    #[error("{cause}; delete the file to have it made again")]
    Damaged {
        /// What is wrong, and with which file.
        cause: ConvertError,
    },
    /// A file's tensors are not those of the version.
    #[error("{path}: {mismatch}")]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// What differs.
        mismatch: StateDictMismatch,
    },
    /// A file cannot be converted or read.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The file could not be fetched.
    #[error(
        "cannot fetch RIFE {version}: {reason}. By hand: get {file} from {upstream} and put it in \
         {folder}"
    )]
    Fetch {
        /// The version.
        version: ModelVersion,
        /// Why not.
        reason: String,
        /// The file's name in the folder.
        file: String,
        /// Where a person finds it.
        upstream: String,
        /// The weights folder.
        folder: PathBuf,
    },
}

impl WeightsError {
    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { op, path: path.to_owned(), cause }
    }
}
