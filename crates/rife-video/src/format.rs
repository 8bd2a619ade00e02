//! Raw frame formats and colour properties.

use rife_runtime::FrameSize;
use serde::{Deserialize, Serialize};

/// The planes of a raw frame, in memory order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Planes {
    /// Luma only.
    Gray,
    /// Luma, and chroma at half the width and height.
    Yuv420,
    /// Luma, and chroma at half the width.
    Yuv422,
    /// Luma, and chroma at full resolution.
    Yuv444,
    /// Green, blue, red.
    Gbr,
}

/// A raw frame format: contiguous planes of 8-bit samples, or of 16-bit little-endian samples if
/// the depth exceeds 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawFormat {
    /// Frame size.
    pub size: FrameSize,
    /// The planes.
    pub planes: Planes,
    /// Bits per sample: 8, 10, 12 or 16.
    pub depth: u8,
}

impl RawFormat {
    /// Bytes per sample.
    pub const fn sample_bytes(&self) -> usize {
        if self.depth > 8 { 2 } else { 1 }
    }

    /// Columns and rows of each plane.
    pub fn plane_sizes(&self) -> Vec<(usize, usize)> {
        let FrameSize { width, height } = self.size;
        let half = |n: usize| n.div_ceil(2);
        let (w, h) = match self.planes {
            Planes::Gray => return vec![(width, height)],
            Planes::Yuv420 => (half(width), half(height)),
            Planes::Yuv422 => (half(width), height),
            Planes::Yuv444 | Planes::Gbr => (width, height),
        };
        vec![(width, height), (w, h), (w, h)]
    }

    /// Bytes per frame.
    pub fn frame_bytes(&self) -> usize {
        self.plane_sizes().iter().map(|(w, h)| w * h).sum::<usize>() * self.sample_bytes()
    }

    /// Bytes of the first plane: luma or green.
    pub const fn luma_bytes(&self) -> usize {
        self.size.pixels() * self.sample_bytes()
    }

    /// ffmpeg's name of the format. Range is separate: `yuvj420p` is `yuv420p`.
    pub fn pix_fmt(&self) -> String {
        let base = match self.planes {
            Planes::Gray => "gray",
            Planes::Yuv420 => "yuv420p",
            Planes::Yuv422 => "yuv422p",
            Planes::Yuv444 => "yuv444p",
            Planes::Gbr => "gbrp",
        };
        match self.depth {
            8 => base.to_owned(),
            depth => format!("{base}{depth}le"),
        }
    }

    /// Parses ffmpeg's name of a planar format of 8, 10, 12 or 16 bits without alpha; `None` for
    /// others.
    pub fn from_pix_fmt(name: &str, size: FrameSize) -> Option<Self> {
        let planes = [Planes::Gray, Planes::Yuv420, Planes::Yuv422, Planes::Yuv444, Planes::Gbr];
        let name = name.replace("yuvj", "yuv");
        planes
            .into_iter()
            .flat_map(|planes| [8, 10, 12, 16].map(|depth| Self { size, planes, depth }))
            .find(|format| format.pix_fmt() == name)
    }
}

/// Colour properties of a stream, in ffmpeg's terms; `None` if not stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// `tv` or `pc`.
    pub range: Option<String>,
    /// Matrix between RGB and YUV: `bt709`, `smpte170m`, `bt470bg`, `bt2020nc`, …
    pub matrix: Option<String>,
    /// Primaries: `bt709`, `bt2020`, …
    pub primaries: Option<String>,
    /// Transfer characteristics: `bt709`, `smpte2084`, …
    pub transfer: Option<String>,
    /// Chroma sample location: `left`, `center`, `topleft`, …
    pub chroma_location: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes_match_ffmpeg() {
        let odd = FrameSize::new(35, 21);
        for (name, bytes) in [
            ("gray", 35 * 21),
            ("yuv420p", 35 * 21 + 2 * 18 * 11),
            ("yuv422p10le", 2 * (35 * 21 + 2 * 18 * 21)),
            ("yuv444p12le", 6 * 35 * 21),
            ("gbrp16le", 6 * 35 * 21),
        ] {
            let format = RawFormat::from_pix_fmt(name, odd).unwrap();
            assert_eq!((format.pix_fmt().as_str(), format.frame_bytes()), (name, bytes));
        }
        let full = RawFormat::from_pix_fmt("yuvj420p", odd).unwrap();
        assert_eq!(full.pix_fmt(), "yuv420p");
        assert_eq!(RawFormat::from_pix_fmt("yuv411p", odd), None);
        assert_eq!(RawFormat::from_pix_fmt("yuva420p", odd), None);
    }
}
