//! Runs `rife job` in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rife_model::weights::Store;
use rife_testkit::ffmpeg::{clips, ffmpeg};
use rife_video::{JobPlan, Layout};
use serde_json::Value;
use tempfile::TempDir;

/// The job in a test folder.
pub const JOB: &str = "job.json";

/// The `rife` command in a folder, without input and with the default log level.
pub fn rife(dir: &Path, args: &str) -> Command {
    let weights = std::path::absolute(Store::locate(None).unwrap().dir()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
    command.env("RIFE_WEIGHTS", weights).env_remove("RIFE_LOG");
    command.current_dir(dir).stdin(Stdio::null()).args(args.split_whitespace());
    command
}

/// `rife job run` on the CPU, whose results are the same everywhere.
pub fn run(dir: &Path, args: &str) -> Command {
    rife(dir, &format!("job run {JOB} --device cpu {args}"))
}

/// Runs a command; returns its exit code, and what it printed.
pub fn outcome(mut command: Command) -> (i32, String, String) {
    text_of(command.output().unwrap())
}

/// Exit code and output of a process that ended.
pub fn text_of(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    (code, text(output.stdout), text(output.stderr))
}

/// Runs a command that must succeed, and returns what it printed.
pub fn succeed(command: Command) -> (String, String) {
    let shown = format!("{command:?}");
    let (code, stdout, stderr) = outcome(command);
    assert_eq!(code, 0, "{shown}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout, stderr)
}

/// Runs a command that must fail with an exit code and one line that contains `text`.
pub fn fail_with(command: Command, expected: i32, text: &str) -> String {
    let shown = format!("{command:?}");
    let (code, stdout, stderr) = outcome(command);
    assert_eq!(code, expected, "{shown}: {stdout}{stderr}");
    let errors: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && errors[0].contains(text), "{shown}: {text}: {stderr}");
    let others = stderr.lines().filter(|line| !line.starts_with("error: "));
    let known = ["note: ", "hint: ", "segment ", "lost: ", "changed: ", "warning: "];
    let unexpected: Vec<_> =
        others.filter(|line| !known.iter().any(|word| line.starts_with(word))).collect();
    assert!(unexpected.is_empty(), "{shown}: {stderr}");
    stderr
}

/// Plans a job for the smallest network on the CPU, and writes it to [`JOB`].
pub fn plan(dir: &Path, args: &str) -> JobPlan {
    let command = rife(dir, &format!("job plan --model 4.6 --device cpu {args}"));
    let (text, _) = succeed(command);
    fs::write(dir.join(JOB), &text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The reference: `rife interpolate` with the same settings.
pub fn interpolate(dir: &Path, args: &str) {
    succeed(rife(dir, &format!("interpolate --model 4.6 --device cpu {args}")));
}

/// Writes a plan with other content to [`JOB`], with the addresses that belong to it.
pub fn write_plan(dir: &Path, changed: &JobPlan) {
    let plan = changed.clone();
    let layout = Layout { timeline: plan.timeline, segments: plan.segments };
    let plan = JobPlan::new(
        plan.program,
        plan.input,
        [plan.output, plan.work_dir],
        plan.options,
        [plan.settings, plan.device.unwrap_or_default()],
        plan.weights,
        plan.encoder,
        layout,
    );
    fs::write(dir.join(JOB), plan.to_json().unwrap()).unwrap();
}

/// The folder of the segments.
pub fn work_dir(dir: &Path, output: &str) -> PathBuf {
    dir.join(format!(".{output}.rife-segments"))
}

/// Exit code and content of `rife job status --json`.
pub fn status(dir: &Path) -> (i32, Value) {
    let (code, stdout, stderr) = outcome(rife(dir, &format!("job status {JOB} --json")));
    assert_eq!(stderr, "");
    (code, serde_json::from_str(&stdout).unwrap())
}

/// A folder with `in.mp4`: 24 s at 5 fps with a cut, a moving picture, sound and subtitles. With
/// factor 2, it has five segments.
pub fn film() -> TempDir {
    let folder =
        clips(&["-f lavfi -i testsrc2=s=64x48:r=5:d=11 -f lavfi -i mandelbrot=s=64x48:r=5 \
                          -f lavfi -i sine=f=300:d=24 -filter_complex \
                          [1]trim=duration=13[b];[0][b]concat=n=2,format=yuv420p[v] -map [v] \
                          -map 2 -c:v libx264 -preset ultrafast -g 30 -bf 2 -c:a aac film.mp4"]);
    let text = "1\n00:00:01,000 --> 00:00:03,000\none\n\n2\n00:00:15,000 --> 00:00:20,000\ntwo\n";
    fs::write(folder.path().join("text.srt"), text).unwrap();
    ffmpeg(folder.path(), "-i film.mp4 -i text.srt -map 0 -map 1 -c copy -c:s mov_text in.mp4");
    folder
}
