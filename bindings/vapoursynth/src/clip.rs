//! Converts VapourSynth's formats to those of the engine, and copies frames between them.

use std::ffi::CStr;

use rife_runtime::{Chroma, Frame, FrameSize, PixelFormat, YuvFormat};
use rife_video::{Colour, Planes, RawFormat, pixel_format};
use vapoursynth_sys as vs;

use crate::ffi::{FrameMut, FrameRef, Map, VideoFormat};

/// The formats that the filter accepts.
const SUPPORTED: &str = "RGB24, RGB48, RGBH, RGBS, or YUV 4:2:0, 4:2:2, 4:4:4 or gray of 8, 10, 12 \
                         or 16 bits";

/// A sample format that the filter accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleFormat {
    /// YUV or gray.
    Yuv { planes: Planes, depth: u8 },
    /// RGB of 8 or 16 bits, or floats of 16 or 32 bits.
    Rgb(PixelFormat),
}

impl SampleFormat {
    /// The format of a clip or of a frame.
    ///
    /// # Errors
    /// If the filter does not accept it.
    pub(crate) fn of(format: &VideoFormat) -> Result<Self, String> {
        let family = u32::try_from(format.colorFamily).unwrap_or(u32::MAX);
        let float = u32::try_from(format.sampleType) == Ok(vs::VSSampleType_stFloat);
        let subsampling = (format.subSamplingW, format.subSamplingH);
        let planes = match (family, subsampling) {
            (vs::VSColorFamily_cfGray, _) => Some(Planes::Gray),
            (vs::VSColorFamily_cfYUV, (1, 1)) => Some(Planes::Yuv420),
            (vs::VSColorFamily_cfYUV, (1, 0)) => Some(Planes::Yuv422),
            (vs::VSColorFamily_cfYUV, (0, 0)) => Some(Planes::Yuv444),
            _ => None,
        };
        let depth = u8::try_from(format.bitsPerSample).unwrap_or(0);
        match (family, float, depth, planes) {
            (vs::VSColorFamily_cfRGB, false, 8, _) => Ok(Self::Rgb(PixelFormat::Planar8)),
            (vs::VSColorFamily_cfRGB, false, 16, _) => Ok(Self::Rgb(PixelFormat::Planar16)),
            (vs::VSColorFamily_cfRGB, true, 16, _) => Ok(Self::Rgb(PixelFormat::PlanarF16)),
            (vs::VSColorFamily_cfRGB, true, 32, _) => Ok(Self::Rgb(PixelFormat::PlanarF32)),
            (_, false, depth, Some(planes)) if YuvFormat::DEPTHS.contains(&depth) => {
                Ok(Self::Yuv { planes, depth })
            }
            _ => Err(format!("unsupported format: expected {SUPPORTED}, got {}", describe(format))),
        }
    }

    /// The engine's format of a frame with these properties. Missing properties get the defaults of
    /// the `rife` command: a matrix by frame size, limited range, chroma on the left.
    pub(crate) fn pixel_format(self, size: FrameSize, props: Map<'_>) -> PixelFormat {
        match self {
            Self::Rgb(format) => format,
            Self::Yuv { planes, depth } => {
                let raw = RawFormat { size, planes, depth };
                pixel_format(&raw, &colour(|key| props.int(key)))
            }
        }
    }
}

/// A description such as `8-bit YUV 4:1:1`.
fn describe(format: &VideoFormat) -> String {
    let family = match u32::try_from(format.colorFamily) {
        Ok(vs::VSColorFamily_cfGray) => "gray",
        Ok(vs::VSColorFamily_cfRGB) => "RGB",
        Ok(vs::VSColorFamily_cfYUV) => match (format.subSamplingW, format.subSamplingH) {
            (0, 0) => "YUV 4:4:4",
            (1, 0) => "YUV 4:2:2",
            (1, 1) => "YUV 4:2:0",
            (0, 1) => "YUV 4:4:0",
            (2, 0) => "YUV 4:1:1",
            (2, 2) => "YUV 4:1:0",
            _ => "YUV with other subsampling",
        },
        _ => return "an unknown format".to_owned(),
    };
    let float = u32::try_from(format.sampleType) == Ok(vs::VSSampleType_stFloat);
    let kind = if float { " float" } else { "" };
    format!("{}-bit{kind} {family}", format.bitsPerSample)
}

