//! Verifies the files of a folder.

use std::path::{Path, PathBuf};

use super::manifest::{Entry, entry};
use super::{Store, TENSORS, Weights, WeightsError, file};
use crate::ModelVersion;
use crate::convert::{self, ConvertError};

/// How [`Store::verify`] verified a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verified {
    /// Its hash is the published one.
    Published,
    /// Its hash is the one that was recorded when it was imported or converted.
    Recorded,
    /// It has the tensors of the version. No hash is known.
    Tensors,
}

impl Store {
    /// Verifies every file that the folder contains for a version. Returns each file with the
    /// result.
    pub fn verify(&self, version: ModelVersion) -> Vec<(PathBuf, Result<Verified, WeightsError>)> {
        let checkpoints = self.checkpoints(version).map(|path| {
            let verified = match entry(version).sha256 {
                Some(_) => Verified::Published,
                None => Verified::Tensors,
            };
            let result = match verified {
                Verified::Published => verify_checkpoint(entry(version), &path),
                _ => file::open(&path, Some(version)).map(drop),
            };
            (path, result.map(|()| verified))
        });
        let converted = Some(self.converted(version)).filter(|path| path.is_file());
        let converted = converted.map(|path| {
            let result = self.verified(version, path.clone()).and_then(|weights| {
                if file::is_published(version, &weights.tensors_sha256) {
                    return Ok(Verified::Published);
                }
                let origin = convert::origin_of(&path).map_err(WeightsError::damaged(&path))?;
                let recorded = origin.tensors_sha256.is_some();
                Ok(if recorded { Verified::Recorded } else { Verified::Tensors })
            });
            (path, result)
        });
        checkpoints.chain(converted).collect()
    }

    /// Hashes a converted file and compares it with the published hash; or for an imported file with
    /// the hash that it records, and for other files with the tensors that the network needs.
    pub(super) fn verified(
        &self,
        version: ModelVersion,
        path: PathBuf,
    ) -> Result<Weights, WeightsError> {
        let got =
            convert::tensors_sha256_of_safetensors(&path).map_err(WeightsError::damaged(&path))?;
        let weights = Weights {
            requested: version,
            version,
            path,
            tensors_sha256: got,
            note: None,
            content: None,
        };
        let (path, got) = (&weights.path, &weights.tensors_sha256);
        if file::is_published(version, got) {
            return Ok(weights);
        }
        let origin = convert::origin_of(path).map_err(WeightsError::damaged(path))?;
        let imported = origin.imported_as.as_deref() == Some(version.as_str());
        if let (Some(expected), false) = (&entry(version).tensors_sha256, imported) {
            let (path, expected, got) = (path.clone(), expected.clone(), got.clone());
            return Err(WeightsError::Hash { version, path, of: TENSORS, expected, got });
        }
        let recorded = origin.tensors_sha256.is_some();
        if let Some(expected) = origin.tensors_sha256.filter(|expected| expected != got) {
            let (path, got) = (path.clone(), got.clone());
            return Err(WeightsError::Changed { path, expected, got });
        }
        let shapes = convert::shapes_of_safetensors(path).map_err(WeightsError::damaged(path))?;
        let shapes = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
        if let Err(source) = crate::check_state_dict(version.spec(), shapes) {
            return Err(WeightsError::OtherModel { version, path: path.clone(), source });
        }
        let owner = ModelVersion::ALL.into_iter().find(|v| file::is_published(*v, got));
        let note = match owner {
            Some(owner) => Some(format!(
                "RIFE {version} runs with the weights of {owner}: {} contains them",
                path.display()
            )),
            None if entry(version).tensors_sha256.is_some() => Some(format!(
                "{} was imported from {} and is not the published file of RIFE {version}",
                path.display(),
                origin.source.as_deref().unwrap_or("another file"),
            )),
            None if !recorded => Some(format!(
                "{} is not verified: its hash is not known (`Store::import` records it)",
                path.display()
            )),
            None => None,
        };
        Ok(Weights { version: owner.unwrap_or(version), note, ..weights })
    }
}

/// Compares a checkpoint with its published hash, where one is published.
pub(super) fn verify_checkpoint(entry: &Entry, path: &Path) -> Result<(), WeightsError> {
    let Some(expected) = &entry.sha256 else { return Ok(()) };
    let got = convert::file_sha256(path).map_err(|error| match error {
        ConvertError::Io { op, source, .. } => WeightsError::io(op, path)(source),
        other => other.into(),
    })?;
    if got == *expected {
        return Ok(());
    }
    Err(WeightsError::Hash {
        version: entry.version,
        path: path.to_owned(),
        of: "the file",
        expected: expected.clone(),
        got,
    })
}
