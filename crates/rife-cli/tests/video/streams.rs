//! Audio, subtitles and other streams beside the video.

use std::fs;

use crate::support::{Media, clips, ffprobe, film, frame_hashes, interpolate, names, succeed};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn audio_subtitles_chapters_and_title_are_copied() {
    let folder = film("mp4");
    let dir = folder.path();
    let source = Media::probe(dir, "film.mp4");
    let frames = source.timestamps().len();
    for output in ["out.mp4", "out.mkv"] {
        let stderr = succeed(interpolate(dir, &format!("film.mp4 -o {output}")));
        assert!(stderr.contains(&format!("{} frames", 2 * frames)), "{stderr}");
        let media = Media::probe(dir, output);
        assert_eq!(media.timestamps().len(), 2 * frames);
        assert_eq!(media.entries("a", "codec_name"), ["aac", "aac"]);
        let subtitles = if output == "out.mp4" { "mov_text" } else { "subrip" };
        assert_eq!(media.entries("s", "codec_name"), [subtitles]);
        assert_eq!(media.chapter_titles(), ["One", "Two"]);
        assert_eq!(media.title(), Some("A film"));
        let frame = 1.001 / 60.0;
        let apart = media.end_s("v:0") - media.end_s("a:0");
        assert!(apart.abs() < frame + 1024.0 / 44100.0, "{output}: {apart}");
        assert_eq!(media.tag("a:1", "language"), Some("deu"));
        assert_eq!(media.tag("a:1", "language"), source.tag("a:1", "language"));
        if output == "out.mp4" {
            // Twice 1001 ticks of 1/60000 s.
            assert_eq!(media.entry("v:0", "time_base"), "1/60000");
            let expected: Vec<i64> = (0..2 * frames as i64).map(|i| i * 1001).collect();
            assert_eq!(media.timestamps(), expected);
        }
    }
    assert_eq!(names(dir), ["film.mp4", "m.txt", "out.mkv", "out.mp4", "s.srt"]);

    // Slow motion has audio only on request.
    let stderr = succeed(interpolate(dir, "film.mp4 -o slow.mp4 --slow 3"));
    assert!(stderr.contains("hint: --audio keeps the audio"), "{stderr}");
    let slow = Media::probe(dir, "slow.mp4");
    assert_eq!(slow.entries("a", "codec_name"), [""; 0]);
    assert_eq!(slow.entry("v:0", "r_frame_rate"), "30000/1001");
    assert_eq!(slow.timestamps().len(), 3 * frames);
    succeed(interpolate(dir, "film.mp4 -o loud.mp4 --slow 5/2 --audio"));
    assert_eq!(Media::probe(dir, "loud.mp4").entries("a", "codec_name"), ["aac", "aac"]);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn recordings_keep_audio_in_sync_wherever_they_start() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=4 -f lavfi -i sine=d=4 -c:v libx264 -g 25 -c:a aac \
         whole.mp4",
        "-itsoffset 0.7 -i whole.mp4 -i whole.mp4 -map 0:v -map 1:a -c copy late.ts",
        "-i whole.mp4 -itsoffset 0.7 -i whole.mp4 -map 0:v -map 1:a -c copy early.ts",
        "-i whole.mp4 -c copy uncut.ts",
    ]);
    let dir = folder.path();
    // As from a receiver that is switched on in the middle of a group of pictures.
    let bytes = fs::read(dir.join("uncut.ts")).unwrap();
    let packets = bytes.len() / 188;
    let head = &bytes[..188 * 3];
    fs::write(dir.join("cut.ts"), [head, &bytes[188 * (packets / 3)..]].concat()).unwrap();

    // Seconds by which the first decoded audio frame is later than the first picture.
    let audio_delay = |file: &str| -> f64 {
        let args = "-show_entries stream=codec_type:frame=stream_index,best_effort_timestamp_time \
                    -of json -i";
        let text = ffprobe(dir, &format!("{args} {file}"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let start = |kind: &str| -> f64 {
            let streams = json["streams"].as_array().unwrap();
            let index = streams.iter().position(|stream| stream["codec_type"] == kind).unwrap();
            let mut frames = json["frames"].as_array().unwrap().iter();
            let first = frames.find(|frame| frame["stream_index"] == index).unwrap();
            first["best_effort_timestamp_time"].as_str().unwrap().parse().unwrap()
        };
        start("audio") - start("video")
    };
    for (file, offset) in [("late.ts", Some(-0.7)), ("early.ts", Some(0.7)), ("cut.ts", None)] {
        let expected = audio_delay(file);
        if let Some(offset) = offset {
            assert!((expected - offset).abs() < 0.05, "{file}: {expected}");
        }
        succeed(interpolate(dir, &format!("{file} -o {file}.mkv")));
        let delay = audio_delay(&format!("{file}.mkv"));
        assert!((delay - expected).abs() < 0.03, "{file}: {delay}, not {expected}");
        assert_eq!(
            Media::probe(dir, &format!("{file}.mkv")).timestamps().len(),
            2 * frame_hashes(dir, file).len(),
            "{file}: frames"
        );
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn other_programs_of_a_recording_do_not_shift_the_selected_one() {
    // The other program starts earlier or later; the clocks of both are close to each other.
    let programs = "-c copy -program st=0:st=1 -program st=2:st=3";
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=2 -f lavfi -i sine=d=2 -c:v libx264 -g 25 -c:a aac \
         one.mp4",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=5 -f lavfi -i sine=d=5 -c:v libx264 -g 25 -c:a aac \
         other.mp4",
        &format!(
            "-itsoffset 2.7 -i one.mp4 -itsoffset 2 -i one.mp4 -i other.mp4 \
             -map 0:v -map 1:a -map 2:v -map 2:a {programs} second.ts"
        ),
        &format!(
            "-itsoffset 0.7 -i one.mp4 -i one.mp4 -itsoffset 1.5 -i other.mp4 \
             -map 0:v -map 1:a -map 2:v -map 2:a {programs} first.ts"
        ),
    ]);
    let dir = folder.path();
    for file in ["second.ts", "first.ts"] {
        let stderr = succeed(interpolate(dir, &format!("{file} -o {file}.mkv")));
        assert!(stderr.contains("of another program"), "{file}: {stderr}");
        let output = Media::probe(dir, &format!("{file}.mkv"));
        assert_eq!(output.entries("v", "width"), ["64"], "{file}");
        let starts = |stream| -> Vec<f64> {
            let starts = output.entries(stream, "start_time");
            starts.iter().map(|start| start.parse().unwrap()).collect()
        };
        let (video, audio) = (starts("v"), starts("a"));
        // 0.7 s and one frame, which H.264 decodes ahead.
        assert!((video[0] - 0.7).abs() < 0.05, "{file}: {video:?}");
        assert!(audio.len() == 1 && audio[0].abs() < 0.03, "{file}: {audio:?}");
        assert_eq!(output.timestamps().len(), 100, "{file}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn announced_streams_without_packets_are_left_out() {
    let folder =
        clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=d=0.4 -f lavfi \
         -i testsrc2=s=96x64:r=25:d=0.4 -map 0 -map 1 -map 1 -map 2 -c:v mpeg2video -c:a mp2 \
         -program st=0:st=1:st=2 -program st=3 all.ts"]);
    let dir = folder.path();
    let all = fs::read(dir.join("all.ts")).unwrap();
    // Without the packets of the second audio stream, of the second video stream, and of both.
    for (file, removed, audio_streams) in
        [("audio.ts", &[0x102][..], 1), ("video.ts", &[0x103], 2), ("both.ts", &[0x102, 0x103], 1)]
    {
        let keep = |packet: &&[u8]| {
            !removed.contains(&(u16::from(packet[1] & 0x1f) << 8 | u16::from(packet[2])))
        };
        let kept: Vec<u8> = all.chunks(188).filter(keep).flatten().copied().collect();
        assert!(kept.len() < all.len(), "{file}");
        fs::write(dir.join(file), kept).unwrap();
        succeed(interpolate(dir, &format!("{file} -o {file}.mkv")));
        let output = Media::probe(dir, &format!("{file}.mkv"));
        assert_eq!(output.entries("a", "codec_name").len(), audio_streams, "{file}");
        assert_eq!(output.timestamps().len(), 20, "{file}");
        succeed(interpolate(dir, &format!("{file} -o {file}.slow.mkv --slow 2")));
    }
}
