//! Y4M and raw streams, pipes and folders of images: everything that works without ffmpeg.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use image::{ImageBuffer, Luma, Rgb, RgbImage};
use rife_testkit::lines;

use crate::support::{fail_with, interpolate, names, stderr_of, succeed};

/// `rife interpolate` where ffmpeg is not on the path.
fn without_ffmpeg(dir: &Path, args: &str) -> Command {
    let mut command = interpolate(dir, args);
    command.env("PATH", dir.join("nothing"));
    command
}

const W: usize = 40;
const H: usize = 30;

/// A 4:2:0 stream whose gray frames pan.
fn y4m(frames: usize) -> Vec<u8> {
    let mut stream = format!("YUV4MPEG2 W{W} H{H} F30000:1001 Ip A1:1 C420mpeg2\n").into_bytes();
    for frame in 0..frames {
        stream.extend(b"FRAME\n");
        stream.extend(&lines(W, H, frame as i64, 0)[..W * H]);
        stream.extend([128; W / 2 * H]);
    }
    stream
}

/// Passes a stream through a command and returns what it writes, and its messages.
fn pipe_through(mut command: Command, stream: &[u8]) -> (Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = std::thread::spawn(move || _ = stdin.write_all(&stream));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = stderr_of(&output);
    assert!(output.status.success(), "{command:?}: {stderr}");
    (output.stdout, stderr)
}

/// The frames of a Y4M stream.
fn frames(stream: &[u8]) -> Vec<&[u8]> {
    let header = stream.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let frame = "FRAME\n".len() + W * H * 3 / 2;
    assert_eq!((stream.len() - header) % frame, 0);
    stream[header..].chunks(frame).map(|frame| &frame["FRAME\n".len()..]).collect()
}

#[test]
fn stream_through_pipes_keeps_source_frames_and_doubles_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let source = y4m(6);
    let (doubled, stderr) = pipe_through(without_ffmpeg(dir, "- -o -"), &source);
    assert!(doubled.starts_with(b"YUV4MPEG2 W40 H30 F60000:1001 Ip A1:1 C420mpeg2\n"), "{stderr}");
    let (source_frames, output_frames) = (frames(&source), frames(&doubled));
    assert_eq!(output_frames.len(), 12);
    for (i, frame) in source_frames.iter().enumerate() {
        assert!(output_frames[2 * i] == *frame, "frame {i} was changed");
    }
    assert!(output_frames[11] == source_frames[5], "the last frame does not repeat");
    // An interpolated frame differs less from its neighbours than they differ from each other.
    let difference = |a: &[u8], b: &[u8]| -> u64 {
        a[..W * H].iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    let [first, interpolated, second] = [4, 5, 6].map(|i| output_frames[i]);
    assert!(difference(interpolated, first) < difference(second, first));

    // Files give the same result as pipes. Other rates.
    fs::write(dir.join("in.y4m"), &source).unwrap();
    succeed(without_ffmpeg(dir, "in.y4m -o out.y4m"));
    assert!(fs::read(dir.join("out.y4m")).unwrap() == doubled);
    for (args, count) in [("--factor 5/2", 15), ("--fps 60", 13), ("--slow 3", 18), ("--fps 10", 3)]
    {
        let mut command = without_ffmpeg(dir, "in.y4m -o -");
        command.args(args.split(' '));
        assert_eq!(frames(&pipe_through(command, b"").0).len(), count, "{args}");
    }
    // Two devices that share the work give the same bits.
    succeed(without_ffmpeg(dir, "in.y4m -o two.y4m --device cpu,cpu --overwrite"));
    assert!(fs::read(dir.join("two.y4m")).unwrap() == doubled);
    fail_with(without_ffmpeg(dir, "in.y4m -o out.y4m"), dir, "--overwrite");
    fail_with(without_ffmpeg(dir, "in.y4m -o in.y4m --overwrite"), dir, "is the input");
    fail_with(without_ffmpeg(dir, "in.y4m -o out.mp4"), dir, "cannot find ffmpeg");
}

#[test]
fn single_frame_repeats_and_broken_streams_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let (output, _) = pipe_through(without_ffmpeg(dir, "- -o -"), &y4m(1));
    assert_eq!(frames(&output).len(), 2);
    assert!(frames(&output)[0] == frames(&output)[1]);

    let whole = y4m(3);
    for (stream, message) in [
        (&b""[..], "empty"),
        (b"RIFF....AVI ", "not a Y4M"),
        (&whole[..whole.len() - 5], "ends within frame 2"),
        (&whole[..60], "ends"),
        (b"YUV4MPEG2 W40 H30 F25:1\n", "no frame"),
    ] {
        fs::write(dir.join("in.y4m"), stream).unwrap();
        fail_with(without_ffmpeg(dir, "in.y4m -o out.y4m"), dir, message);
    }
}

