//! Segments, inputs and machines that are not what they were.

use std::fs;
use std::path::Path;

use crate::support::{
    JOB, fail_with, film, interpolate, outcome, plan, rife, run, status, succeed, work_dir,
    write_plan,
};

fn flip_middle_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn damaged_segments_are_named_and_repaired() {
    let folder = film();
    let dir = folder.path();
    interpolate(dir, "in.mp4 -o whole.mkv --codec ffv1");
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    fail_with(rife(dir, &format!("job join {JOB}")), 1, "5 of 5 segments are not finished");
    succeed(run(dir, "--all"));
    let work = work_dir(dir, "out.mkv");
    let file = |at: usize| work.join(&planned.segments[at].file);
    flip_middle_byte(&file(0));
    fs::write(file(1), b"short").unwrap();
    fs::remove_file(file(2)).unwrap();
    fs::write(work.join("000003.json"), b"{").unwrap();
    // A segment of another plan under this name.
    let record = fs::read_to_string(work.join("000004.json")).unwrap();
    let address = &planned.segments[4].address;
    fs::write(work.join("000004.json"), record.replace(address, &"0".repeat(64))).unwrap();

    let (code, state) = status(dir);
    assert_eq!((code, state["damaged"].as_array().unwrap().len()), (3, 5), "{state}");
    let stderr =
        fail_with(rife(dir, &format!("job join {JOB}")), 1, "5 of 5 segments are not finished");
    for (at, why) in [
        "the content of its file 000000.mov has changed",
        "its file 000001.mov has 5 bytes, expected ",
        "its file 000002.mov is missing",
        "its record 000003.json cannot be read",
        "it belongs to another plan",
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("segment {at} (00000{at}.mov): damaged: {why}");
        assert!(stderr.contains(&line), "{line}: {stderr}");
    }
    assert!(!dir.join("out.mkv").exists());
    // Sizes do not show a changed byte; the segment is named to repair it.
    succeed(run(dir, "--all"));
    assert_eq!(status(dir).1["damaged"].as_array().unwrap().len(), 1);
    succeed(run(dir, "--segment 0"));
    succeed(rife(dir, &format!("job join {JOB}")));
    assert!(fs::read(dir.join("out.mkv")).unwrap() == fs::read(dir.join("whole.mkv")).unwrap());
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn changed_input_is_refused() {
    let folder = film();
    let dir = folder.path();
    plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    succeed(run(dir, "--all"));
    let bytes = fs::read(dir.join("in.mp4")).unwrap();
    let refused = |expected: &str| {
        fail_with(run(dir, "--segment 2"), 4, expected);
        fail_with(rife(dir, &format!("job join {JOB}")), 4, expected);
    };
    fs::remove_file(work_dir(dir, "out.mkv").join("000002.json")).unwrap();
    fs::write(dir.join("in.mp4"), [&bytes[..], b"more"].concat()).unwrap();
    refused("in.mp4 has changed since the job was planned: expected ");
    // Not a failure of the segment, which another machine may do.
    assert_eq!(status(dir).1["missing"], serde_json::json!([2]));

    // One byte, of the same size.
    let mut changed = bytes.clone();
    let at = changed.windows(4).position(|four| four == b"mdat").unwrap() + 40;
    changed[at] ^= 0x20;
    fs::write(dir.join("in.mp4"), &changed).unwrap();
    let (code, _, stderr) = outcome(run(dir, "--segment 2"));
    assert_eq!((code, stderr.contains("has changed")), (4, true), "{stderr}");
    // Subtitles, which no decoded frame shows.
    let mut changed = bytes.clone();
    let at = changed.windows(5).position(|five| five == b"\0\x03two").unwrap() + 4;
    changed[at] = b'0';
    fs::write(dir.join("in.mp4"), &changed).unwrap();
    let expected = "in.mp4 has changed since the job was planned: expected the BLAKE3";
    fail_with(run(dir, "--segment 2"), 4, expected);
    succeed(run(dir, "--segment 2 --trust-input"));
    fail_with(rife(dir, &format!("job join {JOB}")), 4, expected);
    fs::remove_file(work_dir(dir, "out.mkv").join("000002.json")).unwrap();
    fs::remove_file(dir.join("in.mp4")).unwrap();
    fail_with(run(dir, "--segment 2"), 1, "in.mp4");
    fs::write(dir.join("in.mp4"), &bytes).unwrap();
    succeed(run(dir, "--segment 2"));
    succeed(rife(dir, &format!("job join {JOB}")));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn frames_that_decode_differently_are_refused() {
    let folder = film();
    let dir = folder.path();
    let mut planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    planned.segments[3].source.blake3 = Some("0".repeat(64));
    write_plan(dir, &planned);
    let stderr = fail_with(
        run(dir, "--segment 3"),
        4,
        "in.mp4 no longer decodes to the frames that were planned",
    );
    assert!(stderr.contains("seeking gave unexpected frames"), "{stderr}");
    assert_eq!(status(dir).1["missing"].as_array().unwrap().len(), 5);
    succeed(run(dir, "--segment 2"));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn another_program_encoder_or_weights_are_refused() {
    let folder = film();
    let dir = folder.path();
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    let mut other = planned.clone();
    other.program.version = "0.0.9".into();
    write_plan(dir, &other);
    let expected = "the job was planned by a different version of rife: expected 0.0.9";
    fail_with(run(dir, "--segment 0"), 4, expected);
    fail_with(rife(dir, &format!("job join {JOB}")), 4, expected);
    for key in ["ffmpeg", "encoder build", "weights", "encoder options", "time base"] {
        let mut other = planned.clone();
        assert!(other.settings.contains_key(key), "{key}");
        other.settings.insert(key.into(), "another".into());
        write_plan(dir, &other);
        let expected = format!("{key}: planned another, here ");
        fail_with(run(dir, "--segment 0"), 4, &expected);
        // The machine that joins needs neither weights nor the same number of cores.
        if !matches!(key, "weights" | "encoder build") {
            fail_with(rife(dir, &format!("job join {JOB}")), 4, &expected);
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn another_kind_of_device_is_refused_unless_allowed() {
    let folder = film();
    let dir = folder.path();
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    let mut other = planned.clone();
    other.device.as_mut().unwrap().insert("arithmetic".into(), "F64".into());
    write_plan(dir, &other);
    fail_with(run(dir, "--segment 0"), 4, "arithmetic: planned F64, here F32");
    let (_, stderr) = succeed(run(dir, "--all --allow-mixed-devices"));
    assert!(stderr.contains("note: another kind of device than planned: "), "{stderr}");
    let (_, stderr) = succeed(rife(dir, &format!("job join {JOB}")));
    assert!(stderr.contains("5 of 5 segments were computed by another kind of device"), "{stderr}");

    // Without a device in the plan, the first segment decides.
    let planned = plan(dir, "in.mp4 -o any.mkv --codec ffv1 --any-device");
    assert_eq!(planned.device, None);
    succeed(run(dir, "--segment 1"));
    let decided = work_dir(dir, "any.mkv").join("device.json");
    let text = fs::read_to_string(&decided).unwrap();
    succeed(run(dir, "--segment 2"));
    fs::write(&decided, text.replace("F32", "F64")).unwrap();
    fail_with(run(dir, "--segment 3"), 4, "arithmetic: planned F64");
}
