//! How a convolution is divided into thread blocks, and the limits that a GPU sets.

use serde::{Deserialize, Serialize};

/// The part of a convolution that one thread block computes, and how. Tiles do not change the
/// result, since the order of every sum is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Tile {
    /// Rows of output pixels.
    pub(crate) rows: usize,
    /// Columns of output pixels: a multiple of 8.
    pub(crate) columns: usize,
    /// Output channels of a thread block. For a transposed convolution, the columns of all phases
    /// of a block.
    pub(crate) channels: usize,
    /// Warps across pixels.
    pub(crate) warps_m: usize,
    /// Warps across channels, or for a transposed convolution across phases.
    pub(crate) warps_n: usize,
    /// Slabs of weights in flight (1 for a transposed convolution). 0 for a persistent block, which
    /// keeps all weights in shared memory.
    pub(crate) stages: usize,
    /// Input buffers in shared memory. With 2, the input of the next tile is fetched while this
    /// tile is computed.
    pub(crate) halos: usize,
    /// Thread blocks that should fit on an SM at once.
    pub(crate) blocks: usize,
    /// Consumer warpgroups that multiply with `wgmma`, one tile each, in addition to one producer
    /// warpgroup. `warps_m` and `warps_n` are then those of one warpgroup. 0 for `mma.sync`.
    pub(crate) warpgroups: usize,
}

impl Tile {
    /// All zeros, to compare kernels regardless of their tiles.
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

/// The properties of a GPU that determine the choice of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Card {
    /// Streaming multiprocessors.
    pub(crate) sms: usize,
    /// The largest dynamic shared memory of a thread block, in bytes.
    pub(crate) shared_per_block: usize,
    /// Shared memory of an SM, in bytes.
    pub(crate) shared_per_sm: usize,
    /// Whether the GPU supports `wgmma` (Hopper).
    pub(crate) wgmma: bool,
}

/// The size of the grid that tiles must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) batch: usize,
}
