//! Converts PyTorch checkpoints to safetensors, bit for bit and without executing any code in them.
//!
//! [`convert_file`] reads both formats of `torch.save` (the zip format, and the legacy format
//! before PyTorch 1.6; the content decides which). It writes every tensor with its name, dtype,
//! shape and bytes unchanged, except that a leading `module.` is removed from names. A small
//! interpreter reads the pickle: it knows the few globals that a state dict needs and refuses all
//! others.
//!
//! A checkpoint is untrusted input. For any bytes the result is a [`Checkpoint`] or a one-line
//! [`ConvertError`], and memory is bounded by [`Limits`] and the length of the file.

mod archive;
mod cursor;
mod digest;
mod dtype;
mod error;
mod globals;
mod legacy;
mod limits;
mod names;
mod opcode;
mod pickle;
mod reduce;
mod sniff;
mod st_checkpoint;
mod state_dict;
mod tensors;
mod value;
mod weights_file;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub(crate) use self::digest::{RecordedOrigin, origin_of, shapes_of_safetensors};
pub use self::digest::{
    file_sha256, tensors_sha256, tensors_sha256_of_safetensors, tensors_sha256_of_safetensors_bytes,
};
pub use self::dtype::Dtype;
pub use self::error::ConvertError;
pub use self::limits::Limits;
pub(crate) use self::names::{Naming, Recognised, recognise};
pub use self::tensors::Tensor;
use self::tensors::{StorageLoader, TensorBuilder};
use self::value::Parsed;
pub(crate) use self::weights_file::{Selected, WeightsFile, read_weights};
pub(crate) use self::write::is_temporary;
use crate::{ModelSpec, ModelVersion};

/// The only key in the output's `__metadata__`. Its value is JSON text, see [`convert_file`].
pub const METADATA_KEY: &str = "rife_convert";

/// Options of [`convert_file`].
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Replace an existing output.
    pub overwrite: bool,
    /// Limits on the input.
    pub limits: Limits,
    /// The model that the checkpoint must belong to; `None` accepts any.
    pub expect: Option<ModelVersion>,
}

/// The container format of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CheckpointFormat {
    /// The zip archive of PyTorch 1.6 and later.
    Zip,
    /// The sequence of pickles of earlier versions.
    Legacy,
    /// A safetensors file.
    Safetensors,
}

/// A value in the checkpoint that is not part of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its key, after the keys of the dicts around it; escaped and shortened.
    pub key: String,
    /// Its type, such as `an int`.
    pub kind: &'static str,
}

/// The tensors of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
    format: CheckpointFormat,
    state_dict_path: Vec<String>,
    skipped: Vec<Skipped>,
    module_prefixes: usize,
}

impl Checkpoint {
    /// Names and tensors, sorted by the bytes of the names.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The number of tensors, at least one.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are no tensors. Reading a checkpoint never returns such a value.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The container format.
    pub fn format(&self) -> CheckpointFormat {
        self.format
    }

    /// The keys that lead to the state dict, outermost first, escaped. Empty when the pickled object
    /// is the state dict. Of several candidates, the first of `state_dict_ema`, `state_dict`,
    /// `model_state_dict`, `params_ema`, `params`, `model_ema`, `g_ema`, `ema`, `model`, `net`,
    /// `network` and `flownet` is used; else the object itself if it contains tensors; else the only
    /// value that contains tensors. Dicts with a tensor whose name ends in `.weight` are preferred to others, such
    /// as the state of an optimizer.
    pub fn state_dict_path(&self) -> &[String] {
        &self.state_dict_path
    }

    /// The values that are not part of the result: values that are not tensors, and everything
    /// outside the state dict. At most 1000 are listed.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many names had the prefix `module.`, which is removed.
    pub fn module_prefixes(&self) -> usize {
        self.module_prefixes
    }

    /// The models whose inference tensors are all present. 4.25 and 4.26 have the same
    /// architecture, so a checkpoint of either matches both.
    pub fn models(&self) -> Vec<ModelVersion> {
        ModelSpec::recognise(|name| self.get(name).map(Tensor::shape))
    }
}

