//! Reads and writes image files, through the `image` crate.

mod colour_tags;

use std::fs::File;
use std::io::{BufWriter, Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Limits};
use rife_runtime::{Frame, FrameSize, PixelFormat};

pub(crate) use self::colour_tags::ColourTags;

/// Reported for images with an alpha channel.
pub(crate) const TRANSPARENCY_LOST: &str =
    "lost: transparency - RIFE interpolates opaque images only";

/// JPEG quality, of 100. At lower values, artefacts in flat areas stand out against the source
/// frames before and after.
const JPEG_QUALITY: u8 = 95;

/// Limit of a decoded image in bytes: 128 megapixels of 16-bit RGBA.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// An image file that was read.
pub(crate) struct DecodedImage {
    pub(crate) frame: Frame,
    /// Colour metadata, copied to the interpolated images.
    pub(crate) colour_tags: ColourTags,
    /// What is lost in any output, one line each.
    pub(crate) losses: Vec<&'static str>,
}

/// Reads an image and applies its orientation. Samples get 16 bits if the file has more than 8.
pub(crate) fn read(path: &Path) -> Result<DecodedImage> {
    let name = path.display();
    let bytes = read_regular_file(path).with_context(|| format!("cannot read {name}"))?;
    let error = || format!("cannot decode {name}");
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().with_context(error)?;
    let format = reader.format();
    let mut decoder = reader.into_decoder().with_context(error)?;
    // Checked before anything is allocated for the size that the header claims.
    let mut limits = Limits::default();
    limits.max_image_width = Some(FrameSize::MAX_SIDE as u32);
    limits.max_image_height = Some(FrameSize::MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let (width, height) = decoder.dimensions();
    limits
        .check_dimensions(width, height)
        .and_then(|()| limits.reserve(decoder.total_bytes()))
        .and_then(|()| decoder.set_limits(limits))
        .with_context(|| format!("{name} is too large: {width}x{height}"))?;
    match format {
        Some(image::ImageFormat::Jpeg) => ensure!(has_end_marker(&bytes), "{}: truncated", error()),
        Some(image::ImageFormat::Tiff) => check_sample_format(&bytes).with_context(error)?,
        _ => {}
    }
    let orientation = decoder.orientation().with_context(error)?;
    let mut losses = Vec::new();
    if decoder.exif_metadata().unwrap_or(None).is_some_and(|exif| !exif.is_empty()) {
        losses.push("lost: EXIF metadata - interpolated images have none");
    }
    let profile = match format {
        Some(image::ImageFormat::Tiff) => tiff_profile(&bytes),
        _ => decoder.icc_profile().unwrap_or(None),
    };
    let profile = profile.filter(|profile| !profile.is_empty());
    let has_profile = profile.is_some();
    let icc_profile = profile.filter(|p| is_rgb_profile(p) && decoder.color_type().has_color());
    if has_profile && icc_profile.is_none() {
        losses.push("lost: ICC profile - the output is RGB, the profile is not");
    }
    let chunks = match format {
        Some(image::ImageFormat::Png) => colour_tags::read_chunks(&bytes),
        _ => Vec::new(),
    };
    let mut image = DynamicImage::from_decoder(decoder).with_context(error)?;
    image.apply_orientation(orientation);
    let size = FrameSize::new(image.width() as usize, image.height() as usize);
    let color = image.color();
    let more_than_8_bits = color.bytes_per_pixel() > color.channel_count();
    let frame = if more_than_8_bits {
        Frame::rgb16(size, image.into_rgb16().into_raw())
    } else {
        Frame::rgb8(size, image.into_rgb8().into_raw())
    };
    if color.has_alpha() {
        losses.push(TRANSPARENCY_LOST);
    }
    let frame = frame.with_context(|| format!("cannot use {name}"))?;
    Ok(DecodedImage { frame, colour_tags: ColourTags { icc_profile, chunks }, losses })
}

/// Reads a regular file; a pipe or a device may never end.
fn read_regular_file(path: &Path) -> Result<Vec<u8>> {
    ensure!(std::fs::metadata(path)?.is_file(), "not a regular file");
    Ok(std::fs::read(path)?)
}

/// Whether the last scan of a JPEG has an end marker. The decoder fills missing data with grey.
fn has_end_marker(jpeg: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let scan = jpeg.windows(2).rposition(|pair| pair == START_OF_SCAN).unwrap_or(0);
    jpeg[scan..].windows(2).any(|pair| pair == END_OF_IMAGE)
}

/// Refuses a TIFF of 32-bit integers, which the decoder would interpret as floats.
fn check_sample_format(tiff: &[u8]) -> Result<()> {
    use tiff::tags::Tag;
    const FLOAT: u16 = 3;
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(tiff))?;
    let bits = decoder.find_tag_unsigned_vec::<u16>(Tag::BitsPerSample)?.unwrap_or_default();
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.unwrap_or_default();
    let is_float = !formats.is_empty() && formats.iter().all(|format| *format == FLOAT);
    ensure!(is_float || bits.iter().all(|bits| *bits <= 16), "32-bit integers are not supported");
    Ok(())
}

