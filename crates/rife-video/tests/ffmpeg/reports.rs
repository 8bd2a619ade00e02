//! Everything that a file contains is kept in the output, or reported as lost or changed.

use std::path::Path;

use rife_video::{Orientation, Programs, Rational, Target, choose_encoding, probe, working_format};

use crate::inventory::{Properties, properties};
use crate::samples::{SAMPLES, generate};
use crate::support::{Clip, Output, encode_and_join, request};

/// Whether the output keeps a property of the input, possibly under another key.
fn is_kept(key: &str, output: &Properties, turned: Orientation) -> bool {
    let expected = match key {
        // If no stream of a kind has the flag, players start with the first one.
        first if first.ends_with(" 1 is default") => {
            return !output.keys().any(|key| key.ends_with("is default") && key.as_str() != first)
                || output.contains_key(first);
        }
        // 01:00:00:10 at 25 fps is 01:00:00:20 at 50 fps.
        "timecode 01:00:00:10" => "timecode 01:00:00:20",
        "sample_aspect_ratio is 4:3" if turned.swaps_dimensions() => "sample_aspect_ratio is 3:4",
        rotation if rotation.starts_with("rotation by") && turned != Orientation::IDENTITY => {
            return !output.keys().any(|key| key.starts_with("rotation by"));
        }
        // Players assume limited range for an untagged stream.
        "color_range is tv" if !output.keys().any(|key| key.starts_with("color_range")) => {
            return true;
        }
        same => same,
    };
    output.contains_key(expected)
}

/// Encodes gray frames with everything else of a file, and checks that no property of the file is
/// lost without a report. Returns the reports.
fn check(dir: &Path, file: &str, input: &Properties, output: &Output<'_>) -> Vec<String> {
    let container = output.container;
    let programs = Programs::find(None).unwrap();
    let path = dir.join(file);
    let source = probe(&programs, &path).unwrap();
    let stored = source.video.orientation.unwrap();
    let turns = Target::from_extension(container).unwrap().rotates_pixels(stored);
    let turned = if turns { stored } else { Orientation::IDENTITY };
    let size = turned.size(source.video.size);
    let mut clip = Clip::gray("yuv420p", size.width, size.height, 50);
    clip.colour = source.video.colour.clone();
    let mut request = request(&clip, container);
    let (codec, preset) = if container == "webm" { ("vp9", "8") } else { ("h264", "ultrafast") };
    (request.codec, request.preset, request.rate) = (Some(codec), Some(preset), Rational::from(50));
    let encoding = choose_encoding(&programs, &request).unwrap();
    let pts: Vec<i64> = (0..50).collect();
    let mut reports: Vec<String> = working_format(&source.video).note.into_iter().collect();
    reports.extend(encoding.notes.iter().cloned());
    let output = Output { original: Some(&path), ..*output };
    let tick = Rational::new(1, 50);
    reports.extend(encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output));

    let output = properties(dir, &format!("out.{container}"));
    let lines: Vec<_> = reports
        .iter()
        .filter(|line| line.starts_with("lost: ") || line.starts_with("changed: "))
        .collect();
    let reported =
        |words: &[String]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    let mut unreported = Vec::new();
    for (key, words) in input {
        // The report of a lost stream covers all properties of that stream.
        let stream_reported = input.iter().any(|(stream, words)| {
            words.len() == 2
                && key.starts_with(stream)
                && !output.contains_key(stream)
                && reported(words)
        });
        if !is_kept(key, &output, turned) && !reported(words) && !stream_reported {
            unreported.push(key);
        }
    }
    assert!(
        unreported.is_empty(),
        "{file} to {container}: lost without a report: {unreported:#?}; reports {reports:#?}; \
         output {:#?}",
        output.keys()
    );
    reports
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn everything_in_a_file_is_kept_or_reported() {
    let folder = generate();
    let dir = folder.path();
    for (file, expected) in SAMPLES {
        let input = properties(dir, file);
        for part in expected {
            assert!(input.keys().any(|key| key.contains(part)), "{file} has no {part}: {input:#?}");
        }
        for container in ["mp4", "mov", "mkv", "webm", "avi"] {
            let reports = check(dir, file, &input, &Output { container, ..Output::default() });
            if Path::new(file).extension().is_none_or(|extension| extension != container) {
                continue;
            }
            // Little may be lost if the container stays the same.
            for (word, containers) in [
                ("chapter", &["mp4", "mov", "mkv", "webm"][..]),
                ("subtitle", &["mp4", "mov", "mkv", "webm"]),
                ("cover", &["mp4", "mkv"]),
                ("attachment", &["mkv"]),
                ("data stream", &["mp4"]),
                ("audio", &["mp4", "mov", "mkv", "webm", "avi"]),
                ("timecode", &["mp4", "mov", "mkv", "webm", "avi"]),
                (" metadata tag", &["mp4", "mov", "mkv", "webm", "avi"]),
                ("rotation", &["mp4"]),
                ("colour primaries", &["mp4", "mov", "mkv", "webm"]),
                ("colour matrix", &["mp4", "mov", "mkv", "webm"]),
                ("pixel aspect", &["mp4", "mov", "mkv", "webm", "avi"]),
            ] {
                let lost = reports.iter().find(|line| {
                    line.starts_with("lost: ")
                        && line.contains(word)
                        && !line.contains("stream metadata")
                });
                assert!(!containers.contains(&container) || lost.is_none(), "{file}: {lost:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn slow_motion_reports_streams_that_belong_to_times_of_the_video() {
    let folder = generate();
    let dir = folder.path();
    let input = properties(dir, "in.mkv");
    let output = Output { container: "mkv", slow: true, ..Output::default() };
    let reports = check(dir, "in.mkv", &input, &output).join("\n");
    for part in [
        "2 audio streams",
        "keeping audio was not requested",
        "2 subtitle streams",
        "2 chapters",
        "timecode",
    ] {
        assert!(reports.contains(part), "{part}: {reports}");
    }
    for part in ["attachment", "cover"] {
        assert!(!reports.contains(part), "{part} is not kept: {reports}");
    }
}
