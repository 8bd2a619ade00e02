//! The private job folder next to the output. It contains the lock, the journal, finished segments
//! and incomplete files. The finished video is only renamed.
//!
//! The folder may be in a place where others can write (`/tmp`, a shared disk). It is therefore
//! created with mode 0700, accepted only if it is a real directory that belongs to this user and
//! that nobody else can write to, and files are opened relative to its descriptor without following
//! links. On a file system without owners and modes (exFAT, a Windows drive), it is accepted if it
//! looks like any directory that this process creates there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

#[cfg(unix)]
use super::folder_unix as system;
#[cfg(not(unix))]
use super::folder_windows as system;

/// Lock file; locked while a process uses the folder.
const LOCK: &str = "lock";

/// Longest name of a job folder, in bytes. Encrypted file systems allow 143 bytes, most others 255.
const MAX_NAME: usize = 140;

/// Attempts to open a folder that another process is removing.
const OPEN_ATTEMPTS: usize = 20;

/// Attempts to empty a folder that a child process still writes into.
const REMOVE_ATTEMPTS: usize = 100;

/// A private folder. It belongs to this process until it is removed or dropped, unless it is
/// shared with other processes, as the folder of a planned job.
#[derive(Debug)]
pub struct JobFolder {
    path: PathBuf,
    dir: system::Dir,
    _lock: Option<File>,
}

impl JobFolder {
    /// Path of the job folder for `output`: a hidden folder next to it. Long names are shortened
    /// and made unique by a hash.
    pub fn beside(output: &Path) -> PathBuf {
        let name = output.file_name().unwrap_or_default();
        let suffix = ".rife-job";
        let full = name.to_str().map(|name| format!(".{name}{suffix}"));
        let name = full.filter(|full| full.len() <= MAX_NAME).unwrap_or_else(|| {
            let hash = blake3::hash(name.as_encoded_bytes()).to_hex();
            let hash = hash.get(..16).unwrap_or_default();
            let room = MAX_NAME - ".-".len() - hash.len() - suffix.len();
            let text = name.to_string_lossy();
            let end = text.floor_char_boundary(room);
            format!(".{}-{hash}{suffix}", text.get(..end).unwrap_or_default())
        });
        output.with_file_name(name)
    }

