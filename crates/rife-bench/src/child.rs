//! Programs that are run for what they say, and do not get to hang.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The script that runs the peers, within the checkout.
pub const PEERS_SCRIPT: &str = "tools/peers.py";

/// Compiling and tuning a network takes longs; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(400);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The script that runs the peers: the one given, else that of the checkout that this program was built
/// from. Never one that merely lies near the working folder: it may be anyone's.
///
/// # Errors
/// Where there is no such file.
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
        "--peers: cannot find {PEERS_SCRIPT} of the checkout that this program was built from: \
         give its path with --peers-script"
    );
    Ok(script)
}

/// Runs a program and returns its standard output. It is ended as soon as nobody waits for it any
/// more.
///
/// # Errors
/// Where it does not start, fails (with the last line of its standard error), or does not end.
pub fn output(program: &Path, words: &[&OsStr], stopped: &dyn Fn() -> bool) -> Result<String> {
    output_within(program, words, PATIENCE, stopped)
}

fn output_within(
    program: &Path,
    words: &[&OsStr],
    patience: Duration,
    stopped: &dyn Fn() -> bool,
) -> Result<String> {
    // Into files, not pipes: what a program leaves running would keep a pipe open for ever.
    let file = || tempfile::tempfile().context("cannot make a file for what it says");
    let (mut out, mut complaint) = (file()?, file()?);
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(out.try_clone().context("cannot share a file with it")?)
        .stderr(complaint.try_clone().context("cannot share a file with it")?)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait().context("cannot wait for it")? {
            Some(status) => break status,
            None if start.elapsed() < patience && !stopped() => thread::sleep(LOOK_EVERY),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                ensure!(!stopped(), "it was stopped");
                bail!("it did not end within {} s", patience.as_secs());
            }
        }
    };
    if !status.success() {
        let complaint = read(&mut complaint)?;
        let last = complaint.lines().map(str::trim).rfind(|line| !line.is_empty());
        bail!("{}", last.unwrap_or("it failed without a word"));
    }
    read(&mut out)
}

/// All that was written to a file.
fn read(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Result<String> {
        let words = [OsStr::new("-c"), OsStr::new(script)];
        output_within(Path::new("sh"), &words, patience, &|| false)
    }

    #[test]
    fn a_program_answers_fails_or_hangs() {
        let long = Duration::from_secs(600);
        assert_eq!(shell("echo one; echo two >&2", long).expect("an answer"), "one\n");
        let failure = |script, patience| format!("{:#}", shell(script, patience).expect_err("no"));
        assert_eq!(failure("echo a >&2; echo why >&2; exit 3", long), "why");
        assert_eq!(failure("exit 3", long), "it failed without a word");
        assert!(failure("exec sleep 60", Duration::ZERO).contains("did not end"));
        let missing =
            output(Path::new("/nowhere/python"), &[], &|| false).expect_err("nothing there");
        assert!(format!("{missing:#}").contains("cannot start /nowhere/python"));
    }

    #[test]
    fn a_program_that_nobody_waits_for_is_ended() {
        let words = [OsStr::new("-c"), OsStr::new("exec sleep 600")];
        let start = Instant::now();
        let after = Duration::from_millis(200);
        let ended = output(Path::new("sh"), &words, &|| start.elapsed() > after);
        assert_eq!(ended.expect_err("no answer").to_string(), "it was stopped");
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
