//! Structural similarity (Wang et al. 2004) with the usual parameters: Gaussian window of 11x11,
//! sigma 1.5, K1 0.01, K2 0.03, population covariance, data range 1. Matches scikit-image's
//! `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
//! data_range=1)`.

use rayon::prelude::*;

use crate::subject::Size;

/// Side of the window, in px. SSIM is undefined for smaller frames.
pub const SSIM_WINDOW: usize = 2 * RADIUS + 1;

const RADIUS: usize = 5;
const SIGMA: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;
/// Rows per task: few enough for the buffers to stay in cache, many enough to amortize the rows
/// that neighbouring tasks both filter.
const STRIP_ROWS: usize = 32;
/// The window's means of a, b, a², b² and ab.
const MOMENTS: usize = 5;

/// Mean SSIM of two planar RGB frames `[3, height, width]`: the mean over the channels of the mean
/// over all windows inside the frame (scikit-image crops the border as well).
///
/// # Panics
/// If a side is shorter than [`SSIM_WINDOW`] or a slice shorter than the frame.
pub fn ssim(size: Size, a: &[f32], b: &[f32]) -> f64 {
    let Size { width, height } = size;
    assert!(width >= SSIM_WINDOW && height >= SSIM_WINDOW, "{size} is smaller than the window");
    let kernel = half_kernel();
    let rows = height - 2 * RADIUS;

    let strips: Vec<(usize, usize)> = (0..3)
        .flat_map(|c| (0..rows).step_by(STRIP_ROWS).map(move |row| (c * height + row, row)))
        .collect();
    // Collected in order before adding, so that the sum does not depend on the thread count.
    let sums: Vec<f64> = strips
        .into_par_iter()
        .map(|(first_row, row)| {
            let count = STRIP_ROWS.min(rows - row);
            let input = first_row * width..(first_row + count + 2 * RADIUS) * width;
            strip(&kernel, width, &a[input.clone()], &b[input])
        })
        .collect();
    sums.iter().sum::<f64>() / (3 * rows * (width - 2 * RADIUS)) as f64
}

/// The centre and one side of the normalised Gaussian.
fn half_kernel() -> [f64; RADIUS + 1] {
    let mut kernel: [f64; RADIUS + 1] =
        std::array::from_fn(|i| (-((i * i) as f64) / (2.0 * SIGMA * SIGMA)).exp());
    let sum = kernel[0] + 2.0 * kernel[1..].iter().sum::<f64>();
    kernel.iter_mut().for_each(|k| *k /= sum);
    kernel
}

/// Sum of SSIM over the windows inside a strip of rows of `width`.
fn strip(kernel: &[f64; RADIUS + 1], width: usize, a: &[f32], b: &[f32]) -> f64 {
    let inner = width - 2 * RADIUS;
    let in_rows = a.len() / width;

    // Every input row filtered along x: `[moment, row, inner]`.
    let mut along_x = vec![0.0; MOMENTS * in_rows * inner];
    let mut raw = vec![0.0; width];
    for row in 0..in_rows {
        let (a, b) = (&a[row * width..][..width], &b[row * width..][..width]);
        for moment in 0..MOMENTS {
            for ((raw, &a), &b) in raw.iter_mut().zip(a).zip(b) {
                let (a, b) = (f64::from(a), f64::from(b));
                *raw = [a, b, a * a, b * b, a * b][moment];
            }
            let out = &mut along_x[(moment * in_rows + row) * inner..][..inner];
            filter(kernel, out, |tap| &raw[tap..][..inner]);
        }
    }

    let mut means = vec![0.0; MOMENTS * inner];
    let mut sum = 0.0;
    for row in 0..in_rows - 2 * RADIUS {
        for (moment, out) in means.chunks_exact_mut(inner).enumerate() {
            let first = moment * in_rows + row;
            filter(kernel, out, |tap| &along_x[(first + tap) * inner..][..inner]);
        }
        for x in 0..inner {
            let [ma, mb, aa, bb, ab] = std::array::from_fn(|m| means[m * inner + x]);
            let (var_a, var_b, covariance) = (aa - ma * ma, bb - mb * mb, ab - ma * mb);
            sum += (2.0 * ma * mb + C1) * (2.0 * covariance + C2)
                / ((ma * ma + mb * mb + C1) * (var_a + var_b + C2));
        }
    }
    sum
}

/// `out = sum over taps of kernel * input(tap)`, using the kernel's symmetry.
fn filter<'a>(kernel: &[f64; RADIUS + 1], out: &mut [f64], input: impl Fn(usize) -> &'a [f64]) {
    for (out, &v) in out.iter_mut().zip(input(RADIUS)) {
        *out = kernel[0] * v;
    }
    for (i, &k) in kernel.iter().enumerate().skip(1) {
        for ((out, &v), &w) in out.iter_mut().zip(input(RADIUS - i)).zip(input(RADIUS + i)) {
            *out += k * (v + w);
        }
    }
}
