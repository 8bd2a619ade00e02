//! Validates Winograd's transforms and products with their definitions.

use std::ops::Range;

use super::super::kernels::direct::Place;
use super::super::kernels::winograd::{
    InputTransform, Multiply, OutputTransform, POINTS, TILE, transform_weights,
};
use super::super::kernels::{Kernels, group};
use super::super::tensor::{BLOCK, Floats, Grid};
use super::{Expected, Kind, Numbers, Output, each_level, leaky, or_under_miri, rounded};

/// Points along one axis; the last is infinity.
pub(super) const ALONG: usize = TILE + 2;
/// The finite ones.
const FINITE: [f64; ALONG - 1] = [0.0, 0.625, -0.625, 1.5, -1.5];

/// The most roundings of a transform along both axes: five terms each, with a product and a sum per
/// term.
const TRANSFORM: usize = 20;

/// The coefficients of the product of `x - p` over the points, lowest first.
fn polynomial(points: impl Iterator<Item = f64>) -> [f64; ALONG] {
    let mut all = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for p in points {
        for i in (0..ALONG).rev() {
            all[i] = if i > 0 { all[i - 1] } else { 0.0 } - p * all[i];
        }
    }
    all
}

/// The factor of each input at each point: Lagrange polynomials without their normalisation, which
/// is part of the weights.
pub(super) fn input_factors() -> [[f64; ALONG]; ALONG] {
    std::array::from_fn(|i| {
        polynomial(FINITE.into_iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| p))
    })
}

/// The factor of each point in each output: its powers.
pub(super) fn output_factors() -> [[f64; ALONG]; TILE] {
    std::array::from_fn(|k| {
        std::array::from_fn(|i| match FINITE.get(i) {
            Some(p) => p.powi(k as i32),
            None => f64::from(u8::from(k == TILE - 1)),
        })
    })
}

/// The factor of each tap at each point.
pub(super) fn tap_factors() -> [[f64; 3]; ALONG] {
    std::array::from_fn(|i| match FINITE.get(i) {
        Some(p) => {
            let others = FINITE.into_iter().filter(|q| q != p);
            let scale: f64 = others.map(|q| p - q).product();
            [1.0 / scale, p / scale, p * p / scale]
        }
        None => [0.0, 0.0, 1.0],
    })
}

/// The sum of values times their factors along both axes, and of the magnitudes. Values of factor 0
/// are ignored.
fn sum<const N: usize>(
    down: &[f64; N],
    across: &[f64; N],
    of: impl Fn(usize, usize) -> f32,
) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (y, x) in (0..N).flat_map(|y| (0..N).map(move |x| (y, x))) {
        let counts = down[y] * across[x];
        if counts != 0.0 {
            let term = counts * f64::from(of(y, x));
            sums = (sums.0 + term, sums.1 + term.abs());
        }
    }
    sums
}

fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().take(if cfg!(miri) { 1 } else { Kind::ALL.len() })
}

fn check_input_transform(kernels: &Kernels, size: (usize, usize), tiles: Range<usize>, kind: Kind) {
    let grid = Grid::new(3 * BLOCK, size);
    let across = size.1.div_ceil(TILE);
    let src = Numbers(7).floats(grid.len(), kind);
    let (tile, blocks) = (grid.padded_channels() + BLOCK, 1..or_under_miri(3, 2));
    let point = tiles.len() * tile + BLOCK;
    let mut out = Output::new(POINTS * point);
    let args = InputTransform {
        src: src.as_ptr().wrapping_add(grid.origin()),
        row: grid.row(),
        plane: grid.plane(),
        blocks: blocks.clone(),
        across,
        tiles: tiles.clone(),
        to: out.at(),
        point,
        tile,
    };
    // SAFETY: the map has all tiles and its margin, and there is room for all points.
    unsafe { (kernels.input_transform)(&args) };

    let counts = input_factors();
    for (i, t) in tiles.clone().enumerate() {
        for channel in blocks.start * BLOCK..blocks.end * BLOCK {
            let of = |y: usize, x: usize| {
                let (y, x) = (t / across * TILE + y, t % across * TILE + x);
                let at = channel / BLOCK * grid.plane() + y * grid.row() + x * BLOCK;
                src.as_slice()[at + channel % BLOCK]
            };
            for p in 0..POINTS {
                let (value, magnitude) = sum(&counts[p / ALONG], &counts[p % ALONG], of);
                let tolerance = rounded(TRANSFORM, magnitude);
                out.expect(p * point + i * tile + channel, Expected::new(value, tolerance));
            }
        }
    }
    out.check(&format!("{} {size:?}, tiles {tiles:?} of {kind:?}", kernels.level));
}

