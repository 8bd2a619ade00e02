//! What is read from a file before it is decoded.

use rife_video::{
    Programs, Rational, RawFormat, StreamKind, default_colour, probe, working_format,
};

use crate::support::{clips, copy_rotated, decode_frames, ffmpeg, film};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn probe_reads_streams_rate_size_and_rotation() {
    let folder = film("mkv");
    let dir = folder.path();
    ffmpeg(dir, "-f lavfi -i testsrc=s=67x35:r=25:d=0.2 -pix_fmt yuv420p -c:v ffv1 odd.mkv");
    copy_rotated(dir, "film.mkv", "rotated.mp4");
    let programs = Programs::find(None).unwrap();
    let film = probe(&programs, &dir.join("film.mkv")).unwrap();
    let kinds: Vec<_> = film.streams.iter().map(|stream| stream.kind).collect();
    let (video, audio, subtitle) = (StreamKind::Video, StreamKind::Audio, StreamKind::Subtitle);
    assert_eq!(kinds, [video, audio, audio, subtitle]);
    assert_eq!((film.chapters, film.video.codec.as_str()), (2, "h264"));
    assert_eq!(film.streams[2].channels, 2);
    assert_eq!(film.video.rate, Some(Rational::new(30000, 1001)));
    // Matroska stores no frame count: the estimate may include the time after the last frame, in
    // which other streams continue.
    assert!(film.video.frames_estimated && film.video.frames.unwrap().abs_diff(36) < 2);
    assert_eq!(film.video.rotation, 0);
    let rotation = probe(&programs, &dir.join("rotated.mp4")).unwrap().video.rotation;
    assert_eq!(rotation.rem_euclid(180), 90);
    let odd = probe(&programs, &dir.join("odd.mkv")).unwrap().video;
    assert_eq!((odd.size.width, odd.size.height), (67, 35));
    assert_eq!(working_format(&odd).raw.frame_bytes(), 67 * 35 + 2 * 34 * 18);
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn file_names_are_not_parsed_as_options_protocols_or_patterns() {
    let folder = clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=0.2 -c:v ffv1 a.mkv"]);
    let programs = Programs::find(None).unwrap();
    for name in ["-i.mkv", "a:b.mkv", "%03d.mkv", "it's a 'name'.mkv", "data:,x.mkv", "ä ö.mkv"] {
        let path = folder.path().join(name);
        std::fs::rename(folder.path().join("a.mkv"), &path).unwrap();
        assert_eq!(decode_frames(&programs, &path).len(), 5, "{name}");
        std::fs::rename(&path, folder.path().join("a.mkv")).unwrap();
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn files_that_are_not_videos_are_refused_in_one_line() {
    let folder = clips(&[
        "-f lavfi -i sine=440:d=0.3 -c:a aac sound.m4a",
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v libx264 whole.mp4",
    ]);
    let dir = folder.path();
    let whole = std::fs::read(dir.join("whole.mp4")).unwrap();
    std::fs::write(dir.join("cut.mp4"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(dir.join("empty.mp4"), b"").unwrap();
    std::fs::write(dir.join("text.mp4"), b"this is no video\n".repeat(99)).unwrap();
    let programs = Programs::find(None).unwrap();
    for (name, message) in [
        ("sound.m4a", "the file has audio but no video"),
        ("cut.mp4", "moov atom not found"),
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "ffprobe cannot read the file"),
        ("none.mp4", "not found"),
    ] {
        let error = probe(&programs, &dir.join(name)).unwrap_err().to_string();
        assert!(error.contains(message) && error.contains(name), "{name}: {error}");
        assert!(!error.contains('\n') && !error.contains("0x"), "{name}: {error}");
    }
}

#[test]
fn default_colours_depend_on_the_size() {
    let matrix = |w, h| default_colour(rife_runtime::FrameSize::new(w, h)).matrix.unwrap();
    let matrices = [matrix(1280, 544), matrix(720, 576), matrix(720, 480)];
    assert_eq!(matrices, ["bt709", "bt470bg", "smpte170m"]);
}

#[test]
fn semi_planar_formats_are_not_supported() {
    assert!(RawFormat::from_pix_fmt("nv12", rife_runtime::FrameSize::new(4, 4)).is_none());
}
