//! Animation on twos and threes: `--dedup` interpolates from drawing to drawing.

use std::fs;
use std::path::Path;

use crate::jobs::{job_folder, start, wait_until};
use crate::support::{Media, clips, ffmpeg, frame_hashes, interpolate, names, stderr_of, succeed};

/// Twelve drawings, one per frame, lossless. They move by 2.6 px.
const ONES: &str =
    "-f lavfi -i testsrc2=s=64x48:r=12:d=1 -vf scroll=h=0.04 -c:v ffv1 -pix_fmt yuv420p ones.mkv";

/// The same drawings at other rates: on twos and on threes.
const TWOS: &str = "-i ones.mkv -vf fps=24 -c:v ffv1 twos.mkv";
const THREES: &str = "-i ones.mkv -vf fps=36 -c:v ffv1 threes.mkv";

/// Interpolates losslessly with `args` into out.mkv; messages and frame hashes.
fn run(dir: &Path, input: &str, args: &str) -> (String, Vec<String>) {
    let args = format!("{input} -o out.mkv --codec ffv1 --overwrite {args}");
    let stderr = succeed(interpolate(dir, &args));
    (stderr, frame_hashes(dir, "out.mkv"))
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn held_drawings_give_the_frames_of_the_clip_without_holds() {
    let folder = clips(&[ONES, TWOS, THREES]);
    let dir = folder.path();
    for (input, hold, args, without) in [
        ("twos.mkv", 2, "--factor 2", "--factor 4"),
        ("twos.mkv", 2, "--factor 5/2", "--factor 5"),
        ("twos.mkv", 2, "--fps 60", "--fps 60"),
        ("twos.mkv", 2, "--slow 2", "--slow 4"),
        ("twos.mkv", 2, "--fps 24", "--factor 2"),
        ("threes.mkv", 3, "--factor 2", "--factor 6"),
        ("threes.mkv", 3, "--fps 30", "--fps 30"),
        ("threes.mkv", 3, "--slow 3/2", "--slow 9/2"),
    ] {
        let case = format!("{input} {args}");
        let source = frame_hashes(dir, input);
        assert_eq!(source.len(), 12 * hold);
        let (plain_messages, plain) = run(dir, input, args);
        let plain_times = Media::probe(dir, "out.mkv").timestamps();
        assert!(plain_messages.contains("stills") && !plain_messages.contains("replaced"));
        let (messages, smooth) = run(dir, input, &format!("{args} --dedup"));
        // Only what is shown changes, not how many frames and when.
        assert_eq!(Media::probe(dir, "out.mkv").timestamps(), plain_times, "{case}");
        assert_eq!(smooth.len(), plain.len(), "{case}");
        let replaced = 11 * (hold - 1);
        assert!(messages.contains(&format!(", {replaced} held frames replaced")), "{messages}");
        let (_, expected) = run(dir, "ones.mkv", without);
        assert!(smooth == expected, "{case}: not the frames of the clip without holds");
        // The frame that a drawing starts with is unchanged.
        let kept = source.iter().step_by(hold).filter(|hash| smooth.contains(hash)).count();
        // Every second one, and the last one, if the rates have no common multiple.
        let shown = if matches!(args, "--fps 30" | "--slow 3/2") { 7 } else { 12 };
        assert_eq!(kept, shown, "{case}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn weights_come_from_the_timestamps() {
    // The second frame of each drawing comes after 30 ms, the next drawing 90 ms later, once 330 ms.
    let folder = clips(&[
        ONES,
        TWOS,
        "-i twos.mkv -vf setpts='(N*60-30*mod(N\\,2)+if(gt(N\\,9)\\,240))/1000/TB' \
         -fps_mode passthrough -enc_time_base 1/1000 -c:v ffv1 uneven.mkv",
        "-i uneven.mkv -vf select='not(mod(n\\,2))' -fps_mode passthrough \
         -enc_time_base 1/1000 -c:v ffv1 drawings.mkv",
    ]);
    let dir = folder.path();
    let (messages, smooth) = run(dir, "uneven.mkv", "--fps 50 --dedup");
    assert!(messages.contains("11 held frames replaced"), "{messages}");
    let (_, expected) = run(dir, "drawings.mkv", "--fps 50");
    // Up to the last drawing, at 1560 ms.
    assert!(smooth.len() > 78 && smooth[..79] == expected[..79]);
    let (_, smooth) = run(dir, "uneven.mkv", "--factor 2 --dedup");
    let times = Media::probe(dir, "out.mkv").timestamps();
    run(dir, "uneven.mkv", "--factor 2");
    assert_eq!(Media::probe(dir, "out.mkv").timestamps(), times);
    assert_eq!(smooth.len(), 48);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn pauses_stay_still_and_cuts_are_not_crossed() {
    // On twos: five drawings of which the third stays for six frames, then a cut to three others.
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=24 -f lavfi -i mandelbrot=s=64x48:r=24 \
         -filter_complex [0]scroll=h=0.04,trim=end_frame=7,\
         setpts='floor(N+if(gt(N\\,2)\\,2))*2/24/TB',fps=24,trim=end_frame=14[a];\
         [1]select='not(mod(n\\,8))',trim=end_frame=3,setpts=2*N/24/TB,fps=24,trim=end_frame=6[b];\
         [a][b]concat,setpts=N/24/TB -r 24 -frames:v 20 -pix_fmt yuv420p -c:v ffv1 in.mkv"]);
    let dir = folder.path();
    let source = frame_hashes(dir, "in.mkv");
    let lengths = |hashes: &[String]| {
        let runs = hashes.chunk_by(|a, b| a == b);
        runs.map(<[String]>::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(&source), [2, 2, 6, 2, 2, 2, 2, 2]);
    let (messages, smooth) = run(dir, "in.mkv", "--dedup");
    assert!(messages.contains("1 cut,"), "{messages}");
    assert!(messages.contains("7 stills") && messages.contains("5 held frames"), "{messages}");
    // Pause: five and a half source frames. Before the cut: two. End: two.
    let moves = [1; 4];
    let expected = [&moves[..], &moves, &[11, 1], &moves, &[4], &moves, &moves, &[4]].concat();
    assert_eq!(lengths(&smooth), expected);
    for (number, frame) in [(0, 0), (4, 2), (8, 4), (18, 9), (20, 10), (24, 12), (27, 13), (28, 14)]
    {
        assert_eq!(smooth[number], source[frame], "{number}");
    }
    // The frame out of the pause is that of the last interval alone.
    let (_, plain) = run(dir, "in.mkv", "");
    assert_eq!(smooth[8..20], plain[8..20]);
    assert_eq!(smooth[24..28], plain[24..28]);
    // With longer holds allowed, the pause moves.
    let (messages, smooth) = run(dir, "in.mkv", "--dedup --dedup-max 6");
    assert!(messages.contains("2 stills") && messages.contains("10 held frames"), "{messages}");
    assert_eq!(lengths(&smooth[..24]), [1; 24]);
    // Blending concerns the interval of the cut only.
    let (_, blended) = run(dir, "in.mkv", "--dedup --scene blend");
    let (_, smooth) = run(dir, "in.mkv", "--dedup");
    let differences: Vec<_> = (0..40).filter(|i| blended[*i] != smooth[*i]).collect();
    assert_eq!(differences, [27]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn compressed_drawings_are_found_and_sound_is_kept() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=320x180:r=12:d=2 -f lavfi -i sine=440:d=2 -vf scroll=h=0.01,fps=24 \
         -c:v libx264 -crf 26 -c:a aac twos.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=24:d=1 -vf scroll=h=0.005 -c:v libx264 -crf 26 ones.mp4",
    ]);
    let dir = folder.path();
    let hashes = frame_hashes(dir, "twos.mp4");
    // Exact repetition does not survive the encoder.
    assert!(hashes.chunk_by(|a, b| a == b).count() > 30, "the clip has no noise");
    let messages = succeed(interpolate(dir, "twos.mp4 -o out.mp4 --dedup"));
    assert!(messages.contains("23 held frames replaced"), "{messages}");
    let sound = |file: &str| {
        ffmpeg(dir, &format!("-i {file} -map 0:a -c copy -f md5 sound.md5 -y"));
        fs::read_to_string(dir.join("sound.md5")).unwrap()
    };
    assert_eq!(sound("out.mp4"), sound("twos.mp4"));
    assert_eq!(Media::probe(dir, "out.mp4").timestamps().len(), 96);
    // Motion in every frame is not taken for held drawings.
    let messages = succeed(interpolate(dir, "ones.mp4 -o out2.mp4 --dedup"));
    assert!(!messages.contains("replaced"), "{messages}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn resumed_animation_reproduces_the_file() {
    // Segments of 24 frames, with holds of three frames across their borders, twice per segment.
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25 -vf \
         scroll=h=0.03,trim=end_frame=27,setpts=3*N/TB,fps=1 -c:v libx264 -preset ultrafast in.mp4"]);
    let dir = folder.path();
    let args = "--dedup --factor 7/2";
    let stderr = succeed(interpolate(dir, &format!("in.mp4 -o whole.mp4 {args}")));
    assert!(stderr.contains("held frames replaced"), "{stderr}");
    let whole = fs::read(dir.join("whole.mp4")).unwrap();
    let mut child = start(dir, &format!("in.mp4 -o out.mp4 {args}"));
    let journal = job_folder(dir).join("journal.json");
    assert!(wait_until(&mut child, || journal.exists()), "the job ended before it was killed");
    let _ = child.kill();
    child.wait().unwrap();
    // The options are part of the job.
    let refused = |args: &str, expected: &[&str]| {
        let output = interpolate(dir, &format!("in.mp4 -o out.mp4 --resume {args}")).output();
        let stderr = stderr_of(&output.unwrap());
        let lines: Vec<_> = stderr.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(lines.len(), expected.len(), "{stderr}");
        assert!(lines.iter().zip(expected).all(|(line, text)| line.contains(text)), "{stderr}");
    };
    let held = "held drawings: was up to 3 frames, is ";
    refused("--factor 7/2", &[&format!("{held}unset"), "static threshold: was 0.25 %, is 0 %"]);
    refused(&format!("{args} --dedup-max 4"), &[&format!("{held}up to 4 frames")]);
    let stderr = succeed(interpolate(dir, &format!("in.mp4 -o out.mp4 --resume {args}")));
    assert!(stderr.contains("resuming after"), "{stderr}");
    assert!(fs::read(dir.join("out.mp4")).unwrap() == whole, "not the same file, bit for bit");
    assert_eq!(names(dir), ["in.mp4", "out.mp4", "whole.mp4"]);
}
