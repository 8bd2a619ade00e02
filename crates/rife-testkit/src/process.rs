//! Tests of what a whole process shares: each in a process of its own.

use std::process::{Command, Stdio};

/// Set in the process that runs one test alone.
const ALONE: &str = "RIFE_TEST_ALONE";

/// Makes the rest of a test run in a process of its own, where no other test runs beside it: for tests
/// of memory, CPU time and whatever else a process has once. The first statement of the test, with its
/// name: `own_process!(a_peak_is_seen_after_the_memory_is_gone)`.
#[macro_export]
macro_rules! own_process {
    ($test:ident) => {
        if $crate::process::runs_elsewhere(module_path!(), stringify!($test)) {
            return;
        }
    };
}

/// Runs a test of this program alone, in another process. False in that process, which is to run it.
///
/// # Panics
/// When the test fails there, or is not found.
pub fn runs_elsewhere(module: &str, test: &str) -> bool {
    // The harness omits the name of the crate.
    let name = match module.split_once("::") {
        Some((_, module)) => format!("{module}::{test}"),
        None => test.to_owned(),
    };
    if std::env::var_os(ALONE).is_some_and(|alone| alone.to_str() == Some(&name)) {
        return false;
    }
    let program =
        std::env::current_exe().unwrap_or_else(|e| panic!("cannot find this program: {e}"));
    let output = Command::new(&program)
        .args(["--exact", &name, "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(ALONE, &name)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("cannot start {}: {e}", program.display()));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    print!("{stdout}");
    assert!(output.status.success(), "{name} failed in a process of its own:\n{stdout}{stderr}");
    // A name that is not found passes in the harness.
    assert!(stdout.contains("1 passed"), "{name} was not found:\n{stdout}{stderr}");
    true
}

/// Gives a command the default action of SIGINT, for tests that interrupt it: a shell ignores the
/// signal in background jobs, and child processes inherit that.
#[cfg(unix)]
pub fn with_default_interrupt(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let reset = || {
        // SAFETY: the default action installs no handler.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: between fork and exec, the closure only calls `signal`, which is safe there.
    unsafe { command.pre_exec(reset) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts starts within one process.
    static STARTS: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn a_test_shares_nothing_with_its_neighbours() {
        own_process!(a_test_shares_nothing_with_its_neighbours);
        assert_eq!(STARTS.fetch_add(1, Ordering::Relaxed), 0);
    }

    #[test]
    fn another_test_shares_nothing_with_its_neighbours() {
        own_process!(another_test_shares_nothing_with_its_neighbours);
        assert_eq!(STARTS.fetch_add(1, Ordering::Relaxed), 0);
    }

    #[test]
    #[should_panic(expected = "an_unknown_test was not found")]
    fn a_wrong_name_is_an_error() {
        own_process!(an_unknown_test);
    }

    #[test]
    #[should_panic(expected = "failed in a process of its own")]
    fn a_failure_there_is_a_failure_here() {
        own_process!(a_failure_there_is_a_failure_here);
        std::process::exit(1);
    }
}
