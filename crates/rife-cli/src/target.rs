//! What an output's path leads to: a file that is replaced as a whole, or a pipe or a device that is
//! written through.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The most links from one to the next.
const MAX_LINKS: usize = 40;

/// Whether a path is a name of standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    cfg!(unix) && ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|p| path == *p)
}

/// Whether a path leads to something that is written through: a pipe, a device, a descriptor.
///
/// # Errors
/// For a socket, which cannot be opened.
pub(crate) fn writes_through(path: &Path) -> Result<bool> {
    let descriptor =
        ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.parent() == Some(dir.as_ref()));
    if cfg!(unix) && descriptor {
        return Ok(true);
    }
    match path.metadata() {
        Ok(found) => kind(path, &found),
        // Whatever else is wrong with it shows when it is written.
        Err(_) => Ok(false),
    }
}

#[cfg(unix)]
fn kind(path: &Path, found: &Metadata) -> Result<bool> {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    if kind.is_socket() {
        bail!(
            "cannot write {}: it is a socket; pipe -o - into a program that connects to it",
            path.display()
        );
    }
    if kind.is_block_device() {
        bail!("cannot write {}: it is a block device, which would lose its data", path.display());
    }
    Ok(kind.is_fifo() || kind.is_char_device())
}

#[cfg(not(unix))]
fn kind(_: &Path, _: &Metadata) -> Result<bool> {
    Ok(false)
}

/// The file that a path leads to through links: it is replaced, and the links stay. A file that
/// does not exist yet may be named by a link as well.
///
/// # Errors
/// If a link cannot be read, or links lead in a circle.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let cannot = || format!("cannot write {}", path.display());
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match target.symlink_metadata() {
            Ok(found) if found.is_symlink() => {}
            _ => return Ok(target),
        }
        // A descriptor is a link of another kind: what it names may be no path.
        if writes_through(&target)? {
            return Ok(target);
        }
        let link = target.read_link().with_context(cannot)?;
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    Err(io::Error::other("too many links")).with_context(cannot)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn links_lead_to_files_and_devices_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        symlink("d/b", at("a")).unwrap();
        assert_eq!(resolve(&at("a")).unwrap(), at("d/b"));
        symlink("../c", at("d/b")).unwrap();
        assert_eq!(resolve(&at("a")).unwrap(), at("d/../c"));
        symlink(at("loop"), at("loop")).unwrap();
        assert!(resolve(&at("loop")).is_err());
        symlink("/dev/null", at("null")).unwrap();
        assert!(writes_through(&at("null")).unwrap());
        assert!(writes_through(Path::new("/dev/fd/3")).unwrap());
        assert!(!writes_through(&at("a")).unwrap());
        let _listener = UnixListener::bind(at("socket")).unwrap();
        assert!(writes_through(&at("socket")).unwrap_err().to_string().contains("socket"));
        assert!(is_standard_output(Path::new("/dev/stdout")));
    }
}
