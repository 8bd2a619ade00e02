//! Cache files that only the current user can write. Kernels from the cache run on the GPU, and
//! cached tiles decide how they are launched, so files that another user could have written are
//! refused.
//!
//! On Unix, owners and modes are checked. Elsewhere the user's cache folder is private by default,
//! and nothing is checked.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The prefix of temporary files.
pub(super) const PREFIX: &str = ".new-";

/// Why a file or a folder is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Its owner can change it, whatever its mode.
    #[error("it belongs to another user (user {owner}, expected {expected})")]
    Owner { owner: u32, expected: u32 },
    /// Its group or everyone can write to it.
    #[error("other users can write to it (mode {mode:03o}, expected {expected:03o})")]
    Writable { mode: u32, expected: u32 },
    /// It is a link, a pipe or a device, or a folder where a file is expected, or the reverse.
    #[error("it is not a plain {0}")]
    Kind(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refused {
    /// Whether the file is untrusted, rather than missing or unreadable.
    fn is_untrusted(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// Creates a private folder and its parents, or checks the existing one.
///
/// # Errors
/// [`Refused`] if it cannot be created, or another user could have changed its contents.
pub(crate) fn create_folder(folder: &Path) -> Result<(), Refused> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, FOLDER_MODE);
    builder.create(folder)?;
    check_folder(folder)?;
    restrict(folder)?;
    Ok(())
}

/// Checks that no other user could have changed the contents of a folder.
///
/// # Errors
/// [`Refused`] if another user could, or the folder does not exist.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Refused> {
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(Refused::Kind("folder"));
    }
    check(&metadata, FOLDER_MODE)
}

/// Creates a folder if it is missing, and writes a temporary file into it.
///
/// # Errors
/// [`Refused`] if the folder cannot be created or written, or another user could have changed its
/// contents.
pub(crate) fn check_writable(folder: &Path) -> Result<(), Refused> {
    create_folder(folder)?;
    tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    Ok(())
}

/// Opens a file for reading, after checking that no other user could have written it or its folder.
///
/// # Errors
/// [`Refused`] if another user could have, or the file cannot be opened.
pub(crate) fn open(file: &Path) -> Result<File, Refused> {
    check_folder(file.parent().unwrap_or(Path::new(".")))?;
    let mut options = File::options();
    options.read(true);
    // Links are not followed, and a pipe without a writer does not block.
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags as i32);
    }
    let opened = options.open(file);
    if fs::symlink_metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Refused::Kind("file"));
    }
    let opened = opened?;
    // Check the opened file: the path may refer to another one by now.
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(Refused::Kind("file"));
    }
    check(&metadata, FILE_MODE)?;
    Ok(opened)
}

