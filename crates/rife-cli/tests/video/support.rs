//! Runs the `rife` command and inspects its messages and outputs.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use rife_model::weights::Store;
pub use rife_testkit::ffmpeg::{Media, clips, copy_rotated, ffmpeg, ffprobe, film};

/// The `rife` command in a folder, without input and with the default log level.
pub fn rife(dir: &Path) -> Command {
    let weights = std::path::absolute(Store::locate(None).unwrap().dir()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
    command.env("RIFE_WEIGHTS", weights).env_remove("RIFE_LOG");
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// `rife interpolate` with the smallest network on the CPU, whose results are the same everywhere.
pub fn interpolate(dir: &Path, args: &str) -> Command {
    let mut command = rife(dir);
    command.args(["interpolate", "--model", "4.6", "--device", "cpu"]);
    command.args(args.split_whitespace());
    command
}

/// Runs a shell with `rife` in its folder and environment. The script gets the program and its
/// arguments as `"$0" "$@"`.
pub fn in_shell(mut shell: Command, script: &str, rife: &Command) -> Command {
    shell.args(["-c", script]).arg(rife.get_program()).args(rife.get_args());
    for (key, value) in rife.get_envs() {
        shell.env(key, value.unwrap_or_default());
    }
    shell.current_dir(rife.get_current_dir().unwrap());
    shell
}

pub fn stderr_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed and returns its messages.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr_of(&output));
    stderr_of(&output)
}

/// Runs a command that must fail with one line that contains `text`, and must leave the folder as it
/// was. Returns all of its messages.
pub fn fail_with(mut command: Command, dir: &Path, text: &str) -> String {
    let before = names(dir);
    let output = command.output().unwrap();
    let stderr = stderr_of(&output);
    let report = |line: &str| {
        ["note: ", "lost: ", "changed: ", "hint: "].iter().any(|w| line.starts_with(w))
    };
    let errors: Vec<_> = stderr.lines().filter(|line| !report(line)).collect();
    assert!(!output.status.success() && errors.len() == 1, "{command:?}: {stderr}");
    assert!(errors[0].starts_with("error: ") && errors[0].contains(text), "{text}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert_eq!(names(dir), before, "{text}");
    stderr
}

/// Sorted names of the files in a folder.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A hash of each decoded frame.
pub fn frame_hashes(dir: &Path, file: &str) -> Vec<String> {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-noautorotate", "-i", file, "-map", "0:v:0"])
        .args([rife_testkit::ffmpeg::fps_mode_option(), "passthrough", "-f", "framemd5", "-"])
        .current_dir(dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{file}: {}", stderr_of(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}
