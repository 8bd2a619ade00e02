//! Identifies the input by a BLAKE3 hash of every byte, computed while the job runs.
//!
//! A resumed job must join segments of the same input only. File size and time do not prove that
//! (`cp -p`, a repaired download), and neither does a hash of parts.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::{Error, Result};

/// Read buffer, in bytes.
const BUFFER_BYTES: usize = 1 << 20;

/// Size and modification time of a file when the job began.
type FileState = (u64, Option<SystemTime>);

/// The BLAKE3 hash of a file, or of the hashes of several files in order. A thread computes it; dropping this stops the thread.
#[derive(Debug)]
pub struct ContentHash {
    files: Vec<(PathBuf, FileState)>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The hash in hexadecimal, or the file that cannot be read.
    done: Mutex<Option<Result<String, (PathBuf, io::ErrorKind)>>>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl ContentHash {
    /// Starts hashing.
    ///
    /// # Errors
    /// [`Error::Io`] if a file does not exist.
    pub fn start(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        for path in paths {
            files.push((path.clone(), file_state(path)?));
        }
        let shared = Arc::new(Shared::default());
        let (to, names) = (shared.clone(), paths.to_vec());
        std::thread::spawn(move || {
            let hash = hash(&names, &to.stopped);
            *to.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
            to.changed.notify_all();
        });
        Ok(Self { files, shared })
    }

    /// Total size of the files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, (bytes, _))| bytes).sum()
    }

    /// Waits at most `timeout` for the hash; `None` if it is not complete.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<Option<String>> {
        let done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.changed.wait_timeout_while(done, timeout, |done| done.is_none());
        let (done, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &*done {
            None => Ok(None),
            Some(Ok(hash)) => Ok(Some(hash.clone())),
            Some(Err((path, kind))) => Err(cannot_read(path)((*kind).into())),
        }
    }

    /// Waits for the hash, and checks that the files did not change meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read, [`Error::Unusable`] if one changed.
    pub fn wait(&self) -> Result<String> {
        let hash = loop {
            if let Some(hash) = self.wait_timeout(Duration::from_secs(3600))? {
                break hash;
            }
        };
        for (path, before) in &self.files {
            if file_state(path)? != *before {
                return Err(Error::Unusable {
                    path: path.clone(),
                    why: "the file changed while it was read; start again".into(),
                });
            }
        }
        Ok(hash)
    }
}

impl Drop for ContentHash {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    Error::io(format!("cannot read {}", path.display()))
}

fn file_state(path: &Path) -> Result<FileState> {
    let of = |found: Metadata| (found.len(), found.modified().ok());
    path.metadata().map(of).map_err(cannot_read(path))
}

fn hash(paths: &[PathBuf], stopped: &AtomicBool) -> Result<String, (PathBuf, io::ErrorKind)> {
    let mut all = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for path in paths {
        let mut of = || -> io::Result<[u8; 32]> {
            let mut hasher = blake3::Hasher::new();
            let mut file = File::open(path)?;
            loop {
                if stopped.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                match file.read(&mut buffer) {
                    Ok(0) => return Ok(*hasher.finalize().as_bytes()),
                    Ok(n) => _ = hasher.update(buffer.get(..n).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        };
        let hash = of().map_err(|error| (path.clone(), error.kind()))?;
        if paths.len() == 1 {
            return Ok(blake3::Hash::from_bytes(hash).to_hex().to_string());
        }
        // A hash of hashes, so that boundaries between files count.
        all.update(&hash);
    }
    Ok(all.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hash_of(paths: &[PathBuf]) -> String {
        ContentHash::start(paths).unwrap().wait().unwrap()
    }

    #[test]
    fn hash_depends_on_every_byte_and_file_boundary() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let mut bytes = vec![7; 3 * BUFFER_BYTES + 5];
        fs::write(&a, &bytes).unwrap();
        let before = hash_of(std::slice::from_ref(&a));
        assert_eq!(before.len(), 64);
        // In the middle, which a hash of the ends would miss.
        bytes[BUFFER_BYTES * 3 / 2] ^= 1;
        fs::write(&a, &bytes).unwrap();
        assert_ne!(hash_of(std::slice::from_ref(&a)), before);

        fs::write(&a, b"12").unwrap();
        fs::write(&b, b"3").unwrap();
        let both = hash_of(&[a.clone(), b.clone()]);
        assert_ne!(both, hash_of(&[b.clone(), a.clone()]));
        fs::write(&a, b"1").unwrap();
        fs::write(&b, b"23").unwrap();
        assert_ne!(both, hash_of(&[a, b]));
    }

    #[test]
    fn changed_and_missing_files_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        assert!(ContentHash::start(std::slice::from_ref(&path)).is_err());
        fs::write(&path, b"1").unwrap();
        let hash = ContentHash::start(std::slice::from_ref(&path)).unwrap();
        assert_eq!(hash.bytes(), 1);
        fs::write(&path, b"12").unwrap();
        assert!(hash.wait().unwrap_err().to_string().contains("changed while it was read"));
    }
}
