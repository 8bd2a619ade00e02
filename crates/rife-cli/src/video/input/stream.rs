//! Y4M and raw video, read without ffmpeg.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rife_runtime::FrameSize;
use rife_video::{Colour, PipeFormat, Planes, Rational, RawFormat, Y4mHeader};

use super::opened::{DEFAULT_RATE, Input, InputKind};
use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::video::stdio;

/// Read buffer in bytes for the header lines between frames; frames are read directly.
const BUFFER_BYTES: usize = 1 << 13;

/// Opens a Y4M stream.
pub(super) fn open_y4m(
    args: &InterpolateArgs,
    host: &Host,
    name: &str,
    mut reader: Box<dyn BufRead + Send>,
) -> Result<Input> {
    let header = Y4mHeader::read(&mut reader).with_context(|| format!("cannot read {name}"))?;
    if header.interlaced {
        host.say("note: expect combing: the stream is interlaced and its fields are not separated");
    }
    let rate = args.video.input_fps.or(header.rate).unwrap_or_else(|| Rational::from(DEFAULT_RATE));
    Ok(Input {
        name: name.into(),
        raw: header.raw,
        pixel_format: rife_video::pixel_format(&header.raw, &header.colour),
        declared_colour: header.colour.clone(),
        colour: header.colour,
        time_base: rate.recip(),
        time_rounding: Rational::from(0),
        rate,
        variable_rate: false,
        frames: None,
        part: None,
        sample_aspect: header.sample_aspect,
        kind: InputKind::Stream { reader: Some(reader), wrapping: PipeFormat::Y4m },
        _temporary_copy: None,
    })
}

/// Opens raw video in the pixel format `pix_fmt`.
pub(super) fn open_raw(
    args: &InterpolateArgs,
    path: &Path,
    is_stdin: bool,
    pix_fmt: &str,
    size: FrameSize,
) -> Result<Input> {
    let raw = match pix_fmt {
        "rgb24" => RawFormat { size, planes: Planes::Gbr, depth: 8 },
        "rgb48le" => RawFormat { size, planes: Planes::Gbr, depth: 16 },
        _ => match RawFormat::from_pix_fmt(pix_fmt, size) {
            Some(raw) if raw.planes != Planes::Gbr => raw,
            _ => bail!(
                "unsupported --pix-fmt {pix_fmt:?}: expected gray, yuv420p, yuv422p, yuv444p, one \
                 of these with 10, 12 or 16 bits like yuv420p10le, rgb24 or rgb48le"
            ),
        },
    };
    let range = pix_fmt.starts_with("yuvj").then(|| "pc".to_owned());
    let colour = Colour { range, ..Colour::default() };
    let (reader, name) = if is_stdin {
        (stdin_reader()?, "standard input".to_owned())
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        ensure!(
            file.metadata().is_ok_and(|metadata| !metadata.is_dir()),
            "cannot read {name}: expected a raw video file, got a folder"
        );
        (file_reader(file), name)
    };
    let rate = args.video.input_fps.unwrap_or_else(|| Rational::from(DEFAULT_RATE));
    Ok(Input {
        name,
        raw,
        pixel_format: rife_video::pixel_format(&raw, &colour),
        declared_colour: colour.clone(),
        colour,
        time_base: rate.recip(),
        time_rounding: Rational::from(0),
        rate,
        variable_rate: false,
        frames: None,
        part: None,
        sample_aspect: None,
        kind: InputKind::Stream { reader: Some(reader), wrapping: PipeFormat::Raw },
        _temporary_copy: None,
    })
}

/// A file with a small buffer.
pub(super) fn file_reader(file: File) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
}

/// Standard input with a small buffer.
pub(super) fn stdin_reader() -> Result<Box<dyn BufRead + Send>> {
    rife_video::enlarge_pipe(std::io::stdin());
    let stdin = stdio::stdin().context("standard input is closed")?;
    Ok(file_reader(stdin))
}
