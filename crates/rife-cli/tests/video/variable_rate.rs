//! Sources with a variable frame rate, and how long their last frame stays.

use crate::support::{Media, clips, frame_hashes, interpolate, succeed};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn variable_rate_keeps_its_timeline_or_becomes_constant() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -vf select='not(mod(n\\,3))+not(mod(n\\,7))' \
         -fps_mode vfr -c:v libx264 -enc_time_base 1/25000 -video_track_timescale 25000 vfr.mp4",
        "-i vfr.mp4 -c copy vfr.mkv",
    ]);
    let dir = folder.path();
    let source = Media::probe(dir, "vfr.mp4").timestamps();
    succeed(interpolate(dir, "vfr.mp4 -o out.mp4"));
    let output = Media::probe(dir, "out.mp4");
    assert_eq!(output.entry("v:0", "time_base"), "1/50000");
    let timestamps = output.timestamps();
    assert_eq!(timestamps.len(), 2 * source.len());
    for (i, time) in source.iter().enumerate() {
        assert_eq!(timestamps[2 * i], 2 * (time - source[0]), "frame {i}");
        if let Some(next) = source.get(i + 1) {
            assert_eq!(timestamps[2 * i + 1], time + next - 2 * source[0], "after frame {i}");
        }
    }
    succeed(interpolate(dir, "vfr.mkv -o cfr.mp4 --fps 60000/1001"));
    let output = Media::probe(dir, "cfr.mp4");
    let steps: Vec<i64> = output.timestamps().windows(2).map(|w| w[1] - w[0]).collect();
    // The time base also has to represent the start of the source.
    let base = output.entry("v:0", "time_base");
    let ticks: i64 = base.strip_prefix("1/").unwrap().parse().unwrap();
    assert!(steps.iter().all(|step| step * 60_000 == 1001 * ticks), "{base} {steps:?}");
    assert_eq!(output.entry("v:0", "r_frame_rate"), "60000/1001");
    let duration = *source.last().unwrap() as f64 / 25000.0;
    assert!((output.end_s("v:0") - duration).abs() < 0.2);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn bursts_and_a_long_last_frame_keep_their_timestamps() {
    // Twenty frames at 25 fps, ten at 250 fps, and one that stays.
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=1.24 -vf \
         setpts='if(lt(N\\,20)\\,N*40\\,if(lt(N\\,30)\\,800+(N-20)*4\\,840))/1000/TB' -fps_mode passthrough \
         -enc_time_base 1/1000 -c:v libx264 -bf 0 -video_track_timescale 1000 bursts.mp4"]);
    let dir = folder.path();
    let source = Media::probe(dir, "bursts.mp4");
    let source_timestamps = source.timestamps();
    assert_eq!(source_timestamps.len(), 31);
    let stderr = succeed(interpolate(dir, "bursts.mp4 -o out.mp4"));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let output = Media::probe(dir, "out.mp4");
    let timestamps = output.timestamps();
    assert_eq!(timestamps.len(), 62);
    for (i, time) in source_timestamps.iter().enumerate() {
        assert_eq!(timestamps[2 * i], 2 * (time - source_timestamps[0]), "frame {i}");
    }
    // The repeated last frame takes half of the last frame's duration.
    let (source_end, output_end) = (source.end_s("v:0"), output.end_s("v:0"));
    assert!((output_end - source_end).abs() < 0.05, "{output_end} {source_end}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn duration_of_a_long_last_frame_is_kept() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 -bf 0 -video_track_timescale 25 even.mp4",
        "-i even.mp4 -c copy -bsf:v setts=pts=PTS:dts=DTS:duration='if(eq(N\\,24)\\,50\\,1)' \
         -video_track_timescale 25 in.mp4",
    ]);
    let dir = folder.path();
    let source_duration = Media::probe(dir, "in.mp4").duration();
    assert!((source_duration - 2.96).abs() < 0.05, "{source_duration}");
    for (file, args, times_longer, frames) in [
        ("out.mp4", "", 1.0, 50),
        ("out.mkv", "", 1.0, 50),
        ("out.mov", "", 1.0, 50),
        ("odd.mp4", "--factor 5/2", 1.0, 63),
        ("slow.mp4", "--slow 2", 2.0, 50),
        ("three.mp4", "--factor 3", 1.0, 75),
        ("slow3.mov", "--slow 3", 3.0, 75),
    ] {
        succeed(interpolate(dir, &format!("in.mp4 -o {file} {args}")));
        let output = Media::probe(dir, file);
        let expected = times_longer * source_duration;
        let duration = output.duration();
        assert!((duration - expected).abs() < 0.01, "{file}: {duration}");
        if file != "out.mkv" {
            let track: f64 = output.entry("v:0", "duration").parse().unwrap();
            assert!((track - expected).abs() < 0.01, "{file}: its track {track}");
        }
        assert_eq!(frame_hashes(dir, file).len(), frames, "{file}");
    }
    // If all frames have the same duration, the last one gets no duration of its own.
    succeed(interpolate(dir, "even.mp4 -o even2.mp4 --factor 5/2"));
    assert_eq!(Media::probe(dir, "even2.mp4").entry("v:0", "avg_frame_rate"), "125/2");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn long_frames_of_a_variable_rate_keep_their_duration() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=1:d=4 -vf setpts='if(eq(N\\,0)\\,0\\,40+N)/TB' \
         -fps_mode passthrough -enc_time_base 1/1000 -c:v libx264 -bf 0 \
         -video_track_timescale 1000 slides.mp4",
        "-i slides.mp4 -c copy slides.mkv",
    ]);
    let dir = folder.path();
    for input in ["slides.mp4", "slides.mkv"] {
        succeed(interpolate(dir, &format!("{input} -o out.mp4 --overwrite")));
        let output = Media::probe(dir, "out.mp4");
        let base = output.entry("v:0", "time_base");
        let ticks: f64 = base.strip_prefix("1/").unwrap().parse().unwrap();
        let seconds: Vec<f64> =
            output.timestamps().iter().map(|time| *time as f64 / ticks).collect();
        assert_eq!(seconds[..7], [0.0, 20.5, 41.0, 41.5, 42.0, 42.5, 43.0], "{input}");
        succeed(interpolate(dir, &format!("{input} -o out.mp4 --overwrite --fps 5")));
        let count = Media::probe(dir, "out.mp4").timestamps().len();
        assert!((44 * 5 - 5..=44 * 5 + 1).contains(&count), "{input}: {count}");
    }
}
