//! Containers, codecs and encoder options; refused inputs and outputs; the plan of `--dry-run`.

use std::fs;

use crate::support::{Media, clips, fail_with, frame_hashes, interpolate, names, succeed};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn containers_and_codecs_are_selected_by_name() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.3 -f lavfi -i sine=440:d=0.3 -c:v libx264 -c:a aac \
         in.mp4",
    ]);
    let dir = folder.path();
    let frames = frame_hashes(dir, "in.mp4").len();
    for (output, args, codec) in [
        ("a.mp4", "", "h264"),
        ("b.mp4", "--codec h265 --crf 30 --preset ultrafast", "hevc"),
        ("c.mov", "--codec prores", "prores"),
        ("d.mkv", "--codec ffv1", "ffv1"),
        ("e.webm", "--codec vp9", "vp9"),
        ("f.avi", "--codec mpeg4", "mpeg4"),
        // ffmpeg interprets these characters as a pattern, an escape or a query.
        ("100%d[h]*?#&.mp4", "", "h264"),
        ("g.mkv", "--codec libx264 --encoder-args '-bf 0 -g 5'", "h264"),
    ] {
        let mut command = interpolate(dir, "in.mp4");
        command.args(["-o", output]).args(shlex::split(args).unwrap());
        succeed(command);
        assert!(dir.join(output).exists(), "no {output}");
        let media = Media::probe(dir, output);
        assert_eq!(media.entries("v:0", "codec_name"), [codec], "{output}");
        assert_eq!(frame_hashes(dir, output).len(), 2 * frames, "{output}");
        assert_eq!(media.entries("a", "index").len(), 1, "{output}");
    }
    succeed(interpolate(dir, "in.mp4 -o wide.mkv --compare --codec ffv1"));
    assert_eq!(Media::probe(dir, "wide.mkv").entry("v:0", "width,height"), "128,48");

    for (args, message) in [
        ("-o x.mp4 --codec nonsense", "no encoder for nonsense"),
        ("-o x.mp4 --codec prores", "prores"),
        ("-o x.mp4 --preset nonsense", "libx264"),
        ("-o x.mp4 --codec ffv1 --crf 3", "lossless"),
        ("-o a.mp4", "--overwrite"),
        ("-o in.mp4 --overwrite", "is the input"),
        ("-o none/x.mp4", "folder none does not exist"),
        ("-o x.gif", "unsupported extension of x.gif"),
        ("-o x.mp4 --ffmpeg none", "cannot find none"),
    ] {
        fail_with(interpolate(dir, &format!("in.mp4 {args}")), dir, message);
    }
    let mut without_ffmpeg = interpolate(dir, "in.mp4 -o x.mp4");
    without_ffmpeg.env("PATH", dir.join("nothing"));
    fail_with(without_ffmpeg, dir, "cannot find ffmpeg");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn incomplete_and_invalid_videos_are_refused() {
    let folder = clips(&[
        "-f lavfi -i sine=440:d=0.3 -c:a aac sound.m4a",
        "-f lavfi -i testsrc2=s=128x96:r=25:d=3 -c:v libx264 -g 5 -cluster_time_limit 100 whole.mkv",
        "-i whole.mkv -c copy -movflags +faststart whole.mp4",
    ]);
    let dir = folder.path();
    fs::write(dir.join("empty.mp4"), b"").unwrap();
    fs::write(dir.join("text.mp4"), b"this is no video\n".repeat(50)).unwrap();
    for extension in ["mkv", "mp4"] {
        let whole = fs::read(dir.join(format!("whole.{extension}"))).unwrap();
        fs::write(dir.join(format!("cut.{extension}")), &whole[..whole.len() / 2]).unwrap();
    }
    for (input, message) in [
        ("sound.m4a", "no video"),
        ("empty.mp4", "empty"),
        ("text.mp4", "text.mp4"),
        ("cut.mkv", "ends early"),
        ("cut.mp4", "ends early"),
        ("none.mp4", "none.mp4"),
    ] {
        fail_with(interpolate(dir, &format!("{input} -o x.mp4")), dir, message);
        fail_with(interpolate(dir, &format!("{input} -o x.y4m")), dir, message);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn dry_run_prints_the_plan_and_writes_nothing() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 in.mp4"]);
    let dir = folder.path();
    let output = interpolate(dir, "in.mp4 -o out.mp4 --fps 60 --dry-run").output().unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in [
        "25 frames",
        "60 frames",
        "duration: 1.000 s",
        "time: RIFE 4.6 optimized ",
        " for 53 interpolated frames",
        "memory: network ",
        "decode: ",
        "encode",
        "join: ",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert_eq!(names(dir), ["in.mp4"]);
}
