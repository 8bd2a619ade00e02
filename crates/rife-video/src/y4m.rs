//! YUV4MPEG2 (Y4M): uncompressed frames with text headers.

use std::io::{self, BufRead, Write};

use rife_runtime::{Frame, FrameSize};

use crate::pool::Pool;
use crate::{Colour, Planes, Rational, RawFormat, frames};

/// The stream header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Frame format.
    pub raw: RawFormat,
    /// Frames per second, if stated.
    pub rate: Option<Rational>,
    /// Pixel aspect ratio (width / height), if stated.
    pub sample_aspect: Option<Rational>,
    /// Colour properties.
    pub colour: Colour,
    /// Whether frames are interlaced.
    pub interlaced: bool,
}

/// Longest accepted line, in bytes.
const LONGEST: usize = 4096;

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// Reads a line without its terminator; `None` at the end of the stream.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return match line.is_empty() {
                true => Ok(None),
                false => Err(invalid("the Y4M stream ends within a line")),
            };
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(buffer.len());
        line.extend_from_slice(&buffer[..taken]);
        from.consume(taken + usize::from(end.is_some()));
        if line.len() > LONGEST {
            return Err(invalid("a line of the Y4M stream exceeds 4096 bytes"));
        }
        if end.is_some() {
            let text = String::from_utf8(line).map_err(|_| {
                invalid(
                    "a line of the Y4M stream is \
             not UTF-8",
                )
            })?;
            return Ok(Some(text));
        }
    }
}

impl Y4mHeader {
    /// Reads the stream header.
    ///
    /// # Errors
    /// If the stream cannot be read, is not Y4M, or has an unknown layout
    /// ([`io::ErrorKind::InvalidData`]).
    pub fn read(from: &mut impl BufRead) -> io::Result<Self> {
        // Other streams may have no line break, and must not be read to the end.
        let start = from.fill_buf()?;
        let magic = b"YUV4MPEG2";
        let seen = start.len().min(magic.len());
        if start.is_empty() {
            return Err(invalid("the stream is empty"));
        }
        if start[..seen] != magic[..seen] {
            return Err(invalid("not a Y4M stream"));
        }
        let line = line(from)?.unwrap_or_default();
        let mut words = line.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(invalid("not a Y4M stream"));
        }
        let (mut width, mut height, mut layout) = (None, None, "420jpeg".to_owned());
        let mut header = Self {
            raw: RawFormat { size: FrameSize::new(0, 0), planes: Planes::Yuv420, depth: 8 },
            rate: None,
            sample_aspect: None,
            colour: Colour::default(),
            interlaced: false,
        };
        for word in words.filter(|word| !word.is_empty()) {
            let (key, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            match key {
                "W" => width = value.parse::<usize>().ok(),
                "H" => height = value.parse::<usize>().ok(),
                "F" => header.rate = ratio(value),
                "A" => header.sample_aspect = ratio(value),
                "I" => header.interlaced = !matches!(value, "p" | "?"),
                "C" => value.clone_into(&mut layout),
                "X" => {
                    if let Some(range) = value.strip_prefix("COLORRANGE=") {
                        let range = if range == "FULL" { "pc" } else { "tv" };
                        header.colour.range = Some(range.into());
                    }
                }
                _ => {}
            }
        }
        let (Some(width), Some(height)) = (width, height) else {
            return Err(invalid("the Y4M header has no frame size"));
        };
        let side = 1..=FrameSize::MAX_SIDE;
        if !side.contains(&width) || !side.contains(&height) {
            return Err(invalid(format!("unsupported frame size {width}x{height}")));
        }
        header.raw.size = FrameSize::new(width, height);
        let (planes, depth, location) = of_layout(&layout)
            .ok_or_else(|| invalid(format!("unsupported Y4M layout C{layout}")))?;
        (header.raw.planes, header.raw.depth) = (planes, depth);
        header.colour.chroma_location = location.map(Into::into);
        Ok(header)
    }

    /// Writes the stream header.
    ///
    /// # Errors
    /// If writing fails; [`io::ErrorKind::Unsupported`] for RGB.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let FrameSize { width, height } = self.raw.size;
        let (n, d) = self.rate.map_or((25, 1), |r| (*r.numer(), *r.denom()));
        let (x, y) = self.sample_aspect.map_or((0, 0), |r| (*r.numer(), *r.denom()));
        let depth = self.raw.depth;
        let location = self.colour.chroma_location.as_deref();
        let layout = match (self.raw.planes, depth) {
            (Planes::Yuv420, 8) => match location {
                Some("center") => "420jpeg".into(),
                Some("topleft") => "420paldv".into(),
                _ => "420mpeg2".into(),
            },
            (Planes::Yuv420, _) => format!("420p{depth}"),
            (Planes::Yuv422, 8) => "422".into(),
            (Planes::Yuv422, _) => format!("422p{depth}"),
            (Planes::Yuv444, 8) => "444".into(),
            (Planes::Yuv444, _) => format!("444p{depth}"),
            (Planes::Gray, 8) => "mono".into(),
            (Planes::Gray, _) => format!("mono{depth}"),
            (Planes::Gbr, _) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "Y4M does not support RGB"));
            }
        };
        // Older readers take the depth from this extension.
        let also = match (self.raw.planes, depth) {
            (Planes::Yuv420 | Planes::Yuv422 | Planes::Yuv444, 10..) => {
                format!(" XYSCSS={}P{depth}", layout.split('p').next().unwrap_or_default())
            }
            _ => String::new(),
        };
        let range = match self.colour.range.as_deref() {
            Some("pc") => " XCOLORRANGE=FULL",
            Some("tv") => " XCOLORRANGE=LIMITED",
            _ => "",
        };
        let scan = if self.interlaced { "m" } else { "p" };
        writeln!(
            to,
            "YUV4MPEG2 W{width} H{height} F{n}:{d} I{scan} A{x}:{y} C{layout}{also}{range}"
        )
    }
}