#[test]
fn input_transform_matches_the_definition() {
    for kernels in each_level() {
        for kind in kinds() {
            check_input_transform(&kernels, (5, 6), 2..4, kind);
            if !cfg!(miri) {
                check_input_transform(&kernels, (1, 1), 0..1, kind);
                check_input_transform(&kernels, (8, 11), 2..5, kind);
            }
        }
        check_input_transform(&kernels, (4, 4), 1..1, Kind::Usual);
    }
}

fn check_multiply(
    kernels: &Kernels,
    vectors: usize,
    tiles: usize,
    points: Range<usize>,
    kind: Kind,
) {
    let (channels, outputs) = (or_under_miri(2, 1) * BLOCK, vectors * BLOCK);
    let mut numbers = Numbers(tiles as u64);
    let (from_point, to_point) = (tiles * channels + BLOCK, tiles * outputs + 2 * BLOCK);
    let from = numbers.floats(points.end * from_point, kind);
    let weights = if kind == Kind::NotFinite { Kind::Usual } else { kind };
    let weights = numbers.floats(points.end * channels * outputs, weights);
    let of_a_group = group(kernels.level.most_vectors(), vectors);
    let mut out = Output::new(points.end * to_point);
    let args = Multiply {
        from: from.as_ptr(),
        from_point,
        from_tile: channels,
        channels,
        weights: weights.as_ptr(),
        vectors,
        points: points.clone(),
        tiles,
        to: out.at(),
        to_point,
    };
    // SAFETY: the memory has all tiles, and room for their products.
    unsafe { (kernels.multiply)(&args) };

    for (p, t) in points.clone().flat_map(|p| (0..tiles).map(move |t| (p, t))) {
        for output in 0..outputs {
            let (vector, lane) = (output / BLOCK, output % BLOCK);
            let (mut value, mut magnitude) = (0.0, 0.0);
            for c in 0..channels {
                let in_group = (vector / of_a_group * channels + c) * of_a_group;
                let w = (p * channels * vectors + in_group + vector % of_a_group) * BLOCK + lane;
                let v = from.as_slice()[p * from_point + t * channels + c];
                let product = f64::from(v) * f64::from(weights.as_slice()[w]);
                value += product;
                magnitude += product.abs();
            }
            let tolerance = rounded(2 * channels, magnitude);
            out.expect(p * to_point + t * outputs + output, Expected::new(value, tolerance));
        }
    }
    out.check(&format!("{} {vectors} vectors, {tiles} tiles of {kind:?}", kernels.level));
}

#[test]
fn products_match_the_definition() {
    for kernels in each_level() {
        for vectors in 1..=or_under_miri(12, 2) {
            for tiles in 1..=or_under_miri(26, 3) {
                check_multiply(&kernels, vectors, tiles, 1..3, Kind::Usual);
            }
        }
        for kind in kinds() {
            check_multiply(&kernels, 2, 7, 0..2, kind);
        }
        check_multiply(&kernels, 1, 2, 0..POINTS, Kind::Usual);
        check_multiply(&kernels, 1, 0, 0..1, Kind::Usual);
    }
}

