//! Files that only this user can have written. What is read from a cache is run on the GPU or decides
//! how kernels are launched, so a file that another user could have put there must not be read.
//!
//! The checks are those of Unix owners and modes. Elsewhere the user's cache folder is private by
//! default, and nothing is checked.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How the names of files begin that are being written.
pub(super) const PREFIX: &str = ".new-";

/// Why a file or a folder is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// Another user can change it, whatever its mode is now.
    #[error("it belongs to another user (user {owner}, expected {expected})")]
    Owner { owner: u32, expected: u32 },
    /// Group or world can change it.
    #[error("other users can write to it (mode {mode:03o}, expected {expected:03o})")]
    Writable { mode: u32, expected: u32 },
    /// A link, a pipe, a device, or a folder where a file is expected and the reverse.
    #[error("it is not a plain {0}")]
    Kind(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refused {
    /// Whether it is a matter of trust, and not a file that is missing or cannot be read.
    fn is_of_trust(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

/// Creates a folder and its parents for this user alone, or checks the one that exists.
///
/// # Errors
/// [`Refused`] when it cannot be created or another user could have changed what is in it.
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

/// Checks that nobody else could have changed what is in a folder.
///
/// # Errors
/// [`Refused`] when somebody could, or when there is no such folder.
pub(crate) fn check_folder(folder: &Path) -> Result<(), Refused> {
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(Refused::Kind("folder"));
    }
    check(&metadata, FOLDER_MODE)
}

/// Opens a file for reading that nobody else could have written, in a folder of which the same holds.
///
/// # Errors
/// [`Refused`] when somebody could, or when the file cannot be opened.
pub(crate) fn open(file: &Path) -> Result<File, Refused> {
    check_folder(file.parent().unwrap_or(Path::new(".")))?;
    let mut options = File::options();
    options.read(true);
    // A link is not followed, and a pipe without a writer does not block.
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
    // Of what was opened, whatever has its name by now.
    let metadata = opened.metadata()?;
    if !metadata.is_file() {
        return Err(Refused::Kind("file"));
    }
    check(&metadata, FILE_MODE)?;
    Ok(opened)
}

/// Puts a file in its place as a whole, readable for this user alone. The folder is created where it
/// is missing.
///
/// # Errors
/// [`Refused`] when the folder is not this user's alone, or the file cannot be written.
pub(crate) fn replace(file: &Path, parts: &[&[u8]]) -> Result<(), Refused> {
    let folder = file.parent().unwrap_or(Path::new("."));
    create_folder(folder)?;
    // A temporary file's mode is 0600.
    let mut new = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    parts.iter().try_for_each(|part| new.write_all(part))?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}

/// Logs why a file is not used. A warning that costs the user's time on every start is given once
/// for each folder; what is merely missing or damaged is for debugging.
pub(crate) fn report(file: &Path, refused: &Refused) {
    let folder = file.parent().unwrap_or(file);
    if refused.is_of_trust() && is_first(folder) {
        let at = if check_folder(folder).is_err() { folder } else { file };
        tracing::warn!(
            "kernels are compiled and timed again: cannot use {}: {refused}; \
             delete it, or choose another folder with {}",
            at.display(),
            super::cache::ENV,
        );
    } else {
        tracing::debug!("cannot use {}: {refused}", file.display());
    }
}

/// Whether nothing was reported of this folder before, by this process.
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

/// Takes from others what they may read of a folder that an older version created.
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
    fn files_and_folders_are_created_for_their_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cache/kernels");
        let file = folder.join("file");
        replace(&file, &[b"a", b"b"]).unwrap();
        assert_eq!([mode(&file), mode(&folder)], [0o600, 0o700]);
        assert_eq!(mode(&root.path().join("cache")), 0o700, "parents too");
        assert_eq!(read(&file).unwrap(), "ab");
        // What an older version left, readable for all, is kept and closed.
        set_mode(&folder, 0o755);
        set_mode(&file, 0o644);
        assert_eq!(read(&file).unwrap(), "ab");
        replace(&file, &[b"c"]).unwrap();
        assert_eq!([mode(&file), mode(&folder)], [0o600, 0o700]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_neither_read_nor_written() {
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
    fn a_file_that_others_can_write_to_is_not_read_and_is_replaced() {
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
    fn what_belongs_to_another_user_is_refused() {
        let user = rustix::process::geteuid().as_raw();
        check_owner_and_mode(user, 0o100_600, FILE_MODE).unwrap();
        let refused = check_owner_and_mode(user + 1, 0o100_600, FILE_MODE).unwrap_err();
        assert!(matches!(refused, Refused::Owner { .. }), "{refused}");
        // The real thing, where this user may give files away.
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
    fn links_pipes_and_folders_are_not_followed_read_or_waited_for() {
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
        // A link is replaced, and what it points to stays.
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
    fn a_folder_is_reported_once() {
        let root = tempfile::tempdir().unwrap();
        assert!(is_first(root.path()));
        assert!(!is_first(root.path()));
        assert!(is_first(&root.path().join("another")));
    }

    /// What the user reads, from the program's own log. Which log messages go to is decided for the
    /// whole process.
    #[test]
    fn a_refusal_is_one_warning_and_the_rest_is_for_debugging() {
        use std::sync::Arc;
        rife_testkit::own_process!(a_refusal_is_one_warning_and_the_rest_is_for_debugging);
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
