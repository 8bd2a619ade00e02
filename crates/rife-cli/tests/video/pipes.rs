//! Pipes, raw video and folders of pictures: without ffmpeg.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use image::{ImageBuffer, Luma, Rgb, RgbImage};
use rife_testkit::lines;

use crate::support::{badly, interpolate, names, said, well};

/// The program where there is no ffmpeg.
fn alone(folder: &Path, args: &str) -> std::process::Command {
    let mut command = interpolate(folder, args);
    command.env("PATH", folder.join("nothing"));
    command
}

const W: usize = 40;
const H: usize = 30;

/// Frames of gray 4:2:0 that pan.
fn y4m(frames: usize) -> Vec<u8> {
    let mut stream = format!("YUV4MPEG2 W{W} H{H} F30000:1001 Ip A1:1 C420mpeg2\n").into_bytes();
    for frame in 0..frames {
        stream.extend(b"FRAME\n");
        stream.extend(&lines(W, H, frame as i64, 0)[..W * H]);
        stream.extend([128; W / 2 * H]);
    }
    stream
}

fn through(mut command: std::process::Command, stream: &[u8]) -> (Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stream = stream.to_vec();
    let writer = std::thread::spawn(move || _ = stdin.write_all(&stream));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(done.status.success(), "{command:?}: {}", said(&done));
    let said = said(&done);
    (done.stdout, said)
}

/// The frames of a stream.
fn frames(stream: &[u8]) -> Vec<&[u8]> {
    let head = stream.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let frame = "FRAME\n".len() + W * H * 3 / 2;
    assert_eq!((stream.len() - head) % frame, 0);
    stream[head..].chunks(frame).map(|frame| &frame["FRAME\n".len()..]).collect()
}

#[test]
fn a_stream_through_pipes_keeps_its_frames_and_doubles_its_rate() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let source = y4m(6);
    let (made, said) = through(alone(here, "- -o -"), &source);
    assert!(made.starts_with(b"YUV4MPEG2 W40 H30 F60000:1001 Ip A1:1 C420mpeg2\n"), "{said}");
    let (source_frames, made_frames) = (frames(&source), frames(&made));
    assert_eq!(made_frames.len(), 12);
    for (i, frame) in source_frames.iter().enumerate() {
        assert!(made_frames[2 * i] == *frame, "frame {i} was changed");
    }
    assert!(made_frames[11] == source_frames[5], "the last is held");
    // A frame made lies nearer to its neighbours than they to each other.
    let off = |a: &[u8], b: &[u8]| -> u64 {
        a[..W * H].iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
    };
    assert!(off(made_frames[5], made_frames[4]) < off(made_frames[6], made_frames[4]));

    // By files, with other rates.
    fs::write(here.join("in.y4m"), &source).unwrap();
    well(alone(here, "in.y4m -o out.y4m"));
    assert!(fs::read(here.join("out.y4m")).unwrap() == made);
    for (args, count) in [("--factor 5/2", 15), ("--fps 60", 13), ("--slow 3", 18), ("--fps 10", 3)]
    {
        let mut command = alone(here, "in.y4m -o -");
        command.args(args.split(' '));
        assert_eq!(frames(&through(command, b"").0).len(), count, "{args}");
    }
    // Two devices share the work, and no bit tells.
    let shared = alone(here, "in.y4m -o two.y4m --device cpu,cpu --overwrite");
    well(shared);
    assert!(fs::read(here.join("two.y4m")).unwrap() == made);
    badly(alone(here, "in.y4m -o out.y4m"), here, "--overwrite");
    badly(alone(here, "in.y4m -o in.y4m --overwrite"), here, "is the input");
    badly(alone(here, "in.y4m -o out.mp4"), here, "cannot find ffmpeg");
}

#[test]
fn one_frame_is_held_and_broken_streams_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (made, _) = through(alone(here, "- -o -"), &y4m(1));
    assert_eq!(frames(&made).len(), 2);
    assert!(frames(&made)[0] == frames(&made)[1]);

    let whole = y4m(3);
    for (stream, why) in [
        (&b""[..], "empty"),
        (b"RIFF....AVI ", "not a Y4M"),
        (&whole[..whole.len() - 5], "ends within frame 2"),
        (&whole[..60], "ends"),
        (b"YUV4MPEG2 W40 H30 F25:1\n", "no frame"),
    ] {
        fs::write(here.join("in.y4m"), stream).unwrap();
        badly(alone(here, "in.y4m -o out.y4m"), here, why);
    }
}

