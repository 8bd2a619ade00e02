//! HEAD encoding

use crate::ffmpeg::feature::Feature;
use crate::ffmpeg::hdr::Hdr;
use crate::{Colour, Rational, RawFormat};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct EncodingRequest<'a> {
    /// The ending of the output's name, without the dot, in lower case.
    pub container: &'a str,
    /// A codec (`h264`) or one of ffmpeg's encoders (`hevc_nvenc`); by the container where there is
    /// none.
    pub codec: Option<&'a str>,
    /// Quality in the encoder's own scale.
    pub crf: Option<f64>,
    /// The encoder's preset.
    pub preset: Option<&'a str>,
    /// Further arguments, as a shell splits them.
    pub extra: Option<&'a str>,
    /// Frames as they are.
    pub raw: &'a RawFormat,
    /// What their samples mean.
    pub colour: &'a Colour,
    /// Their high dynamic range.
    pub hdr: &'a Hdr,
    /// Frames a second, on average.
    pub rate: Rational,
}

/// An encoder and its words.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// ffmpeg's name for it.
    pub encoder: String,
    /// What it encodes.
    pub pix_fmt: String,
    /// Frames as they are to be given to it: as asked for, but that red, green and blue become
    /// luma and chroma where it does not encode them.
    pub raw: RawFormat,
    /// What the samples of these mean.
    pub colour: Colour,
    /// Its arguments.
    pub args: Vec<String>,
    /// The ending of the names of segments.
    pub segment_ext: &'static str,
    /// The ending of the name of the video that they become.
    pub container: String,
    /// Frames a second, on average.
    pub rate: Rational,
    /// What should be known of it.
    pub notes: Vec<String>,
    /// Features that the notes report as lost.
    pub lost: Vec<Feature>,
}
