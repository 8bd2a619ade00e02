//! A directory by path. It is kept open without sharing the right to rename or delete it, so that
//! nothing can take its place while a job runs. Links in it are refused.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Creates a directory, which inherits its access list.
pub(super) fn create(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

#[derive(Debug)]
pub(super) struct Dir {
    path: PathBuf,
    /// Closed before the directory is removed.
    handle: std::sync::Mutex<Option<File>>,
}

#[cfg(windows)]
mod flags {
    pub(super) const BACKUP_SEMANTICS: u32 = 0x0200_0000;
    pub(super) const OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    pub(super) const SHARE_READ_WRITE: u32 = 3;
    pub(super) const REPARSE_POINT: u32 = 0x400;
}

/// Whether a file is a link or another reparse point.
fn is_link(found: &fs::Metadata) -> bool {
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt;
        found.file_attributes() & flags::REPARSE_POINT != 0
    }
    #[cfg(not(windows))]
    found.is_symlink()
}

/// Opens a link itself instead of its target.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, flags::OPEN_REPARSE_POINT);
    options
}

fn regular(file: File) -> io::Result<File> {
    let found = file.metadata()?;
    match found.is_file() && !is_link(&found) {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

impl Dir {
    /// Opens a directory that is not a link.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_dir() || is_link(&found) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        #[cfg(windows)]
        let handle = {
            use std::os::windows::fs::OpenOptionsExt;
            let mut options = OpenOptions::new();
            options.read(true).share_mode(flags::SHARE_READ_WRITE);
            options.custom_flags(flags::BACKUP_SEMANTICS | flags::OPEN_REPARSE_POINT);
            let handle = options.open(path)?;
            if is_link(&handle.metadata()?) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Some(handle)
        };
        #[cfg(not(windows))]
        let handle = None;
        Ok(Self { path: path.to_owned(), handle: handle.into() })
    }

    /// Access lists are inherited; there is no owner or mode to check.
    pub(super) fn check_private(&self) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn is_like_new(&self, _: &Path) -> bool {
        true
    }

    pub(super) fn open_lock(&self, name: &str) -> io::Result<File> {
        regular(options().write(true).create(true).open(self.at(name)?)?)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<File> {
        regular(options().open(self.at(name)?)?)
    }

    /// Creates a file that must not exist.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.at(name)?)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from)?, self.at(to)?)
    }

    /// Moves a file out of the directory.
    pub(super) fn publish(&self, name: &str, output: &Path, overwrite: bool) -> io::Result<()> {
        let file = tempfile::TempPath::try_from_path(self.at(name)?)?;
        let kept = if overwrite { file.persist(output) } else { file.persist_noclobber(output) };
        kept.map_err(|error| {
            // Keep the file: the caller decides about it.
            let _ = error.path.keep();
            error.error
        })
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name)?)
    }

    pub(super) fn remove_self(&self, path: &Path) -> io::Result<()> {
        let _ = self.handle.lock().map(|mut handle| handle.take());
        fs::remove_dir(path)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    /// Whether `path` is this directory, which cannot be renamed while it is open.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && !is_link(&found))
    }

    pub(super) fn is_file_at(&self, name: &str, _: &File) -> bool {
        self.path.join(name).is_file()
    }

    pub(super) fn working_dir(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    pub(super) fn name_of_stdout(&self) -> Option<PathBuf> {
        None
    }

    /// Rejects names that lead out of the directory.
    fn at(&self, name: &str) -> io::Result<PathBuf> {
        match Path::new(name).file_name() == Some(name.as_ref()) {
            true => Ok(self.path.join(name)),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
