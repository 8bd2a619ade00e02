//! Pictures in and out, through the `image` crate.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, Limits};
use rife_runtime::{Frame, FrameSize, PixelFormat};
use tempfile::{NamedTempFile, TempPath};

/// Of 100; lower shows in flat areas of a frame that stands between two clean ones.
const JPEG_QUALITY: u8 = 95;

/// Most bytes that a picture may decode to: a 16-bit RGBA picture of 128 megapixels.
const MAX_DECODED_BYTES: u64 = 1 << 30;

/// A picture that was read.
pub(crate) struct Picture {
    pub(crate) frame: Frame,
    /// Its ICC profile, which the pictures made from it carry on.
    pub(crate) icc_profile: Option<Vec<u8>>,
    /// Whether it had transparency, which the networks know nothing of.
    pub(crate) had_alpha: bool,
}

/// Reads a picture, upright, with 16 bits a sample where the file has more than 8.
pub(crate) fn read(path: &Path) -> Result<Picture> {
    let shown = path.display();
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .with_context(|| format!("cannot read {shown}"))?;
    let bad = || format!("cannot read {shown} as a picture");
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
    let orientation = decoder.orientation().with_context(bad)?;
    let icc_profile = decoder.icc_profile().unwrap_or(None).filter(|p| is_rgb(p));
    let icc_profile = icc_profile.filter(|_| decoder.color_type().has_color());
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
    Ok(Picture {
        frame: frame.with_context(|| format!("cannot use {shown}"))?,
        icc_profile,
        had_alpha: color.has_alpha(),
    })
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

/// Writes a picture to a temporary file beside `path`, complete and on disk. Keep it with
/// [`keep`]; dropped, it is gone.
pub(crate) fn write_beside(
    path: &Path,
    format: Format,
    frame: &Frame,
    icc_profile: Option<&[u8]>,
) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let context = || format!("cannot write {}", path.display());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".rife-");
    // As other programs create files, less the umask; a temporary file's own default is 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).with_context(context)?;
    let mut writer = BufWriter::new(file);
    encode(&mut writer, format, frame, icc_profile).with_context(context)?;
    let file = writer.into_inner().map_err(|e| e.into_error()).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    Ok(file)
}

/// Gives a written picture its name.
pub(crate) fn keep(file: TempPath, path: &Path, overwrite: bool) -> Result<()> {
    let kept = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map_err(|e| e.error).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn encode(
    writer: &mut (impl Write + std::io::Seek),
    format: Format,
    frame: &Frame,
    icc_profile: Option<&[u8]>,
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
    let picture = Encoded { bytes, width, height, color, icc_profile };
    match format {
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
            // A format that cannot carry a profile goes without.
            let _ = encoder.set_icc_profile(profile.to_vec());
        }
        Ok(encoder.write_image(self.bytes, self.width, self.height, self.color)?)
    }
}
