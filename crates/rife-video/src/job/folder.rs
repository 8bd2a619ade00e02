//! The private folder of a job: it holds the lock, the journal, finished segments and whatever is
//! not complete yet, beside the output, so that the finished file only has to be renamed.
//!
//! The folder may lie where others can write (`/tmp`, a shared disk). It is therefore created with
//! mode 0700, accepted only if it is a real directory of this user that nobody else can write to,
//! and every file in it is opened relative to the opened directory without following links. On a
//! file system without owners and modes (exFAT, a Windows drive) it is accepted if it looks like
//! any directory that this process creates there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

#[cfg(unix)]
use super::folder_unix as system;
#[cfg(not(unix))]
use super::folder_windows as system;

/// The file whose lock says that a process works in the folder.
const LOCK: &str = "lock";

/// Longest name of a job folder in bytes. Encrypted file systems allow names of 143 bytes, most
/// others 255.
const MAX_NAME: usize = 140;

/// How often a folder is opened again that another process removes at the same moment.
const OPEN_ATTEMPTS: usize = 20;

/// How often a folder is emptied again that a child process still writes into.
const REMOVE_ATTEMPTS: usize = 100;

/// A locked folder that belongs to this process until it is removed or dropped.
#[derive(Debug)]
pub struct JobFolder {
    path: PathBuf,
    dir: system::Dir,
    _lock: File,
}

impl JobFolder {
    /// The folder of a job that writes `output`: a hidden folder beside it. Long names are
    /// shortened and made unique by a hash.
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

    /// Creates the folder, or opens the one that an earlier job left, and locks it.
    ///
    /// # Errors
    /// [`Error::Unusable`] if it is not a private directory of this user;
    /// [`Error::Busy`] if another process holds its lock; [`Error::Io`] if it cannot be created.
    pub fn open(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        for _ in 0..OPEN_ATTEMPTS {
            match system::create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io(cannot())(error));
                }
                _ => {}
            }
            // Whoever held the lock may remove the folder between any two of these steps.
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
                // A file system without locks has no other process to wait for.
                Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
            }
            if dir.is_at(path) && dir.is_file_at(LOCK, &lock) {
                return Ok(Self { path: path.to_owned(), dir, _lock: lock });
            }
        }
        Err(Error::Busy { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file for reading, without following a link.
    ///
    /// # Errors
    /// The system's, and [`io::ErrorKind::InvalidInput`] if it is not a regular file.
    pub fn read(&self, name: &str) -> io::Result<File> {
        self.dir.read(name)
    }

    /// Creates a new file for reading and writing, in the place of any other of the same name. Its
    /// mode is that of any new file, so that it can become the output.
    ///
    /// # Errors
    /// The system's.
    pub fn create(&self, name: &str) -> io::Result<File> {
        match self.dir.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.dir.create(name)
    }

    /// Writes a file as a whole or not at all.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = format!("unfinished-{name}");
        let written = self.create(&new).and_then(|mut file| {
            io::Write::write_all(&mut file, content)?;
            file.sync_all()
        });
        let written = written.and_then(|()| self.dir.rename(&new, name));
        if written.is_err() {
            let _ = self.dir.remove(&new);
        }
        written
    }

    /// Renames a file within the folder, replacing another.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    /// Moves a complete file to its final name outside the folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if there is such a file and `overwrite` is not set; the
    /// system's otherwise.
    pub fn publish(&self, name: &str, output: &Path, overwrite: bool) -> io::Result<()> {
        self.dir.publish(name, output, overwrite)
    }

    /// The names of all files but the lock.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = self.dir.names()?;
        names.retain(|name| name != LOCK);
        Ok(names)
    }

    /// Removes the files whose names match, all but the lock.
    ///
    /// # Errors
    /// The system's; the remaining files are removed all the same.
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

    /// Removes the folder with everything in it, although a child process may still write into it.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self) -> io::Result<()> {
        let mut removed = Ok(());
        for _ in 0..REMOVE_ATTEMPTS {
            removed = self.clear(|_| true);
            // The lock goes last: until then no other job can begin in the folder.
            let _ = self.dir.remove(LOCK);
            removed = removed.and_then(|()| self.dir.remove_self(&self.path));
            match &removed {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                _ => break,
            }
        }
        removed
    }

    /// A path of the folder that a child process can change to, and that no other directory can
    /// take the place of where the system allows that.
    ///
    /// # Errors
    /// If another directory has taken its place.
    pub(crate) fn working_dir(&self) -> io::Result<PathBuf> {
        self.dir.working_dir(&self.path)
    }

    /// The name by which a child process opens a file of the folder that is its standard output:
    /// by its descriptor where the system can, since a name could be made to lead elsewhere.
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
mod tests {
    use super::*;

