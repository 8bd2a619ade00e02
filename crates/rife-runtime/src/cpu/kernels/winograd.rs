//! 3×3 convolutions with stride 1 by Winograd's F(4×4, 3×3): a tile of 4×4 outputs from 6×6 inputs
//! with 36 products per pair of channels instead of 144. The interpolation points are 0, ±5/8, ±3/2
//! and infinity: as cheap as the usual 0, ±1, ±2, with half the rounding errors. All factors
//! of the input and output transforms are exact in F32.

use std::ops::Range;

use super::super::lanes::{Isa, Lanes, Sixteen};
use super::super::tensor::BLOCK;
use super::direct::{Place, accumulate, leaky};

/// Outputs of a tile along each axis.
pub(crate) const TILE: usize = 4;
/// Inputs of a tile along each axis.
const REACH: usize = TILE + 2;
/// Products of a tile per pair of channels.
pub(crate) const POINTS: usize = REACH * REACH;

/// The input transform of tiles of a map: `to[point][tile][channel]`, or pairs of channels.
pub(crate) struct InputTransform {
    /// The first channel of the map's first pixel.
    pub(crate) src: *const f32,
    pub(crate) row: usize,
    pub(crate) plane: usize,
    /// Blocks of channels.
    pub(crate) blocks: Range<usize>,
    /// Tiles per row.
    pub(crate) across: usize,
    pub(crate) tiles: Range<usize>,
    /// The memory of the first tile of the range.
    pub(crate) to: *mut f32,
    /// Floats from point to point, and from tile to tile.
    pub(crate) point: usize,
    pub(crate) tile: usize,
}

/// The products at each point: `to[point][tile][output] = from[point][tile][channel] · weights`, or
/// with pairs of channels.
pub(crate) struct Multiply {
    pub(crate) from: *const f32,
    pub(crate) from_point: usize,
    /// Floats from tile to tile.
    pub(crate) from_tile: usize,
    /// Channels, or pairs of them, that are multiplied.
    pub(crate) channels: usize,
    /// `[point][group of vectors][channel][vector of the group][16]`.
    pub(crate) weights: *const f32,
    /// Vectors of 16 outputs.
    pub(crate) vectors: usize,
    pub(crate) points: Range<usize>,
    pub(crate) tiles: usize,
    pub(crate) to: *mut f32,
    pub(crate) to_point: usize,
}

/// The output transform of tiles, followed by bias, residual and LeakyReLU.
pub(crate) struct OutputTransform {
    /// The first tile of the range.
    pub(crate) from: *const f32,
    pub(crate) point: usize,
    pub(crate) tile: usize,
    /// 16 per block of outputs.
    pub(crate) bias: *const f32,
    /// Added to the sums, with the layout of `to`; null for none.
    pub(crate) add: *const f32,
    pub(crate) blocks: Range<usize>,
    pub(crate) across: usize,
    pub(crate) tiles: Range<usize>,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) to: Place,
}

/// The points other than 0 and infinity, each used with both signs.
const NEAR: f32 = 5.0 / 8.0;
const FAR: f32 = 3.0 / 2.0;

/// The factors of the input transform.
#[derive(Clone, Copy)]
struct InputFactors<V> {
    near: V,
    far: V,
    minus_near_2: V,
    minus_far_2: V,
    /// The product of both squares, and minus their sum.
    product: V,
    minus_sum: V,
}

impl<V: Lanes> InputFactors<V> {
    /// # Safety
    /// The CPU supports the instructions of `V`.
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe {
            Self {
                near: V::splat(NEAR),
                far: V::splat(FAR),
                minus_near_2: V::splat(-NEAR * NEAR),
                minus_far_2: V::splat(-FAR * FAR),
                product: V::splat(NEAR * NEAR * FAR * FAR),
                minus_sum: V::splat(-(NEAR * NEAR + FAR * FAR)),
            }
        }
    }
}

/// The input transform along one axis: six inputs to six points.
#[inline(always)]
fn points_of<V: Lanes>(d: [V; REACH], f: InputFactors<V>) -> [V; REACH] {
    let [d0, d1, d2, d3, d4, d5] = d;
    let near_even = f.minus_far_2.mul_add(d2, d4);
    let near_odd = f.near.mul(f.minus_far_2.mul_add(d1, d3));
    let far_even = f.minus_near_2.mul_add(d2, d4);
    let far_odd = f.far.mul(f.minus_near_2.mul_add(d1, d3));
    [
        f.product.mul_add(d0, f.minus_sum.mul_add(d2, d4)),
        near_even.add(near_odd),
        near_even.sub(near_odd),
        far_even.add(far_odd),
        far_even.sub(far_odd),
        f.product.mul_add(d1, f.minus_sum.mul_add(d3, d5)),
    ]
}

