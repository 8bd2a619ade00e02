//! Times the ways in which a kernel can be cut and keeps the fastest, on disk too. Which one it is
//! never changes a result, see [`Tile`].

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

use super::abi::Item;
use super::candidates::tiles;
use super::context::Shared;
use super::driver::{Gpu, Memory};
use super::kernel::Kernel;
use super::launch::{Addresses, launch};
use super::nvrtc;
use super::plan::{Plan, Step};
use super::tile::{Extent, Tile};
use super::variant::{Products, Variant};
use crate::{Error, FrameSize, Result};

/// Candidates that are timed, the most promising first; [`ENV`] asks for more. A kernel that is not
/// in the cache takes a core a fifth of a second to compile.
const CANDIDATES: usize = 12;
/// How many ways of cutting each kernel are timed: more take longer, once, and may find better; with
/// one there is nothing to choose from, and nothing is timed.
const ENV: &str = "RIFE_TUNE";
/// Launches of one timing, and timings of which the least counts.
const LAUNCHES: usize = 10;
const TIMINGS: usize = 3;

/// The tile that was fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Found {
    tile: Tile,
    /// How many were asked for when it was chosen.
    among: usize,
}

/// What was found before, by [`Tuner::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Table(BTreeMap<String, Found>);

impl Table {
    /// The file's table: empty when there is no file, it is damaged, or another user could have
    /// written it.
    fn read(file: &Path) -> Self {
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

    /// Replaces the file, together with what another process found meanwhile.
    fn write(&self, file: &Path) -> Result<(), nvrtc::Refused> {
        let mut all = Self::read(file);
        for (key, found) in &self.0 {
            all.0
                .entry(key.clone())
                .and_modify(|other| {
                    if found.among >= other.among {
                        *other = *found;
                    }
                })
                .or_insert(*found);
        }
        let bytes = serde_json::to_vec_pretty(&all).map_err(std::io::Error::from)?;
        nvrtc::replace(file, &[&bytes])
    }

    /// Whether there is no need to time anything: a tile that is still offered (another version of
    /// this program may have offered others), of at least as many as are `asked` for now.
    fn answers(&self, key: &str, offered: &[Tile], asked: usize) -> bool {
        self.0.get(key).is_some_and(|found| found.among >= asked && offered.contains(&found.tile))
    }
}

pub(crate) struct Tuner {
    file: Option<PathBuf>,
    card: String,
    table: Mutex<Table>,
}

impl Tuner {
    pub(crate) fn new(cache: Option<&Path>, gpu: &Gpu) -> Self {
        let file = cache.map(|folder| folder.join("tiles.json"));
        let table = file.as_deref().map(Table::read).unwrap_or_default();
        let card = format!("{} {}", gpu.name, gpu.driver);
        Self { file, card, table: Mutex::new(table) }
    }

    /// Gives every step of a plan its fastest tile.
    pub(crate) fn tune(&self, shared: &Shared, plan: &mut Plan, size: FrameSize) -> Result<()> {
        let variant = plan.variant;
        let asked = asked();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open: Vec<Open> = Vec::new();
        for (at, step) in plan.steps().enumerate() {
            if step.kernel.tile().is_none() {
                continue;
            }
            let extent = step.extent();
            let key = self.key(&step.kernel, &variant, extent);
            let offered = tiles(&step.kernel, &variant, extent, shared.gpu.card);
            let known = table.answers(&key, &offered, asked);
            if known || open.iter().any(|open| open.key == key) {
                continue;
            }
            let tiles = promising(offered, asked);
            // The plan has the most promising one already.
            if tiles.len() > 1 {
                open.push(Open { key, step: at, tiles });
            }
        }
        if !open.is_empty() {
            tracing::info!("timing kernels for {size} on {} (once)", shared.gpu.name);
            match time(shared, plan, size, open, asked, &mut table) {
                // The estimate does without memory.
                Err(Error::OutOfMemory { .. }) => {
                    tracing::debug!("too little memory to time kernels in");
                }
                timed => timed?,
            }
            self.save(&table);
        }
        plan.retile(|step| {
            let extent = step.extent();
            let found = table.0.get(&self.key(&step.kernel, &variant, extent))?.tile;
            // One that an older version of this program found may be offered no longer.
            let offered = tiles(&step.kernel, &variant, extent, shared.gpu.card);
            offered.contains(&found).then_some(found)
        });
        Ok(())
    }

    fn key(&self, kernel: &Kernel, variant: &Variant, extent: Extent) -> String {
        // What floats are multiplied as is not told by the precision, and was another thing once.
        let products = match variant.products(kernel) {
            Products::F16 => String::new(),
            other => format!("{other:?} "),
        };
        let blank = kernel.with_tile(Tile::BLANK);
        format!("{} {variant:?} {products}{blank:?} {extent:?}", self.card)
    }