    #[test]
    fn long_and_invalid_names_are_shortened_to_unique_ones() {
        let folder_of = |name: &str| {
            let path = JobFolder::beside(Path::new(name));
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(folder_of("out.mp4"), ".out.mp4.rife-job");
        for letter in ["a", "é", "映", "🎞"] {
            for bytes in 100..=255 {
                let fill = bytes - ".mp4".len();
                let name = |last: &str| {
                    let text = letter.repeat((fill - 1) / letter.len());
                    let pad = fill - 1 - text.len();
                    format!("{text}{}{last}.mp4", "x".repeat(pad))
                };
                assert_eq!(name("1").len(), bytes);
                let [one, two] = ["1", "2"].map(|last| folder_of(&name(last)));
                assert!(one.len() <= MAX_NAME && one.ends_with(".rife-job"), "{one}");
                assert_ne!(one, two);
            }
        }
    }

    #[cfg(unix)]
    mod unix {
        use std::fs;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        use super::*;

        #[test]
        fn folder_is_private_and_locked_and_leaves_nothing() {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(".x.rife-job");
            let folder = JobFolder::open(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
            assert!(matches!(JobFolder::open(&path), Err(Error::Busy { .. })));
            folder.write("a", b"1").unwrap();
            assert_eq!(folder.names().unwrap(), ["a"]);
            folder.publish("a", &root.path().join("b"), false).unwrap();
            folder.write("a", b"2").unwrap();
            let error = folder.publish("a", &root.path().join("b"), false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            folder.publish("a", &root.path().join("b"), true).unwrap();
            assert_eq!(fs::read(root.path().join("b")).unwrap(), b"2");
            folder.write("a", b"3").unwrap();
            folder.remove().unwrap();
            assert!(!path.exists());
            drop(folder);
            JobFolder::open(&path).unwrap().remove().unwrap();
        }

        #[test]
        fn planted_folders_are_refused() {
            let root = tempfile::tempdir().unwrap();
            let elsewhere = root.path().join("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            let path = root.path().join("job");
            let refused = |why: &str| {
                let error = JobFolder::open(&path).unwrap_err().to_string();
                assert!(error.contains(why), "{why}: {error}");
            };
            symlink(&elsewhere, &path).unwrap();
            refused("got a link or a file");
            fs::remove_file(&path).unwrap();
            fs::write(&path, b"").unwrap();
            refused("got a link or a file");
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            for mode in [0o720, 0o702, 0o777] {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                refused("others can write");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            // Only root can give a directory away.
            if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
                refused("another user");
            }
            assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        }

        #[test]
        fn links_in_the_folder_are_not_followed() {
            let root = tempfile::tempdir().unwrap();
            let (path, secret) = (root.path().join("job"), root.path().join("secret"));
            fs::write(&secret, b"secret").unwrap();
            fs::create_dir(&path).unwrap();
            symlink(&secret, path.join(LOCK)).unwrap();
            assert!(JobFolder::open(&path).is_err());
            fs::remove_file(path.join(LOCK)).unwrap();
            let folder = JobFolder::open(&path).unwrap();
            symlink(&secret, path.join("a")).unwrap();
            assert!(folder.read("a").is_err());
            folder.create("a").unwrap();
            symlink(&secret, path.join("b")).unwrap();
            folder.write("b", b"new").unwrap();
            symlink(&secret, path.join("unfinished-c")).unwrap();
            folder.write("c", b"new").unwrap();
            assert_eq!(fs::read(&secret).unwrap(), b"secret");
            assert!(folder.read("../secret").is_err());
            folder.remove().unwrap();
            assert_eq!(fs::read(&secret).unwrap(), b"secret");
        }

        #[test]
        fn a_folder_that_was_replaced_is_noticed() {
            let root = tempfile::tempdir().unwrap();
            let (path, moved) = (root.path().join("job"), root.path().join("moved"));
            let folder = JobFolder::open(&path).unwrap();
            fs::rename(&path, &moved).unwrap();
            fs::create_dir(&path).unwrap();
            folder.write("a", b"1").unwrap();
            assert!(moved.join("a").exists() && !path.join("a").exists());
            match folder.working_dir() {
                // By its descriptor, which still leads to the directory that was opened.
                Ok(dir) => {
                    assert_eq!(fs::canonicalize(dir).unwrap(), moved.canonicalize().unwrap())
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
            }
        }
    }
}
