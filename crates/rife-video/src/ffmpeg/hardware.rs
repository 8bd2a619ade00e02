//! Hardware decoders, and whether they decode an input exactly as the software decoder does.

use std::path::Path;
use std::process::Command;

use crate::ffmpeg::media::Probed;
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::ffmpeg::working_format::WorkingFormat;
use crate::{Error, Result};

/// Number of frames that both decoders must decode alike.
const TRIAL_FRAMES: &str = "8";

/// The format in which frames of a format leave the memory of a device, with the same samples;
/// `None` if devices do not decode it.
fn downloaded(pix_fmt: &str) -> Option<&'static str> {
    Some(match pix_fmt {
        "yuv420p" | "yuvj420p" | "nv12" => "nv12",
        "yuv420p10le" | "p010le" => "p010le",
        "yuv420p12le" => "p016le",
        "yuv444p" | "yuvj444p" => "yuv444p",
        "yuv444p10le" | "yuv444p12le" => "yuv444p16le",
        _ => return None,
    })
}

/// A kind of hardware decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HwDecoder {
    /// NVDEC, on NVIDIA cards.
    Cuda,
    /// VA-API, on Linux.
    Vaapi,
    /// VideoToolbox, on macOS.
    VideoToolbox,
    /// Direct3D 11, on Windows.
    D3d11va,
}

impl HwDecoder {
    /// All kinds, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::VideoToolbox, Self::D3d11va, Self::Vaapi];

    /// ffmpeg's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vaapi => "vaapi",
            Self::VideoToolbox => "videotoolbox",
            Self::D3d11va => "d3d11va",
        }
    }

    /// ffmpeg's name of the pixel format of frames in the memory of the device.
    fn device_format(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vaapi => "vaapi",
            Self::VideoToolbox => "videotoolbox_vld",
            Self::D3d11va => "d3d11",
        }
    }
}

impl std::fmt::Display for HwDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kinds that this ffmpeg was built with.
///
/// # Errors
/// [`Error::Program`] if ffmpeg does not list them.
pub fn hw_decoders(programs: &Programs) -> Result<Vec<HwDecoder>> {
    let mut command = programs.ffmpeg();
    command.arg("-hwaccels");
    let output = run_program(command, "listing the hardware decoders of ffmpeg")?;
    let output = String::from_utf8_lossy(&output);
    let listed: Vec<&str> = output.lines().map(str::trim).collect();
    Ok(HwDecoder::ALL.into_iter().filter(|kind| listed.contains(&kind.as_str())).collect())
}

/// Decodes the first frames of an input with a hardware decoder and in software, and compares them:
/// a job must not depend on how its input is decoded.
///
/// # Errors
/// [`Error::Refused`] with the reason if the decoder cannot be used for this input.
pub fn probe_hw_decoder(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
    decoder: HwDecoder,
) -> Result<()> {
    let refused = |why: String| Error::Refused(format!("{decoder} cannot decode it: {why}"));
    if !hw_decoders(programs)?.contains(&decoder) {
        return Err(refused("this ffmpeg was built without it".into()));
    }
    let pix_fmt = source.video.pix_fmt.as_str();
    let Some(format) = downloaded(pix_fmt) else {
        return Err(refused(format!("the pixel format {pix_fmt} is not supported")));
    };
    let trial = |decoder| {
        let command = trial_command(programs, path, source, working, decoder);
        let output = run_program(command, "decoding").map_err(|error| match error {
            Error::Program { why, .. } => refused(why),
            other => other,
        })?;
        Ok::<_, Error>(String::from_utf8_lossy(&output).trim().to_owned())
    };
    let hardware = trial(Some((decoder, format)))?;
    match hardware == trial(None)? {
        true => Ok(()),
        false => Err(refused("its frames differ from those of the software decoder".into())),
    }
}

/// The command that prints a hash of the first frames. With a hardware decoder, whose frames have
/// the given format, it fails if ffmpeg
/// decodes in software instead, which it does without an error when the device lacks the codec.
fn trial_command(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    working: &WorkingFormat,
    decoder: Option<(HwDecoder, &str)>,
) -> Command {
    let mut command = programs.ffmpeg();
    command.arg("-noautorotate");
    if let Some((decoder, _)) = decoder {
        command.args(["-hwaccel", decoder.as_str()]);
        command.args(["-hwaccel_output_format", decoder.device_format()]);
    }
    source.access.limit(&mut command).arg("-i").arg(programs::file(path));
    command.args(["-map", &format!("0:{}", source.video.index)]);
    command.args(programs.passthrough());
    if let Some((_, format)) = decoder {
        command.args(["-vf", &format!("hwdownload,format={format}")]);
    }
    command
        .args(["-frames:v", TRIAL_FRAMES])
        .args(["-sws_flags", "accurate_rnd+full_chroma_int+bitexact"])
        .args(["-pix_fmt", &working.pix_fmt, "-c:v", "rawvideo", "-f", "md5", "pipe:1"]);
    command
}