/// The result of [`convert_file`].
#[derive(Clone, Debug)]
pub struct ConvertReport {
    /// The source's file name, without its folder.
    pub source: String,
    /// SHA-256 of the source file in hexadecimal.
    pub source_sha256: String,
    /// The source's container format.
    pub format: CheckpointFormat,
    /// The number of written tensors.
    pub tensors: usize,
    /// [`tensors_sha256`] of the written tensors.
    pub tensors_sha256: String,
    /// Size of the output in bytes.
    pub output_bytes: u64,
    /// The models that the names and shapes of the tensors match.
    pub models: Vec<ModelVersion>,
    /// How many names had the prefix `module.`, which is removed.
    pub module_prefixes: usize,
    /// See [`Checkpoint::state_dict_path`].
    pub state_dict_path: Vec<String>,
    /// See [`Checkpoint::skipped`].
    pub skipped: Vec<Skipped>,
}

/// The metadata, serialized as JSON in this order of keys.
#[derive(Serialize)]
struct Origin<'a> {
    tool: &'static str,
    format: &'static str,
    source: &'a str,
    source_sha256: &'a str,
    source_format: CheckpointFormat,
    models: Vec<&'static str>,
    module_prefix_dropped: bool,
    tensors_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_as: Option<&'static str>,
}

impl<'a> Origin<'a> {
    fn new(checkpoint: &Checkpoint, source: &'a str, source_sha256: &'a str) -> Self {
        Self {
            tool: concat!("rife-model ", env!("CARGO_PKG_VERSION")),
            format: "1",
            source,
            source_sha256,
            source_format: checkpoint.format(),
            models: checkpoint.models().iter().map(|m| m.as_str()).collect(),
            module_prefix_dropped: checkpoint.module_prefixes() > 0,
            tensors_sha256: tensors_sha256(checkpoint),
            imported_as: None,
        }
    }

    fn to_json(&self) -> Result<String, ConvertError> {
        serde_json::to_string(self)
            .map_err(|e| ConvertError::Safetensors { problem: error::shown(&e.to_string()) })
    }
}

/// Reads a checkpoint.
///
/// # Errors
/// [`ConvertError`] when the file cannot be read, is not a checkpoint, is damaged or exceeds
/// `limits`.
pub fn read_checkpoint(path: &Path, limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let mut file = File::open(path).map_err(ConvertError::io("open", path))?;
    read_file(&mut file, path, limits)
}

fn read_file(file: &mut File, path: &Path, limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let metadata = file.metadata().map_err(ConvertError::io("read", path))?;
    if !metadata.is_file() {
        let found = "it is not a regular file".to_owned();
        return Err(ConvertError::NotACheckpoint { found }.in_file("read", path));
    }
    let read_error = ConvertError::io("read", path);
    let mut head = Vec::new();
    let head_read = file.rewind().and_then(|()| {
        (&mut *file).take(sniff::HEAD as u64).read_to_end(&mut head)?;
        file.rewind()
    });
    head_read.map_err(read_error)?;
    let len = metadata.len();
    let result = match checked_format(&head, len, limits) {
        Ok(sniff::Detected::Legacy) => whole_file(file, len)
            .map_err(|e| ConvertError::io("read", path)(e))
            .and_then(|bytes| read_legacy(&bytes, limits)),
        Ok(_) => read_zip(file, len, limits),
        Err(error) => Err(error),
    };
    result.map_err(|e| e.in_file("read", path))
}

/// Reads a checkpoint from memory.
///
/// # Errors
/// [`ConvertError`] when the bytes are not a checkpoint, are damaged or exceed `limits`.
pub fn read_checkpoint_bytes(bytes: &[u8], limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let len = bytes.len() as u64;
    let head = bytes.get(..sniff::HEAD).unwrap_or(bytes);
    match checked_format(head, len, limits)? {
        sniff::Detected::Legacy => read_legacy(&Arc::new(bytes.to_vec()), limits),
        _ => read_zip(std::io::Cursor::new(bytes), len, limits),
    }
}

/// The format of a file; fails when the file is empty, too large or not a checkpoint.
fn checked_format(head: &[u8], len: u64, limits: &Limits) -> Result<sniff::Detected, ConvertError> {
    if len == 0 {
        return Err(ConvertError::NotACheckpoint { found: "the file is empty".to_owned() });
    }
    let limit = limits.max_file_bytes;
    if len > limit {
        return Err(ConvertError::TooLarge { what: "the file".to_owned(), got: len, limit });
    }
    match sniff::detect(head, len) {
        sniff::Detected::Other(found) => {
            Err(ConvertError::NotACheckpoint { found: found.to_owned() })
        }
        detected => Ok(detected),
    }
}

