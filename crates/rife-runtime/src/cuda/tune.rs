//! Times the candidate tiles of each kernel and keeps the fastest, in memory and on disk. The
//! choice never changes a result, see [`Tile`].

mod table;
mod timing;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::candidates::tiles;
use super::context::Shared;
use super::driver::Gpu;
use super::kernel::Kernel;
use super::nvrtc;
use super::plan::Plan;
use super::tile::{Extent, Tile};
use super::variant::{Products, Variant};
use crate::{Error, FrameSize, Result};

use table::{Best, Table};
use timing::Timer;

/// Candidates that are timed by default, the most promising first. Each one that is not cached
/// takes about 0.2 s of a core to compile.
const CANDIDATES: usize = 12;
/// The environment variable that sets how many candidates are timed per kernel. With 1, nothing is
/// timed.
const ENV: &str = "RIFE_TUNE";

pub(crate) struct Tuner {
    file: Option<PathBuf>,
    /// The GPU and its driver: part of every key.
    gpu: String,
    table: Mutex<Table>,
}

impl Tuner {
    pub(crate) fn new(cache: Option<&Path>, gpu: &Gpu) -> Self {
        let file = cache.map(|folder| folder.join("tiles.json"));
        let table = file.as_deref().map(Table::read).unwrap_or_default();
        let gpu = format!("{} {}", gpu.name, gpu.driver);
        Self { file, gpu, table: Mutex::new(table) }
    }

    /// Gives every step of a plan its fastest tile.
    pub(crate) fn tune(&self, shared: &Shared, plan: &mut Plan, size: FrameSize) -> Result<()> {
        let variant = plan.variant;
        let limit = candidate_limit();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut searches: Vec<Search> = Vec::new();
        for (index, step) in plan.steps().enumerate() {
            if step.kernel.tile().is_none() {
                continue;
            }
            let extent = step.extent();
            let key = self.key(&step.kernel, &variant, extent);
            let available = tiles(&step.kernel, &variant, extent, shared.gpu.card);
            let tuned = table.is_tuned(&key, &available, limit);
            if tuned || searches.iter().any(|search| search.key == key) {
                continue;
            }
            let tiles = promising(available, limit);
            // The plan already uses the most promising tile.
            if tiles.len() > 1 {
                searches.push(Search { key, step: index, tiles });
            }
        }
        if !searches.is_empty() {
            tracing::info!("timing kernels for {size} on {} (once)", shared.gpu.name);
            match search(shared, plan, size, searches, limit, &mut table) {
                // The plan keeps the tiles of the cost estimate, which needs no memory.
                Err(Error::OutOfMemory { .. }) => {
                    tracing::debug!("not enough GPU memory to time kernels; using estimated tiles");
                }
                result => result?,
            }
            self.save(&table);
        }
        plan.retile(|step| {
            let extent = step.extent();
            let tile = table.get(&self.key(&step.kernel, &variant, extent))?;
            // A tile that another version of this program chose may not be available.
            let available = tiles(&step.kernel, &variant, extent, shared.gpu.card);
            available.contains(&tile).then_some(tile)
        });
        Ok(())
    }

    fn key(&self, kernel: &Kernel, variant: &Variant, extent: Extent) -> String {
        // The products of a layer are part of the key, because versions of this program differ in
        // their number format at the same precision. F16 products are the same in all versions.
        let products = match variant.products(kernel) {
            Products::F16 => String::new(),
            other => format!("{other:?} "),
        };
        let blank = kernel.with_tile(Tile::BLANK);
        format!("{} {variant:?} {products}{blank:?} {extent:?}", self.gpu)
    }

    /// Failing to save costs only the time to tune again, and is not an error.
    fn save(&self, table: &Table) {
        let Some(file) = &self.file else { return };
        if let Err(refused) = table.write(file) {
            nvrtc::report(file, &refused);
        }
    }
}

/// The tiles to time for a step.
struct Search {
    key: String,
    /// The index of the step in the plan.
    step: usize,
    tiles: Vec<Tile>,
}

/// Times the tiles of each search and puts the fastest into the table.
fn search(
    shared: &Shared,
    plan: &Plan,
    size: FrameSize,
    searches: Vec<Search>,
    limit: usize,
    table: &mut Table,
) -> Result<()> {
    let timer = Timer::new(shared, plan)?;
    let step_of = |search: &Search| plan.steps().nth(search.step);
    let kernels = searches.iter().flat_map(|search| {
        let kernel = step_of(search).map(|step| step.kernel);
        search.tiles.iter().filter_map(move |tile| Some(kernel?.with_tile(*tile)))
    });
    shared.load_modules(kernels, &plan.variant)?;
    for search in searches {
        let Some(step) = step_of(&search) else { continue };
        let mut best: Option<(f32, Tile)> = None;
        for tile in search.tiles {
            let time_ms = match timer.time_ms(shared, plan, size, step, tile) {
                Err(Error::Kernel { cause, .. }) => {
                    tracing::debug!("{}: {cause} with {tile:?}", step.name);
                    continue;
                }
                result => result?,
            };
            tracing::debug!("{}: {time_ms:.4} ms with {tile:?}", step.name);
            if best.is_none_or(|(least, _)| time_ms < least) {
                best = Some((time_ms, tile));
            }
        }
        if let Some((_, tile)) = best.filter(|(time_ms, _)| time_ms.is_finite()) {
            table.insert(search.key, Best { tile, among: limit });
        }
    }
    Ok(())
}

/// How many candidates are timed per kernel. Read from [`ENV`] once.
fn candidate_limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let (limit, warning) = parse_limit(std::env::var(ENV).ok().as_deref());
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
        limit
    })
}

/// The number of candidates by the value of [`ENV`], and a warning if the value is invalid.
fn parse_limit(value: Option<&str>) -> (usize, Option<String>) {
    let Some(value) = value.filter(|v| !v.is_empty()) else { return (CANDIDATES, None) };
    match value.parse::<usize>() {
        Ok(limit) => (limit.max(1), None),
        Err(_) => {
            let warning =
                format!("invalid {ENV} {value:?}: expected an integer; using {CANDIDATES}");
            (CANDIDATES, Some(warning))
        }
    }
}

/// The first `limit` tiles, skipping those of which two with the same shape and warps are taken:
/// they differ only in stages, input buffers and blocks.
fn promising(tiles: Vec<Tile>, limit: usize) -> Vec<Tile> {
    let shape = |t: &Tile| (t.rows, t.columns, t.channels, t.warps_m, t.warps_n, t.warpgroups);
    let mut taken: Vec<Tile> = Vec::new();
    for tile in tiles {
        if taken.iter().filter(|t| shape(t) == shape(&tile)).count() < 2 {
            taken.push(tile);
        }
        if taken.len() == limit {
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_count_warns_and_uses_default() {
        for (value, expected, warns) in [
            (None, CANDIDATES, false),
            (Some(""), CANDIDATES, false),
            (Some("30"), 30, false),
            (Some("1"), 1, false),
            (Some("0"), 1, false),
            (Some("-1"), CANDIDATES, true),
            (Some("many"), CANDIDATES, true),
        ] {
            let (limit, warning) = parse_limit(value);
            assert_eq!((limit, warning.is_some()), (expected, warns), "{value:?}");
        }
    }
}