/// Atomically replaces a file, readable by this user only. Creates the folder if it is missing.
///
/// # Errors
/// [`Refused`] if another user can write to the folder, or the file cannot be written.
pub(crate) fn replace(file: &Path, parts: &[&[u8]]) -> Result<(), Refused> {
    let folder = file.parent().unwrap_or(Path::new("."));
    create_folder(folder)?;
    // `tempfile` creates files with mode 0600.
    let mut new = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    parts.iter().try_for_each(|part| new.write_all(part))?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// Logs why a file is not used. An untrusted file costs time at every start, so it is a warning,
/// once per folder. A missing or damaged file is a debug message.
pub(crate) fn report(file: &Path, refused: &Refused) {
    let folder = file.parent().unwrap_or(file);
    if refused.is_untrusted() && is_first(folder) {
        let culprit = if check_folder(folder).is_err() { folder } else { file };
        tracing::warn!(
            "kernels are compiled and timed again: cannot use {}: {refused}; \
             delete it, or choose another folder with {}",
            culprit.display(),
            super::cache::ENV,
        );
    } else {
        tracing::debug!("cannot use {}: {refused}", file.display());
    }
}

/// Whether this process reports the folder for the first time.
fn is_first(folder: &Path) -> bool {
    static REPORTED: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    reported.get_or_insert_default().insert(folder.to_owned())
}

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[cfg(unix)]
fn check(metadata: &fs::Metadata, expected: u32) -> Result<(), Refused> {
    use std::os::unix::fs::MetadataExt;
    check_owner_and_mode(metadata.uid(), metadata.mode(), expected)
}

#[cfg(unix)]
fn check_owner_and_mode(owner: u32, mode: u32, expected: u32) -> Result<(), Refused> {
    const WRITABLE_FOR_OTHERS: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    if owner != user {
        return Err(Refused::Owner { owner, expected: user });
    }
    if mode & WRITABLE_FOR_OTHERS != 0 {
        return Err(Refused::Writable { mode: mode & 0o777, expected });
    }
    Ok(())
}

/// Removes the read permissions of other users from a folder that an older version created.
#[cfg(unix)]
fn restrict(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(folder)?.permissions().mode() & 0o777 != FOLDER_MODE {
        fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_: &fs::Metadata, _: u32) -> Result<(), Refused> {
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn read(path: &Path) -> Result<String, Refused> {
        let mut text = String::new();
        open(path)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn files_and_folders_are_created_private() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cache/kernels");
        let file = folder.join("file");
        replace(&file, &[b"a", b"b"]).unwrap();
        assert_eq!([mode(&file), mode(&folder)], [0o600, 0o700]);
        assert_eq!(mode(&root.path().join("cache")), 0o700, "parents too");
        assert_eq!(read(&file).unwrap(), "ab");
        // A file of an older version that everyone can read is used, and made private.
        set_mode(&folder, 0o755);
        set_mode(&file, 0o644);
        assert_eq!(read(&file).unwrap(), "ab");
        replace(&file, &[b"c"]).unwrap();
        assert_eq!([mode(&file), mode(&folder)], [0o600, 0o700]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn folder_writable_by_others_is_neither_read_nor_written() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("kernels/file");
        replace(&file, &[b"planted"]).unwrap();
        for mode in [0o770, 0o702, 0o777, 0o1777] {
            set_mode(file.parent().unwrap(), mode);
            assert!(matches!(read(&file), Err(Refused::Writable { .. })), "{mode:o}");
            assert!(matches!(replace(&file, &[b"new"]), Err(Refused::Writable { .. })), "{mode:o}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"planted");
    }

    #[test]
    fn file_writable_by_others_is_not_read_and_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("kernels/file");
        for planted in [0o620, 0o602, 0o666] {
            replace(&file, &[b"planted"]).unwrap();
            set_mode(&file, planted);
            let refused = read(&file).unwrap_err();
            assert!(matches!(refused, Refused::Writable { .. }), "{refused}");
        }
        replace(&file, &[b"own"]).unwrap();
        assert_eq!((read(&file).unwrap().as_str(), mode(&file)), ("own", 0o600));
    }

    #[test]
    fn file_of_another_user_is_refused() {
        let user = rustix::process::geteuid().as_raw();
        check_owner_and_mode(user, 0o100_600, FILE_MODE).unwrap();
        let refused = check_owner_and_mode(user + 1, 0o100_600, FILE_MODE).unwrap_err();
        assert!(matches!(refused, Refused::Owner { .. }), "{refused}");
        // With real files, if this user is allowed to change their owner.
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("kernels/file");
        replace(&file, &[b"planted"]).unwrap();
        if std::os::unix::fs::chown(&file, Some(user + 1), None).is_ok() {
            assert!(matches!(read(&file), Err(Refused::Owner { .. })));
            replace(&file, &[b"own"]).unwrap();
            assert_eq!(read(&file).unwrap(), "own");
            std::os::unix::fs::chown(file.parent().unwrap(), Some(user + 1), None).unwrap();
            assert!(matches!(read(&file), Err(Refused::Owner { .. })));
            assert!(matches!(replace(&file, &[b"new"]), Err(Refused::Owner { .. })));
        }
    }

    #[test]
    fn links_pipes_and_folders_are_refused_without_blocking() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "planted").unwrap();
        let folder = root.path().join("kernels");
        create_folder(&folder).unwrap();
        let [link, pipe, inner] = ["link", "pipe", "inner"].map(|name| folder.join(name));
        symlink(&elsewhere, &link).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        fs::create_dir(&inner).unwrap();
        for file in [&link, &pipe, &inner] {
            assert!(matches!(read(file), Err(Refused::Kind("file"))), "{}", file.display());
        }
        // A link is replaced, and its target is unchanged.
        replace(&link, &[b"own"]).unwrap();
        assert_eq!(
            (read(&link).unwrap().as_str(), fs::read(elsewhere).unwrap()),
            ("own", b"planted".to_vec())
        );

        let linked = root.path().join("linked");
        symlink(&folder, &linked).unwrap();
        assert!(matches!(read(&linked.join("link")), Err(Refused::Kind("folder"))));
    }

    #[test]
    fn folder_is_reported_once() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_first(root.path()));
        assert!(!is_first(root.path()));
        assert!(is_first(&root.path().join("another")));
    }

    /// Runs in a process of its own, since `tracing` caches for the whole process which messages
    /// are logged.
    #[test]
    fn untrusted_folder_is_warned_about_once() {
        use std::sync::Arc;
        rife_testkit::own_process!(untrusted_folder_is_warned_about_once);
        #[derive(Clone, Default)]
        struct Log(Arc<Mutex<Vec<u8>>>);
        impl Write for Log {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("kernels");
        create_folder(&folder).unwrap();
        set_mode(&folder, 0o777);
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for name in ["a", "b", "c"] {
                let file = folder.join(name);
                report(&file, &open(&file).unwrap_err());
            }
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        let expected = format!(
            "kernels are compiled and timed again: cannot use {}: other users can write to it \
             (mode 777, expected 700); delete it, or choose another folder with RIFE_CACHE_DIR",
            folder.display()
        );
        assert!(log.contains(&expected), "{log}");
    }
}
