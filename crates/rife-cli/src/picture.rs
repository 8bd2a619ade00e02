//! Pictures in and out, through the `image` crate.

mod marks;

use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits,
};
use rife_runtime::{Frame, FrameSize, PixelFormat};

pub(crate) use self::marks::Marks;

/// What is reported of pictures that have it.
const TRANSPARENCY: &str = "lost: transparency - the networks interpolate colour only";

/// Of 100; lower shows in flat areas of a frame that stands between two clean ones.
const JPEG_QUALITY: u8 = 95;

/// Most bytes that a picture may decode to: a 16-bit RGBA picture of 128 megapixels.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// A picture that was read.
pub(crate) struct Picture {
    pub(crate) frame: Frame,
    /// What its samples mean, which the pictures made from it carry on.
    pub(crate) marks: Marks,
    /// What it loses whatever it becomes, as lines that start with it.
    pub(crate) losses: Vec<&'static str>,
}

/// Reads a picture, upright, with 16 bits a sample where the file has more than 8.
pub(crate) fn read(path: &Path) -> Result<Picture> {
    let shown = path.display();
    let bytes = read_file(path).with_context(|| format!("cannot read {shown}"))?;
    let bad = || format!("cannot read {shown} as a picture");
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().with_context(bad)?;
    let format = reader.format();
    let mut decoder = reader.into_decoder().with_context(bad)?;
    // The header is checked before anything as large as it claims is allocated.
    let mut limits = Limits::default();
    limits.max_image_width = Some(FrameSize::MAX_SIDE as u32);
    limits.max_image_height = Some(FrameSize::MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let (width, height) = decoder.dimensions();
    limits
        .check_dimensions(width, height)
        .and_then(|()| limits.reserve(decoder.total_bytes()))
        .and_then(|()| decoder.set_limits(limits))
        .with_context(|| format!("{shown} is too large, {width}x{height}"))?;
    match format {
        Some(ImageFormat::Jpeg) => ensure!(ends(&bytes), "{}: it ends too early", bad()),
        Some(ImageFormat::Tiff) => check_samples(&bytes).with_context(bad)?,
        _ => {}
    }
    let orientation = decoder.orientation().with_context(bad)?;
    let mut losses = Vec::new();
    if decoder.exif_metadata().unwrap_or(None).is_some_and(|exif| !exif.is_empty()) {
        losses.push("lost: EXIF metadata - new pictures have none of their own");
    }
    let found = match format {
        Some(ImageFormat::Tiff) => tiff_profile(&bytes),
        _ => decoder.icc_profile().unwrap_or(None),
    };
    let found = found.filter(|profile| !profile.is_empty());
    let had_profile = found.is_some();
    let icc_profile = found.filter(|p| is_rgb(p) && decoder.color_type().has_color());
    if had_profile && icc_profile.is_none() {
        losses.push("lost: ICC profile - it does not describe RGB, which the output is");
    }
    let chunks = if format == Some(ImageFormat::Png) { marks::chunks(&bytes) } else { Vec::new() };
    let mut picture = DynamicImage::from_decoder(decoder).with_context(bad)?;
    picture.apply_orientation(orientation);
    let size = FrameSize::new(picture.width() as usize, picture.height() as usize);
    let color = picture.color();
    let deep = color.bytes_per_pixel() > color.channel_count();
    let frame = if deep {
        Frame::rgb16(size, picture.into_rgb16().into_raw())
    } else {
        Frame::rgb8(size, picture.into_rgb8().into_raw())
    };
    if color.has_alpha() {
        losses.push(TRANSPARENCY);
    }
    let frame = frame.with_context(|| format!("cannot use {shown}"))?;
    Ok(Picture { frame, marks: Marks { icc_profile, chunks }, losses })
}

/// The bytes of a regular file: a pipe or a device may never end.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    ensure!(std::fs::metadata(path)?.is_file(), "it is not a file");
    Ok(std::fs::read(path)?)
}

/// Whether a JPEG's last scan has an end. The decoder fills what is missing with grey.
fn ends(jpeg: &[u8]) -> bool {
    let marker = |kind: u8| move |pair: &[u8]| pair == [0xff, kind];
    let scan = jpeg.windows(2).rposition(marker(0xda)).unwrap_or(0);
    jpeg[scan..].windows(2).any(marker(0xd9))
}

/// Refuses a TIFF of 32-bit integers, which the decoder takes for floats.
fn check_samples(tiff: &[u8]) -> Result<()> {
    use tiff::tags::Tag;
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(tiff))?;
    let bits = decoder.find_tag_unsigned_vec::<u16>(Tag::BitsPerSample)?.unwrap_or_default();
    let kinds = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.unwrap_or_default();
    const FLOAT: u16 = 3;
    let float = !kinds.is_empty() && kinds.iter().all(|kind| *kind == FLOAT);
    ensure!(float || bits.iter().all(|bits| *bits <= 16), "32-bit integers are not supported");
    Ok(())
}

