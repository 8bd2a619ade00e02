//! Writes raw video with exact times as NUT, a container that ffmpeg reads from a pipe.
//!
//! Source: the NUT specification, <https://git.ffmpeg.org/gitweb/nut.git/blob/HEAD:/docs/nut.txt>.

use std::io::{self, Write};

use crate::{Planes, Rational, RawFormat};

const FILE_ID: &[u8] = b"nut/multimedia container\0";
const MAIN: u64 = 0x7A56_1F5F_04AD | (0x4E4D << 48);
const STREAM: u64 = 0x1140_5BF2_F9DB | (0x4E53 << 48);
const INFO: u64 = 0xAB68_B596_BA78 | (0x4E49 << 48);
const SYNCPOINT: u64 = 0xE4AD_EECA_4569 | (0x4E4B << 48);

const FLAG_KEY: u64 = 1;
const FLAG_CODED_PTS: u64 = 8;
const FLAG_SIZE_MSB: u64 = 32;
const FLAG_CHECKSUM: u64 = 64;
const FLAG_INVALID: u64 = 8192;

/// The frame code of every frame.
const FRAME: u8 = 0;

/// Number of low bits for times relative to the previous frame; every frame has a full time.
const PTS_SHIFT: u64 = 1;

/// Writes a NUT file with one raw video stream.
#[derive(Debug)]
pub struct NutWriter<W> {
    out: W,
    /// Offset of the last syncpoint, and bytes written so far.
    last_syncpoint: u64,
    written: u64,
}

impl<W: Write> NutWriter<W> {
    /// Writes the headers. Frame times are in ticks of `tick` s.
    ///
    /// # Errors
    /// If writing fails.
    pub fn new(out: W, format: &NutFormat, tick: Rational) -> io::Result<Self> {
        let mut writer = Self { out, last_syncpoint: 0, written: 0 };
        writer.put(FILE_ID)?;

        let mut main = Vec::new();
        v(&mut main, 3); // version
        v(&mut main, 1); // streams
        v(&mut main, 65536); // max_distance
        v(&mut main, 1); // time bases
        v(&mut main, *tick.numer() as u64);
        v(&mut main, *tick.denom() as u64);
        // One code for all frames; the 255 others are invalid. The format skips 'N'.
        for (flags, count) in
            [(FLAG_KEY | FLAG_CODED_PTS | FLAG_SIZE_MSB | FLAG_CHECKSUM, 1), (FLAG_INVALID, 254)]
        {
            v(&mut main, flags);
            v(&mut main, 6); // fields
            v(&mut main, 0); // pts (signed, 0)
            v(&mut main, 1); // mul
            v(&mut main, 0); // stream
            v(&mut main, 0); // size
            v(&mut main, 0); // reserved
            v(&mut main, count);
        }
        v(&mut main, 0); // header_count_minus1
        writer.packet(MAIN, &main)?;

        let mut stream = Vec::new();
        v(&mut stream, 0); // stream_id
        v(&mut stream, 0); // video
        v(&mut stream, format.fourcc.len() as u64);
        stream.extend(format.fourcc);
        v(&mut stream, 0); // time base
        v(&mut stream, PTS_SHIFT);
        v(&mut stream, 1); // max_pts_distance: every frame has a checksum
        v(&mut stream, 0); // decode_delay
        v(&mut stream, 0); // flags
        v(&mut stream, 0); // codec_specific_data
        v(&mut stream, format.width as u64);
        v(&mut stream, format.height as u64);
        let (x, y) = format.sample_aspect.unwrap_or((0, 0));
        v(&mut stream, x);
        v(&mut stream, y);
        v(&mut stream, 0); // colorspace
        writer.packet(STREAM, &stream)?;
        // At most the tick rate: encoders cannot represent a frame shorter than a tick.
        let rate = format.rate.map(|rate| rate.min(tick.recip()));
        if let Some((frames, seconds)) = rate.map(|rate| (*rate.numer(), *rate.denom())) {
            let mut info = Vec::new();
            v(&mut info, 1); // stream_id_plus1
            v(&mut info, 0); // chapter_id (signed, 0)
            v(&mut info, 0); // chapter_start
            v(&mut info, 0); // chapter_len
            v(&mut info, 1); // count
            let name = b"r_frame_rate";
            v(&mut info, name.len() as u64);
            info.extend(name);
            v(&mut info, 2); // a text follows (signed, -1)
            let rate = format!("{frames}/{seconds}");
            v(&mut info, rate.len() as u64);
            info.extend(rate.as_bytes());
            writer.packet(INFO, &info)?;
        }
        Ok(writer)
    }

