//! Validates blending and its parts with their definitions.

use super::super::kernels::Kernels;
use super::super::kernels::picture::{Blend, scratch_len, taps};
use super::super::tensor::BLOCK;
use super::scene::{Flow, Scene, position};
use super::{Expected, Output, each_level, or_under_miri, rounded};

/// The logistic function is accurate to a few units in the last place, near one to 2^-24.
const SIGMOID: f64 = 4.0;
/// F32 has no or almost no number between the function and 0 here.
const SMALLEST: f64 = 2e-38;

fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

fn check(kernels: &Kernels, scene: &Scene, y: usize, columns: usize, what: &str) {
    let estimates: Vec<_> = scene.sources.iter().map(|s| s.estimates()).collect();
    let stride = columns.next_multiple_of(BLOCK);
    let mut out = Output::new(3 * stride);
    let scratch_len = scratch_len(scene.widths(), scene.width);
    let mut scratch = Output::new(scratch_len);
    let args = Blend {
        frames: scene.frames(),
        estimates: &estimates,
        y,
        columns,
        to: out.at(),
        scratch: scratch.at(),
    };
    // SAFETY: the scene is complete, and there is room for the row and for the scratch memory.
    unsafe { (kernels.blend)(&args) };

    for x in 0..columns {
        let mask = scene.estimates_before((y, x), 4);
        let weight = sigmoid(mask.value);
        let off = match mask.tolerance {
            f64::INFINITY => f64::INFINITY,
            by => sigmoid(mask.value + by) - sigmoid(mask.value - by),
        };
        for channel in 0..3 {
            let [a, b] = [0, 1].map(|side| scene.warped(side, (y, x), channel));
            let value = b.value + (a.value - b.value) * weight;
            let tolerance = a.tolerance + b.tolerance + 2.0 * off + rounded(3 + 4, 2.0);
            out.expect(channel * stride + x, Expected::new(value, tolerance));
        }
    }
    let what = format!("{} {what}, row {y}, {columns} columns", kernels.level);
    out.check(&what);
    scratch.check_around(scratch_len, &what);
}

#[test]
fn blended_rows_match_for_any_flow() {
    let size = (6, or_under_miri(44, 18));
    for kernels in each_level() {
        for flow in Flow::ALL {
            let all = [(7, &[1.0][..]), (3, &[2.0, 1.0]), (7, &[2.0, 1.0, 0.5])];
            for (lanes, divisors) in all.into_iter().take(or_under_miri(3, 1)) {
                let scene = Scene::new(5, size, lanes, divisors, false, flow);
                for y in [5, 0, 3].into_iter().take(or_under_miri(3, 1)) {
                    check(&kernels, &scene, y, size.1, &format!("{flow:?} {divisors:?}"));
                }
            }
        }
        let scene = Scene::new(6, size, 4, &[2.0], false, Flow::Usual);
        for columns in 1..=or_under_miri(size.1, 2) {
            check(&kernels, &scene, 2, columns, "a part");
        }
    }
}

/// Between a white and a black frame, the result is the weight itself.
#[test]
fn weights_are_the_logistic_function_of_the_mask() {
    let width = or_under_miri(4096, 64);
    for kernels in each_level() {
        let special = [0.0, -0.0, 1e-30, -1e-30, 1e-42, 1e4, -1e4, 1e38, -1e38, f32::NAN, 1.0];
        let reach = 100.0 / width as f32;
        let sweep = (0..width).map(|i| reach * (2 * i) as f32 - 100.0);
        let masks: Vec<f32> = special.into_iter().chain(sweep).take(width).collect();
        let scene = Scene::of_masks(&masks);
        let estimates = [scene.sources[0].estimates()];
        let mut out = Output::new(3 * width);
        let mut scratch = Output::new(scratch_len(scene.widths(), width));
        let args = Blend {
            frames: scene.frames(),
            estimates: &estimates,
            y: 0,
            columns: width,
            to: out.at(),
            scratch: scratch.at(),
        };
        // SAFETY: as above.
        unsafe { (kernels.blend)(&args) };
        for x in 0..width {
            let value = sigmoid(scene.estimates_before((0, x), 4).value);
            let expected = Expected::new(value, SIGMOID * 2.0 * super::ROUNDING * value + SMALLEST);
            (0..3).for_each(|channel| out.expect(channel * width + x, expected));
        }
        out.check(kernels.level.as_str());
    }
}

#[test]
fn taps_match_pytorch() {
    for (from, to) in [(1, 1), (1, 4), (4, 1), (2, 32), (32, 2), (48, 48), (48, 96), (7, 3)] {
        let all = taps(from, to);
        assert_eq!(all.len(), to);
        for (i, tap) in all.into_iter().enumerate() {
            let [(first, _), (second, weight)] = position(from, to, i);
            // Samples with weight 0 must not be read.
            let second = if weight == 0.0 { first } else { second };
            assert_eq!(
                (tap.first as usize, tap.second as usize),
                (first, second),
                "{from} {to} {i}"
            );
            assert!(Expected::new(weight, rounded(1, 1.0)).admits(tap.weight), "{from} {to} {i}");
        }
    }
}
