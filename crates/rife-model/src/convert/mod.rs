//! From a PyTorch checkpoint to safetensors, bit by bit and without running what it says.
//!
//! [`convert_file`] reads what `torch.save` writes (the zip format and the one before PyTorch
//! 1.6, told apart by content), and writes every tensor with its name, dtype, shape and bytes
//! unchanged, but for a leading `module.` of a name. The pickle inside is interpreted by a small
//! machine that knows the few globals of a state dict and refuses all others.
//!
//! A checkpoint is untrusted input. Whatever its bytes, reading it ends in a [`Checkpoint`] or in
//! a one-line [`ConvertError`], within memory that [`Limits`] bound by the file's real length.

mod archive;
mod cursor;
mod digest;
mod dtype;
mod error;
mod globals;
mod legacy;
mod opcode;
mod pickle;
mod reduce;
mod sniff;
mod state_dict;
mod tensors;
mod value;
mod write;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use self::digest::{
    file_sha256, tensors_sha256, tensors_sha256_of_safetensors, tensors_sha256_of_safetensors_bytes,
};
pub(crate) use self::digest::{shapes_of_safetensors, source_sha256_of};
pub use self::dtype::Dtype;
pub use self::error::ConvertError;
pub use self::tensors::Tensor;
use self::tensors::{Builder, StorageSource};
use self::value::Parsed;
use crate::{ModelSpec, ModelVersion};

/// The one key of the output's `__metadata__`; its value is a JSON text, see [`convert_file`].
pub const METADATA_KEY: &str = "rife_convert";

/// How much a file may ask for. The defaults suit any honest checkpoint.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest file in bytes. Default: 8 GiB.
    pub max_file_bytes: u64,
    /// Longest pickle stream in bytes. Default: 64 MiB. An unpacked stream may also be at most
    /// four times the file and 256 KiB.
    pub max_pickle_bytes: u64,
    /// Most opcodes of a pickle stream. Default: 4 Mi; a tensor takes about 40. It may also be at
    /// most one for each byte of the file and 64 Ki. An opcode costs less than 160 bytes of memory.
    pub max_opcodes: u64,
    /// What a file's entries may unpack to, and what its tensors may expand to (zero strides and
    /// shared storages are written out), as a multiple of the file's length. Default: 8.
    pub max_expansion: u64,
    /// Bytes that are allowed on top of `max_expansion` for either. Default: 16 MiB.
    pub expansion_floor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 8 << 30,
            max_pickle_bytes: 64 << 20,
            max_opcodes: 4 << 20,
            max_expansion: 8,
            expansion_floor: 16 << 20,
        }
    }
}

impl Limits {
    /// Most bytes that a file of `len` bytes may unpack or expand to.
    fn expanded(&self, len: u64) -> u64 {
        len.saturating_mul(self.max_expansion).saturating_add(self.expansion_floor)
    }

    /// Longest pickle stream of a file of `len` bytes.
    fn pickle_bytes(&self, len: u64) -> u64 {
        self.max_pickle_bytes.min(len.saturating_mul(4).saturating_add(256 << 10))
    }

    /// The same limits with those that depend on the file's length worked out.
    fn for_file(&self, len: u64) -> Self {
        let max_opcodes = self.max_opcodes.min(len.saturating_add(64 << 10));
        Self { max_opcodes, ..self.clone() }
    }
}

/// How to convert.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Whether an existing output is replaced.
    pub overwrite: bool,
    /// How much the input may ask for.
    pub limits: Limits,
    /// The model that the checkpoint must be of, where only one will do.
    pub expect: Option<ModelVersion>,
}

/// The container that a checkpoint came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceFormat {
    /// The zip archive of PyTorch 1.6 and later.
    Zip,
    /// The row of pickles of earlier versions.
    Legacy,
}

/// A value that lies beside the tensors and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its key, escaped and shortened, after the keys of the dicts it lies in.
    pub key: String,
    /// What it is, such as `an int`.
    pub kind: &'static str,
}

/// The tensors of a checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
    format: SourceFormat,
    state_dict_path: Vec<String>,
    skipped: Vec<Skipped>,
    module_prefixes: usize,
}

impl Checkpoint {
    /// Names and tensors, in the order of the names' bytes.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// How many tensors there are; at least one.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there are none, which reading a checkpoint never ends in.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The container.
    pub fn format(&self) -> SourceFormat {
        self.format
    }

    /// Keys that lead to the state dict, outermost first, escaped; empty where the pickled object
    /// is the state dict. Of several candidates the first of `state_dict`, `model_state_dict`,
    /// `params_ema`, `params`, `model`, `net`, `network` and `flownet` is taken, else the object
    /// itself if it holds tensors, else its only value that does.
    pub fn state_dict_path(&self) -> &[String] {
        &self.state_dict_path
    }

    /// What was left out: values that are no tensors, and what lies beside the state dict. At
    /// most 1000 are named.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many names have lost the prefix `module.`.
    pub fn module_prefixes(&self) -> usize {
        self.module_prefixes
    }

    /// The models whose inference tensors are all there. 4.25 and 4.26 share one architecture, so
    /// both are named for either.
    pub fn models(&self) -> Vec<ModelVersion> {
        ModelSpec::recognise(|name| self.get(name).map(Tensor::shape))
    }
}

