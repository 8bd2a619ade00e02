//! Frames of a video file, decoded by `rife-video`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rife_runtime::{Frame, PixelFormat};
use rife_video::{
    ContainerTiming, Decoder, Planes, Pool, Programs, Rational, RawFormat, Source, VideoStream,
    WorkingFormat, decode_command, probe,
};

use super::check_size;
use crate::subject::Size;

/// Reads up to `limit` frames of a video as interleaved 8-bit RGB. There may be fewer. Frames are
/// read as stored: a rotation is not applied.
pub fn read(path: &Path, limit: usize) -> Result<(Size, Vec<Vec<u8>>)> {
    let failed = || format!("cannot read {} as a video", path.display());
    let programs = Programs::find(None).with_context(failed)?;
    let probed = probe(&programs, path).with_context(failed)?;
    let video = &probed.video;
    let size = Size { width: video.size.width, height: video.size.height };
    check_size(size).with_context(failed)?;

    let format = WorkingFormat {
        raw: RawFormat { size: video.size, planes: Planes::Gbr, depth: 8 },
        pix_fmt: "rgb24".into(),
        exact: false,
        note: None,
    };
    // Times and lengths do not matter here.
    let expected = ContainerTiming {
        rate: None,
        frames: None,
        end: None,
        ..ContainerTiming::new(&probed, Rational::from(25))
    };
    let command = decode_command(&programs, path, &probed, &format);
    let stream = VideoStream::new(&programs, path, &probed);
    let mut decoder = Decoder::start(command, path, expected, stream).with_context(failed)?;
    let pool = Pool::new(video.size, PixelFormat::Rgb8, None);
    let mut frames = Vec::new();
    while frames.len() < limit {
        let Some(decoded) = decoder.next(&pool).with_context(failed)? else { break };
        let rgb = Frame::as_rgb8(&decoded.frame).context("unexpected pixel format");
        frames.push(rgb.with_context(failed)?.to_vec());
    }
    ensure!(!frames.is_empty(), "{}: no frames", failed());
    Ok((size, frames))
}
