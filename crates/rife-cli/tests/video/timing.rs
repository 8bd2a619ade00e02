//! Timestamps, durations and frame rates of the output.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Media, clips, ffmpeg, frame_hashes, interpolate, stderr_of, succeed};

/// Concatenates files byte by byte, as recorders and `cat` do.
fn concatenate(dir: &Path, parts: &[&str], to: &str) {
    let bytes = parts.iter().map(|part| fs::read(dir.join(part)).unwrap()).collect::<Vec<_>>();
    fs::write(dir.join(to), bytes.concat()).unwrap();
}

/// Times at which the picture turns from black to white, and at which a tone starts after silence, s.
fn flashes_and_beeps(dir: &Path, file: &str) -> (Vec<f64>, Vec<f64>) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i", file])
        .args(["-vf", "blackdetect=d=0.1:pix_th=0.3", "-af", "silencedetect=n=-30dB:d=0.1"])
        .args(["-f", "null", "-"])
        .current_dir(dir)
        .output()
        .unwrap();
    let stderr = stderr_of(&output);
    assert!(output.status.success(), "{file}: {stderr}");
    let numbers_after = |key: &str| -> Vec<f64> {
        let rests = stderr.split(key).skip(1);
        let words = rests.filter_map(|rest| rest.split_whitespace().next());
        words.map(|word| word.parse().unwrap()).collect()
    };
    (numbers_after("black_end:"), numbers_after("silence_end: "))
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn clock_jump_in_a_joined_recording_adds_no_time() {
    for extension in ["ts", "mpg", "vob"] {
        let codec = if extension == "ts" { "libx264 -bf 2" } else { "mpeg2video -bf 2" };
        let part = |start: u32| {
            format!(
                "-f lavfi -i testsrc2=s=96x64:r=25:d=1 -c:v {codec} -g 10 \
                 -output_ts_offset {start} {start}.{extension}"
            )
        };
        let folder = clips(&[&part(0), &part(30)]);
        let dir = folder.path();
        let (first, second) = (format!("0.{extension}"), format!("30.{extension}"));
        for parts in [[&*first, &*second], [&*second, &*first], [&*first, &*first]] {
            let input = format!("in.{extension}");
            concatenate(dir, &parts, &input);
            let source = frame_hashes(dir, &input).len();
            let cases = [
                ("--fps 50", 2 * source, 1.0),
                ("--factor 2", 2 * source, 1.0),
                ("--slow 3", 3 * source, 3.0),
            ];
            // One case is enough for other orders of the parts.
            let cases = if parts == [&*first, &*second] { &cases[..] } else { &cases[..1] };
            for (args, count, times_longer) in cases.iter().copied() {
                succeed(interpolate(dir, &format!("{input} -o out.mp4 --overwrite {args}")));
                let case = format!("{parts:?} {args}");
                let output = Media::probe(dir, "out.mp4");
                assert!(output.timestamps().len().abs_diff(count) <= 1, "{case}");
                let expected = times_longer * source as f64 / 25.0;
                let end = output.end_s("v:0");
                assert!((end - expected).abs() < 0.1, "{case}: {end} s, not {expected} s");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn clock_jump_keeps_audio_in_sync() {
    for (extension, video, audio) in
        [("ts", "libx264", "aac"), ("ts", "mpeg2video", "mp2"), ("mpg", "mpeg2video", "mp2")]
    {
        // A white frame and a tone at the start of every second.
        let part = |start: u32| {
            format!(
                "-f lavfi -i \"color=black:s=96x64:r=25:d=3,drawbox=c=white:t=fill:\
                 enable='lt(mod(n,25),2)'\" -f lavfi -i \"aevalsrc='if(lt(mod(t,1),0.08),\
                 sin(2000*t),0)':s=48000:d=3\" -c:v {video} -g 25 -bf 2 -c:a {audio} \
                 -output_ts_offset {start} {start}.{extension}"
            )
        };
        let folder = clips(&[&part(0), &part(40)]);
        let dir = folder.path();
        let (first, second) = (format!("0.{extension}"), format!("40.{extension}"));
        for parts in [[&*first, &*second], [&*second, &*first]] {
            let input = format!("in.{extension}");
            concatenate(dir, &parts, &input);
            for (output, args) in [("out.mp4", ""), ("out.mkv", "--fps 60")] {
                succeed(interpolate(dir, &format!("{input} -o {output} --overwrite {args}")));
                let (flashes, beeps) = flashes_and_beeps(dir, output);
                let case = format!("{video} {parts:?} {output} {args}: {flashes:?} {beeps:?}");
                assert!(flashes.len() >= 5 && beeps.len() >= 5, "{case}");
                for flash in &flashes {
                    let near = beeps.iter().any(|beep| (beep - flash).abs() < 0.07);
                    assert!(near || *flash < 0.1 || *flash > 5.9, "{case}");
                }
                assert!((flashes[flashes.len() - 1] - 5.0).abs() < 1.1, "{case}");
            }
        }
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
        for (rate, frames, target, expected) in [
            ("30", 50, "60", 100),
            ("25", 25, "60", 60),
            ("24", 48, "23.976", 48),
            ("30000/1001", 30, "60000/1001", 60),
            ("24000/1001", 24, "48000/1001", 48),
            ("24000/1001", 24, "60", 61),
        ] {
            // All rates in MP4, whose timestamps are exact, and in Matroska, which rounds them; some
            // rates in the others.
            if !matches!(extension, "mp4" | "mkv")
                && !matches!((rate, target), ("30", _) | (_, "60"))
            {
                continue;
            }
            let folder = clips(&[&format!(
                "-f lavfi -i testsrc2=s=64x64:r={rate} -frames:v {frames} -c:v {codec} \
                 in.{extension}"
            )]);
            let dir = folder.path();
            let (output, encoder) = match extension {
                "ts" => ("out.mp4".to_owned(), "--preset ultrafast"),
                "avi" => ("out.avi".to_owned(), "--codec mpeg4"),
                "webm" => ("out.webm".to_owned(), "--codec vp9"),
                _ => (format!("out.{extension}"), "--preset ultrafast"),
            };
            let args = format!("in.{extension} -o {output} --fps {target} {encoder}");
            succeed(interpolate(dir, &args));
            // Packets of AVI have no timestamps.
            let count = match extension {
                "avi" => frame_hashes(dir, &output).len(),
                _ => Media::probe(dir, &output).timestamps().len(),
            };
            assert_eq!(count, expected, "{frames} frames at {rate} in {extension} to {target}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn output_without_a_held_frame_ends_with_the_last_source_frame() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v ffv1 in.mkv"]);
    let dir = folder.path();
    for (rate, held, ended) in [
        ("--factor 2", 20, 19),
        ("--factor 5/2", 25, 23),
        ("--fps 60", 24, 22),
        ("--slow 3", 30, 28),
    ] {
        succeed(interpolate(dir, &format!("in.mkv -o held.mkv --codec ffv1 --overwrite {rate}")));
        let args = format!("in.mkv -o ended.mkv --codec ffv1 --overwrite --no-hold-last {rate}");
        succeed(interpolate(dir, &args));
        let frames = frame_hashes(dir, "ended.mkv");
        assert_eq!(frames.len(), ended, "{rate}");
        let all = frame_hashes(dir, "held.mkv");
        assert_eq!((all.len(), &all[..ended]), (held, &frames[..]), "{rate}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn fps_keeps_the_start_of_the_video() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=2 -f lavfi -i sine=d=2 \
                          -c:v libx264 -bf 0 -c:a aac whole.mp4"]);
    let dir = folder.path();
    // Seconds by which the video starts after the audio.
    let video_delay = |file: &str| -> f64 {
        let media = Media::probe(dir, file);
        let start = |stream| -> f64 { media.entry(stream, "start_time").parse().unwrap() };
        start("v:0") - start("a:0")
    };
    for extension in ["mp4", "mov", "mkv", "ts"] {
        for delay in ["0.04", "0.543"] {
            ffmpeg(
                dir,
                &format!(
                    "-itsoffset {delay} -i whole.mp4 -i whole.mp4 -map 0:v -map 1:a -c copy \
                     in.{extension}"
                ),
            );
            let source = video_delay(&format!("in.{extension}"));
            let expected: f64 = delay.parse().unwrap();
            assert!((source - expected).abs() < 0.03, "{extension}: {source}");
            // ffmpeg treats the priming samples of AAC differently in Matroska.
            let reference = ["out.mp4", "out.mkv"].map(|output| {
                succeed(interpolate(dir, &format!("in.{extension} -o {output} --overwrite")));
                video_delay(output)
            });
            assert!((reference[0] - source).abs() < 0.0021, "{extension}: {reference:?}");
            for (output, args, expected) in [
                ("out.mp4", "--fps 10", reference[0]),
                ("out.mp4", "--fps 60", reference[0]),
                ("out.mov", "--fps 60000/1001", reference[0]),
                ("out.mkv", "--fps 60", reference[1]),
            ] {
                if delay == "0.04" && args != "--fps 10" {
                    continue;
                }
                let input = format!("in.{extension}");
                succeed(interpolate(dir, &format!("{input} -o {output} --overwrite {args}")));
                let got = video_delay(output);
                // Matroska has a resolution of milliseconds, as has the start of a track in MP4.
                let case = format!("{input} delayed by {delay} to {output} {args}");
                assert!((got - expected).abs() < 0.0011, "{case}: {got}, not {expected}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timestamps_that_a_container_rounds_to_the_same_value_are_reported_once() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=600:d=0.05 -c:v libx264 -bf 0 fast.mp4",
        // Two frames a millisecond apart in a slow video.
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -vf setpts='if(eq(N\\,5)\\,161\\,N*40)/1000/TB' \
         -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 -bf 0 \
         -video_track_timescale 1000 burst.mp4",
    ]);
    let dir = folder.path();
    for (input, output, args, reported) in [
        ("fast.mp4", "out.mkv", "", true),
        ("fast.mp4", "out.mkv", "--fps 1000", false),
        ("fast.mp4", "out.mkv", "--slow 2", false),
        ("fast.mp4", "out.mp4", "", false),
        ("burst.mp4", "out.mkv", "", true),
        ("burst.mp4", "out.mkv", "--fps 50", false),
    ] {
        let case = format!("{input} -o {output} {args}");
        let stderr = succeed(interpolate(dir, &format!("{case} --overwrite")));
        let count = stderr.matches("share timestamps").count();
        assert_eq!(count, usize::from(reported), "{case}: {stderr}");
        let timestamps = Media::probe(dir, output).timestamps();
        assert_eq!(timestamps.windows(2).any(|two| two[0] == two[1]), reported, "{case}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn rate_of_a_matroska_source_is_exact_in_mp4() {
    // Rates, and each times 1001.
    for (rate, base) in [("24000/1001", 24000), ("30000/1001", 30000), ("24", 24024), ("30", 30030)]
    {
        for frames in [2, 24, 37] {
            if frames != 24 && rate != "24000/1001" {
                continue;
            }
            let folder = clips(&[&format!(
                "-f lavfi -i testsrc2=s=64x48:r={rate} -frames:v {frames} -c:v libx264 in.mkv"
            )]);
            let dir = folder.path();
            for (factor, p, q) in [("2", 2, 1), ("3", 3, 1), ("5/2", 5, 2)] {
                let args = format!("in.mkv -o out.mp4 --overwrite --factor {factor}");
                succeed(interpolate(dir, &args));
                let case = format!("{frames} frames at {rate}, factor {factor}");
                let output = Media::probe(dir, "out.mp4");
                for key in ["avg_frame_rate", "r_frame_rate"] {
                    let rate = output.entry("v:0", key);
                    let (a, b) = rate.split_once('/').unwrap();
                    let (a, b): (i64, i64) = (a.parse().unwrap(), b.parse().unwrap());
                    assert_eq!(a * 1001 * q, b * base * p, "{case}: {key} {a}/{b}");
                }
            }
        }
    }
}
