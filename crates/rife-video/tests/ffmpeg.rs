//! The doors to ffmpeg, with the ffmpeg that is here: what it says of clips, and what becomes of
//! their frames on the way through decoder, encoders of segments and the joining of these.

#[path = "ffmpeg/everything.rs"]
mod everything;
mod support;

use rife_video::{
    EncodingRequest, Hdr, Programs, Rational, RawFormat, StreamKind, check_encoding,
    choose_encoding, default_colour, effective_colour, probe, working_format,
};
use support::{
    Clip, Out, encoding, entry, ffmpeg, ffmpeg_has, ffprobe, frames, full, passed, request, times,
    trace, with,
};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn a_file_says_what_it_is() {
    let folder = full();
    let here = folder.path();
    ffmpeg(here, "-f lavfi -i testsrc=s=67x35:r=25:d=0.2 -pix_fmt yuv420p -c:v ffv1 odd.mkv");
    let programs = Programs::find(None).unwrap();
    if programs.version >= (6, 0) {
        ffmpeg(here, "-display_rotation:v:0 -90 -i full.mkv -map 0:v -c copy turned.mp4");
    } else {
        ffmpeg(here, "-i full.mkv -map 0:v -c copy -metadata:s:v:0 rotate=90 turned.mp4");
    }
    let full = probe(&programs, &here.join("full.mkv")).unwrap();
    let kinds: Vec<_> = full.streams.iter().map(|stream| stream.kind).collect();
    let (video, audio, text) = (StreamKind::Video, StreamKind::Audio, StreamKind::Subtitle);
    assert_eq!(kinds, [video, audio, audio, text]);
    assert_eq!((full.chapters, full.video.codec.as_str()), (2, "h264"));
    assert_eq!(full.streams[2].channels, 2);
    assert_eq!(full.video.rate, Some(Rational::new(30000, 1001)));
    // Matroska counts no frames: what lasts longer than the video may be counted, too.
    assert!(full.video.frames_estimated && full.video.frames.unwrap().abs_diff(36) < 2);
    assert_eq!(full.video.rotation, 0);
    let turned = probe(&programs, &here.join("turned.mp4")).unwrap().video.rotation;
    assert_eq!(turned.rem_euclid(180), 90);
    let odd = probe(&programs, &here.join("odd.mkv")).unwrap().video;
    assert_eq!((odd.size.width, odd.size.height), (67, 35));
    assert_eq!(working_format(&odd).raw.frame_bytes(), 67 * 35 + 2 * 34 * 18);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn names_that_look_like_something_else_are_names() {
    let folder = with(&["-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1 a.mkv"]);
    let programs = Programs::find(None).unwrap();
    for name in ["-i.mkv", "a:b.mkv", "%03d.mkv", "it's a 'name'.mkv", "data:,x.mkv", "ä ö.mkv"] {
        let path = folder.path().join(name);
        std::fs::rename(folder.path().join("a.mkv"), &path).unwrap();
        assert_eq!(frames(&programs, &path).len(), 5, "{name}");
        std::fs::rename(&path, folder.path().join("a.mkv")).unwrap();
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_is_no_video_is_refused_in_one_line() {
    let folder = with(&[
        "-f lavfi -i sine=440:d=0.3 -c:a aac sound.m4a",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 whole.mp4",
    ]);
    let here = folder.path();
    let whole = std::fs::read(here.join("whole.mp4")).unwrap();
    std::fs::write(here.join("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(here.join("empty.mp4"), b"").unwrap();
    std::fs::write(here.join("text.mp4"), b"this is no video\n".repeat(99)).unwrap();
    let programs = Programs::find(None).unwrap();
    for (name, why) in [
        ("sound.m4a", "the file has audio but no video"),
        ("cut.mp4", "moov atom not found"),
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "ffprobe cannot read the file"),
        ("none.mp4", "not found"),
    ] {
        let error = probe(&programs, &here.join(name)).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(name), "{name}: {error}");
        assert!(!error.contains('\n') && !error.contains("0x"), "{name}: {error}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn times_are_exact_through_every_encoder() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 45);
    let constant: Vec<i64> = (0..45).map(|i| i * 1001).collect();
    let varying: Vec<i64> = (0..45).map(|i| 1000 * i + i * i * 7 % 613 + 40 * i * i).collect();
    for codec in ["h264", "h265", "mpeg4", "ffv1", "vp9", "av1", "prores", "mjpeg"] {
        let mov = matches!(codec, "ffv1" | "prores" | "mjpeg");
        let Some(encoding) = encoding(&programs, &clip, if mov { "mov" } else { "mp4" }, codec)
        else {
            continue;
        };
        // Of one frame alone nobody could tell a rate.
        for (pts, many) in [(&constant, 45), (&varying, 45), (&varying, 1), (&varying, 11)] {
            let pts = &pts[..many].to_vec();
            let folder = tempfile::tempdir().unwrap();
            let out = Out { container: encoding.container.as_str(), ..Out::default() };
            let tick = Rational::new(1, 60000);
            passed(&programs, &clip, pts, tick, &encoding, folder.path(), &out);
            let name = format!("out.{}", out.container);
            assert_eq!(entry(folder.path(), &name, "v:0", "time_base"), ["1/60000"], "{codec}");
            assert_eq!(times(folder.path(), &name), *pts, "{codec}");
            if pts == &constant {
                let rate = entry(folder.path(), &name, "v:0", "r_frame_rate");
                assert_eq!(rate, ["60000/1001"], "{codec}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_lies_beside_the_frames_is_kept() {
    let folder = full();
    let here = folder.path();
    ffmpeg(here, "-i full.mkv -map 0 -c copy -c:s mov_text full.mp4");
    let programs = Programs::find(None).unwrap();
    for container in ["mp4", "mkv"] {
        let name = format!("full.{container}");
        let clip = Clip::of(&programs, &here.join(&name));
        let encoding = encoding(&programs, &clip, container, "h264").unwrap();
        let pts: Vec<i64> = (0..clip.frames.len() as i64).map(|i| i * 1001).collect();
        let out = Out { container, original: Some(&here.join(&name)), slow: false };
        let tick = Rational::new(1, 30000);
        passed(&programs, &clip, &pts, tick, &encoding, here, &out);
        let what = "-show_entries stream=codec_name:stream_tags=language,title:stream_disposition=\
                    default,forced:chapter=start_time,end_time:chapter_tags=title:\
                    format_tags=title -show_chapters -of flat";
        let of = |file: &str| {
            let said = ffprobe(here, &format!("{what} {file}"));
            let ticks = [".time_base=", ".start=", ".end=", "stream.0.disposition"];
            let lines = said.lines().filter(|line| !ticks.iter().any(|tick| line.contains(tick)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let made = of(&format!("out.{container}"));
        assert!(made.iter().any(|line| line.contains("deu")), "{container}: {made:#?}");
        assert_eq!(made, of(&name), "{container}");
        if container == "mp4" {
            assert_eq!(times(here, "out.mp4"), pts);
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn sound_and_text_of_any_kind_get_into_every_container() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 12);
    let pts: Vec<i64> = (0..12).collect();
    let tick = Rational::new(1, 25);
    let sounds = [
        ("pcm_s16be", "stereo", "mov"),
        ("flac", "stereo", "mkv"),
        ("ac3", "5.1(side)", "mkv"),
        ("libopus", "stereo", "mkv"),
        ("adpcm_ima_wav", "mono", "mkv"),
        ("adpcm_ima_qt", "mono", "mov"),
        ("wavpack", "stereo", "mkv"),
        ("alac", "5.1", "mov"),
    ];
    for container in ["mp4", "mov", "mkv", "webm", "avi"] {
        let codec = if container == "webm" { "vp9" } else { "mpeg4" };
        let Some(encoding) = encoding(&programs, &clip, container, codec) else { continue };
        for (codec, layout, source) in sounds {
            if !ffmpeg_has(codec) {
                continue;
            }
            let folder = with(&[&format!(
                "-f lavfi -i testsrc2=s=96x64:r=25:d=0.5 -f lavfi \
                 -i 'anoisesrc=d=0.5:r=48000,aformat=channel_layouts={layout}' \
                 -c:v mpeg4 -c:a {codec} in.{source}"
            )]);
            let original = folder.path().join(format!("in.{source}"));
            let out = Out { container, original: Some(&original), slow: false };
            passed(&programs, &clip, &pts, tick, &encoding, folder.path(), &out);
            let name = format!("out.{container}");
            let there = entry(folder.path(), &name, "a", "codec_name");
            assert_eq!(there.len(), 1, "{codec} in {container}");
            assert_eq!(entry(folder.path(), &name, "v", "codec_name").len(), 1, "{container}");
        }
        let folder = full();
        for subtitles in ["srt", "ass", "webvtt"] {
            ffmpeg(folder.path(), &format!("-i full.mkv -map 0 -c copy -c:s {subtitles} in.mkv"));
            let original = folder.path().join("in.mkv");
            let out = Out { container, original: Some(&original), slow: false };
            let notes = passed(&programs, &clip, &pts, tick, &encoding, folder.path(), &out);
            let there = entry(folder.path(), &format!("out.{container}"), "s", "codec_name");
            let left = notes.iter().any(|note| note.contains("lost: 1 subtitle stream"));
            assert_eq!(there.len(), usize::from(!left), "{subtitles} in {container}: {notes:?}");
            assert_eq!(left, container == "avi", "{subtitles} in {container}: {notes:?}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn covers_go_along_and_are_not_taken_for_the_video() {
    let folder = with(&[
        "-f lavfi -i color=red:s=640x480 -frames:v 1 cover.jpg",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=0.5 -i cover.jpg -map 1 -map 0 -c:v:1 mpeg4 \
         -c:v:0 copy -disposition:v:0 attached_pic in.mp4",
    ]);
    let programs = Programs::find(None).unwrap();
    let original = folder.path().join("in.mp4");
    let source = probe(&programs, &original).unwrap();
    assert_eq!((source.video.size.width, source.video.codec.as_str()), (96, "mpeg4"));
    let clip = Clip::of(&programs, &original);
    let encoding = encoding(&programs, &clip, "mp4", "mpeg4").unwrap();
    let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
    let tick = Rational::new(1, 25);
    for (container, videos) in [("mp4", 2), ("mkv", 2), ("mov", 1), ("avi", 1)] {
        let out = Out { container, original: Some(&original), slow: false };
        let notes = passed(&programs, &clip, &pts, tick, &encoding, folder.path(), &out);
        let there = entry(folder.path(), &format!("out.{container}"), "v", "codec_name");
        assert_eq!(there.len(), videos, "{container}");
        assert_eq!(there[0], "mpeg4");
        let lost = notes.iter().any(|note| note.starts_with("lost: 1 cover"));
        assert_eq!(lost, videos == 1, "{container}: {notes:?}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn colours_are_those_of_the_original() {
    let programs = Programs::find(None).unwrap();
    let pts: Vec<i64> = (0..6).collect();
    for (codec, container) in [
        ("h264", "mp4"),
        ("h265", "mp4"),
        ("ffv1", "mkv"),
        ("prores", "mov"),
        ("vp9", "webm"),
        ("h264", "mkv"),
    ] {
        for said in [
            ["tv", "bt709", "bt709", "bt709"],
            ["tv", "bt470bg", "bt470bg", "bt470bg"],
            ["tv", "smpte170m", "bt470m", "smpte170m"],
            ["tv", "bt2020nc", "arib-std-b67", "bt2020"],
            ["pc", "smpte170m", "smpte170m", "smpte170m"],
        ] {
            let mut clip = Clip::gray("yuv420p", 96, 64, 6);
            let [range, matrix, transfer, primaries] = said.map(|word| Some(word.to_owned()));
            clip.colour.range = range;
            clip.colour.matrix = matrix;
            clip.colour.transfer = transfer;
            clip.colour.primaries = primaries;
            let Some(encoding) = encoding(&programs, &clip, container, codec) else { continue };
            let folder = tempfile::tempdir().unwrap();
            let out = Out { container, ..Out::default() };
            passed(&programs, &clip, &pts, Rational::new(1, 25), &encoding, folder.path(), &out);
            let made = probe(&programs, &folder.path().join(format!("out.{container}"))).unwrap();
            let made = made.video.colour;
            let what = format!("{codec} in {container}");
            assert_eq!(made.matrix, clip.colour.matrix, "{what}");
            assert_eq!(made.primaries, clip.colour.primaries, "{what}");
            // VP9 and ProRes have no word of their own for some of these.
            if !matches!(codec, "vp9" | "prores") || matches!(said[2], "bt709" | "arib-std-b67") {
                assert_eq!(made.transfer, clip.colour.transfer, "{what}");
            }
            if codec != "prores" {
                assert_eq!(made.range, clip.colour.range, "{what}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn lossless_is_bit_for_bit() {
    let programs = Programs::find(None).unwrap();
    for (format, size) in [
        ("yuv420p", "67x35"),
        ("yuv422p10le", "64x48"),
        ("yuv444p12le", "67x35"),
        ("yuv420p16le", "64x48"),
        ("gray", "67x35"),
        ("gray10le", "64x48"),
        ("bgr0", "64x48"),
        ("gbrp16le", "64x48"),
    ] {
        let folder = with(&[&format!(
            "-f lavfi -i testsrc=s={size}:r=25:d=0.3 -pix_fmt {format} -c:v ffv1 in.mkv"
        )]);
        let clip = Clip::of(&programs, &folder.path().join("in.mkv"));
        let encoding = encoding(&programs, &clip, "mkv", "ffv1").unwrap();
        assert_eq!(encoding.raw, clip.raw, "{format}");
        let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
        let out = Out { container: "mkv", ..Out::default() };
        passed(&programs, &clip, &pts, Rational::new(1, 25), &encoding, folder.path(), &out);
        let made = Clip::of(&programs, &folder.path().join("out.mkv"));
        assert_eq!(made.raw, clip.raw, "{format}");
        assert!(made.frames == clip.frames, "{format} of {size} changes");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn high_dynamic_range_is_kept() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=96x64:r=24:d=0.5 -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)\
         WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv \
         -vf setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc \
         hdr.mp4",
    ]);
    let programs = Programs::find(None).unwrap();
    let source = probe(&programs, &folder.path().join("hdr.mp4")).unwrap();
    let hdr = source.video.hdr;
    assert_eq!(hdr.content_light, Some((1000, 400)));
    let display = hdr.mastering.unwrap();
    assert_eq!(display.primaries[1], [0.265, 0.69]);
    assert_eq!(display.luminance, [0.0001, 1000.0]);
    let clip = Clip::of(&programs, &folder.path().join("hdr.mp4"));
    let working = working_format(&source.video);
    let place = effective_colour(&source.video, &working).chroma_location;
    assert!(matches!(place.as_deref(), Some("topleft" | "left")), "{place:?}");

    let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
    for (codec, extra) in [
        ("h265", None),
        ("h265", Some("-x265-params ref=2 -preset ultrafast")),
        ("libx264", None),
        ("libsvtav1", None),
    ] {
        if codec.starts_with("lib") && !ffmpeg_has(codec) {
            continue;
        }
        let chosen = choose_encoding(
            &programs,
            &EncodingRequest { extra, codec: Some(codec), hdr: &hdr, ..request(&clip, "mp4") },
        )
        .unwrap();
        assert!(chosen.notes.is_empty(), "{:?}", chosen.notes);
        check_encoding(&programs, &chosen).unwrap();
        let out = Out { container: "mp4", ..Out::default() };
        passed(&programs, &clip, &pts, Rational::new(1, 24), &chosen, folder.path(), &out);
        let made = probe(&programs, &folder.path().join("out.mp4")).unwrap().video;
        assert_eq!(made.pix_fmt, "yuv420p10le", "{codec}");
        if codec == "libx264" {
            // Which ffprobe reads since its release 6.
            let headers = trace(folder.path(), "out.mp4");
            for part in ["max_display_mastering_luminance", "max_content_light_level"] {
                assert!(headers.contains(part), "{part}");
            }
            continue;
        }
        assert_eq!(made.hdr.content_light, hdr.content_light, "{codec}");
        let kept = made.hdr.mastering.unwrap();
        for (kept, display) in kept.primaries.iter().zip(&display.primaries) {
            let near = |axis: usize| (kept[axis] - display[axis]).abs() < 3e-5;
            assert!(near(0) && near(1), "{codec}: {kept:?}");
        }
        assert!((kept.luminance[1] - 1000.0).abs() < 1e-3, "{codec}");
        if codec == "h265" {
            assert_eq!(entry(folder.path(), "out.mp4", "v:0", "codec_tag_string"), ["hvc1"]);
        }
    }
    let none = EncodingRequest { codec: Some("vp9"), hdr: &hdr, ..request(&clip, "webm") };
    assert!(choose_encoding(&programs, &none).unwrap().notes[0].contains("mastering"));
    let dolby = Hdr { dolby_vision: Some(8), ..Hdr::default() };
    let none = EncodingRequest { hdr: &dolby, ..request(&clip, "mp4") };
    assert!(choose_encoding(&programs, &none).unwrap().notes[0].contains("Dolby"));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn what_cannot_be_written_is_said_before_the_work() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 2);
    let checked = |container: &str, codec: &str, preset: Option<&str>, extra: Option<&str>| {
        let request =
            EncodingRequest { codec: Some(codec), preset, extra, ..request(&clip, container) };
        let error = choose_encoding(&programs, &request)
            .and_then(|chosen| check_encoding(&programs, &chosen));
        error.err().map(|error| error.to_string())
    };
    for (container, codec, preset, extra, why) in [
        ("mp4", "prores", None, None, ".mp4 does not support the output of prores"),
        ("webm", "h264", None, None, ".webm does not support the output of"),
        ("mov", "vp9", None, None, ".mov does not support the output of"),
        ("mp4", "h264", Some("nope"), None, "nope"),
        ("mp4", "h265", Some("nope"), None, "nope"),
        ("mp4", "mpeg4", Some("fast"), None, "no presets"),
        ("mp4", "h264", None, Some("-no_such_option 1"), "no_such_option"),
        ("mp4", "h264", None, Some("'"), "quote"),
        ("mp4", "nonsense", None, None, "no encoder for nonsense"),
    ] {
        let what = format!("{codec} {preset:?} {extra:?} in {container}");
        let error = checked(container, codec, preset, extra).expect(&what);
        assert!(error.contains(why), "{what}: {error}");
        assert!(!error.contains('\n') && !error.contains("[info]"), "{what}: {error}");
    }
    for container in ["mp4", "m4v", "mov", "mkv"] {
        assert_eq!(checked(container, "h265", None, None), None, "{container}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn any_size_and_format_has_an_encoder_by_default() {
    let programs = Programs::find(None).unwrap();
    for container in ["mp4", "m4v", "mov", "mkv", "webm", "avi"] {
        for (format, w, h) in [
            ("yuv420p", 67, 65),
            ("yuv420p", 48, 48),
            ("yuv422p", 67, 64),
            ("yuv420p10le", 96, 65),
            ("yuv444p12le", 67, 35),
            ("yuv422p16le", 64, 48),
            ("gray", 64, 48),
            ("gray16le", 67, 65),
            ("gbrp", 67, 65),
            ("gbrp16le", 96, 64),
        ] {
            let clip = Clip::gray(format, w, h, 2);
            let chosen = choose_encoding(&programs, &request(&clip, container)).unwrap();
            let what = format!("{format} {w}x{h} in {container}: {chosen:?}");
            check_encoding(&programs, &chosen).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(chosen.raw.size, clip.raw.size, "{what}");
            // What is deep stays deep wherever the encoder can.
            assert_eq!(chosen.raw.depth > 8, clip.raw.depth > 8, "{what}");
        }
    }
}

#[test]
fn colours_by_custom_follow_the_size() {
    let of = |w, h| default_colour(rife_runtime::FrameSize::new(w, h)).matrix.unwrap();
    assert_eq!([of(1280, 544), of(720, 576), of(720, 480)], ["bt709", "bt470bg", "smpte170m"]);
    let size = rife_runtime::FrameSize::new(4, 4);
    assert!(RawFormat::from_pix_fmt("nv12", size).is_none());
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn avi_has_the_rate_and_no_empty_frames() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 30);
    let pts: Vec<i64> = (0..30).map(|i| i * 1001).collect();
    for codec in ["mpeg4", "h264", "ffv1"] {
        let Some(encoding) = encoding(&programs, &clip, "avi", codec) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let out = Out { container: "avi", ..Out::default() };
        passed(&programs, &clip, &pts, Rational::new(1, 60000), &encoding, folder.path(), &out);
        let said = entry(folder.path(), "out.avi", "v:0", "r_frame_rate,nb_frames");
        assert_eq!(said, ["60000/1001,30"], "{codec}");
    }
}
