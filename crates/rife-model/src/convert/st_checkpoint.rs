//! Reads a safetensors file like a checkpoint.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use super::digest::StFile;
use super::dtype::Dtype;
use super::error::{ConvertError, quoted};
use super::tensors::{StorageBytes, Tensor};
use super::{Checkpoint, CheckpointFormat};

const MODULE_PREFIX: &str = "module.";

/// The tensors of a safetensors file in memory. A leading `module.` is removed from names.
pub(super) fn read(bytes: &Arc<Vec<u8>>) -> Result<Checkpoint, ConvertError> {
    let file = StFile::open(Cursor::new(bytes.as_slice()))?;
    let data_start = usize::try_from(file.data_start).unwrap_or(usize::MAX);
    let mut tensors = BTreeMap::new();
    let mut module_prefixes = 0;
    for (name, info) in file.tensors {
        let dtype = Dtype::from_safetensors(info.dtype).ok_or_else(|| {
            ConvertError::tensor(&name, format!("unsupported dtype {}", info.dtype))
        })?;
        let (start, end) = info.data_offsets;
        let at = |offset: usize| data_start.saturating_add(offset);
        let data = StorageBytes { data: Arc::clone(bytes), start: at(start), end: at(end) };
        let short = name.strip_prefix(MODULE_PREFIX).map(str::to_owned);
        module_prefixes += usize::from(short.is_some());
        let tensor = Tensor::new(dtype, info.shape, data);
        let key = short.unwrap_or_else(|| name.clone());
        if tensors.insert(key.clone(), tensor).is_some() {
            let second = quoted(&format!("{MODULE_PREFIX}{key}"));
            return Err(ConvertError::KeyCollision { first: quoted(&key), second });
        }
    }
    if tensors.is_empty() {
        return Err(ConvertError::NoStateDict { problem: "the file has no tensors".into() });
    }
    Ok(Checkpoint {
        tensors,
        format: CheckpointFormat::Safetensors,
        state_dict_path: Vec::new(),
        skipped: Vec::new(),
        module_prefixes,
    })
}
