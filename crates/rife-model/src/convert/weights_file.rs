//! Weights files of any format, and the tensors of a network in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use super::{
    Checkpoint, ConvertError, Limits, Origin, Recognised, RecordedOrigin, digest, origin_of,
    read_file, sniff, st_checkpoint, whole_file, write,
};
use crate::ModelVersion;

/// Reads a checkpoint or a safetensors file, and its SHA-256.
///
/// # Errors
/// As [`read_checkpoint`].
pub(crate) fn read_weights(path: &Path, limits: &Limits) -> Result<WeightsFile, ConvertError> {
    // Opening a pipe waits for a writer.
    let metadata = std::fs::metadata(path).map_err(ConvertError::io("open", path))?;
    if !metadata.is_file() {
        let found = "it is not a regular file".to_owned();
        return Err(ConvertError::NotACheckpoint { found }.in_file("read", path));
    }
    let mut file = File::open(path).map_err(ConvertError::io("open", path))?;
    let mut head = Vec::new();
    let len = metadata.len();
    let read = (&mut file).take(sniff::HEAD as u64).read_to_end(&mut head);
    read.and_then(|_| file.rewind()).map_err(ConvertError::io("read", path))?;
    let (checkpoint, origin) = if sniff::is_safetensors(&head, len) && len <= limits.max_file_bytes
    {
        let bytes = whole_file(&mut file, len).map_err(ConvertError::io("read", path))?;
        let checkpoint = st_checkpoint::read(&bytes).map_err(|e| e.in_file("read", path))?;
        (checkpoint, origin_of(path)?)
    } else {
        (read_file(&mut file, path, limits)?, RecordedOrigin::default())
    };
    let rewound = file.rewind().and_then(|()| digest::reader_sha256(&mut file));
    let sha256 = rewound.map_err(ConvertError::io("read", path))?;
    Ok(WeightsFile { checkpoint, sha256, origin })
}

/// A checkpoint or a safetensors file.
pub(crate) struct WeightsFile {
    pub(crate) checkpoint: Checkpoint,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
    /// What the metadata of a file that this crate wrote records.
    pub(crate) origin: RecordedOrigin,
}

/// A network's tensors as a safetensors file with the published names, and how many tensors of the
/// checkpoint it does not contain.
pub(crate) struct Selected {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) left_out: usize,
}

impl Selected {
    /// Takes the tensors of a recognised network.
    pub(crate) fn new(from: Checkpoint, recognised: &Recognised) -> Self {
        let tensors: BTreeMap<_, _> = recognised
            .names
            .iter()
            .filter_map(|(published, name)| Some((published.clone(), from.get(name)?.clone())))
            .collect();
        let left_out = from.len() - tensors.len();
        Self { checkpoint: Checkpoint { tensors, ..from }, left_out }
    }

    /// The first tensor that cannot be used by a network, and why.
    pub(crate) fn unusable(&self, needed: impl Fn(&str) -> bool) -> Option<(&str, String)> {
        self.checkpoint.tensors().filter(|(name, _)| needed(name)).find_map(|(name, tensor)| {
            let problem = match tensor.all_finite() {
                None => format!(
                    "its dtype is {}, expected F16, BF16, F32 or F64",
                    tensor.dtype().name()
                ),
                Some(false) => "it has values that are infinite or NaN".to_owned(),
                Some(true) => return None,
            };
            Some((name, problem))
        })
    }

    /// The safetensors file in memory. Its metadata names the source.
    pub(crate) fn to_safetensors(
        &self,
        source: &str,
        source_sha256: &str,
    ) -> Result<Vec<u8>, ConvertError> {
        let origin = Origin::new(&self.checkpoint, source, source_sha256).to_json()?;
        write::to_vec(&self.checkpoint, origin)
    }

    /// Writes it to a file, as [`convert_file`] does, and records that it was imported.
    pub(crate) fn import(
        &self,
        source: &str,
        source_sha256: &str,
        version: ModelVersion,
        output: &Path,
    ) -> Result<(), ConvertError> {
        let origin = Origin::new(&self.checkpoint, source, source_sha256);
        let origin = Origin { imported_as: Some(version.as_str()), ..origin }.to_json()?;
        write::write(&self.checkpoint, origin, output, true).map(drop)
    }
}
