//! Disks without room: one line that says so, nothing incomplete left, and `--resume` afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{interpolate, names, said, well, with};

const LONG: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=16 -c:v libx264 -preset ultrafast in.mp4";

/// The program where no file may become larger than `bytes`: what every write beyond meets is what
/// it meets on a full disk, with another number.
#[cfg(unix)]
fn limited(folder: &Path, bytes: u64, args: &str) -> Command {
    let inner = interpolate(folder, args);
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -f \"$0\" && exec \"$@\"", &(bytes / 512).to_string()])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(folder);
    for (key, value) in inner.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    command
}

/// Runs out of room in one line.
fn fails(mut command: Command) -> String {
    let done = command.output().unwrap();
    let said = said(&done);
    assert_eq!(done.status.code(), Some(1), "{command:?}: {said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    let known = ["File too large", "No space left", "disk full"];
    assert!(known.iter().any(|text| said.contains(text)), "{said}");
    said
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn size_limit_keeps_finished_segments_and_resume_reproduces_output() {
    let folder = with(&[LONG]);
    let here = folder.path();
    well(interpolate(here, "in.mp4 -o whole.mp4"));
    let whole = fs::read(here.join("whole.mp4")).unwrap();
    let size = whole.len() as u64;

    // Every segment fits, and all of them together do not.
    let said = fails(limited(here, size * 2 / 3, "in.mp4 -o out.mp4"));
    assert!(said.contains("800 finished frames are kept"), "{said}");
    assert_eq!(names(here), [".out.mp4.rife-job", "in.mp4", "whole.mp4"]);
    let left = names(&here.join(".out.mp4.rife-job"));
    assert!(left.contains(&"journal.json".into()), "{left:?}");
    let incomplete = |name: &String| name.starts_with("unfinished-") || name.starts_with("whole.");
    assert!(!left.iter().any(incomplete), "{left:?}");
    well(interpolate(here, "in.mp4 -o out.mp4 --resume"));
    assert!(fs::read(here.join("out.mp4")).unwrap() == whole, "another file");
    assert_eq!(names(here), ["in.mp4", "out.mp4", "whole.mp4"]);

    // Not even the first segment fits.
    fails(limited(here, size / 10, "in.mp4 -o other.mp4"));
    assert_eq!(names(here), ["in.mp4", "out.mp4", "whole.mp4"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn size_limit_leaves_nothing_of_other_outputs() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 in.mp4",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -frames:v 2 f%d.png",
    ]);
    let here = folder.path();
    let kept = ["f1.png", "f2.png", "in.mp4"];
    for (bytes, args) in [
        (51_200, "in.mp4 -o out.y4m"),
        (51_200, "in.mp4 -o out.yuv"),
        (512, "in.mp4 -o pictures"),
        (512, "f1.png f2.png -o m.png"),
        (512, "f1.png f2.png -o pictures --factor 3"),
    ] {
        fails(limited(here, bytes, args));
        assert_eq!(names(here), kept, "{args}");
    }
}

#[test]
#[cfg_attr(
    not(all(ffmpeg_here, mounts_here)),
    ignore = "needs ffmpeg, and the right to mount a file system in a namespace"
)]
fn full_file_system_keeps_finished_segments_and_resume_reproduces_output() {
    let folder = with(&[LONG]);
    let here = folder.path();
    well(interpolate(here, "in.mp4 -o whole.mp4"));
    let whole = fs::read(here.join("whole.mp4")).unwrap();
    fs::create_dir(here.join("small")).unwrap();
    // The segments fit beside each other; a copy of all of them does not.
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
    let inner = interpolate(here, "");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg(inner.get_program()).current_dir(here);
    for (key, value) in inner.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
    for name in ["first", "second"] {
        let text = read(name);
        assert!(text.ends_with("\n1\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{text}");
        assert!(text.contains("No space left") || text.contains("disk full"), "{text}");
    }
    assert_eq!(read("after"), ".out.mp4.rife-job\n.out.mp4.rife-job\n");
    assert!(!read("kept").contains("whole") && !read("kept").contains("unfinished"));
    assert_eq!(read("resumed"), "out.mp4\n");
    assert!(fs::read(here.join("out.mp4")).unwrap() == whole, "another file");
}