#[test]
fn raw_video_needs_a_size_and_a_format() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let source = y4m(4);
    let raw: Vec<u8> = frames(&source).concat();
    fs::write(here.join("in.yuv"), &raw).unwrap();
    well(alone(here, "in.yuv -o out.yuv --size 40x30 --pix-fmt yuv420p"));
    let made = fs::read(here.join("out.yuv")).unwrap();
    let (stream, _) = through(alone(here, "- -o -"), &source);
    assert!(made == frames(&stream).concat());
    badly(alone(here, "in.yuv -o x.yuv --pix-fmt yuv420p"), here, "--size");
    badly(alone(here, "in.yuv -o x.yuv --size 40x30"), here, "--pix-fmt");
    badly(alone(here, "in.yuv -o x.yuv --size 40x30 --pix-fmt nv12"), here, "nv12");
    badly(alone(here, "in.yuv -o x.yuv --size 41x30 --pix-fmt yuv420p"), here, "ends within");
}

#[test]
fn folders_of_pictures_are_read_in_their_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("in")).unwrap();
    let picture = |pan: i64| {
        let planar = lines(W, H, pan, 0);
        RgbImage::from_fn(W as u32, H as u32, |x, y| {
            Rgb([0, 1, 2].map(|c| planar[c * W * H + y as usize * W + x as usize]))
        })
    };
    for (name, pan) in [("a10.png", 2), ("a2.png", 1), ("a1.png", 0)] {
        picture(pan).save(here.join("in").join(name)).unwrap();
    }
    fs::write(here.join("in/notes.txt"), "no picture").unwrap();
    well(alone(here, "in -o out"));
    let made = names(&here.join("out"));
    assert_eq!(made.len(), 6);
    assert_eq!(made[5], "00000006.png");
    let read = |name: &str| image::open(here.join("out").join(name)).unwrap().into_rgb8();
    for (number, pan) in [(1, 0), (3, 1), (5, 2), (6, 2)] {
        assert!(read(&format!("{number:08}.png")) == picture(pan), "{number}");
    }
    well(alone(here, "in -o named --pattern x%03d.jpg --factor 3"));
    assert_eq!(names(&here.join("named"))[8], "x009.jpg");
    badly(alone(here, "in -o out"), here, "--overwrite");
    badly(alone(here, "in -o in --overwrite"), here, "is the input");
    badly(alone(here, "in -o p.png"), here, "single image");
    badly(alone(here, "in -o other --pattern x.png"), here, "--pattern");
    badly(alone(here, "in/a1.png -o other"), here, "later");

    // Into a stream they go as luma and chroma.
    let (stream, _) = through(alone(here, "in -o -"), b"");
    assert!(stream.starts_with(b"YUV4MPEG2 W40 H30 F50:1 Ip A0:0 C444 XCOLORRANGE=LIMITED\n"));

    let deep = ImageBuffer::<Luma<u16>, _>::from_fn(8, 8, |x, y| Luma([(x * 7000 + y) as u16]));
    deep.save(here.join("in/a11.png")).unwrap();
    badly(alone(here, "in -o other"), here, "one size");
    fs::create_dir(here.join("none")).unwrap();
    badly(alone(here, "none -o other"), here, "no images");
}

#[test]
fn programs_are_told_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("in.y4m"), y4m(3)).unwrap();
    let done = alone(here, "in.y4m -o out.y4m --json").output().unwrap();
    assert!(done.status.success());
    let text = String::from_utf8(done.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "done");
    assert_eq!((&last["frames"], &last["made"]), (&6.into(), &2.into()));
    assert!(last["stages_s"]["network"].as_f64().unwrap() > 0.0);

    let done = alone(here, "none.y4m -o x.y4m --json").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(!done.status.success() && last["event"] == "error", "{last}");
}
