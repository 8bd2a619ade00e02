//! Copies weights that the user has into a folder.

use std::path::Path;

use super::{Store, Weights, WeightsError, file};
use crate::{ModelVersion, convert};

impl Store {
    /// Copies the weights in a file into the folder, with the published names, and records their
    /// hash, which is verified from then on. See [`Weights::from_file`] for the files that can be
    /// read, and for how the version is found. Replaces other weights of the version only with
    /// `overwrite`.
    ///
    /// # Errors
    /// As [`Weights::from_file`]; [`WeightsError::Exists`] when the folder has other weights of the
    /// version, [`WeightsError::Io`] when it cannot be written.
    pub fn import(
        &self,
        file: &Path,
        version: Option<ModelVersion>,
        overwrite: bool,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Weights, WeightsError> {
        let opened = file::open(file, version)?;
        let _lock = self.lock(notify)?;
        let (version, path) = (opened.requested, self.converted(opened.requested));
        if path.is_file() {
            let present = convert::tensors_sha256_of_safetensors(&path).ok();
            let same = present.as_ref() == Some(&opened.tensors_sha256);
            if !same && !overwrite {
                return Err(WeightsError::Exists { version, path });
            }
        }
        let name = file::file_name(file);
        opened.selected.import(&name, &opened.source_sha256, version, &path)?;
        let weights = self.verified(version, path)?;
        // How the file was read matters only now.
        let notes = [opened.note, weights.note.clone()].into_iter().flatten();
        let note = notes.collect::<Vec<_>>().join("; ");
        Ok(Weights { note: (!note.is_empty()).then_some(note), ..weights })
    }
}
