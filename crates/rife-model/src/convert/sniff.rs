//! What a file is, from how it starts.

/// A container that is read, or what the file looks like instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Zip,
    Legacy,
    Other(&'static str),
}

/// Bytes from the start of a file that [`kind`] wants to see.
pub(super) const HEAD: usize = 512;

/// What a file of `len` bytes that starts with `head` is.
pub(super) fn kind(head: &[u8], len: u64) -> Kind {
    const STARTS: &[(&[u8], &str)] = &[
        (b"PK\x05\x06", "it looks like a zip archive without entries"),
        (
            b"version https://git-lfs",
            "it looks like a git-lfs pointer; fetch the file itself with `git lfs pull`",
        ),
        (b"7767517", "it looks like an ncnn model; the converter needs the PyTorch checkpoint"),
        (b"GGUF", "it looks like a GGUF model"),
        (b"\x89HDF", "it looks like an HDF5 file"),
        (b"\x93NUMPY", "it looks like a NumPy array"),
        (b"\x1f\x8b", "it looks like a gzip file; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "it looks like a zstd file; unpack it first"),
        (b"7z\xbc\xaf", "it looks like a 7z archive; unpack it first"),
        (b"Rar!", "it looks like a RAR archive; unpack it first"),
        (b"\x89PNG", "it looks like a PNG image"),
        (b"\xff\xd8\xff", "it looks like a JPEG image"),
    ];
    if head.starts_with(b"PK\x03\x04") {
        return Kind::Zip;
    }
    if head.first() == Some(&0x80) {
        return Kind::Legacy;
    }
    if let Some((_, found)) = STARTS.iter().find(|(start, _)| head.starts_with(start)) {
        return Kind::Other(found);
    }
    if head.get(257..262) == Some(b"ustar".as_slice()) {
        return Kind::Other(
            "it looks like the tar format of PyTorch before 0.1.10; load and save it with a newer PyTorch first",
        );
    }
    if let Some((count, rest)) = head.split_first_chunk::<8>()
        && u64::from_le_bytes(*count) <= len
        && rest.first() == Some(&b'{')
    {
        return Kind::Other("it looks like a safetensors file, which needs no conversion");
    }
    let text: Vec<u8> = head
        .iter()
        .copied()
        .skip_while(|b| b.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(b))
        .map(|b| b.to_ascii_lowercase())
        .collect();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        return Kind::Other("it looks like an HTML page; the download was no file");
    }
    if text.starts_with(b"<") {
        return Kind::Other("it looks like an XML or HTML page; the download was no file");
    }
    if text.starts_with(b"{") {
        return Kind::Other("it looks like JSON text");
    }
    // A ModelProto starts with its field 1 (ir_version) and goes on with field 2, 3, 7 or 8.
    if matches!(head, [0x08, 1..=32, 0x12 | 0x1a | 0x3a | 0x42, ..]) {
        return Kind::Other("it looks like an ONNX model");
    }
    Kind::Other("it starts like neither format of torch.save")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_content() {
        assert_eq!(kind(b"PK\x03\x04....", 8), Kind::Zip);
        assert_eq!(kind(b"\x80\x02\x8a\x0a", 4), Kind::Legacy);
        let mut tar = vec![b'x'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let safetensors = b"\x02\0\0\0\0\0\0\0{}";
        for (head, word) in [
            (&tar[..], "tar"),
            (safetensors, "safetensors"),
            (b"\x08\x07\x12\x07pytorch", "ONNX"),
            (b"\n <!DOCTYPE html><html>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
            (b"{\"error\": 404}", "JSON"),
            (b"7767517\n", "ncnn"),
            (b"hello", "neither"),
        ] {
            assert!(
                matches!(kind(head, 512), Kind::Other(found) if found.contains(word)),
                "{word}"
            );
        }
    }
}
