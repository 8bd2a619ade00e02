//! Full disks: one error line, no incomplete files, and `--resume` afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{clips, in_shell, interpolate, names, stderr_of, succeed};

const LONG: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=16 -c:v libx264 -preset ultrafast in.mp4";

/// `rife interpolate` where no file may become larger than `bytes`. Writes beyond that fail as on a
/// full disk, only with another error code.
#[cfg(unix)]
fn limited(dir: &Path, bytes: u64, args: &str) -> Command {
    let script = format!("ulimit -f {} && exec \"$0\" \"$@\"", bytes / 512);
    in_shell(Command::new("sh"), &script, &interpolate(dir, args))
}

/// Runs a command that must fail with one error line about disk space, and returns its messages.
fn fail_without_space(mut command: Command) -> String {
    let output = command.output().unwrap();
    let stderr = stderr_of(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{stderr}");
    let known = ["File too large", "No space left", "disk full"];
    assert!(known.iter().any(|text| stderr.contains(text)), "{stderr}");
    stderr
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn size_limit_keeps_finished_segments_and_resume_reproduces_output() {
    let folder = clips(&[LONG]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mp4 -o whole.mp4"));
    let whole = fs::read(dir.join("whole.mp4")).unwrap();
    let size = whole.len() as u64;

    // Every segment is smaller than the limit; the joined file is larger.
    let stderr = fail_without_space(limited(dir, size * 2 / 3, "in.mp4 -o out.mp4"));
    assert!(stderr.contains("800 finished frames are kept"), "{stderr}");
    assert_eq!(names(dir), [".out.mp4.rife-job", "in.mp4", "whole.mp4"]);
    let kept = names(&dir.join(".out.mp4.rife-job"));
    assert!(kept.contains(&"journal.json".into()), "{kept:?}");
    let incomplete = |name: &String| name.starts_with("unfinished-") || name.starts_with("whole.");
    assert!(!kept.iter().any(incomplete), "{kept:?}");
    succeed(interpolate(dir, "in.mp4 -o out.mp4 --resume"));
    assert!(fs::read(dir.join("out.mp4")).unwrap() == whole, "another file");
    assert_eq!(names(dir), ["in.mp4", "out.mp4", "whole.mp4"]);

    // Even the first segment is larger than the limit.
    fail_without_space(limited(dir, size / 10, "in.mp4 -o other.mp4"));
    assert_eq!(names(dir), ["in.mp4", "out.mp4", "whole.mp4"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn size_limit_leaves_no_incomplete_streams_or_images() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 in.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -frames:v 2 f%d.png",
    ]);
    let dir = folder.path();
    for (bytes, args) in [
        (51_200, "in.mp4 -o out.y4m"),
        (51_200, "in.mp4 -o out.yuv"),
        (512, "in.mp4 -o pictures"),
        (512, "f1.png f2.png -o m.png"),
        (512, "f1.png f2.png -o pictures --factor 3"),
    ] {
        fail_without_space(limited(dir, bytes, args));
        assert_eq!(names(dir), ["f1.png", "f2.png", "in.mp4"], "{args}");
    }
}

#[test]
#[cfg_attr(
    not(all(ffmpeg_here, mounts_here)),
    ignore = "needs ffmpeg, and the right to mount a file system in a namespace"
)]
fn full_file_system_keeps_finished_segments_and_resume_reproduces_output() {
    let folder = clips(&[LONG]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mp4 -o whole.mp4"));
    let whole = fs::read(dir.join("whole.mp4")).unwrap();
    fs::create_dir(dir.join("small")).unwrap();
    // The file system has room for all segments, but not for the joined file beside them.
    let script = format!(
        "mount -t tmpfs -o size={} tmpfs small || exit 9\n\
         rife() {{ \"$0\" interpolate in.mp4 --model 4.6 --device cpu \"$@\"; }}\n\
         rife -o small/out.mp4 2>first; echo $? >>first; ls -A small >after\n\
         ls small/.out.mp4.rife-job >kept\n\
         rife -o small/out.y4m 2>second; echo $? >>second; ls -A small >>after\n\
         mount -o remount,size=64m small\n\
         rife -o small/out.mp4 --resume && cp small/out.mp4 out.mp4; ls -A small >resumed",
        whole.len() * 3 / 2
    );
    let mut namespace = Command::new("unshare");
    namespace.args(["--user", "--map-root-user", "--mount", "sh"]);
    let output = in_shell(namespace, &script, &interpolate(dir, "")).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    for name in ["first", "second"] {
        let text = read(name);
        assert!(text.ends_with("\n1\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{text}");
        assert!(text.contains("No space left") || text.contains("disk full"), "{text}");
    }
    assert_eq!(read("after"), ".out.mp4.rife-job\n.out.mp4.rife-job\n");
    assert!(!read("kept").contains("whole") && !read("kept").contains("unfinished"));
    assert_eq!(read("resumed"), "out.mp4\n");
    assert!(fs::read(dir.join("out.mp4")).unwrap() == whole, "another file");
}
