//! Detects the format of a file from its first bytes.

/// The format of a file: a supported one, or a description of what the file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detected {
    Zip,
    Legacy,
    Other(&'static str),
}

/// Bytes from the start of a file that [`detect`] needs.
pub(super) const HEAD: usize = 512;

/// The format of a file of `len` bytes that starts with `head`.
pub(super) fn detect(head: &[u8], len: u64) -> Detected {
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
        return Detected::Zip;
    }
    if head.first() == Some(&0x80) {
        return Detected::Legacy;
    }
    if let Some((_, found)) = STARTS.iter().find(|(start, _)| head.starts_with(start)) {
        return Detected::Other(found);
    }
    if head.get(257..262) == Some(b"ustar".as_slice()) {
        return Detected::Other(
            "it looks like the tar format of PyTorch before 0.1.10; load it with a newer PyTorch and save \
             it again",
        );
    }
    if is_safetensors(head, len) {
        return Detected::Other("it looks like a safetensors file, which needs no conversion");
    }
    let text: Vec<u8> = head
        .iter()
        .copied()
        .skip_while(|b| b.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(b))
        .map(|b| b.to_ascii_lowercase())
        .collect();
    if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") {
        return Detected::Other(
            "it looks like an HTML page; the download returned a web page instead of the file",
        );
    }
    if text.starts_with(b"<") {
        return Detected::Other(
            "it looks like an XML or HTML page; the download returned a web page instead of the file",
        );
    }
    if text.starts_with(b"{") {
        return Detected::Other("it looks like JSON text");
    }
    // A ModelProto starts with field 1 (ir_version), followed by field 2, 3, 7 or 8.
    if matches!(head, [0x08, 1..=32, 0x12 | 0x1a | 0x3a | 0x42, ..]) {
        return Detected::Other("it looks like an ONNX model");
    }
    Detected::Other("it has neither format of torch.save")
}

/// Whether a file of `len` bytes that starts with `head` looks like a safetensors file.
pub(super) fn is_safetensors(head: &[u8], len: u64) -> bool {
    head.split_first_chunk::<8>().is_some_and(|(count, rest)| {
        u64::from_le_bytes(*count) <= len && rest.first() == Some(&b'{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_detected_from_content() {
        assert_eq!(detect(b"PK\x03\x04....", 8), Detected::Zip);
        assert_eq!(detect(b"\x80\x02\x8a\x0a", 4), Detected::Legacy);
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
                matches!(detect(head, 512), Detected::Other(found) if found.contains(word)),
                "{word}"
            );
        }
    }
}
