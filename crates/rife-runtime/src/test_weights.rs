//! The weights that tests run with, of this crate and through its API.

use rife_model::ModelVersion;
use rife_model::weights::{Store, Weights, entry};
use rife_testkit::write_random_weights;

/// The seed of the random weights that the golden files were computed with.
pub(crate) const SEED: u64 = 7;

/// The published weights of a version if they can be downloaded, else random ones.
pub(crate) fn weights(version: ModelVersion) -> Weights {
    let weights = if has_published_weights(version) {
        let store = Store::locate(None);
        store.and_then(|store| store.fetch(version, &mut |line| eprintln!("{line}")))
    } else {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random.safetensors");
        write_random_weights(&path, &version.spec().tensors(), SEED);
        Weights::from_file(&path, Some(version))
    };
    weights.unwrap_or_else(|e| panic!("{e}"))
}

/// Whether published weights of the version, or others that fit, can be downloaded.
pub(crate) fn has_published_weights(version: ModelVersion) -> bool {
    let entry = entry(version);
    entry.pip.is_some() || entry.stand_in.is_some()
}
