//! Chooses the pixel format for an encoder.

use crate::ffmpeg::encoding::EncodingRequest;
use crate::{Planes, RawFormat};

/// Returns the frame format to deliver and the encoder's pixel format that loses least. Depth takes
/// precedence over chroma resolution.
pub(super) fn nearest_format(
    request: &EncodingRequest<'_>,
    encoder: &str,
    formats: &[String],
    notes: &mut Vec<String>,
) -> (RawFormat, String) {
    let raw = *request.raw;
    let takes = |name: &str| formats.is_empty() || formats.iter().any(|format| format == name);
    // Some encoders cannot subsample the chroma of an odd size.
    let odd = |planes: Planes| {
        let (x, y) = (raw.size.width % 2 == 1, raw.size.height % 2 == 1);
        let strict = !matches!(
            encoder,
            "ffv1" | "libvpx-vp9" | "libaom-av1" | "mjpeg" | "mpeg4" | "prores_ks"
        );
        strict
            && match planes {
                Planes::Yuv420 => x || y,
                Planes::Yuv422 => x,
                _ => false,
            }
    };
    let lossless_rgb = raw.planes == Planes::Gbr && matches!(encoder, "ffv1" | "png" | "utvideo");
    if lossless_rgb {
        let names: &[&str] = if raw.depth == 8 {
            &["gbrp", "bgr0", "rgb24"]
        } else {
            &["gbrp16le", "rgb48le", "rgb48be"]
        };
        if let Some(name) = names.iter().find(|name| takes(name)) {
            return (raw, (*name).to_owned());
        }
    }
    let planes: &[Planes] = match raw.planes {
        // Every player supports 4:2:0.
        Planes::Gbr => &[Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Gray => &[Planes::Gray, Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Yuv420 => &[Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Yuv422 => &[Planes::Yuv422, Planes::Yuv444, Planes::Yuv420],
        Planes::Yuv444 => &[Planes::Yuv444, Planes::Yuv422, Planes::Yuv420],
    };
    let deeper = [8, 10, 12, 16].into_iter().filter(|depth| *depth >= raw.depth);
    let shallower = [12, 10, 8].into_iter().filter(|depth| *depth < raw.depth);
    let depths: Vec<u8> = match raw.planes {
        // RGB above 8 bits is processed at 16 bits; 10 bits are enough for the output.
        Planes::Gbr if raw.depth > 8 => vec![10, 12, 16, 8],
        _ => deeper.chain(shallower).collect(),
    };
    for depth in depths {
        for planes in planes.iter().copied().filter(|planes| !odd(*planes)) {
            let target = RawFormat { planes, depth, ..raw };
            let Some(name) = equivalent_pix_fmts(&target).into_iter().find(|name| takes(name))
            else {
                continue;
            };
            if raw.planes == Planes::Gbr && planes != Planes::Gbr {
                return (target, name);
            }
            let same = (planes, depth) == (raw.planes, raw.depth);
            let gray = raw.planes == Planes::Gray && planes != Planes::Gray;
            if gray {
                return (target, name);
            }
            if !same {
                notes.push(format!(
                    "changed: pixel format from {} to {name} - {encoder} does not support it at {}",
                    raw.pix_fmt(),
                    raw.size
                ));
            }
            return (if same { raw } else { target }, name);
        }
    }
    // No known format: let ffmpeg convert.
    let first = formats.iter().find(|name| !name.contains("vaapi") && !name.contains("cuda"));
    (raw, first.cloned().unwrap_or_else(|| raw.pix_fmt()))
}

/// ffmpeg's names of formats with the same samples, the planar one first.
fn equivalent_pix_fmts(raw: &RawFormat) -> Vec<String> {
    let semi = match (raw.planes, raw.depth) {
        (Planes::Yuv420, 8) => Some("nv12"),
        (Planes::Yuv420, 10) => Some("p010le"),
        (Planes::Yuv420, 12) => Some("p012le"),
        (Planes::Yuv420, 16) => Some("p016le"),
        (Planes::Yuv422, 8) => Some("nv16"),
        (Planes::Yuv422, 10) => Some("p210le"),
        (Planes::Yuv422, 12) => Some("p212le"),
        (Planes::Yuv422, 16) => Some("p216le"),
        _ => None,
    };
    [raw.pix_fmt()].into_iter().chain(semi.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::hdr::Hdr;
    use crate::{Colour, Rational};
    use rife_runtime::FrameSize;

    #[test]
    fn format_that_loses_least_is_chosen() {
        // Format lists of the encoders in ffmpeg 5.1.
        let nvenc = "yuv420p nv12 p010le yuv444p p016le yuv444p16le bgr0 bgra cuda";
        let qsv = "nv12 p010le qsv";
        let x264 = "yuv420p yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le gray gray10le";
        for (encoder, takes, from, (w, h), given, name) in [
            ("hevc_nvenc", nvenc, "yuv420p10le", (64, 48), "yuv420p10le", "p010le"),
            ("h264_nvenc", nvenc, "yuv420p", (64, 48), "yuv420p", "yuv420p"),
            ("hevc_qsv", qsv, "yuv420p10le", (64, 48), "yuv420p10le", "p010le"),
            ("hevc_qsv", qsv, "yuv420p", (64, 48), "yuv420p", "nv12"),
            ("libx264", x264, "yuv420p", (67, 35), "yuv444p", "yuv444p"),
            ("libx264", x264, "yuv422p", (64, 35), "yuv422p", "yuv422p"),
            ("libx264", x264, "yuv444p12le", (64, 48), "yuv444p10le", "yuv444p10le"),
            ("libx264", x264, "gbrp16le", (64, 48), "yuv420p10le", "yuv420p10le"),
            ("libx264", x264, "gray", (67, 35), "gray", "gray"),
        ] {
            let raw = RawFormat::from_pix_fmt(from, FrameSize::new(w, h)).unwrap();
            let request = EncodingRequest {
                container: "mp4",
                codec: None,
                crf: None,
                preset: None,
                extra: None,
                raw: &raw,
                colour: &Colour::default(),
                hdr: &Hdr::default(),
                rate: Rational::from(25),
            };
            let formats: Vec<_> = takes.split(' ').map(str::to_owned).collect();
            let (got, pix_fmt) = nearest_format(&request, encoder, &formats, &mut Vec::new());
            assert_eq!(
                (got.pix_fmt().as_str(), pix_fmt.as_str()),
                (given, name),
                "{encoder} {from}"
            );
        }
    }
}
