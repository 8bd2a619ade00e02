//! The request for an encoder, and the encoder that was chosen.

use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::hdr::Hdr;
use crate::{Colour, Rational, RawFormat};

/// A request for an encoder.
#[derive(Clone, Copy, Debug)]
pub struct EncodingRequest<'a> {
    /// File extension of the output, in lower case and without the dot.
    pub container: &'a str,
    /// A codec (`h264`) or an encoder of ffmpeg (`hevc_nvenc`); `None` for the default of the
    /// container.
    pub codec: Option<&'a str>,
    /// Quality on the encoder's own scale.
    pub crf: Option<f64>,
    /// Preset of the encoder.
    pub preset: Option<&'a str>,
    /// Further arguments, split as by a shell.
    pub extra: Option<&'a str>,
    /// Format of the frames.
    pub raw: &'a RawFormat,
    /// Colour properties.
    pub colour: &'a Colour,
    /// HDR metadata.
    pub hdr: &'a Hdr,
    /// Average frame rate, in frames per second.
    pub rate: Rational,
}

/// An encoder and its arguments.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// ffmpeg's name of the encoder.
    pub encoder: String,
    /// Pixel format that it encodes.
    pub pix_fmt: String,
    /// Format of the frames to deliver: as requested, except that RGB becomes YUV if the encoder
    /// does not support it.
    pub raw: RawFormat,
    /// Colour properties of these frames.
    pub colour: Colour,
    /// Arguments.
    pub args: Vec<String>,
    /// File extension of the segments.
    pub segment_ext: &'static str,
    /// File extension of the output.
    pub container: String,
    /// Average frame rate, in frames per second.
    pub rate: Rational,
    /// Losses and remarks to report.
    pub notes: Vec<String>,
    /// Features that `notes` reports as lost.
    pub lost: Vec<Feature>,
}
