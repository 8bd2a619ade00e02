//! SHA-256 of files, and of tensors independently of the file format.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::Checkpoint;
use super::error::{ConvertError, shown};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Longest header of a safetensors file in bytes: the limit of the safetensors library.
const MAX_HEADER: u64 = 100_000_000;

/// SHA-256 of a file in lower-case hexadecimal.
///
/// # Errors
/// [`ConvertError::Io`] when the file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, ConvertError> {
    let mut file = File::open(path).map_err(ConvertError::io("open", path))?;
    reader_sha256(&mut file).map_err(ConvertError::io("read", path))
}

pub(super) fn reader_sha256(reader: &mut impl Read) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            return Ok(hex(hash));
        }
        hash.update(chunk.get(..read).unwrap_or_default());
    }
}

/// SHA-256 of the tensors of a checkpoint in lower-case hexadecimal.
///
/// The hash covers, for each tensor sorted by the bytes of its name: the length of the name, the
/// name, the length of the dtype's name, the dtype's name as in safetensors (`F32`), the rank, each
/// dimension, and the little-endian elements. Lengths, rank and dimensions are little-endian `u64`.
/// [`tensors_sha256_of_safetensors`] returns the same digest for the converted file.
pub fn tensors_sha256(checkpoint: &Checkpoint) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in checkpoint.tensors() {
        let shape = tensor.shape().iter().map(|&d| d as u64);
        begin(&mut hash, name, tensor.dtype().name(), shape);
        hash.update(tensor.data());
    }
    hex(hash)
}

/// [`tensors_sha256`] of the tensors of a safetensors file, independent of its metadata.
///
/// # Errors
/// [`ConvertError::Io`] when the file cannot be read, [`ConvertError::Safetensors`] when it is
/// malformed.
pub fn tensors_sha256_of_safetensors(path: &Path) -> Result<String, ConvertError> {
    let file = File::open(path).map_err(ConvertError::io("open", path))?;
    StFile::open(file).and_then(|mut file| file.sha256()).map_err(|e| e.in_file("read", path))
}

/// [`tensors_sha256_of_safetensors`] for a file in memory.
///
/// # Errors
/// [`ConvertError::Safetensors`] when the bytes are not a safetensors file.
pub fn tensors_sha256_of_safetensors_bytes(bytes: &[u8]) -> Result<String, ConvertError> {
    StFile::open(Cursor::new(bytes))?.sha256()
}

/// Names and shapes of the tensors of a safetensors file, sorted by the bytes of the names.
///
/// # Errors
/// As [`tensors_sha256_of_safetensors`].
pub(crate) fn shapes_of_safetensors(
    path: &Path,
) -> Result<Vec<(String, Vec<usize>)>, ConvertError> {
    let file = File::open(path).map_err(ConvertError::io("open", path))?;
    let file = StFile::open(file).map_err(|e| e.in_file("read", path))?;
    Ok(file.tensors.into_iter().map(|(name, info)| (name, info.shape)).collect())
}

/// What the metadata of a converted file records.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub(crate) struct RecordedOrigin {
    /// SHA-256 of the file that it was converted from.
    pub(crate) source_sha256: Option<String>,
    /// [`tensors_sha256`] when it was converted.
    pub(crate) tensors_sha256: Option<String>,
    /// The version that the user imported it as.
    pub(crate) imported_as: Option<String>,
    /// The name of the file that it was converted from.
    pub(crate) source: Option<String>,
}

