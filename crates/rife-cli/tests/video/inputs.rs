//! Inputs other than plain video files: playlists, pipes, animated images.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{
    Media, clips, fail_with, ffmpeg, in_shell, interpolate, names, stderr_of, succeed,
};

/// A clip that must not get into an output unless its playlist is allowed.
const SECRET: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v libx264 -f mpegts secret.ts";

fn hls(segment: &str) -> String {
    format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{segment}\n#EXT-X-ENDLIST\n")
}

fn dash(segment: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT0.4S\" profiles=\"urn:mpeg:dash:profile:isoff-main:2011\">\
         <Period><AdaptationSet contentType=\"video\"><Representation id=\"1\" bandwidth=\"1\" \
         mimeType=\"video/mp4\"><BaseURL>{segment}</BaseURL><SegmentBase/></Representation>\
         </AdaptationSet></Period></MPD>\n"
    )
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn playlist_named_like_a_video_is_refused_and_opens_no_other_file() {
    let folder = clips(&[SECRET, "-i secret.ts -c copy secret.mp4"]);
    let dir = folder.path();
    let secret = dir.join("secret.ts");
    let lists = [
        ("hls", hls("secret.ts")),
        ("hls", hls(&secret.display().to_string())),
        ("hls", hls(&format!("file://{}", secret.display()))),
        ("concat", "ffconcat version 1.0\nfile secret.ts\n".to_owned()),
        ("dash", dash("secret.mp4")),
    ];
    for (format, list) in lists {
        for name in ["clip.mp4", "clip.mkv", "clip"] {
            fs::write(dir.join(name), &list).unwrap();
            let output = interpolate(dir, &format!("{name} -o out.mp4")).output().unwrap();
            let stderr = stderr_of(&output);
            let errors = stderr.lines().filter(|line| !line.starts_with("hint: ")).count();
            assert!(!output.status.success() && errors == 1, "{format}: {stderr}");
            assert!(!dir.join("out.mp4").exists(), "{format}");
            // Builds of ffmpeg without DASH treat the list as text.
            if format != "dash" {
                assert!(
                    stderr.contains("playlist") && stderr.contains("--allow-playlists"),
                    "{stderr}"
                );
            }
            assert!(!stderr.contains("secret") && !stderr.contains("not on whitelist"), "{stderr}");
            fs::remove_file(dir.join(name)).unwrap();
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn allowed_playlists_are_read_from_local_files_only() {
    let folder = clips(&[SECRET]);
    let dir = folder.path();
    fs::create_dir(dir.join("other folder")).unwrap();
    let other = dir.join("other folder/b c.ts");
    fs::copy(dir.join("secret.ts"), &other).unwrap();
    let lists = [
        ("a.mp4", hls("secret.ts"), 10),
        ("b.mp4", "ffconcat version 1.0\nfile 'secret.ts'\nfile 'secret.ts'\n".to_owned(), 20),
        ("c.m3u8", hls("secret.ts"), 10),
        ("d.txt", format!("ffconcat version 1.0\nfile '{}'\n", other.display()), 10),
    ];
    for (name, list, frames) in lists {
        fs::write(dir.join(name), list).unwrap();
        succeed(interpolate(dir, &format!("{name} -o out.mkv --allow-playlists --overwrite")));
        assert_eq!(Media::probe(dir, "out.mkv").timestamps().len(), 2 * frames, "{name}");
    }
    fs::write(dir.join("far.mp4"), hls("http://127.0.0.1:9/secret.ts")).unwrap();
    let output = interpolate(dir, "far.mp4 -o far.mkv --allow-playlists").output().unwrap();
    let stderr = stderr_of(&output);
    assert!(!output.status.success() && !dir.join("far.mkv").exists(), "{stderr}");
    assert!(!stderr.contains("Connection"), "ffmpeg tried to connect: {stderr}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_command_that_opens_the_input_restricts_protocols_and_formats() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=440:d=0.4 -c:v libx264 -c:a aac \
         in.mp4",
    ]);
    let output = interpolate(folder.path(), "in.mp4 -o out.mkv --dry-run").output().unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    let commands = plan.lines().filter(|line| line.contains("in.mp4") && line.contains("ffmpeg"));
    let mut count = 0;
    for line in commands {
        let (before, _) = line.split_once("in.mp4").unwrap();
        let input = &before[before.rfind("-protocol_whitelist").unwrap_or(0)..];
        let input = input.replace('\'', "");
        let expected = "-protocol_whitelist file,pipe -format_whitelist mov -f mov -i ";
        assert!(input.starts_with(expected), "{line}");
        count += 1;
    }
    assert_eq!(count, 2, "expected decoding and joining: {plan}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn sdp_svg_and_raw_video_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n\
               a=rtpmap:96 H264/90000\n";
    fs::write(dir.join("clip.mp4"), sdp).unwrap();
    fail_with(interpolate(dir, "clip.mp4 -o out.mkv"), dir, "convert it first");
    let svg = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" \
               height=\"48\"><image href=\"secret.png\"/></svg>\n";
    fs::write(dir.join("clip.mov"), svg).unwrap();
    fail_with(interpolate(dir, "clip.mov -o out.mkv"), dir, "clip.mov");
    fs::write(dir.join("raw.yuv"), [128u8; 64 * 48 * 3 / 2]).unwrap();
    let stderr =
        fail_with(interpolate(dir, "raw.yuv -o out.mkv"), dir, "does not state its frame size");
    assert!(stderr.contains("hint: state them with --size WxH and --pix-fmt NAME"), "{stderr}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn animated_images_are_videos() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=10:d=0.8 -plays 0 -f apng a.png",
        "-i a.png -plays 0 -f apng a.apng",
        "-i a.png a.gif",
        "-i a.png -c:v libwebp_anim -lossless 1 a.webp",
        "-i a.png -frames:v 1 -update 1 one.png",
    ]);
    let dir = folder.path();
    for name in ["a.png", "a.apng", "a.gif", "a.webp"] {
        let args = format!("{name} -o out.mkv --codec ffv1 --overwrite");
        let stderr = succeed(interpolate(dir, &args));
        assert!(stderr.contains("16 frames"), "{name}: {stderr}");
        let timestamps = Media::probe(dir, "out.mkv").timestamps();
        assert!(timestamps.windows(2).all(|two| two[1] - two[0] == 50), "{name}: {timestamps:?}");
    }
    // Every second frame is a source frame, up to the rounding when frames of a WebP are blended.
    let pixels = |file: &str| {
        ffmpeg(dir, &format!("-i {file} -fps_mode passthrough -pix_fmt rgb24 -f rawvideo raw.rgb"));
        fs::read(dir.join("raw.rgb")).unwrap()
    };
    let (source, output) = (pixels("a.png"), pixels("out.mkv"));
    let frame = 64 * 48 * 3;
    assert_eq!((source.len(), output.len()), (8 * frame, 16 * frame));
    for (i, (a, b)) in source.chunks(frame).zip(output.chunks(2 * frame)).enumerate() {
        assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1), "frame {i}");
    }
    fs::copy(dir.join("a.webp"), dir.join("a.bin")).unwrap();
    succeed(interpolate(dir, "a.bin -o other.mkv --codec ffv1"));
    fail_with(interpolate(dir, "one.png -o x.mkv"), dir, "single image");
}

