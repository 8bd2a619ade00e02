//! Parts of an input: `--from`, `--to` and `--preview`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{
    Media, clips, fail_with, ffmpeg, ffprobe, frame_hashes, in_shell, interpolate, names,
    stderr_of, succeed,
};

/// Runs `rife interpolate` with messages about the decoder, which it returns.
fn decode(dir: &Path, args: &str) -> String {
    let mut command = interpolate(dir, args);
    command.env("RIFE_LOG", "debug");
    succeed(command)
}

/// Whether the decoder started within the file, and stayed there.
fn started_at_keyframe(messages: &str) -> bool {
    messages.contains("-noaccurate_seek") && !messages.contains("decoding from the start")
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn part_equals_a_run_on_its_frames_alone() {
    // Keyframes are 40 frames apart, and none is at the start of the part.
    let source = "-f lavfi -i testsrc2=s=96x64:r=25:d=6 -f lavfi -i sine=f=500:d=6 -g 40";
    for (name, encoder, seeks) in [
        ("bframes.mp4", "-c:v libx264 -bf 3", true),
        ("open.mp4", "-c:v libx264 -bf 3 -x264-params open-gop=1:keyint=40:min-keyint=40", true),
        ("bframes.mkv", "-c:v libx264 -bf 3", true),
        ("open.mkv", "-c:v libx265 -x265-params log-level=error:keyint=40:open-gop=1", true),
        ("late.mov", "-c:v libx264 -bf 3 -fps_mode passthrough", true),
        ("vp9.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -c:a libopus", true),
        ("lossless.mkv", "-c:v ffv1", true),
        // Keyframes of a gradual refresh are not complete.
        ("refresh.mp4", "-c:v libx264 -x264-params intra-refresh=1:keyint=40", false),
        // Containers and codecs that do not seek exactly.
        ("packets.ts", "-c:v libx264 -bf 3", false),
        ("other.nut", "-c:v libx264 -bf 3", false),
    ] {
        // The video may start later than the sound.
        let delay = if name == "late.mov" { "-itsoffset 0.7 " } else { "" };
        let folder = clips(&[&format!("{delay}{source} {encoder} -pix_fmt yuv420p {name}")]);
        let dir = folder.path();
        let all = frame_hashes(dir, name);
        assert_eq!(all.len(), 150, "{name}");
        let cut = "select='between(n\\,75\\,99)',setpts=N/25/TB";
        ffmpeg(dir, &format!("-i {name} -vf {cut} -r 25 -c:v ffv1 -an alone.mkv"));
        let options = "--codec ffv1 --overwrite";
        succeed(interpolate(dir, &format!("alone.mkv -o expected.mkv {options}")));
        // Players count from the earliest stream. The part starts between two frames.
        let (origin, start) = Media::probe(dir, name).starts();
        let from = start - origin + 3.0 - 0.01;
        let part = format!("--from {from:.3} --to {:.3}", from + 1.0);
        let messages = decode(dir, &format!("{name} -o out.mkv {options} {part}"));
        let out = frame_hashes(dir, "out.mkv");
        assert_eq!(out.len(), 50, "{name}: {part}");
        assert_eq!(out[0], all[75], "{name}: the first frame of the part");
        assert_eq!(out, frame_hashes(dir, "expected.mkv"), "{name}");
        assert_eq!(started_at_keyframe(&messages), seeks, "{name}: {messages}");
        let (_, start) = Media::probe(dir, "out.mkv").starts();
        assert!(start < 0.03, "{name}: {start}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn adjacent_parts_have_every_source_frame_once() {
    // Matroska rounds the times of this rate.
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=24000/1001:d=4 -c:v libx264 in.mkv"]);
    let dir = folder.path();
    let source = frame_hashes(dir, "in.mkv");
    let mut joined = Vec::new();
    for (name, part) in [
        ("a", "--to 1.001"),
        ("b", "--from 1.001 --to 0:02.5"),
        ("c", "--from 00:00:02.500 --to 3.003"),
        ("d", "--from 3.003"),
    ] {
        succeed(interpolate(dir, &format!("in.mkv -o {name}.mkv --codec ffv1 {part}")));
        let frames = frame_hashes(dir, &format!("{name}.mkv"));
        joined.extend(frames.into_iter().step_by(2));
    }
    assert_eq!(joined, source);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn length_of_the_output_follows_from_the_part() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=4 -f lavfi -i sine=d=4 \
                          -c:v libx264 -g 20 in.mp4"]);
    let dir = folder.path();
    let frames = |options: &str| {
        succeed(interpolate(dir, &format!("in.mp4 -o out.mp4 --overwrite {options}")));
        let times = Media::probe(dir, "out.mp4").timestamps();
        assert_eq!(times[0], 0, "{options}");
        times.len()
    };
    assert_eq!(frames("--from 1 --to 2"), 50);
    assert_eq!(frames("--from 1 --to 2 --factor 5/2"), 63);
    assert_eq!(frames("--from 1 --to 2 --fps 60"), 60);
    assert_eq!(frames("--from 1 --to 2 --slow 3"), 75);
    assert_eq!(frames("--from 3"), 50);
    assert_eq!(frames("--from 3 --to 99"), 50);
    assert_eq!(frames("--to 0.2 --no-hold-last"), 9);
    assert_eq!(frames("--preview 0.4"), 20);
    assert_eq!(frames("--preview 0.4 --from 3.9"), 4);
}

/// Start of the first audible sound of a file, in s.
fn onset(dir: &Path, file: &str) -> f64 {
    let command = "-nostdin -v error -i FILE -map 0:a:0 -af aresample=async=1:first_pts=0 -ac 1 \
                   -ar 48000 -f s16le -";
    let mut words: Vec<_> = command.split_whitespace().collect();
    words.iter_mut().filter(|word| **word == "FILE").for_each(|word| *word = file);
    let output = Command::new("ffmpeg").args(words).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", stderr_of(&output));
    let samples = output.stdout.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
    let loud = { samples }.position(|sample| sample.unsigned_abs() > 4000);
    loud.unwrap_or_else(|| panic!("{file} is silent")) as f64 / 48_000.0
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn other_streams_are_cut_to_the_part_and_stay_in_sync() {
    let folder = clips(&[]);
    let dir = folder.path();
    fs::write(
        dir.join("s.srt"),
        "1\n00:00:01,000 --> 00:00:03,500\nbefore\n\n2\n00:00:03,600 --> 00:00:03,900\nwithin\n\n\
         3\n00:00:04,800 --> 00:00:06,000\nafter\n\n4\n00:00:07,000 --> 00:00:07,500\nlater\n",
    )
    .unwrap();
    fs::write(
        dir.join("chapters.txt"),
        ";FFMETADATA1\ntitle=whole\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=3000\ntitle=one\n\
         [CHAPTER]\nTIMEBASE=1/1000\nSTART=3000\nEND=4000\ntitle=a=b; c\n[CHAPTER]\n\
         TIMEBASE=1/1000\nSTART=4000\nEND=8000\ntitle=three\n",
    )
    .unwrap();
    // A tone from 4.25 s on.
    let sound = "aevalsrc='if(gte(t\\,4.25)\\,sin(2*PI*1000*t)\\,0)':d=8:s=48000";
    let streams = "-map 0 -map 1 -map 2 -map_metadata 3 -map_chapters 3";
    let common = format!(
        "-f lavfi -i testsrc2=s=64x48:r=25:d=8 -f lavfi -i {sound} -i s.srt -i chapters.txt \
         {streams} -c:v libx264 -g 100"
    );
    ffmpeg(
        dir,
        &format!(
            "{common} -c:a flac -c:s srt -attach s.srt -metadata:s:t mimetype=text/plain in.mkv"
        ),
    );
    ffmpeg(dir, &format!("{common} -c:a aac -c:s mov_text in.mp4"));
    // Read from the start: this container does not seek exactly.
    ffmpeg(dir, "-i in.mp4 -map 0:v -map 0:a -c copy in.ts");
    for (input, output, part) in [
        ("in.mkv", "out.mkv", "--from 3 --to 5"),
        ("in.mkv", "out.mp4", "--from 3 --to 5"),
        ("in.mp4", "out.mkv", "--from 3 --to 5"),
        ("in.mp4", "out.mp4", "--from 3 --to 5 --fps 40"),
        // Audio is encoded.
        ("in.mkv", "out.mov", "--from 3 --to 5"),
        ("in.mkv", "out.webm", "--from 3 --to 5 --codec vp9 --preset 8"),
        ("in.ts", "out.mp4", "--from 3 --to 5"),
        ("in.ts", "out.webm", "--from 3 --to 5 --codec vp9 --preset 8"),
    ] {
        let case = format!("{input} to {output}");
        let messages =
            succeed(interpolate(dir, &format!("{input} -o {output} --overwrite {part}")));
        let media = Media::probe(dir, output);
        let onset = onset(dir, output);
        // Packets of AAC last 21 ms, and lossy codecs smear the start of a tone.
        assert!((onset - 1.25).abs() < 0.012, "{case}: the tone starts at {onset} s");
        let length = media.duration();
        // Packets of FLAC last 96 ms.
        assert!((length - 2.0).abs() < 0.1, "{case}: {length} s");
        if input == "in.ts" {
            continue;
        }
        let chapters = media.chapters();
        let expected = [(0.0, 1.0, "a=b; c"), (1.0, 2.0, "three")];
        assert_eq!(chapters.len(), 2, "{case}: {chapters:?}");
        for ((start, end, title), expected) in chapters.iter().zip(expected) {
            let near = (start - expected.0).abs() < 0.002 && (end - expected.1).abs() < 0.002;
            assert!(near && *title == expected.2, "{case}: {chapters:?}");
        }
        assert!(!messages.contains("chapter"), "{case}: {messages}");
        ffmpeg(dir, &format!("-i {output} -map 0:s:0 -c:s srt cut.srt"));
        let text = fs::read_to_string(dir.join("cut.srt")).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("-->")).collect();
        // Earlier releases cannot shorten subtitles that they convert.
        let converts = !input.ends_with(output.rsplit('.').next().unwrap());
        let expected: &[_] = match converts && rife_testkit::ffmpeg::version() < (7, 0) {
            true => &[(600, 900)],
            false => &[(0, 500), (600, 900), (1800, 2000)],
        };
        assert_eq!(lines.len(), expected.len(), "{case}: {text}");
        for (line, expected) in lines.iter().zip(expected) {
            let ms = |text: &str| {
                let (seconds, ms) = text.trim().rsplit_once(',').unwrap();
                let seconds: i64 = seconds.rsplit_once(':').unwrap().1.parse().unwrap();
                seconds * 1000 + ms.parse::<i64>().unwrap()
            };
            let (start, end) = line.split_once("-->").unwrap();
            // Matroska delays everything by the start of AAC, a packet before zero.
            let off = (ms(start) - expected.0).abs().max((ms(end) - expected.1).abs());
            assert!(off <= 30, "{case}: {line}, expected {expected:?}");
        }
        if output == "out.mkv" && input == "in.mkv" {
            let attached = ffprobe(dir, "-select_streams t -show_entries stream_tags out.mkv");
            assert!(attached.contains("s.srt"), "{case}: {attached}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timecode_labels_the_first_frame_of_the_part() {
    let folder =
        clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=4 -c:v libx264 -timecode 01:00:00:20 \
                          in.mov"]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mov -o out.mov --from 2"));
    let media = Media::probe(dir, "out.mov");
    assert_eq!(media.tag("v:0", "timecode"), Some("01:00:02:40"));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn parts_of_streams_and_images_are_counted() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=32x32:r=25:d=2 -pix_fmt yuv420p in.y4m",
        "-f lavfi -i testsrc2=s=32x32:r=25:d=2 -pix_fmt yuv420p -f rawvideo in.yuv",
    ]);
    let dir = folder.path();
    fs::create_dir(dir.join("images")).unwrap();
    ffmpeg(dir, "-i in.y4m images/%03d.png");
    let source = frame_hashes(dir, "in.y4m");
    let raw = "--pix-fmt yuv420p --size 32x32 --input-fps 25";
    let part = "--from 0.5 --to 1.1 --overwrite";
    for input in [&format!("in.yuv {raw}"), "in.y4m"] {
        succeed(interpolate(dir, &format!("{input} -o out.y4m {part}")));
        let out = frame_hashes(dir, "out.y4m");
        let originals: Vec<_> = out.iter().step_by(2).cloned().collect();
        assert_eq!(originals, source[13..28], "{input}");
    }
    // The writer of the pipe never ends on its own.
    let shell = in_shell(
        Command::new("sh"),
        "yes | head -c 1000000000 | cat in.y4m - | \"$0\" \"$@\"",
        &interpolate(dir, &format!("- -o piped.y4m {part}")),
    );
    succeed(shell);
    assert_eq!(frame_hashes(dir, "piped.y4m"), frame_hashes(dir, "out.y4m"));
    // At 50 images per second, another part.
    succeed(interpolate(dir, "images -o out --input-fps 50 --from 0.25 --to 0.35"));
    assert_eq!(names(&dir.join("out")).len(), 10);
    let of_images = frame_hashes(dir, "images/014.png");
    assert_eq!(frame_hashes(dir, "out/00000001.png"), of_images);
    fail_with(interpolate(dir, "images -o x --from 2"), dir, "the last one is at 1.96 s");
    fail_with(interpolate(dir, "in.y4m -o x.y4m --from 2"), dir, "the last one is at 1.96 s");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn resumed_job_must_be_of_the_same_part() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=16 -c:v libx264 -g 50 in.mp4"]);
    let dir = folder.path();
    let part = "--from 1 --to 15";
    succeed(interpolate(dir, &format!("in.mp4 -o whole.mp4 {part}")));
    let mut command = interpolate(dir, &format!("in.mp4 -o out.mp4 {part}"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !dir.join(".out.mp4.rife-job/journal.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before a segment was finished");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = interpolate(dir, "in.mp4 -o out.mp4 --from 2 --resume").output().unwrap();
    let stderr = stderr_of(&refused);
    assert!(!refused.status.success(), "{stderr}");
    assert!(stderr.contains("part: was from 1 s to 15 s, is from 2 s"), "{stderr}");
    let stderr = succeed(interpolate(dir, &format!("in.mp4 -o out.mp4 --resume {part}")));
    assert!(stderr.contains("resuming after"), "{stderr}");
    let read = |name: &str| fs::read(dir.join(name)).unwrap();
    assert!(read("out.mp4") == read("whole.mp4"), "not the same file, bit for bit");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn empty_parts_are_refused_with_one_line() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=32x32:r=25:d=2 -c:v libx264 in.mp4",
        "-f lavfi -i testsrc2=s=32x32:r=25:d=2 -c:v libx264 in.ts",
    ]);
    let dir = folder.path();
    for input in ["in.mp4", "in.ts"] {
        for (options, why) in [
            ("--from 1 --to 1", "must end after its start at 1 s, got 1 s"),
            ("--from 1:30 --to 80", "must end after its start at 90 s, got 80 s"),
            ("--from 2", "no frame at or after 2 s: the last one is at 1.96 s"),
            ("--from 0:10", "no frame at or after 10 s: the last one is at 1.96 s"),
            ("--from 1.01 --to 1.02", "no frame from 1.01 s up to 1.02 s: the next one is at 1.04"),
        ] {
            fail_with(interpolate(dir, &format!("{input} -o x.mp4 {options}")), dir, why);
        }
    }
    for options in ["--from -1", "--to nan", "--from x", "--to 1:60", "--preview 0", "--from="] {
        fail_with(interpolate(dir, &format!("in.mp4 -o x.mp4 {options}")), dir, "expected ");
    }
    fail_with(interpolate(dir, "in.mp4 -o x.mp4 --to 1 --preview 1"), dir, "cannot be used with");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn preview_uses_fast_settings_and_says_where_it_is() {
    let folder = clips(&["-f lavfi -i testsrc2=s=32x32:r=25:d=3 -c:v libx264 in.mkv"]);
    let dir = folder.path();
    // Twice: the second one replaces the first.
    for _ in 0..2 {
        let stderr = succeed(interpolate(dir, "in.mkv --preview 1 --from 1"));
        let path = dir.canonicalize().unwrap().join("in.preview.mkv");
        assert!(stderr.contains(&format!("preview: {}", path.display())), "{stderr}");
    }
    assert_eq!(Media::probe(dir, "in.preview.mkv").timestamps().len(), 50);
    assert_eq!(names(dir), ["in.mkv", "in.preview.mkv"]);
    let plan = |options: &str| {
        let output = interpolate(dir, &format!("in.mkv {options} --dry-run")).output().unwrap();
        assert!(output.status.success(), "{}", stderr_of(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(plan("-o out.mp4 --preview 1").contains("-preset ultrafast"));
    assert!(plan("-o out.mp4 --preview 1 --preset slow").contains("-preset slow"));
    assert!(plan("-o out.mp4 --to 1").contains("-preset medium"));
    fail_with(interpolate(dir, "in.mkv"), dir, "--output <OUT>");
    // A preview replaces only files that it has named.
    fs::write(dir.join("mine.mkv"), "mine").unwrap();
    fail_with(interpolate(dir, "in.mkv -o mine.mkv --preview 1"), dir, "mine.mkv exists");
}