/// What [`convert_file`] did.
#[derive(Clone, Debug)]
pub struct ConvertReport {
    /// The source's file name, without its folder.
    pub source: String,
    /// SHA-256 of the source file, in hexadecimal.
    pub source_sha256: String,
    /// The source's container.
    pub format: SourceFormat,
    /// How many tensors were written.
    pub tensors: usize,
    /// [`tensors_sha256`] of what was written.
    pub tensors_sha256: String,
    /// Size of the output in bytes.
    pub output_bytes: u64,
    /// The models that the tensors' names and shapes fit.
    pub models: Vec<ModelVersion>,
    /// How many names have lost the prefix `module.`.
    pub module_prefixes: usize,
    /// See [`Checkpoint::state_dict_path`].
    pub state_dict_path: Vec<String>,
    /// See [`Checkpoint::skipped`].
    pub skipped: Vec<Skipped>,
}

/// The metadata text; its keys are written in this order.
#[derive(Serialize)]
struct Origin<'a> {
    tool: &'static str,
    format: &'static str,
    source: &'a str,
    source_sha256: &'a str,
    source_format: SourceFormat,
    models: Vec<&'static str>,
    module_prefix_dropped: bool,
}

/// Reads a checkpoint.
///
/// # Errors
/// [`ConvertError`] where it cannot be read, is none, is damaged or asks for more than `limits`.
pub fn read_checkpoint(path: &Path, limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let mut file = File::open(path).map_err(ConvertError::io("open", path))?;
    read_file(&mut file, path, limits)
}

fn read_file(file: &mut File, path: &Path, limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let metadata = file.metadata().map_err(ConvertError::io("read", path))?;
    if !metadata.is_file() {
        let found = "it is no regular file".to_owned();
        return Err(ConvertError::NotACheckpoint { found }.in_file(path));
    }
    let read_error = ConvertError::io("read", path);
    let mut head = Vec::new();
    let head_read = file.rewind().and_then(|()| {
        (&mut *file).take(sniff::HEAD as u64).read_to_end(&mut head)?;
        file.rewind()
    });
    head_read.map_err(read_error)?;
    let len = metadata.len();
    let result = match checked_kind(&head, len, limits) {
        Ok(sniff::Kind::Legacy) => whole_file(file, len)
            .map_err(|e| ConvertError::io("read", path)(e))
            .and_then(|bytes| read_legacy(&bytes, limits)),
        Ok(_) => read_zip(file, len, limits),
        Err(error) => Err(error),
    };
    result.map_err(|e| e.in_file(path))
}

/// Reads a checkpoint that lies in memory.
///
/// # Errors
/// [`ConvertError`] where it is no checkpoint, is damaged or asks for more than `limits`.
pub fn read_checkpoint_bytes(bytes: &[u8], limits: &Limits) -> Result<Checkpoint, ConvertError> {
    let len = bytes.len() as u64;
    let head = bytes.get(..sniff::HEAD).unwrap_or(bytes);
    match checked_kind(head, len, limits)? {
        sniff::Kind::Legacy => read_legacy(&Arc::new(bytes.to_vec()), limits),
        _ => read_zip(std::io::Cursor::new(bytes), len, limits),
    }
}

/// The container of a file that is neither empty nor too large.
fn checked_kind(head: &[u8], len: u64, limits: &Limits) -> Result<sniff::Kind, ConvertError> {
    if len == 0 {
        return Err(ConvertError::NotACheckpoint { found: "the file is empty".to_owned() });
    }
    let limit = limits.max_file_bytes;
    if len > limit {
        return Err(ConvertError::TooLarge { what: "the file".to_owned(), got: len, limit });
    }
    match sniff::kind(head, len) {
        sniff::Kind::Other(found) => Err(ConvertError::NotACheckpoint { found: found.to_owned() }),
        kind => Ok(kind),
    }
}

/// A file of `len` bytes, and not more of it should it grow.
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
    build(&legacy.object, legacy.storages, limit, SourceFormat::Legacy)
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
            problem: format!("{} bytes follow the pickle", stream.len().saturating_sub(parsed.end)),
        });
    }
    build(&parsed, archive, limits.expanded(len), SourceFormat::Zip)
}

fn build(
    parsed: &Parsed<'_>,
    source: impl StorageSource,
    limit: u64,
    format: SourceFormat,
) -> Result<Checkpoint, ConvertError> {
    let found = state_dict::find(parsed)?;
    let dims_left = parsed.stream.len();
    let mut builder = Builder { parsed, source, limit, used: 0, dims_left };
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
/// Every tensor keeps its name (but for a leading `module.`), dtype, shape and bytes. The output
/// is written under a temporary name in its folder, synced, read back, compared with the source
/// tensor by tensor, and only then renamed; after an error neither is left. The same input always
/// gives the same bytes: the only metadata is a JSON text under [`METADATA_KEY`] that names this
/// tool, the source file and its SHA-256, its container, the models that fit, and whether
/// `module.` was dropped.
///
/// # Errors
/// [`ConvertError`]; also where `output` exists and `options.overwrite` is not set, and where it
/// is `input`.
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
            [] => "of no version that is known here".to_owned(),
            _ => format!(
                "they are those of {}",
                models.iter().map(|m| m.as_str()).collect::<Vec<_>>().join(" or ")
            ),
        };
        return Err(ConvertError::OtherModel { expected, found }.in_file(input));
    }
    let origin = Origin {
        tool: concat!("rife-model ", env!("CARGO_PKG_VERSION")),
        format: "1",
        source: &source,
        source_sha256: &source_sha256,
        source_format: checkpoint.format(),
        models: models.iter().map(|m| m.as_str()).collect(),
        module_prefix_dropped: checkpoint.module_prefixes() > 0,
    };
    let origin = serde_json::to_string(&origin)
        .map_err(|e| ConvertError::Safetensors { problem: error::shown(&e.to_string()) })?;
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
