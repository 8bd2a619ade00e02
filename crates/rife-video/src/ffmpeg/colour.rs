//! Colour properties of streams that do not state them.

use rife_runtime::FrameSize;

use crate::ffmpeg::media::Video;
use crate::ffmpeg::working_format::WorkingFormat;
use crate::{Colour, Planes};

/// Colour properties of an untagged stream: BT.709 from 720 rows or 1280 columns on, otherwise
/// BT.601; limited range; chroma on the left.
pub fn default_colour(size: FrameSize) -> Colour {
    let hd = size.height >= 720 || size.width >= 1280;
    let pal = matches!(size.height, 576 | 288);
    let matrix = match (hd, pal) {
        (true, _) => "bt709",
        (_, true) => "bt470bg",
        _ => "smpte170m",
    };
    Colour {
        range: Some("tv".into()),
        matrix: Some(matrix.into()),
        chroma_location: Some("left".into()),
        ..Colour::default()
    }
}

/// Colour properties of a stream: those stated, and defaults for the others.
pub fn effective_colour(video: &Video, working: &WorkingFormat) -> Colour {
    let default = default_colour(video.size);
    let stated = video.colour.clone();
    let rgb = working.raw.planes == Planes::Gbr;
    let picture = ["mjpeg", "mjpegb", "jpegls", "ljpeg"].contains(&video.codec.as_str());
    let gray = working.raw.planes == Planes::Gray
        && ["png", "apng", "tiff", "bmp", "jpeg2000", "gif"].contains(&video.codec.as_str());
    let wide = stated.matrix.as_deref().is_some_and(|matrix| matrix.starts_with("bt2020"));
    let location = match video.pix_fmt.starts_with("yuvj") || picture {
        // JPEG chroma is centred.
        true => "center",
        // BT.2100.
        false if wide && working.raw.planes == Planes::Yuv420 => "topleft",
        false => "left",
    };
    let whole = rgb || stated.range.is_none() && (picture || gray);
    Colour {
        range: if whole { Some("pc".into()) } else { stated.range.or(default.range) },
        matrix: stated.matrix.filter(|matrix| rgb || matrix != "gbr").or(default.matrix),
        chroma_location: stated.chroma_location.or(Some(location.into())),
        primaries: stated.primaries,
        transfer: stated.transfer,
    }
}
