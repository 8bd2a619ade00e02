//! Detects truncated files from the length that the container states.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ffmpeg::access::Access;
use crate::ffmpeg::media::Probed;
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::{Error, Rational, Result};

/// Number of frames that may be missing at the end of a complete file.
const SPARE_FRAMES: i64 = 3;

/// Refuses a truncated file before any work is spent on it. Damage elsewhere is not refused.
///
/// # Errors
/// [`Error::Unusable`] if bytes are missing and the video stops before its stated end.
pub fn check_complete(programs: &Programs, path: &Path, source: &Probed) -> Result<()> {
    // A file that cannot be opened is reported when it is read.
    let Some(missing) = missing_bytes(path).ok().flatten() else { return Ok(()) };
    let stream = VideoStream::new(programs, path, source);
    let Ok(packets) = stream.packets() else { return Ok(()) };
    let main = source.streams.iter().find(|stream| stream.index == source.video.index);
    let start = main.and_then(|main| main.start).unwrap_or_default();
    let stated = source.video.duration.map(|duration| start + duration).or(packets.container_end);
    let rate = source.video.avg_rate.or(source.video.rate).unwrap_or(Rational::from(25));
    let (Some(stated), Some(last)) = (stated, packets.last) else { return Ok(()) };
    if last + rate.recip() * (1 + SPARE_FRAMES) >= stated {
        return Ok(());
    }
    let seconds = |time: Rational| *time.numer() as f64 / *time.denom() as f64;
    Err(Error::Unusable {
        path: path.to_owned(),
        why: format!(
            "the file ends early: {missing} bytes are missing, and the video stops at {:.2} \
             of {:.2} s; to use the readable part, copy it first: ffmpeg -i FILE -c copy PART",
            seconds(last - start),
            seconds(stated - start)
        ),
    })
}

/// The video stream of a file, for inspecting its packets.
#[derive(Clone, Debug)]
pub struct VideoStream {
    programs: Programs,
    path: PathBuf,
    access: Access,
    index: usize,
}

impl VideoStream {
    /// The video stream that `source` describes.
    pub fn new(programs: &Programs, path: &Path, source: &Probed) -> Self {
        Self {
            programs: programs.clone(),
            path: path.to_owned(),
            access: source.access.clone(),
            index: source.video.index,
        }
    }

    /// Counts the readable packets.
    ///
    /// # Errors
    /// If ffprobe cannot read the file.
    pub fn count_packets(&self) -> Result<u64> {
        self.packets().map(|packets| packets.count)
    }
}

/// The readable packets of a stream.
struct Packets {
    count: u64,
    /// Latest presentation time, in s.
    last: Option<Rational>,
    /// End stated by the container, in s.
    container_end: Option<Rational>,
}

impl VideoStream {
    /// Lists the readable packets.
    fn packets(&self) -> Result<Packets> {
        let mut command = Command::new(&self.programs.ffprobe);
        command
            .args(["-v", "quiet", "-select_streams", &self.index.to_string()])
            .args(["-show_entries", "packet=pts_time:format=start_time,duration"])
            .args(["-of", "compact=nokey=1:escape=none"]);
        self.access.limit(&mut command).arg("-i").arg(programs::file(&self.path));
        let output = run_program(command, "counting packets")?;
        let output = String::from_utf8_lossy(&output);
        let mut packets = Packets { count: 0, last: None, container_end: None };
        for line in output.lines() {
            let mut fields = line.split('|');
            let kind = fields.next();
            let mut number = || {
                let seconds: f64 = fields.next()?.parse().ok()?;
                // Rounded: only used for comparisons.
                let micros = (seconds * 1e6).round();
                (micros.abs() < 1e15).then(|| Rational::new(micros as i64, 1_000_000))
            };
            match kind {
                Some("packet") => {
                    packets.count += 1;
                    packets.last = packets.last.max(number());
                }
                Some("format") => {
                    let (start, duration) = (number(), number());
                    packets.container_end = duration.map(|d| start.unwrap_or_default() + d);
                }
                _ => {}
            }
        }
        Ok(packets)
    }
}

/// Number of bytes missing according to the container; `None` if none are, or if the container does
/// not state its length.
///
/// # Errors
/// If the file cannot be read.
fn missing_bytes(path: &Path) -> io::Result<Option<u64>> {
    // Opening a pipe waits for a writer.
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Ok(None);
    }
    stated_length(&mut BufReader::new(File::open(path)?), found.len())
        .map(|stated| stated.and_then(|stated| stated.checked_sub(found.len())).filter(|n| *n > 0))
}

