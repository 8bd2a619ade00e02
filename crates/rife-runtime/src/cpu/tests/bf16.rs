//! Validates BF16 kernels with scalar rounding.

use half::bf16;

use super::super::kernels::peak::{Peak, peak_bf16};
use super::super::kernels::winograd::{
    InputTransform, Multiply, POINTS, input_transform_bf16, multiply_bf16,
};
use super::super::kernels::{Bf16Kernels, Kernels, group};
use super::super::lanes::{Portable, pair_of};
use super::super::level::Level;
use super::super::tensor::{BLOCK, Floats, Grid};
use super::{Kind, Numbers};

/// Both numbers of a pair.
fn of_pair(pair: f32) -> [f32; 2] {
    let bits = pair.to_bits();
    [bf16::from_bits(bits as u16).to_f32(), bf16::from_bits((bits >> 16) as u16).to_f32()]
}

/// The portable kernels and those of this CPU. Each comes with its number of vectors per group, and
/// with the F32 kernels of the same summation order.
fn all() -> impl Iterator<Item = (Bf16Kernels, usize, Kernels)> {
    // SAFETY: as documented on the kernels; the portable ones run on any CPU.
    unsafe fn input_transform(args: &InputTransform) {
        // SAFETY: guaranteed by the caller.
        unsafe { input_transform_bf16::<Portable>(args) }
    }
    unsafe fn multiply(args: &Multiply) {
        // SAFETY: guaranteed by the caller.
        unsafe { multiply_bf16::<Portable>(args) }
    }
    unsafe fn peak(args: &Peak<'_>) {
        // SAFETY: guaranteed by the caller.
        unsafe { peak_bf16::<Portable>(args) }
    }
    let portable = (Bf16Kernels { input_transform, multiply, peak }, Level::Scalar);
    let here = Bf16Kernels::of(Level::detected()).map(|kernels| (kernels, Level::detected()));
    [portable]
        .into_iter()
        .chain(here)
        .map(|(kernels, level)| (kernels, level.most_vectors(), Kernels::of(level)))
}

#[test]
fn input_transform_matches_f32_rounded_to_bf16() {
    let grid = Grid::new(32, (6, 9));
    let (across, tiles) = (3, 6);
    for (kernels, _, f32) in all() {
        for kind in [Kind::Usual, Kind::Zeros, Kind::Huge] {
            let map = Numbers(5).floats(grid.len(), kind);
            let points = |channels: usize, kernel: unsafe fn(&InputTransform)| {
                let mut to = Floats::zeros(POINTS * tiles * channels).unwrap();
                let args = InputTransform {
                    src: map.as_ptr().wrapping_add(grid.origin()),
                    row: grid.row(),
                    plane: grid.plane(),
                    blocks: 0..grid.blocks(),
                    across,
                    tiles: 0..tiles,
                    to: to.as_mut_ptr(),
                    point: tiles * channels,
                    tile: channels,
                };
                // SAFETY: the map has its margin, and there is room for all points.
                unsafe { kernel(&args) };
                to
            };
            let (exact, pairs) =
                (points(32, f32.input_transform), points(16, kernels.input_transform));
            let pairs: Vec<f32> = pairs.as_slice().iter().flat_map(|p| of_pair(*p)).collect();
            let rounded = exact.as_slice().iter().map(|v| bf16::from_f32(*v).to_f32());
            assert!(rounded.eq(pairs), "{kind:?} at {}", f32.level);
        }
    }
}

#[test]
fn products_match_bf16_inputs_with_f32_sums() {
    for (kernels, most, f32) in all() {
        for (channels, vectors, tiles) in [(32, 1, 7), (96, 6, 13), (64, 4, 6), (64, 2, 1)] {
            let mut numbers = Numbers(7);
            let mut pairs = |len: usize| {
                let mut floats = Floats::zeros(len).unwrap();
                let pair = |_: &f32| pair_of(numbers.unit(), numbers.unit());
                let all: Vec<f32> = floats.as_slice().iter().map(pair).collect();
                floats.as_mut_slice().copy_from_slice(&all);
                floats
            };
            let half = channels / 2;
            let (from, weights) =
                (pairs(POINTS * tiles * half), pairs(POINTS * half * vectors * BLOCK));
            let mut to = Floats::zeros(POINTS * tiles * vectors * BLOCK).unwrap();
            let args = Multiply {
                from: from.as_ptr(),
                from_point: tiles * half,
                from_tile: half,
                channels: half,
                weights: weights.as_ptr(),
                vectors,
                points: 0..POINTS,
                tiles,
                to: to.as_mut_ptr(),
                to_point: tiles * vectors * BLOCK,
            };
            // SAFETY: each buffer has the length of its points, tiles, channels and vectors.
            unsafe { (kernels.multiply)(&args) };
            let width = group(most, vectors) * BLOCK;
            for (i, got) in to.as_slice().iter().enumerate() {
                let output = i % (vectors * BLOCK);
                let (tile, point) = (i / (vectors * BLOCK) % tiles, i / (vectors * BLOCK) / tiles);
                let weights = &weights.as_slice()[point * half * vectors * BLOCK..];
                let of_a_group = &weights[output / width * half * width..];
                let (mut sum, mut magnitude) = (0.0, 0.0);
                for k in 0..half {
                    let a = of_pair(from.as_slice()[(point * tiles + tile) * half + k]);
                    let b = of_pair(of_a_group[k * width + output % width]);
                    for (a, b) in a.into_iter().zip(b) {
                        sum += f64::from(a) * f64::from(b);
                        magnitude += f64::from(a * b).abs();
                    }
                }
                let off = (f64::from(*got) - sum).abs();
                let tolerance = super::rounded(channels + 1, magnitude);
                assert!(
                    off <= tolerance,
                    "{}: got {got}, expected {sum}, {channels} channels",
                    f32.level
                );
            }
        }
    }
}