/// The factors of the output transform: the powers of the points.
#[derive(Clone, Copy)]
struct OutputFactors<V> {
    near: [V; 3],
    far: [V; 3],
}

impl<V: Lanes> OutputFactors<V> {
    /// # Safety
    /// The CPU supports the instructions of `V`.
    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: guaranteed by the caller.
        unsafe {
            Self {
                near: [V::splat(NEAR), V::splat(NEAR * NEAR), V::splat(NEAR * NEAR * NEAR)],
                far: [V::splat(FAR), V::splat(FAR * FAR), V::splat(FAR * FAR * FAR)],
            }
        }
    }
}

/// The output transform along one axis: products at six points to four outputs.
#[inline(always)]
fn outputs_of<V: Lanes>(m: [V; REACH], f: OutputFactors<V>) -> [V; TILE] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (near_sum, near) = (m1.add(m2), m1.sub(m2));
    let (far_sum, far) = (m3.add(m4), m3.sub(m4));
    [
        m0.add(near_sum).add(far_sum),
        f.near[0].mul_add(near, f.far[0].mul(far)),
        f.near[1].mul_add(near_sum, f.far[1].mul(far_sum)),
        f.near[2].mul_add(near, f.far[2].mul_add(far, m5)),
    ]
}

/// # Safety
/// The CPU supports the instructions of `I`. The map's tiles with a border of one pixel are
/// readable, and no other thread accesses the memory of their points.
#[inline(always)]
pub(crate) unsafe fn input_transform<I: Isa>(args: &InputTransform) {
    // SAFETY: guaranteed by the caller.
    unsafe { input_transform_of::<I, false>(args) }
}

/// Like [`input_transform`], in BF16.
///
/// # Safety
/// Same as for [`input_transform`], and the CPU supports BF16.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
pub(crate) unsafe fn input_transform_bf16<I: Isa>(args: &InputTransform) {
    // SAFETY: guaranteed by the caller.
    unsafe { input_transform_of::<I, true>(args) }
}