    /// Creates the folder, or opens that of an earlier job, and locks it.
    ///
    /// # Errors
    /// [`Error::Unusable`] if it is not a private directory of this user; [`Error::Busy`] if
    /// another process holds the lock; [`Error::Io`] if it cannot be created.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        for _ in 0..OPEN_ATTEMPTS {
            match system::create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io(cannot())(error));
                }
                _ => {}
            }
            // The process that held the lock may remove the folder between any two of these steps.
            let dir = match system::Dir::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    return Err(unusable(path, "expected a directory, got a link or a file"));
                }
                dir => dir.map_err(Error::io(cannot()))?,
            };
            if let Err(why) = dir.check_private()
                && !dir.is_like_new(&path.with_extension(format!("probe-{}", std::process::id())))
            {
                return Err(unusable(path, &why));
            }
            let lock = match dir.open_lock(LOCK) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock.map_err(Error::io(cannot()))?,
            };
            match lock.try_lock() {
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(Error::Busy { path: path.to_owned() });
                }
                // A file system without locks: there is no other process to wait for.
                Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
            }
            if dir.is_at(path) && dir.is_file_at(LOCK, &lock) {
                return Ok(Self { path: path.to_owned(), dir, _lock: Some(lock) });
            }
        }
        Err(Error::Busy { path: path.to_owned() })
    }

    /// Creates the folder, or opens it, without a lock: other processes of this user, also on other
    /// machines, use it at the same time.
    ///
    /// # Errors
    /// As [`Self::open`], except that it is never busy.
    pub(crate) fn share(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        match system::create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io(cannot())(error))
            }
            _ => Self::share_existing(path),
        }
    }

    /// Opens a folder that exists, without a lock; see [`Self::share`].
    ///
    /// # Errors
    /// As [`Self::share`].
    pub(crate) fn share_existing(path: &Path) -> Result<Self> {
        let dir = match system::Dir::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(unusable(path, "expected a directory, got a link or a file"));
            }
            dir => dir.map_err(Error::io(format!("cannot open {}", path.display())))?,
        };
        if let Err(why) = dir.check_private()
            && !dir.is_like_new(&path.with_extension(format!("probe-{}", std::process::id())))
        {
            return Err(unusable(path, &why));
        }
        Ok(Self { path: path.to_owned(), dir, _lock: None })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file for reading, without following links.
    ///
    /// # Errors
    /// Those of the system; [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    pub fn read(&self, name: &str) -> io::Result<File> {
        self.dir.read(name)
    }

    /// Creates a file for reading and writing, replacing any file of the same name. It has the mode
    /// of any new file, since it may become the output.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create(&self, name: &str) -> io::Result<File> {
        match self.dir.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.dir.create(name)
    }

    /// Writes a file atomically.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.write_by(name, content, &format!("unfinished-{name}"))
    }

    /// Writes a file atomically. It is called `new` until it is complete.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write_by(&self, name: &str, content: &[u8], new: &str) -> io::Result<()> {
        let written = self.create(new).and_then(|mut file| {
            io::Write::write_all(&mut file, content)?;
            file.sync_all()
        });
        let written = written.and_then(|()| self.dir.rename(new, name));
        if written.is_err() {
            let _ = self.dir.remove(new);
        }
        written
    }

    /// Creates a file that must not exist yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if it does; otherwise those of the system.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        self.dir.create(name)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }

    /// Renames a file within the folder, replacing any other.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    /// Moves a complete file to its final path outside the folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if that file exists and `overwrite` is false; otherwise
    /// those of the system.
    pub fn publish(&self, name: &str, output: &Path, overwrite: bool) -> io::Result<()> {
        self.dir.publish(name, output, overwrite)
    }

    /// Names of all files except the lock.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.dir.names()?;
        names.retain(|name| name != LOCK);
        Ok(names)
    }

    /// Removes all files whose names match, except the lock.
    ///
    /// # Errors
    /// Those of the system; the remaining files are still removed.
    pub fn clear(&self, matches: impl Fn(&str) -> bool) -> io::Result<()> {
        let mut done = Ok(());
        for name in self.names()?.into_iter().filter(|name| matches(name)) {
            match self.dir.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => done = Err(error),
                _ => {}
            }
        }
        done
    }

    /// Removes the folder and its contents, even while a child process writes into it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self) -> io::Result<()> {
        let mut removed = Ok(());
        for _ in 0..REMOVE_ATTEMPTS {
            removed = self.clear(|_| true);
            // The lock goes last, so that no other job can start in the folder before.
            let _ = self.dir.remove(LOCK);
            removed = removed.and_then(|()| self.dir.remove_self(&self.path));
            match &removed {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                _ => break,
            }
        }
        removed
    }

    /// A path of the folder for the working directory of a child process. Where the system supports
    /// it, the path refers to the open descriptor, so that no other directory can take its place.
    ///
    /// # Errors
    /// If another directory has taken its place.
    pub(crate) fn working_dir(&self) -> io::Result<PathBuf> {
        self.dir.working_dir(&self.path)
    }

    /// The name by which a child process opens the file that is its standard output. Where the
    /// system supports it, the name refers to the descriptor, since another file could take the
    /// place of a path.
    pub(crate) fn name_of_stdout(&self, name: &str) -> PathBuf {
        self.dir.name_of_stdout().unwrap_or_else(|| self.path.join(name))
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::Unusable {
        path: path.to_owned(),
        why: format!("cannot be used as the job folder: {why}; remove it, or write elsewhere"),
    }
}

#[cfg(test)]
mod tests;
