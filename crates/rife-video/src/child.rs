//! A program at work: its messages are read while it works, and it does not outlive its owner.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::{Error, Result};

/// Lines of complaint that are kept.
const KEPT: usize = 8;

/// A child that is killed when it is dropped before it has ended.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    what: String,
    messages: Option<JoinHandle<Vec<String>>>,
}

impl Worker {
    /// Starts a program. `line` sees each of its messages and says whether it is a complaint.
    pub(crate) fn start(
        mut command: Command,
        what: &str,
        line: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Self> {
        // Ctrl-C in a terminal goes to all of a group: what the program does then is ours to say.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        tracing::debug!("{what}: {command:?}");
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::io(format!("{what}: ffmpeg does not start")))?;
        let messages = child.stderr.take().map(|from| std::thread::spawn(|| listen(from, line)));
        Ok(Self { child, what: what.to_owned(), messages })
    }

    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take().inspect(|pipe| crate::pipes::widen(pipe))
    }

    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take().inspect(|pipe| crate::pipes::widen(pipe))
    }

    /// Waits for its end, which is to be a good one.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status =
            self.child.wait().map_err(Error::io(format!("{}: waiting for ffmpeg", self.what)))?;
        let said = self.messages.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        // What went wrong comes first, what that led to after it; but for a full disk, which
        // shows late in what else fails.
        let full = said.iter().find(|line| line.contains("No space left"));
        let why = match full.or(said.first()) {
            Some(line) => without_origin(line),
            None => format!("ffmpeg ended with {status}"),
        };
        Err(Error::Program { what: self.what.clone(), why })
    }

    /// Why it failed, where it did: ends it, and puts its own words in the place of `otherwise`.
    pub(crate) fn blame(self, otherwise: Error) -> Error {
        // It has closed its end of the pipe: it is about to end by itself.
        match self.wait() {
            Err(error) => error,
            Ok(()) => otherwise,
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended already cannot be killed: that is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: ChildStderr, mut complaint: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut kept = Vec::new();
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while let Ok(1..) = from.read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if !text.is_empty() && complaint(text) && kept.len() < KEPT {
            kept.push(text.to_owned());
        }
        bytes.clear();
    }
    kept
}

/// A message without where it comes from and how bad it is: `[h264 @ 0x…] [error] text`.
pub(crate) fn without_origin(line: &str) -> String {
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
    fn messages_are_said_without_their_origin() {
        let line = "[mov,mp4 @ 0x55d8] [error] stream 0, offset 0x1: partial file";
        assert_eq!(without_origin(line), "stream 0, offset 0x1: partial file");
        assert_eq!(without_origin("[error] x [y]"), "x [y]");
    }
}
