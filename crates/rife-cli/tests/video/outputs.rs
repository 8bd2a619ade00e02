//! What an output may be: long names, links, pipes, devices, folders that are not empty.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{badly, ffmpeg, hashes, interpolate, names, said, well, with};

const CLIP: &str = "-f lavfi -i testsrc2=s=64x48:r=25 -frames:v 3 -c:v libx264 in.mp4";

/// A clip and two pictures.
fn clip() -> tempfile::TempDir {
    with(&[CLIP, "-i in.mp4 -frames:v 2 f%d.png"])
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn overwrite_removes_pictures_of_a_longer_job() {
    let folder = clip();
    let here = folder.path();
    let out = here.join("out");
    well(interpolate(here, "in.mp4 -o out --factor 3"));
    assert_eq!(names(&out).len(), 9);
    // Names of another pattern are not the job's.
    for other in ["0000009.png", "00000000.png", "000000011.png", "00000010.jpg", "x.png"] {
        fs::write(out.join(other), b"").unwrap();
    }
    fs::write(out.join("00000010.png"), b"").unwrap();
    let said = well(interpolate(here, "in.mp4 -o out --factor 2 --overwrite"));
    assert!(said.contains("note: removed 4 images of an earlier job"), "{said}");
    let mut expected: Vec<String> = (1..=6).map(|n| format!("{n:08}.png")).collect();
    let others = ["0000009.png", "00000000.png", "000000011.png", "00000010.jpg", "x.png"];
    expected.extend(others.map(Into::into));
    expected.sort();
    assert_eq!(names(&out), expected);

    well(interpolate(here, "f1.png f2.png -o pair --factor 5"));
    let said = well(interpolate(here, "f1.png f2.png -o pair --factor 3 --overwrite"));
    assert!(said.contains("note: removed 2 images of an earlier job"), "{said}");
    assert_eq!(names(&here.join("pair")), ["0001.png", "0002.png"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_output_has_the_mode_that_the_umask_gives() {
    use std::os::unix::fs::PermissionsExt;
    let folder = clip();
    let here = folder.path();
    let pth = rife_model::weights::Store::locate(None)
        .unwrap()
        .fetch_checkpoint(rife_model::ModelVersion::V4_6, &mut |_| {})
        .unwrap();
    fs::copy(pth, here.join("net.pth")).unwrap();
    let under = |umask: &str, inner: Command| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(here);
        for (key, value) in inner.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        well(command)
    };
    for (umask, expected) in [("022", 0o644), ("002", 0o664), ("077", 0o600)] {
        for (args, file) in [
            ("in.mp4 -o o.mp4", "o.mp4"),
            ("in.mp4 -o o.mkv", "o.mkv"),
            ("in.mp4 -o o.y4m", "o.y4m"),
            ("in.mp4 -o o.yuv", "o.yuv"),
            ("in.mp4 -o p", "p/00000001.png"),
            ("f1.png f2.png -o m.png", "m.png"),
            ("f1.png f2.png -o m.jpg", "m.jpg"),
            ("f1.png f2.png -o q --factor 3", "q/0001.png"),
        ] {
            under(umask, interpolate(here, &format!("{args} --overwrite")));
            let mode = fs::metadata(here.join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{args} under umask {umask}: {mode:o}");
        }
        let mut convert = crate::support::rife(here);
        convert.args(["convert", "net.pth", "--overwrite"]);
        under(umask, convert);
        let mode = fs::metadata(here.join("net.safetensors")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn names_of_up_to_255_bytes_are_written() {
    let folder = clip();
    let here = folder.path();
    let name = |letter: &str, bytes: usize, ending: &str| {
        let fill = bytes - ending.len();
        format!("{}{}{ending}", letter.repeat(fill / letter.len()), "x".repeat(fill % letter.len()))
    };
    let mut cases = Vec::new();
    // Letters of one to four bytes, with every remainder that shortening may cut through.
    for (letter, lengths) in
        [("a", &[240, 255][..]), ("é", &[247, 254]), ("映", &[246, 255]), ("🎞", &[252, 253])]
    {
        cases.extend(lengths.iter().map(|bytes| (name(letter, *bytes, ".mp4"), "in.mp4")));
    }
    cases.extend([".y4m", ".yuv", ".mkv"].map(|ending| (name("映", 255, ending), "in.mp4")));
    cases.push((name("é", 255, ".png"), "f1.png f2.png"));
    for (name, input) in cases {
        let out = here.join(&name);
        if fs::write(&out, b"").is_err() {
            continue; // This file system has no such names.
        }
        fs::remove_file(&out).unwrap();
        well(interpolate(here, &format!("{input} -o {name}")));
        assert!(fs::metadata(&out).unwrap().len() > 0);
        fs::remove_file(out).unwrap();
        assert_eq!(names(here), ["f1.png", "f2.png", "in.mp4"]);
    }
    let pattern = name("映", 256, "%03d.png");
    well(interpolate(here, &format!("in.mp4 -o long --pattern {pattern}")));
    assert!(names(&here.join("long")).iter().all(|name| name.len() == 255), "{pattern}");
}

#[cfg(unix)]
fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What is written to a pipe by a job.
#[cfg(unix)]
fn through(command: Command, fifo: &Path) -> Vec<u8> {
    let fifo = fifo.to_owned();
    let reader = std::thread::spawn(move || fs::read(fifo).unwrap());
    well(command);
    reader.join().unwrap()
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn pipes_and_devices_are_written_through() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = clip();
    let here = folder.path();
    for name in ["y4m", "yuv", "mp4", "mkv"] {
        well(interpolate(here, &format!("in.mp4 -o plain.{name}")));
        let plain = fs::read(here.join(format!("plain.{name}"))).unwrap();
        let pipe = here.join(format!("pipe.{name}"));
        fifo(&pipe);
        // A link to it leads there as well.
        let link = here.join(format!("link.{name}"));
        symlink(&pipe, &link).unwrap();
        for (out, args) in [(&pipe, ""), (&link, ""), (&pipe, "--overwrite")] {
            let out = out.file_name().unwrap().to_str().unwrap();
            let bytes = through(interpolate(here, &format!("in.mp4 -o {out} {args}")), &pipe);
            assert!(bytes == plain, "{out} {args}");
        }
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
    well(interpolate(here, "f1.png f2.png -o plain.png"));
    fifo(&here.join("pipe.png"));
    let bytes = through(interpolate(here, "f1.png f2.png -o pipe.png"), &here.join("pipe.png"));
    assert!(bytes == fs::read(here.join("plain.png")).unwrap());

    let y4m = fs::read(here.join("plain.y4m")).unwrap();
    well(interpolate(here, "in.mp4 -o /dev/null"));
    well(interpolate(here, "f1.png f2.png -o /dev/null"));
    for out in ["/dev/stdout", "/dev/fd/1"] {
        let done = interpolate(here, &format!("in.mp4 -o {out}")).output().unwrap();
        assert!(done.status.success() && done.stdout == y4m, "{out}: {}", said(&done));
        // Also where it is a file.
        let file = fs::File::create(here.join("redirected")).unwrap();
        let mut command = interpolate(here, &format!("in.mp4 -o {out}"));
        assert!(command.stdout(file).stderr(Stdio::null()).status().unwrap().success());
        assert!(fs::read(here.join("redirected")).unwrap() == y4m, "{out}");
    }
    let done = interpolate(here, "f1.png f2.png -o /dev/stdout").output().unwrap();
    assert!(done.stdout == fs::read(here.join("plain.png")).unwrap(), "{}", said(&done));
    let before = names(here);
    badly(interpolate(here, "in.mp4 -o /dev/full"), here, "No space left");
    let _listener = std::os::unix::net::UnixListener::bind(here.join("s.y4m")).unwrap();
    badly(interpolate(here, "in.mp4 -o s.y4m --overwrite"), here, "socket");
    fs::remove_file(here.join("s.y4m")).unwrap();
    assert_eq!(names(here), before);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn links_stay_and_the_file_behind_them_is_replaced() {
    use std::os::unix::fs::symlink;
    let folder = clip();
    let here = folder.path();
    fs::create_dir(here.join("d")).unwrap();
    for (args, ending) in [("in.mp4", "mp4"), ("in.mp4", "y4m"), ("f1.png f2.png", "png")] {
        let (link, target) = (format!("link.{ending}"), here.join(format!("d/target-{ending}")));
        symlink(&target, here.join(&link)).unwrap();
        // Also where there is no file behind it yet.
        badly(interpolate(here, &format!("{args} -o {link}")), here, "--overwrite");
        for _ in 0..2 {
            well(interpolate(here, &format!("{args} -o {link} --overwrite")));
            assert!(fs::symlink_metadata(here.join(&link)).unwrap().is_symlink());
            assert!(fs::metadata(&target).unwrap().len() > 100, "{ending}");
            fs::write(&target, b"old").unwrap();
        }
    }
    assert_eq!(names(&here.join("d")), ["target-mp4", "target-png", "target-y4m"]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn second_job_for_the_same_output_fails_at_once() {
    let folder = clip();
    let here = folder.path();
    ffmpeg(here, "-f lavfi -i testsrc2=s=320x240:r=25 -frames:v 200 -c:v libx264 long.mp4");
    fs::create_dir(here.join("out")).unwrap();
    for (input, output, lock) in [
        ("long.mp4", "out", "out/.rife-job"),
        ("long.mp4", "o.y4m", ".o.y4m.rife-job"),
        ("long.mp4", "o.mkv", ".o.mkv.rife-job"),
        ("f1.png f2.png --factor 5000", "out", "out/.rife-job"),
    ] {
        let mut first = interpolate(here, &format!("{input} -o {output}")).spawn().unwrap();
        while !here.join(lock).join("lock").exists() {
            assert!(first.try_wait().unwrap().is_none(), "{output}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Without weights: it fails before it looks for them.
        let mut second = interpolate(here, &format!("{input} -o {output} --overwrite"));
        second.env("RIFE_WEIGHTS", here.join("none"));
        let done = second.output().unwrap();
        assert!(said(&done).contains("another rife process writes"), "{output}: {}", said(&done));
        assert!(first.try_wait().unwrap().is_none(), "the first has ended already");
        first.kill().unwrap();
        first.wait().unwrap();
        // What it left is taken over.
        if output == "out" {
            well(interpolate(here, "in.mp4 -o out"));
            assert_eq!(names(&here.join("out")).len(), 6);
            fs::remove_dir_all(here.join("out")).unwrap();
        }
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn planted_links_and_folders_lead_nowhere() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = clip();
    let here = folder.path();
    let (job, elsewhere, secret) =
        (here.join(".out.mp4.rife-job"), here.join("elsewhere"), here.join("secret"));
    fs::create_dir(&elsewhere).unwrap();
    fs::write(&secret, b"secret").unwrap();
    let unharmed = || {
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    };
    symlink(&elsewhere, &job).unwrap();
    badly(interpolate(here, "in.mp4 -o out.mp4"), here, "a link or a file");
    fs::remove_file(&job).unwrap();
    fs::create_dir(&job).unwrap();
    fs::set_permissions(&job, fs::Permissions::from_mode(0o777)).unwrap();
    badly(interpolate(here, "in.mp4 -o out.mp4"), here, "others can write");
    fs::set_permissions(&job, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&secret, job.join("lock")).unwrap();
    badly(interpolate(here, "in.mp4 -o out.mp4"), here, "cannot write");
    fs::remove_file(job.join("lock")).unwrap();
    unharmed();
    for args in ["--overwrite", "--resume", ""] {
        fs::create_dir_all(&job).unwrap();
        fs::set_permissions(&job, fs::Permissions::from_mode(0o700)).unwrap();
        for name in ["list.txt", "whole.mp4", "000000.mp4", "unfinished-journal.json"] {
            symlink(&secret, job.join(name)).unwrap();
        }
        well(interpolate(here, &format!("in.mp4 -o out.mp4 {args}")));
        assert_eq!(hashes(here, "out.mp4").len(), 6);
        unharmed();
        fs::remove_file(here.join("out.mp4")).unwrap();
    }
    assert_eq!(names(here), ["elsewhere", "f1.png", "f2.png", "in.mp4", "secret"]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn arguments_that_cannot_work_are_explained_before_anything_starts() {
    let folder = clip();
    let here = folder.path();
    fs::create_dir(here.join("frames")).unwrap();
    fs::copy(here.join("f1.png"), here.join("frames/0001.png")).unwrap();
    fs::copy(here.join("f2.png"), here.join("frames/0002.png")).unwrap();
    for pattern in ["frames/%04d.png", "frames/*.png", "frames/%d.jpg", "frames/00??.png"] {
        badly(interpolate(here, &format!("{pattern} -o x.mp4")), here, "name the folder frames");
    }
    for (args, range) in [
        ("--crf 99", "invalid CRF 99 for libx264: expected a number from 0 to 51"),
        ("--crf -1", "from 0 to 51"),
        ("--codec h265 --crf 51.5", "invalid CRF 51.5 for libx265"),
        ("--codec vp9 --crf 64", "from 0 to 63"),
        ("--codec mpeg4 --crf 0", "from 1 to 31"),
    ] {
        let mut command = interpolate(here, &format!("in.mp4 -o x.mp4 {args}"));
        // Before weights are looked for.
        command.env("RIFE_WEIGHTS", here.join("none"));
        badly(command, here, range);
    }
    fs::copy(here.join("in.mp4"), here.join("-clip.mp4")).unwrap();
    for args in ["-clip.mp4 -o x.mp4", "in.mp4 -o -clip.mp4"] {
        let done = interpolate(here, args).output().unwrap();
        let said = said(&done);
        assert_eq!((done.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains("write ./-clip.mp4, or put it after --"), "{said}");
    }
    well(interpolate(here, "-o x.mp4 -- -clip.mp4"));
    well(interpolate(here, "./-clip.mp4 -o y.mp4"));
    // As ffmpeg names pictures to write.
    well(interpolate(here, "in.mp4 -o new/p%03d.png"));
    assert_eq!(names(&here.join("new"))[5], "p006.png");
}
