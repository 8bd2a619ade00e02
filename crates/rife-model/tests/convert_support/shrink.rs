//! Shrinks real checkpoints: removes most tensors from the published pickle and keeps the storages
//! of the others. The remaining opcodes are the published bytes.

use std::fs::File;
use std::io::Read;

use super::zip_writer::Entry;

/// A small checkpoint in parts.
#[derive(Clone)]
pub struct Small {
    pub prefix: String,
    pub pickle: Vec<u8>,
    /// Key, element count and bytes.
    pub storages: Vec<(String, i64, Vec<u8>)>,
    /// Names of the remaining tensors.
    pub names: Vec<String>,
}

impl Small {
    /// At most `max_tensors` tensors of a real checkpoint, of at most `max_numel` elements each. The
    /// first tensor is always kept: the others use its memo entries.
    pub fn of(path: &std::path::Path, max_numel: u64, max_tensors: usize) -> Self {
        let mut zip = zip::ZipArchive::new(File::open(path).expect("opens")).expect("is a zip");
        let entry = zip.file_names().map(|n| n.expect("is text").into_owned());
        let entry = entry.filter(|n| n.ends_with("/data.pkl")).last().expect("has a pickle");
        let prefix = entry.trim_end_matches("data.pkl").to_owned();
        let mut read = |name: &str| {
            let mut bytes = Vec::new();
            zip.by_name(name).expect("is there").read_to_end(&mut bytes).expect("reads");
            bytes
        };
        let pickle = read(&entry);
        let items = items(&pickle);
        let mut small = pickle[..items[0].start].to_vec();
        let (mut storages, mut names) = (Vec::new(), Vec::new());
        for item in &items {
            if names.is_empty() || (item.numel <= max_numel && names.len() < max_tensors) {
                small.extend(&pickle[item.start..item.end]);
                let bytes = read(&format!("{prefix}data/{}", item.key));
                storages.push((item.key.clone(), item.numel as i64, bytes));
                names.push(item.name.clone());
            }
        }
        let end = items.last().expect("has items").end;
        small.extend(&pickle[end..]);
        Self { prefix, pickle: small, storages, names }
    }

    /// The entries of the zip file, with the given pickle.
    pub fn entries(&self, pickle: Vec<u8>) -> Vec<Entry> {
        let mut entries = vec![Entry::stored(&format!("{}data.pkl", self.prefix), pickle)];
        for (key, _, bytes) in &self.storages {
            entries.push(Entry::stored(&format!("{}data/{key}", self.prefix), bytes.clone()));
        }
        entries.push(Entry::stored(&format!("{}version", self.prefix), *b"3\n"));
        entries
    }

    /// The legacy file with the given pickle.
    pub fn legacy(&self, pickle: &[u8]) -> Vec<u8> {
        let storages: Vec<_> =
            self.storages.iter().map(|(key, n, bytes)| (key.as_str(), *n, &bytes[..])).collect();
        super::pickle_writer::legacy(pickle, &storages)
    }
}

struct Item {
    start: usize,
    end: usize,
    name: String,
    key: String,
    numel: u64,
}

/// The items of the first dict in the pickle, one per tensor.
fn items(pickle: &[u8]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let (mut at, mut depth, mut last_int) = (0, 0, 0);
    loop {
        let (opcode, args) = (pickle[at], &pickle[at + 1..]);
        let mut len = 1;
        match opcode {
            b'(' => depth += 1,
            b't' => depth -= 1,
            b'u' => {
                items.last_mut().expect("has items").end = at;
                return items;
            }
            b'X' => {
                let count = u32::from_le_bytes(args[..4].try_into().expect("four")) as usize;
                let text = String::from_utf8(args[4..4 + count].to_vec()).expect("is text");
                len += 4 + count;
                if depth == 1 {
                    if let Some(last) = items.last_mut() {
                        last.end = at;
                    }
                    let key = String::new();
                    items.push(Item { start: at, end: 0, name: text, key, numel: 0 });
                } else if text.bytes().all(|b| b.is_ascii_digit()) {
                    items.last_mut().expect("in an item").key = text;
                }
            }
            b'K' => (last_int, len) = (args[0].into(), 2),
            b'M' => (last_int, len) = (u16::from_le_bytes([args[0], args[1]]).into(), 3),
            b'J' => {
                let value = u32::from_le_bytes(args[..4].try_into().expect("four"));
                (last_int, len) = (value.into(), 5);
            }
            b'Q' => items.last_mut().expect("in an item").numel = last_int,
            b'q' | b'h' | 0x80 => len = 2,
            b'r' | b'j' => len = 5,
            b'c' => {
                let lines = args.iter().enumerate().filter(|(_, b)| **b == b'\n');
                len += lines.map(|(i, _)| i + 1).nth(1).expect("has two lines");
            }
            _ => {}
        }
        at += len;
    }
}
