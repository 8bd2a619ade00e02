//! The reference implementation of the conversions, one sample at a time.

use super::{Chroma, FrameSize, Matrix, Siting, YuvFormat};

/// The position of chroma along an axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Along {
    Every,
    Even,
    Between,
    Odd,
}

fn along(format: YuvFormat) -> (Along, Along) {
    use Along::{Between, Even, Every, Odd};
    let across = match format.siting {
        Siting::Left | Siting::TopLeft | Siting::BottomLeft => Even,
        _ => Between,
    };
    let down = match format.siting {
        Siting::Left | Siting::Center => Between,
        Siting::TopLeft | Siting::Top => Even,
        _ => Odd,
    };
    match format.chroma {
        Chroma::Yuv420 => (across, down),
        Chroma::Yuv422 => (across, Every),
        _ => (Every, Every),
    }
}

/// A line of chroma, interpolated at `n` luma positions.
fn up(c: &[f32], along: Along, n: usize) -> Vec<f32> {
    let c = |i: isize| c[i.clamp(0, c.len() as isize - 1) as usize];
    let at = |x: usize| {
        let (i, odd) = (x as isize / 2, x % 2 == 1);
        match along {
            Along::Every => c(x as isize),
            Along::Even if odd => (c(i) + c(i + 1)) / 2.0,
            Along::Odd if !odd => (c(i - 1) + c(i)) / 2.0,
            Along::Even | Along::Odd => c(i),
            Along::Between if odd => 0.75 * c(i) + 0.25 * c(i + 1),
            Along::Between => 0.25 * c(i - 1) + 0.75 * c(i),
        }
    };
    (0..n).map(at).collect()
}

/// The line of chroma that a line at luma positions is filtered to.
fn down(u: &[f32], along: Along) -> Vec<f32> {
    let n = u.len();
    if along == Along::Every {
        return u.to_vec();
    }
    let inside = |x: isize| u[x.clamp(0, n as isize - 1) as usize];
    let last = |i: usize| n % 2 == 1 && i == n / 2;
    let at = |i: usize| {
        let x = 2 * i as isize;
        match along {
            Along::Between if last(i) => inside(x - 1) * -0.5 + inside(x) * 1.5,
            Along::Between => {
                inside(x - 1) * -0.25
                    + inside(x) * 0.75
                    + inside(x + 1) * 0.75
                    + inside(x + 2) * -0.25
            }
            Along::Even => {
                inside(x - 2) * -0.125
                    + inside(x - 1) * 0.25
                    + inside(x) * 0.75
                    + inside(x + 1) * 0.25
                    + inside(x + 2) * -0.125
            }
            // Like even positions, mirrored; extrapolated if the last chroma sample is beyond the
            // end.
            _ if last(i) => inside(x) * 2.0 - inside(x - 1),
            _ if n % 2 == 1 && i + 1 == n / 2 => {
                inside(x - 1) * -0.125 + inside(x) * 0.25 + inside(x + 1) * 0.875
            }
            _ => {
                inside(x - 1) * -0.125
                    + inside(x) * 0.25
                    + inside(x + 1) * 0.75
                    + inside(x + 2) * 0.25
                    + inside(x + 3) * -0.125
            }
        }
    };
    (0..n.div_ceil(2)).map(at).collect()
}

fn transposed(plane: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|x| plane.iter().skip(x).step_by(width).copied()).collect()
}

/// The luma coefficients of red and blue.
fn shares(matrix: Matrix) -> (f64, f64) {
    match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
        Matrix::Smpte240m => (0.212, 0.087),
        Matrix::Fcc => (0.30, 0.11),
        // The coefficient of green is the remainder to 1.
        Matrix::YCgCo => (0.25, 0.25),
    }
}

fn to_rgb(matrix: Matrix, y: f32, u: f32, v: f32) -> [f32; 3] {
    if matrix == Matrix::YCgCo {
        return [y + (v - u), y + u, y + (-u - v)];
    }
    let (red, blue) = shares(matrix);
    let green = 1.0 - red - blue;
    let (of_u, of_v) = (2.0 * (1.0 - blue), 2.0 * (1.0 - red));
    let (gu, gv) = ((-of_u * blue / green) as f32, (-of_v * red / green) as f32);
    [y + of_v as f32 * v, y + (gu * u + gv * v), y + of_u as f32 * u]
}

