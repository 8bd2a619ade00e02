//! Which encoder writes the output, and with which words it is asked to.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::Worker;
use crate::ffmpeg::carry;
use crate::ffmpeg::probe::{Hdr, default_colour};
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::ffmpeg::table::Feature;
use crate::ffmpeg::words;
use crate::nut::{NutFormat, NutWriter};
use crate::{Colour, Error, Planes, Rational, RawFormat, Result};

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

/// A codec, and who encodes it, the best first.
const CODECS: &[(&str, &[&str])] = &[
    ("h264", &["libx264", "h264_nvenc", "h264_videotoolbox", "h264_qsv", "libopenh264"]),
    ("hevc", &["libx265", "hevc_nvenc", "hevc_videotoolbox", "hevc_qsv"]),
    ("av1", &["libsvtav1", "libaom-av1", "av1_nvenc", "librav1e"]),
    ("vp9", &["libvpx-vp9"]),
    ("prores", &["prores_ks", "prores"]),
    ("ffv1", &["ffv1"]),
    ("mpeg4", &["mpeg4"]),
    ("mjpeg", &["mjpeg"]),
];

/// Chooses the encoder, its format and its words.
///
/// # Errors
/// [`Error::Refused`] where ffmpeg has no such encoder or an argument makes no sense.
pub fn choose_encoding(programs: &Programs, request: &EncodingRequest<'_>) -> Result<Encoding> {
    let encoders = encoders(programs)?;
    let there = |name: &str| encoders.iter().any(|encoder| encoder == name);
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
        let by = by.into_iter().filter(|name| there(name));
        // Who asks for one encoder gets it, or hears from it why not.
        { by }.find(|name| !several || takes_size(name, request.raw)).map(str::to_owned)
    };
    let Some(encoder) = wanted.iter().find_map(of_codec) else {
        return Err(Error::Refused(format!(
            "this ffmpeg has no encoder for {}; --codec takes {}, or one of ffmpeg -encoders",
            wanted.join(", "),
            CODECS
                .iter()
                .filter(|(_, by)| by.iter().any(|name| there(name)))
                .map(|(codec, _)| *codec)
                .collect::<Vec<_>>()
                .join(", ")
        )));
    };

    let mut notes = Vec::new();
    let hardware = words::uploads_to(&encoder);
    let formats = match hardware {
        // What can be uploaded.
        Some(_) => vec!["nv12".to_owned(), "p010le".into()],
        None => formats(programs, &encoder)?,
    };
    let (raw, pix_fmt) = fitting(request, &encoder, &formats, &mut notes);
    let colour = match raw.planes == request.raw.planes || request.raw.planes != Planes::Gbr {
        true => request.colour.clone(),
        false => default_colour(raw.size),
    };
    let mut args = vec!["-c:v".to_owned(), encoder.clone()];
    if hardware.is_none() {
        args.extend(["-pix_fmt".into(), pix_fmt.clone()]);
    }
    args.extend(words::quality(&encoder, request)?);
    args.extend(tags(&raw, &colour, hardware.map(|device| (device, pix_fmt.as_str()))));
    let mut lost = Vec::new();
    args.extend(words::hdr(&encoder, request.hdr, &colour, &mut notes, &mut lost));
    if encoder == "libx265" || encoder.starts_with("hevc_") {
        // The tag that Apple's players know H.265 by.
        args.extend(["-tag:v".into(), "hvc1".into()]);
    }
    if let Some(extra) = request.extra {
        let words = shlex::split(extra).ok_or_else(|| {
            Error::Refused(format!("--encoder-args: a quote is not closed in {extra:?}"))
        })?;
        args.extend(words);
    }
    words::join_parameters(&mut args);
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

/// The names of ffmpeg's video encoders.
fn encoders(programs: &Programs) -> Result<Vec<String>> {
    let mut command = programs.ffmpeg();
    command.arg("-encoders");
    let said = run_program(command, "asking ffmpeg for its encoders")?;
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|flags| flags.starts_with('V'))?;
        words.next().filter(|name| *name != "=").map(str::to_owned)
    });
    Ok(lines.collect())
}

