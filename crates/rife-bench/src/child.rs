//! Runs other programs, with a time limit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The script that runs the peers, relative to the checkout.
pub const PEERS_SCRIPT: &str = "tools/peers.py";

/// Compiling and tuning a network takes minutes.
const TIMEOUT: Duration = Duration::from_secs(400);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The script that runs the peers: `given`, else that of the checkout that this program was built
/// from. A script near the working folder is never used: anyone may have put it there.
pub fn peers_script(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(script) = given {
        // Absolute: a peer may run in another folder.
        let script = std::path::absolute(script)
            .with_context(|| format!("--peers-script: cannot find {}", script.display()))?;
        ensure!(script.is_file(), "--peers-script: cannot read {}: not a file", script.display());
        return Ok(script);
    }
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let script = built.map(|checkout| checkout.join(PEERS_SCRIPT)).unwrap_or_default();
    ensure!(
        script.is_file(),
        "--peers: cannot find {PEERS_SCRIPT} of the checkout that this program was built from; \
         give its path with --peers-script"
    );
    Ok(script)
}

/// Runs a program and returns its standard output. Ends the program when `stopped` returns true.
///
/// # Errors
/// When it does not start, fails (with the last line of its standard error) or exceeds the time
/// limit.
pub fn output(program: &Path, words: &[&OsStr], stopped: &dyn Fn() -> bool) -> Result<String> {
    output_within(program, words, TIMEOUT, stopped)
}

fn output_within(
    program: &Path,
    words: &[&OsStr],
    timeout: Duration,
    stopped: &dyn Fn() -> bool,
) -> Result<String> {
    // Files instead of pipes: a background process of the program would keep a pipe open.
    let file = || tempfile::tempfile().context("cannot create a temporary file");
    let (mut stdout, mut stderr) = (file()?, file()?);
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().context("cannot duplicate a file handle")?)
        .stderr(stderr.try_clone().context("cannot duplicate a file handle")?)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().context("cannot wait for the program")? {
            Some(status) => break status,
            None if start.elapsed() < timeout && !stopped() => thread::sleep(POLL_INTERVAL),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                ensure!(!stopped(), "interrupted");
                bail!("timed out after {} s", timeout.as_secs());
            }
        }
    };
    if !status.success() {
        let stderr = read(&mut stderr)?;
        let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        bail!("{}", last.unwrap_or("failed without an error message"));
    }
    read(&mut stdout)
}

/// The whole content of a file.
fn read(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<String> {
        let words = [OsStr::new("-c"), OsStr::new(script)];
        output_within(Path::new("sh"), &words, timeout, &|| false)
    }

    #[test]
    fn output_failure_and_timeout_are_reported() {
        let long = Duration::from_secs(600);
        assert_eq!(shell("echo one; echo two >&2", long).expect("an answer"), "one\n");
        let failure = |script, timeout| format!("{:#}", shell(script, timeout).expect_err("no"));
        assert_eq!(failure("echo a >&2; echo why >&2; exit 3", long), "why");
        assert_eq!(failure("exit 3", long), "failed without an error message");
        assert!(failure("exec sleep 60", Duration::ZERO).contains("timed out"));
        let missing =
            output(Path::new("/nowhere/python"), &[], &|| false).expect_err("no such program");
        assert!(format!("{missing:#}").contains("cannot start /nowhere/python"));
    }

    #[test]
    fn stopping_ends_the_program() {
        let words = [OsStr::new("-c"), OsStr::new("exec sleep 600")];
        let start = Instant::now();
        let after = Duration::from_millis(200);
        let ended = output(Path::new("sh"), &words, &|| start.elapsed() > after);
        assert_eq!(ended.expect_err("no output").to_string(), "interrupted");
        assert!(start.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn peers_script_is_of_this_checkout_or_given() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize();
        let expected = checkout.expect("a checkout").join(PEERS_SCRIPT);
        let found = peers_script(None).and_then(|script| Ok(script.canonicalize()?));
        assert_eq!(found.expect("a script"), expected);
        assert_eq!(peers_script(Some(&expected)).expect("a script"), expected);
        let missing = peers_script(Some(Path::new("nowhere/peers.py"))).expect_err("none");
        assert!(missing.to_string().starts_with("--peers-script: cannot read "), "{missing}");
    }
}
