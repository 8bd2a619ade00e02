//! The format in which frames are decoded.

use crate::ffmpeg::media::Video;
use crate::{Planes, RawFormat};

/// The format in which frames are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingFormat {
    /// Format of the frames.
    pub raw: RawFormat,
    /// Pixel format to request from ffmpeg.
    pub pix_fmt: String,
    /// Whether every sample is unchanged.
    pub exact: bool,
    /// A loss to report.
    pub note: Option<String>,
}

/// The format for a stream: its own, if it is planar; otherwise a planar one, lossless if possible.
pub fn working_format(video: &Video) -> WorkingFormat {
    let mut working = working_format_of_samples(video);
    if video.alpha {
        working.note = Some(match working.note {
            Some(note) => format!("{ALPHA}; {note}"),
            None => ALPHA.to_owned(),
        });
    }
    working
}

/// Reported for streams with alpha.
const ALPHA: &str = "lost: transparency - RIFE interpolates opaque frames only";

fn working_format_of_samples(video: &Video) -> WorkingFormat {
    let name = video.pix_fmt.as_str();
    let size = video.size;
    let as_is = |pix_fmt: &str| RawFormat::from_pix_fmt(pix_fmt, size);
    if let Some(raw) = as_is(name) {
        let pix_fmt = match raw.planes {
            Planes::Gbr => crate::pipe_pix_fmt(&rgb(raw)),
            // Request the original name (`yuvj420p`), which preserves the range.
            _ => name.to_owned(),
        };
        let whole = if raw.planes == Planes::Gbr { rgb(raw) } else { raw };
        let exact = whole.depth == raw.depth;
        let note = (!exact).then(|| rounding_note(name));
        return WorkingFormat { raw: whole, pix_fmt, exact, note };
    }
    let (target, exact, note) = nearest_planar(name);
    let raw = as_is(target).unwrap_or(RawFormat { size, planes: Planes::Yuv420, depth: 8 });
    let raw = if raw.planes == Planes::Gbr { rgb(raw) } else { raw };
    WorkingFormat { raw, pix_fmt: crate::pipe_pix_fmt(&raw), exact, note }
}

fn rounding_note(name: &str) -> String {
    format!("changed: source frames, by rounding - they are converted from {name}")
}

/// RGB above 8 bits is processed at 16 bits.
fn rgb(raw: RawFormat) -> RawFormat {
    RawFormat { depth: if raw.depth == 8 { 8 } else { 16 }, ..raw }
}

/// The planar format closest to a format, whether the conversion is lossless, and a loss to report.
fn nearest_planar(name: &str) -> (&'static str, bool, Option<String>) {
    let alpha = || Some(ALPHA.to_owned());
    let rounded = || Some(rounding_note(name));
    let deep = name.ends_with("be") || name.ends_with("le");
    match name {
        "nv12" | "nv21" => ("yuv420p", true, None),
        "nv16" | "yuyv422" | "uyvy422" | "yvyu422" => ("yuv422p", true, None),
        "nv24" | "nv42" => ("yuv444p", true, None),
        "p010le" | "p010be" => ("yuv420p10le", true, None),
        "p016le" | "p016be" => ("yuv420p16le", true, None),
        "y210le" | "p210le" | "nv20le" => ("yuv422p10le", true, None),
        "rgb24" | "bgr24" | "0rgb" | "rgb0" | "0bgr" | "bgr0" => ("gbrp", true, None),
        "rgba" | "bgra" | "argb" | "abgr" | "gbrap" | "pal8" => ("gbrp", true, alpha()),
        "rgb48le" | "rgb48be" | "bgr48le" | "bgr48be" => ("gbrp16le", true, None),
        _ if name.starts_with("rgba64") || name.starts_with("bgra64") => {
            ("gbrp16le", true, alpha())
        }
        _ if name.starts_with("gbrap") => ("gbrp16le", true, alpha()),
        _ if name.starts_with("gbrp") => ("gbrp16le", true, None),
        _ if name.starts_with("ya8") => ("gray", true, alpha()),
        _ if name.starts_with("ya16") => ("gray16le", true, alpha()),
        _ if name.starts_with("gray") || name.starts_with("mono") => {
            (if deep { "gray16le" } else { "gray" }, name.starts_with("gray16"), None)
        }
        _ if name.starts_with("yuv") || name.starts_with("ayuv") || name.starts_with("vuy") => {
            let after = name.split_once('p').map_or("", |(_, after)| after);
            let depth = ["16", "14", "12", "10", "9"].into_iter().find(|d| after.starts_with(d));
            let transparent = name.contains('a');
            let target = match (&name[..name.len().min(7)], depth) {
                (n, None) if n.contains("420") => "yuv420p",
                (n, None) if n.contains("422") => "yuv422p",
                (_, None) => "yuv444p",
                (n, Some("9" | "10")) if n.contains("420") => "yuv420p10le",
                (n, Some("9" | "10")) if n.contains("422") => "yuv422p10le",
                (_, Some("9" | "10")) => "yuv444p10le",
                (n, Some("12")) if n.contains("420") => "yuv420p12le",
                (n, Some("12")) if n.contains("422") => "yuv422p12le",
                (_, Some("12")) => "yuv444p12le",
                (n, _) if n.contains("420") => "yuv420p16le",
                (n, _) if n.contains("422") => "yuv422p16le",
                _ => "yuv444p16le",
            };
            let kept = transparent || name.ends_with("be");
            (
                target,
                kept,
                if transparent {
                    alpha()
                } else if kept {
                    None
                } else {
                    rounded()
                },
            )
        }
        _ => ("yuv444p", false, rounded()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_map_to_the_nearest_planar_one() {
        for (name, target, exact) in [
            ("nv12", "yuv420p", true),
            ("yuv410p", "yuv444p", false),
            ("yuv420p9le", "yuv420p10le", false),
            ("yuv444p14le", "yuv444p16le", false),
            ("yuva444p10le", "yuv444p10le", true),
            ("yuv420p10be", "yuv420p10le", true),
            ("rgba", "gbrp", true),
            ("something", "yuv444p", false),
        ] {
            let (got, fits, note) = nearest_planar(name);
            assert_eq!((got, fits), (target, exact), "{name}");
            assert!(fits || note.is_some(), "{name}");
        }
    }
}
