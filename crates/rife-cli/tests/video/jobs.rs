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
fn a_killed_job_goes_on_to_the_same_file() {
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
        let begun = || match segments {
            0 => job(here).exists(),
            _ => file.exists(),
        };
        killed += usize::from(until(&mut child, begun));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(!here.join("out.mp4").exists(), "nothing is under the final name");
        // What those before left unfinished is gone.
        let own = format!("unfinished-{}-", child.id());
        let left = names(&job(here)).into_iter();
        let of_others: Vec<_> = left
            .filter(|name| name.starts_with("unfinished-") && !name.starts_with(&own))
            .collect();
        assert!(of_others.is_empty(), "{of_others:?}");
    }
    assert_eq!(killed, 3);
    badly(interpolate(here, "in.mp4 -o out.mp4"), here, "--resume goes on");
    badly(interpolate(here, "in.mp4 -o out.mp4 --resume --crf 3"), here, "encoder was");
    badly(interpolate(here, "in.mp4 -o out.mp4 --resume --factor 3"), here, "was factor 2");
    let said = well(interpolate(here, "in.mp4 -o out.mp4 --resume"));
    assert!(said.contains("going on after"), "{said}");
    assert!(fs::read(here.join("out.mp4")).unwrap() == whole, "the same file, bit for bit");
    assert_eq!(names(here), ["in.mp4", "out.mp4", "whole.mp4"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_stopped_job_leaves_what_is_finished_and_nothing_else() {
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
        assert!(!done.status.success() && said(&done).contains("at work"), "{}", said(&done));
    }
    signal(child.id(), "-TERM");
    signal(child.id(), "-CONT");
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", said(&done));
    assert!(said(&done).contains("--resume goes on"), "{}", said(&done));
    assert_eq!(names(here), [".out.mp4.rife-job", "in.mp4"]);
    // What was begun by another is not taken for one's own.
    let text = fs::read_to_string(job(here).join("journal.json")).unwrap();
    fs::write(job(here).join("journal.json"), text.replace("4.6", "4.7")).unwrap();
    badly(interpolate(here, "in.mp4 -o out.mp4 --resume"), here, "another one");
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
    for (what, told) in [("rife-job", "encoding"), ("showinfo", "decoding")] {
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

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_full_disk_ends_the_job_with_one_line() {
    let folder = with(&[LONG]);
    let here = folder.path();
    let small = here.join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"])
        .arg(&small)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        // Only root may make a small disk; every write fails on this one.
        let mut command = interpolate(here, "in.mp4 -o - ");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = command.stdout(full).output().unwrap();
        assert!(!done.status.success() && said(&done).contains("No space left"));
        return;
    }
    let runs = ["in.mp4 -o small/out.mp4 --codec ffv1 -o small/out.mkv", "in.mp4 -o small/out.y4m"];
    let told: Vec<_> = runs
        .iter()
        .map(|args| {
            let args = args.replace("-o small/out.mp4 ", "");
            let done = interpolate(here, &args).output().unwrap();
            (done.status.success(), said(&done), names(&small))
        })
        .collect();
    let unmounted = Command::new("umount").arg(&small).status().unwrap();
    assert!(unmounted.success());
    for (well, said, left) in told {
        assert!(!well, "{said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
        assert!(said.contains("No space left") || said.contains("disk full"), "{said}");
        assert!(left.iter().all(|name| name.starts_with('.')), "{left:?}");
    }
}
