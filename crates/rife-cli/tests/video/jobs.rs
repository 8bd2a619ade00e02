//! Long work: ended, killed, gone on with.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{badly, interpolate, names, said, times, well, with};

const LONG: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=16 -c:v libx264 -preset ultrafast in.mp4";

fn job(folder: &Path) -> std::path::PathBuf {
    folder.join(".out.mp4.rife-job")
}

#[cfg(unix)]
fn signal(process: u32, name: &str) {
    let done = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(done.success(), "kill {name}");
}

fn start(folder: &Path, args: &str) -> Child {
    let mut command = interpolate(folder, args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until something is so, for as long as the child runs.
fn until(child: &mut Child, so: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(600) {
        if so() {
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
    let folder = with(&[LONG]);
    let here = folder.path();
    well(interpolate(here, "in.mp4 -o whole.mp4"));
    assert_eq!(times(here, "whole.mp4").len(), 800);
    let whole = fs::read(here.join("whole.mp4")).unwrap();

    // Killed three times: before anything is finished, after a segment, and a little later.
    let mut killed = 0;
    for segments in [0, 1, 2] {
        let mut child = start(here, "in.mp4 -o out.mp4 --resume");
        let file = job(here).join(format!("{:06}.mp4", segments));
        let own = format!("unfinished-{}-", child.id());
        // The segment may be there from the run before: this run has begun when it encodes, too.
        let encodes = || names(&job(here)).iter().any(|name| name.starts_with(&own));
        let begun = || match segments {
            0 => job(here).exists(),
            _ => file.exists() && encodes(),
        };
        killed += usize::from(until(&mut child, begun));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(!here.join("out.mp4").exists(), "nothing is under the final name");
        // What those before left unfinished is gone.
        let left = names(&job(here)).into_iter();
        let of_others: Vec<_> = left
            .filter(|name| name.starts_with("unfinished-") && !name.starts_with(&own))
            .collect();
        assert!(of_others.is_empty(), "{of_others:?}");
    }
    assert_eq!(killed, 3);
    badly(interpolate(here, "in.mp4 -o out.mp4"), here, "--resume continues");
    let said = well(interpolate(here, "in.mp4 -o out.mp4 --resume"));
    assert!(said.contains("resuming after"), "{said}");
    assert!(fs::read(here.join("out.mp4")).unwrap() == whole, "the same file, bit for bit");
    assert_eq!(names(here), ["in.mp4", "out.mp4", "whole.mp4"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn interrupted_job_keeps_finished_segments_only() {
    let folder = with(&[LONG]);
    let here = folder.path();
    let mut child = start(here, "in.mp4 -o out.mp4");
    assert!(until(&mut child, || job(here).exists()));
    signal(child.id(), "-INT");
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done));
    assert_eq!(names(here), ["in.mp4"]);

    let mut child = start(here, "in.mp4 -o out.mp4");
    assert!(until(&mut child, || job(here).join("journal.json").exists()));
    signal(child.id(), "-STOP"); // It is not to end while the others ask for its place.
    for also in ["--resume", "--overwrite"] {
        let done = interpolate(here, &format!("in.mp4 -o out.mp4 {also}")).output().unwrap();
        assert!(
            !done.status.success() && said(&done).contains("another rife process writes"),
            "{}",
            said(&done)
        );
    }
    signal(child.id(), "-TERM");
    signal(child.id(), "-CONT");
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done));
    assert!(said(&done).contains("--resume continues"), "{}", said(&done));
    assert_eq!(names(here), [".out.mp4.rife-job", "in.mp4"]);
    // One line for each difference, in words.
    let refused = |args: &str, expected: &[&str]| {
        let before = (names(here), names(&job(here)));
        let done =
            interpolate(here, &format!("in.mp4 -o out.mp4 --resume {args}")).output().unwrap();
        let said = said(&done);
        assert!(!done.status.success(), "{args}");
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(lines.len(), expected.len(), "{said}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{expected}: {said}");
        }
        // Nothing of Rust's own notation, and the advice once.
        assert!(!said.contains(['{', '"']) && !said.contains("Some("), "{said}");
        assert_eq!(said.matches("--overwrite").count(), 1, "{said}");
        assert_eq!((names(here), names(&job(here))), before);
    };
    refused("--crf 3", &["encoder build: was x264 core", "encoder options: was -c:v libx264"]);
    refused("--scene off", &["scene cuts: was hold above 50 %, is ignored"]);
    refused("--static-threshold 2", &["static threshold: was 0 %, is 2 %"]);
    // What is stored decides: another program, other weights, other instructions.
    let journal = job(here).join("journal.json");
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
    // The middle of the input counts as its ends do.
    fs::write(&journal, &text).unwrap();
    let whole = fs::read(here.join("in.mp4")).unwrap();
    let mut changed = whole.clone();
    let middle = whole.len() / 2;
    changed[middle] ^= 1;
    fs::write(here.join("in.mp4"), &changed).unwrap();
    refused("", &["input: its content has changed"]);
    fs::write(here.join("in.mp4"), &whole).unwrap();
    well(interpolate(here, "in.mp4 -o out.mp4 --overwrite"));
    assert_eq!(names(here), ["in.mp4", "out.mp4"]);
}

/// ffmpeg's processes that were started by another.
#[cfg(target_os = "linux")]
fn children(parent: &Child) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if of == Some(&parent.id().to_string()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((id, String::from_utf8_lossy(&line).into_owned()));
        }
    }
    found
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_program_that_dies_ends_the_job_with_one_line() {
    let folder = with(&[LONG]);
    let here = folder.path();
    for (what, told) in [("/proc/self/fd/1", "encoding"), ("showinfo", "decoding")] {
        let mut child = start(here, "in.mp4 -o out.mp4");
        let victim = |child: &Child| {
            let children = children(child).into_iter();
            { children }.find(|(_, line)| line.contains(what)).map(|(id, _)| id)
        };
        let begun = Instant::now();
        let id = loop {
            if let Some(id) = victim(&child) {
                break id;
            }
            assert!(begun.elapsed() < Duration::from_secs(600), "{what} never started");
            std::thread::sleep(Duration::from_millis(2));
        };
        // While nobody takes what it makes it cannot end by itself.
        signal(child.id(), "-STOP");
        std::thread::sleep(Duration::from_millis(100));
        signal(id, "-KILL");
        signal(child.id(), "-CONT");
        let done = child.try_wait().unwrap().map_or_else(|| child.wait(), Ok).unwrap();
        assert!(!done.success(), "{what}");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut text).unwrap();
        assert!(text.lines().filter(|line| line.starts_with("error: ")).count() == 1, "{text}");
        assert!(text.contains(told), "{what}: {text}");
        assert!(!here.join("out.mp4").exists());
        let _ = fs::remove_dir_all(job(here));
    }
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    /// The next number in 0..1.
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
        with(&["-f lavfi -i testsrc2=s=48x32:r=2:d=60 -c:v libx264 -preset ultrafast in.mp4"]);
    let here = folder.path();
    let begun = Instant::now();
    well(interpolate(here, "in.mp4 -o whole.mp4"));
    let long = begun.elapsed();
    let whole = fs::read(here.join("whole.mp4")).unwrap();
    let same = || {
        assert!(fs::read(here.join("out.mp4")).unwrap() == whole, "another file");
        fs::remove_file(here.join("out.mp4")).unwrap();
        assert_eq!(names(here), ["in.mp4", "whole.mp4"]);
    };
    let mut random = Random(0x5eed);
    let (mut kills, mut resumed, mut left) = (0, 0, 0);
    while kills < KILLS {
        let mut child = start(here, "in.mp4 -o out.mp4 --resume");
        std::thread::sleep(long.mul_f64(random.next()));
        let _ = child.kill();
        let done = child.wait_with_output().unwrap();
        resumed += usize::from(said(&done).contains("resuming after"));
        if done.status.signal() == Some(9) {
            kills += 1;
            assert!(!here.join("out.mp4").exists() || !job(here).join("journal.json").exists());
            left += usize::from(job(here).join("journal.json").exists());
            continue;
        }
        // Done before it was killed.
        assert!(done.status.success(), "{}", said(&done));
        same();
    }
    if !here.join("out.mp4").exists() || job(here).exists() {
        let _ = fs::remove_file(here.join("out.mp4"));
        well(interpolate(here, "in.mp4 -o out.mp4 --resume"));
    }
    same();
    assert!(resumed > 0 && left > 0, "no kill came after a segment: {resumed}, {left}");
}
