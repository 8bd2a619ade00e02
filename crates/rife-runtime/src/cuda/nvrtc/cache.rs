//! A cache of compiled kernels on disk. A folder that is missing or not writable is not an error:
//! the kernels are compiled again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use super::private::{self, PREFIX};

/// The environment variable that sets the cache folder.
pub(super) const ENV: &str = "RIFE_CACHE_DIR";

/// The size that the folder is trimmed to, in bytes.
const LIMIT: u64 = 512 << 20;

/// The first bytes of a file. They change with the format.
const MAGIC: &[u8; 8] = b"RIFEcub1";

/// Bytes of the header: the magic, the length of the cubin, and its SHA-256.
const HEADER: usize = MAGIC.len() + 8 + 32;

/// The folder `name` in `RIFE_CACHE_DIR` if that is set, else in the folder `rife` of the user's
/// cache folder. `None` if the user has no home folder.
pub(crate) fn cache_folder(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os(ENV).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let user = || Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("rife"));
    Some(named.or_else(user)?.join(name))
}

/// A folder of compiled kernels.
pub(super) struct Cache {
    dir: PathBuf,
    limit: u64,
}

/// The file name of a kernel: the SHA-256 of its source and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// Hashes parts with their lengths, so that moving a boundary changes the key.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Cache {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir, limit: LIMIT }
    }

    /// Reads a kernel. `None` if there is no file, it is damaged, or another user could have
    /// written it.
    pub(super) fn read(&self, key: &Key) -> Option<Arc<[u8]>> {
        let path = self.dir.join(&key.0);
        match private::open(&path).and_then(|file| Ok(read_cubin(file)?)) {
            Ok(cubin) => Some(cubin.into()),
            Err(refused) => {
                private::report(&path, &refused);
                None
            }
        }
    }

    /// Writes a kernel, replacing any file of that key.
    pub(super) fn write(&self, key: &Key, cubin: &[u8]) {
        let path = self.dir.join(&key.0);
        let length = (cubin.len() as u64).to_le_bytes();
        let digest = Sha256::digest(cubin);
        if let Err(refused) = private::replace(&path, &[MAGIC, &length, &digest, cubin]) {
            private::report(&path, &refused);
        }
    }

    /// Deletes the oldest kernels until the folder is within its limit.
    pub(super) fn trim(&self) {
        if private::check_folder(&self.dir).is_err() {
            return;
        }
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter(|entry| is_cache_file(&entry.file_name().to_string_lossy()))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= self.limit {
                break;
            }
            match fs::remove_file(&path) {
                Ok(()) => total -= length,
                Err(error) => tracing::debug!("cannot delete {}: {error}", path.display()),
            }
        }
    }
}

/// Whether a name is a key or that of a temporary file, which remains if a program is killed while
/// writing.
fn is_cache_file(name: &str) -> bool {
    let is_key = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key || name.starts_with(PREFIX)
}

/// Reads the cubin of a file and checks it against the header.
fn read_cubin(mut file: File) -> io::Result<Vec<u8>> {
    let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut header = [0; HEADER];
    file.read_exact(&mut header)?;
    let (magic, rest) = header.split_at(MAGIC.len());
    let (length, digest) = rest.split_at(8);
    let length = u64::from_le_bytes(length.try_into().map_err(|_| bad("no length field"))?);
    if magic != MAGIC {
        return Err(bad("not a compiled kernel of this version"));
    }
    if length.checked_add(HEADER as u64) != Some(file.metadata()?.len()) {
        return Err(bad("the length does not match the header"));
    }
    let mut cubin = Vec::new();
    file.take(length).read_to_end(&mut cubin)?;
    if Sha256::digest(&cubin).as_slice() != digest {
        return Err(bad("the SHA-256 does not match the header"));
    }
    Ok(cubin)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn key(name: &str) -> Key {
        Key::of([name])
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn key_depends_on_where_parts_begin() {
        assert_eq!(key("ab"), key("ab"));
        assert_ne!(Key::of(["ab", "c"]), Key::of(["a", "bc"]));
        assert_ne!(Key::of(["ab"]), Key::of(["ab", ""]));
        assert!(is_cache_file(&key("ab").0));
    }

    #[test]
    fn written_kernels_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("a/new/folder"));
        assert_eq!(cache.read(&key("a")), None);
        cache.write(&key("a"), b"first");
        cache.write(&key("a"), b"second");
        cache.write(&key("b"), b"");
        assert_eq!(cache.read(&key("a")).as_deref(), Some(&b"second"[..]));
        assert_eq!(cache.read(&key("b")).as_deref(), Some(&b""[..]));
        assert_eq!(names(&cache.dir).len(), 2, "a temporary file is left");
    }

    #[test]
    fn damaged_file_is_ignored_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, key) = (Cache::at(dir.path().to_owned()), key("a"));
        let path = dir.path().join(&key.0);
        cache.write(&key, b"the kernel");
        let good = fs::read(&path).unwrap();
        let mut damaged: Vec<Vec<u8>> = vec![Vec::new(), b"something else".repeat(9)];
        damaged.extend((0..good.len()).map(|length| good[..length].to_vec()));
        damaged.extend((0..good.len()).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        }));
        damaged.push([&good[..], b"x"].concat());
        for bytes in damaged {
            fs::write(&path, &bytes).unwrap();
            assert_eq!(cache.read(&key), None, "{bytes:?}");
        }
        cache.write(&key, b"the kernel");
        assert_eq!(fs::read(&path).unwrap(), good);
    }

    #[test]
    #[cfg(unix)]
    fn kernel_writable_by_others_is_ignored() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (cache, key) = (Cache::at(dir.path().join("kernels")), key("a"));
        cache.write(&key, b"the kernel");
        let file = cache.dir.join(&key.0);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(&file, 0o666);
        assert_eq!(cache.read(&key), None);
        cache.write(&key, b"the kernel");
        assert_eq!(cache.read(&key).as_deref(), Some(&b"the kernel"[..]));
        // Others could put links into this folder, so nothing is written or deleted there either.
        set_mode(&cache.dir, 0o777);
        assert_eq!(cache.read(&key), None);
        cache.write(&key, b"another");
        Cache { dir: cache.dir.clone(), limit: 0 }.trim();
        set_mode(&cache.dir, 0o700);
        assert_eq!(cache.read(&key).as_deref(), Some(&b"the kernel"[..]));
    }

    #[test]
    fn folder_that_cannot_be_created_is_not_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        // No user can create a folder inside a file, not even root.
        let cache = Cache::at(file.join("kernels"));
        cache.write(&key("a"), b"kernel");
        cache.trim();
        assert_eq!(cache.read(&key("a")), None);
    }

    #[test]
    fn trim_deletes_the_oldest_kernels() {
        let dir = tempfile::tempdir().unwrap();
        let file_size = (HEADER + 100) as u64;
        let cache = Cache { dir: dir.path().to_owned(), limit: 2 * file_size };
        fs::write(dir.path().join("unrelated"), [0; 10_000]).unwrap();
        for (age, name) in ["new", "middle", "old", "oldest"].into_iter().enumerate() {
            cache.write(&key(name), &[1; 100]);
            let time = SystemTime::now() - Duration::from_secs(60 * age as u64);
            let file = File::options().write(true).open(dir.path().join(&key(name).0)).unwrap();
            file.set_modified(time).unwrap();
        }
        cache.trim();
        let mut expected = vec!["unrelated".to_owned(), key("new").0, key("middle").0];
        expected.sort();
        assert_eq!(names(dir.path()), expected);
    }
}
