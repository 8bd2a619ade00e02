//! Choice of encoders and pixel formats.

use rife_video::{EncodingRequest, Programs, Rational, check_encoding, choose_encoding};

use crate::support::{Clip, Output, checked_encoding, clips, encode_and_join, request};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn lossless_encoding_is_bit_for_bit() {
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
        let folder = clips(&[&format!(
            "-f lavfi -i testsrc=s={size}:r=25:d=0.3 -pix_fmt {format} -c:v ffv1 in.mkv"
        )]);
        let dir = folder.path();
        let clip = Clip::decode(&programs, &dir.join("in.mkv"));
        let encoding = checked_encoding(&programs, &clip, "mkv", "ffv1").unwrap();
        assert_eq!(encoding.raw, clip.raw, "{format}");
        let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
        let output = Output { container: "mkv", ..Output::default() };
        encode_and_join(&programs, &clip, &pts, Rational::new(1, 25), &encoding, dir, &output);
        let decoded = Clip::decode(&programs, &dir.join("out.mkv"));
        assert_eq!(decoded.raw, clip.raw, "{format}");
        assert!(decoded.frames == clip.frames, "{format} of {size} changes");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn invalid_encoder_settings_are_refused_before_encoding() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 2);
    let check = |container: &str, codec: &str, preset: Option<&str>, extra: Option<&str>| {
        let request =
            EncodingRequest { codec: Some(codec), preset, extra, ..request(&clip, container) };
        let error = choose_encoding(&programs, &request)
            .and_then(|encoding| check_encoding(&programs, &encoding));
        error.err().map(|error| error.to_string())
    };
    for (container, codec, preset, extra, message) in [
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
        let case = format!("{codec} {preset:?} {extra:?} in {container}");
        let error = check(container, codec, preset, extra).expect(&case);
        assert!(error.contains(message), "{case}: {error}");
        assert!(!error.contains('\n') && !error.contains("[info]"), "{case}: {error}");
    }
    for container in ["mp4", "m4v", "mov", "mkv"] {
        assert_eq!(check(container, "h265", None, None), None, "{container}");
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_size_and_format_has_a_default_encoder() {
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
            let encoding = choose_encoding(&programs, &request(&clip, container)).unwrap();
            let case = format!("{format} {w}x{h} in {container}: {encoding:?}");
            check_encoding(&programs, &encoding).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(encoding.raw.size, clip.raw.size, "{case}");
            // Encoders get more than 8 bits if and only if the source has them.
            assert_eq!(encoding.raw.depth > 8, clip.raw.depth > 8, "{case}");
        }
    }
}
