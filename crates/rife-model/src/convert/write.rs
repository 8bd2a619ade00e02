//! Writes the safetensors file and reads it back.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, TensorInfo};
use tempfile::NamedTempFile;

use super::digest::StFile;
use super::error::{ConvertError, quoted, shown, shown_path};
use super::{Checkpoint, Tensor};

/// Fails when the output is the input, or exists and must not be replaced.
pub(super) fn check_output(
    input: &Path,
    output: &Path,
    overwrite: bool,
) -> Result<(), ConvertError> {
    let Ok(found) = fs::symlink_metadata(output) else { return Ok(()) };
    let same = match (fs::canonicalize(input), fs::canonicalize(output)) {
        (Ok(input), Ok(output)) => input == output || same_inode(&input, &output),
        _ => false,
    };
    if same {
        return Err(ConvertError::SameFile { path: shown_path(output) });
    }
    if !found.is_file() && !found.is_symlink() {
        return Err(ConvertError::NotAFile { path: shown_path(output) });
    }
    if !overwrite {
        return Err(ConvertError::OutputExists { path: shown_path(output) });
    }
    Ok(())
}

#[cfg(unix)]
fn same_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!(
        (fs::metadata(a), fs::metadata(b)),
        (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino())
    )
}

#[cfg(not(unix))]
fn same_inode(_: &Path, _: &Path) -> bool {
    false
}

/// Writes `checkpoint` to a temporary file, reads it back, and only then renames it to `output`.
/// Returns the size of the file in bytes.
pub(super) fn write(
    checkpoint: &Checkpoint,
    metadata: String,
    output: &Path,
    overwrite: bool,
) -> Result<u64, ConvertError> {
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    // Dropping the file removes it, so an early return leaves no file.
    let mut temp = new_temp(&folder).map_err(ConvertError::io("create a file in", &folder))?;
    let header = header(checkpoint, metadata)?;
    let mut len = 0_u64;
    let mut put = |to: &mut BufWriter<&mut NamedTempFile>, bytes: &[u8]| {
        len = len.saturating_add(bytes.len() as u64);
        to.write_all(bytes)
    };
    let written = (|| {
        let mut to = BufWriter::with_capacity(1 << 20, &mut temp);
        put(&mut to, &(header.len() as u64).to_le_bytes())?;
        put(&mut to, &header)?;
        for (_, tensor) in file_order(checkpoint) {
            put(&mut to, tensor.data())?;
        }
        to.flush()?;
        drop(to);
        temp.as_file().sync_all()
    })();
    written.map_err(ConvertError::io("write", output))?;
    read_back(checkpoint, temp.reopen().map_err(ConvertError::io("reopen", output))?)
        .map_err(|e| e.in_file("verify", output))?;
    let persisted = if overwrite { temp.persist(output) } else { temp.persist_noclobber(output) };
    persisted.map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            ConvertError::OutputExists { path: shown_path(output) }
        }
        _ => ConvertError::io("rename the finished file to", output)(e.error),
    })?;
    sync_folder(&folder);
    Ok(len)
}

/// The whole file in memory.
pub(super) fn to_vec(checkpoint: &Checkpoint, metadata: String) -> Result<Vec<u8>, ConvertError> {
    let header = header(checkpoint, metadata)?;
    let data: usize = checkpoint.tensors().map(|(_, tensor)| tensor.data().len()).sum();
    let mut bytes = Vec::new();
    let out_of_memory =
        |e: std::collections::TryReserveError| ConvertError::OutOfMemory { cause: e.to_string() };
    bytes.try_reserve_exact(8 + header.len() + data).map_err(out_of_memory)?;
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    for (_, tensor) in file_order(checkpoint) {
        bytes.extend_from_slice(tensor.data());
    }
    Ok(bytes)
}

/// Prefix and suffix of temporary files.
const TEMPORARY: (&str, &str) = (".rife-convert-", ".tmp");

/// Whether a file has the name of a temporary file of a conversion.
pub(crate) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

fn new_temp(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    // The mode of any new file, less the umask; temporary files default to 0600.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes the rename durable. The content of the file is synced already.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        // Some file systems cannot sync a folder; the file is complete without it.
        let _ = folder.sync_all();
    }
}