/// The colour description in the properties of a YUV frame, in ffmpeg's terms.
fn colour(prop: impl Fn(&CStr) -> Option<i64>) -> Colour {
    // mpv still sets the old name, `_ColorSpace`.
    let matrix = prop(c"_Matrix").or_else(|| prop(c"_ColorSpace"));
    let matrix = matrix.and_then(|matrix| match matrix {
        1 => Some("bt709"),
        4 => Some("fcc"),
        5 => Some("bt470bg"),
        6 => Some("smpte170m"),
        7 => Some("smpte240m"),
        8 => Some("ycgco"),
        9 => Some("bt2020nc"),
        10 => Some("bt2020c"),
        _ => None,
    });
    // VapourSynth 74 introduced `_Range`, with the values of H.273. The older `_ColorRange` uses
    // the opposite values.
    let full = prop(c"_Range").map(|range| range == 1);
    let full = full.or_else(|| prop(c"_ColorRange").map(|range| range == 0));
    let location = prop(c"_ChromaLocation").and_then(|location| match location {
        0 => Some("left"),
        1 => Some("center"),
        2 => Some("topleft"),
        3 => Some("top"),
        4 => Some("bottomleft"),
        5 => Some("bottom"),
        _ => None,
    });
    Colour {
        matrix: matrix.map(Into::into),
        range: full.map(|full| if full { "pc" } else { "tv" }.into()),
        chroma_location: location.map(Into::into),
        ..Colour::default()
    }
}

/// The size of each plane of a packed frame, in bytes.
fn plane_bytes(size: FrameSize, format: PixelFormat) -> [usize; 3] {
    match format {
        PixelFormat::Yuv(yuv) => {
            let chroma = match yuv.chroma {
                Chroma::Gray => 0,
                _ => yuv.chroma_size(size).pixels(),
            };
            [size.pixels(), chroma, chroma].map(|samples| samples * yuv.sample_bytes())
        }
        PixelFormat::Planar8 => [size.pixels(); 3],
        PixelFormat::Planar16 | PixelFormat::PlanarF16 => [2 * size.pixels(); 3],
        _ => [4 * size.pixels(); 3],
    }
}

/// Copies a source frame into `packed`, which has the same size and format.
pub(crate) fn pack(from: &FrameRef, packed: &mut Frame) {
    let planes = plane_bytes(packed.size(), packed.format());
    let mut rest = packed.as_bytes_mut();
    for (plane, bytes) in planes.into_iter().enumerate() {
        let Some((to, after)) = rest.split_at_mut_checked(bytes) else { return };
        rest = after;
        let Some(rows) = from.rows(plane) else { return };
        let mut to = to;
        for row in rows {
            let Some((here, below)) = to.split_at_mut_checked(row.len()) else { break };
            here.copy_from_slice(row);
            to = below;
        }
    }
}

