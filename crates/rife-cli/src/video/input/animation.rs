//! Detects animations in image formats from the content of a file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result};

/// An animated image format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Animation {
    Png,
    WebP,
}

/// Whether a file is an animated PNG or WebP.
pub(super) fn detect(path: &Path) -> Result<Option<Animation>> {
    let error = || format!("cannot read {}", path.display());
    let mut file = BufReader::new(File::open(path).with_context(error)?);
    detect_in(&mut file).with_context(error)
}

fn detect_in(file: &mut (impl Read + Seek)) -> std::io::Result<Option<Animation>> {
    let mut head = Vec::new();
    file.take(21).read_to_end(&mut head)?;
    let bytes = |range: std::ops::Range<usize>| head.get(range).unwrap_or_default();
    if bytes(0..4) == b"RIFF" && bytes(8..16) == b"WEBPVP8X" {
        const ANIMATED: u8 = 1 << 1;
        let animated = head.get(20).is_some_and(|flags| flags & ANIMATED != 0);
        return Ok(animated.then_some(Animation::WebP));
    }
    if bytes(0..8) != b"\x89PNG\r\n\x1a\n" {
        return Ok(None);
    }
    // The animation chunk precedes the pixels.
    let mut offset = 8;
    loop {
        file.seek(SeekFrom::Start(offset))?;
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
            Some(_) => offset += 12 + u64::from(u32::from_be_bytes(*length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length[..], name, data, &[0; 4]].concat()
    }

    fn detected(content: &[u8]) -> Option<Animation> {
        detect_in(&mut Cursor::new(content)).unwrap()
    }

    #[test]
    fn animations_are_detected_by_content() {
        let png = b"\x89PNG\r\n\x1a\n".to_vec();
        let header = chunk(b"IHDR", &[0; 13]);
        let pixels = chunk(b"IDAT", &[0; 20]);
        let control = |frames: u32| chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
        let png_with = |parts: &[&[u8]]| [&[&png[..], &header][..], parts].concat().concat();
        assert_eq!(detected(&png_with(&[&control(3), &pixels])), Some(Animation::Png));
        assert_eq!(detected(&png_with(&[&control(1), &pixels])), None);
        assert_eq!(detected(&png_with(&[&pixels, &control(3)])), None);
        assert_eq!(detected(&png_with(&[])), None);
        let webp = |flags: u8| [b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0", &[flags][..]].concat();
        assert_eq!(detected(&webp(2)), Some(Animation::WebP));
        assert_eq!(detected(&webp(0x10)), None);
        assert_eq!(detected(b""), None);
    }
}
