//! Timestamps, lengths and rates of the output.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{entry, ffmpeg, hashes, interpolate, lasts, said, times, well, with};

/// Joins files byte by byte, as recorders and `cat` do.
fn join(folder: &Path, parts: &[&str], to: &str) {
    let bytes = parts.iter().map(|part| fs::read(folder.join(part)).unwrap()).collect::<Vec<_>>();
    fs::write(folder.join(to), bytes.concat()).unwrap();
}

/// When the picture turns white after black, and when a tone begins after silence, s.
fn flashes_and_beeps(folder: &Path, file: &str) -> (Vec<f64>, Vec<f64>) {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i", file])
        .args(["-vf", "blackdetect=d=0.1:pix_th=0.3", "-af", "silencedetect=n=-30dB:d=0.1"])
        .args(["-f", "null", "-"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = said(&done);
    assert!(done.status.success(), "{file}: {text}");
    let after = |key: &str| -> Vec<f64> {
        let found = text.match_indices(key).map(|(at, _)| &text[at + key.len()..]);
        let words = found.filter_map(|rest| rest.split_whitespace().next());
        words.map(|word| word.parse().unwrap()).collect()
    };
    (after("black_end:"), after("silence_end: "))
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn clock_jump_in_a_joined_recording_adds_no_time() {
    for extension in ["ts", "mpg", "vob"] {
        let codec = if extension == "ts" { "libx264 -bf 2" } else { "mpeg2video -bf 2" };
        let part = |at: u32| {
            format!(
                "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v {codec} -g 10 -output_ts_offset {at} \
                 {at}.{extension}"
            )
        };
        let folder = with(&[&part(0), &part(30)]);
        let here = folder.path();
        let (first, second) = (format!("0.{extension}"), format!("30.{extension}"));
        for parts in [[&*first, &*second], [&*second, &*first], [&*first, &*first]] {
            let input = format!("in.{extension}");
            join(here, &parts, &input);
            let source = hashes(here, &input).len();
            let kinds = [
                ("--fps 50", 2 * source, 1.0),
                ("--factor 2", 2 * source, 1.0),
                ("--slow 3", 3 * source, 3.0),
            ];
            // The rest differs in the order of the parts alone.
            let kinds = if parts == [&*first, &*second] { &kinds[..] } else { &kinds[..1] };
            for (args, count, seconds) in kinds.iter().copied() {
                well(interpolate(here, &format!("{input} -o out.mp4 --overwrite {args}")));
                let what = format!("{parts:?} {args}");
                assert!(times(here, "out.mp4").len().abs_diff(count) <= 1, "{what}");
                let wanted = seconds * source as f64 / 25.0;
                let length = lasts(here, "out.mp4", "v:0");
                assert!((length - wanted).abs() < 0.1, "{what}: {length} s, not {wanted} s");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn clock_jump_keeps_picture_and_sound_in_sync() {
    for (extension, video, audio) in
        [("ts", "libx264", "aac"), ("ts", "mpeg2video", "mp2"), ("mpg", "mpeg2video", "mp2")]
    {
        // A white frame and a tone at the start of every second.
        let part = |at: u32| {
            format!(
                "-f lavfi -i \"color=black:s=96x64:r=25:d=3,drawbox=c=white:t=fill:\
                 enable='lt(mod(n,25),2)'\" -f lavfi -i \"aevalsrc='if(lt(mod(t,1),0.08),\
                 sin(2000*t),0)':s=48000:d=3\" -c:v {video} -g 25 -bf 2 -c:a {audio} \
                 -output_ts_offset {at} {at}.{extension}"
            )
        };
        let folder = with(&[&part(0), &part(40)]);
        let here = folder.path();
        let (first, second) = (format!("0.{extension}"), format!("40.{extension}"));
        for parts in [[&*first, &*second], [&*second, &*first]] {
            let input = format!("in.{extension}");
            join(here, &parts, &input);
            for (out, args) in [("out.mp4", ""), ("out.mkv", "--fps 60")] {
                well(interpolate(here, &format!("{input} -o {out} --overwrite {args}")));
                let (flashes, beeps) = flashes_and_beeps(here, out);
                let what = format!("{video} {parts:?} {out} {args}: {flashes:?} {beeps:?}");
                assert!(flashes.len() >= 5 && beeps.len() >= 5, "{what}");
                for flash in &flashes {
                    let near = beeps.iter().any(|beep| (beep - flash).abs() < 0.07);
                    assert!(near || *flash < 0.1 || *flash > 5.9, "{what}");
                }
                assert!((flashes[flashes.len() - 1] - 5.0).abs() < 1.1, "{what}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn frames_that_are_held_long_in_a_variable_rate_stay_held() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=1:d=4 -vf setpts='if(eq(N\\,0)\\,0\\,40+N)/TB' \
         -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 -bf 0 \
         -video_track_timescale 1000 slides.mp4",
        "-i slides.mp4 -c copy slides.mkv",
    ]);
    let here = folder.path();
    for input in ["slides.mp4", "slides.mkv"] {
        well(interpolate(here, &format!("{input} -o out.mp4 --overwrite")));
        let base: f64 = entry(here, "out.mp4", "v:0", "time_base")[0]
            .strip_prefix("1/")
            .and_then(|ticks| ticks.parse().ok())
            .unwrap();
        let seconds: Vec<f64> =
            times(here, "out.mp4").iter().map(|ticks| *ticks as f64 / base).collect();
        assert_eq!(seconds[..7], [0.0, 20.5, 41.0, 41.5, 42.0, 42.5, 43.0], "{input}");
        well(interpolate(here, &format!("{input} -o out.mp4 --overwrite --fps 5")));
        let count = times(here, "out.mp4").len();
        assert!((44 * 5 - 5..=44 * 5 + 1).contains(&count), "{input}: {count}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn fps_output_is_as_long_as_the_source() {
    for (extension, codec) in [
        ("mp4", "libx264"),
        ("mov", "libx264 -bf 0"),
        ("mkv", "libx264"),
        ("webm", "libvpx-vp9 -deadline realtime"),
        ("ts", "libx264"),
        ("avi", "mpeg4"),
    ] {
        for (rate, frames, target, wanted) in [
            ("30", 50, "60", 100),
            ("25", 25, "60", 60),
            ("24", 48, "23.976", 48),
            ("30000/1001", 30, "60000/1001", 60),
            ("24000/1001", 24, "48000/1001", 48),
            ("24000/1001", 24, "60", 61),
        ] {
            // Every rate where times are exact and where they are rounded, some elsewhere.
            if !matches!(extension, "mp4" | "mkv")
                && !matches!((rate, target), ("30", _) | (_, "60"))
            {
                continue;
            }
            let folder = with(&[&format!(
                "-f lavfi -i testsrc2=s=64x64:r={rate} -frames:v {frames} -c:v {codec} \
                 in.{extension}"
            )]);
            let here = folder.path();
            let out = format!("out.{}", if extension == "ts" { "mp4" } else { extension });
            let codec = if extension == "avi" { "--codec mpeg4" } else { "--preset ultrafast" };
            let codec = if extension == "webm" { "--codec vp9" } else { codec };
            well(interpolate(here, &format!("in.{extension} -o {out} --fps {target} {codec}")));
            let count = times_or_packets(here, &out);
            assert_eq!(count, wanted, "{frames} frames at {rate} in {extension} to {target}");
        }
    }
}

/// Frames in a file: AVI's have no times.
fn times_or_packets(folder: &Path, file: &str) -> usize {
    if file.ends_with(".avi") { hashes(folder, file).len() } else { times(folder, file).len() }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn fps_keeps_when_the_picture_starts() {
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25:d=2 -f lavfi -i sine=d=2 \
                         -c:v libx264 -bf 0 -c:a aac whole.mp4"]);
    let here = folder.path();
    for extension in ["mp4", "mov", "mkv", "ts"] {
        for by in ["0.04", "0.543"] {
            ffmpeg(
                here,
                &format!(
                    "-itsoffset {by} -i whole.mp4 -i whole.mp4 -map 0:v -map 1:a -c copy \
                     in.{extension}"
                ),
            );
            let apart = |file: &str| -> f64 {
                let start =
                    |stream| -> f64 { entry(here, file, stream, "start_time")[0].parse().unwrap() };
                start("v:0") - start("a:0")
            };
            let source = apart(&format!("in.{extension}"));
            let wanted: f64 = by.parse().unwrap();
            assert!((source - wanted).abs() < 0.03, "{extension}: {source}");
            // ffmpeg counts what AAC starts with differently in Matroska.
            let reference = ["out.mp4", "out.mkv"].map(|out| {
                well(interpolate(here, &format!("in.{extension} -o {out} --overwrite")));
                apart(out)
            });
            assert!((reference[0] - source).abs() < 0.0021, "{extension}: {reference:?}");
            for (out, args, wanted) in [
                ("out.mp4", "--fps 10", reference[0]),
                ("out.mp4", "--fps 60", reference[0]),
                ("out.mov", "--fps 60000/1001", reference[0]),
                ("out.mkv", "--fps 60", reference[1]),
            ] {
                if by == "0.04" && args != "--fps 10" {
                    continue;
                }
                well(interpolate(here, &format!("in.{extension} -o {out} --overwrite {args}")));
                let got = apart(out);
                // Matroska counts milliseconds, and so does the start of a track in MP4.
                let what = format!("{extension} by {by} to {out} {args}: {got}, not {wanted}");
                assert!((got - wanted).abs() < 0.0011, "{what}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timestamps_that_a_container_cannot_tell_apart_are_reported_once() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=600:d=0.05 -c:v libx264 -bf 0 fast.mp4",
        // Two frames a millisecond apart in a slow video.
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -vf setpts='if(eq(N\\,5)\\,161\\,N*40)/1000/TB' \
         -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 -bf 0 \
         -video_track_timescale 1000 burst.mp4",
    ]);
    let here = folder.path();
    for (args, warned) in [
        ("fast.mp4 -o out.mkv", true),
        ("fast.mp4 -o out.mkv --fps 1000", false),
        ("fast.mp4 -o out.mkv --slow 2", false),
        ("fast.mp4 -o out.mp4", false),
        ("burst.mp4 -o out.mkv", true),
        ("burst.mp4 -o out.mkv --fps 50", false),
    ] {
        let text = well(interpolate(here, &format!("{args} --overwrite")));
        assert_eq!(text.matches("share timestamps").count(), usize::from(warned), "{args}: {text}");
        let out = if args.contains("mkv") { "out.mkv" } else { "out.mp4" };
        let equal = times(here, out).windows(2).any(|two| two[0] == two[1]);
        assert_eq!(equal, warned, "{args}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn rate_of_a_matroska_source_is_exact_in_mp4() {
    for (rate, base) in [("24000/1001", 24000), ("30000/1001", 30000), ("24", 24024), ("30", 30030)]
    {
        for frames in [2, 24, 37] {
            if frames != 24 && rate != "24000/1001" {
                continue;
            }
            let folder = with(&[&format!(
                "-f lavfi -i testsrc2=s=64x48:r={rate} -frames:v {frames} -c:v libx264 in.mkv"
            )]);
            let here = folder.path();
            for (factor, p, q) in [("2", 2, 1), ("3", 3, 1), ("5/2", 5, 2)] {
                let args = format!("in.mkv -o out.mp4 --overwrite --factor {factor}");
                well(interpolate(here, &args));
                let what = format!("{frames} frames at {rate}, factor {factor}");
                let rates = |key: &str| -> Vec<(i64, i64)> {
                    let found = entry(here, "out.mp4", "v:0", key);
                    let parts = found.iter().filter_map(|rate| rate.split_once('/'));
                    parts.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).collect()
                };
                for key in ["avg_frame_rate", "r_frame_rate"] {
                    let (a, b) = rates(key)[0];
                    assert_eq!(a * 1001 * q, b * base * p, "{what}: {key} {a}/{b}");
                }
            }
        }
    }
}
