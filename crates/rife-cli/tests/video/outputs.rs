//! Outputs: long names, modes, links, pipes, devices, folders that are not empty.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{
    clips, fail_with, ffmpeg, frame_hashes, in_shell, interpolate, names, rife, stderr_of, succeed,
};

/// A clip of three frames as MP4 and as Y4M, which needs no ffmpeg to read, and two images.
fn clip() -> tempfile::TempDir {
    clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 3 -c:v libx264 -pix_fmt yuv420p in.mp4",
        "-i in.mp4 in.y4m",
        "-i in.mp4 -frames:v 2 f%d.png",
    ])
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn overwrite_removes_images_of_a_longer_job() {
    let folder = clip();
    let dir = folder.path();
    let out = dir.join("out");
    succeed(interpolate(dir, "in.y4m -o out --factor 3"));
    assert_eq!(names(&out).len(), 9);
    // Files that do not match the pattern are kept.
    let others = ["0000009.png", "00000000.png", "000000011.png", "00000010.jpg", "x.png"];
    for other in others {
        fs::write(out.join(other), b"").unwrap();
    }
    fs::write(out.join("00000010.png"), b"").unwrap();
    let stderr = succeed(interpolate(dir, "in.y4m -o out --factor 2 --overwrite"));
    assert!(stderr.contains("note: removed 4 images of an earlier job"), "{stderr}");
    let mut expected: Vec<String> = (1..=6).map(|n| format!("{n:08}.png")).collect();
    expected.extend(others.map(Into::into));
    expected.sort();
    assert_eq!(names(&out), expected);

    succeed(interpolate(dir, "f1.png f2.png -o pair --factor 5"));
    let stderr = succeed(interpolate(dir, "f1.png f2.png -o pair --factor 3 --overwrite"));
    assert!(stderr.contains("note: removed 2 images of an earlier job"), "{stderr}");
    assert_eq!(names(&dir.join("pair")), ["0001.png", "0002.png"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_output_has_the_mode_that_the_umask_gives() {
    use std::os::unix::fs::PermissionsExt;
    let folder = clip();
    let dir = folder.path();
    let pth = rife_model::weights::Store::locate(None)
        .unwrap()
        .fetch_checkpoint(rife_model::ModelVersion::V4_6, &mut |_| {})
        .unwrap();
    fs::copy(pth, dir.join("net.pth")).unwrap();
    let succeed_under = |umask: &str, command: Command| {
        let script = format!("umask {umask} && exec \"$0\" \"$@\"");
        succeed(in_shell(Command::new("sh"), &script, &command));
    };
    for (umask, expected) in [("022", 0o644), ("002", 0o664), ("077", 0o600)] {
        for (args, file) in [
            ("in.y4m -o o.mp4", "o.mp4"),
            ("in.y4m -o o.mkv", "o.mkv"),
            ("in.y4m -o o.y4m", "o.y4m"),
            ("in.y4m -o o.yuv", "o.yuv"),
            ("in.y4m -o p", "p/00000001.png"),
            ("f1.png f2.png -o m.png", "m.png"),
            ("f1.png f2.png -o m.jpg", "m.jpg"),
            ("f1.png f2.png -o q --factor 3", "q/0001.png"),
        ] {
            succeed_under(umask, interpolate(dir, &format!("{args} --overwrite")));
            let mode = fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{args} under umask {umask}: {mode:o}");
        }
        let mut convert = rife(dir);
        convert.args(["convert", "net.pth", "--overwrite"]);
        succeed_under(umask, convert);
        let mode = fs::metadata(dir.join("net.safetensors")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn names_of_up_to_255_bytes_are_written() {
    let folder = clip();
    let dir = folder.path();
    let name = |letter: &str, bytes: usize, extension: &str| {
        let stem = bytes - extension.len();
        let letters = letter.repeat(stem / letter.len());
        format!("{letters}{}{extension}", "x".repeat(stem % letter.len()))
    };
    let mut cases = Vec::new();
    // Letters of one to four bytes, with lengths at which a shortened name would split a letter.
    for (letter, lengths) in
        [("a", &[240, 255][..]), ("é", &[247, 254]), ("映", &[246, 255]), ("🎞", &[252, 253])]
    {
        cases.extend(lengths.iter().map(|bytes| (name(letter, *bytes, ".mp4"), "in.y4m")));
    }
    cases.extend([".y4m", ".yuv", ".mkv"].map(|extension| (name("映", 255, extension), "in.y4m")));
    cases.push((name("é", 255, ".png"), "f1.png f2.png"));
    for (name, input) in cases {
        let out = dir.join(&name);
        if fs::write(&out, b"").is_err() {
            continue; // The file system does not allow such names.
        }
        fs::remove_file(&out).unwrap();
        succeed(interpolate(dir, &format!("{input} -o {name}")));
        assert!(fs::metadata(&out).unwrap().len() > 0);
        fs::remove_file(out).unwrap();
        assert_eq!(names(dir), ["f1.png", "f2.png", "in.mp4", "in.y4m"]);
    }
    // Refused before any work, for which the weights would be missing.
    for extension in [".mkv", ".y4m"] {
        let name = name("a", 256, extension);
        let mut command = interpolate(dir, &format!("in.y4m -o {name}"));
        command.env("RIFE_WEIGHTS", dir.join("none"));
        fail_with(command, dir, "cannot write");
    }
    let pattern = name("映", 256, "%03d.png");
    succeed(interpolate(dir, &format!("in.y4m -o long --pattern {pattern}")));
    assert!(names(&dir.join("long")).iter().all(|name| name.len() == 255), "{pattern}");
}

#[cfg(unix)]
fn create_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What a command writes to a FIFO.
#[cfg(unix)]
fn read_fifo(command: Command, fifo: &Path) -> Vec<u8> {
    let fifo = fifo.to_owned();
    let reader = std::thread::spawn(move || fs::read(fifo).unwrap());
    succeed(command);
    reader.join().unwrap()
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn pipes_and_devices_are_written_directly() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = clip();
    let dir = folder.path();
    for (input, extension) in
        [("in.y4m", "y4m"), ("in.y4m", "yuv"), ("in.mp4", "mp4"), ("in.y4m", "mkv")]
    {
        succeed(interpolate(dir, &format!("{input} -o plain.{extension}")));
        let plain = fs::read(dir.join(format!("plain.{extension}"))).unwrap();
        let pipe = dir.join(format!("pipe.{extension}"));
        create_fifo(&pipe);
        // A link to the pipe works, too.
        let link = dir.join(format!("link.{extension}"));
        symlink(&pipe, &link).unwrap();
        for (output, args) in [(&pipe, ""), (&link, ""), (&pipe, "--overwrite")] {
            let output = output.file_name().unwrap().to_str().unwrap();
            let command = interpolate(dir, &format!("{input} -o {output} {args}"));
            assert!(read_fifo(command, &pipe) == plain, "{output} {args}");
        }
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
    succeed(interpolate(dir, "f1.png f2.png -o plain.png"));
    let png = fs::read(dir.join("plain.png")).unwrap();
    create_fifo(&dir.join("pipe.png"));
    let command = interpolate(dir, "f1.png f2.png -o pipe.png");
    assert!(read_fifo(command, &dir.join("pipe.png")) == png);

    let y4m = fs::read(dir.join("plain.y4m")).unwrap();
    succeed(interpolate(dir, "in.mp4 -o /dev/null"));
    succeed(interpolate(dir, "f1.png f2.png -o /dev/null"));
    for device in ["/dev/stdout", "/dev/fd/1"] {
        let command = || interpolate(dir, &format!("in.y4m -o {device}"));
        let output = command().output().unwrap();
        let stderr = stderr_of(&output);
        assert!(output.status.success() && output.stdout == y4m, "{device}: {stderr}");
        // The device may also lead to a file.
        let file = fs::File::create(dir.join("redirected")).unwrap();
        assert!(command().stdout(file).stderr(Stdio::null()).status().unwrap().success());
        assert!(fs::read(dir.join("redirected")).unwrap() == y4m, "{device}");
    }
    let output = interpolate(dir, "f1.png f2.png -o /dev/stdout").output().unwrap();
    assert!(output.stdout == png, "{}", stderr_of(&output));
    let before = names(dir);
    fail_with(interpolate(dir, "in.mp4 -o /dev/full"), dir, "No space left");
    let _listener = std::os::unix::net::UnixListener::bind(dir.join("s.y4m")).unwrap();
    fail_with(interpolate(dir, "in.mp4 -o s.y4m --overwrite"), dir, "socket");
    fs::remove_file(dir.join("s.y4m")).unwrap();
    assert_eq!(names(dir), before);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn links_are_kept_and_their_target_is_replaced() {
    use std::os::unix::fs::symlink;
    let folder = clip();
    let dir = folder.path();
    fs::create_dir(dir.join("d")).unwrap();
    for (input, extension) in [("in.y4m", "mp4"), ("in.y4m", "y4m"), ("f1.png f2.png", "png")] {
        let link = format!("link.{extension}");
        let target = dir.join(format!("d/target-{extension}"));
        symlink(&target, dir.join(&link)).unwrap();
        // In the first round, the target does not exist yet.
        fail_with(interpolate(dir, &format!("{input} -o {link}")), dir, "--overwrite");
        for _ in 0..2 {
            succeed(interpolate(dir, &format!("{input} -o {link} --overwrite")));
            assert!(fs::symlink_metadata(dir.join(&link)).unwrap().is_symlink());
            assert!(fs::metadata(&target).unwrap().len() > 100, "{extension}");
            fs::write(&target, b"old").unwrap();
        }
    }
    assert_eq!(names(&dir.join("d")), ["target-mp4", "target-png", "target-y4m"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn second_job_for_the_same_output_fails_at_once() {
    let folder = clip();
    let dir = folder.path();
    ffmpeg(dir, "-f lavfi -i testsrc2=s=320x240:r=25 -frames:v 200 -c:v libx264 long.mp4");
    fs::create_dir(dir.join("out")).unwrap();
    for (input, output, job_folder) in [
        ("long.mp4", "out", "out/.rife-job"),
        ("long.mp4", "o.y4m", ".o.y4m.rife-job"),
        ("long.mp4", "o.mkv", ".o.mkv.rife-job"),
        ("f1.png f2.png --factor 5000", "out", "out/.rife-job"),
    ] {
        let mut first = interpolate(dir, &format!("{input} -o {output}")).spawn().unwrap();
        while !is_locked(&dir.join(job_folder).join("lock")) {
            assert!(first.try_wait().unwrap().is_none(), "{output}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Without weights: it must fail before it looks for them.
        let mut second = interpolate(dir, &format!("{input} -o {output} --overwrite"));
        second.env("RIFE_WEIGHTS", dir.join("none"));
        let stderr = stderr_of(&second.output().unwrap());
        assert!(stderr.contains("another rife process is writing"), "{output}: {stderr}");
        assert!(first.try_wait().unwrap().is_none(), "the first job has ended already");
        first.kill().unwrap();
        first.wait().unwrap();
        // A new job takes over the folder that the killed one left.
        if output == "out" {
            succeed(interpolate(dir, "in.y4m -o out"));
            assert_eq!(names(&dir.join("out")).len(), 6);
            fs::remove_dir_all(dir.join("out")).unwrap();
        }
    }
}

/// Whether a process holds a lock on a file. A job creates the file a moment before it locks it.
#[cfg(unix)]
fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(file) = path.metadata() else { return false };
    // Other systems than Linux do not list the locks.
    let Ok(locks) = fs::read_to_string("/proc/locks") else { return true };
    locks.lines().any(|line| line.contains(&format!(":{} ", file.ino())))
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn planted_links_and_job_folders_are_not_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = clip();
    let dir = folder.path();
    let job_folder = dir.join(".out.mp4.rife-job");
    let (elsewhere, secret) = (dir.join("elsewhere"), dir.join("secret"));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(&secret, b"secret").unwrap();
    let check_unharmed = || {
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    };
    symlink(&elsewhere, &job_folder).unwrap();
    fail_with(interpolate(dir, "in.mp4 -o out.mp4"), dir, "a link or a file");
    fs::remove_file(&job_folder).unwrap();
    fs::create_dir(&job_folder).unwrap();
    fs::set_permissions(&job_folder, fs::Permissions::from_mode(0o777)).unwrap();
    fail_with(interpolate(dir, "in.mp4 -o out.mp4"), dir, "others can write");
    fs::set_permissions(&job_folder, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&secret, job_folder.join("lock")).unwrap();
    fail_with(interpolate(dir, "in.mp4 -o out.mp4"), dir, "cannot write");
    fs::remove_file(job_folder.join("lock")).unwrap();
    check_unharmed();
    for args in ["--overwrite", "--resume", ""] {
        fs::create_dir_all(&job_folder).unwrap();
        fs::set_permissions(&job_folder, fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["list.txt", "whole.mp4", "000000.mp4", "unfinished-journal.json"] {
            symlink(&secret, job_folder.join(name)).unwrap();
        }
        succeed(interpolate(dir, &format!("in.mp4 -o out.mp4 {args}")));
        assert_eq!(frame_hashes(dir, "out.mp4").len(), 6);
        check_unharmed();
        fs::remove_file(dir.join("out.mp4")).unwrap();
    }
    assert_eq!(names(dir), ["elsewhere", "f1.png", "f2.png", "in.mp4", "in.y4m", "secret"]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn invalid_arguments_are_explained_before_anything_starts() {
    let folder = clip();
    let dir = folder.path();
    fs::create_dir(dir.join("frames")).unwrap();
    fs::copy(dir.join("f1.png"), dir.join("frames/0001.png")).unwrap();
    fs::copy(dir.join("f2.png"), dir.join("frames/0002.png")).unwrap();
    for pattern in ["frames/%04d.png", "frames/*.png", "frames/%d.jpg", "frames/00??.png"] {
        fail_with(interpolate(dir, &format!("{pattern} -o x.mp4")), dir, "name the folder frames");
    }
    for (args, message) in [
        ("--crf 99", "invalid CRF 99 for libx264: expected a number from 0 to 51"),
        ("--crf -1", "from 0 to 51"),
        ("--codec h265 --crf 51.5", "invalid CRF 51.5 for libx265"),
        ("--codec vp9 --crf 64", "from 0 to 63"),
        ("--codec mpeg4 --crf 0", "from 1 to 31"),
    ] {
        let mut command = interpolate(dir, &format!("in.mp4 -o x.mp4 {args}"));
        // Without weights: it must fail before it looks for them.
        command.env("RIFE_WEIGHTS", dir.join("none"));
        fail_with(command, dir, message);
    }
    fs::copy(dir.join("in.mp4"), dir.join("-clip.mp4")).unwrap();
    for args in ["-clip.mp4 -o x.mp4", "in.mp4 -o -clip.mp4"] {
        let output = interpolate(dir, args).output().unwrap();
        let stderr = stderr_of(&output);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(stderr.contains("write ./-clip.mp4, or put it after --"), "{stderr}");
    }
    succeed(interpolate(dir, "-o x.y4m -- -clip.mp4"));
    succeed(interpolate(dir, "./-clip.mp4 -o y.y4m"));
    // A pattern as in ffmpeg.
    succeed(interpolate(dir, "in.y4m -o new/p%03d.png"));
    assert_eq!(names(&dir.join("new"))[5], "p006.png");
}