/// The ICC profile of a TIFF. The `image` crate does not find one that takes up more memory than
/// the samples.
fn tiff_profile(tiff: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(tiff)).ok()?;
    decoder.get_tag_u8_vec(tiff::tags::Tag::IccProfile).ok()
}

/// Whether an ICC profile describes RGB, which is what is written, whatever was read.
fn is_rgb(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ")
}

/// A format that pictures are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
    /// Lossless.
    WebP,
    Tiff,
}

impl Format {
    /// The format that a file's name asks for.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Ok(match extension.to_ascii_lowercase().as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::WebP,
            "tif" | "tiff" => Self::Tiff,
            _ => bail!(
                "cannot tell the format of {}: expected .png, .jpg, .webp or .tif",
                path.display()
            ),
        })
    }

    /// The samples to make for pictures that came in as `source`: 16 bit stays 16 bit where the
    /// format can hold it.
    pub(crate) fn pixel_format(self, source: PixelFormat) -> PixelFormat {
        match self {
            Self::Png | Self::Tiff if source != PixelFormat::Rgb8 => PixelFormat::Rgb16,
            _ => PixelFormat::Rgb8,
        }
    }
}

/// Writes a picture to an empty file, complete and on disk.
pub(crate) fn write(file: File, format: Format, frame: &Frame, marks: &Marks) -> Result<()> {
    let mut writer = BufWriter::new(file);
    encode(&mut writer, format, frame, marks)?;
    writer.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    Ok(())
}

/// Writes a picture through to a pipe or a device, which cannot seek.
pub(crate) fn write_through(
    path: &Path,
    format: Format,
    frame: &Frame,
    marks: &Marks,
) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    encode(&mut bytes, format, frame, marks)?;
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes.get_ref())?;
    Ok(())
}

fn encode(
    writer: &mut (impl Write + std::io::Seek),
    format: Format,
    frame: &Frame,
    marks: &Marks,
) -> Result<()> {
    let deep: Vec<u8>;
    let (bytes, color) = match (frame.as_rgb8(), frame.as_rgb16()) {
        (Some(samples), _) => (samples, ExtendedColorType::Rgb8),
        (_, Some(samples)) => {
            // The encoders take native byte order.
            deep = samples.iter().flat_map(|v| v.to_ne_bytes()).collect();
            (deep.as_slice(), ExtendedColorType::Rgb16)
        }
        _ => bail!("a float frame has no picture format"),
    };
    let size = frame.size();
    let (width, height) = (u32::try_from(size.width)?, u32::try_from(size.height)?);
    let icc_profile = marks.icc_profile.as_deref();
    let picture = Encoded { bytes, width, height, color, icc_profile };
    match format {
        Format::Png if !marks.chunks.is_empty() => picture.write_png(writer, &marks.chunks),
        Format::Png => picture.write(PngEncoder::new(writer)),
        Format::Jpeg => picture.write(JpegEncoder::new_with_quality(writer, JPEG_QUALITY)),
        Format::WebP => picture.write(WebPEncoder::new_lossless(writer)),
        Format::Tiff => picture.write(TiffEncoder::new(writer)),
    }
}

struct Encoded<'a> {
    bytes: &'a [u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
    icc_profile: Option<&'a [u8]>,
}

impl Encoded<'_> {
    fn write(&self, mut encoder: impl ImageEncoder) -> Result<()> {
        if let Some(profile) = self.icc_profile {
            encoder.set_icc_profile(profile.to_vec()).context("cannot write the ICC profile")?;
        }
        Ok(encoder.write_image(self.bytes, self.width, self.height, self.color)?)
    }

    /// Writes a PNG with chunks that the `image` crate does not know.
    fn write_png(&self, writer: impl Write, chunks: &[marks::Chunk]) -> Result<()> {
        let mut info = png::Info::with_size(self.width, self.height);
        info.color_type = png::ColorType::Rgb;
        let deep = self.color == ExtendedColorType::Rgb16;
        info.bit_depth = if deep { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
        info.icc_profile = self.icc_profile.map(Into::into);
        let mut encoder = png::Encoder::with_info(writer, info)?;
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header()?;
        for chunk in chunks {
            writer.write_chunk(png::chunk::ChunkType(chunk.kind), &chunk.data)?;
        }
        match deep {
            false => writer.write_image_data(self.bytes)?,
            true => {
                let pairs = self.bytes.chunks_exact(2);
                let big: Vec<u8> = pairs
                    .flat_map(|pair| u16::from_ne_bytes([pair[0], pair[1]]).to_be_bytes())
                    .collect();
                writer.write_image_data(&big)?;
            }
        }
        Ok(writer.finish()?)
    }
}
