//! How a convolution is divided into thread blocks, and the limits of a GPU that a tile respects.

use serde::{Deserialize, Serialize};

/// The part of a convolution that one thread block computes, and how. No choice changes the
/// result: the order of every sum is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Tile {
    /// Rows of output pixels.
    pub(crate) rows: usize,
    /// Columns of output pixels: a multiple of 8.
    pub(crate) columns: usize,
    /// Output channels of a thread block; for a transposed convolution, columns of all the phases
    /// that it computes.
    pub(crate) channels: usize,
    /// Warps across pixels.
    pub(crate) warps_m: usize,
    /// Warps across channels; for a transposed convolution, across phases.
    pub(crate) warps_n: usize,
    /// Slabs of weights in flight (1 for a transposed convolution); 0 if all weights stay in
    /// shared memory and the block is persistent.
    pub(crate) stages: usize,
    /// Input buffers in shared memory: with 2, the next tile's input is fetched while this tile
    /// is computed.
    pub(crate) halos: usize,
    /// Thread blocks that an SM should hold at once.
    pub(crate) blocks: usize,
    /// Consumer warpgroups that multiply with `wgmma`, a tile each, next to one producer
    /// warpgroup; `warps_m` and `warps_n` are those of one warpgroup then. 0 for `mma.sync`.
    pub(crate) warpgroups: usize,
}

impl Tile {
    /// All zeros: stands for any tile where only the rest of a kernel is compared.
    pub(crate) const BLANK: Self = Self {
        rows: 0,
        columns: 0,
        channels: 0,
        warps_m: 0,
        warps_n: 0,
        stages: 0,
        halos: 0,
        blocks: 0,
        warpgroups: 0,
    };

    /// The tile of a step for which no tile has been chosen yet.
    pub(crate) const UNCHOSEN: Self = Self {
        rows: 8,
        columns: 8,
        channels: 16,
        warps_m: 1,
        warps_n: 1,
        stages: 2,
        halos: 1,
        blocks: 1,
        warpgroups: 0,
    };

    /// Whether all weights stay in shared memory, so that a block can compute many tiles.
    pub(crate) const fn is_persistent(&self) -> bool {
        self.stages == 0
    }
}

impl std::fmt::Display for Tile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, columns, channels, warps_m, warps_n, stages, halos, blocks, warpgroups } =
            self;
        write!(f, "{rows}x{columns}x{channels} ")?;
        match warpgroups {
            0 => write!(f, "w{warps_m}x{warps_n} s{stages} h{halos} b{blocks}"),
            n => write!(f, "wgmma x{n} h{halos} b{blocks}"),
        }
    }
}

/// The properties of a GPU that tiles are chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Card {
    /// Streaming multiprocessors.
    pub(crate) sms: usize,
    /// The largest dynamic shared memory of a thread block, in bytes.
    pub(crate) shared_per_block: usize,
    /// Shared memory of an SM, in bytes.
    pub(crate) shared_per_sm: usize,
    /// Whether it has Hopper's `wgmma`.
    pub(crate) wgmma: bool,
}

/// The size of the grid that tiles must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) batch: usize,
}