#[test]
fn raw_video_needs_a_size_and_a_pixel_format() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let source = y4m(4);
    let raw: Vec<u8> = frames(&source).concat();
    fs::write(dir.join("in.yuv"), &raw).unwrap();
    succeed(without_ffmpeg(dir, "in.yuv -o out.yuv --size 40x30 --pix-fmt yuv420p"));
    let output = fs::read(dir.join("out.yuv")).unwrap();
    let (stream, _) = pipe_through(without_ffmpeg(dir, "- -o -"), &source);
    assert!(output == frames(&stream).concat());
    for (args, message) in [
        ("--pix-fmt yuv420p", "--size"),
        ("--size 40x30", "--pix-fmt"),
        ("--size 40x30 --pix-fmt nv12", "nv12"),
        ("--size 41x30 --pix-fmt yuv420p", "ends within"),
    ] {
        fail_with(without_ffmpeg(dir, &format!("in.yuv -o x.yuv {args}")), dir, message);
    }
}

#[test]
fn folders_of_images_are_read_in_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::create_dir(dir.join("in")).unwrap();
    let image = |pan: i64| {
        let planar = lines(W, H, pan, 0);
        RgbImage::from_fn(W as u32, H as u32, |x, y| {
            Rgb([0, 1, 2].map(|c| planar[c * W * H + y as usize * W + x as usize]))
        })
    };
    for (name, pan) in [("a10.png", 2), ("a2.png", 1), ("a1.png", 0)] {
        image(pan).save(dir.join("in").join(name)).unwrap();
    }
    fs::write(dir.join("in/notes.txt"), "no picture").unwrap();
    succeed(without_ffmpeg(dir, "in -o out"));
    let written = names(&dir.join("out"));
    assert_eq!(written.len(), 6);
    assert_eq!(written[5], "00000006.png");
    for (number, pan) in [(1, 0), (3, 1), (5, 2), (6, 2)] {
        let path = dir.join(format!("out/{number:08}.png"));
        assert!(image::open(path).unwrap().into_rgb8() == image(pan), "{number}");
    }
    succeed(without_ffmpeg(dir, "in -o named --pattern x%03d.jpg --factor 3"));
    assert_eq!(names(&dir.join("named"))[8], "x009.jpg");
    for (args, message) in [
        ("in -o out", "--overwrite"),
        ("in -o in --overwrite", "is the input"),
        ("in -o p.png", "single image"),
        ("in -o other --pattern x.png", "--pattern"),
        ("in/a1.png -o other", "later"),
    ] {
        fail_with(without_ffmpeg(dir, args), dir, message);
    }

    // A stream has them as luma and chroma.
    let (stream, _) = pipe_through(without_ffmpeg(dir, "in -o -"), b"");
    assert!(stream.starts_with(b"YUV4MPEG2 W40 H30 F50:1 Ip A0:0 C444 XCOLORRANGE=LIMITED\n"));

    let deep = ImageBuffer::<Luma<u16>, _>::from_fn(8, 8, |x, y| Luma([(x * 7000 + y) as u16]));
    deep.save(dir.join("in/a11.png")).unwrap();
    fail_with(without_ffmpeg(dir, "in -o other"), dir, "one size");
    fs::create_dir(dir.join("none")).unwrap();
    fail_with(without_ffmpeg(dir, "none -o other"), dir, "no images");
}

#[test]
fn json_reports_the_result_or_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("in.y4m"), y4m(3)).unwrap();
    let run = |args: &str| -> (bool, serde_json::Value) {
        let output = without_ffmpeg(dir, args).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), serde_json::from_str(text.lines().last().unwrap()).unwrap())
    };
    let (success, last) = run("in.y4m -o out.y4m --json");
    assert!(success);
    assert_eq!(last["event"], "done");
    assert_eq!((&last["frames"], &last["made"]), (&6.into(), &2.into()));
    assert!(last["stages_s"]["network"].as_f64().unwrap() > 0.0);

    let (success, last) = run("none.y4m -o x.y4m --json");
    assert!(!success && last["event"] == "error", "{last}");
}