fn to_yuv(matrix: Matrix, [r, g, b]: [f32; 3]) -> [f32; 3] {
    let (red, blue) = shares(matrix);
    let green = 1.0 - red - blue;
    let sum = |by: [f64; 3]| r * by[0] as f32 + g * by[1] as f32 + b * by[2] as f32;
    let y = sum([red, green, blue]);
    if matrix == Matrix::YCgCo {
        return [y, sum([-0.25, 0.5, -0.25]), sum([0.5, 0.0, -0.5])];
    }
    let (u, v) = (2.0 * (1.0 - blue), 2.0 * (1.0 - red));
    [y, sum([-red / u, -green / u, 0.5]), sum([0.5, -green / v, -blue / v])]
}

/// The zero of luma and of chroma, and the samples from it to 1.
fn range(format: YuvFormat) -> [(f32, f32); 2] {
    let step = f32::from(1_u16 << (format.depth - 8));
    let most = 256.0 * step - 1.0;
    match format.full_range {
        true => [(0.0, most), (128.0 * step, most)],
        false => [(16.0 * step, 219.0 * step), (128.0 * step, 224.0 * step)],
    }
}

/// The samples of a YUV frame as planes of red, green and blue in [0, 1].
pub(crate) fn planes_reference(size: FrameSize, format: YuvFormat, samples: &[u16]) -> Vec<f32> {
    let (w, h, n) = (size.width, size.height, size.pixels());
    let [(luma_zero, luma_one), (chroma_zero, chroma_one)] = range(format);
    let (across, along) = along(format);
    let chroma = |plane: usize| -> Vec<f32> {
        if format.chroma == Chroma::Gray {
            return vec![0.0; n];
        }
        let width = if across == Along::Every { w } else { w.div_ceil(2) };
        let height = if along == Along::Every { h } else { h.div_ceil(2) };
        let stored = &samples[n + plane * width * height..][..width * height];
        let stored: Vec<f32> = stored.iter().map(|v| f32::from(*v) - chroma_zero).collect();
        let wide: Vec<f32> = stored.chunks_exact(width).flat_map(|c| up(c, across, w)).collect();
        let wide = transposed(&wide, w);
        let whole: Vec<f32> = wide.chunks_exact(height).flat_map(|c| up(c, along, h)).collect();
        transposed(&whole, h)
    };
    let (u, v) = (chroma(0), chroma(1));
    let mut planes = vec![0.0; 3 * n];
    for i in 0..n {
        let y = (f32::from(samples[i]) - luma_zero) / luma_one;
        let rgb = to_rgb(format.matrix, y, u[i] / chroma_one, v[i] / chroma_one);
        (0..3).for_each(|c| planes[c * n + i] = rgb[c].clamp(0.0, 1.0));
    }
    planes
}

/// The unrounded samples of a YUV frame for planes of red, green and blue.
pub(crate) fn exact_samples_reference(
    size: FrameSize,
    format: YuvFormat,
    planes: &[f32],
) -> Vec<f32> {
    let (w, h, n) = (size.width, size.height, size.pixels());
    let [(luma_zero, luma_one), (chroma_zero, chroma_one)] = range(format);
    let (across, along) = along(format);
    let yuv: Vec<[f32; 3]> =
        (0..n).map(|i| to_yuv(format.matrix, [0, 1, 2].map(|c| planes[c * n + i]))).collect();
    let mut samples: Vec<f32> = yuv.iter().map(|[y, ..]| y * luma_one + luma_zero).collect();
    for plane in [1, 2] {
        if format.chroma == Chroma::Gray {
            break;
        }
        let whole: Vec<f32> = yuv.iter().map(|yuv| yuv[plane]).collect();
        let narrow: Vec<f32> = whole.chunks_exact(w).flat_map(|u| down(u, across)).collect();
        let narrow = transposed(&narrow, narrow.len() / h);
        let low: Vec<f32> = narrow.chunks_exact(h).flat_map(|u| down(u, along)).collect();
        let height = if along == Along::Every { h } else { h.div_ceil(2) };
        samples.extend(transposed(&low, height).iter().map(|c| c * chroma_one + chroma_zero));
    }
    samples
}

/// Like [`exact_samples_reference`], rounded to the nearest sample.
pub(crate) fn samples_reference(size: FrameSize, format: YuvFormat, planes: &[f32]) -> Vec<u16> {
    let most = ((1_u32 << format.depth) - 1) as f32;
    let exact = exact_samples_reference(size, format, planes);
    exact.into_iter().map(|v| v.clamp(0.0, most).round_ties_even() as u16).collect()
}
