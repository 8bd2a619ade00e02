//! The zip archive that `torch.save` writes since PyTorch 1.6: `NAME/data.pkl`, the storages as
//! `NAME/data/KEY`, and small records.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::Limits;
use super::error::{ConvertError, quoted, shown, shown_bytes};
use super::tensors::{ByteOrder, StorageBytes, StorageLoader};

/// Newest archive version that PyTorch reads (`kMaxSupportedFileFormatVersion`).
const MAX_VERSION: u32 = 10;
/// Longest `version` or `byteorder` record in bytes.
const MAX_RECORD: u64 = 64;
/// Bytes that opening may read in addition to eight times the length of the file. The search for
/// the end record seeks back and forth, and a hostile file must not prolong it.
const OPEN_SLACK: u64 = 1 << 20;

/// A checkpoint's zip archive.
pub(super) struct Archive<R> {
    zip: ZipArchive<BufReader<Metered<R>>>,
    /// Everything before `data.pkl`, including the slash.
    prefix: Vec<u8>,
    byte_order: ByteOrder,
    /// Bytes that entries may still unpack to.
    budget: Budget,
    loaded: HashMap<Vec<u8>, StorageBytes>,
    file_len: u64,
}

#[derive(Clone, Copy)]
struct Budget {
    limit: u64,
    left: u64,
}

impl<R: Read + Seek> Archive<R> {
    /// Opens an archive of `len` bytes: reads its directory and the small records.
    pub(super) fn open(reader: R, len: u64, limits: &Limits) -> Result<Self, ConvertError> {
        let allowance = Rc::new(Cell::new(len.saturating_mul(8).saturating_add(OPEN_SLACK)));
        let metered = Metered { inner: reader, allowance: Rc::clone(&allowance) };
        // torch.save writes nothing before the archive, so offsets count from the start of the
        // file. Detecting the offset fails on torch's zip64 record (76 bytes) when the first
        // directory header has the same length, that is with an archive name of 21 characters.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(metered))
            .map_err(|e| broken("directory", &e))?;
        allowance.set(u64::MAX);
        if zip.has_duplicate_names() {
            return Err(problem("directory", "two entries have the same name"));
        }
        let prefix = find_prefix(&zip)?;
        let limit = limits.expanded(len);
        let budget = Budget { limit, left: limit };
        let mut archive = Self {
            zip,
            prefix,
            byte_order: ByteOrder::Little,
            budget,
            loaded: HashMap::new(),
            file_len: len,
        };
        archive.check_version()?;
        archive.byte_order = archive.read_byte_order()?;
        Ok(archive)
    }

    /// The pickle stream and the name of its entry.
    pub(super) fn read_pickle(
        &mut self,
        limits: &Limits,
    ) -> Result<(Vec<u8>, String), ConvertError> {
        let name = self.path(b"data.pkl");
        let shown = shown_bytes(&name);
        let limit = limits.pickle_bytes(self.file_len);
        let bytes = self.read_entry(&name, limit)?;
        let bytes = bytes.ok_or_else(|| problem(&shown, "missing"))?;
        Ok((bytes, shown))
    }

    fn path(&self, record: &[u8]) -> Vec<u8> {
        [&self.prefix, record].concat()
    }

    fn check_version(&mut self) -> Result<(), ConvertError> {
        let path = self.path(b"version");
        let Some(text) = self.read_entry(&path, MAX_RECORD)? else { return Ok(()) };
        let version = std::str::from_utf8(&text).ok().and_then(|t| t.trim().parse::<u32>().ok());
        match version {
            Some(1..=MAX_VERSION) => Ok(()),
            _ => Err(problem(
                &shown_bytes(&path),
                format!("expected a version from 1 to {MAX_VERSION}, got {}", show_record(&text)),
            )),
        }
    }

    fn read_byte_order(&mut self) -> Result<ByteOrder, ConvertError> {
        let path = self.path(b"byteorder");
        match self.read_entry(&path, MAX_RECORD)?.as_deref() {
            // PyTorch before 2.1 writes no such record; these files are little-endian.
            None | Some(b"little") => Ok(ByteOrder::Little),
            Some(b"big") => Ok(ByteOrder::Big),
            Some(other) => Err(problem(
                &shown_bytes(&path),
                format!("expected little or big, got {}", show_record(other)),
            )),
        }
    }

