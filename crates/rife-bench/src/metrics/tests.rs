use proptest::prelude::*;

use super::*;
use crate::hash::hash32;

/// Seed, width, height and noise.
type Image = (u32, usize, usize, u32);

/// Output of `tools/metrics_reference.py`: (seed, width, height, noise), then PSNR, SSIM, largest
/// error, mean error and share of differing pixels.
#[rustfmt::skip]
const REFERENCE: [(Image, [f64; 5]); 4] = [
    ((1, 11, 11, 3), [43.210082243, 0.994862563, 0.011718750, 0.005186811, 0.950413223]),
    ((2, 16, 40, 1), [51.166060873, 0.999343239, 0.003906250, 0.001957194, 0.871875000]),
    ((3, 61, 47, 20), [28.197174923, 0.897091792, 0.078125000, 0.028946489, 0.983606557]),
    ((4, 96, 64, 90), [15.912756527, 0.400037107, 0.351562500, 0.116579692, 0.984049479]),
];

/// The images of `tools/metrics_reference.py`.
fn pair(seed: u32, size: Size, noise: u32) -> (Vec<f32>, Vec<f32>) {
    let Size { width, height } = size;
    let sample = |i: usize| {
        let (c, y, x) = (i / size.pixels(), i / width % height, i % width);
        let h = hash32(seed.wrapping_mul(0x9E37_79B1).wrapping_add(i as u32));
        let v = ((x * 3 + y * 5 + c * 40) as u32 + h % 48) % 256;
        let e = if (h >> 20).is_multiple_of(4) {
            0
        } else {
            ((h >> 8) % (2 * noise + 1)) as i32 - noise as i32
        };
        let noisy = (v as i32 + e).clamp(0, 255);
        (v as f32 / 256.0, noisy as f32 / 256.0)
    };
    (0..size.samples()).map(sample).unzip()
}

#[test]
fn metrics_match_scikit_image() {
    for ((seed, width, height, noise), expected) in REFERENCE {
        let size = Size { width, height };
        let (a, b) = pair(seed, size, noise);
        let d = compare(size, &a, &b);
        let got = [d.psnr_db.0, d.ssim, d.max_error, d.mean_error, d.differing_8_bit_share];
        for (got, expected) in got.into_iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "seed {seed}: {got} for {expected}");
        }
    }
}

#[test]
fn ssim_does_not_depend_on_the_strips() {
    // Taller than several strips, and not a multiple of their height.
    let size = Size { width: 24, height: 150 };
    let (a, b) = pair(9, size, 12);
    let whole = ssim(size, &a, &b);
    let direct = ssim_by_definition(size, &a, &b);
    assert!((whole - direct).abs() < 1e-12, "{whole} for {direct}");
}

/// SSIM as defined in the paper, one window at a time.
fn ssim_by_definition(size: Size, a: &[f32], b: &[f32]) -> f64 {
    let gauss = |d: usize| (-((d as f64 - 5.0).powi(2)) / 4.5).exp();
    let total: f64 = (0..121).map(|i| gauss(i / 11) * gauss(i % 11)).sum();
    let (mut sum, mut windows) = (0.0, 0.0);
    for c in 0..3 {
        for y in 0..=size.height - 11 {
            for x in 0..=size.width - 11 {
                let mean = |f: &dyn Fn(f64, f64) -> f64| {
                    (0..121)
                        .map(|i| {
                            let at = (c * size.height + y + i / 11) * size.width + x + i % 11;
                            let weight = gauss(i / 11) * gauss(i % 11) / total;
                            weight * f(f64::from(a[at]), f64::from(b[at]))
                        })
                        .sum::<f64>()
                };
                let (ma, mb) = (mean(&|a, _| a), mean(&|_, b| b));
                let va = mean(&|a, _| (a - ma).powi(2));
                let vb = mean(&|_, b| (b - mb).powi(2));
                let cov = mean(&|a, b| (a - ma) * (b - mb));
                sum += (2.0 * ma * mb + 1e-4) * (2.0 * cov + 9e-4)
                    / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
                windows += 1.0;
            }
        }
    }
    sum / windows
}

#[test]
fn non_finite_samples_count_as_full_errors() {
    let size = Size { width: 16, height: 16 };
    let a = vec![0.5; size.samples()];
    let mut b = a.clone();
    b[3] = f32::NAN;
    b[300] = f32::INFINITY;
    let d = compare(size, &a, &b);
    assert_eq!((d.non_finite, d.max_error, d.ssim), (2, 1.0, 0.0));
    assert_eq!(d.differing_8_bit_share, 2.0 / 256.0);
    assert!(d.psnr_db.0.is_finite());
}

#[test]
fn rounding_to_8_bits_is_half_up_and_clamped() {
    let cases = [(-1.0, 0), (0.0, 0), (0.5, 128), (1.0, 255), (7.0, 255), (f32::NAN, 0)];
    for (v, expected) in cases {
        assert_eq!(to_8_bit(v), expected);
    }
    for v in 0..=255u8 {
        assert_eq!(to_8_bit(f32::from(v) / 255.0), v);
    }
}

#[test]
fn infinite_psnr_round_trips_through_json() {
    for psnr in [Psnr(f64::INFINITY), Psnr(41.25)] {
        let json = serde_json::to_string(&psnr).expect("JSON");
        assert_eq!(serde_json::from_str::<Psnr>(&json).expect("PSNR"), psnr);
    }
    assert_eq!(serde_json::to_string(&Psnr(f64::INFINITY)).expect("JSON"), "\"inf\"");
    assert!(serde_json::from_str::<Psnr>("\"many\"").is_err());
}

fn frames() -> impl Strategy<Value = (Size, Vec<f32>, Vec<f32>)> {
    (11usize..24, 11usize..50).prop_flat_map(|(width, height)| {
        let size = Size { width, height };
        let frame = || prop::collection::vec(0.0f32..=1.0, size.samples());
        (Just(size), frame(), frame())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn metrics_are_symmetric_and_bounded((size, a, b) in frames()) {
        let there = compare(size, &a, &b);
        prop_assert_eq!(there, compare(size, &b, &a));
        prop_assert!((-1.0..=1.0).contains(&there.ssim));
        prop_assert!((0.0..=1.0).contains(&there.mean_error));
        prop_assert!(there.mean_error <= there.max_error && there.max_error <= 1.0);
        prop_assert!((0.0..=1.0).contains(&there.differing_8_bit_share));
        prop_assert!(there.psnr_db.0 >= 0.0);
    }

    #[test]
    fn identical_frames_score_perfectly((size, a, _) in frames()) {
        let d = compare(size, &a, &a);
        prop_assert_eq!(d.psnr_db.0, f64::INFINITY);
        prop_assert!((d.ssim - 1.0).abs() < 1e-12);
        prop_assert_eq!((d.max_error, d.mean_error, d.differing_8_bit_share), (0.0, 0.0, 0.0));
    }
}
