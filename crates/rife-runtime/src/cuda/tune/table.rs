//! The fastest tiles that were found, in a JSON file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::nvrtc;
use super::super::tile::Tile;

/// The fastest tile of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) tile: Tile,
    /// The limit of candidates when it was chosen.
    pub(super) among: usize,
}

/// The fastest tiles by the tuner's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table(BTreeMap<String, Best>);

impl Table {
    /// Reads a table from a file. It is empty if the file is missing or damaged, or if another user
    /// could have written it.
    pub(super) fn read(file: &Path) -> Self {
        let read = || -> Result<Self, nvrtc::Refused> {
            let mut bytes = Vec::new();
            nvrtc::open(file)?.read_to_end(&mut bytes)?;
            Ok(serde_json::from_slice(&bytes).map_err(std::io::Error::from)?)
        };
        read().unwrap_or_else(|refused| {
            nvrtc::report(file, &refused);
            Self::default()
        })
    }

    /// Replaces the file with this table, merged with what other processes have added to the file
    /// since it was read.
    pub(super) fn write(&self, file: &Path) -> Result<(), nvrtc::Refused> {
        let mut merged = Self::read(file);
        for (key, best) in &self.0 {
            merged
                .0
                .entry(key.clone())
                .and_modify(|other| {
                    if best.among >= other.among {
                        *other = *best;
                    }
                })
                .or_insert(*best);
        }
        let bytes = serde_json::to_vec_pretty(&merged).map_err(std::io::Error::from)?;
        nvrtc::replace(file, &[&bytes])
    }

    pub(super) fn get(&self, key: &str) -> Option<Tile> {
        self.0.get(key).map(|best| best.tile)
    }

    pub(super) fn insert(&mut self, key: String, best: Best) {
        self.0.insert(key, best);
    }

    /// Whether a key has a tile that was chosen among at least `limit` candidates. The tile must be
    /// one of `available`: another version of this program may have had other tiles.
    pub(super) fn is_tuned(&self, key: &str, available: &[Tile], limit: usize) -> bool {
        self.0.get(key).is_some_and(|best| best.among >= limit && available.contains(&best.tile))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn best(rows: usize, among: usize) -> Best {
        Best { tile: Tile { rows, ..Tile::BLANK }, among }
    }

    fn table<const N: usize>(entries: [(&str, Best); N]) -> Table {
        Table(entries.into_iter().map(|(key, best)| (key.to_owned(), best)).collect())
    }

    #[test]
    fn tile_is_tuned_if_available_and_chosen_among_enough_candidates() {
        let available = [best(4, 0).tile, best(8, 0).tile];
        let table = table([("a", best(4, 12)), ("unavailable", best(16, 12))]);
        assert!(table.is_tuned("a", &available, 12));
        assert!(table.is_tuned("a", &available, 6));
        assert!(!table.is_tuned("a", &available, 30));
        assert!(!table.is_tuned("unavailable", &available, 12));
        assert!(!table.is_tuned("b", &available, 1));
    }

    #[test]
    fn write_merges_and_prefers_the_longer_search() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiles/tiles.json");
        assert_eq!(Table::read(&file), Table::default());
        table([("theirs", best(1, 12)), ("longer", best(2, 30)), ("shorter", best(3, 12))])
            .write(&file)
            .unwrap();
        table([("longer", best(4, 12)), ("shorter", best(5, 30)), ("ours", best(6, 12))])
            .write(&file)
            .unwrap();
        let expected = table([
            ("theirs", best(1, 12)),
            ("longer", best(2, 30)),
            ("shorter", best(5, 30)),
            ("ours", best(6, 12)),
        ]);
        assert_eq!(Table::read(&file), expected);
    }

    #[test]
    #[cfg(unix)]
    fn table_writable_by_others_is_ignored_and_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kernels/tiles.json");
        let own = table([("a", best(4, 12))]);
        own.write(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(Table::read(&file), Table::default());
        // The untrusted table is replaced, not merged.
        let other = table([("b", best(8, 12))]);
        other.write(&file).unwrap();
        assert_eq!(Table::read(&file), other);
    }

    /// Otherwise a tile that an older version chose among fewer or slower candidates would be kept.
    #[test]
    fn table_in_an_older_format_or_truncated_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiles.json");
        let old = BTreeMap::from([("a", best(4, 12).tile)]);
        fs::write(&file, serde_json::to_vec(&old).unwrap()).unwrap();
        assert_eq!(Table::read(&file), Table::default());
        table([("a", best(4, 12))]).write(&file).unwrap();
        let whole = fs::read(&file).unwrap();
        assert_eq!(Table::read(&file), table([("a", best(4, 12))]));
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(Table::read(&file), Table::default(), "truncated to {length} bytes");
        }
    }
}