/// Parses `30000:1001`; `None` if a side is 0.
fn ratio(text: &str) -> Option<Rational> {
    let (a, b) = text.split_once(':')?;
    let (a, b): (i64, i64) = (a.parse().ok()?, b.parse().ok()?);
    let sane = 1..=1 << 31;
    (sane.contains(&a) && sane.contains(&b)).then(|| Rational::new(a, b))
}

fn of_layout(name: &str) -> Option<(Planes, u8, Option<&'static str>)> {
    Some(match name {
        "420jpeg" => (Planes::Yuv420, 8, Some("center")),
        "420mpeg2" | "420" => (Planes::Yuv420, 8, Some("left")),
        "420paldv" => (Planes::Yuv420, 8, Some("topleft")),
        "422" => (Planes::Yuv422, 8, None),
        "444" => (Planes::Yuv444, 8, None),
        "mono" => (Planes::Gray, 8, None),
        _ => {
            let (planes, depth) = match name.strip_prefix("mono") {
                Some(depth) => (Planes::Gray, depth),
                None => match name.split_once('p')? {
                    ("420", depth) => (Planes::Yuv420, depth),
                    ("422", depth) => (Planes::Yuv422, depth),
                    ("444", depth) => (Planes::Yuv444, depth),
                    _ => return None,
                },
            };
            let depth = depth.parse().ok().filter(|depth| matches!(depth, 10 | 12 | 16))?;
            (planes, depth, None)
        }
    })
}

/// Reads the next frame; `None` at the end of the stream.
///
/// # Errors
/// If the stream cannot be read, is malformed, or ends within a frame.
pub(crate) fn read_frame(from: &mut impl BufRead, pool: &Pool<'_>) -> io::Result<Option<Frame>> {
    let Some(line) = line(from)? else { return Ok(None) };
    if line != "FRAME" && !line.starts_with("FRAME ") {
        return Err(invalid("malformed Y4M frame header"));
    }
    match frames::read(from, pool)? {
        None => Err(io::ErrorKind::UnexpectedEof.into()),
        frame => Ok(frame),
    }
}

/// Writes a frame.
///
/// # Errors
/// If writing fails.
pub fn write_frame(to: &mut impl Write, frame: &Frame) -> io::Result<()> {
    to.write_all(b"FRAME\n")?;
    frames::write(to, frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::PixelFormat;

    fn header(text: &str) -> io::Result<Y4mHeader> {
        Y4mHeader::read(&mut text.as_bytes())
    }

    #[test]
    fn headers_round_trip() {
        for planes in [Planes::Gray, Planes::Yuv420, Planes::Yuv422, Planes::Yuv444] {
            for depth in [8, 10, 12, 16] {
                for range in [None, Some("pc"), Some("tv")] {
                    let location = (planes == Planes::Yuv420 && depth == 8).then(|| "left".into());
                    let written = Y4mHeader {
                        raw: RawFormat { size: FrameSize::new(35, 21), planes, depth },
                        rate: Some(Rational::new(30000, 1001)),
                        sample_aspect: Some(Rational::new(16, 15)),
                        colour: Colour {
                            range: range.map(Into::into),
                            chroma_location: location,
                            ..Colour::default()
                        },
                        interlaced: false,
                    };
                    let mut text = Vec::new();
                    written.write(&mut text).unwrap();
                    assert_eq!(Y4mHeader::read(&mut &text[..]).unwrap(), written);
                }
            }
        }
    }

    #[test]
    fn malformed_headers_are_refused_with_a_reason() {
        for (text, why) in [
            ("", "empty"),
            ("RIFF1234", "not a Y4M"),
            ("YUV4MPEG2 W16", "ends within"),
            ("YUV4MPEG2 W16\n", "size"),
            ("YUV4MPEG2 W0 H16\n", "unsupported frame size"),
            ("YUV4MPEG2 W99999999 H16\n", "unsupported frame size"),
            ("YUV4MPEG2 W16 H16 C411\n", "C411"),
            ("YUV4MPEG2 W16 H16 C420p11\n", "C420p11"),
            ("YUV4MPEG2X W16 H16\n", "not a Y4M"),
        ] {
            let error = header(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert_eq!(header("YUV4MPEG2 W2 H2 F0:0\n").unwrap().rate, None);
    }

    #[test]
    fn frames_are_read_to_the_last_byte() {
        let head = header("YUV4MPEG2 W2 H2 F25:1 C420jpeg\n").unwrap();
        let format = frames::pixel_format(&head.raw, &head.colour);
        assert!(matches!(format, PixelFormat::Yuv(_)));
        let stream = b"FRAME\n123456FRAME Ip\nabcdef";
        let mut from = &stream[..];
        let pool = Pool::new(head.raw.size, format, None);
        let mut next = || read_frame(&mut from, &pool);
        assert_eq!(next().unwrap().unwrap().as_yuv8().unwrap(), b"123456");
        assert_eq!(next().unwrap().unwrap().as_yuv8().unwrap(), b"abcdef");
        assert_eq!(next().unwrap(), None);
        for broken in [&b"FRAME\n12345"[..], b"FRAM", b"FRAMES\n123456", b"123456"] {
            assert!(read_frame(&mut &broken[..], &pool).is_err());
        }
    }
}