/// The formats that an encoder takes; empty where it does not say.
fn formats(programs: &Programs, encoder: &str) -> Result<Vec<String>> {
    let mut command = programs.ffmpeg();
    command.args(["-h", &format!("encoder={encoder}")]);
    let said = run_program(command, "asking ffmpeg for an encoder's formats")?;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Supported pixel formats:"));
    Ok(line.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
}

/// Whether an encoder takes frames of a size.
fn takes_size(encoder: &str, raw: &RawFormat) -> bool {
    let (w, h) = (raw.size.width, raw.size.height);
    encoder != "libsvtav1" || (w >= 64 && h >= 64 && w % 2 == 0 && h % 2 == 0)
}

/// ffmpeg's names of formats that hold the same samples, the one of separate planes first.
fn names(raw: &RawFormat) -> Vec<String> {
    let semi = match (raw.planes, raw.depth) {
        (Planes::Yuv420, 8) => Some("nv12"),
        (Planes::Yuv420, 10) => Some("p010le"),
        (Planes::Yuv420, 12) => Some("p012le"),
        (Planes::Yuv420, 16) => Some("p016le"),
        (Planes::Yuv422, 8) => Some("nv16"),
        (Planes::Yuv422, 10) => Some("p210le"),
        (Planes::Yuv422, 12) => Some("p212le"),
        (Planes::Yuv422, 16) => Some("p216le"),
        _ => None,
    };
    [raw.pix_fmt()].into_iter().chain(semi.map(str::to_owned)).collect()
}

/// The frames to give, and the nearest format that the encoder takes: depth is kept before chroma.
fn fitting(
    request: &EncodingRequest<'_>,
    encoder: &str,
    formats: &[String],
    notes: &mut Vec<String>,
) -> (RawFormat, String) {
    let raw = *request.raw;
    let takes = |name: &str| formats.is_empty() || formats.iter().any(|format| format == name);
    // Half the chroma of an odd side is what some encoders have no room for.
    let odd = |planes: Planes| {
        let (x, y) = (raw.size.width % 2 == 1, raw.size.height % 2 == 1);
        let strict = !matches!(
            encoder,
            "ffv1" | "libvpx-vp9" | "libaom-av1" | "mjpeg" | "mpeg4" | "prores_ks"
        );
        strict
            && match planes {
                Planes::Yuv420 => x || y,
                Planes::Yuv422 => x,
                _ => false,
            }
    };
    let lossless_rgb = raw.planes == Planes::Gbr && matches!(encoder, "ffv1" | "png" | "utvideo");
    if lossless_rgb {
        let names: &[&str] = if raw.depth == 8 {
            &["gbrp", "bgr0", "rgb24"]
        } else {
            &["gbrp16le", "rgb48le", "rgb48be"]
        };
        if let Some(name) = names.iter().find(|name| takes(name)) {
            return (raw, (*name).to_owned());
        }
    }
    let planes: &[Planes] = match raw.planes {
        // What every player shows, where colours are not finer than that already.
        Planes::Gbr => &[Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Gray => &[Planes::Gray, Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Yuv420 => &[Planes::Yuv420, Planes::Yuv422, Planes::Yuv444],
        Planes::Yuv422 => &[Planes::Yuv422, Planes::Yuv444, Planes::Yuv420],
        Planes::Yuv444 => &[Planes::Yuv444, Planes::Yuv422, Planes::Yuv420],
    };
    let deeper = [8, 10, 12, 16].into_iter().filter(|depth| *depth >= raw.depth);
    let shallower = [12, 10, 8].into_iter().filter(|depth| *depth < raw.depth);
    let depths: Vec<u8> = match raw.planes {
        // Of 16 bits because nothing less holds it: what is shown has 10.
        Planes::Gbr if raw.depth > 8 => vec![10, 12, 16, 8],
        _ => deeper.chain(shallower).collect(),
    };
    for depth in depths {
        for planes in planes.iter().copied().filter(|planes| !odd(*planes)) {
            let target = RawFormat { planes, depth, ..raw };
            let Some(name) = names(&target).into_iter().find(|name| takes(name)) else {
                continue;
            };
            if raw.planes == Planes::Gbr && planes != Planes::Gbr {
                return (target, name);
            }
            let same = (planes, depth) == (raw.planes, raw.depth);
            let gray = raw.planes == Planes::Gray && planes != Planes::Gray;
            if gray {
                return (target, name);
            }
            if !same {
                notes.push(format!(
                    "{encoder} does not take {} of {}: it gets {name}",
                    raw.pix_fmt(),
                    raw.size
                ));
            }
            return (if same { raw } else { target }, name);
        }
    }
    // It takes what nobody here knows: ffmpeg converts.
    let first = formats.iter().find(|name| !name.contains("vaapi") && !name.contains("cuda"));
    (raw, first.cloned().unwrap_or_else(|| raw.pix_fmt()))
}

/// Words for what samples mean, to the encoder and to the frames that go into it.
fn tags(raw: &RawFormat, colour: &Colour, upload: Option<(&str, &str)>) -> Vec<String> {
    let mut args = Vec::new();
    let mut set = Vec::new();
    // A matrix or a place of chroma is nothing that red, green and blue have.
    let yuv = raw.planes != Planes::Gbr;
    let said = [
        ("-color_range", "range", yuv.then_some(colour.range.as_ref()).flatten()),
        // Which has a name of its own where nothing is luma.
        ("-colorspace", "colorspace", colour.matrix.as_ref().filter(|m| yuv && *m != "gbr")),
        ("-color_primaries", "color_primaries", colour.primaries.as_ref()),
        ("-color_trc", "color_trc", colour.transfer.as_ref()),
    ];
    for (option, parameter, word) in said {
        let Some(word) = word else { continue };
        args.extend([option.to_owned(), words::option_word(option, word)]);
        set.push(format!("{parameter}={word}"));
    }
    if let Some(place) = colour.chroma_location.as_ref().filter(|_| raw.planes == Planes::Yuv420) {
        args.extend(["-chroma_sample_location".into(), place.clone()]);
    }
    let set = (!set.is_empty()).then(|| format!("setparams={}", set.join(":")));
    let upload = upload.map(|(device, pix_fmt)| {
        args.extend(["-init_hw_device".into(), format!("{device}=hw")]);
        args.extend(["-filter_hw_device".into(), "hw".into()]);
        format!("format={pix_fmt},hwupload")
    });
    let filters: Vec<String> = set.into_iter().chain(upload).collect();
    if !filters.is_empty() {
        args.extend(["-vf".into(), filters.join(",")]);
    }
    args
}

/// The encoder of a segment: NUT on standard input, a file whose times are exact. The name of the
/// file does not have to end with its format.
pub fn segment_command(
    programs: &Programs,
    encoding: &Encoding,
    tick: Rational,
    file: &Path,
) -> Command {
    let mut command = programs.ffmpeg();
    // It talks past ffmpeg: what it says is an error only where it is one.
    command.env("SVT_LOG", "1");
    let scale = tick.denom().to_string();
    command
        .args(["-y", "-copyts", "-f", "nut", "-i", "pipe:0", "-map", "0:v:0"])
        .args(programs.passthrough())
        .args(&encoding.args)
        .args(["-enc_time_base", &format!("1/{}", encoder_ticks(&encoding.encoder, tick))])
        .args(["-video_track_timescale", &scale])
        .args(["-f", encoding.segment_ext])
        .arg(programs::file(file))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    command
}

/// Ticks a second of an encoder's own clock: those of the output, where the codec can count them.
fn encoder_ticks(encoder: &str, tick: Rational) -> i64 {
    // MPEG-4 part 2 has 16 bits for it.
    const MPEG4_TICKS: i64 = (1 << 16) - 1;
    let ticks = *tick.denom();
    if !matches!(encoder, "mpeg4" | "libxvid") || ticks <= MPEG4_TICKS {
        return ticks;
    }
    // A divisor keeps the times of most rates exact; the last resort rounds them.
    let fewest = ticks.div_euclid(MPEG4_TICKS) + 1;
    let divisor = (fewest..fewest + 64).find(|divisor| ticks % divisor == 0);
    divisor.map_or(MPEG4_TICKS, |divisor| ticks / divisor)
}

/// Encodes two grey frames and puts them into the container, so that what does not work fails at
/// once. Returns the build of the encoder as it describes itself in what it writes.
///
/// # Errors
/// [`Error::Refused`] with the encoder's own words.
pub fn check_encoding(programs: &Programs, encoding: &Encoding) -> Result<String> {
    let refused = |error: Error| {
        let why = match error {
            Error::Program { why, .. } => why,
            other => other.to_string(),
        };
        Error::Refused(format!("{} does not encode this: {why}", encoding.encoder))
    };
    let folder = tempfile::tempdir().map_err(Error::io("cannot write a trial"))?;
    let file = folder.path().join(format!("trial.{}", encoding.segment_ext));
    let tick = Rational::new(1, 50);
    let command = segment_command(programs, encoding, tick, &file);
    let mut worker = Worker::start(command, "encoding", |_| true)?;
    let written = worker.stdin().map(|pipe| {
        let format = match encoding.raw.planes {
            Planes::Gbr => NutFormat::rgb(&encoding.raw, None),
            _ => NutFormat::planar(&encoding.raw, None),
        };
        let format = format.at_rate(encoding.rate);
        let mut nut = NutWriter::new(pipe, &format, tick)?;
        let gray = match encoding.raw.depth {
            8 => vec![128; encoding.raw.frame_bytes()],
            depth => (1u16 << (depth - 1)).to_le_bytes().repeat(encoding.raw.frame_bytes() / 2),
        };
        for pts in 0..2 {
            nut.frame(pts, &gray)?;
        }
        nut.finish().map(drop)
    });
    match (worker.wait(), written) {
        (Err(error), _) => Err(refused(error)),
        (Ok(()), Some(Err(error))) => Err(Error::io("encoding")(error)),
        _ => {
            carry::check(programs, encoding, &file)?;
            let bytes = std::fs::read(&file).map_err(Error::io("cannot read a trial"))?;
            Ok(build_of(&encoding.encoder, &bytes))
        }
    }
}

/// The build of an encoder in words: its version if it writes one into what it encodes, and for
/// encoders in software a hash of the trial, which changes with whatever changes their output: the
/// version of a library that ffmpeg loads, the number of threads.
fn build_of(encoder: &str, trial: &[u8]) -> String {
    const NAMES: [&[u8]; 2] = [b"x264 - core ", b"x265 (build "];
    let version = NAMES.iter().find_map(|name| {
        let at = trial.windows(name.len()).position(|window| window == *name)?;
        let text = trial.get(at..)?.iter().take(60).copied();
        let text: String =
            text.take_while(|byte| (b' '..=b'~').contains(byte)).map(char::from).collect();
        Some(text.split(" - ").take(2).collect::<Vec<_>>().join(" "))
    });
    let mut words = vec![version.unwrap_or_else(|| encoder.to_owned())];
    // What an encoder in hardware writes may differ from one run to the next.
    if !encoder.contains('_') || matches!(encoder, "prores_ks" | "prores_aw") {
        let hash = blake3::hash(trial).to_hex();
        words.push(format!("(output {})", hash.get(..12).unwrap_or_default()));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rife_runtime::FrameSize;

    #[test]
    fn mpeg4_counts_no_finer_than_it_can() {
        let ticks = |encoder, ticks| encoder_ticks(encoder, Rational::new(1, ticks));
        assert_eq!(ticks("libx264", 180_000), 180_000);
        assert_eq!(ticks("mpeg4", 60_000), 60_000);
        assert_eq!(ticks("mpeg4", 90_000), 45_000);
        assert_eq!(ticks("mpeg4", 180_000), 60_000);
        assert_eq!(ticks("mpeg4", 999_983), 65_535);
    }

    #[test]
    fn the_format_that_loses_least_is_chosen() {
        // As the encoders of ffmpeg 5.1 list what they take.
        let nvenc = "yuv420p nv12 p010le yuv444p p016le yuv444p16le bgr0 bgra cuda";
        let qsv = "nv12 p010le qsv";
        let x264 = "yuv420p yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le gray gray10le";
        for (encoder, takes, from, (w, h), given, name) in [
            ("hevc_nvenc", nvenc, "yuv420p10le", (64, 48), "yuv420p10le", "p010le"),
            ("h264_nvenc", nvenc, "yuv420p", (64, 48), "yuv420p", "yuv420p"),
            ("hevc_qsv", qsv, "yuv420p10le", (64, 48), "yuv420p10le", "p010le"),
            ("hevc_qsv", qsv, "yuv420p", (64, 48), "yuv420p", "nv12"),
            ("libx264", x264, "yuv420p", (67, 35), "yuv444p", "yuv444p"),
            ("libx264", x264, "yuv422p", (64, 35), "yuv422p", "yuv422p"),
            ("libx264", x264, "yuv444p12le", (64, 48), "yuv444p10le", "yuv444p10le"),
            ("libx264", x264, "gbrp16le", (64, 48), "yuv420p10le", "yuv420p10le"),
            ("libx264", x264, "gray", (67, 35), "gray", "gray"),
        ] {
            let raw = RawFormat::of_pix_fmt(from, FrameSize::new(w, h)).unwrap();
            let request = EncodingRequest {
                container: "mp4",
                codec: None,
                crf: None,
                preset: None,
                extra: None,
                raw: &raw,
                colour: &Colour::default(),
                hdr: &Hdr::default(),
                rate: Rational::from(25),
            };
            let formats: Vec<_> = takes.split(' ').map(str::to_owned).collect();
            let (got, pix_fmt) = fitting(&request, encoder, &formats, &mut Vec::new());
            assert_eq!(
                (got.pix_fmt().as_str(), pix_fmt.as_str()),
                (given, name),
                "{encoder} {from}"
            );
        }
    }
}