fn check_output_transform(
    kernels: &Kernels,
    size: (usize, usize),
    tiles: Range<usize>,
    added: bool,
    kind: Kind,
) {
    let grid = Grid::new(3 * BLOCK, size);
    let across = size.1.div_ceil(TILE);
    let mut numbers = Numbers(size.0 as u64);
    let (tile, blocks) = (grid.padded_channels() + BLOCK, 1..or_under_miri(3, 2));
    let point = tiles.len() * tile + BLOCK;
    let from = numbers.floats(POINTS * point, kind);
    let bias = numbers.floats(grid.padded_channels(), kind);
    let add = numbers.floats(grid.len(), kind);
    let mut out = Output::new(grid.len());
    let first = grid.origin();
    let args = OutputTransform {
        from: from.as_ptr(),
        point,
        tile,
        bias: bias.as_ptr(),
        add: if added { add.as_ptr().wrapping_add(first) } else { std::ptr::null() },
        blocks: blocks.clone(),
        across,
        tiles: tiles.clone(),
        height: grid.height,
        width: grid.width,
        to: Place { at: out.at().wrapping_add(first), row: grid.row(), plane: grid.plane() },
    };
    // SAFETY: the memory has the points of all tiles, and room for the whole grid.
    unsafe { (kernels.output_transform)(&args) };

    let counts = output_factors();
    for (i, t) in tiles.clone().enumerate() {
        for (dy, dx) in (0..TILE).flat_map(|y| (0..TILE).map(move |x| (y, x))) {
            let (y, x) = (t / across * TILE + dy, t % across * TILE + dx);
            if y >= grid.height || x >= grid.width {
                continue;
            }
            for channel in blocks.start * BLOCK..blocks.end * BLOCK {
                let of = |y: usize, x: usize| {
                    from.as_slice()[(y * ALONG + x) * point + i * tile + channel]
                };
                let (mut value, mut magnitude) = sum(&counts[dy], &counts[dx], of);
                let at = channel / BLOCK * grid.plane() + y * grid.row() + x * BLOCK;
                let at = first + at + channel % BLOCK;
                let added = if added { add.as_slice()[at] } else { 0.0 };
                for v in [bias.as_slice()[channel], added].map(f64::from) {
                    value += v;
                    magnitude += v.abs();
                }
                let tolerance = rounded(TRANSFORM + 3, magnitude);
                out.expect(at, Expected::new(leaky(value), tolerance));
            }
        }
    }
    out.check(&format!("{} {size:?}, tiles {tiles:?} of {kind:?}", kernels.level));
}

#[test]
fn output_transform_matches_the_definition() {
    for kernels in each_level() {
        for kind in kinds() {
            check_output_transform(&kernels, (5, 6), 2..4, true, kind);
            if !cfg!(miri) {
                check_output_transform(&kernels, (1, 1), 0..1, false, kind);
                check_output_transform(&kernels, (7, 11), 2..5, true, kind);
            }
        }
        for size in
            (1..=8usize).flat_map(|h| (1..=8usize).map(move |w| (h, w))).take(or_under_miri(64, 2))
        {
            let tiles = size.0.div_ceil(TILE) * size.1.div_ceil(TILE);
            check_output_transform(&kernels, size, 0..tiles, false, Kind::Usual);
        }
    }
}

#[test]
fn weight_transform_matches_the_definition() {
    let (outputs, inputs) = (3, 2);
    let taps: Floats = Numbers(1).floats(outputs * inputs * 9, Kind::Usual);
    let mut all = Vec::new();
    transform_weights(taps.as_slice(), &mut all);
    assert_eq!(all.len(), POINTS * outputs * inputs);
    let counts = tap_factors();
    for (i, got) in all.iter().enumerate() {
        let (p, pair) = (i / (outputs * inputs), i % (outputs * inputs));
        let of = |y: usize, x: usize| taps.as_slice()[pair * 9 + y * 3 + x];
        let (value, magnitude) = sum(&counts[p / ALONG], &counts[p % ALONG], of);
        // Computed in F64 and rounded once.
        let expected = Expected::new(value, rounded(1, magnitude));
        assert!(expected.admits(*got), "weight {i} is {got}, expected {expected:?}");
    }
}
