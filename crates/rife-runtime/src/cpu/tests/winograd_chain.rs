//! Compares a whole Winograd convolution with a direct one.

use super::super::kernels::Kernels;
use super::super::kernels::direct::Place;
use super::super::kernels::winograd::{
    InputTransform, Multiply, OutputTransform, POINTS, TILE, transform_weights,
};
use super::super::tensor::{BLOCK, Floats, Grid};
use super::{Expected, Kind, Numbers, Output, ROUNDING, each_level, leaky, or_under_miri};

/// The tolerance of outputs, in roundings of the root of the sum of the squared terms, since the
/// rounding errors are practically independent. The worst case is 124; a wrong product gives about
/// a million.
const ROUNDINGS: f64 = 300.0;

fn check(kernels: &Kernels, size: (usize, usize), residual: bool, kind: Kind) {
    let channels = or_under_miri(2, 1) * BLOCK;
    let grid = Grid::new(channels, size);
    let (across, down) = (size.1.div_ceil(TILE), size.0.div_ceil(TILE));
    let (tiles, first) = (across * down, grid.origin());
    let mut numbers = Numbers(3);
    let mut src = numbers.floats(grid.len(), kind);
    src.as_mut_slice().chunks_exact_mut(grid.plane()).for_each(|plane| grid.clear_margin(plane));
    let taps = numbers.floats(channels * channels * 9, kind);
    let bias = numbers.floats(channels, kind);
    let most = kernels.level.most_vectors();
    let mut weights = Floats::zeros(POINTS * channels * channels).unwrap();
    let mut at_points = Vec::new();
    transform_weights(taps.as_slice(), &mut at_points);
    for (to, from) in weights
        .as_mut_slice()
        .chunks_exact_mut(channels * channels)
        .zip(at_points.chunks_exact(channels * channels))
    {
        let ordered = super::direct::ordered(from, 1, channels, channels / BLOCK, most);
        to.copy_from_slice(ordered.as_slice());
    }
    let point = tiles * channels;
    let mut points = Output::new(POINTS * point);
    let mut products = Output::new(POINTS * point);
    let mut out = Output::new(grid.len());
    let blocks = 0..grid.blocks();
    let origin = src.as_ptr().wrapping_add(first);
    let input_transform = InputTransform {
        src: origin,
        row: grid.row(),
        plane: grid.plane(),
        blocks: blocks.clone(),
        across,
        tiles: 0..tiles,
        to: points.at(),
        point,
        tile: channels,
    };
    let multiply = Multiply {
        from: points.at(),
        from_point: point,
        from_tile: channels,
        channels,
        weights: weights.as_ptr(),
        vectors: channels / BLOCK,
        points: 0..POINTS,
        tiles,
        to: products.at(),
        to_point: point,
    };
    let output_transform = OutputTransform {
        from: products.at(),
        point,
        tile: channels,
        bias: bias.as_ptr(),
        add: if residual { origin } else { std::ptr::null() },
        blocks,
        across,
        tiles: 0..tiles,
        height: size.0,
        width: size.1,
        to: Place { at: out.at().wrapping_add(first), row: grid.row(), plane: grid.plane() },
    };
    // SAFETY: each buffer holds all tiles, the source has its margin.
    unsafe {
        (kernels.input_transform)(&input_transform);
        (kernels.multiply)(&multiply);
        (kernels.output_transform)(&output_transform);
    }

    // Every input of a tile contributes to every point, so use the largest magnitude.
    let largest = src.as_slice().iter().fold(0.0f64, |most, v| most.max(f64::from(*v).abs()));
    for (y, x) in (0..size.0).flat_map(|y| (0..size.1).map(move |x| (y, x))) {
        for o in 0..channels {
            let mut value = f64::from(bias.as_slice()[o]);
            let mut squares = value * value;
            let of_pixel =
                |c: usize| c / BLOCK * grid.plane() + y * grid.row() + x * BLOCK + c % BLOCK;
            for (c, tap) in (0..channels).flat_map(|c| (0..9).map(move |tap| (c, tap))) {
                let at = first + of_pixel(c) + tap / 3 * grid.row() + tap % 3 * BLOCK;
                let v = f64::from(src.as_slice()[at - grid.row() - BLOCK]);
                let w = f64::from(taps.as_slice()[(o * channels + c) * 9 + tap]);
                value += v * w;
                squares += (largest * w).powi(2);
            }
            let at = first + of_pixel(o);
            if residual {
                value += f64::from(src.as_slice()[at]);
            }
            let tolerance = ROUNDINGS * ROUNDING * squares.sqrt();
            out.expect(at, Expected::new(leaky(value), tolerance));
        }
    }
    out.check(&format!("{} {size:?} of {kind:?}", kernels.level));
}

#[test]
fn winograd_matches_the_direct_convolution() {
    for kernels in each_level() {
        let all =
            [((1, 1), true), ((3, 5), false), ((5, 9), false), ((8, 12), true), ((3, 14), true)];
        for (size, residual) in all.into_iter().take(or_under_miri(all.len(), 2)) {
            check(&kernels, size, residual, Kind::Usual);
            if !cfg!(miri) {
                check(&kernels, size, residual, Kind::Negative);
                check(&kernels, size, residual, Kind::Huge);
                check(&kernels, size, residual, Kind::Zeros);
            }
        }
    }
}
