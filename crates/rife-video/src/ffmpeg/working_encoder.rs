//! Encoders in hardware: whether they work here, and what replaces them if not.

use crate::Result;
use crate::ffmpeg::encoder::{CODECS, choose_encoding, encoders};
use crate::ffmpeg::encoding::{Encoding, EncodingRequest};
use crate::ffmpeg::programs::Programs;
use crate::ffmpeg::segment::check_encoding;

/// How ffmpeg's names of encoders in hardware end.
const HARDWARE: [&str; 9] =
    ["nvenc", "qsv", "amf", "vaapi", "vulkan", "videotoolbox", "v4l2m2m", "mf", "omx"];

/// Chooses an encoder as [`choose_encoding`] does. If it needs hardware, it encodes a few frames
/// first; if that fails, another encoder of the same codec is chosen, and a note says so.
///
/// # Errors
/// As [`choose_encoding`]; [`crate::Error::Refused`] if no encoder of the codec works, or if the request
/// has a preset or arguments, which another encoder does not understand.
pub fn choose_working_encoding(
    programs: &Programs,
    request: &EncodingRequest<'_>,
) -> Result<Encoding> {
    let chosen = choose_encoding(programs, request)?;
    let Some(codec) = hardware_codec(&chosen.encoder) else { return Ok(chosen) };
    let Err(error) = check_encoding(programs, &chosen) else { return Ok(chosen) };
    if request.preset.is_some() || request.extra.is_some() {
        return Err(error);
    }
    let listed = encoders(programs)?;
    let known = CODECS.iter().find(|(name, _)| *name == codec).map_or(&[][..], |(_, by)| by);
    // Those before the chosen one do not support the request.
    let others = known
        .iter()
        .filter(|name| **name != chosen.encoder && listed.iter().any(|listed| listed == *name));
    for name in others {
        let request = EncodingRequest { codec: Some(name), ..*request };
        let Ok(mut encoding) = choose_encoding(programs, &request) else { continue };
        let works = hardware_codec(name).is_none() || check_encoding(programs, &encoding).is_ok();
        if works {
            encoding.notes.insert(0, format!("encoding with {name} instead: {error}"));
            return Ok(encoding);
        }
    }
    Err(error)
}

/// The codec of an encoder in hardware; `None` if it is none.
fn hardware_codec(encoder: &str) -> Option<&str> {
    let (codec, kind) = encoder.rsplit_once('_')?;
    HARDWARE.contains(&kind).then_some(codec)
}

/// The fastest preset of an encoder; `None` if it has no presets for speed.
pub fn fastest_preset(encoder: &str) -> Option<&'static str> {
    match (encoder, encoder.rsplit_once('_')) {
        ("libx264" | "libx264rgb" | "libx265", _) => Some("ultrafast"),
        ("libsvtav1", _) => Some("12"),
        ("libaom-av1" | "libvpx-vp9", _) => Some("8"),
        ("librav1e", _) => Some("10"),
        (_, Some((_, "nvenc"))) => Some("p1"),
        (_, Some((_, "qsv"))) => Some("veryfast"),
        (_, Some((_, "amf"))) => Some("speed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_in_hardware_are_recognized_by_name() {
        for (encoder, codec) in [
            ("h264_nvenc", Some("h264")),
            ("hevc_vaapi", Some("hevc")),
            ("prores_videotoolbox", Some("prores")),
            ("prores_ks", None),
            ("libx264", None),
            ("hap_alpha", None),
        ] {
            assert_eq!(hardware_codec(encoder), codec, "{encoder}");
        }
    }

    #[test]
    fn every_encoder_with_presets_for_speed_has_a_fastest_one() {
        for encoder in CODECS.iter().flat_map(|(_, by)| by.iter()) {
            let without = ["videotoolbox", "openh264", "prores", "ffv1", "mpeg4", "mjpeg"];
            let expected = !without.iter().any(|name| encoder.contains(name));
            assert_eq!(fastest_preset(encoder).is_some(), expected, "{encoder}");
        }
    }
}