    /// Not being able to keep what was found costs time later, and is no error.
    fn save(&self, table: &Table) {
        let Some(file) = &self.file else { return };
        if let Err(refused) = table.write(file) {
            nvrtc::report(file, &refused);
        }
    }
}

/// A step to be timed, by its place in the plan, and the ways of cutting it.
struct Open {
    key: String,
    step: usize,
    tiles: Vec<Tile>,
}

/// Times what is open, and puts the fastest into the table.
fn time(
    shared: &Shared,
    plan: &Plan,
    size: FrameSize,
    open: Vec<Open>,
    asked: usize,
    table: &mut Table,
) -> Result<()> {
    let bench = Bench::new(shared, plan)?;
    let of = |open: &Open| plan.steps().nth(open.step);
    let kernels = open.iter().flat_map(|open| {
        let kernel = of(open).map(|step| step.kernel);
        open.tiles.iter().filter_map(move |tile| Some(kernel?.with_tile(*tile)))
    });
    shared.load_modules(kernels, &plan.variant)?;
    for open in open {
        let Some(step) = of(&open) else { continue };
        let mut best: Option<(f32, Tile)> = None;
        for tile in open.tiles {
            let time = match bench.time(shared, plan, size, step, tile) {
                Err(Error::Kernel { cause, .. }) => {
                    tracing::debug!("{}: {cause} with {tile:?}", step.name);
                    continue;
                }
                timed => timed?,
            };
            tracing::debug!("{}: {time:.4} ms with {tile:?}", step.name);
            if best.is_none_or(|(least, _)| time < least) {
                best = Some((time, tile));
            }
        }
        if let Some((_, tile)) = best.filter(|(time, _)| time.is_finite()) {
            table.0.insert(open.key, Found { tile, among: asked });
        }
    }
    Ok(())
}

/// How many candidates are to be timed. Decided once.
fn asked() -> usize {
    static ASKED: OnceLock<usize> = OnceLock::new();
    *ASKED.get_or_init(|| {
        let (count, complaint) = wanted(std::env::var(ENV).ok().as_deref());
        if let Some(complaint) = complaint {
            tracing::warn!("{complaint}");
        }
        count
    })
}

/// How many candidates [`ENV`] asks for, and what is wrong with it.
fn wanted(value: Option<&str>) -> (usize, Option<String>) {
    let Some(value) = value.filter(|v| !v.is_empty()) else { return (CANDIDATES, None) };
    match value.parse::<usize>() {
        Ok(count) => (count.max(1), None),
        Err(_) => {
            let says =
                format!("{ENV}={value:?} is no number of candidates: {CANDIDATES} are timed");
            (CANDIDATES, Some(says))
        }
    }
}

/// The first candidates, but no more than two that differ only in stages, inputs and blocks.
fn promising(offered: Vec<Tile>, count: usize) -> Vec<Tile> {
    let mut kept: Vec<Tile> = Vec::new();
    for tile in offered {
        let alike = |t: &&Tile| {
            (t.rows, t.columns, t.channels, t.warps_m, t.warps_n, t.warpgroups)
                == (
                    tile.rows,
                    tile.columns,
                    tile.channels,
                    tile.warps_m,
                    tile.warps_n,
                    tile.warpgroups,
                )
        };
        if kept.iter().filter(alike).count() < 2 {
            kept.push(tile);
        }
        if kept.len() == count {
            break;
        }
    }
    kept
}

/// Memory to time kernels on: filled with numbers, since zeros can run faster.
struct Bench {
    addresses: Addresses,
    stream: super::driver::Stream,
    start: super::driver::Event,
    end: super::driver::Event,
    _memory: [Memory; 4],
}

impl Bench {
    fn new(shared: &Shared, plan: &Plan) -> Result<Self> {
        let gpu = &shared.gpu;
        let stream = gpu.stream()?;
        let arena = gpu.memory(plan.arena)?;
        let images = gpu.memory(2 * plan.image_bytes())?;
        // As halves 0.07, as floats 2.4e-12.
        stream.fill(&arena, 0x2c)?;
        stream.fill(&images, 0x2c)?;
        let out =
            gpu.memory(plan.items * 3 * plan.padding.padded_width * plan.padding.padded_height)?;
        let item = Item {
            image0: images.address(),
            image1: images.address() + plan.image_bytes() as u64,
            out: out.address(),
            t: 0.5,
            format: 0,
            pitch: (3 * plan.padding.padded_width) as i64,
            plane: 0,
        };
        let items = gpu.memory(size_of::<Item>() * plan.items)?;
        // SAFETY: `Item` is plain numbers without padding (its size is asserted in `abi`).
        let bytes = unsafe {
            std::slice::from_raw_parts((&raw const item).cast::<u8>(), size_of::<Item>())
        };
        items.write(&bytes.repeat(plan.items))?;
        stream.synchronize()?;
        let addresses = Addresses {
            buffers: plan.buffers.iter().map(|b| arena.address() + b.offset as u64).collect(),
            weights: shared.weights.address(),
            layers: Arc::clone(&shared.layers),
            items: items.address(),
        };
        let (start, end) = (gpu.event(true)?, gpu.event(true)?);
        Ok(Self { addresses, stream, start, end, _memory: [arena, images, items, out] })
    }

