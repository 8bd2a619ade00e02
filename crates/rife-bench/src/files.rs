//! Writing files atomically, checking that they can be written, and keeping local paths out of
//! records.

use std::env;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Checks that `output` can be written, before minutes of measuring depend on it.
pub(crate) fn check_output(flag: &str, output: &Path, overwrite: bool) -> Result<()> {
    let name = output.display();
    ensure!(!output.is_dir(), "{flag} {name} is a folder");
    if output.symlink_metadata().is_ok() {
        // Symbolic links are followed: writing replaces the target, which must be a regular file.
        let replaceable = output.metadata().is_ok_and(|found| found.is_file());
        ensure!(replaceable, "{flag} {name} is not a regular file");
        ensure!(overwrite, "{name} already exists; add --overwrite to replace it");
    }
    ensure!(output.file_name().is_some(), "{flag} {name} is not a file name");
    follow_link(output)
        .and_then(|file| tempfile::tempfile_in(folder_of(&file)))
        .with_context(|| format!("cannot write {name}"))?;
    Ok(())
}

/// Writes a document as JSON. The file appears only once it is complete.
pub fn write_json(document: &impl Serialize, path: &Path, overwrite: bool) -> Result<()> {
    write_atomically(path, overwrite, |out| {
        document.serialize(&mut Serializer::with_formatter(&mut *out, Layout::default()))?;
        Ok(out.write_all(b"\n")?)
    })
}

/// Writes a temporary file next to `path` and renames it, so that the file is never incomplete.
/// Symbolic links are followed.
pub(crate) fn write_atomically(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The permissions of any new file, subject to the umask. Temporary files are private.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let failed = || format!("cannot write {}", path.display());
    let target = follow_link(path).with_context(failed)?;
    // The name of the temporary file must not appear in the error.
    let temporary = builder.tempfile_in(folder_of(&target));
    let file = temporary.map_err(|e| std::io::Error::from(e.kind())).with_context(failed)?;
    let mut out = BufWriter::new(file);
    write(&mut out).with_context(failed)?;
    let file = out.into_inner().map_err(|e| e.into_error()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    let kept = if overwrite { file.persist(&target) } else { file.persist_noclobber(&target) };
    match kept {
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} already exists; add --overwrite to replace it", path.display())
        }
        kept => kept.map(drop).map_err(|e| e.error).with_context(failed),
    }
}

/// Writes a generated file. With `check`, compares it instead and fails if it differs; `fix` is the
/// command to run then.
pub(crate) fn update_generated(path: &Path, text: &str, check: bool, fix: &str) -> Result<()> {
    let name = path.display();
    if !check {
        return write_atomically(path, true, |out| Ok(out.write_all(text.as_bytes())?));
    }
    let old = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    ensure!(old == text.as_bytes(), "{name} is out of date; run {fix}");
    Ok(())
}

/// The target of a symbolic link, else the path itself.
fn follow_link(file: &Path) -> std::io::Result<PathBuf> {
    let is_link = file.symlink_metadata().is_ok_and(|found| found.is_symlink());
    if is_link { file.canonicalize() } else { Ok(file.to_owned()) }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file's name without its folder.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "clip".into(), |name| name.to_string_lossy().into_owned())
}

/// Removes local folders from a text: paths below the working folder become relative, paths below
/// the home folder start with `~/`, and any other absolute path is reduced to its last component.
pub(crate) fn redact_paths(text: &str) -> String {
    let prefixes = [(env::current_dir().ok(), ""), (env::home_dir(), "~/")];
    let text = prefixes.into_iter().fold(text.to_owned(), |text, (folder, short)| match folder {
        Some(folder) if folder.components().count() > 1 => {
            text.replace(&format!("{}/", folder.display()), short)
        }
        _ => text,
    });
    let words: Vec<String> = text.split(' ').map(redact_word).collect();
    words.join(" ")
}

/// A word whose absolute path is reduced to its last component; also handles `--flag=path`.
/// Directories directly below the root reveal nothing and are kept.
fn redact_word(word: &str) -> String {
    let (flag, path) = match word.split_once('=') {
        Some((flag, path)) if flag.starts_with('-') => (&word[..=flag.len()], Path::new(path)),
        _ => ("", Path::new(word)),
    };
    match path.file_name() {
        Some(name) if path.is_absolute() && path.components().count() > 2 => {
            format!("{flag}{}", name.to_string_lossy())
        }
        _ => word.to_owned(),
    }
}

/// Writes objects over several lines and arrays on one line, so that hundreds of samples stay on
/// one line.
#[derive(Default)]
struct Layout(PrettyFormatter<'static>);

impl Formatter for Layout {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.begin_object(w)
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.end_object(w)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.0.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.end_object_value(w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, overwrite: bool, text: &str) -> Result<()> {
        write_atomically(path, overwrite, |out| Ok(out.write_all(text.as_bytes())?))
    }

    #[test]
    fn existing_files_are_replaced_only_on_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it.json");
        write(&path, false, "one").expect("a new file");
        let refused = write(&path, false, "two").expect_err("an existing file").to_string();
        assert!(refused.ends_with("it.json already exists; add --overwrite to replace it"));
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "one");
        write(&path, true, "three").expect("a replaced file");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "three");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let missing = write(&folder.path().join("no/it.json"), false, "").expect_err("no folder");
        assert!(!format!("{missing:#}").contains("no/.tmp"), "{missing:#}");
    }

    #[cfg(unix)]
    #[test]
    fn writing_through_a_symlink_keeps_the_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("it.json"), folder.path().join("link.json"));
        std::fs::write(&file, "one").expect("written");
        std::os::unix::fs::symlink("it.json", &link).expect("a link");
        write(&link, true, "two").expect("a replaced file");
        assert!(link.symlink_metadata().expect("a link").is_symlink());
        assert_eq!(std::fs::read_to_string(&file).expect("text"), "two");
        // A dangling link is an error, and stays as it is.
        std::fs::remove_file(&file).expect("removed");
        write(&link, true, "three").expect_err("a dangling link");
        assert!(link.symlink_metadata().expect("a link").is_symlink() && !file.exists());
    }

    /// `/dev/stdout` is such a link. Replacing its target would replace a device.
    #[cfg(unix)]
    #[test]
    fn links_to_devices_and_dangling_links_are_not_valid_outputs() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |to: &str| {
            let link = folder.path().join(to.replace('/', "-"));
            std::os::unix::fs::symlink(to, &link).expect("a link");
            check_output("--output", &link, true).map_err(|error| error.to_string())
        };
        for to in ["/dev/null", "nowhere"] {
            assert!(check(to).expect_err(to).contains("is not a regular file"), "{to}");
        }
        std::fs::write(folder.path().join("it.json"), "{}").expect("written");
        assert_eq!(check("./it.json"), Ok(()));
    }

    #[test]
    fn local_folders_are_redacted() {
        let here = env::current_dir().expect("a folder");
        let text = format!("not in {}/weights, nor in /elsewhere or /far/away", here.display());
        assert_eq!(redact_paths(&text), "not in weights, nor in /elsewhere or away");
        let words = ["--python", "/far/away/bin/python", "--output=/far/r.json", "a/b", "--x=y"];
        let redacted = words.map(redact_word);
        assert_eq!(redacted, ["--python", "python", "--output=r.json", "a/b", "--x=y"]);
    }
}
