//! The format of `torch.save` before PyTorch 1.6 (and of `_use_new_zipfile_serialization=False`):
//! a sequence of five pickles (magic number, protocol version, system information, the object,
//! the storage keys), followed by each storage as an element count and its elements.
//!
//! Source: `_legacy_load` in PyTorch's `torch/serialization.py`. Elements are little-endian on all
//! systems (`THPStorage_writeFileRaw`), so the recorded byte order is ignored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::cursor::Cursor;
use super::error::{ConvertError, quoted, shown_bytes};
use super::tensors::{ByteOrder, StorageBytes, StorageLoader};
use super::value::{Parsed, Value};
use super::{Limits, pickle};

/// `0x1950a86a20f9469cfc6c` as the ten bytes of a LONG1.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version of the format.
const PROTOCOL_VERSION: i64 = 1001;
/// The name of the stream in messages.
pub(super) const STREAM: &str = "legacy file";

/// The pickled object of a legacy file, and the positions of its storages.
pub(super) struct Legacy<'a> {
    pub(super) object: Parsed<'a>,
    pub(super) storages: LegacyStorages,
}

/// Storages by key, as ranges of the file.
pub(super) struct LegacyStorages {
    file: Arc<Vec<u8>>,
    /// Start and end of the elements of each storage in the file, in bytes.
    ranges: HashMap<Vec<u8>, (usize, usize)>,
}

/// Reads everything except the elements.
pub(super) fn parse<'a>(
    file: &'a Arc<Vec<u8>>,
    limits: &Limits,
) -> Result<Legacy<'a>, ConvertError> {
    let limits = limits.for_file(file.len() as u64);
    let mut input = Cursor::new(file, 0, STREAM);

    let magic = next_pickle(&mut input, &limits)?;
    if !matches!(magic.root, Value::BigInt(span) if span.of(magic.stream) == MAGIC) {
        let got = magic.kind(magic.root);
        return Err(ConvertError::NotACheckpoint {
            found: format!(
                "it looks like a plain pickle: it starts with {got} instead of PyTorch's magic number"
            ),
        });
    }
    let version = next_pickle(&mut input, &limits)?;
    if version.root != Value::Int(PROTOCOL_VERSION) {
        return Err(input.error(
            usize::try_from(version.base).unwrap_or(0),
            format!("expected format version {PROTOCOL_VERSION}"),
        ));
    }
    next_pickle(&mut input, &limits)?;
    let object = next_pickle(&mut input, &limits)?;
    let keys = next_pickle(&mut input, &limits)?;
    let storages = locate(file, &object, &keys, &mut input)?;
    Ok(Legacy { object, storages })
}

fn next_pickle<'a>(input: &mut Cursor<'a>, limits: &Limits) -> Result<Parsed<'a>, ConvertError> {
    let start = input.pos;
    let rest = input.bytes.get(start..).unwrap_or_default();
    let parsed = pickle::parse(rest, input.at(start), STREAM, limits)?;
    input.take(parsed.end as u64, "pickle")?;
    Ok(parsed)
}

/// Locates the storages that follow the list of keys.
fn locate(
    file: &Arc<Vec<u8>>,
    object: &Parsed<'_>,
    keys: &Parsed<'_>,
    input: &mut Cursor<'_>,
) -> Result<LegacyStorages, ConvertError> {
    // The count in front of a storage is in elements of the dtype with which the object refers to
    // it first.
    let mut named: HashMap<&[u8], (usize, u64)> = HashMap::new();
    for storage in object.storages.iter().filter_map(|&id| object.storage(id)) {
        named.entry(storage.key.of(object.stream)).or_insert((storage.dtype.size(), storage.numel));
    }
    let keys_at = usize::try_from(keys.base).unwrap_or(0);
    let list = keys.items(keys.root).ok_or_else(|| {
        let got = keys.kind(keys.root);
        input.error(keys_at, format!("expected the list of storage keys, got {got}"))
    })?;
    let mut ranges = HashMap::new();
    for &key in list {
        let key = keys.text(key).ok_or_else(|| {
            let got = keys.kind(key);
            input.error(keys_at, format!("storage key: expected a str, got {got}"))
        })?;
        let Some(&(element, numel)) = named.get(key) else {
            let key = quoted(&shown_bytes(key));
            return Err(input.error(keys_at, format!("no tensor uses the storage {key}")));
        };
        let at = input.pos;
        let count = i64::from_le_bytes(input.array("storage size")?);
        if u64::try_from(count) != Ok(numel) {
            let key = quoted(&shown_bytes(key));
            return Err(
                input.error(at, format!("storage {key}: expected {numel} elements, got {count}"))
            );
        }
        let bytes = numel.checked_mul(element as u64).ok_or_else(|| {
            input.error(at, format!("a storage of {numel} elements is larger than any file"))
        })?;
        let start = input.pos;
        input.take(bytes, "storage")?;
        match ranges.entry(key.to_vec()) {
            Entry::Vacant(slot) => slot.insert((start, input.pos)),
            Entry::Occupied(_) => {
                let key = quoted(&shown_bytes(key));
                return Err(input.error(at, format!("duplicate storage {key}")));
            }
        };
    }
    if input.pos != input.bytes.len() {
        let left = input.bytes.len().saturating_sub(input.pos);
        return Err(
            input.error(input.pos, format!("{left} unexpected bytes after the last storage"))
        );
    }
    Ok(LegacyStorages { file: Arc::clone(file), ranges })
}

impl StorageLoader for LegacyStorages {
    fn byte_order(&self) -> ByteOrder {
        ByteOrder::Little
    }

    fn load(&mut self, key: &[u8]) -> Result<Option<StorageBytes>, ConvertError> {
        let range = self.ranges.get(key);
        Ok(range.map(|&(start, end)| StorageBytes { data: Arc::clone(&self.file), start, end }))
    }
}
