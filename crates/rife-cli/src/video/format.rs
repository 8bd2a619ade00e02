//! The format of output frames, and the encoder.

use anyhow::{Context, Result};
use rife_runtime::PixelFormat;
use rife_video::{
    Colour, Encoding, EncodingRequest, Feature, Hdr, Orientation, Planes, Programs, Rational,
    RawFormat,
};

use super::input::{Input, InputKind};
use super::output::Output;
use super::{preview, side_by_side};
use crate::args::InterpolateArgs;
use crate::host::Host;
use crate::image_file::ImageFormat;
use crate::paths;

/// The format of output frames.
pub(super) struct OutputFormat {
    /// Memory layout, before --compare doubles the width.
    pub(super) raw: RawFormat,
    /// The same as a format of the engines.
    pub(super) pixel_format: PixelFormat,
    /// Colour description of the output.
    pub(super) colour: Colour,
    /// The encoder, for a video.
    pub(super) encoding: Option<Encoding>,
}

impl OutputFormat {
    /// Chooses the format, and for a video the encoder. `rate` is the frame rate of the output.
    pub(super) fn choose(
        args: &InterpolateArgs,
        host: &Host,
        output: &Output,
        input: &Input,
        programs: Option<&Programs>,
        orientation: Orientation,
        rate: Rational,
    ) -> Result<Self> {
        let raw = RawFormat { size: orientation.size(input.raw.size), ..input.raw };
        // Passes the input's format through, unless the output needs another.
        let mut format = Self {
            raw,
            pixel_format: input.pixel_format,
            colour: input.declared_colour.clone(),
            encoding: None,
        };
        match output {
            Output::Video(_) => {
                let programs = programs.context("ffmpeg was not located")?;
                let encoding = choose_encoding(args, input, programs, &raw, rate)?;
                format.use_encoding(encoding, input, host);
            }
            Output::Y4m(_) | Output::Y4mToStdout if raw.planes == Planes::Gbr => {
                report_conversion(host, input, "Y4M");
                format.raw.planes = Planes::Yuv444;
                format.colour = rife_video::default_colour(raw.size);
                format.pixel_format = rife_video::pixel_format(&format.raw, &format.colour);
            }
            Output::Y4m(_) | Output::Y4mToStdout | Output::RawVideo(_) => {}
            Output::Images { pattern, .. } => {
                format.pixel_format = image_pixel_format(pattern.format, input.pixel_format);
            }
        }
        Ok(format)
    }

    /// Adopts the layout that the encoder expects.
    fn use_encoding(&mut self, encoding: Encoding, input: &Input, host: &Host) {
        self.raw = RawFormat { size: self.raw.size, ..encoding.raw };
        if self.raw.planes == Planes::Gbr {
            // The encoder stores RGB.
        } else if input.raw.planes == Planes::Gbr {
            report_conversion(host, input, &encoding.encoder);
            self.colour = encoding.colour.clone();
            self.pixel_format = rife_video::pixel_format(&self.raw, &self.colour);
        } else {
            self.pixel_format = rife_video::pixel_format(&self.raw, &input.colour);
        }
        self.encoding = Some(encoding);
    }

    /// Features that the encoder loses.
    pub(super) fn lost_features(&self) -> &[Feature] {
        self.encoding.as_ref().map_or(&[], |encoding| &encoding.lost)
    }
}

fn choose_encoding(
    args: &InterpolateArgs,
    input: &Input,
    programs: &Programs,
    raw: &RawFormat,
    rate: Rational,
) -> Result<Encoding> {
    let video = &args.video;
    let hdr = match &input.kind {
        InputKind::File { source, .. } => source.video.hdr,
        _ => Hdr::default(),
    };
    let request = EncodingRequest {
        container: &paths::extension(&args.output),
        codec: video.codec.as_deref(),
        crf: video.crf,
        preset: video.preset.as_deref(),
        extra: video.encoder_args.as_deref(),
        raw: &if video.compare { side_by_side::double_width(raw) } else { *raw },
        colour: &input.declared_colour,
        hdr: &hdr,
        rate,
    };
    let encoding = rife_video::choose_working_encoding(programs, &request)?;
    let Some(preset) = preview::preset(args, &encoding) else { return Ok(encoding) };
    let codec = Some(encoding.encoder.as_str());
    let request = EncodingRequest { codec, preset: Some(preset), ..request };
    let fast = rife_video::choose_encoding(programs, &request)?;
    // Says why another encoder was chosen, if one was.
    Ok(Encoding { notes: encoding.notes, ..fast })
}

/// Reports that the frames of an RGB video are converted. For images, this is expected.
fn report_conversion(host: &Host, input: &Input, output: &str) {
    if let InputKind::File { .. } = input.kind {
        host.report(&format!(
            "changed: source frames, by rounding - {output} stores YUV and the input is RGB; \
             --codec ffv1 in .mkv is lossless"
        ));
    }
}

/// The pixel format of images written from video frames.
fn image_pixel_format(format: ImageFormat, source: PixelFormat) -> PixelFormat {
    let more_than_8_bits = match source {
        PixelFormat::Rgb8 => false,
        PixelFormat::Yuv(yuv) => yuv.depth > 8,
        _ => true,
    };
    format.pixel_format(if more_than_8_bits { PixelFormat::Rgb16 } else { PixelFormat::Rgb8 })
}