/// The origin that a safetensors file records; empty if another program wrote the file.
///
/// # Errors
/// As [`tensors_sha256_of_safetensors`].
pub(crate) fn origin_of(path: &Path) -> Result<RecordedOrigin, ConvertError> {
    let file = File::open(path).map_err(ConvertError::io("open", path))?;
    let file = StFile::open(file).map_err(|e| e.in_file("read", path))?;
    let origin = file.metadata.as_ref().and_then(|metadata| metadata.get(super::METADATA_KEY));
    Ok(origin.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
}

/// An open safetensors file with only its header in memory.
pub(super) struct StFile<R> {
    reader: R,
    /// Offset of the tensor data in bytes.
    pub(super) data_start: u64,
    /// Sorted by the bytes of the names.
    pub(super) tensors: Vec<(String, TensorInfo)>,
    metadata: Option<HashMap<String, String>>,
}

impl<R: Read + Seek> StFile<R> {
    /// Reads the header and checks that the tensors cover the file exactly.
    pub(super) fn open(mut reader: R) -> Result<Self, ConvertError> {
        let len = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
        reader.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let mut count = [0; 8];
        reader.read_exact(&mut count).map_err(|_| invalid("shorter than 8 bytes"))?;
        let header_len = u64::from_le_bytes(count);
        let data_start = header_len.saturating_add(8);
        if header_len > MAX_HEADER || data_start > len {
            return Err(invalid(&format!(
                "a header of {header_len} bytes in a file of {len} bytes"
            )));
        }
        let mut header = Vec::new();
        reader.by_ref().take(header_len).read_to_end(&mut header).map_err(unreadable)?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| invalid(&shown(&e.to_string())))?;
        let mut tensors: Vec<(String, TensorInfo)> =
            metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        check_offsets(&tensors, len.saturating_sub(data_start))?;
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        let metadata = metadata.metadata().clone();
        Ok(Self { reader, data_start, tensors, metadata })
    }

    /// Calls `each` with the bytes of a tensor, chunk by chunk, until it returns false.
    pub(super) fn read(
        &mut self,
        info: &TensorInfo,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ConvertError> {
        let (start, end) = info.data_offsets;
        let at = self.data_start.saturating_add(start as u64);
        self.reader.seek(SeekFrom::Start(at)).map_err(unreadable)?;
        let mut left = end.saturating_sub(start);
        let mut chunk = vec![0; CHUNK.min(left)];
        while left > 0 {
            let len = chunk.len().min(left);
            let piece = chunk.get_mut(..len).unwrap_or_default();
            self.reader.read_exact(piece).map_err(unreadable)?;
            if !each(piece) {
                return Ok(());
            }
            left = left.saturating_sub(len);
        }
        Ok(())
    }

    fn sha256(&mut self) -> Result<String, ConvertError> {
        let mut hash = Sha256::new();
        for (name, info) in std::mem::take(&mut self.tensors) {
            let shape = info.shape.iter().map(|&d| d as u64);
            begin(&mut hash, &name, &info.dtype.to_string(), shape);
            self.read(&info, |piece| {
                hash.update(piece);
                true
            })?;
        }
        Ok(hex(hash))
    }
}

/// Tensors must be adjacent, cover the file, and have the size that their shape requires.
fn check_offsets(tensors: &[(String, TensorInfo)], data_len: u64) -> Result<(), ConvertError> {
    let mut ranges: Vec<(usize, usize)> = tensors.iter().map(|(_, i)| i.data_offsets).collect();
    ranges.sort_unstable();
    let mut at = 0;
    for (start, end) in ranges {
        if start != at || end < start {
            return Err(invalid(&format!("tensors leave a gap or overlap at byte {at}")));
        }
        at = end;
    }
    if at as u64 != data_len {
        return Err(invalid(&format!("the tensors cover {at} bytes of {data_len} bytes of data")));
    }
    for (name, info) in tensors {
        let numel = info.shape.iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim));
        let bits = numel.and_then(|n| n.checked_mul(info.dtype.bitsize()));
        let (start, end) = info.data_offsets;
        if bits != end.saturating_sub(start).checked_mul(8) {
            return Err(ConvertError::tensor(name, "its shape does not match its size in bytes"));
        }
    }
    Ok(())
}

fn begin(hash: &mut Sha256, name: &str, dtype: &str, shape: impl ExactSizeIterator<Item = u64>) {
    for text in [name, dtype] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update((shape.len() as u64).to_le_bytes());
    shape.for_each(|dim| hash.update(dim.to_le_bytes()));
}

fn hex(hash: Sha256) -> String {
    use std::fmt::Write as _;
    hash.finalize().iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn invalid(problem: &str) -> ConvertError {
    ConvertError::Safetensors { problem: problem.to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes the error by value")]
fn unreadable(error: std::io::Error) -> ConvertError {
    invalid(&shown(&error.to_string()))
}