/// Runs `rife` with the output of a shell command as a process substitution: the input is a path
/// that leads to a pipe.
fn interpolate_from(dir: &Path, source: &str, args: &str) -> Output {
    let script = format!("exec \"$0\" \"$@\" <({source}) {args}");
    in_shell(Command::new("bash"), &script, &interpolate(dir, "")).output().unwrap()
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn pipes_are_read_as_inputs() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=440:d=0.4 -c:v libx264 -c:a aac \
         in.mkv",
        "-i in.mkv -movflags 0 -c copy in.mp4",
        "-i in.mkv -pix_fmt yuv420p -fps_mode passthrough in.y4m",
    ]);
    let dir = folder.path();
    let before = names(dir);
    for source in ["in.mkv", "in.mp4", "in.y4m"] {
        let output = interpolate_from(dir, &format!("cat {source}"), "-o out.mkv");
        assert!(output.status.success(), "{source}: {}", stderr_of(&output));
        let media = Media::probe(dir, "out.mkv");
        assert_eq!(media.timestamps().len(), 20, "{source}");
        if source != "in.y4m" {
            assert_eq!(media.entries("a", "codec_name"), ["aac"], "{source}");
        }
        fs::remove_file(dir.join("out.mkv")).unwrap();
        assert_eq!(names(dir), before, "{source}: other files are left");
    }
    // A FIFO whose name does not show its format.
    assert!(Command::new("mkfifo").arg(dir.join("fifo")).status().unwrap().success());
    let mut feeder =
        Command::new("sh").args(["-c", "cat in.mkv > fifo"]).current_dir(dir).spawn().unwrap();
    succeed(interpolate(dir, "fifo -o out.mkv"));
    feeder.wait().unwrap();
    assert_eq!(Media::probe(dir, "out.mkv").timestamps().len(), 20);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn unusable_pipes_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (source, args, message) in [
        ("true", "-o out.mkv", "nothing came through the pipe"),
        ("echo no video", "-o out.mkv", "ffprobe cannot read the file"),
        ("echo no video", "-o out.mkv --resume", "--resume needs"),
        (
            "printf '#EXTM3U\\n#EXT-X-TARGETDURATION:1\\n#EXTINF:1,\\nx.ts\\n'",
            "-o out.mkv",
            "playlist",
        ),
    ] {
        let output = interpolate_from(dir, source, args);
        let stderr = stderr_of(&output);
        let other = |line: &&str| !line.starts_with("note: ") && !line.starts_with("hint: ");
        let errors: Vec<_> = stderr.lines().filter(other).collect();
        assert!(!output.status.success() && errors.len() == 1, "{source}: {stderr}");
        assert!(errors[0].contains(message) && !errors[0].contains(".rife-"), "{source}: {stderr}");
        assert_eq!(names(dir), [""; 0], "{source}");
    }
    fail_with(interpolate(dir, "/dev/zero -o out.mkv"), dir, "a character device");
}
