//! Reads and writes raw frames.

use std::io::{self, Read, Write};

use rife_runtime::{Chroma, Frame, FrameSize, Matrix, PixelFormat, Siting, YuvFormat};

use crate::pool::Pool;
use crate::{Colour, Planes, RawFormat};

/// The engine's pixel format of a raw frame. RGB is interleaved (`rgb24`, `rgb48le`).
pub fn pixel_format(raw: &RawFormat, colour: &Colour) -> PixelFormat {
    let chroma = match raw.planes {
        Planes::Gray => Chroma::Gray,
        Planes::Yuv420 => Chroma::Yuv420,
        Planes::Yuv422 => Chroma::Yuv422,
        Planes::Yuv444 => Chroma::Yuv444,
        Planes::Gbr if raw.depth == 8 => return PixelFormat::Rgb8,
        Planes::Gbr => return PixelFormat::Rgb16,
    };
    let word = |word: &Option<String>| word.clone().unwrap_or_default();
    PixelFormat::Yuv(YuvFormat {
        chroma,
        depth: raw.depth,
        matrix: match word(&colour.matrix).as_str() {
            "bt709" => Matrix::Bt709,
            "bt2020nc" | "bt2020c" | "bt2020_ncl" | "bt2020_cl" | "bt2020" => Matrix::Bt2020,
            "smpte240m" => Matrix::Smpte240m,
            "fcc" => Matrix::Fcc,
            "ycgco" | "ycocg" => Matrix::YCgCo,
            "smpte170m" | "bt470bg" => Matrix::Bt601,
            _ if raw.size.height >= 720 || raw.size.width >= 1280 => Matrix::Bt709,
            _ => Matrix::Bt601,
        },
        full_range: matches!(word(&colour.range).as_str(), "pc" | "full" | "jpeg"),
        siting: match word(&colour.chroma_location).as_str() {
            "center" => Siting::Center,
            "topleft" => Siting::TopLeft,
            "top" => Siting::Top,
            "bottomleft" => Siting::BottomLeft,
            "bottom" => Siting::Bottom,
            _ => Siting::Left,
        },
    })
}

/// ffmpeg's name of the format that frames have in a pipe; RGB is interleaved.
pub fn pipe_pix_fmt(raw: &RawFormat) -> String {
    match (raw.planes, raw.depth) {
        (Planes::Gbr, 8) => "rgb24".into(),
        (Planes::Gbr, _) => "rgb48le".into(),
        _ => raw.pix_fmt(),
    }
}

/// The raw format of an engine's pixel format; `None` if no stream has it.
pub fn raw_format(size: FrameSize, format: PixelFormat) -> Option<RawFormat> {
    let (planes, depth) = match format {
        PixelFormat::Rgb8 => (Planes::Gbr, 8),
        PixelFormat::Rgb16 => (Planes::Gbr, 16),
        PixelFormat::Yuv(yuv) => {
            let planes = match yuv.chroma {
                Chroma::Gray => Planes::Gray,
                Chroma::Yuv420 => Planes::Yuv420,
                Chroma::Yuv422 => Planes::Yuv422,
                Chroma::Yuv444 => Planes::Yuv444,
            };
            (planes, yuv.depth)
        }
        _ => return None,
    };
    Some(RawFormat { size, planes, depth })
}

/// Reads a frame; `None` at the end of the stream.
///
/// # Errors
/// If the stream cannot be read, or ends within the frame ([`io::ErrorKind::UnexpectedEof`]).
pub(crate) fn read(from: &mut impl Read, pool: &Pool) -> io::Result<Option<Frame>> {
    let mut frame =
        pool.take().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    if !fill(from, frame.as_bytes_mut())? {
        return Ok(None);
    }
    if cfg!(target_endian = "big") && frame.as_yuv16().or(frame.as_rgb16()).is_some() {
        frame.as_bytes_mut().chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    Ok(Some(frame))
}

/// Fills a buffer; `false` at the end of the stream.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes the samples of a frame.
///
/// # Errors
/// If writing fails.
pub fn write(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    if cfg!(target_endian = "big")
        && let Some(samples) = frame.as_yuv16().or(frame.as_rgb16())
    {
        let swapped: Vec<u16> = samples.iter().map(|sample| sample.to_le()).collect();
        return to.write_all(bytemuck::cast_slice(&swapped));
    }
    to.write_all(frame.as_bytes())
}
