//! A program at work: its messages are read while it works, and it does not outlive its owner.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Lines of is_error that are messages.
const MAX_MESSAGES: usize = 8;

/// Messages of a disk, a quota or a limit of file sizes that leaves no room.
const NO_SPACE: [&str; 3] = ["No space left", "File too large", "quota exceeded"];

/// Messages of output that is incomplete. ffmpeg ends with success all the same if the end of a file
/// cannot be written.
const INCOMPLETE: [&str; 4] =
    ["Error writing trailer", "Error closing file", "av_interleaved_write_frame", "Error muxing"];

/// Whether a message says that not everything could be written.
fn is_incomplete(line: &str) -> bool {
    NO_SPACE.iter().chain(&INCOMPLETE).any(|text| line.contains(text))
}

/// A child that is killed when it is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    child: Child,
    what: String,
    messages: Option<JoinHandle<Vec<String>>>,
}

impl ChildProcess {
    /// Starts a program. `line` sees each of its messages and says whether it is a is_error.
    pub(crate) fn start(
        mut command: Command,
        what: &str,
        on_message: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Self> {
        // Ctrl-C in a terminal goes to all of a group: what the program does then is ours to say.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        tracing::debug!("{what}: {command:?}");
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("{what}: ffmpeg does not start")))?;
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

    /// Waits for its end, which is to be a good one.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status =
            self.child.wait().map_err(Error::io(format!("{}: waiting for ffmpeg", self.what)))?;
        let messages =
            self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        // The cause comes first and its consequences after it; except for a full disk, which shows
        // late.
        let full = messages.iter().find(|line| NO_SPACE.iter().any(|text| line.contains(text)));
        let incomplete = full.or_else(|| messages.iter().find(|line| is_incomplete(line)));
        if status.success() && incomplete.is_none() {
            return Ok(());
        }
        let why = match incomplete.or(messages.first()) {
            Some(line) => strip_log_prefix(line),
            None => format!("ffmpeg ended with {status}"),
        };
        Err(Error::Program { what: self.what.clone(), why })
    }

    /// Why it failed, where it did: ends it, and puts its own words in the place of `fallback`.
    pub(crate) fn into_error(self, fallback: Error) -> Error {
        // It has closed its end of the pipe: it is about to end by itself.
        match self.wait() {
            Err(error) => error,
            Ok(()) => fallback,
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // One that has ended already cannot be killed: that is no error.
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

/// A message without where it comes from and how bad it is: `[h264 @ 0x…] [error] text`.
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
    fn incomplete_output_is_an_error_although_the_program_succeeds() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            ChildProcess::start(command, "writing", |_| true).unwrap().wait()
        };
        run("echo '[aac @ 0x1] [error] damaged packet' >&2").unwrap();
        for script in [
            "echo 'Error writing trailer of x: File too large' >&2",
            // After more messages than are messages.
            "for i in 1 2 3 4 5 6 7 8 9; do echo damaged >&2; done; echo 'Error closing file x' >&2",
        ] {
            let error = run(script).unwrap_err().to_string();
            assert!(error.starts_with("writing: Error "), "{error}");
        }
    }

    #[test]
    fn messages_are_said_without_their_origin() {
        let line = "[mov,mp4 @ 0x55d8] [error] stream 0, offset 0x1: partial file";
        assert_eq!(strip_log_prefix(line), "stream 0, offset 0x1: partial file");
        assert_eq!(strip_log_prefix("[error] x [y]"), "x [y]");
    }
}
