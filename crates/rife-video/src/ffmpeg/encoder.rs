//! Chooses the encoder.

use crate::ffmpeg::colour::default_colour;
use crate::ffmpeg::encoder_args;
use crate::ffmpeg::encoder_format::nearest_format;
use crate::ffmpeg::encoding::{Encoding, EncodingRequest};
use crate::ffmpeg::programs::{Programs, run_program};
use crate::{Error, Planes, RawFormat, Result};

/// Encoders of each codec, in order of preference.
pub(super) const CODECS: &[(&str, &[&str])] = &[
    ("h264", &["libx264", "h264_nvenc", "h264_videotoolbox", "h264_qsv", "libopenh264"]),
    ("hevc", &["libx265", "hevc_nvenc", "hevc_videotoolbox", "hevc_qsv"]),
    ("av1", &["libsvtav1", "libaom-av1", "av1_nvenc", "librav1e"]),
    ("vp9", &["libvpx-vp9"]),
    ("prores", &["prores_ks", "prores"]),
    ("ffv1", &["ffv1"]),
    ("mpeg4", &["mpeg4"]),
    ("mjpeg", &["mjpeg"]),
];

/// Chooses the encoder, its pixel format and its arguments.
///
/// # Errors
/// [`Error::Refused`] if ffmpeg has no such encoder, or an argument is invalid.
pub fn choose_encoding(programs: &Programs, request: &EncodingRequest<'_>) -> Result<Encoding> {
    let encoders = encoders(programs)?;
    let available = |name: &str| encoders.iter().any(|encoder| encoder == name);
    let deep = request.raw.depth > 8;
    let by_container: &[&str] = match request.container {
        "webm" => &["av1", "vp9"],
        "avi" if deep => &["ffv1"],
        "avi" => &["h264", "mpeg4"],
        _ if deep => &["hevc", "h264", "av1"],
        _ => &["h264", "hevc", "mpeg4"],
    };
    let wanted: Vec<String> = match request.codec.map(str::to_ascii_lowercase).as_deref() {
        Some("h265") => vec!["hevc".into()],
        Some(codec) => vec![codec.into()],
        None => by_container.iter().map(|codec| (*codec).to_owned()).collect(),
    };
    let of_codec = |codec: &String| {
        let known = CODECS.iter().find(|(name, _)| name == codec).map(|(_, by)| by.to_vec());
        let by = known.unwrap_or_else(|| vec![codec.as_str()]);
        let several = by.len() > 1;
        let by = by.into_iter().filter(|name| available(name));
        // An encoder chosen by name is used regardless; it reports unsupported sizes itself.
        { by }.find(|name| !several || supports_size(name, request.raw)).map(str::to_owned)
    };
    let Some(encoder) = wanted.iter().find_map(of_codec) else {
        return Err(Error::Refused(format!(
            "this ffmpeg has no encoder for {}: expected {}, or a name from ffmpeg -encoders",
            wanted.join(", "),
            CODECS
                .iter()
                .filter(|(_, by)| by.iter().any(|name| available(name)))
                .map(|(codec, _)| *codec)
                .collect::<Vec<_>>()
                .join(", ")
        )));
    };

    let mut notes = Vec::new();
    let hardware = encoder_args::upload_device(&encoder);
    let formats = match hardware {
        // Formats that can be uploaded.
        Some(_) => vec!["nv12".to_owned(), "p010le".into()],
        None => formats(programs, &encoder)?,
    };
    let (raw, pix_fmt) = nearest_format(request, &encoder, &formats, &mut notes);
    let colour = match raw.planes == request.raw.planes || request.raw.planes != Planes::Gbr {
        true => request.colour.clone(),
        false => default_colour(raw.size),
    };
    let mut args = vec!["-c:v".to_owned(), encoder.clone()];
    if hardware.is_none() {
        args.extend(["-pix_fmt".into(), pix_fmt.clone()]);
    }
    args.extend(encoder_args::quality_args(&encoder, request)?);
    args.extend(encoder_args::colour_args(
        &raw,
        &colour,
        hardware.map(|device| (device, pix_fmt.as_str())),
    ));
    let mut lost = Vec::new();
    args.extend(encoder_args::hdr_args(&encoder, request.hdr, &colour, &mut notes, &mut lost));
    if encoder == "libx265" || encoder.starts_with("hevc_") {
        // Apple's players require this tag for H.265.
        args.extend(["-tag:v".into(), "hvc1".into()]);
    }
    if let Some(extra) = request.extra {
        let split = shlex::split(extra).ok_or_else(|| {
            Error::Refused(format!("invalid encoder arguments {extra:?}: unclosed quote"))
        })?;
        args.extend(split);
    }
    encoder_args::join_parameters(&mut args);
    let segment_ext = match encoder.as_str() {
        "ffv1"
        | "mjpeg"
        | "prores"
        | "prores_ks"
        | "prores_aw"
        | "prores_videotoolbox"
        | "huffyuv"
        | "ffvhuff"
        | "utvideo"
        | "dnxhd"
        | "cfhd"
        | "qtrle"
        | "png"
        | "rawvideo" => "mov",
        _ => "mp4",
    };
    let (container, rate) = (request.container.to_owned(), request.rate);
    Ok(Encoding { encoder, pix_fmt, raw, colour, args, segment_ext, container, rate, notes, lost })
}

