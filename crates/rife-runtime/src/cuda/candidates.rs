//! The tiles that a kernel can run with, ranked by their estimated cost.

use super::cost::cost;
use super::kernel::{ConvInput, DeconvEpilogue, Kernel, Terms};
use super::tile::{Card, Extent, Tile};
use super::variant::Variant;

/// Rows and columns of the tiles to consider.
const PIXELS: [(usize, usize); 9] =
    [(2, 16), (4, 8), (4, 16), (8, 8), (8, 16), (8, 32), (16, 16), (4, 32), (16, 32)];

/// The smallest tiles, for many channels on a GPU with little shared memory.
const FEWEST_PIXELS: [(usize, usize); 1] = [(2, 8)];

/// Every tile that a kernel can run with on a GPU, sorted by estimated cost.
pub(crate) fn tiles(kernel: &Kernel, v: &Variant, extent: Extent, card: Card) -> Vec<Tile> {
    let found = tiles_of(&PIXELS, kernel, v, extent, card);
    match found.is_empty() {
        true => tiles_of(&FEWEST_PIXELS, kernel, v, extent, card),
        false => found,
    }
}

fn tiles_of(
    pixels: &[(usize, usize)],
    kernel: &Kernel,
    v: &Variant,
    extent: Extent,
    card: Card,
) -> Vec<Tile> {
    let mut found: Vec<(f64, Tile)> = Vec::new();
    let mut consider = |tile: Tile| {
        let candidate = kernel.with_tile(tile);
        if let Some(cost) = cost(&candidate, v, extent, card) {
            found.push((cost, tile));
        }
    };
    match *kernel {
        Kernel::Conv { cout, source, .. } => {
            for (rows, columns) in pixels.iter().copied() {
                for channels in [16, 32, 48, 64, 96, 128, 192] {
                    if cout % channels != 0 {
                        continue;
                    }
                    for (warps_m, warps_n) in
                        [(1, 4), (2, 2), (4, 1), (2, 4), (4, 2), (8, 1), (1, 8), (1, 2), (2, 1)]
                    {
                        for stages in [0, 2, 3, 4] {
                            for halos in [1, 2] {
                                for blocks in [1, 2, 3, 4, 6] {
                                    // Only a persistent block can prefetch its next tile. A kernel
                                    // that computes its input needs resident weights.
                                    let computed = source != ConvInput::Tensor;
                                    if (halos == 2 && (stages > 0 || computed))
                                        || (computed && stages > 0)
                                    {
                                        continue;
                                    }
                                    consider(Tile {
                                        rows,
                                        columns,
                                        channels,
                                        warps_m,
                                        warps_n,
                                        stages,
                                        halos,
                                        blocks,
                                        warpgroups: 0,
                                    });
                                }
                            }
                        }
                    }
                }
            }
            if v.wgmma {
                wgmma_tiles(kernel).for_each(consider);
            }
        }
        Kernel::Deconv { columns: np, epilogue, .. } => {
            for (rows, columns) in pixels.iter().copied() {
                for phases in [4, 2, 1] {
                    for (warps_m, warps_n) in
                        [(1, 4), (2, 2), (4, 1), (2, 4), (4, 2), (8, 1), (1, 2), (2, 1), (1, 1)]
                    {
                        for (stages, halos) in [(0, 1), (0, 2), (1, 1)] {
                            for blocks in [1, 2, 3, 4, 6] {
                                // Blending needs all phases of a pixel, and reuses the input's
                                // memory.
                                let blended = matches!(epilogue, DeconvEpilogue::Blend { .. });
                                if blended && (phases < 4 || halos == 2) {
                                    continue;
                                }
                                consider(Tile {
                                    rows,
                                    columns,
                                    channels: phases * np,
                                    warps_m,
                                    warps_n,
                                    stages,
                                    halos,
                                    blocks,
                                    warpgroups: 0,
                                });
                            }
                        }
                    }
                }
            }
        }
        _ => {}
    }
    // In all measured shapes, `wgmma` is faster than `mma.sync`.
    found.sort_by(|(a, s), (b, t)| {
        (s.warpgroups == 0).cmp(&(t.warpgroups == 0)).then(a.total_cmp(b)).then(s.cmp(t))
    });
    found.into_iter().map(|(_, tile)| tile).collect()
}

/// The tiles that `conv_wgmma.cu` can be compiled for, if it can compute the convolution.
fn wgmma_tiles(kernel: &Kernel) -> impl Iterator<Item = Tile> + use<> {
    let cout = match *kernel {
        Kernel::Conv { cout, stride: 1, source: ConvInput::Tensor, terms: Terms::ONE, .. } => cout,
        _ => 0,
    };
    let pixels = [(8, 8), (8, 16), (16, 8), (8, 32), (16, 16)];
    let channels = [32, 64, 96, 128].into_iter().filter(move |n| cout >= *n && cout % n == 0);
    channels.flat_map(move |channels| {
        pixels.into_iter().flat_map(move |(rows, columns)| {
            (1..=4).flat_map(move |halos| {
                // At most as many warpgroups as input buffers, see the kernel.
                let counts = (1..=halos.min(3)).flat_map(|n| [(n, 1), (n, 2)]);
                counts.map(move |(warpgroups, blocks)| Tile {
                    rows,
                    columns,
                    channels,
                    warps_m: 4,
                    warps_n: 1,
                    stages: 0,
                    halos,
                    blocks,
                    warpgroups,
                })
            })
        })
    })
}