/// The tensors in the order that the safetensors library writes: by alignment, then by name.
fn file_order(checkpoint: &Checkpoint) -> Vec<(&str, &Tensor)> {
    let mut tensors: Vec<_> = checkpoint.tensors().collect();
    tensors.sort_by_key(|&(name, tensor)| (Reverse(tensor.dtype().to_safetensors()), name));
    tensors
}

fn header(checkpoint: &Checkpoint, metadata: String) -> Result<Vec<u8>, ConvertError> {
    let mut offset = 0_usize;
    let mut infos = Vec::new();
    for (name, tensor) in file_order(checkpoint) {
        let end = offset.checked_add(tensor.data().len());
        let end = end.ok_or_else(|| ConvertError::tensor(name, "its end offset overflows"))?;
        infos.push((
            name.to_owned(),
            TensorInfo {
                dtype: tensor.dtype().to_safetensors(),
                shape: tensor.shape().to_vec(),
                data_offsets: (offset, end),
            },
        ));
        offset = end;
    }
    let invalid =
        |e: &dyn std::error::Error| ConvertError::Safetensors { problem: shown(&e.to_string()) };
    // A single entry: a map of several has no fixed order.
    let entries = HashMap::from([(super::METADATA_KEY.to_owned(), metadata)]);
    let metadata = Metadata::new(Some(entries), infos).map_err(|e| invalid(&e))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| invalid(&e))?;
    // The data is aligned to eight bytes; the format pads the header with spaces.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Compares the written file with the checkpoint: names, dtypes, shapes and every byte.
fn read_back(checkpoint: &Checkpoint, file: File) -> Result<(), ConvertError> {
    let differs = |problem: String| ConvertError::ReadBack { problem };
    let mut file = StFile::open(file)?;
    let written = std::mem::take(&mut file.tensors);
    if written.len() != checkpoint.len() {
        let (expected, got) = (checkpoint.len(), written.len());
        return Err(differs(format!("expected {expected} tensors, got {got}")));
    }
    for ((name, tensor), (written_name, info)) in checkpoint.tensors().zip(&written) {
        let shown = quoted(name);
        if name != written_name {
            return Err(differs(format!("expected {shown}, got {}", quoted(written_name))));
        }
        if info.dtype != tensor.dtype().to_safetensors() || info.shape != tensor.shape() {
            return Err(differs(format!("dtype or shape of {shown}")));
        }
        let mut rest = tensor.data();
        let mut same = true;
        file.read(info, |piece| {
            let split = rest.split_at_checked(piece.len());
            same = split.is_some_and(|(head, tail)| {
                rest = tail;
                head == piece
            });
            same
        })?;
        if !same || !rest.is_empty() {
            return Err(differs(format!("bytes of {shown}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::{Limits, read_checkpoint};

    #[test]
    fn read_back_detects_any_difference() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/convert/module.zip.ckpt");
        let checkpoint = read_checkpoint(Path::new(fixture), &Limits::default()).expect("reads");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        write(&checkpoint, "{}".to_owned(), &path, false).expect("writes");
        let good = fs::read(&path).expect("reads");
        let check = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("writes");
            read_back(&checkpoint, File::open(&path).expect("opens"))
        };
        check(&good).expect("is the same");
        // A flipped bit in every byte of the data.
        let data: usize = checkpoint.tensors().map(|(_, tensor)| tensor.data().len()).sum();
        for at in good.len() - data..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            assert!(matches!(check(&bytes), Err(ConvertError::ReadBack { .. })), "byte {at}");
        }
        // A different name, dtype or shape of the same length in the header.
        for (from, to) in [("0.weight", "9.weight"), ("F32", "I32"), ("[4,3,3,3]", "[3,4,3,3]")] {
            let at = good.windows(from.len()).position(|w| w == from.as_bytes());
            let at = at.expect("is in the header");
            let mut bytes = good.clone();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            let error = check(&bytes).expect_err("is another header");
            assert!(matches!(error, ConvertError::ReadBack { .. }), "{from}: {error}");
        }
        check(&good[..good.len() - 1]).expect_err("is cut");
    }
}
