//! Colours and HDR metadata.

use rife_video::{
    EncodingRequest, Hdr, Programs, Rational, check_encoding, choose_encoding, effective_colour,
    probe, working_format,
};

use crate::support::{
    Clip, Media, Output, checked_encoding, clips, encode_and_join, has_encoder, request,
    trace_headers,
};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn colour_tags_of_the_source_are_kept() {
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
        for tags in [
            ["tv", "bt709", "bt709", "bt709"],
            ["tv", "bt470bg", "bt470bg", "bt470bg"],
            ["tv", "smpte170m", "bt470m", "smpte170m"],
            ["tv", "bt2020nc", "arib-std-b67", "bt2020"],
            ["pc", "smpte170m", "smpte170m", "smpte170m"],
        ] {
            let mut clip = Clip::gray("yuv420p", 96, 64, 6);
            let [range, matrix, transfer, primaries] = tags.map(|tag| Some(tag.to_owned()));
            clip.colour.range = range;
            clip.colour.matrix = matrix;
            clip.colour.transfer = transfer;
            clip.colour.primaries = primaries;
            let Some(encoding) = checked_encoding(&programs, &clip, container, codec) else {
                continue;
            };
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path();
            let output = Output { container, ..Output::default() };
            let tick = Rational::new(1, 25);
            encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output);
            let colour = probe(&programs, &dir.join(format!("out.{container}"))).unwrap();
            let colour = colour.video.colour;
            let case = format!("{codec} in {container}");
            assert_eq!(colour.matrix, clip.colour.matrix, "{case}");
            assert_eq!(colour.primaries, clip.colour.primaries, "{case}");
            // VP9 and ProRes cannot represent some of these.
            if !matches!(codec, "vp9" | "prores") || matches!(tags[2], "bt709" | "arib-std-b67") {
                assert_eq!(colour.transfer, clip.colour.transfer, "{case}");
            }
            if codec != "prores" {
                assert_eq!(colour.range, clip.colour.range, "{case}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn hdr_metadata_is_kept_or_its_loss_noted() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=96x64:r=24:d=0.5 -pix_fmt yuv420p10le -c:v libx265 -x265-params \
         'log-level=error:repeat-headers=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)\
         WP(15635,16450)L(10000000,1):max-cll=1000,400' -color_primaries bt2020 \
         -color_trc smpte2084 -colorspace bt2020nc -color_range tv \
         -vf setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc \
         hdr.mp4",
    ]);
    let dir = folder.path();
    let programs = Programs::find(None).unwrap();
    let source = probe(&programs, &dir.join("hdr.mp4")).unwrap();
    let hdr = source.video.hdr;
    assert_eq!(hdr.content_light, Some((1000, 400)));
    let mastering = hdr.mastering.unwrap();
    assert_eq!(mastering.primaries[1], [0.265, 0.69]);
    assert_eq!(mastering.luminance, [0.0001, 1000.0]);
    let clip = Clip::decode(&programs, &dir.join("hdr.mp4"));
    let working = working_format(&source.video);
    let location = effective_colour(&source.video, &working).chroma_location;
    assert!(matches!(location.as_deref(), Some("topleft" | "left")), "{location:?}");

    let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
    for (codec, extra) in [
        ("h265", None),
        ("h265", Some("-x265-params ref=2 -preset ultrafast")),
        ("libx264", None),
        ("libsvtav1", None),
    ] {
        if codec.starts_with("lib") && !has_encoder(codec) {
            continue;
        }
        let request =
            EncodingRequest { extra, codec: Some(codec), hdr: &hdr, ..request(&clip, "mp4") };
        let encoding = choose_encoding(&programs, &request).unwrap();
        assert!(encoding.notes.is_empty(), "{:?}", encoding.notes);
        check_encoding(&programs, &encoding).unwrap();
        let output = Output { container: "mp4", ..Output::default() };
        encode_and_join(&programs, &clip, &pts, Rational::new(1, 24), &encoding, dir, &output);
        let video = probe(&programs, &dir.join("out.mp4")).unwrap().video;
        assert_eq!(video.pix_fmt, "yuv420p10le", "{codec}");
        if codec == "libx264" {
            // ffprobe reads these of H.264 since version 6.
            let headers = trace_headers(dir, "out.mp4");
            for part in ["max_display_mastering_luminance", "max_content_light_level"] {
                assert!(headers.contains(part), "{part}");
            }
            continue;
        }
        assert_eq!(video.hdr.content_light, hdr.content_light, "{codec}");
        let kept = video.hdr.mastering.unwrap();
        for (kept, expected) in kept.primaries.iter().zip(&mastering.primaries) {
            let near = |axis: usize| (kept[axis] - expected[axis]).abs() < 3e-5;
            assert!(near(0) && near(1), "{codec}: {kept:?}");
        }
        assert!((kept.luminance[1] - 1000.0).abs() < 1e-3, "{codec}");
        if codec == "h265" {
            let media = Media::probe(dir, "out.mp4");
            assert_eq!(media.entries("v:0", "codec_tag_string"), ["hvc1"]);
        }
    }
    let vp9 = EncodingRequest { codec: Some("vp9"), hdr: &hdr, ..request(&clip, "webm") };
    assert!(choose_encoding(&programs, &vp9).unwrap().notes[0].contains("mastering"));
    let dolby_vision = Hdr { dolby_vision: Some(8), ..Hdr::default() };
    let dolby = EncodingRequest { hdr: &dolby_vision, ..request(&clip, "mp4") };
    assert!(choose_encoding(&programs, &dolby).unwrap().notes[0].contains("Dolby"));
}
