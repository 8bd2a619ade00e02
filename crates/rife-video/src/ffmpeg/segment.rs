//! Encodes and lists segments.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::ChildProcess;
use crate::ffmpeg::carry::muxer;
use crate::ffmpeg::encoding::Encoding;
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::nut::{NutFormat, NutWriter};
use crate::{Error, Planes, Rational, Result};

/// The encoder command of a segment: reads NUT from standard input, writes a file with exact times.
/// The file name may have any extension.
pub fn segment_command(
    programs: &Programs,
    encoding: &Encoding,
    tick: Rational,
    file: &Path,
) -> Command {
    let mut command = programs.ffmpeg();
    // SVT-AV1 logs to standard error directly, where any output counts as an error.
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

/// Ticks per second of the encoder: those of the output, if the codec supports them.
fn encoder_ticks(encoder: &str, tick: Rational) -> i64 {
    // MPEG-4 part 2 stores 16 bits.
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

/// Encodes two grey frames and muxes them, so that unsupported settings fail at once. Returns a
/// description of the encoder build.
///
/// # Errors
/// [`Error::Refused`] with the message of the encoder.
pub fn check_encoding(programs: &Programs, encoding: &Encoding) -> Result<String> {
    let refused = |error: Error| {
        let why = match error {
            Error::Program { why, .. } => why,
            other => other.to_string(),
        };
        Error::Refused(format!("{} cannot encode the video: {why}", encoding.encoder))
    };
    let folder = tempfile::tempdir().map_err(Error::io(
        "cannot create a folder for a trial \
     encoding",
    ))?;
    let file = folder.path().join(format!("trial.{}", encoding.segment_ext));
    let tick = Rational::new(1, 50);
    let command = segment_command(programs, encoding, tick, &file);
    let mut worker = ChildProcess::start(command, "encoding", |_| true)?;
    let written = worker.stdin().map(|pipe| {
        let format = match encoding.raw.planes {
            Planes::Gbr => NutFormat::rgb(&encoding.raw, None),
            _ => NutFormat::planar(&encoding.raw, None),
        };
        let format = format.with_rate(encoding.rate);
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
            check_container(programs, encoding, &file)?;
            let bytes = std::fs::read(&file).map_err(Error::io("cannot read a trial encoding"))?;
            Ok(describe_build(&encoding.encoder, &bytes))
        }
    }
}

/// Describes the encoder build: the version that it writes into the stream, if any, and for
/// software encoders a hash of the trial. The hash changes with everything that affects the output,
/// such as the version of a shared library or the number of threads.
fn describe_build(encoder: &str, trial: &[u8]) -> String {
    const NAMES: [&[u8]; 2] = [b"x264 - core ", b"x265 (build "];
    let version = NAMES.iter().find_map(|name| {
        let at = trial.windows(name.len()).position(|window| window == *name)?;
        let text = trial.get(at..)?.iter().take(60).copied();
        let text: String =
            text.take_while(|byte| (b' '..=b'~').contains(byte)).map(char::from).collect();
        Some(text.split(" - ").take(2).collect::<Vec<_>>().join(" "))
    });
    let mut parts = vec![version.unwrap_or_else(|| encoder.to_owned())];
    // Hardware encoders may write different output in each run.
    if !encoder.contains('_') || matches!(encoder, "prores_ks" | "prores_aw") {
        let hash = blake3::hash(trial).to_hex();
        parts.push(format!("(output {})", hash.get(..12).unwrap_or_default()));
    }
    parts.join(" ")
}

/// Checks that the container supports the encoder's output.
fn check_container(programs: &Programs, encoding: &Encoding, trial: &Path) -> Result<()> {
    let container = encoding.container.as_str();
    let Some(muxer) = muxer(container) else { return Ok(()) };
    let mut command = programs.ffmpeg();
    command.args(["-y", "-i"]).arg(programs::file(trial)).args(["-c", "copy", "-f", muxer]);
    command.arg(programs::file(&trial.with_file_name(format!("whole.{container}"))));
    run_program(command, "joining").map(drop).map_err(|error| match error {
        Error::Program { why, .. } => Error::Refused(format!(
            ".{container} does not support the output of {}: {why}",
            encoding.encoder
        )),
        other => other,
    })
}

/// The segment list for ffmpeg's concat demuxer, from names and start times in s. Rounding errors
/// of durations do not accumulate.
pub fn concat_list(segments: &[(String, Rational)]) -> String {
    let micros = |time: Rational| (time * 1_000_000).round().to_integer();
    let mut list = String::from("ffconcat version 1.0\n");
    for (at, (name, start)) in segments.iter().enumerate() {
        list += &format!("file '{}'\n", name.replace('\'', r"'\''"));
        if let Some((_, next)) = segments.get(at + 1) {
            let duration = micros(*next) - micros(*start);
            list += &format!("duration {}.{:06}\n", duration / 1_000_000, duration % 1_000_000);
        }
    }
    list
}

/// Counts the frames of a finished file.
///
/// # Errors
/// If ffprobe cannot read it.
pub fn count_frames(programs: &Programs, file: &Path) -> Result<u64> {
    let mut command = Command::new(&programs.ffprobe);
    command
        .args(["-v", "error", "-select_streams", "v:0", "-count_packets"])
        .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-i"])
        .arg(programs::file(file));
    let output = run_program(command, "counting frames")?;
    let output = String::from_utf8_lossy(&output);
    let count = output.trim().trim_end_matches(',').lines().next().and_then(|n| n.parse().ok());
    count.ok_or_else(|| Error::Program {
        what: "counting frames".into(),
        why: format!("unexpected output of ffprobe: {:?}", output.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpeg4_ticks_fit_16_bits() {
        let ticks = |encoder, ticks| encoder_ticks(encoder, Rational::new(1, ticks));
        assert_eq!(ticks("libx264", 180_000), 180_000);
        assert_eq!(ticks("mpeg4", 60_000), 60_000);
        assert_eq!(ticks("mpeg4", 90_000), 45_000);
        assert_eq!(ticks("mpeg4", 180_000), 60_000);
        assert_eq!(ticks("mpeg4", 999_983), 65_535);
    }

    #[test]
    fn segment_rounding_errors_do_not_accumulate() {
        let segments: Vec<_> =
            (0..4).map(|i| (format!("{i}.mp4"), Rational::new(i * 1001, 3000))).collect();
        let list = concat_list(&segments);
        let sum: f64 = list
            .lines()
            .filter_map(|line| line.strip_prefix("duration ")?.parse::<f64>().ok())
            .sum();
        assert!((sum - 1.001).abs() < 1e-9, "{list}");
        assert!(concat_list(&[("it's.mp4".into(), Rational::from(0))]).contains(r"'it'\''s.mp4'"));
    }
}
