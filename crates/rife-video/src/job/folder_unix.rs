//! A directory by its descriptor: names in it are resolved from there, whatever happens to its
//! path, and links are never followed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

/// The mode of any new file; the umask applies.
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
            // Systems differ in what a link is to them here.
            Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
            dir => Ok(Self(dir?)),
        }
    }

    /// Whether it belongs to this user alone; why not otherwise.
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

    /// Whether a directory that this process creates has the same owner and is as open to others:
    /// then the file system gives both to every directory.
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

    /// Opens or creates the file to lock.
    pub(super) fn open_lock(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        regular(fs::openat(&self.0, checked(name)?, flags, Mode::RUSR | Mode::WUSR)?)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        // A pipe must not block whoever opens it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        regular(fs::openat(&self.0, checked(name)?, flags, Mode::empty())?)
    }

    /// Creates a file that does not exist.
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
            // The system or this file system does not know the flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
        match fs::linkat(&self.0, name, CWD, output, AtFlags::empty()) {
            Ok(()) => return Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?),
            Err(Errno::EXIST) => return Err(Errno::EXIST.into()),
            // No links either, as on FAT.
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
            // Every name that a job gives is text; others are not its own.
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether the path leads to this directory.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        same(fs::fstat(&self.0), fs::lstat(path))
    }

    /// Whether a name in the directory leads to this file.
    pub(super) fn is_file_at(&self, name: &str, file: &File) -> bool {
        same(fs::fstat(file), fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    pub(super) fn working_dir(&self, path: &Path) -> io::Result<PathBuf> {
        // A child process enters its directory before it closes inherited descriptors, so that this
        // leads it to the one that was checked.
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
        // Opening this name opens the same file anew; elsewhere it shares the position of the
        // descriptor.
        let known = cfg!(target_os = "linux") && fs::stat("/proc/self/fd").is_ok();
        known.then(|| PathBuf::from("/proc/self/fd/1"))
    }
}

fn same(a: rustix::io::Result<Stat>, b: rustix::io::Result<Stat>) -> bool {
    matches!((a, b), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// A name that stays within the directory.
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
