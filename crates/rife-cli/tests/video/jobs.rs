//! Jobs that are interrupted, killed and resumed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Media, clips, fail_with, interpolate, names, stderr_of, succeed};

const LONG: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=16 -c:v libx264 -preset ultrafast in.mp4";

pub fn job_folder(dir: &Path) -> PathBuf {
    dir.join(".out.mp4.rife-job")
}

#[cfg(unix)]
fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(status.success(), "kill {name}");
}

pub fn start(dir: &Path, args: &str) -> Child {
    let mut command = interpolate(dir, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    rife_testkit::process::with_default_interrupt(&mut command);
    command.spawn().unwrap()
}

/// Waits for a condition while the child runs. False if the child exits first.
pub fn wait_until(child: &mut Child, condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(600) {
        if condition() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing happened in ten minutes");
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn resume_after_sigkill_reproduces_output() {
    let folder = clips(&[LONG]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mp4 -o whole.mp4"));
    assert_eq!(Media::probe(dir, "whole.mp4").timestamps().len(), 800);
    let whole = fs::read(dir.join("whole.mp4")).unwrap();

    // Killed three times: before any segment is finished, after the first one, and a little later.
    let mut killed = 0;
    for segments in [0, 1, 2] {
        let mut child = start(dir, "in.mp4 -o out.mp4 --resume");
        let segment = job_folder(dir).join(format!("{segments:06}.mp4"));
        let unfinished = format!("unfinished-{}-", child.id());
        // An earlier run may have written the segment: also wait until this run encodes.
        let encodes = || names(&job_folder(dir)).iter().any(|name| name.starts_with(&unfinished));
        let ready = || match segments {
            0 => job_folder(dir).exists(),
            _ => segment.exists() && encodes(),
        };
        killed += usize::from(wait_until(&mut child, ready));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(!dir.join("out.mp4").exists(), "an incomplete file has the final name");
        // Unfinished files of earlier runs are removed.
        let left = names(&job_folder(dir)).into_iter();
        let of_others: Vec<_> = left
            .filter(|name| name.starts_with("unfinished-") && !name.starts_with(&unfinished))
            // This run may have been killed while it wrote the journal.
            .filter(|name| name != "unfinished-journal.json")
            .collect();
        assert!(of_others.is_empty(), "{of_others:?}");
    }
    assert_eq!(killed, 3);
    fail_with(interpolate(dir, "in.mp4 -o out.mp4"), dir, "--resume continues");
    let stderr = succeed(interpolate(dir, "in.mp4 -o out.mp4 --resume"));
    assert!(stderr.contains("resuming after"), "{stderr}");
    assert!(fs::read(dir.join("out.mp4")).unwrap() == whole, "not the same file, bit for bit");
    assert_eq!(names(dir), ["in.mp4", "out.mp4", "whole.mp4"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn interrupted_job_keeps_finished_segments_only() {
    let folder = clips(&[LONG]);
    let dir = folder.path();
    let mut child = start(dir, "in.mp4 -o out.mp4");
    assert!(wait_until(&mut child, || job_folder(dir).exists()));
    signal(child.id(), "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr_of(&output));
    assert_eq!(names(dir), ["in.mp4"]);

    let mut child = start(dir, "in.mp4 -o out.mp4");
    assert!(wait_until(&mut child, || job_folder(dir).join("journal.json").exists()));
    // Stopped, so that it holds its lock while others want to write the same output.
    signal(child.id(), "-STOP");
    for option in ["--resume", "--overwrite"] {
        let output = interpolate(dir, &format!("in.mp4 -o out.mp4 {option}")).output().unwrap();
        let stderr = stderr_of(&output);
        assert!(
            !output.status.success() && stderr.contains("another rife process is writing"),
            "{stderr}"
        );
    }
    signal(child.id(), "-TERM");
    signal(child.id(), "-CONT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("--resume continues"), "{}", stderr_of(&output));
    assert_eq!(names(dir), [".out.mp4.rife-job", "in.mp4"]);
    // Resuming with other settings is refused with one line for each difference.
    let refused = |args: &str, expected: &[&str]| {
        let before = (names(dir), names(&job_folder(dir)));
        let output =
            interpolate(dir, &format!("in.mp4 -o out.mp4 --resume {args}")).output().unwrap();
        let stderr = stderr_of(&output);
        assert!(!output.status.success(), "{args}");
        let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(lines.len(), expected.len(), "{stderr}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{expected}: {stderr}");
        }
        // No Debug output of Rust, and the advice once.
        assert!(!stderr.contains(['{', '"']) && !stderr.contains("Some("), "{stderr}");
        assert_eq!(stderr.matches("--overwrite").count(), 1, "{stderr}");
        assert_eq!((names(dir), names(&job_folder(dir))), before);
    };
    refused("--crf 3", &["encoder build: was x264 core", "encoder options: was -c:v libx264"]);
    refused("--scene off", &["scene cuts: was hold above 50 %, is ignored"]);
    refused("--static-threshold 2", &["static threshold: was 0 %, is 2 %"]);
    // The journal decides: another program, other weights, other CPU instructions.
    let journal = job_folder(dir).join("journal.json");
    let text = fs::read_to_string(&journal).unwrap();
    for (key, expected) in [
        ("ffmpeg", "ffmpeg: was another, is "),
        ("encoder build", "encoder build: was another, is "),
        ("arithmetic", "arithmetic: was another, is F32"),
        ("weights", "weights: was another, is "),
        ("program", "program: was another, is rife"),
        ("device", "device: was another, is cpu"),
    ] {
        let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(changed["fingerprint"][key].is_string(), "{key}");
        changed["fingerprint"][key] = "another".into();
        fs::write(&journal, changed.to_string()).unwrap();
        refused("", &[expected]);
    }
    // A change in the middle of the input is detected as well as one at its ends.
    fs::write(&journal, &text).unwrap();
    let whole = fs::read(dir.join("in.mp4")).unwrap();
    let mut changed = whole.clone();
    let middle = whole.len() / 2;
    changed[middle] ^= 1;
    fs::write(dir.join("in.mp4"), &changed).unwrap();
    refused("", &["input: its content has changed"]);
    fs::write(dir.join("in.mp4"), &whole).unwrap();
    succeed(interpolate(dir, "in.mp4 -o out.mp4 --overwrite"));
    assert_eq!(names(dir), ["in.mp4", "out.mp4"]);
}

/// Ids and command lines of the child processes of a process.
#[cfg(target_os = "linux")]
fn children(parent: &Child) -> Vec<(u32, String)> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent_id = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent_id == Some(&parent.id().to_string()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            children.push((id, String::from_utf8_lossy(&line).into_owned()));
        }
    }
    children
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn killed_decoder_or_encoder_ends_the_job_with_one_line() {
    let folder = clips(&[LONG]);
    let dir = folder.path();
    for (argument, task) in [("/proc/self/fd/1", "encoding"), ("showinfo", "decoding")] {
        let child = start(dir, "in.mp4 -o out.mp4");
        let begin = Instant::now();
        let victim = loop {
            let mut children = children(&child).into_iter();
            if let Some((id, _)) = children.find(|(_, line)| line.contains(argument)) {
                break id;
            }
            assert!(begin.elapsed() < Duration::from_secs(600), "{argument} never started");
            std::thread::sleep(Duration::from_millis(2));
        };
        // While the parent is stopped, the pipes stay full and ffmpeg cannot exit by itself.
        signal(child.id(), "-STOP");
        std::thread::sleep(Duration::from_millis(100));
        signal(victim, "-KILL");
        signal(child.id(), "-CONT");
        let output = child.wait_with_output().unwrap();
        let stderr = stderr_of(&output);
        assert!(!output.status.success(), "{task}");
        let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{stderr}");
        assert!(stderr.contains(task), "{task}: {stderr}");
        assert!(!dir.join("out.mp4").exists());
        let _ = fs::remove_dir_all(job_folder(dir));
    }
}

/// Pseudorandom numbers that are the same in every run.
struct Random(u64);

impl Random {
    /// The next number in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn resume_after_twenty_kills_at_random_points_reproduces_output() {
    use std::os::unix::process::ExitStatusExt;
    const KILLS: usize = 20;
    // Ten segments of 24 frames.
    let folder =
        clips(&["-f lavfi -i testsrc2=s=48x32:r=2:d=60 -c:v libx264 -preset ultrafast in.mp4"]);
    let dir = folder.path();
    let begin = Instant::now();
    succeed(interpolate(dir, "in.mp4 -o whole.mp4"));
    let duration = begin.elapsed();
    let whole = fs::read(dir.join("whole.mp4")).unwrap();
    let check_and_remove_output = || {
        assert!(fs::read(dir.join("out.mp4")).unwrap() == whole, "another file");
        fs::remove_file(dir.join("out.mp4")).unwrap();
        assert_eq!(names(dir), ["in.mp4", "whole.mp4"]);
    };
    let mut random = Random(0x5eed);
    let (mut kills, mut resumed, mut kept) = (0, 0, 0);
    while kills < KILLS {
        let mut child = start(dir, "in.mp4 -o out.mp4 --resume");
        std::thread::sleep(duration.mul_f64(random.next()));
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        resumed += usize::from(stderr_of(&output).contains("resuming after"));
        let journal = job_folder(dir).join("journal.json");
        if output.status.signal() == Some(9) {
            kills += 1;
            assert!(!dir.join("out.mp4").exists() || !journal.exists());
            kept += usize::from(journal.exists());
            // The kill may come after the output is complete and before the process ends.
            if dir.join("out.mp4").exists() {
                let _ = fs::remove_dir_all(job_folder(dir));
                check_and_remove_output();
            }
        } else {
            // The job ended before the kill.
            assert!(output.status.success(), "{}", stderr_of(&output));
            check_and_remove_output();
        }
    }
    if !dir.join("out.mp4").exists() || job_folder(dir).exists() {
        let _ = fs::remove_file(dir.join("out.mp4"));
        succeed(interpolate(dir, "in.mp4 -o out.mp4 --resume"));
    }
    check_and_remove_output();
    assert!(resumed > 0 && kept > 0, "no kill came after a segment: {resumed}, {kept}");
}
