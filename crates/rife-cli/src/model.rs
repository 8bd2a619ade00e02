//! The model and the weights of a job.

use anyhow::{Result, bail};
use rife_model::weights::{Store, Weights, WeightsError, WeightsStatus};
use rife_runtime::ModelVersion;

use crate::args::EngineArgs;
use crate::host::Host;
use crate::weights::say_note;

/// The version to run, and where its weights are.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) version: ModelVersion,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    /// The weights in a file that the user names.
    File(Box<Weights>),
    Store(Store),
}

impl Model {
    /// Reads a weights file if one is named, and chooses the version.
    pub(crate) fn of(args: &EngineArgs, host: &Host) -> Result<Self> {
        if let Some(file) = args.weights.as_deref().filter(|path| Weights::is_file_path(path)) {
            let weights = Weights::from_file(file, args.model)?;
            say_note(host, &weights);
            return Ok(Self {
                version: weights.requested,
                source: Source::File(Box::new(weights)),
            });
        }
        let store = Store::locate(args.weights.as_deref())?;
        let version = args.model.unwrap_or_else(|| default_version(&store));
        Ok(Self { version, source: Source::Store(store) })
    }

    /// The weights, which are downloaded or converted if they are missing.
    pub(crate) fn weights(&self, host: &Host) -> Result<Weights> {
        match &self.source {
            Source::File(weights) => Ok(Weights::clone(weights)),
            Source::Store(store) => {
                let weights = crate::weights::fetch(host, store, self.version)?;
                say_note(host, &weights);
                Ok(weights)
            }
        }
    }

    /// The weights, if nothing has to be downloaded or written for them.
    pub(crate) fn available_weights(&self) -> Result<Weights> {
        match &self.source {
            Source::File(weights) => Ok(Weights::clone(weights)),
            Source::Store(store) => match store.find(self.version) {
                Err(WeightsError::Missing { version, .. }) => {
                    bail!("the weights are missing: run `rife weights fetch {version}`")
                }
                found => Ok(found?),
            },
        }
    }
}

/// 4.26, or 4.25 if only its weights are in the folder. Both have the same speed.
fn default_version(store: &Store) -> ModelVersion {
    let present = |version| store.status(version) != WeightsStatus::Missing;
    match !present(ModelVersion::V4_26) && present(ModelVersion::V4_25) {
        true => ModelVersion::V4_25,
        false => ModelVersion::V4_26,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_the_newest_version_with_weights() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        assert_eq!(default_version(&store), ModelVersion::V4_26);
        std::fs::write(folder.path().join("rife425.pth"), "").unwrap();
        assert_eq!(default_version(&store), ModelVersion::V4_25);
        std::fs::write(folder.path().join("rife426.safetensors"), "").unwrap();
        assert_eq!(default_version(&store), ModelVersion::V4_26);
    }
}
