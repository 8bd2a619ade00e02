//! Documents that are not jobs, and jobs that cannot be planned.

use std::fs;

use serde_json::{Value, json};

use crate::support::{JOB, fail_with, film, plan, rife, run, status, write_plan};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn invalid_documents_are_refused_with_one_line() {
    let folder = film();
    let dir = folder.path();
    plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    let text = fs::read_to_string(dir.join(JOB)).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    let with = |path: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = value;
        changed.to_string()
    };
    let without = |key: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(key).unwrap();
        changed.to_string()
    };
    let mut extra = good.clone();
    extra["more"] = 1.into();
    let mut refused = vec![
        (String::new(), "not a job: EOF"),
        ("[]".into(), "not a job: "),
        ("\u{0}".into(), "not a job: "),
        ("[".repeat(100_000), "not a job: "),
        (text[..text.len() / 2].to_owned(), "not a job: EOF"),
        (with("/format", "other".into()), "expected the format rife-job"),
        (with("/version", 2.into()), "expected format version 1, got 2"),
        (with("/version", (-1).into()), "not a job: "),
        (extra.to_string(), "unknown field `more`"),
        (with("/segments", json!([])), "expected 1 to 1048576 segments, got 0"),
        (with("/segments/1/index", 0.into()), "segment 1: expected the index 1, got 0"),
        (with("/segments/1/frames", (-50).into()), "segment 1: frames: expected 1 to 190, got -50"),
        (with("/segments/1/frames", i64::MAX.into()), "segment 1: frames: expected 1 to 190"),
        (with("/segments/1/frames", json!(1e300)), "invalid type: floating point"),
        (with("/segments/1/first_frame", 49.into()), "first_frame: expected 50, got 49"),
        (with("/segments/0/first_tick", i64::MIN.into()), "first_tick: expected "),
        (with("/segments/2/source/decode_from", (-1).into()), "decode_from: expected 0 to"),
        (with("/segments/2/source/last", 10_000.into()), "source.last: expected "),
        (with("/segments/2/source/seek_us", (-5).into()), "seek_us: expected 0 to"),
        (with("/segments/2/source/time", "1/0".into()), "expected a fraction like 1/25"),
        (with("/timeline/tick", "0/1".into()), "expected a tick of 1/n s"),
        (with("/timeline/output_frames", 0.into()), "output_frames: expected 1 to"),
        (with("/timeline/output_frames", i64::MAX.into()), "output_frames: expected 1 to"),
        (with("/timeline/end_tick", (-1).into()), "end_tick: expected 1 to"),
        (with("/input/path", "in.mp4".into()), "input: expected an absolute path"),
        (with("/work_dir", "../work".into()), "work_dir: expected an absolute path"),
        (with("/settings/weights", "0".into()), "segment 0: its address does not match"),
        (with("/options", json!(["--factor=3"])), "segment 0: its address does not match"),
    ];
    for name in ["../000001.mov", "/etc/passwd", "000001.mov/..", "", "000002.mov", "lock"] {
        let document = with("/segments/1/file", name.into());
        refused.push((document, "segment 1: expected the file name 000001.mov"));
    }
    let evil = with("/segments/0/file", "000000.m/../x".into());
    refused.push((evil, "segment 0: expected a file name like 000000.mp4"));
    let keys: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    // A plan without a device is one for any device, whose addresses differ.
    for key in keys.iter().filter(|key| *key != "device") {
        refused.push((without(key), "missing field"));
    }
    refused.push((without("device"), "segment 0: its address does not match"));
    for (document, expected) in refused {
        fs::write(dir.join(JOB), &document).unwrap();
        fail_with(run(dir, "--next"), 1, expected);
    }
    fs::write(dir.join(JOB), "{}").unwrap();
    for command in ["status", "join"] {
        fail_with(rife(dir, &format!("job {command} {JOB}")), 1, "not a job: missing field");
        fail_with(rife(dir, &format!("job {command} none.json")), 1, "cannot read none.json");
    }
    assert!(!dir.join(".out.mkv.rife-segments").exists());
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn options_that_a_plan_does_not_record_are_refused() {
    let folder = film();
    let dir = folder.path();
    let planned = plan(dir, "in.mp4 -o out.mkv --codec ffv1");
    for option in ["--ffmpeg=/tmp/other", "--output=/tmp/other.mkv", "other.mp4", "--", "-y"] {
        let mut other = planned.clone();
        other.options.push(option.into());
        write_plan(dir, &other);
        fail_with(run(dir, "--next"), 1, "not a valid job: unexpected option");
        fail_with(rife(dir, &format!("job join {JOB}")), 1, "not a valid job: unexpected option");
    }
    let mut other = planned.clone();
    other.options = vec!["--factor=-3".into()];
    write_plan(dir, &other);
    fail_with(run(dir, "--next"), 1, "not a valid job: ");
    assert_eq!(status(dir).0, 3);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_cannot_be_planned_is_refused() {
    let folder = film();
    let dir = folder.path();
    fs::write(dir.join("exists.mp4"), b"1").unwrap();
    for (args, expected) in [
        ("in.mp4 -o exists.mp4", "exists: add --overwrite"),
        ("in.mp4 -o images", "cannot plan "),
        ("in.mp4 -o out.y4m", "cannot plan "),
        ("- -o out.mp4", "cannot plan a stream"),
        ("in.mp4 -o out.mp4 --resume", "does not support --resume"),
        ("in.mp4 -o out.mp4 --timestep 0.5", "--timestep applies to image pairs"),
        ("none.mp4 -o out.mp4", "cannot read "),
        ("in.mp4 -o in.mp4 --overwrite", "is the input"),
        ("in.mp4 -o out.mp4 --device cpu,cpu", "a segment runs on one device"),
    ] {
        let device = if args.contains("--device") { "" } else { "--device cpu" };
        let command = rife(dir, &format!("job plan --model 4.6 {device} {args}"));
        fail_with(command, 1, expected);
    }
    assert_eq!(fs::read(dir.join("exists.mp4")).unwrap(), b"1");
}
