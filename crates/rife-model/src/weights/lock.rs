//! Keeps two processes from writing to a folder at once, and cleans up after interrupted ones.

use std::fs::{self, File, TryLockError};
use std::io;

use super::{Store, WeightsError};
use crate::convert;

/// Prefix of the temporary folders that a fetch works in.
pub(super) const FETCH_PREFIX: &str = ".fetch-";

impl Store {
    /// Takes the lock that keeps other processes from fetching into the folder. Dropping the file
    /// releases it.
    pub(super) fn lock(&self, notify: &mut dyn FnMut(&str)) -> Result<File, WeightsError> {
        fs::create_dir_all(self.dir()).map_err(WeightsError::io("create", self.dir()))?;
        let path = self.dir().join(".lock");
        let lock = File::create(&path).map_err(WeightsError::io("write", &path))?;
        let locked = match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                notify(&format!(
                    "waiting for another process that writes weights to {}",
                    self.dir().display()
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
        for entry in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // A leftover that cannot be removed does not prevent a fetch.
            if name.to_string_lossy().starts_with(FETCH_PREFIX) {
                let _ = fs::remove_dir_all(entry.path());
            } else if convert::is_temporary(&name) && is_old(&entry) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Whether a file was last written an hour ago: no conversion takes that long.
fn is_old(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 3600))
}
