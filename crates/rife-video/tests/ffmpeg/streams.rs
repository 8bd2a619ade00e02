//! Streams and metadata beside the video.

use rife_video::{Programs, Rational, probe};

use crate::support::{
    Clip, Media, Output, checked_encoding, clips, encode_and_join, ffmpeg, ffprobe, film,
    has_encoder,
};

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn other_streams_chapters_tags_and_dispositions_are_kept() {
    let folder = film("mkv");
    let dir = folder.path();
    ffmpeg(dir, "-i film.mkv -map 0 -c copy -c:s mov_text film.mp4");
    let programs = Programs::find(None).unwrap();
    for container in ["mp4", "mkv"] {
        let name = format!("film.{container}");
        let clip = Clip::decode(&programs, &dir.join(&name));
        let encoding = checked_encoding(&programs, &clip, container, "h264").unwrap();
        let pts: Vec<i64> = (0..clip.frames.len() as i64).map(|i| i * 1001).collect();
        let output = Output { container, original: Some(&dir.join(&name)), slow: false };
        let tick = Rational::new(1, 30000);
        encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output);
        let properties = |file: &str| {
            let entries = "-show_entries stream=codec_name:stream_tags=language,title:\
                           stream_disposition=default,forced:chapter=start_time,end_time:\
                           chapter_tags=title:format_tags=title -show_chapters -of flat";
            let text = ffprobe(dir, &format!("{entries} {file}"));
            // Time bases differ, and the video is a new stream.
            let ignored = [".time_base=", ".start=", ".end=", "stream.0.disposition"];
            let lines = text.lines().filter(|line| !ignored.iter().any(|key| line.contains(key)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let kept = properties(&format!("out.{container}"));
        assert!(kept.iter().any(|line| line.contains("deu")), "{container}: {kept:#?}");
        assert_eq!(kept, properties(&name), "{container}");
        if container == "mp4" {
            assert_eq!(Media::probe(dir, "out.mp4").timestamps(), pts);
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn every_audio_and_subtitle_codec_gets_into_every_container() {
    let programs = Programs::find(None).unwrap();
    let clip = Clip::gray("yuv420p", 96, 64, 12);
    let pts: Vec<i64> = (0..12).collect();
    let tick = Rational::new(1, 25);
    let audio_codecs = [
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
        let Some(encoding) = checked_encoding(&programs, &clip, container, codec) else { continue };
        let file = format!("out.{container}");
        for (codec, layout, source) in audio_codecs {
            if !has_encoder(codec) {
                continue;
            }
            let folder = clips(&[&format!(
                "-f lavfi -i testsrc2=s=96x64:r=25:d=0.5 -f lavfi \
                 -i 'anoisesrc=d=0.5:r=48000,aformat=channel_layouts={layout}' \
                 -c:v mpeg4 -c:a {codec} in.{source}"
            )]);
            let dir = folder.path();
            let original = dir.join(format!("in.{source}"));
            let output = Output { container, original: Some(&original), slow: false };
            encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output);
            let media = Media::probe(dir, &file);
            assert_eq!(media.entries("a", "codec_name").len(), 1, "{codec} in {container}");
            assert_eq!(media.entries("v", "codec_name").len(), 1, "{container}");
        }
        for subtitles in ["srt", "ass", "webvtt"] {
            let folder = film("mkv");
            let dir = folder.path();
            ffmpeg(dir, &format!("-i film.mkv -map 0 -c copy -c:s {subtitles} in.mkv"));
            let original = dir.join("in.mkv");
            let output = Output { container, original: Some(&original), slow: false };
            let reports = encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output);
            let kept = Media::probe(dir, &file).entries("s", "codec_name").len();
            let lost = reports.iter().any(|line| line.contains("lost: 1 subtitle stream"));
            assert_eq!(kept, usize::from(!lost), "{subtitles} in {container}: {reports:?}");
            assert_eq!(lost, container == "avi", "{subtitles} in {container}: {reports:?}");
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn cover_images_are_kept_and_not_used_as_the_video() {
    let folder = clips(&[
        "-f lavfi -i color=red:s=640x480 -frames:v 1 cover.jpg",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=0.5 -i cover.jpg -map 1 -map 0 -c:v:1 mpeg4 \
         -c:v:0 copy -disposition:v:0 attached_pic in.mp4",
    ]);
    let dir = folder.path();
    let programs = Programs::find(None).unwrap();
    let original = dir.join("in.mp4");
    let source = probe(&programs, &original).unwrap();
    assert_eq!((source.video.size.width, source.video.codec.as_str()), (96, "mpeg4"));
    let clip = Clip::decode(&programs, &original);
    let encoding = checked_encoding(&programs, &clip, "mp4", "mpeg4").unwrap();
    let pts: Vec<i64> = (0..clip.frames.len() as i64).collect();
    let tick = Rational::new(1, 25);
    for (container, videos) in [("mp4", 2), ("mkv", 2), ("mov", 1), ("avi", 1)] {
        let output = Output { container, original: Some(&original), slow: false };
        let reports = encode_and_join(&programs, &clip, &pts, tick, &encoding, dir, &output);
        let codecs = Media::probe(dir, &format!("out.{container}")).entries("v", "codec_name");
        assert_eq!(codecs.len(), videos, "{container}");
        assert_eq!(codecs[0], "mpeg4");
        let lost = reports.iter().any(|line| line.starts_with("lost: 1 cover"));
        assert_eq!(lost, videos == 1, "{container}: {reports:?}");
    }
}
