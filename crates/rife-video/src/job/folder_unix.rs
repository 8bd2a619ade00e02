//! A directory by descriptor: names are resolved relative to it, whatever happens to its path, and
//! links are never followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

/// Mode of a new file, before the umask.
const NEW_FILE: Mode = Mode::from_bits_truncate(0o666);

/// Creates a private directory.
pub(super) fn create(path: &Path) -> io::Result<()> {
    Ok(fs::mkdir(path, Mode::RWXU)?)
}

#[derive(Debug)]
pub(super) struct Dir(OwnedFd);

impl Dir {
    /// Opens a directory that is not a link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::open(path, flags, Mode::empty()) {
            // Systems report a link differently here.
            Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
            dir => Ok(Self(dir?)),
        }
    }

    /// Checks that the directory belongs to this user alone; otherwise returns the reason.
    pub(super) fn check_private(&self) -> Result<(), String> {
        let found = fs::fstat(&self.0).map_err(|error| error.to_string())?;
        let user = rustix::process::geteuid().as_raw();
        if found.st_uid != user {
            return Err(format!(
                "it belongs to another user (expected {user}, got {})",
                found.st_uid
            ));
        }
        let mode = Mode::from_raw_mode(found.st_mode);
        if mode.intersects(Mode::WGRP | Mode::WOTH) {
            let mode = mode.bits() & 0o777;
            return Err(format!("others can write to it (expected mode 700, got {mode:o})"));
        }
        Ok(())
    }

    /// Whether a new directory of this process gets the same owner and write permissions. Then the
    /// file system gives them to every directory.
    pub(super) fn is_like_new(&self, probe: &Path) -> bool {
        if fs::mkdir(probe, Mode::RWXU).is_err() {
            return false;
        }
        let of = |found: Stat| {
            (found.st_uid, Mode::from_raw_mode(found.st_mode) & (Mode::WGRP | Mode::WOTH))
        };
        let both = (fs::fstat(&self.0).map(of), fs::lstat(probe).map(of));
        let _ = fs::rmdir(probe);
        matches!(both, (Ok(a), Ok(b)) if a == b)
    }

    /// Opens or creates the lock file.
    pub(super) fn open_lock(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        regular(fs::openat(&self.0, checked(name)?, flags, Mode::RUSR | Mode::WUSR)?)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        // Opening a pipe must not block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        regular(fs::openat(&self.0, checked(name)?, flags, Mode::empty())?)
    }

    /// Creates a file that must not exist.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, checked(name)?, flags, NEW_FILE)?.into())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(fs::renameat(&self.0, checked(from)?, &self.0, checked(to)?)?)
    }

    /// Moves a file out of the directory.
    pub(super) fn publish(&self, name: &str, output: &Path, overwrite: bool) -> io::Result<()> {
        let name = checked(name)?;
        if overwrite {
            return Ok(fs::renameat(&self.0, name, CWD, output)?);
        }
        match fs::renameat_with(&self.0, name, CWD, output, RenameFlags::NOREPLACE) {
            // The system or the file system does not support the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
        match fs::linkat(&self.0, name, CWD, output, AtFlags::empty()) {
            Ok(()) => return Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?),
            Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
            // No hard links either, as on FAT.
            Err(_) => {}
        }
        if fs::lstat(output).is_ok() {
            return Err(Errno::EXIST.into());
        }
        Ok(fs::renameat(&self.0, name, CWD, output)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, checked(name)?, AtFlags::empty())?)
    }

    pub(super) fn remove_self(&self, path: &Path) -> io::Result<()> {
        Ok(fs::rmdir(path)?)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            // Job files have UTF-8 names; others do not belong to the job.
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether `path` is this directory.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        same(fs::fstat(&self.0), fs::lstat(path))
    }

    /// Whether `name` in the directory is this file.
    pub(super) fn is_file_at(&self, name: &str, file: &File) -> bool {
        same(fs::fstat(file), fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    pub(super) fn working_dir(&self, path: &Path) -> io::Result<PathBuf> {
        // A child process changes its directory before it closes inherited descriptors, so this
        // path leads to the directory that was checked.
        if cfg!(target_os = "linux") {
            let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
            if same(fs::fstat(&self.0), fs::stat(&by_descriptor)) {
                return Ok(by_descriptor);
            }
        }
        match self.is_at(path) {
            true => Ok(path.to_owned()),
            false => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another directory has taken the place of the job folder",
            )),
        }
    }

    pub(super) fn name_of_stdout(&self) -> Option<PathBuf> {
        // On Linux, opening this name opens the file anew; elsewhere it shares the file position of
        // the descriptor.
        let known = cfg!(target_os = "linux") && fs::stat("/proc/self/fd").is_ok();
        known.then(|| PathBuf::from("/proc/self/fd/1"))
    }
}

fn same(a: rustix::io::Result<Stat>, b: rustix::io::Result<Stat>) -> bool {
    matches!((a, b), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// Rejects names that lead out of the directory.
fn checked(name: &str) -> io::Result<&str> {
    match name {
        "" | "." | ".." => Err(io::ErrorKind::InvalidInput.into()),
        name if name.contains('/') => Err(io::ErrorKind::InvalidInput.into()),
        name => Ok(name),
    }
}

fn regular(file: impl AsFd + Into<File>) -> io::Result<File> {
    let file: File = file.into();
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}