/// An encoder that is used for a codec, and whether it works.
#[derive(Debug)]
#[non_exhaustive]
pub struct EncoderStatus {
    /// Name of the codec, such as `h264`.
    pub codec: &'static str,
    /// Name of the encoder.
    pub encoder: &'static str,
    /// The result of encoding a frame.
    pub result: Result<()>,
}

/// Encodes a frame with the encoder that is used for each codec. Codecs without an encoder are left
/// out.
///
/// # Errors
/// [`Error::Program`] if ffmpeg does not list its encoders.
pub fn check_encoders(programs: &Programs) -> Result<Vec<EncoderStatus>> {
    let listed = encoders(programs)?;
    let statuses = CODECS.iter().filter_map(|(codec, encoders)| {
        let encoder = encoders.iter().find(|name| listed.iter().any(|listed| listed == *name))?;
        let mut command = programs.ffmpeg();
        command.args(["-f", "lavfi", "-i", "color=size=256x256:rate=25", "-frames:v", "1"]);
        command.args(["-c:v", encoder, "-f", "null", "-"]);
        let result = run_program(command, &format!("encoding with {encoder}")).map(drop);
        Some(EncoderStatus { codec, encoder, result })
    });
    Ok(statuses.collect())
}

/// Names of ffmpeg's video encoders.
pub(super) fn encoders(programs: &Programs) -> Result<Vec<String>> {
    let mut command = programs.ffmpeg();
    command.arg("-encoders");
    let output = run_program(command, "listing the encoders of ffmpeg")?;
    let output = String::from_utf8_lossy(&output);
    let lines = output.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|flags| flags.starts_with('V'))?;
        words.next().filter(|name| *name != "=").map(str::to_owned)
    });
    Ok(lines.collect())
}

/// Pixel formats of an encoder; empty if it does not list them.
fn formats(programs: &Programs, encoder: &str) -> Result<Vec<String>> {
    let mut command = programs.ffmpeg();
    command.args(["-h", &format!("encoder={encoder}")]);
    let output = run_program(command, "listing the formats of an encoder")?;
    let output = String::from_utf8_lossy(&output);
    let line = output.lines().find_map(|line| line.trim().strip_prefix("Supported pixel formats:"));
    Ok(line.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
}

/// Whether an encoder supports the frame size.
fn supports_size(encoder: &str, raw: &RawFormat) -> bool {
    let (w, h) = (raw.size.width, raw.size.height);
    encoder != "libsvtav1" || (w >= 64 && h >= 64 && w % 2 == 0 && h % 2 == 0)
}