/// End of the last chunk according to the container, in a file of `length` bytes.
fn stated_length(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<u64>> {
    let mut head = [0; 12];
    if length < head.len() as u64 {
        return Ok(None);
    }
    file.read_exact(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    match &head {
        [0x1A, 0x45, 0xDF, 0xA3, ..] => matroska_length(file, length),
        [b'R', b'I', b'F', b'F', ..] => riff_length(file, length),
        [_, _, _, _, b'f', b't', b'y', b'p' | b'e', ..]
        | [_, _, _, _, b'm', b'o', b'o', b'v', ..]
        | [_, _, _, _, b'm', b'd', b'a', b't', ..]
        | [_, _, _, _, b'w', b'i', b'd', b'e', ..] => iso_length(file, length),
        _ => Ok(None),
    }
}

/// MP4 and MOV: a sequence of boxes (ISO/IEC 14496-12, 4.2).
fn iso_length(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<u64>> {
    let mut at = 0;
    while length.saturating_sub(at) >= 16 {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 16];
        file.read_exact(&mut head)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let mut size = u64::from(u32::from_be_bytes([a, b, c, d]));
        if size == 1 {
            let mut large = [0; 8];
            large.copy_from_slice(&head[8..]);
            size = u64::from_be_bytes(large);
        }
        let plausible = kind.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == 0xa9);
        // A size of 0 means up to the end of the file; anything implausible is damage.
        if size < 8 || !plausible {
            return Ok(None);
        }
        at = at.saturating_add(size);
    }
    Ok(Some(at))
}

/// Matroska and WebM: a header and a segment (RFC 8794, 4 and RFC 9559).
fn matroska_length(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<u64>> {
    const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
    let mut at = 0;
    while length.saturating_sub(at) >= 12 {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 12];
        file.read_exact(&mut head)?;
        let [a, b, c, d, size @ ..] = head;
        // The number of leading zeros is the length of the size; all ones mean unknown.
        let bytes = size[0].leading_zeros() as usize + 1;
        if bytes > 8 {
            return Ok(None);
        }
        let value = size[..bytes].iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let most = (1 << (7 * bytes)) - 1;
        let value = value & most;
        if value == most {
            return Ok(None);
        }
        at = at.saturating_add(4 + bytes as u64).saturating_add(value);
        if [a, b, c, d] == SEGMENT {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// AVI: one RIFF chunk, or several in OpenDML.
fn riff_length(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<u64>> {
    let mut at = 0;
    let mut stated = None;
    while length.saturating_sub(at) >= 8 {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 8];
        file.read_exact(&mut head)?;
        let [kind @ .., a, b, c, d] = head;
        let size = u32::from_le_bytes([a, b, c, d]);
        // Interrupted recordings have no size.
        if &kind != b"RIFF" || size == 0 || size == u32::MAX {
            break;
        }
        at += 8 + u64::from(size) + u64::from(size % 2);
        stated = Some(at);
    }
    Ok(stated)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn stated(bytes: &[u8]) -> Option<u64> {
        stated_length(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn stated_length_is_the_end_of_the_last_chunk() {
        let of = |size: u32, kind: &[u8]| [&size.to_be_bytes()[..], kind, &[7; 8]].concat();
        let iso = [of(16, b"ftyp"), of(16, b"free"), of(1000, b"mdat")].concat();
        assert_eq!(stated(&iso), Some(1032));
        assert_eq!(stated(&iso[..32]), Some(32));
        assert_eq!(stated(&[of(16, b"ftyp"), of(0, b"mdat")].concat()), None, "to the end");
        assert_eq!(stated(&[of(16, b"ftyp"), of(0, &[0; 4])].concat()), None, "zeros");
        let large = [&1u32.to_be_bytes()[..], b"mdat", &(1u64 << 33).to_be_bytes()].concat();
        assert_eq!(stated(&[of(16, b"ftyp"), large].concat()), Some(16 + (1 << 33)));

        let header = [0x1A, 0x45, 0xDF, 0xA3, 0x84, 1, 2, 3, 4];
        let segment =
            |size: &[u8]| [&header[..], &[0x18, 0x53, 0x80, 0x67], size, &[0; 16]].concat();
        assert_eq!(stated(&segment(&[0x41, 0x00])), Some(9 + 6 + 256));
        assert_eq!(stated(&segment(&[0x01, 0, 0, 0, 0, 0, 0x10, 0])), Some(9 + 12 + 4096));
        assert_eq!(stated(&segment(&[0x01, 255, 255, 255, 255, 255, 255, 255])), None, "unknown");
        assert_eq!(stated(&segment(&[0, 1])), None, "no size");

        let riff = |size: u32| [b"RIFF", &size.to_le_bytes()[..], b"AVI LIST"].concat();
        assert_eq!(stated(&riff(1000)), Some(1008));
        assert_eq!(stated(&[riff(8), riff(500)].concat()), Some(16 + 508));
        assert_eq!(stated(&riff(0)), None);
        assert_eq!(stated(b"short"), None);
        assert_eq!(stated(&[0x47; 188]), None);
    }
}