/// Copies a packed frame into an output frame of the same size and format.
pub(crate) fn unpack(packed: &Frame, to: &mut FrameMut) {
    let planes = plane_bytes(packed.size(), packed.format());
    let mut rest = packed.as_bytes();
    for (plane, bytes) in planes.into_iter().enumerate() {
        let Some((from, after)) = rest.split_at_checked(bytes) else { return };
        rest = after;
        to.write_plane(plane, from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::{Matrix, Siting};

    fn format(family: u32, float: bool, bits: i32, w: i32, h: i32) -> VideoFormat {
        VideoFormat {
            colorFamily: family as i32,
            sampleType: i32::from(float),
            bitsPerSample: bits,
            bytesPerSample: (bits + 7) / 8,
            subSamplingW: w,
            subSamplingH: h,
            numPlanes: 3,
        }
    }

    #[test]
    fn documented_formats_are_accepted_and_others_refused() {
        use vs::{VSColorFamily_cfGray as GRAY, VSColorFamily_cfRGB as RGB};
        let yuv = vs::VSColorFamily_cfYUV;
        for depth in [8, 10, 12, 16] {
            for (w, h, planes) in
                [(0, 0, Planes::Yuv444), (1, 0, Planes::Yuv422), (1, 1, Planes::Yuv420)]
            {
                let got = SampleFormat::of(&format(yuv, false, depth, w, h));
                assert_eq!(got, Ok(SampleFormat::Yuv { planes, depth: depth as u8 }));
            }
            assert!(SampleFormat::of(&format(GRAY, false, depth, 0, 0)).is_ok());
        }
        for (float, depth, expected) in [
            (false, 8, PixelFormat::Planar8),
            (false, 16, PixelFormat::Planar16),
            (true, 16, PixelFormat::PlanarF16),
            (true, 32, PixelFormat::PlanarF32),
        ] {
            let got = SampleFormat::of(&format(RGB, float, depth, 0, 0));
            assert_eq!(got, Ok(SampleFormat::Rgb(expected)));
        }
        for (refused, why) in [
            (format(yuv, false, 9, 1, 1), "9-bit YUV 4:2:0"),
            (format(yuv, false, 8, 2, 0), "8-bit YUV 4:1:1"),
            (format(yuv, true, 32, 0, 0), "32-bit float YUV 4:4:4"),
            (format(RGB, false, 10, 0, 0), "10-bit RGB"),
            (format(GRAY, true, 32, 0, 0), "32-bit float gray"),
            (format(0, false, 8, 0, 0), "an unknown format"),
        ] {
            let error = SampleFormat::of(&refused).unwrap_err();
            assert!(error.ends_with(&format!("got {why}")), "{error}");
        }
    }

    #[test]
    fn frame_properties_select_matrix_range_and_siting() {
        let format = |props: &[(&CStr, i64)], height| {
            let raw =
                RawFormat { size: FrameSize::new(64, height), planes: Planes::Yuv420, depth: 8 };
            let find = |key: &CStr| props.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
            match pixel_format(&raw, &colour(find)) {
                PixelFormat::Yuv(yuv) => (yuv.matrix, yuv.full_range, yuv.siting),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(format(&[], 576), (Matrix::Bt601, false, Siting::Left));
        assert_eq!(format(&[], 720), (Matrix::Bt709, false, Siting::Left));
        assert_eq!(format(&[(c"_Matrix", 2)], 720).0, Matrix::Bt709);
        for (value, matrix) in [
            (1, Matrix::Bt709),
            (4, Matrix::Fcc),
            (5, Matrix::Bt601),
            (6, Matrix::Bt601),
            (7, Matrix::Smpte240m),
            (8, Matrix::YCgCo),
            (9, Matrix::Bt2020),
            (10, Matrix::Bt2020),
        ] {
            assert_eq!(format(&[(c"_Matrix", value)], 64).0, matrix);
        }
        assert!(format(&[(c"_ColorRange", 0)], 64).1);
        assert!(!format(&[(c"_ColorRange", 1)], 64).1);
        assert!(format(&[(c"_Range", 1)], 64).1);
        assert!(!format(&[(c"_Range", 0), (c"_ColorRange", 0)], 64).1);
        for (value, siting) in [
            (0, Siting::Left),
            (1, Siting::Center),
            (2, Siting::TopLeft),
            (3, Siting::Top),
            (4, Siting::BottomLeft),
            (5, Siting::Bottom),
        ] {
            assert_eq!(format(&[(c"_ChromaLocation", value)], 64).2, siting);
        }
    }
}
