//! How the streams and tags of the original get into each container. ffmpeg reports what it cannot
//! write only at the end of a long job, so it is never asked to.

use crate::ffmpeg::media::Stream;

/// How a stream gets into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// Copied.
    Copy,
    /// Encoded with this encoder and further options.
    Encode(&'static str, Vec<(&'static str, String)>),
    /// As an attachment, with this file extension and MIME type.
    Attach(&'static str, &'static str),
    /// Not at all.
    Drop,
}

/// ffmpeg's muxer for a file extension. The default one for .m4v only accepts H.264.
pub(super) fn muxer(container: &str) -> Option<&'static str> {
    Some(match container {
        "mp4" | "m4v" => "mp4",
        "mov" => "mov",
        "mkv" => "matroska",
        "webm" => "webm",
        "avi" => "avi",
        _ => return None,
    })
}

/// How audio gets into a container.
pub(super) fn audio(container: &str, stream: &Stream) -> Transfer {
    let codec = stream.codec.as_str();
    let common = ["aac", "ac3", "eac3", "mp1", "mp2", "mp3", "dts"].contains(&codec);
    let pcm = [
        "pcm_u8",
        "pcm_s16le",
        "pcm_s24le",
        "pcm_s32le",
        "pcm_f32le",
        "pcm_f64le",
        "pcm_mulaw",
        "pcm_alaw",
    ];
    let big = ["pcm_s8", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_f32be", "pcm_f64be"];
    let (pcm, big) = (pcm.contains(&codec), big.contains(&codec));
    let supported = match container {
        "mp4" | "m4v" => common || matches!(codec, "alac" | "flac" | "opus" | "vorbis" | "truehd"),
        "mov" => {
            let old = ["amr_nb", "amr_wb", "adpcm_ima_qt", "qdm2", "qdmc", "mace3", "mace6"];
            common || pcm || big || codec == "alac" || old.contains(&codec)
        }
        "webm" => matches!(codec, "opus" | "vorbis"),
        "avi" => {
            let old = ["wmav1", "wmav2", "adpcm_ms", "adpcm_ima_wav", "flac"];
            common || pcm || old.contains(&codec)
        }
        "mkv" => {
            let free = ["alac", "flac", "opus", "vorbis", "truehd", "mlp", "tta", "wavpack"];
            let old = [
                "wmav1",
                "wmav2",
                "wmapro",
                "wmavoice",
                "wmalossless",
                "adpcm_ms",
                "adpcm_ima_wav",
                "cook",
                "sipr",
                "ra_144",
                "ra_288",
                "atrac3",
                "qdm2",
                "qdmc",
                "speex",
            ];
            let deep = ["pcm_s16be", "pcm_s24be", "pcm_s32be"].contains(&codec);
            common || pcm || deep || free.contains(&codec) || old.contains(&codec)
        }
        _ => true,
    };
    if supported {
        return Transfer::Copy;
    }
    let lossless = codec.starts_with("pcm_")
        || ["flac", "alac", "wavpack", "tta", "truehd", "mlp", "wmalossless"].contains(&codec);
    let channels = stream.channels.max(1) as u64;
    let bits = |each: u64, most: u64| ("b", format!("{}k", (each * channels).min(most)));
    match container {
        "mov" if lossless => Transfer::Encode("alac", vec![]),
        "mkv" if lossless => Transfer::Encode("flac", vec![]),
        // The channel layouts of Opus.
        "webm" => {
            let places = "aformat=channel_layouts=7.1|6.1|5.1|5.0|quad|3.0|stereo|mono";
            Transfer::Encode("libopus", vec![bits(80, 510), ("filter", places.into())])
        }
        "avi" => Transfer::Encode("ac3", vec![bits(112, 640)]),
        _ => Transfer::Encode("aac", vec![bits(112, 768)]),
    }
}

/// How subtitles get into a container.
pub(super) fn subtitles(container: &str, codec: &str) -> Transfer {
    let text = [
        "subrip",
        "srt",
        "ass",
        "ssa",
        "mov_text",
        "webvtt",
        "text",
        "eia_608",
        "microdvd",
        "mpl2",
        "jacosub",
        "sami",
        "stl",
        "realtext",
        "subviewer",
        "subviewer1",
        "vplayer",
        "pjs",
    ];
    let text = text.contains(&codec);
    let encoded = |encoder| Transfer::Encode(encoder, vec![]);
    match (container, codec) {
        ("mp4" | "m4v" | "mov", "mov_text") | ("webm", "webvtt") => Transfer::Copy,
        ("mp4" | "m4v" | "mov", _) if text => encoded("mov_text"),
        ("webm", _) if text => encoded("webvtt"),
        ("mkv", "subrip" | "ass" | "ssa" | "webvtt" | "text") => Transfer::Copy,
        ("mkv", "dvd_subtitle" | "dvb_subtitle" | "hdmv_pgs_subtitle" | "hdmv_text_subtitle") => {
            Transfer::Copy
        }
        ("mkv", _) if text => encoded("srt"),
        _ => Transfer::Drop,
    }
}

/// How a cover picture gets into a container. ffmpeg drops it silently from .mov.
pub(super) fn picture(container: &str, codec: &str) -> Transfer {
    match (container, codec) {
        ("mp4" | "m4v", "mjpeg" | "png" | "bmp") => Transfer::Copy,
        // As a stream it would be a second video of one frame.
        ("mkv", "mjpeg") => Transfer::Attach("jpg", "image/jpeg"),
        ("mkv", "png") => Transfer::Attach("png", "image/png"),
        _ => Transfer::Drop,
    }
}

/// How a data stream gets into a container.
pub(super) fn data(container: &str, stream: &Stream) -> Transfer {
    match container {
        "mp4" | "m4v" | "mov" if stream.codec == "bin_data" && stream.tag == "gpmd" => {
            Transfer::Copy
        }
        _ => Transfer::Drop,
    }
}

/// Whether a container has a field for a global tag without QuickTime metadata, which accepts any
/// name.
pub(super) fn tag(container: &str, key: &str) -> bool {
    let key = key.to_lowercase();
    let common = ["title", "artist", "album", "comment", "genre", "copyright", "date", "location"];
    let mp4 = [
        "album_artist",
        "composer",
        "grouping",
        "lyrics",
        "description",
        "synopsis",
        "show",
        "episode_id",
        "network",
        "keywords",
        "episode_sort",
        "season_number",
        "media_type",
        "hd_video",
        "gapless_playback",
        "compilation",
        "track",
        "disc",
    ];
    let mov = ["author", "make", "model", "keywords"];
    common.contains(&key.as_str())
        || match container {
            "mp4" | "m4v" => mp4.contains(&key.as_str()),
            "mov" => mov.contains(&key.as_str()),
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::media::StreamKind;

    fn sound(container: &str, codec: &str) -> Transfer {
        let kind = StreamKind::Audio;
        audio(container, &Stream { kind, codec: codec.into(), channels: 6, ..Stream::default() })
    }

    #[test]
    fn audio_is_copied_if_the_container_allows() {
        for (container, codec, by) in [
            ("mp4", "aac", None),
            ("mp4", "flac", None),
            ("mp4", "pcm_s16le", Some("aac")),
            ("m4v", "wmav2", Some("aac")),
            ("mov", "pcm_s24be", None),
            ("mov", "opus", Some("aac")),
            ("mov", "flac", Some("alac")),
            ("mkv", "truehd", None),
            ("mkv", "amr_nb", Some("aac")),
            ("mkv", "pcm_dvd", Some("flac")),
            ("webm", "aac", Some("libopus")),
            ("avi", "opus", Some("ac3")),
        ] {
            match (sound(container, codec), by) {
                (Transfer::Copy, None) => {}
                (Transfer::Encode(encoder, _), Some(by)) => assert_eq!(encoder, by, "{codec}"),
                (got, _) => panic!("{codec} in {container}: {got:?}"),
            }
        }
        let Transfer::Encode(_, options) = sound("mp4", "wmapro") else { panic!() };
        assert_eq!(options, [("b", "672k".to_owned())]);
    }

    #[test]
    fn subtitles_are_converted_for_the_container() {
        let encoded = |encoder| Transfer::Encode(encoder, vec![]);
        assert_eq!(subtitles("mp4", "subrip"), encoded("mov_text"));
        assert_eq!(subtitles("mkv", "mov_text"), encoded("srt"));
        assert_eq!(subtitles("mkv", "hdmv_pgs_subtitle"), Transfer::Copy);
        assert_eq!(subtitles("mp4", "hdmv_pgs_subtitle"), Transfer::Drop);
        assert_eq!(subtitles("webm", "ass"), encoded("webvtt"));
        assert_eq!(subtitles("mkv", "dvb_teletext"), Transfer::Drop);
        assert_eq!(subtitles("avi", "subrip"), Transfer::Drop);
    }
}