/// The first `len` bytes of a file, which may grow in the meantime.
fn whole_file(file: &mut File, len: u64) -> std::io::Result<Arc<Vec<u8>>> {
    let mut bytes = Vec::new();
    let capacity = usize::try_from(len).map_err(std::io::Error::other)?;
    bytes.try_reserve_exact(capacity).map_err(std::io::Error::other)?;
    file.take(len).read_to_end(&mut bytes)?;
    Ok(Arc::new(bytes))
}

fn read_legacy(bytes: &Arc<Vec<u8>>, limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let legacy = legacy::parse(bytes, limits)?;
    let limit = limits.expanded(bytes.len() as u64);
    build(&legacy.object, legacy.storages, limit, CheckpointFormat::Legacy)
}

fn read_zip<R: Read + Seek>(
    reader: R,
    len: u64,
    limits: &Limits,
) -> Result<Checkpoint, ConvertError> {
    let mut archive = archive::Archive::open(reader, len, limits)?;
    let (stream, name) = archive.read_pickle(limits)?;
    let parsed = pickle::parse(&stream, 0, &name, &limits.for_file(len))?;
    if parsed.end != stream.len() {
        return Err(ConvertError::Pickle {
            stream: name.clone(),
            offset: parsed.end as u64,
            problem: format!(
                "{} unexpected bytes after the pickle",
                stream.len().saturating_sub(parsed.end)
            ),
        });
    }
    build(&parsed, archive, limits.expanded(len), CheckpointFormat::Zip)
}

fn build(
    parsed: &Parsed<'_>,
    storages: impl StorageLoader,
    limit: u64,
    format: CheckpointFormat,
) -> Result<Checkpoint, ConvertError> {
    let found = state_dict::find(parsed)?;
    let dims_left = parsed.stream.len();
    let mut builder = TensorBuilder { parsed, storages, limit, used: 0, dims_left };
    let mut tensors = BTreeMap::new();
    for (name, tensor) in found.tensors {
        tensors.insert(name.to_owned(), builder.build(name, tensor)?);
    }
    Ok(Checkpoint {
        tensors,
        format,
        state_dict_path: found.path,
        skipped: found.skipped,
        module_prefixes: found.module_prefixes,
    })
}

/// Converts the checkpoint `input` to the safetensors file `output`.
///
/// Every tensor keeps its name (without a leading `module.`), dtype, shape and bytes. The output is
/// written under a temporary name in its folder, synced, read back and compared with the source
/// tensor by tensor, and only then renamed. After an error no file is left. The same input always
/// gives the same bytes: the only metadata is JSON text under [`METADATA_KEY`] with the name of
/// this tool, the name and SHA-256 of the source file, its format, the matching models, whether
/// `module.` was removed, and [`tensors_sha256`].
///
/// # Errors
/// [`ConvertError`]; among others when `output` exists and `options.overwrite` is not set
/// ([`ConvertError::OutputExists`]), and when both paths are the same file
/// ([`ConvertError::SameFile`]).
pub fn convert_file(
    input: &Path,
    output: &Path,
    options: &ConvertOptions,
) -> Result<ConvertReport, ConvertError> {
    write::check_output(input, output, options.overwrite)?;
    let mut file = File::open(input).map_err(ConvertError::io("open", input))?;
    let checkpoint = read_file(&mut file, input, &options.limits)?;
    let rewound = file.rewind().and_then(|()| digest::reader_sha256(&mut file));
    let source_sha256 = rewound.map_err(ConvertError::io("read", input))?;
    let source = input.file_name().unwrap_or_default().to_string_lossy().into_owned();

    let models = checkpoint.models();
    if let Some(expected) = options.expect
        && !models.contains(&expected)
    {
        let found = match models.as_slice() {
            [] => "the tensors match no known version".to_owned(),
            _ => format!(
                "the tensors match {}",
                models.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(" or ")
            ),
        };
        return Err(ConvertError::OtherModel { expected, found }.in_file("convert", input));
    }
    let origin = Origin::new(&checkpoint, &source, &source_sha256).to_json()?;
    let output_bytes = write::write(&checkpoint, origin, output, options.overwrite)?;
    Ok(ConvertReport {
        source,
        source_sha256,
        format: checkpoint.format(),
        tensors: checkpoint.len(),
        tensors_sha256: tensors_sha256(&checkpoint),
        output_bytes,
        models,
        module_prefixes: checkpoint.module_prefixes,
        state_dict_path: checkpoint.state_dict_path,
        skipped: checkpoint.skipped,
    })
}
