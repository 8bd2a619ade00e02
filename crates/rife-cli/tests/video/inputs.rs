//! Inputs that are not plain video files: playlists, pipes, animations.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{badly, entry, ffmpeg, ffprobe, interpolate, names, said, times, well, with};

/// A clip that nobody wants in an output, as two files.
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
fn a_playlist_with_a_videos_name_is_refused_and_opens_no_other_file() {
    let folder = with(&[SECRET]);
    let here = folder.path();
    ffmpeg(here, "-i secret.ts -c copy secret.mp4");
    let secret = here.join("secret.ts");
    let lists = [
        hls("secret.ts"),
        hls(&secret.display().to_string()),
        hls(&format!("file://{}", secret.display())),
        "ffconcat version 1.0\nfile secret.ts\n".to_owned(),
        dash("secret.mp4"),
    ];
    for (list, kind) in lists.iter().zip(["hls", "hls", "hls", "concat", "dash"]) {
        for name in ["clip.mp4", "clip.mkv", "clip"] {
            fs::write(here.join(name), list).unwrap();
            let done = interpolate(here, &format!("{name} -o out.mp4")).output().unwrap();
            let said = said(&done);
            let errors = said.lines().filter(|line| !line.starts_with("hint: ")).count();
            assert!(!done.status.success() && errors == 1, "{kind}: {said}");
            assert!(!here.join("out.mp4").exists(), "{kind}");
            // A build without DASH takes the list for text.
            if kind != "dash" {
                assert!(said.contains("playlist") && said.contains("--allow-playlists"), "{said}");
            }
            assert!(!said.contains("secret") && !said.contains("not on whitelist"), "{said}");
            fs::remove_file(here.join(name)).unwrap();
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn allowed_playlists_are_read_from_local_files_only() {
    let folder = with(&[SECRET]);
    let here = folder.path();
    fs::create_dir(here.join("other folder")).unwrap();
    fs::copy(here.join("secret.ts"), here.join("other folder/b c.ts")).unwrap();
    let lists = [
        ("a.mp4", hls("secret.ts"), 10),
        ("b.mp4", "ffconcat version 1.0\nfile 'secret.ts'\nfile 'secret.ts'\n".to_owned(), 20),
        ("c.m3u8", hls("secret.ts"), 10),
        (
            "d.txt",
            format!(
                "ffconcat version 1.0\nfile '{}'\n",
                here.join("other folder/b c.ts").display()
            ),
            10,
        ),
    ];
    for (name, list, frames) in lists {
        fs::write(here.join(name), list).unwrap();
        well(interpolate(here, &format!("{name} -o out.mkv --allow-playlists --overwrite")));
        assert_eq!(times(here, "out.mkv").len(), 2 * frames, "{name}");
    }
    fs::write(here.join("far.mp4"), hls("http://127.0.0.1:9/secret.ts")).unwrap();
    let done = interpolate(here, "far.mp4 -o far.mkv --allow-playlists").output().unwrap();
    let said = said(&done);
    assert!(!done.status.success() && !here.join("far.mkv").exists(), "{said}");
    assert!(!said.contains("Connection"), "it was looked for: {said}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_command_that_opens_the_input_is_limited() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=440:d=0.4 -c:v libx264 -c:a aac \
         in.mp4",
    ]);
    let done = interpolate(folder.path(), "in.mp4 -o out.mkv --dry-run").output().unwrap();
    let plan = String::from_utf8(done.stdout).unwrap();
    let opens = plan.lines().filter(|line| line.contains("in.mp4") && line.contains("ffmpeg"));
    let mut count = 0;
    for line in opens {
        let (before, _) = line.split_once("in.mp4").unwrap();
        let input = &before[before.rfind("-protocol_whitelist").unwrap_or(0)..];
        let input = input.replace('\'', "");
        let expected = "-protocol_whitelist file,pipe -format_whitelist mov -f mov -i ";
        assert!(input.starts_with(expected), "{line}");
        count += 1;
    }
    assert_eq!(count, 2, "the decoder and the joining: {plan}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn other_content_that_names_files_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n\
               a=rtpmap:96 H264/90000\n";
    fs::write(here.join("clip.mp4"), sdp).unwrap();
    badly(interpolate(here, "clip.mp4 -o out.mkv"), here, "convert it first");
    let svg = "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" \
               height=\"48\"><image href=\"secret.png\"/></svg>\n";
    fs::write(here.join("clip.mov"), svg).unwrap();
    badly(interpolate(here, "clip.mov -o out.mkv"), here, "clip.mov");
    fs::write(here.join("raw.yuv"), [128u8; 64 * 48 * 3 / 2]).unwrap();
    badly(interpolate(here, "raw.yuv -o out.mkv"), here, "--pix-fmt");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn animated_pictures_are_videos() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=10:d=0.8 -plays 0 -f apng a.png",
        "-i a.png -plays 0 -f apng a.apng",
        "-i a.png a.gif",
        "-i a.png -c:v libwebp_anim -lossless 1 a.webp",
        "-i a.png -frames:v 1 -update 1 one.png",
    ]);
    let here = folder.path();
    for name in ["a.png", "a.apng", "a.gif", "a.webp"] {
        let text = well(interpolate(here, &format!("{name} -o out.mkv --codec ffv1 --overwrite")));
        assert!(text.contains("16 frames"), "{name}: {text}");
        let out = times(here, "out.mkv");
        let steps: Vec<_> = out.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| *step == 50), "{name}: {out:?}");
    }
    // Every second frame is the source's own, up to the rounding with which frames of a WebP are
    // laid over each other.
    let pixels = |from: &str| {
        ffmpeg(
            here,
            &format!("-i {from} -fps_mode passthrough -pix_fmt rgb24 -f rawvideo raw.rgb"),
        );
        fs::read(here.join("raw.rgb")).unwrap()
    };
    let (source, out) = (pixels("a.png"), pixels("out.mkv"));
    let frame = 64 * 48 * 3;
    assert_eq!((source.len(), out.len()), (8 * frame, 16 * frame));
    for (i, (a, b)) in source.chunks(frame).zip(out.chunks(2 * frame)).enumerate() {
        assert!(a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 1), "frame {i}");
    }
    fs::copy(here.join("a.webp"), here.join("a.bin")).unwrap();
    well(interpolate(here, "a.bin -o other.mkv --codec ffv1"));
    badly(interpolate(here, "one.png -o x.mkv"), here, "single image");
}

