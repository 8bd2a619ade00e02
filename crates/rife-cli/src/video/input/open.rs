//! Opens inputs of all kinds.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rife_runtime::PixelFormat;
use rife_video::{Colour, ContainerTiming, Planes, Playlists, Programs, Rational, RawFormat};

use super::animation::{self, Animation};
use super::hardware;
use super::images::ImageFolder;
use super::opened::{DEFAULT_RATE, Input, InputKind};
use super::pipe::{self, PipeInput};
use super::stream;
use super::webp::WebpSource;
use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::image_file::{ImageFormat, TRANSPARENCY_LOST};
use crate::paths;
use crate::video::programs::ProgramFinder;

/// Opens the input, and checks everything that can be checked before decoding.
pub(in crate::video) fn open(
    args: &InterpolateArgs,
    host: &Host,
    programs: &mut ProgramFinder<'_>,
) -> Result<Input> {
    let part = args.part.part()?;
    let mut input = open_whole(args, host, programs)?;
    if let Some(part) = part {
        input.select(part)?;
    }
    hardware::choose(args.setup.hwaccel, host, &mut input, programs)?;
    Ok(input)
}

fn open_whole(
    args: &InterpolateArgs,
    host: &Host,
    programs: &mut ProgramFinder<'_>,
) -> Result<Input> {
    let path = &args.input;
    let is_stdin = path.as_os_str() == "-";
    if let Some(name) = &args.video.pix_fmt {
        let size = args.video.size.context("raw video needs --size in addition to --pix-fmt")?;
        return stream::open_raw(args, path, is_stdin, name, size);
    }
    ensure!(args.video.size.is_none(), "--size is for raw video: it needs --pix-fmt");
    if is_stdin {
        return stream::open_y4m(args, host, "standard input", stream::stdin_reader()?);
    }
    let error = || format!("cannot read {}", path.display());
    let metadata = path.metadata().with_context(error)?;
    if metadata.is_dir() {
        return open_images(args, host, path);
    }
    if !metadata.is_file() {
        match pipe::open(args, host, path, &metadata)? {
            PipeInput::Y4m(reader) => {
                return stream::open_y4m(args, host, &path.display().to_string(), reader);
            }
            PipeInput::Copied(copy) => {
                let input = open_file(args, host, &copy, programs)
                    .map_err(|error| rename_in_error(error, &copy, path))?;
                let name = path.display().to_string();
                return Ok(Input { name, _temporary_copy: Some(copy), ..input });
            }
            PipeInput::BlockDevice => {}
        }
    }
    if paths::extension(path) == "y4m" {
        let file = File::open(path).with_context(error)?;
        return stream::open_y4m(
            args,
            host,
            &path.display().to_string(),
            stream::file_reader(file),
        );
    }
    open_file(args, host, path, programs)
}

/// Opens a file that is neither Y4M nor raw video.
fn open_file(
    args: &InterpolateArgs,
    host: &Host,
    path: &Path,
    programs: &mut ProgramFinder<'_>,
) -> Result<Input> {
    let animation = animation::detect(path)?;
    ensure!(
        animation.is_some() || ImageFormat::from_path(path).is_err(),
        "{} is a single image: name the later image after it, or name a folder of images",
        path.display()
    );
    ensure!(
        args.video.input_fps.is_none(),
        "--input-fps applies to images, raw video and Y4M: {} has a frame rate",
        path.display()
    );
    if animation == Some(Animation::WebP) {
        return open_webp(host, path);
    }
    let playlists = match args.video.allow_playlists {
        true => Playlists::Allow,
        false => Playlists::Refuse,
    };
    open_with_ffmpeg(host, path, programs.find()?, playlists)
}

fn open_with_ffmpeg(
    host: &Host,
    path: &Path,
    programs: &Programs,
    playlists: Playlists,
) -> Result<Input> {
    let source = rife_video::probe_with(programs, path, playlists)?;
    let video = &source.video;
    let working = rife_video::working_format(video);
    if let Some(note) = &working.note {
        host.report(note);
    }
    if video.interlaced {
        host.say(
            "note: expect combing: the video is interlaced and its fields are not separated; \
             deinterlace it first (ffmpeg -vf bwdif)",
        );
    }
    let colour = rife_video::effective_colour(video, &working);
    let pixel_format = rife_video::pixel_format(&working.raw, &colour);
    rife_video::check_complete(programs, path, &source)?;
    let expected = ContainerTiming::new(&source, Rational::from(DEFAULT_RATE));
    let variable_rate = expected.rate.is_none();
    Ok(Input {
        name: path.display().to_string(),
        raw: working.raw,
        pixel_format,
        time_base: expected.tick(),
        time_rounding: if variable_rate { video.time_base } else { Rational::from(0) },
        rate: expected.frame_time.recip(),
        variable_rate,
        frames: video.frames,
        part: None,
        sample_aspect: video.sample_aspect,
        declared_colour: video.colour.clone(),
        colour,
        kind: InputKind::File {
            path: path.to_owned(),
            source: Box::new(source),
            working,
            hardware: None,
        },
        _temporary_copy: None,
    })
}

fn open_webp(host: &Host, path: &Path) -> Result<Input> {
    let (source, info) = WebpSource::open(path)?;
    if info.has_alpha {
        host.report(TRANSPARENCY_LOST);
    }
    Ok(Input {
        name: path.display().to_string(),
        raw: RawFormat { size: info.size, planes: Planes::Gbr, depth: 8 },
        pixel_format: PixelFormat::Rgb8,
        colour: Colour::default(),
        declared_colour: Colour::default(),
        time_base: Rational::new(1, 1000),
        time_rounding: Rational::from(0),
        rate: info.rate,
        variable_rate: true,
        frames: Some(info.frames),
        part: None,
        sample_aspect: None,
        kind: InputKind::Webp(Some(Box::new(source))),
        _temporary_copy: None,
    })
}

fn open_images(args: &InterpolateArgs, host: &Host, path: &Path) -> Result<Input> {
    let (folder, first) = ImageFolder::open(path, host)?;
    let depth = if first.format() == PixelFormat::Rgb8 { 8 } else { 16 };
    let rate = args.video.input_fps.unwrap_or_else(|| Rational::from(DEFAULT_RATE));
    Ok(Input {
        name: path.display().to_string(),
        raw: RawFormat { size: first.size(), planes: Planes::Gbr, depth },
        pixel_format: first.format(),
        colour: Colour::default(),
        declared_colour: Colour::default(),
        time_base: rate.recip(),
        time_rounding: Rational::from(0),
        rate,
        variable_rate: false,
        frames: Some(folder.files().len() as u64),
        part: None,
        sample_aspect: None,
        kind: InputKind::Images(folder),
        _temporary_copy: None,
    })
}

/// Replaces the path of a temporary copy in an error with that of the original.
fn rename_in_error(error: anyhow::Error, copy: &Path, original: &Path) -> anyhow::Error {
    match error.downcast::<rife_video::Error>() {
        Ok(rife_video::Error::Playlist { path, demuxer }) if path == copy => {
            rife_video::Error::Playlist { path: original.to_owned(), demuxer }.into()
        }
        Ok(rife_video::Error::RawVideo { path }) if path == copy => {
            rife_video::Error::RawVideo { path: original.to_owned() }.into()
        }
        Ok(rife_video::Error::Unusable { path, why }) if path == copy => {
            rife_video::Error::Unusable { path: original.to_owned(), why }.into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}