    /// Writes a frame that is shown at `pts` ticks.
    ///
    /// # Errors
    /// If writing fails.
    pub fn frame(&mut self, pts: u64, data: &[u8]) -> io::Result<()> {
        let here = self.written;
        let mut sync = Vec::new();
        v(&mut sync, pts); // in the one time base there is
        v(&mut sync, (here - self.last_syncpoint) / 16);
        self.last_syncpoint = here;
        self.packet(SYNCPOINT, &sync)?;

        let mut head = vec![FRAME];
        v(&mut head, pts + (1 << PTS_SHIFT));
        v(&mut head, data.len() as u64);
        let checksum = crc(&head);
        head.extend(checksum.to_be_bytes());
        self.put(&head)?;
        self.put(data)
    }

    /// Flushes, and returns the writer.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn packet(&mut self, startcode: u64, payload: &[u8]) -> io::Result<()> {
        let mut packet = startcode.to_be_bytes().to_vec();
        v(&mut packet, payload.len() as u64 + 4);
        packet.extend(payload);
        packet.extend(crc(payload).to_be_bytes());
        self.put(&packet)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

/// The video format that a NUT file states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NutFormat {
    fourcc: [u8; 4],
    width: usize,
    height: usize,
    /// Pixel aspect ratio, if known.
    sample_aspect: Option<(u64, u64)>,
    rate: Option<Rational>,
}

impl NutFormat {
    /// States the average frame rate. Encoders plan with it; times of a few frames, or of a
    /// variable rate, are no substitute.
    #[must_use]
    pub fn with_rate(self, rate: Rational) -> Self {
        let known = 1..=i64::from(i32::MAX);
        let sane = known.contains(rate.numer()) && known.contains(rate.denom());
        Self { rate: sane.then_some(rate), ..self }
    }

    /// Planar frames. RGB is interleaved; see [`NutFormat::rgb`].
    pub fn planar(format: &RawFormat, sample_aspect: Option<Rational>) -> Self {
        let d = format.depth;
        let fourcc = match (format.planes, d) {
            (Planes::Gray, 8) => *b"Y800",
            (Planes::Gray, _) => [b'Y', b'1', 0, d],
            (Planes::Yuv420, 8) => *b"I420",
            (Planes::Yuv420, _) => [b'Y', b'3', 11, d],
            (Planes::Yuv422, 8) => *b"Y42B",
            (Planes::Yuv422, _) => [b'Y', b'3', 10, d],
            (Planes::Yuv444, 8) => *b"444P",
            (Planes::Yuv444, _) => [b'Y', b'3', 0, d],
            (Planes::Gbr, _) => [b'G', b'3', 0, d],
        };
        Self::new(fourcc, format, sample_aspect)
    }

    /// Interleaved RGB frames: `rgb24` at a depth of 8, otherwise `rgb48le`.
    pub fn rgb(format: &RawFormat, sample_aspect: Option<Rational>) -> Self {
        let fourcc = if format.depth == 8 { *b"RGB\x18" } else { *b"RGB0" };
        Self::new(fourcc, format, sample_aspect)
    }

    fn new(fourcc: [u8; 4], format: &RawFormat, sample_aspect: Option<Rational>) -> Self {
        let aspect = sample_aspect.filter(|a| *a.numer() > 0);
        Self {
            fourcc,
            width: format.size.width,
            height: format.size.height,
            sample_aspect: aspect.map(|a| (*a.numer() as u64, *a.denom() as u64)),
            rate: None,
        }
    }
}

/// A variable-length integer: groups of 7 bits, the highest first.
fn v(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = (value >> (7 * group)) as u8 & 127;
        out.push(if group > 0 { bits | 128 } else { bits });
    }
}

/// NUT's checksum: CRC-32 with the generator 0x04C11DB7 and an initial value of 0.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |c, _| {
            c << 1 ^ (if c >> 31 == 1 { 0x04C1_1DB7 } else { 0 })
        })
    })
}