/// What a shell's process substitution gives: a path that leads to a pipe.
fn through_pipe(here: &Path, from: &str, args: &str) -> std::process::Output {
    let rife = interpolate(here, "");
    let command = format!("exec \"$0\" \"$@\" <({from}) {args}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &command]).arg(rife.get_program()).args(rife.get_args());
    for (key, value) in rife.get_envs() {
        shell.env(key, value.unwrap_or_default());
    }
    shell.current_dir(here).output().unwrap()
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn inputs_that_are_pipes_work() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -f lavfi -i sine=440:d=0.4 -c:v libx264 -c:a aac \
         in.mkv",
        "-i in.mkv -movflags 0 -c copy in.mp4",
        "-i in.mkv -pix_fmt yuv420p -fps_mode passthrough in.y4m",
    ]);
    let here = folder.path();
    let before = names(here);
    for from in ["in.mkv", "in.mp4", "in.y4m"] {
        let done = through_pipe(here, &format!("cat {from}"), "-o out.mkv");
        assert!(done.status.success(), "{from}: {}", said(&done));
        assert_eq!(times(here, "out.mkv").len(), 20, "{from}");
        if from != "in.y4m" {
            assert_eq!(entry(here, "out.mkv", "a", "codec_name"), ["aac"], "{from}");
        }
        fs::remove_file(here.join("out.mkv")).unwrap();
        assert_eq!(names(here), before, "{from}: nothing else is left");
    }
    // A FIFO, with a name that says nothing.
    assert!(Command::new("mkfifo").arg(here.join("fifo")).status().unwrap().success());
    let mut feeder =
        Command::new("sh").args(["-c", "cat in.mkv > fifo"]).current_dir(here).spawn().unwrap();
    well(interpolate(here, "fifo -o out.mkv"));
    feeder.wait().unwrap();
    assert_eq!(ffprobe(here, "-count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 out.mkv").trim().trim_matches(','), "20");
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn pipes_that_cannot_be_used_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (from, args, why) in [
        ("true", "-o out.mkv", "nothing came through the pipe"),
        ("echo no video", "-o out.mkv", "ffprobe cannot read the file"),
        ("echo no video", "-o out.mkv --resume", "--resume needs"),
        (
            "printf '#EXTM3U\\n#EXT-X-TARGETDURATION:1\\n#EXTINF:1,\\nx.ts\\n'",
            "-o out.mkv",
            "playlist",
        ),
    ] {
        let done = through_pipe(here, from, args);
        let said = said(&done);
        let errors: Vec<_> = said.lines().filter(|line| !line.starts_with("note: ")).collect();
        assert!(!done.status.success() && errors.len() == 1, "{from}: {said}");
        assert!(errors[0].contains(why) && !errors[0].contains(".rife-"), "{from}: {said}");
        assert_eq!(names(here), [""; 0], "{from}");
    }
    badly(interpolate(here, "/dev/zero -o out.mkv"), here, "a character device");
}
