//! HEAD carry

use crate::ffmpeg::media::Stream;

/// How a stream gets into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carry {
    /// As it is.
    Copied,
    /// By this encoder, with further options.
    Encoded(&'static str, Vec<(&'static str, String)>),
    /// As a file in the file, with this ending of its name and of this type.
    Attached(&'static str, &'static str),
    /// Not at all.
    Left,
}

/// ffmpeg's name of the container of an ending; that of .m4v by itself would take H.264 alone.
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

/// How sound gets into a container.
pub(super) fn audio(container: &str, stream: &Stream) -> Carry {
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
    let held = match container {
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
    if held {
        return Carry::Copied;
    }
    let lossless = codec.starts_with("pcm_")
        || ["flac", "alac", "wavpack", "tta", "truehd", "mlp", "wmalossless"].contains(&codec);
    let channels = stream.channels.max(1) as u64;
    let bits = |each: u64, most: u64| ("b", format!("{}k", (each * channels).min(most)));
    match container {
        "mov" if lossless => Carry::Encoded("alac", vec![]),
        "mkv" if lossless => Carry::Encoded("flac", vec![]),
        // Opus knows the places of loudspeakers by fewer names than others.
        "webm" => {
            let places = "aformat=channel_layouts=7.1|6.1|5.1|5.0|quad|3.0|stereo|mono";
            Carry::Encoded("libopus", vec![bits(80, 510), ("filter", places.into())])
        }
        "avi" => Carry::Encoded("ac3", vec![bits(112, 640)]),
        _ => Carry::Encoded("aac", vec![bits(112, 768)]),
    }
}

/// How subtitles get into a container.
pub(super) fn subtitles(container: &str, codec: &str) -> Carry {
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
    let encoded = |encoder| Carry::Encoded(encoder, vec![]);
    match (container, codec) {
        ("mp4" | "m4v" | "mov", "mov_text") | ("webm", "webvtt") => Carry::Copied,
        ("mp4" | "m4v" | "mov", _) if text => encoded("mov_text"),
        ("webm", _) if text => encoded("webvtt"),
        ("mkv", "subrip" | "ass" | "ssa" | "webvtt" | "text") => Carry::Copied,
        ("mkv", "dvd_subtitle" | "dvb_subtitle" | "hdmv_pgs_subtitle" | "hdmv_text_subtitle") => {
            Carry::Copied
        }
        ("mkv", _) if text => encoded("srt"),
        _ => Carry::Left,
    }
}

/// How a cover gets into a container. ffmpeg drops it silently from .mov.
pub(super) fn picture(container: &str, codec: &str) -> Carry {
    match (container, codec) {
        ("mp4" | "m4v", "mjpeg" | "png" | "bmp") => Carry::Copied,
        // As a stream it would be a second video of one frame.
        ("mkv", "mjpeg") => Carry::Attached("jpg", "image/jpeg"),
        ("mkv", "png") => Carry::Attached("png", "image/png"),
        _ => Carry::Left,
    }
}

/// How a stream of data gets into a container.
pub(super) fn data(container: &str, stream: &Stream) -> Carry {
    match container {
        "mp4" | "m4v" | "mov" if stream.codec == "bin_data" && stream.tag == "gpmd" => {
            Carry::Copied
        }
        _ => Carry::Left,
    }
}

/// Whether a container has a field for a tag of the file without QuickTime's own metadata, which
/// has one for every name.
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

    fn sound(container: &str, codec: &str) -> Carry {
        let kind = StreamKind::Audio;
        audio(container, &Stream { kind, codec: codec.into(), channels: 6, ..Stream::default() })
    }

    #[test]
    fn sound_is_copied_where_it_can_be() {
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
                (Carry::Copied, None) => {}
                (Carry::Encoded(encoder, _), Some(by)) => assert_eq!(encoder, by, "{codec}"),
                (got, _) => panic!("{codec} in {container}: {got:?}"),
            }
        }
        let Carry::Encoded(_, options) = sound("mp4", "wmapro") else { panic!() };
        assert_eq!(options, [("b", "672k".to_owned())]);
    }

    #[test]
    fn subtitles_become_what_the_container_knows() {
        let encoded = |encoder| Carry::Encoded(encoder, vec![]);
        assert_eq!(subtitles("mp4", "subrip"), encoded("mov_text"));
        assert_eq!(subtitles("mkv", "mov_text"), encoded("srt"));
        assert_eq!(subtitles("mkv", "hdmv_pgs_subtitle"), Carry::Copied);
        assert_eq!(subtitles("mp4", "hdmv_pgs_subtitle"), Carry::Left);
        assert_eq!(subtitles("webm", "ass"), encoded("webvtt"));
        assert_eq!(subtitles("mkv", "dvb_teletext"), Carry::Left);
        assert_eq!(subtitles("avi", "subrip"), Carry::Left);
    }
}
