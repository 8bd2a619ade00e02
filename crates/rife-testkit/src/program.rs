//! Programs that a test writes and then runs.
//!
//! A test must not write an executable file itself: while it has the file open for writing, another
//! test may start a process, which inherits the open file until it executes its own program. Running
//! the written file then fails with "Text file busy" (`ETXTBSY`). Here another process, which starts
//! none, writes it.

use std::path::Path;
use std::process::Command;

/// Copies the executable file `from` to `to`.
///
/// # Panics
/// When the file cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg(from)
        .arg(to)
        .status()
        .unwrap_or_else(|e| panic!("cannot start cp: {e}"));
    assert!(status.success(), "cannot copy {} to {}: {status}", from.display(), to.display());
}

/// Writes an executable shell script with the commands `body` to `path`.
///
/// # Panics
/// When the script cannot be written.
#[cfg(unix)]
pub fn write_script(path: &Path, body: &str) {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().expect("path of a file");
    let text = tempfile::NamedTempFile::new_in(folder)
        .unwrap_or_else(|e| panic!("cannot write to {}: {e}", folder.display()));
    std::fs::write(&text, format!("#!/bin/sh\n{body}\n")).expect("writes a temporary file");
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).expect("own file");
    copy(text.path(), path);
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Fails within a few rounds if the test itself writes the script.
    #[test]
    fn script_runs_while_other_threads_start_processes() {
        let folder = tempfile::tempdir().unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_done.load(Ordering::Relaxed) {
                        Command::new("true").status().unwrap();
                    }
                });
            }
            let failed = (0..100).find_map(|round| {
                let script = folder.path().join(format!("script-{round}"));
                write_script(&script, "exit 0");
                Command::new(&script).status().err()
            });
            is_done.store(true, Ordering::Relaxed);
            assert!(failed.is_none(), "{failed:?}");
        });
    }
}
