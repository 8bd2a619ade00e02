//! What a file is by its first bytes, where its name does not tell, and inputs that can be read only
//! once.

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempPath;

use crate::args::InterpolateArgs;
use crate::{interrupt, say};

/// How every Y4M stream begins.
const Y4M: &[u8] = b"YUV4MPEG2";

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 16;

/// An input that is no regular file.
pub(super) enum Once {
    /// A Y4M stream, which is read as it comes.
    Y4m(Box<dyn BufRead + Send>),
    /// A copy of anything else: ffmpeg reads a file more than once, and not from start to end.
    Copy(TempPath),
    /// A device that can be read like a file.
    Device,
}

/// Opens an input that is neither a regular file nor a folder: a FIFO, a process substitution, a
/// device.
pub(super) fn open_once(args: &InterpolateArgs, path: &Path, found: &Metadata) -> Result<Once> {
    let shown = path.display();
    match kind(found) {
        "a pipe" => {}
        "a block device" => return Ok(Once::Device),
        other => bail!("cannot read {shown}: expected a video file or a pipe, got {other}"),
    }
    let cannot = || format!("cannot read {shown}");
    let mut from = BufReader::with_capacity(AT_ONCE, File::open(path).with_context(cannot)?);
    let mut head = Vec::new();
    from.by_ref().take(Y4M.len() as u64).read_to_end(&mut head).with_context(cannot)?;
    ensure!(!head.is_empty(), "cannot read {shown}: nothing came through the pipe");
    let is_y4m = head == Y4M;
    let mut from = Cursor::new(head).chain(from);
    if is_y4m {
        return Ok(Once::Y4m(Box::new(from)));
    }
    ensure!(
        !args.video.resume,
        "--resume needs an input that can be read again: {shown} is a pipe"
    );
    // Beside the output there is room for videos.
    let beside = crate::interpolate::folder_of(&args.output);
    let folder = match args.output.as_os_str() != "-" && beside.is_dir() {
        true => beside.to_owned(),
        false => std::env::temp_dir(),
    };
    let cannot = || format!("cannot copy {shown} to {}", folder.display());
    let copy = tempfile::Builder::new().prefix(".rife-").tempfile_in(&folder);
    let mut copy = copy.with_context(cannot)?;
    interrupt::install()?;
    interrupt::file(copy.path());
    say(&format!(
        "note: {shown} cannot be read twice: it is copied to a temporary file in {} first",
        folder.display()
    ));
    std::io::copy(&mut from, copy.as_file_mut()).with_context(cannot)?;
    Ok(Once::Copy(copy.into_temp_path()))
}

/// What a path leads to, for people.
#[cfg(unix)]
fn kind(found: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = found.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_block_device() {
        "a block device"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "something else"
    }
}

/// What a path leads to, for people.
#[cfg(not(unix))]
fn kind(_: &Metadata) -> &'static str {
    "a pipe"
}

/// What pictures in one file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Animation {
    Png,
    WebP,
}

/// Whether a file holds several pictures that follow each other, of a format that usually holds
/// one.
pub(super) fn animation(path: &Path) -> Result<Option<Animation>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = BufReader::new(File::open(path).with_context(cannot)?);
    of_content(&mut file).with_context(cannot)
}

fn of_content(file: &mut (impl Read + Seek)) -> std::io::Result<Option<Animation>> {
    let mut head = Vec::new();
    file.take(21).read_to_end(&mut head)?;
    let at = |range: std::ops::Range<usize>| head.get(range).unwrap_or_default();
    if at(0..4) == b"RIFF" && at(8..16) == b"WEBPVP8X" {
        const ANIMATED: u8 = 1 << 1;
        let animated = head.get(20).is_some_and(|flags| flags & ANIMATED != 0);
        return Ok(animated.then_some(Animation::WebP));
    }
    if at(0..8) != b"\x89PNG\r\n\x1a\n" {
        return Ok(None);
    }
    // The chunk that says it comes before the first that holds pixels.
    let mut place = 8;
    loop {
        file.seek(SeekFrom::Start(place))?;
        let mut chunk = Vec::new();
        file.take(12).read_to_end(&mut chunk)?;
        let Some((length, rest)) = chunk.split_first_chunk::<4>() else { return Ok(None) };
        match rest.get(..4) {
            Some(b"acTL") => {
                let frames =
                    rest.get(4..8).and_then(|n| Some(u32::from_be_bytes(n.try_into().ok()?)));
                return Ok((frames > Some(1)).then_some(Animation::Png));
            }
            None | Some(b"IDAT" | b"IEND") => return Ok(None),
            Some(_) => place += 12 + u64::from(u32::from_be_bytes(*length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], name, data, &[0; 4]].concat()
    }

    fn is(content: &[u8]) -> Option<Animation> {
        of_content(&mut Cursor::new(content)).unwrap()
    }

    #[test]
    fn animations_are_told_by_content() {
        let png = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = chunk(b"IHDR", &[0; 13]);
        let pixels = chunk(b"IDAT", &[0; 20]);
        let control = |frames: u32| chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
        let with = |parts: &[&[u8]]| [&[&png[..], &header][..], parts].concat().concat();
        assert_eq!(is(&with(&[&control(3), &pixels])), Some(Animation::Png));
        assert_eq!(is(&with(&[&control(1), &pixels])), None);
        assert_eq!(is(&with(&[&pixels, &control(3)])), None);
        assert_eq!(is(&with(&[])), None);
        let webp = |flags: u8| [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0", &[flags][..]].concat();
        assert_eq!(is(&webp(2)), Some(Animation::WebP));
        assert_eq!(is(&webp(0x10)), None);
        assert_eq!(is(b""), None);
    }
}
