//! Timestamps and frame rates of encoded and joined segments.

use rife_video::{Programs, Rational};

use crate::support::{Clip, Media, Output, checked_encoding, encode_and_join};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn timestamps_are_exact_with_every_encoder() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 45);
    let constant: Vec<i64> = (0..45).map(|i| i * 1001).collect();
    let varying: Vec<i64> = (0..45).map(|i| 1000 * i + i * i * 7 % 613 + 40 * i * i).collect();
    for codec in ["h264", "h265", "mpeg4", "ffv1", "vp9", "av1", "prores", "mjpeg"] {
        let mov = matches!(codec, "ffv1" | "prores" | "mjpeg");
        let container = if mov { "mov" } else { "mp4" };
        let Some(encoding) = checked_encoding(&programs, &clip, container, codec) else { continue };
        // One and eleven frames: a segment of a single frame does not determine a rate.
        for (pts, frames) in [(&constant, 45), (&varying, 45), (&varying, 1), (&varying, 11)] {
            let pts = &pts[..frames];
            let folder = tempfile::tempdir().unwrap();
            let dir = folder.path();
            let output = Output { container: encoding.container.as_str(), ..Output::default() };
            let tick = Rational::new(1, 60000);
            encode_and_join(&programs, &clip, pts, tick, &encoding, dir, &output);
            let media = Media::probe(dir, &format!("out.{}", output.container));
            assert_eq!(media.entries("v:0", "time_base"), ["1/60000"], "{codec}");
            assert_eq!(media.timestamps(), *pts, "{codec}");
            if pts == constant {
                assert_eq!(media.entries("v:0", "r_frame_rate"), ["60000/1001"], "{codec}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn avi_has_the_exact_rate_and_no_empty_frames() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 30);
    let pts: Vec<i64> = (0..30).map(|i| i * 1001).collect();
    let tick = Rational::new(1, 60000);
    for codec in ["mpeg4", "h264", "ffv1"] {
        let Some(encoding) = checked_encoding(&programs, &clip, "avi", codec) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let output = Output { container: "avi", ..Output::default() };
        encode_and_join(&programs, &clip, &pts, tick, &encoding, folder.path(), &output);
        let media = Media::probe(folder.path(), "out.avi");
        assert_eq!(media.entries("v:0", "r_frame_rate,nb_frames"), ["60000/1001,30"], "{codec}");
    }
}
