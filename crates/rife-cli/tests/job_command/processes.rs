//! Several processes, some of which are killed.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::support::{
    JOB, fail_with, film, interpolate, outcome, plan, rife, run, status, succeed, text_of, work_dir,
};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn finished_segment_is_not_repeated() {
    let folder = film();
    let dir = folder.path();
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    let file = work_dir(dir, "out.mkv").join(&planned.segments[1].file);
    succeed(run(dir, "--segment 1"));
    let written = file.metadata().unwrap().modified().unwrap();
    // Nothing is opened for it, not even the input.
    fs::rename(dir.join("in.mp4"), dir.join("away.mp4")).unwrap();
    let (_, stderr) = succeed(run(dir, "--segment 1"));
    assert_eq!(stderr, "segment 1: already finished, 50 frames\n");
    let (stdout, _) = succeed(run(dir, "--segment 1 --json"));
    let line: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&line["event"], &line["existed"]), (&"segment".into(), &true.into()));
    assert_eq!(file.metadata().unwrap().modified().unwrap(), written);
    fail_with(run(dir, "--segment 5"), 1, "there is no segment 5: expected 0 to 4");
    for wrong in ["", "--segment -1", "--segment 1 --all", "--segment x"] {
        assert_eq!(outcome(run(dir, wrong)).0, 2, "{wrong}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn processes_share_the_segments_and_may_do_the_same_one() {
    let folder = film();
    let dir = folder.path();
    interpolate(dir, "in.mp4 -o whole.mkv --codec ffv1");
    plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    let start = |args: &str| {
        let mut command = run(dir, &format!("--threads 1 {args}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Two on the same segment, two that take what is free.
    let same = ["--segment 4", "--segment 4"].map(start);
    let free = ["--all --json", "--all --json"].map(start);
    for child in same {
        let (code, _, stderr) = text_of(child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{stderr}");
    }
    let mut done = Vec::new();
    for child in free {
        let (code, stdout, stderr) = text_of(child.wait_with_output().unwrap());
        // The other one may still have been busy.
        assert!(code == 0 || code == 3, "{stderr}");
        let lines = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let segments = lines.filter(|line| line["event"] == "segment" && line["existed"] == false);
        done.extend(segments.map(|line| line["segment"].as_u64().unwrap()));
    }
    done.sort();
    let before = done.len();
    done.dedup();
    assert_eq!(done.len(), before, "a segment was done twice: {done:?}");
    assert_eq!(status(dir).0, 0);
    let (code, _, stderr) = outcome(run(dir, "--next"));
    assert_eq!((code, stderr.contains("nothing to do")), (3, true), "{stderr}");
    let left: Vec<_> = fs::read_dir(work_dir(dir, "out.mkv")).unwrap().flatten().collect();
    assert_eq!(left.len(), 10, "{left:?}");
    succeed(rife(dir, &format!("job join {JOB}")));
    assert!(fs::read(dir.join("out.mkv")).unwrap() == fs::read(dir.join("whole.mkv")).unwrap());
}

#[cfg(unix)]
fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(status.success(), "kill {name}");
}

/// Starts a segment, and sends a signal while it is encoded. Returns the exit code.
#[cfg(unix)]
fn interrupt(dir: &std::path::Path, name: &str) -> Option<i32> {
    let mut command = run(dir, "--segment 0 --threads 1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let work = work_dir(dir, "out.mkv");
    let start = Instant::now();
    let encodes = || {
        let entries = fs::read_dir(&work).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.any(|name| name.starts_with("unfinished-") && name.ends_with("000000.mov"))
    };
    while !encodes() {
        assert!(start.elapsed() < Duration::from_secs(600), "never started");
        assert!(child.try_wait().unwrap().is_none(), "ended early");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Stopped, so that it cannot finish before the signal.
    signal(child.id(), "-STOP");
    assert_eq!(status(dir).1["running"][0]["segment"], 0);
    signal(child.id(), name);
    if name != "-KILL" {
        signal(child.id(), "-CONT");
    }
    child.wait().unwrap().code()
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn killed_segment_is_done_again() {
    let folder = film();
    let dir = folder.path();
    interpolate(dir, "in.mp4 -o whole.mkv --codec ffv1");
    plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    assert_eq!(interrupt(dir, "-KILL"), None);
    let work = work_dir(dir, "out.mkv");
    assert!(!work.join("000000.mov").exists() && !work.join("000000.json").exists());
    // The claim counts until it is old; a process that is told to do this segment ignores it.
    let (_, stderr) = succeed(run(dir, "--next"));
    assert!(stderr.contains("segment 1: "), "{stderr}");
    let claim = fs::File::options().write(true).open(work.join("000000.claim")).unwrap();
    claim.set_modified(SystemTime::now() - Duration::from_secs(61)).unwrap();
    assert_eq!(status(dir).1["running"], serde_json::json!([]));
    let (_, stderr) = succeed(run(dir, "--next"));
    assert!(stderr.contains("segment 0: "), "{stderr}");
    assert!(!work.join("000000.claim").exists());
    succeed(run(dir, "--all"));
    succeed(rife(dir, &format!("job join {JOB} --keep-segments")));
    assert!(fs::read(dir.join("out.mkv")).unwrap() == fs::read(dir.join("whole.mkv")).unwrap());
    fail_with(rife(dir, &format!("job join {JOB}")), 1, "exists: add --overwrite");
    succeed(rife(dir, &format!("job join {JOB} --overwrite")));
    assert!(!work.exists(), "leftovers of a killed process");
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn interrupted_process_leaves_nothing() {
    let folder = film();
    let dir = folder.path();
    plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    assert_eq!(interrupt(dir, "-TERM"), Some(130));
    let left: Vec<_> = fs::read_dir(work_dir(dir, "out.mkv")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(status(dir).1["missing"].as_array().unwrap().len(), 5);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn failed_segments_are_named_and_the_others_are_done() {
    let folder = film();
    let dir = folder.path();
    // The second half is far harder to compress, and does not fit the limit of the file size.
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    succeed(run(dir, "--all"));
    let work = work_dir(dir, "out.mkv");
    let sizes: Vec<u64> =
        planned.segments.iter().map(|one| work.join(&one.file).metadata().unwrap().len()).collect();
    let largest = (0..5).max_by_key(|at| sizes[*at]).unwrap();
    let limit = sizes[largest] / 1024 - 1;
    let fits = sizes.iter().filter(|bytes| **bytes <= limit * 1024).count();
    fs::remove_dir_all(&work).unwrap();
    let limited = |args: &str| {
        let rife = run(dir, args);
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("ulimit -f {limit} && exec \"$0\" \"$@\"")]);
        shell.arg(rife.get_program()).args(rife.get_args()).current_dir(dir);
        for (key, value) in rife.get_envs() {
            shell.env(key, value.unwrap_or_default());
        }
        shell
    };
    let failed = format!("of 5 segments failed: {largest}");
    for attempt in 1..=3 {
        let stderr = fail_with(limited("--all"), 1, "of 5 segments failed: ");
        assert!(5 - fits > 1 || stderr.contains(&failed), "{stderr}");
        let (code, state) = status(dir);
        assert_eq!((code, state["finished"].as_array().unwrap().len()), (3, fits), "{state}");
        let of_largest = state["failed"].as_array().unwrap().iter();
        let of_largest = of_largest.clone().find(|one| one["segment"] == largest).unwrap();
        assert_eq!(of_largest["attempts"], attempt, "{state}");
    }
    // After three attempts, it is left alone until somebody asks for it.
    assert_eq!(outcome(run(dir, "--all")).0, 3);
    let stderr = fail_with(rife(dir, &format!("job join {JOB}")), 1, "cannot join: ");
    let named = format!("segment {largest} ({}): failed: ", planned.segments[largest].file);
    assert!(stderr.contains(&named), "{stderr}");
    for at in (0..5).filter(|at| sizes[*at] > limit * 1024) {
        succeed(run(dir, &format!("--segment {at}")));
    }
    succeed(rife(dir, &format!("job join {JOB}")));
}
