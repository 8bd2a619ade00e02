//! Output paths: links, pipes, devices and folders.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::host::Host;
use crate::interrupt;

/// The most symbolic links to follow, as in Linux.
const MAX_LINKS: usize = 40;

/// A file, pipe or device to write, with symbolic links resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputFile {
    pub(crate) path: PathBuf,
    /// Whether it is a pipe or a device, written directly. A regular file is replaced at the end.
    pub(crate) write_through: bool,
}

impl OutputFile {
    pub(crate) fn resolve(path: &Path) -> Result<Self> {
        let path = resolve_links(path)?;
        // Checked after resolving: a link to a file descriptor is written through, even if the
        // descriptor is a regular file.
        let write_through = is_pipe_or_device(&path)?;
        Ok(Self { path, write_through })
    }
}

/// Whether a path is a name of standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    cfg!(unix) && ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|p| path == *p)
}

/// Whether a path leads to a pipe, a character device or a file descriptor.
///
/// # Errors
/// If it leads to a socket or a block device, which must not be written.
pub(crate) fn is_pipe_or_device(path: &Path) -> Result<bool> {
    let descriptor =
        ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.parent() == Some(dir.as_ref()));
    if cfg!(unix) && descriptor {
        return Ok(true);
    }
    match path.metadata() {
        Ok(metadata) => is_special_file(path, &metadata),
        // Other problems are reported when the file is written.
        Err(_) => Ok(false),
    }
}

#[cfg(unix)]
fn is_special_file(path: &Path, metadata: &Metadata) -> Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    let file_type = metadata.file_type();
    if file_type.is_socket() {
        bail!(
            "cannot write {}: it is a socket; use -o - and pipe into a program that connects to it",
            path.display()
        );
    }
    if file_type.is_block_device() {
        bail!("cannot write {}: it is a block device, and its data would be lost", path.display());
    }
    Ok(file_type.is_fifo() || file_type.is_char_device())
}

#[cfg(not(unix))]
fn is_special_file(_: &Path, _: &Metadata) -> Result<bool> {
    Ok(false)
}

/// Follows symbolic links to the file to replace; the links stay. The file need not exist.
///
/// # Errors
/// If a link cannot be read, or the links form a loop.
fn resolve_links(path: &Path) -> Result<PathBuf> {
    let error = || format!("cannot write {}", path.display());
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match target.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {}
            _ => return Ok(target),
        }
        // The link of a file descriptor may contain text that is not a path.
        if is_pipe_or_device(&target)? {
            return Ok(target);
        }
        let link = target.read_link().with_context(error)?;
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    Err(io::Error::other("too many links")).with_context(error)
}

/// The extension of a file name, in lower case.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// The folder of a file.
pub(crate) fn parent_folder(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a file whose folder does not exist, or whose name is too long for the file system.
pub(crate) fn check_parent_folder(file: &Path) -> Result<()> {
    if let Err(error) = file.symlink_metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(error).with_context(|| format!("cannot write {}", file.display()));
    }
    let folder = parent_folder(file);
    ensure!(
        folder.is_dir(),
        "cannot write {}: folder {} does not exist",
        file.display(),
        folder.display()
    );
    Ok(())
}

/// The error for an output that exists and may not be replaced.
pub(crate) fn exists_error(path: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} exists: add --overwrite to replace it", path.display())
}

/// Creates a folder and its missing parents.
pub(crate) fn create_folders(host: &Host, folder: &Path) -> Result<()> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let missing: Vec<_> = folder.ancestors().take_while(is_missing).collect();
    for dir in missing.into_iter().rev() {
        std::fs::create_dir(dir)
            .with_context(|| format!("cannot create the folder {}", dir.display()))?;
        interrupt::register_folder(host, dir);
    }
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_are_resolved_and_special_files_recognized() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("d")).unwrap();
        symlink("d/b", path("a")).unwrap();
        assert_eq!(resolve_links(&path("a")).unwrap(), path("d/b"));
        symlink("../c", path("d/b")).unwrap();
        assert_eq!(resolve_links(&path("a")).unwrap(), path("d/../c"));
        symlink(path("loop"), path("loop")).unwrap();
        assert!(resolve_links(&path("loop")).is_err());
        symlink("/dev/null", path("null")).unwrap();
        assert!(is_pipe_or_device(&path("null")).unwrap());
        assert!(is_pipe_or_device(Path::new("/dev/fd/3")).unwrap());
        assert!(!is_pipe_or_device(&path("a")).unwrap());
        let _listener = UnixListener::bind(path("socket")).unwrap();
        assert!(is_pipe_or_device(&path("socket")).unwrap_err().to_string().contains("socket"));
        assert!(is_standard_output(Path::new("/dev/stdout")));
    }
}