/// The ICC profile of a TIFF. The `image` crate does not return one larger than the samples.
fn tiff_profile(tiff: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(tiff)).ok()?;
    decoder.get_tag_u8_vec(tiff::tags::Tag::IccProfile).ok()
}

/// Whether an ICC profile describes RGB. Output images are always RGB.
fn is_rgb_profile(profile: &[u8]) -> bool {
    profile.get(16..20) == Some(b"RGB ")
}

/// The format of an output image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageFormat {
    Png,
    Jpeg,
    /// Lossless.
    WebP,
    Tiff,
}

impl ImageFormat {
    /// The format for the extension of a file name.
    pub(crate) fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Ok(match extension.to_ascii_lowercase().as_str() {
            "png" => Self::Png,
            "jpg" | "jpeg" => Self::Jpeg,
            "webp" => Self::WebP,
            "tif" | "tiff" => Self::Tiff,
            _ => bail!(
                "unsupported image format of {}: expected .png, .jpg, .webp or .tif",
                path.display()
            ),
        })
    }

    /// The pixel format to write for sources of a pixel format: 16 bits if the source has more than
    /// 8 and the image format supports it.
    pub(crate) fn pixel_format(self, source: PixelFormat) -> PixelFormat {
        match self {
            Self::Png | Self::Tiff if source != PixelFormat::Rgb8 => PixelFormat::Rgb16,
            _ => PixelFormat::Rgb8,
        }
    }
}

/// Writes an image to an empty file and syncs it to disk.
pub(crate) fn write(
    file: File,
    format: ImageFormat,
    frame: &Frame,
    tags: &ColourTags,
) -> Result<()> {
    let mut writer = BufWriter::new(file);
    encode(&mut writer, format, frame, tags)?;
    writer.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    Ok(())
}

/// Writes an image to a pipe or a device, which cannot seek.
pub(crate) fn write_to_pipe(
    path: &Path,
    format: ImageFormat,
    frame: &Frame,
    tags: &ColourTags,
) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    encode(&mut bytes, format, frame, tags)?;
    let mut file = File::options().write(true).open(path)?;
    file.write_all(bytes.get_ref())?;
    Ok(())
}

fn encode(
    writer: &mut (impl Write + std::io::Seek),
    format: ImageFormat,
    frame: &Frame,
    tags: &ColourTags,
) -> Result<()> {
    let native_bytes: Vec<u8>;
    let (bytes, color) = match (frame.as_rgb8(), frame.as_rgb16()) {
        (Some(samples), _) => (samples, ExtendedColorType::Rgb8),
        (_, Some(samples)) => {
            // The encoders expect native byte order.
            native_bytes = samples.iter().flat_map(|v| v.to_ne_bytes()).collect();
            (native_bytes.as_slice(), ExtendedColorType::Rgb16)
        }
        _ => bail!("float frames cannot be written to image files"),
    };
    let size = frame.size();
    let (width, height) = (u32::try_from(size.width)?, u32::try_from(size.height)?);
    let icc_profile = tags.icc_profile.as_deref();
    let image = RawImage { bytes, width, height, color, icc_profile };
    match format {
        ImageFormat::Png if !tags.chunks.is_empty() => image.write_png(writer, &tags.chunks),
        ImageFormat::Png => image.write(PngEncoder::new(writer)),
        ImageFormat::Jpeg => image.write(JpegEncoder::new_with_quality(writer, JPEG_QUALITY)),
        ImageFormat::WebP => image.write(WebPEncoder::new_lossless(writer)),
        ImageFormat::Tiff => image.write(TiffEncoder::new(writer)),
    }
}

/// Samples for an encoder, in native byte order.
struct RawImage<'a> {
    bytes: &'a [u8],
    width: u32,
    height: u32,
    color: ExtendedColorType,
    icc_profile: Option<&'a [u8]>,
}

impl RawImage<'_> {
    fn write(&self, mut encoder: impl ImageEncoder) -> Result<()> {
        if let Some(profile) = self.icc_profile {
            encoder.set_icc_profile(profile.to_vec()).context("cannot write the ICC profile")?;
        }
        Ok(encoder.write_image(self.bytes, self.width, self.height, self.color)?)
    }

    /// Writes a PNG with chunks that the `image` crate does not support.
    fn write_png(&self, writer: impl Write, chunks: &[colour_tags::Chunk]) -> Result<()> {
        let mut info = png::Info::with_size(self.width, self.height);
        info.color_type = png::ColorType::Rgb;
        let is_16_bit = self.color == ExtendedColorType::Rgb16;
        info.bit_depth = if is_16_bit { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
        info.icc_profile = self.icc_profile.map(Into::into);
        let mut encoder = png::Encoder::with_info(writer, info)?;
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header()?;
        for chunk in chunks {
            writer.write_chunk(png::chunk::ChunkType(chunk.kind), &chunk.data)?;
        }
        match is_16_bit {
            false => writer.write_image_data(self.bytes)?,
            true => {
                let pairs = self.bytes.chunks_exact(2);
                let big_endian: Vec<u8> = pairs
                    .flat_map(|pair| u16::from_ne_bytes([pair[0], pair[1]]).to_be_bytes())
                    .collect();
                writer.write_image_data(&big_endian)?;
            }
        }
        Ok(writer.finish()?)
    }
}
