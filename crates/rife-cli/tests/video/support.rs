//! Clips that ffmpeg makes, and what ffprobe says of those made from them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rife_model::weights::Store;
use rife_video::Programs;
use tempfile::TempDir;

pub fn rife(folder: &Path) -> Command {
    let weights = std::path::absolute(Store::locate(None).unwrap().dir()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rife"));
    command.env("RIFE_WEIGHTS", weights).env_remove("RIFE_LOG");
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// `rife interpolate` with the smallest network on the CPU, where results are the same everywhere.
pub fn interpolate(folder: &Path, args: &str) -> Command {
    let mut command = rife(folder);
    command.args(["interpolate", "--model", "4.6", "--device", "cpu"]);
    command.args(args.split_whitespace());
    command
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs to a good end, and gives what was said.
pub fn well(mut command: Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", said(&done));
    said(&done)
}

/// Runs to a bad end in one line that holds `text`, and leaves the folder as it was.
pub fn badly(mut command: Command, folder: &Path, text: &str) {
    let before = names(folder);
    let done = command.output().unwrap();
    let said = said(&done);
    let report = |line: &str| {
        ["note: ", "lost: ", "changed: ", "hint: "].iter().any(|w| line.starts_with(w))
    };
    let errors: Vec<_> = said.lines().filter(|line| !report(line)).collect();
    assert!(!done.status.success() && errors.len() == 1, "{command:?}: {said}");
    assert!(errors[0].starts_with("error: ") && errors[0].contains(text), "{text}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(names(folder), before, "{text}");
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder, and ffmpeg run in it.
pub fn with(args: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for args in args {
        ffmpeg(folder.path(), args);
    }
    folder
}

/// The release of the ffmpeg that is here.
fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| Programs::find(None).unwrap().version)
}

/// What says how frames become those of the output.
fn fps_mode() -> &'static str {
    if version() >= (5, 1) { "-fps_mode" } else { "-vsync" }
}

/// A copy of a video that is to be turned.
pub fn turn(folder: &Path, from: &str, to: &str) {
    if version() >= (6, 0) {
        ffmpeg(folder, &format!("-display_rotation:v:0 -90 -i {from} -c copy {to}"));
    } else {
        ffmpeg(folder, &format!("-i {from} -c copy -metadata:s:v:0 rotate=90 {to}"));
    }
}

pub fn ffmpeg(folder: &Path, args: &str) {
    let args = args.replace("-fps_mode", fps_mode());
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(shlex::split(&args).unwrap())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "ffmpeg {args}: {}", said(&done));
}

pub fn ffprobe(folder: &Path, args: &str) -> String {
    let done = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "ffprobe {args}: {}", said(&done));
    String::from_utf8(done.stdout).unwrap()
}

/// An entry of a stream, one line a stream.
pub fn entry(folder: &Path, file: &str, stream: &str, entry: &str) -> Vec<String> {
    let args = format!("-select_streams {stream} -show_entries stream={entry} -of csv=p=0 {file}");
    let lines = ffprobe(folder, &args);
    let lines = lines.lines().map(|line| line.trim_matches(',').to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// When frames are shown, in ticks, in order.
pub fn times(folder: &Path, file: &str) -> Vec<i64> {
    let args = format!("-select_streams v:0 -show_entries packet=pts -of csv=p=0 {file}");
    let lines = ffprobe(folder, &args);
    let mut times: Vec<i64> =
        lines.lines().map(|line| line.trim_matches(',').parse().unwrap()).collect();
    times.sort_unstable();
    times
}

/// A hash of each frame as it is decoded.
pub fn hashes(folder: &Path, file: &str) -> Vec<String> {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-noautorotate", "-i", file, "-map", "0:v:0"])
        .args([fps_mode(), "passthrough", "-f", "framemd5", "-"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{file}: {}", said(&done));
    let text = String::from_utf8(done.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// How long a stream lasts, s.
pub fn lasts(folder: &Path, file: &str, stream: &str) -> f64 {
    let args = format!(
        "-select_streams {stream} -show_entries packet=pts_time,duration_time -of csv=p=0 {file}"
    );
    let lines = ffprobe(folder, &args);
    let ends = lines.lines().filter_map(|line| {
        let mut numbers = line.split(',').filter_map(|n| n.parse::<f64>().ok());
        Some(numbers.next()? + numbers.next().unwrap_or(0.0))
    });
    ends.fold(0.0, f64::max)
}

pub fn there(folder: &Path, file: &str) -> PathBuf {
    let path = folder.join(file);
    assert!(path.exists(), "{file} is not there");
    path
}
