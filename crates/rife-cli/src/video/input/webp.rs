//! Animated WebP, which few releases of ffmpeg support.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use image_webp::{DecodingError, WebPDecoder};
use rife_runtime::{Frame, FrameSize};
use rife_video::{Error, Pool, Rational, Source, SourceFrame};

/// Memory limit of the decoder in bytes, without the frame.
const MAX_MEMORY: usize = 1 << 30;

/// Minimum duration of a frame, ms. Browsers also extend frames with a duration of 0.
const MIN_DURATION_MS: u32 = 10;

/// Decodes an animation to 8-bit RGB.
pub(in crate::video) struct WebpSource {
    path: PathBuf,
    decoder: WebPDecoder<BufReader<File>>,
    size: FrameSize,
    time_ms: i64,
    buffer: Vec<u8>,
}

/// The properties of an animation.
pub(super) struct WebpInfo {
    pub(super) size: FrameSize,
    pub(super) frames: u64,
    /// Average frame rate.
    pub(super) rate: Rational,
    pub(super) has_alpha: bool,
}

impl WebpSource {
    pub(super) fn open(path: &Path) -> Result<(Self, WebpInfo)> {
        let error = || format!("cannot read {}", path.display());
        let file = BufReader::new(File::open(path).with_context(error)?);
        let mut decoder = WebPDecoder::new(file).with_context(error)?;
        decoder.set_memory_limit(MAX_MEMORY);
        let (width, height) = decoder.dimensions();
        let size = FrameSize::new(width as usize, height as usize);
        let frames = u64::from(decoder.num_frames());
        ensure!(frames > 0, "cannot read {}: no frames", path.display());
        let total_ms = i64::try_from(decoder.loop_duration()).unwrap_or(0);
        let total_ms = total_ms.max(frames as i64 * i64::from(MIN_DURATION_MS));
        let info = WebpInfo {
            size,
            frames,
            rate: Rational::new(1000 * frames as i64, total_ms),
            has_alpha: decoder.has_alpha(),
        };
        let bytes = decoder.output_buffer_size().filter(|bytes| *bytes <= MAX_MEMORY);
        let bytes = bytes.with_context(|| format!("{} is too large: {size}", path.display()))?;
        let (path, buffer) = (path.to_owned(), vec![0; bytes]);
        Ok((Self { path, decoder, size, time_ms: 0, buffer }, info))
    }
}

impl Source for WebpSource {
    fn next(&mut self, _: &Pool<'_>) -> rife_video::Result<Option<SourceFrame>> {
        let duration_ms = match self.decoder.read_frame(&mut self.buffer) {
            Ok(duration_ms) => duration_ms.max(MIN_DURATION_MS),
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
        self.time_ms += i64::from(duration_ms);
        let duration = Some(Rational::new(i64::from(duration_ms), 1000));
        Ok(Some(SourceFrame { frame, time, duration }))
    }
}
