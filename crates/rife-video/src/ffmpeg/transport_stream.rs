//! Finds damage at the end of an MPEG transport stream, which ffmpeg skips without a message.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Byte that every packet starts with (ISO/IEC 13818-1, 2.4.3.2).
const SYNC: u8 = 0x47;

/// Distances of packets, in bytes: plain, with a timestamp (M2TS), with error correction.
const PACKET_BYTES: [usize; 3] = [188, 192, 204];

/// Number of packets in a row that are not a coincidence.
const RUN: usize = 5;

/// Largest end of a file that is searched for packets, in bytes.
const TAIL_BYTES: u64 = 4 << 20;

/// Number of bytes near the end of a transport stream that belong to no packet; `None` if the file
/// is no transport stream, or if they are less than a packet.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn damaged_tail(path: &Path) -> io::Result<Option<u64>> {
    // Pipes and devices have no end to look at, and opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take((RUN * PACKET_BYTES[2] * 2) as u64).read_to_end(&mut head)?;
    let Some(packet) = packet_bytes(&head) else { return Ok(None) };
    let start = metadata.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let outside = bytes_outside_packets(&tail, packet);
    Ok((outside >= packet).then_some(outside as u64))
}

/// Distance of the packets at the start of a file.
fn packet_bytes(head: &[u8]) -> Option<usize> {
    PACKET_BYTES.into_iter().find(|packet| (0..*packet).any(|first| is_run(head, first, *packet)))
}

/// Whether `RUN` packets start at `first`.
fn is_run(bytes: &[u8], first: usize, packet: usize) -> bool {
    (0..RUN).all(|number| bytes.get(first + number * packet) == Some(&SYNC))
}

/// Whether packets start at `first`, and continue for `RUN` packets or to the end.
fn resumes(bytes: &[u8], first: usize, packet: usize) -> bool {
    let mut starts = (first..bytes.len()).step_by(packet).take(RUN);
    starts.all(|at| bytes[at] == SYNC)
}

/// Number of bytes that belong to no packet. Those before the first packet do not count: the bytes
/// may begin within one.
fn bytes_outside_packets(bytes: &[u8], packet: usize) -> usize {
    let Some(mut at) = (0..bytes.len()).find(|first| is_run(bytes, *first, packet)) else {
        return bytes.len();
    };
    let mut outside = 0;
    while at < bytes.len() {
        if bytes[at] == SYNC {
            at += packet;
            continue;
        }
        let next = (at..bytes.len()).find(|first| resumes(bytes, *first, packet));
        let next = next.unwrap_or(bytes.len());
        outside += next - at;
        at = next;
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(packet: usize, count: usize) -> Vec<u8> {
        let one: Vec<u8> =
            std::iter::once(SYNC).chain((1..packet).map(|n| n as u8 | 0x80)).collect();
        one.repeat(count)
    }

    fn tail(bytes: &[u8]) -> Option<u64> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        damaged_tail(file.path()).unwrap()
    }

    #[test]
    fn bytes_after_the_last_packets_are_counted() {
        for packet in PACKET_BYTES {
            let whole = stream(packet, 40);
            assert_eq!(tail(&whole), None, "{packet}");
            assert_eq!(
                tail(&whole[..packet * 39 + 50]),
                None,
                "{packet}: an interrupted recording"
            );
            assert_eq!(tail(&[&whole[4..], &[0; 4]].concat()), None, "{packet}: starts mid-packet");
            let zeros = [&whole[..], &vec![0; 3 * packet]].concat();
            assert_eq!(tail(&zeros), Some(3 * packet as u64), "{packet}");
            // The damaged packets are not the last ones: packets of another stream follow.
            let mut middle = whole.clone();
            middle[30 * packet..33 * packet].fill(0);
            assert_eq!(tail(&middle), Some(3 * packet as u64), "{packet}");
        }
    }

    #[test]
    fn damaged_tail_longer_than_the_search_is_found() {
        let bytes = [stream(188, 20), vec![0; TAIL_BYTES as usize + 1000]].concat();
        assert_eq!(tail(&bytes), Some(TAIL_BYTES));
    }

    #[test]
    fn other_files_have_no_tail() {
        assert_eq!(tail(b""), None);
        assert_eq!(tail(&[0; 5000]), None);
        assert_eq!(tail(b"GIF89a"), None);
    }
}
