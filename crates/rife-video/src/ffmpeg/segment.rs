//! HEAD segment

use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::ChildProcess;
use crate::ffmpeg::carry::muxer;
use crate::ffmpeg::encoding::Encoding;
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::nut::{NutFormat, NutWriter};
use crate::{Error, Planes, Rational, Result};

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
            let bytes = std::fs::read(&file).map_err(Error::io("cannot read a trial"))?;
            Ok(describe_build(&encoding.encoder, &bytes))
        }
    }
}

/// The build of an encoder in words: its version if it writes one into what it encodes, and for
/// encoders in software a hash of the trial, which changes with whatever changes their output: the
/// version of a library that ffmpeg loads, the number of threads.
fn describe_build(encoder: &str, trial: &[u8]) -> String {
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

/// Whether the container holds what an encoder wrote.
fn check_container(programs: &Programs, encoding: &Encoding, trial: &Path) -> Result<()> {
    let container = encoding.container.as_str();
    let Some(muxer) = muxer(container) else { return Ok(()) };
    let mut command = programs.ffmpeg();
    command.args(["-y", "-i"]).arg(programs::file(trial)).args(["-c", "copy", "-f", muxer]);
    command.arg(programs::file(&trial.with_file_name(format!("whole.{container}"))));
    run_program(command, "joining").map(drop).map_err(|error| match error {
        Error::Program { why, .. } => Error::Refused(format!(
            ".{container} does not hold what {} writes: {why}",
            encoding.encoder
        )),
        other => other,
    })
}

/// The list of segments, as ffmpeg's concat demuxer reads it: names and starts in s. Durations are
/// rounded so that the roundings do not add up.
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

/// Counts the frames in a finished file.
///
/// # Errors
/// When ffprobe cannot read it.
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
        why: format!("ffprobe says {:?}", output.trim()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn roundings_of_segments_do_not_add_up() {
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
