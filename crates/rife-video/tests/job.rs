//! Jobs through the library, without the command line and without a network.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rife_runtime::{Frame, FrameSize};
use rife_video::{
    Colour, ContentHash, EncodingRequest, Error, Fingerprint, Hdr, Job, JobFolder, JobHandle,
    JobSettings, Orientation, Planes, Programs, Progress, Rational, RawFormat, choose_encoding,
    pixel_format,
};

const RATE: i64 = 4;
/// Minimum number of frames in a segment.
const SEGMENT: i64 = 24;

fn settings(output: &Path, resume: bool) -> JobSettings {
    let programs = Programs::find(None).unwrap();
    let raw = RawFormat { size: FrameSize::new(64, 48), planes: Planes::Yuv420, depth: 8 };
    let colour = Colour::default();
    let encoding = choose_encoding(
        &programs,
        &EncodingRequest {
            container: "mp4",
            codec: None,
            crf: None,
            preset: Some("ultrafast"),
            extra: None,
            raw: &raw,
            colour: &colour,
            hdr: &Hdr::default(),
            rate: Rational::from(RATE),
        },
    );
    JobSettings {
        programs,
        output: output.to_owned(),
        container: "mp4".into(),
        overwrite: false,
        write_through: false,
        resume,
        encoding: encoding.unwrap(),
        raw,
        applied_orientation: Orientation::IDENTITY,
        reported: Vec::new(),
        tick: Rational::new(1, RATE),
        rate: Rational::from(RATE),
        sample_aspect: None,
        colour,
        original: None,
        fingerprint: Fingerprint::from([("source".into(), "gray".into())]),
    }
}

fn begin_job(settings: JobSettings, input: &Path) -> (Result<Job, Error>, JobHandle) {
    let folder = JobFolder::open(&JobFolder::beside(&settings.output)).unwrap();
    let folder = Arc::new(folder);
    let content = ContentHash::start(&[input.to_owned()]).unwrap();
    (Job::begin(folder.clone(), Some(content), settings), JobHandle::new(&folder))
}

fn put_frames(job: &mut Job, frames: std::ops::Range<i64>) {
    let raw = RawFormat { size: FrameSize::new(64, 48), planes: Planes::Yuv420, depth: 8 };
    for number in frames {
        let mut frame = Frame::black(raw.size, pixel_format(&raw, &Colour::default())).unwrap();
        frame.as_bytes_mut().fill(number as u8);
        job.sink().put(number, number, &frame, &frame).unwrap();
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn dropped_job_resumes_and_reproduces_output() {
    let folder = tempfile::tempdir().unwrap();
    let [input, whole, output] =
        ["in", "whole.mp4", "out.mp4"].map(|name| folder.path().join(name));
    fs::write(&input, b"the input").unwrap();
    let (job, _) = begin_job(settings(&whole, false), &input);
    let mut job = job.unwrap();
    assert_eq!(job.finished_frames(), 0);
    put_frames(&mut job, 0..4 * SEGMENT);
    assert!(job.finish(&Progress::default()).unwrap().is_empty());

    let (job, handle) = begin_job(settings(&output, false), &input);
    let mut job = job.unwrap();
    let busy = JobFolder::open(&JobFolder::beside(&output));
    assert!(matches!(busy, Err(Error::Busy { .. })));
    put_frames(&mut job, 0..2 * SEGMENT + 5);
    drop(job);
    assert_eq!(handle.abandon(), Some(2 * SEGMENT));
    drop(handle);

    let (job, _) = begin_job(settings(&output, false), &input);
    assert!(matches!(job, Err(Error::Unfinished { frames, .. }) if frames == 2 * SEGMENT));
    drop(job);
    let mut changed = settings(&output, true);
    changed.fingerprint.insert("source".into(), "colour".into());
    match begin_job(changed, &input).0 {
        Err(Error::OtherSettings { differences, .. }) => {
            assert_eq!(differences, ["source: was gray, is colour"]);
        }
        other => panic!("{other:?}"),
    }

    let (job, _) = begin_job(settings(&output, true), &input);
    let mut job = job.unwrap();
    assert_eq!(job.finished_frames(), 2 * SEGMENT);
    put_frames(&mut job, 2 * SEGMENT..4 * SEGMENT);
    job.finish(&Progress::default()).unwrap();
    assert!(fs::read(&output).unwrap() == fs::read(&whole).unwrap(), "another file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn input_that_changes_during_the_job_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in", "out.mp4"].map(|name| folder.path().join(name));
    fs::write(&input, b"the input").unwrap();
    let (job, handle) = begin_job(settings(&output, false), &input);
    let mut job = job.unwrap();
    put_frames(&mut job, 0..2 * SEGMENT);
    fs::write(&input, b"another input").unwrap();
    let error = job.finish(&Progress::default()).unwrap_err().to_string();
    assert!(error.contains("changed while it was read"), "{error}");
    assert!(!output.exists());
    handle.abandon();
}
