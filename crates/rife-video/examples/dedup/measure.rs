//! PSNR, and displacement between frames by matching blocks.

use crate::clips::Clip;
use crate::pictures::Luma;

/// What was measured in the output frames of a clip.
pub struct Measured {
    /// Against the true motion, where it is known, in dB.
    pub psnr: f64,
    /// Displacement from each output frame to the next one: the mean over the parts that move in
    /// truth, in px.
    pub displacements: Vec<f64>,
    /// Variance of the displacements, in px².
    pub judder: f64,
}

/// Side of a block, in px.
const BLOCK: usize = 16;

/// Largest displacement that is searched, in px.
const REACH: isize = 10;

/// Mean difference of a block that moves, in 8-bit levels.
const MOVES: f32 = 1.5;

/// Measures the output frames for which the clip has the truth.
pub fn against_truth(clip: &Clip, frames: &[Luma]) -> Measured {
    let pairs = frames.iter().zip(&clip.truth);
    let errors: Vec<f64> =
        pairs.filter_map(|(frame, truth)| Some(square_error(frame, truth.as_ref()?))).collect();
    let psnr = 10.0 * (255.0 * 255.0 * errors.len() as f64 / errors.iter().sum::<f64>()).log10();
    let count = frames.len().min(clip.truth.len());
    let displacements: Vec<f64> = (1..count)
        .filter_map(|i| {
            let [before, after] = truth_around(clip, i)?;
            displacement(&frames[i - 1], &frames[i], &moving_blocks(before, after))
        })
        .collect();
    let mean = displacements.iter().sum::<f64>() / displacements.len() as f64;
    let judder = displacements.iter().map(|d| (d - mean).powi(2)).sum::<f64>();
    Measured { psnr, judder: judder / displacements.len() as f64, displacements }
}

fn square_error(a: &Luma, b: &Luma) -> f64 {
    let pairs = a.samples.iter().zip(&b.samples);
    let sum: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
    sum / a.samples.len() as f64
}

/// The nearest known true pictures before output frame `after` and at it or later.
fn truth_around(clip: &Clip, after: usize) -> Option<[&Luma; 2]> {
    let before = clip.truth.get(..after)?.iter().rev().flatten().next()?;
    let after = clip.truth.get(after..)?.iter().flatten().next()?;
    Some([before, after])
}

/// The left and top of each block that differs, without those at the border.
fn moving_blocks(a: &Luma, b: &Luma) -> Vec<(usize, usize)> {
    let margin = REACH as usize + 2;
    let starts = |px: usize| (margin..(px - margin - BLOCK)).step_by(BLOCK);
    let all = starts(a.size.height).flat_map(|y| starts(a.size.width).map(move |x| (x, y)));
    let moves = |(left, top): &(usize, usize)| {
        let sum = block_sum(|x, y| {
            let at = (top + y) * a.size.width + left + x;
            (a.samples[at] - b.samples[at]).abs()
        });
        sum > MOVES * (BLOCK * BLOCK) as f32
    };
    all.filter(moves).collect()
}

fn block_sum(of: impl Fn(usize, usize) -> f32) -> f32 {
    (0..BLOCK).map(|y| (0..BLOCK).map(|x| of(x, y)).sum::<f32>()).sum()
}

/// Mean displacement of blocks, in px; `None` without blocks.
fn displacement(from: &Luma, to: &Luma, blocks: &[(usize, usize)]) -> Option<f64> {
    let lengths = blocks.iter().map(|block| {
        let (dx, dy) = refined(from, to, *block, best_match(from, to, *block));
        f64::from(dx.hypot(dy))
    });
    (!blocks.is_empty()).then(|| lengths.sum::<f64>() / blocks.len() as f64)
}

/// The displacement in whole pixels with the smallest difference; of equal ones, the shortest.
fn best_match(from: &Luma, to: &Luma, (left, top): (usize, usize)) -> (isize, isize) {
    let width = from.size.width;
    let mut shifts: Vec<_> =
        (-REACH..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy))).collect();
    shifts.sort_by_key(|(dx, dy)| dx * dx + dy * dy);
    let mut best = (f32::INFINITY, (0, 0));
    for (dx, dy) in shifts {
        let mut sum = 0.0;
        for y in top..top + BLOCK {
            let a = &from.samples[y * width + left..][..BLOCK];
            let start = y.wrapping_add_signed(dy) * width + left.wrapping_add_signed(dx);
            let b = &to.samples[start..][..BLOCK];
            sum += a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
            if sum >= best.0 {
                break;
            }
        }
        if sum < best.0 {
            best = (sum, (dx, dy));
        }
    }
    best.1
}

/// Refines a displacement to fractions of a pixel by Gauss-Newton steps on the squared difference.
fn refined(
    from: &Luma,
    to: &Luma,
    (left, top): (usize, usize),
    whole: (isize, isize),
) -> (f32, f32) {
    let start = (whole.0 as f32, whole.1 as f32);
    let (mut dx, mut dy) = start;
    for _ in 0..6 {
        let (mut xx, mut xy, mut yy, mut xe, mut ye) = (0.0f32, 0.0f32, 0.0f32, 0.0f32, 0.0f32);
        for y in top..top + BLOCK {
            for x in left..left + BLOCK {
                let (u, v) = (x as f32 + dx, y as f32 + dy);
                let error = from.samples[y * from.size.width + x] - sample(to, u, v);
                let gx = (sample(to, u + 0.5, v) - sample(to, u - 0.5, v)).clamp(-255.0, 255.0);
                let gy = (sample(to, u, v + 0.5) - sample(to, u, v - 0.5)).clamp(-255.0, 255.0);
                xx += gx * gx;
                xy += gx * gy;
                yy += gy * gy;
                xe += gx * error;
                ye += gy * error;
            }
        }
        let determinant = xx * yy - xy * xy;
        // Without structure in both directions, the fraction is not known.
        if determinant < 1e-3 * (xx + yy).powi(2) + 1.0 {
            return start;
        }
        dx += (yy * xe - xy * ye) / determinant;
        dy += (xx * ye - xy * xe) / determinant;
        if (dx - start.0).hypot(dy - start.1) > 1.0 {
            return start;
        }
    }
    (dx, dy)
}

/// A sample between pixels.
fn sample(of: &Luma, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    let at =
        |dx: usize, dy: usize| of.samples[(top as usize + dy) * of.size.width + left as usize + dx];
    let row = |dy: usize| at(0, dy) * (1.0 - u) + at(1, dy) * u;
    row(0) * (1.0 - v) + row(1) * v
}
