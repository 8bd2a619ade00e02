//! The record of engines that failed their self-test.

use std::io::Read;
use std::path::PathBuf;

use crate::cuda::private_cache::{cache_folder, open, replace};
use crate::{Engine, Precision};

/// The folder in the cache folder.
pub(crate) const FOLDER: &str = "self-test";

/// The bytes of a record that are read.
const LIMIT: u64 = 4096;

/// Where the failure of one engine on one machine is recorded. A new driver, device or version of
/// this crate has another file.
#[derive(Debug)]
pub(crate) struct Verdict {
    file: Option<PathBuf>,
}

impl Verdict {
    /// `identity` describes the device and its driver.
    pub(crate) fn new(identity: &str, engine: Engine, precision: Precision) -> Self {
        Self::in_folder(cache_folder(FOLDER), identity, engine, precision)
    }

    fn in_folder(
        folder: Option<PathBuf>,
        identity: &str,
        engine: Engine,
        precision: Precision,
    ) -> Self {
        use sha2::{Digest, Sha256};
        let key = format!("{}\0{identity}\0{engine}\0{precision}", env!("CARGO_PKG_VERSION"));
        let hash: String =
            Sha256::digest(key).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { file: folder.map(|folder| folder.join(hash)) }
    }

    /// Why the last self-test failed, if it did. Only a file that no other user could have written
    /// counts.
    pub(crate) fn failure(&self) -> Option<String> {
        let mut reason = String::new();
        let file = open(self.file.as_ref()?).ok()?;
        file.take(LIMIT).read_to_string(&mut reason).ok()?;
        Some(reason)
    }

    /// Records a failure. Without a cache folder, nothing is recorded.
    pub(crate) fn record(&self, reason: &str) {
        let Some(file) = &self.file else { return };
        if let Err(refused) = replace(file, &[reason.as_bytes()]) {
            tracing::warn!("cannot record the failed self-test in {}: {refused}", file.display());
        }
    }

    /// Removes the record of a failure.
    pub(crate) fn clear(&self) {
        // Most engines never failed, so that the file is missing: not an error.
        let _ = self.file.as_ref().map(std::fs::remove_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_recorded_for_one_device_engine_and_precision_until_it_passes() {
        let folder = tempfile::tempdir().unwrap();
        let verdict = |identity: &str, precision| {
            let folder = Some(folder.path().join("private"));
            Verdict::in_folder(folder, identity, Engine::Optimized, precision)
        };
        let failed = verdict("a card, driver 1", Precision::F16);
        assert_eq!(failed.failure(), None);
        failed.record("12.3 dB");
        assert_eq!(failed.failure().as_deref(), Some("12.3 dB"));
        assert_eq!(verdict("a card, driver 1", Precision::F16).failure(), failed.failure());
        assert_eq!(verdict("a card, driver 2", Precision::F16).failure(), None);
        assert_eq!(verdict("a card, driver 1", Precision::F32).failure(), None);
        failed.clear();
        assert_eq!(failed.failure(), None);
    }

    #[test]
    fn without_a_cache_folder_nothing_is_recorded() {
        let verdict = Verdict::in_folder(None, "cpu", Engine::Optimized, Precision::F32);
        verdict.record("broken");
        assert_eq!(verdict.failure(), None);
    }
}