/// # Safety
/// Same as for [`input_transform`] and [`input_transform_bf16`].
#[inline(always)]
unsafe fn input_transform_of<I: Isa, const PAIRS: bool>(args: &InputTransform) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let factors = InputFactors::new();
        let zero = I::V16::splat(0.0);
        for block in args.blocks.clone() {
            let plane = args.src.wrapping_add(block * args.plane);
            for (i, tile) in args.tiles.clone().enumerate() {
                let (ty, tx) = (tile / args.across, tile % args.across);
                let corner = plane
                    .wrapping_add(TILE * ty * args.row + TILE * tx * BLOCK)
                    .wrapping_sub(args.row + BLOCK);
                // Do not use a closure here, see `super`.
                let mut rows = [[zero; REACH]; REACH];
                for (y, row) in rows.iter_mut().enumerate() {
                    let from = corner.wrapping_add(y * args.row);
                    let mut inputs = [zero; REACH];
                    for (x, input) in inputs.iter_mut().enumerate() {
                        *input = I::V16::load(from.wrapping_add(x * BLOCK));
                    }
                    *row = points_of(inputs, factors);
                }
                let floats = if PAIRS { BLOCK / 2 } else { BLOCK };
                let to = args.to.wrapping_add(i * args.tile + block * floats);
                for x in 0..REACH {
                    let mut column = [zero; REACH];
                    for (value, row) in column.iter_mut().zip(&rows) {
                        *value = row[x];
                    }
                    for (y, v) in points_of(column, factors).into_iter().enumerate() {
                        let to = to.wrapping_add((y * REACH + x) * args.point);
                        if PAIRS {
                            v.store_as_pairs(to);
                        } else {
                            v.store(to);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The CPU supports the instructions of `I`; `from` and the weights are readable, and no other
/// thread accesses `to`.
#[inline(always)]
pub(crate) unsafe fn multiply<I: Isa>(args: &Multiply) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply_of::<I, false>(args) }
}

/// Like [`multiply`], in BF16, with sums in F32.
///
/// # Safety
/// Same as for [`multiply`], and the CPU supports BF16.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
pub(crate) unsafe fn multiply_bf16<I: Isa>(args: &Multiply) {
    // SAFETY: guaranteed by the caller.
    unsafe { multiply_of::<I, true>(args) }
}

/// # Safety
/// Same as for [`multiply`] and [`multiply_bf16`].
#[inline(always)]
unsafe fn multiply_of<I: Isa, const PAIRS: bool>(args: &Multiply) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        match super::group(I::MOST_VECTORS, args.vectors) {
            4 => multiply_groups::<I, 4, PAIRS>(args),
            3 => multiply_groups::<I, 3, PAIRS>(args),
            2 => multiply_groups::<I, 2, PAIRS>(args),
            _ => multiply_groups::<I, 1, PAIRS>(args),
        }
    }
}

/// # Safety
/// Same as for [`multiply`].
#[inline(always)]
unsafe fn multiply_groups<I: Isa, const O: usize, const PAIRS: bool>(args: &Multiply) {
    if O > I::MOST_VECTORS {
        return;
    }
    let (channels, outputs) = (args.channels, args.vectors * BLOCK);
    for point in args.points.clone() {
        let from = args.from.wrapping_add(point * args.from_point);
        let to = args.to.wrapping_add(point * args.to_point);
        let weights = args.weights.wrapping_add(point * channels * outputs);
        for group in 0..args.vectors / O {
            let weights = weights.wrapping_add(group * channels * O * BLOCK);
            let mut tile = 0;
            // SAFETY: guaranteed by the caller.
            super::strips!(I, O, tile, args.tiles, P => unsafe {
                let mut sums = [[I::V16::splat(0.0); O]; P];
                let from = from.add(tile * args.from_tile);
                accumulate::<_, P, O, PAIRS>(&mut sums, from, args.from_tile, weights, channels);
                for (p, sums) in sums.into_iter().enumerate() {
                    for (o, sum) in sums.into_iter().enumerate() {
                        sum.store(to.add((tile + p) * outputs + (group * O + o) * BLOCK));
                    }
                }
            });
        }
    }
}

/// # Safety
/// The CPU supports the instructions of `I`; the products and the residual are readable, and no
/// other thread accesses the tiles' pixels.
#[inline(always)]
pub(crate) unsafe fn output_transform<I: Isa>(args: &OutputTransform) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let factors = OutputFactors::new();
        let zero = I::V16::splat(0.0);
        for block in args.blocks.clone() {
            let bias = I::V16::load(args.bias.wrapping_add(block * BLOCK));
            for (i, tile) in args.tiles.clone().enumerate() {
                let from = args.from.wrapping_add(i * args.tile + block * BLOCK);
                let mut rows = [[zero; TILE]; REACH];
                for (y, row) in rows.iter_mut().enumerate() {
                    let mut products = [zero; REACH];
                    for (x, product) in products.iter_mut().enumerate() {
                        *product = I::V16::load(from.wrapping_add((y * REACH + x) * args.point));
                    }
                    *row = outputs_of(products, factors);
                }
                let (y0, x0) = (TILE * (tile / args.across), TILE * (tile % args.across));
                let (height, width) = (args.height - y0, args.width - x0);
                for x in 0..TILE {
                    let mut column = [zero; REACH];
                    for (value, row) in column.iter_mut().zip(&rows) {
                        *value = row[x];
                    }
                    for (y, sum) in outputs_of(column, factors).into_iter().enumerate() {
                        if x >= width || y >= height {
                            continue;
                        }
                        let at = block * args.to.plane + (y0 + y) * args.to.row + (x0 + x) * BLOCK;
                        let mut sum = sum.add(bias);
                        if !args.add.is_null() {
                            sum = sum.add(I::V16::load(args.add.wrapping_add(at)));
                        }
                        leaky(sum).store(args.to.at.wrapping_add(at));
                    }
                }
            }
        }
    }
}

/// The weight transform: `weights[output][input][3][3]` to `[point][output][input]`, in an empty
/// vector.
pub(crate) fn transform_weights(weights: &[f32], all: &mut Vec<f32>) {
    let (near, far) = (f64::from(NEAR), f64::from(FAR));
    let points = [0.0, near, -near, far, -far];
    // The powers of each point, divided by the product of its distances from the others. The last
    // row is infinity.
    let mut g = [[0.0, 0.0, 1.0]; REACH];
    for (row, p) in g.iter_mut().zip(points) {
        let others = points.iter().filter(|q| **q != p);
        let distances: f64 = others.map(|q| p - q).product();
        *row = [1.0, p, p * p].map(|power| power / distances);
    }
    let pairs = weights.len() / 9;
    all.resize(POINTS * pairs, 0.0);
    for (pair, taps) in weights.chunks_exact(9).enumerate() {
        for (y, gy) in g.iter().enumerate() {
            for (x, gx) in g.iter().enumerate() {
                let sum: f64 =
                    (0..9).map(|tap| gy[tap / 3] * gx[tap % 3] * f64::from(taps[tap])).sum();
                all[(y * REACH + x) * pairs + pair] = sum as f32;
            }
        }
    }
}