    /// An entry of at most `limit` bytes, or `None` when the archive has no entry of this name.
    fn read_entry(&mut self, name: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ConvertError> {
        let Some(index) = self.zip.index_for_name_raw(name) else { return Ok(None) };
        let shown = shown_bytes(name);
        let mut entry = self.zip.by_index(index).map_err(|e| broken(&shown, &e))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        match entry.compression() {
            CompressionMethod::Stored if size != packed => {
                return Err(problem(
                    &shown,
                    format!("stored, but declares {packed} packed and {size} unpacked bytes"),
                ));
            }
            CompressionMethod::Stored | CompressionMethod::Deflated => {}
            other => {
                let other = shown_method(other);
                return Err(problem(
                    &shown,
                    format!("unsupported compression {other}: expected stored or deflated"),
                ));
            }
        }
        if packed > self.file_len {
            return Err(problem(
                &shown,
                format!("declares {packed} bytes in a file of {} bytes", self.file_len),
            ));
        }
        if size > limit {
            return Err(ConvertError::TooLarge { what: shown, got: size, limit });
        }
        let Some(left) = self.budget.left.checked_sub(size) else {
            let Budget { limit, left } = self.budget;
            let got = limit.saturating_sub(left).saturating_add(size);
            return Err(ConvertError::TooLarge { what: format!("{shown} (unpacked)"), got, limit });
        };
        self.budget.left = left;
        // Deflate expands one byte to at most 1032 bytes, so do not reserve more than that.
        let reserve = size.min(packed.saturating_mul(1032).saturating_add(64));
        let mut bytes = Vec::new();
        reserve_exact(&mut bytes, reserve, &shown)?;
        entry
            .by_ref()
            .take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| problem(&shown, show_io(&e)))?;
        if bytes.len() as u64 != size {
            let got = bytes.len() as u64;
            let more = if got > size { "more than" } else { "only" };
            let got = got.min(size);
            return Err(problem(
                &shown,
                format!("declares {size} bytes but contains {more} {got}"),
            ));
        }
        Ok(Some(bytes))
    }
}

impl<R: Read + Seek> StorageLoader for Archive<R> {
    fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    fn load(&mut self, key: &[u8]) -> Result<Option<StorageBytes>, ConvertError> {
        if let Some(bytes) = self.loaded.get(key) {
            return Ok(Some(bytes.clone()));
        }
        let name = self.path(&[b"data/", key].concat());
        let Some(bytes) = self.read_entry(&name, u64::MAX)? else { return Ok(None) };
        let bytes = StorageBytes::whole(Arc::new(bytes));
        self.loaded.insert(key.to_vec(), bytes.clone());
        Ok(Some(bytes))
    }
}

/// The folder of the only `data.pkl`, which is the folder of all other entries.
fn find_prefix<R: Read + Seek>(zip: &ZipArchive<R>) -> Result<Vec<u8>, ConvertError> {
    let mut found: Option<&[u8]> = None;
    let mut torch_script = false;
    for name in zip.file_names_raw() {
        torch_script |= name.ends_with(b"/constants.pkl");
        let Some(prefix) = name.strip_suffix(b"data.pkl") else { continue };
        if !(prefix.is_empty() || prefix.ends_with(b"/")) {
            continue;
        }
        if let Some(first) = found {
            let (first, second) = (shown_bytes(first), shown_bytes(prefix));
            return Err(problem(
                "directory",
                format!("data.pkl exists in {first} and in {second}"),
            ));
        }
        found = Some(prefix);
    }
    match found {
        Some(_) if torch_script => Err(ConvertError::NotACheckpoint {
            found: "it looks like a TorchScript archive; save the module's state_dict instead"
                .to_owned(),
        }),
        Some(prefix) => Ok(prefix.to_vec()),
        None => {
            let first = zip.file_names_raw().next().map_or_else(String::new, |name| {
                format!(", the first is {}", quoted(&shown_bytes(name)))
            });
            Err(ConvertError::NotACheckpoint {
                found: format!("a zip archive without data.pkl ({} entries{first})", zip.len()),
            })
        }
    }
}

/// Reserves memory for `len` bytes, which the caller has checked against a limit.
fn reserve_exact(bytes: &mut Vec<u8>, len: u64, what: &str) -> Result<(), ConvertError> {
    let fits = usize::try_from(len).is_ok_and(|len| bytes.try_reserve_exact(len).is_ok());
    if fits { Ok(()) } else { Err(problem(what, format!("out of memory allocating {len} bytes"))) }
}

fn problem(entry: &str, problem: impl Into<String>) -> ConvertError {
    ConvertError::Archive { entry: entry.to_owned(), problem: problem.into() }
}

fn broken(entry: &str, error: &zip::result::ZipError) -> ConvertError {
    problem(entry, shown(&error.to_string()))
}

fn show_io(error: &io::Error) -> String {
    shown(&error.to_string())
}

fn show_record(bytes: &[u8]) -> String {
    quoted(&String::from_utf8_lossy(bytes))
}

fn shown_method(method: CompressionMethod) -> String {
    shown(&format!("{method:?}"))
}

/// A reader that fails after more bytes than its allowance.
struct Metered<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        let left = self.allowance.get().checked_sub(read as u64);
        self.allowance.set(left.ok_or_else(|| io::Error::other("the directory is too complex"))?);
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
