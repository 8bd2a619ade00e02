//! How the samples of a raw frame lie in memory, and what their colours mean.

use rife_runtime::FrameSize;
use serde::{Deserialize, Serialize};

/// Which planes a raw frame has, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Planes {
    /// Luma alone.
    Gray,
    /// Luma, and two planes of chroma of half the width and half the height.
    Yuv420,
    /// Luma, and two planes of chroma of half the width.
    Yuv422,
    /// Luma, and two planes of chroma as large.
    Yuv444,
    /// Green, blue, red, in this order.
    Gbr,
}

/// A raw frame: its planes one after the other without gaps, samples of one byte at a depth of 8
/// bits, else of two in little-endian order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawFormat {
    /// Columns and rows of luma.
    pub size: FrameSize,
    /// The planes.
    pub planes: Planes,
    /// Bits of a sample: 8, 10, 12 or 16.
    pub depth: u8,
}

impl RawFormat {
    /// Bytes of a sample.
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

    /// Bytes of a frame.
    pub fn frame_bytes(&self) -> usize {
        self.plane_sizes().iter().map(|(w, h)| w * h).sum::<usize>() * self.sample_bytes()
    }

    /// Bytes of the first plane: luma, or green.
    pub const fn luma_bytes(&self) -> usize {
        self.size.pixels() * self.sample_bytes()
    }

    /// ffmpeg's name of the format; the range of `yuvj420p` and its like is told apart from it.
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

    /// The format of a name of ffmpeg's that has one: planar, of 8, 10, 12 or 16 bits, and without
    /// transparency.
    pub fn from_pix_fmt(name: &str, size: FrameSize) -> Option<Self> {
        let planes = [Planes::Gray, Planes::Yuv420, Planes::Yuv422, Planes::Yuv444, Planes::Gbr];
        let name = name.replace("yuvj", "yuv");
        planes
            .into_iter()
            .flat_map(|planes| [8, 10, 12, 16].map(|depth| Self { size, planes, depth }))
            .find(|format| format.pix_fmt() == name)
    }
}

/// What the samples of a stream mean, in ffmpeg's words; `None` where the stream does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colour {
    /// `tv` or `pc`.
    pub range: Option<String>,
    /// The matrix between RGB and YUV: `bt709`, `smpte170m`, `bt470bg`, `bt2020nc`, …
    pub matrix: Option<String>,
    /// `bt709`, `bt2020`, …
    pub primaries: Option<String>,
    /// The transfer characteristics: `bt709`, `smpte2084`, …
    pub transfer: Option<String>,
    /// Where chroma lies: `left`, `center`, `topleft`, …
    pub chroma_location: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sizes_are_those_of_ffmpeg() {
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
