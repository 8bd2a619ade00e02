//! The result is that of `rife interpolate`, however its segments were made.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rife_testkit::ffmpeg::clips;
use rife_video::PlannedSource;

use crate::support::{
    JOB, film, interpolate, plan, rife, run, status, succeed, text_of, work_dir, write_plan,
};

/// Runs all segments in processes of their own at once, the last one first.
fn run_in_parallel(dir: &Path, segments: usize, args: &str) {
    let children: Vec<_> = (0..segments)
        .rev()
        .map(|number| {
            let mut command = run(dir, &format!("--segment {number} --threads 1 {args}"));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let (code, _, stderr) = text_of(child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{stderr}");
        assert!(!stderr.contains("failed"), "{stderr}");
    }
}

fn assert_same(dir: &Path, [a, b]: [&str; 2], what: &str) {
    let [first, second] = [a, b].map(|name| fs::read(dir.join(name)).unwrap());
    assert!(first == second, "{what}: {a} and {b} differ");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn joined_segments_are_the_file_of_a_whole_job() {
    let folder = film();
    let dir = folder.path();
    for (at, options) in [
        "--factor 2 --codec ffv1",
        "--factor 5/2 --preset ultrafast",
        "--fps 12 --preset ultrafast --no-hold-last",
        // Fewer frames than the source, whose last frame has no output frame of its own.
        "--fps 3 --codec ffv1",
        "--slow 2 --codec ffv1 --scene blend --scene-threshold 40",
    ]
    .into_iter()
    .enumerate()
    {
        let ending = if options.contains("ffv1") { "mkv" } else { "mp4" };
        let [whole, output] = ["whole", "out"].map(|name| format!("{name}{at}.{ending}"));
        interpolate(dir, &format!("in.mp4 -o {whole} {options}"));
        let plan = plan(dir, &format!("in.mp4 -o {output} {options}"));
        assert!(plan.segments.len() >= 3, "{options}");
        // Wherever there are frames to skip.
        let sought = |source: &PlannedSource| source.seek_us.is_some() == (source.first > 32);
        assert!(plan.segments.iter().all(|one| sought(&one.source)), "{options}");
        assert!(plan.segments.last().unwrap().source.seek_us.is_some(), "{options}");
        assert_eq!(status(dir).0, 3);
        run_in_parallel(dir, plan.segments.len(), "");
        let (code, state) = status(dir);
        assert_eq!((code, &state["complete"]), (0, &true.into()), "{state}");
        assert!(!dir.join(&output).exists());
        succeed(rife(dir, &format!("job join {JOB}")));
        assert_same(dir, [&whole, &output], options);
        assert!(!work_dir(dir, &output).exists());
    }
}

/// Whether a drawing is held or paused depends on frames before and after a segment.
#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn held_drawings_are_the_same_in_segments_as_in_a_whole_job() {
    // On twos, and a pause of 5 s at the end.
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=2:d=40 \
                          -vf tpad=stop_mode=clone:stop_duration=5,fps=4 -c:v ffv1 a.mkv"]);
    let dir = folder.path();
    for max in [2, 8] {
        let options = format!("--codec ffv1 --dedup --dedup-max {max} --overwrite");
        let whole = format!("interpolate --model 4.6 --device cpu a.mkv -o whole.mkv {options}");
        let (_, told) = succeed(rife(dir, &whole));
        assert!(told.contains("held frames replaced"), "{told}");
        let plan = plan(dir, &format!("a.mkv -o out.mkv {options}"));
        assert!(plan.segments.len() > 5 && plan.segments[5].source.decode_from > 0);
        run_in_parallel(dir, plan.segments.len(), "");
        succeed(rife(dir, &format!("job join {JOB} --overwrite")));
        assert_same(dir, ["whole.mkv", "out.mkv"], &options);
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn options_that_a_worker_cannot_repeat_are_refused() {
    let folder = film();
    for options in ["--from 1", "--to 2", "--preview 1", "--hwaccel auto", "--profile x"] {
        let mut command = rife(folder.path(), &format!("job plan in.mp4 -o out.mkv {options}"));
        let (code, stdout, stderr) = text_of(command.output().unwrap());
        assert_eq!((code, stdout.as_str()), (1, ""), "{options}: {stderr}");
        assert!(stderr.contains("rife job plan does not support --"), "{options}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn seeking_gives_the_frames_of_decoding_from_the_start() {
    // Frames that depend on each other in every way that the encoders of ffmpeg offer, and times
    // that the container rounds.
    let make =
        |args: &str| format!("-f lavfi -i testsrc2=s=64x48:r=5:d=24 -pix_fmt yuv420p {args}");
    let commands = [
        ("open.mkv", make("-c:v libx264 -preset fast -x264-params keyint=40:open-gop=1 open.mkv")),
        ("mpeg2.mkv", make("-c:v mpeg2video -bf 2 -g 12 mpeg2.mkv").replace("r=5", "r=24000/1001")),
        ("mpeg4.avi", make("-c:v mpeg4 -bf 2 -g 50 mpeg4.avi")),
        ("vp9.webm", make("-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 vp9.webm")),
        ("stream.ts", make("-c:v libx264 -preset ultrafast -g 20 stream.ts")),
    ];
    let texts: Vec<&str> = commands.iter().map(|(_, command)| command.as_str()).collect();
    let folder = clips(&texts);
    let dir = folder.path();
    for (name, _) in &commands {
        let args = format!("{name} -o out-{name}.mkv --codec ffv1 --scene-threshold 10");
        let planned = plan(dir, &args);
        let last = planned.segments.last().unwrap();
        // The clock of a transport stream may jump.
        assert_eq!(last.source.seek_us.is_some(), *name != "stream.ts", "{name}");
        let mut command = run(dir, &format!("--segment {}", last.index));
        command.env("RIFE_LOG", "info");
        let (_, stderr) = succeed(command);
        assert!(!stderr.contains("from the start"), "{name}: {stderr}");
        let file = work_dir(dir, &format!("out-{name}.mkv")).join(&last.file);
        let sought = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        succeed(run(dir, &format!("--segment {} --no-seek", last.index)));
        assert!(fs::read(&file).unwrap() == sought, "{name}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn failed_seek_falls_back_to_decoding_from_the_start() {
    let folder = film();
    let dir = folder.path();
    interpolate(dir, "in.mp4 -o whole.mkv --codec ffv1");
    let mut planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    for segment in &mut planned.segments {
        // Two frames late.
        segment.source.seek_us = segment.source.seek_us.map(|micros| micros + 400_000);
    }
    write_plan(dir, &planned);
    let mut command = run(dir, "--all");
    command.env("RIFE_LOG", "info");
    let (_, stderr) = succeed(command);
    assert!(stderr.contains("decoding from the start"), "{stderr}");
    succeed(rife(dir, &format!("job join {JOB}")));
    assert_same(dir, ["whole.mkv", "out.mkv"], "fallback");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn variable_rate_rotation_and_images_are_planned() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=10:d=30 -vf select='mod(n\\,3)+lt(n\\,40)' -fps_mode vfr \
         -c:v libx264 -preset ultrafast vfr.mp4",
        "-f lavfi -i testsrc2=s=32x32:r=25:d=3 %03d.png",
    ]);
    let dir = folder.path();
    fs::create_dir(dir.join("images")).unwrap();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "png") {
            fs::rename(entry.path(), dir.join("images").join(entry.file_name())).unwrap();
        }
    }
    for (name, options) in [
        ("vfr.mp4", "--factor 3 --codec ffv1"),
        ("vfr.mp4", "--fps 25 --codec ffv1 --compare"),
        ("images", "--input-fps 4 --factor 2 --codec ffv1"),
    ] {
        let args = |output: &str| format!("{name} -o {output} {options} --overwrite");
        interpolate(dir, &args("whole.mkv"));
        let planned = plan(dir, &args("out.mkv"));
        assert!(planned.segments.len() > 2, "{options}");
        run_in_parallel(dir, planned.segments.len(), "");
        succeed(rife(dir, &format!("job join {JOB} --overwrite")));
        assert_same(dir, ["whole.mkv", "out.mkv"], options);
    }
}