    /// The least time of a launch, in ms.
    fn time(
        &self,
        shared: &Shared,
        plan: &Plan,
        size: FrameSize,
        step: &Step,
        tile: Tile,
    ) -> Result<f32> {
        let mut step = step.clone();
        step.kernel = step.kernel.with_tile(tile);
        let function = shared.function(step.kernel, &step.name, &plan.variant)?;
        if function.occupancy == 0 {
            return Ok(f32::INFINITY);
        }
        let launch = launch(plan, size, &step, &function, &self.addresses, shared.gpu.card);
        let mut least = f32::INFINITY;
        for round in 0..=TIMINGS {
            self.start.record(&self.stream)?;
            for _ in 0..LAUNCHES {
                // SAFETY: the addresses are of memory that `self` owns or the engine does.
                unsafe { launch.queue(&self.stream) }?;
            }
            self.end.record(&self.stream)?;
            let time = self.start.until(&self.end)? / LAUNCHES as f32;
            if round > 0 {
                least = least.min(time);
            }
        }
        Ok(least)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn found(rows: usize, among: usize) -> Found {
        Found { tile: Tile { rows, ..Tile::BLANK }, among }
    }

    fn table<const N: usize>(entries: [(&str, Found); N]) -> Table {
        Table(entries.into_iter().map(|(key, found)| (key.to_owned(), found)).collect())
    }

    #[test]
    fn a_longer_look_is_taken_when_asked_for_and_kept_afterwards() {
        let offered = [found(4, 0).tile, found(8, 0).tile];
        let table = table([("a", found(4, 12)), ("gone", found(16, 12))]);
        assert!(table.answers("a", &offered, 12));
        assert!(table.answers("a", &offered, 6));
        assert!(!table.answers("a", &offered, 30), "30 were asked for, 12 were timed");
        assert!(!table.answers("gone", &offered, 12), "a tile that is not offered");
        assert!(!table.answers("b", &offered, 1));
    }

    #[test]
    fn a_count_that_is_none_is_told_and_not_taken() {
        for (value, expected, complains) in [
            (None, CANDIDATES, false),
            (Some(""), CANDIDATES, false),
            (Some("30"), 30, false),
            (Some("1"), 1, false),
            (Some("0"), 1, false),
            (Some("-1"), CANDIDATES, true),
            (Some("many"), CANDIDATES, true),
        ] {
            let (count, complaint) = wanted(value);
            assert_eq!((count, complaint.is_some()), (expected, complains), "{value:?}");
        }
    }

    #[test]
    fn what_another_process_found_is_kept_unless_this_one_looked_longer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiles/tiles.json");
        assert_eq!(Table::read(&file), Table::default());
        table([("theirs", found(1, 12)), ("longer", found(2, 30)), ("shorter", found(3, 12))])
            .write(&file)
            .unwrap();
        table([("longer", found(4, 12)), ("shorter", found(5, 30)), ("ours", found(6, 12))])
            .write(&file)
            .unwrap();
        let expected = table([
            ("theirs", found(1, 12)),
            ("longer", found(2, 30)),
            ("shorter", found(5, 30)),
            ("ours", found(6, 12)),
        ]);
        assert_eq!(Table::read(&file), expected);
    }

    #[test]
    #[cfg(unix)]
    fn a_table_that_others_could_have_written_is_empty() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kernels/tiles.json");
        let own = table([("a", found(4, 12))]);
        own.write(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(Table::read(&file), Table::default());
        // It is replaced, and nothing of it is taken over.
        let other = table([("b", found(8, 12))]);
        other.write(&file).unwrap();
        assert_eq!(Table::read(&file), other);
    }

    /// So that no tile is kept that an older version chose of fewer, or worse ones.
    #[test]
    fn a_table_of_an_older_form_or_a_broken_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tiles.json");
        let old = BTreeMap::from([("a", found(4, 12).tile)]);
        fs::write(&file, serde_json::to_vec(&old).unwrap()).unwrap();
        assert_eq!(Table::read(&file), Table::default());
        table([("a", found(4, 12))]).write(&file).unwrap();
        let whole = fs::read(&file).unwrap();
        assert_eq!(Table::read(&file), table([("a", found(4, 12))]));
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).unwrap();
            assert_eq!(Table::read(&file), Table::default(), "cut to {length} bytes");
        }
    }
}
