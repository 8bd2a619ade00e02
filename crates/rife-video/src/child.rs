//! Child processes: log messages are read while the process runs, and it is killed if its owner is
//! dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Number of error messages to keep.
const MAX_MESSAGES: usize = 8;

/// Messages of a full disk, a quota or a file-size limit.
const NO_SPACE: [&str; 3] = ["No space left", "File too large", "quota exceeded"];

/// Messages about incomplete output. ffmpeg exits with success even if it cannot write the end of a
/// file.
const INCOMPLETE: [&str; 4] =
    ["Error writing trailer", "Error closing file", "av_interleaved_write_frame", "Error muxing"];

/// Whether a message reports incomplete output.
fn is_incomplete(line: &str) -> bool {
    NO_SPACE.iter().chain(&INCOMPLETE).any(|text| line.contains(text))
}

/// A child process, killed on drop.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    child: Child,
    what: String,
    messages: Option<JoinHandle<Vec<String>>>,
}

impl ChildProcess {
    /// Starts a program. `on_message` is called with each line of standard error and returns
    /// whether it is an error message.
    pub(crate) fn start(
        mut command: Command,
        what: &str,
        on_message: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Self> {
        // Ctrl-C reaches the whole process group of a terminal; this program decides when ffmpeg
        // ends.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        tracing::debug!("{what}: {command:?}");
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("{what}: cannot start ffmpeg")))?;
        let messages =
            child.stderr.take().map(|from| std::thread::spawn(|| read_messages(from, on_message)));
        Ok(Self { child, what: what.to_owned(), messages })
    }

    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take().inspect(|pipe| crate::pipes::enlarge_pipe(pipe))
    }

    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take().inspect(|pipe| crate::pipes::enlarge_pipe(pipe))
    }

    /// Waits for the process.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self
            .child
            .wait()
            .map_err(Error::io(format!("{}: cannot wait for ffmpeg", self.what)))?;
        let messages =
            self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        // The first message names the cause, except if the disk is full, which is reported late.
        let full = messages.iter().find(|line| NO_SPACE.iter().any(|text| line.contains(text)));
        let incomplete = full.or_else(|| messages.iter().find(|line| is_incomplete(line)));
        if status.success() && incomplete.is_none() {
            return Ok(());
        }
        let why = match incomplete.or(messages.first()) {
            Some(line) => strip_log_prefix(line),
            None => format!("ffmpeg failed ({status})"),
        };
        Err(Error::Program { what: self.what.clone(), why })
    }

    /// Ends the process, and waits until all of its messages have been read.
    pub(crate) fn stop(mut self) {
        // Fails if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.messages.take().map(JoinHandle::join);
    }

    /// Waits for the process and returns its error, or `fallback` if it succeeded.
    pub(crate) fn into_error(self, fallback: Error) -> Error {
        // It closed its end of the pipe, so it is about to exit.
        match self.wait() {
            Err(error) => error,
            Ok(()) => fallback,
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Fails if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_messages(stderr: ChildStderr, mut is_error: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut messages = Vec::new();
    let mut lines = BufReader::new(stderr);
    let mut bytes = Vec::new();
    while let Ok(1..) = lines.read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if !text.is_empty()
            && is_error(text)
            && (messages.len() < MAX_MESSAGES
                || (is_incomplete(text) && messages.len() < 2 * MAX_MESSAGES))
        {
            messages.push(text.to_owned());
        }
        bytes.clear();
    }
    messages
}

/// Removes the component and level from a message: `[h264 @ 0x…] [error] text`.
pub(crate) fn strip_log_prefix(line: &str) -> String {
    let mut rest = line.trim();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        rest = after.trim_start();
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn incomplete_output_is_an_error_even_on_success() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            ChildProcess::start(command, "writing", |_| true).unwrap().wait()
        };
        run("echo '[aac @ 0x1] [error] damaged packet' >&2").unwrap();
        for script in [
            "echo 'Error writing trailer of x: File too large' >&2",
            // More messages than are kept come first.
            "for i in 1 2 3 4 5 6 7 8 9; do echo damaged >&2; done; echo 'Error closing file x' >&2",
        ] {
            let error = run(script).unwrap_err().to_string();
            assert!(error.starts_with("writing: Error "), "{error}");
        }
    }

    #[test]
    fn log_prefix_is_stripped() {
        let line = "[mov,mp4 @ 0x55d8] [error] stream 0, offset 0x1: partial file";
        assert_eq!(strip_log_prefix(line), "stream 0, offset 0x1: partial file");
        assert_eq!(strip_log_prefix("[error] x [y]"), "x [y]");
    }
}
