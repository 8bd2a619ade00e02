//! Animated WebP, which few releases of ffmpeg read.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use image_webp::{DecodingError, WebPDecoder};
use rife_runtime::{Frame, FrameSize};
use rife_video::{Error, Pool, Rational, Source, SourceFrame};

/// Bytes that a decoder may take beside its frame.
const MEMORY: usize = 1 << 30;

/// How long a picture is shown that says 0, ms: what browsers make of it.
const LEAST_MS: u32 = 10;

/// Frames of an animation, as 8-bit RGB.
pub(super) struct WebpSource {
    path: PathBuf,
    decoder: WebPDecoder<BufReader<File>>,
    size: FrameSize,
    time_ms: i64,
    buffer: Vec<u8>,
}

/// What an animation says of itself.
pub(super) struct Facts {
    pub(super) size: FrameSize,
    pub(super) frames: u64,
    /// Frames a second, on average.
    pub(super) rate: Rational,
    pub(super) has_alpha: bool,
}

impl WebpSource {
    pub(super) fn open(path: &Path) -> Result<(Self, Facts)> {
        let cannot = || format!("cannot read {}", path.display());
        let file = BufReader::new(File::open(path).with_context(cannot)?);
        let mut decoder = WebPDecoder::new(file).with_context(cannot)?;
        decoder.set_memory_limit(MEMORY);
        let (width, height) = decoder.dimensions();
        let size = FrameSize::new(width as usize, height as usize);
        let frames = u64::from(decoder.num_frames());
        ensure!(frames > 0, "cannot read {}: it has no frames", path.display());
        let length_ms = i64::try_from(decoder.loop_duration()).unwrap_or(0);
        let length_ms = length_ms.max(frames as i64 * i64::from(LEAST_MS));
        let facts = Facts {
            size,
            frames,
            rate: Rational::new(1000 * frames as i64, length_ms),
            has_alpha: decoder.has_alpha(),
        };
        let bytes = decoder.output_buffer_size().filter(|bytes| *bytes <= MEMORY);
        let bytes = bytes.with_context(|| format!("{} is too large, {size}", path.display()))?;
        let (path, buffer) = (path.to_owned(), vec![0; bytes]);
        Ok((Self { path, decoder, size, time_ms: 0, buffer }, facts))
    }
}

impl Source for WebpSource {
    fn next(&mut self, _: &Pool<'_>) -> rife_video::Result<Option<SourceFrame>> {
        let shown_ms = match self.decoder.read_frame(&mut self.buffer) {
            Ok(shown_ms) => shown_ms.max(LEAST_MS),
            Err(DecodingError::NoMoreFrames) => return Ok(None),
            Err(error) => {
                return Err(Error::Unusable { path: self.path.clone(), why: error.to_string() });
            }
        };
        let rgb = match self.decoder.has_alpha() {
            true => self.buffer.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
            false => self.buffer.clone(),
        };
        let frame = Arc::new(Frame::rgb8(self.size, rgb)?);
        let time = Rational::new(self.time_ms, 1000);
        self.time_ms += i64::from(shown_ms);
        let duration = Some(Rational::new(i64::from(shown_ms), 1000));
        Ok(Some(SourceFrame { frame, time, duration }))
    }
}
