//! Measures how much of a frame reappears in another one, largely independent of exposure and
//! motion.
//!
//! Each block of the earlier frame is searched for in the later one, near its own position and near
//! the displacement of the whole picture, by correlation of local detail. Correlation does not
//! depend on gain or offset, so a cut measures the same in the dark.

use super::thumbnail::{self, BLACK, PLANES, SLOPES, Sums, Thumbnail};

/// Variance of detail that is as likely noise as structure, in squared 8-bit levels.
const NOISE: f32 = 0.1;

/// Approximate block size, in cells.
const BLOCK: usize = 8;

/// Search range around an expected position, in cells.
const REACH: isize = 2;

/// Number of displacements to try in addition to none.
const LIKELY: usize = 1;

/// Minimum overlap of the two frames under a displacement, as a share of the picture.
const OVERLAP: f32 = 0.45;

/// Weight of a block without structure, relative to one with structure: it matches anything flat.
const FLAT_WEIGHT: f32 = 0.4;

/// Weight of an overexposed block.
const HIDDEN_WEIGHT: f32 = 0.8;

/// Relative weight of a block that may have moved out of the frame.
const LEFT_WEIGHT: f32 = 0.4;

/// Luma above which a flat block is overexposed, in 8-bit levels.
const BLOWN: f32 = 220.0;

/// Insignificant difference of levels, in 8-bit levels.
const LEVEL_NOISE: f32 = 2.0;

/// Share of white cells from which a frame is all white, and up to which a frame has no white.
const ALL_WHITE: f32 = 0.9;
const NONE_WHITE: f32 = 0.08;

/// A relative difference of levels of a third counts as the maximum.
const LEVEL_GAIN: f32 = 3.0;

/// Missing structure from which levels count in full.
const DOUBTFUL: f32 = 0.3;

/// Missing share at which a block counts as half lost.
const HALF_LOST: f32 = 0.3;

/// Dissimilarity below which motion search is pointless.
const SAME: f32 = 0.05;

type Displacement = (isize, isize);

/// Share of the picture that does not reappear, from 0 to 1.
pub(super) fn dissimilarity(earlier: &Thumbnail, later: &Thumbnail) -> f32 {
    if (earlier.width, earlier.height) != (later.width, later.height) {
        return 1.0;
    }
    let Some(still) = blocks(earlier, later, &[(0, 0)], 0) else { return 0.0 };
    if still < SAME {
        return still;
    }
    let mut displacements = likely(earlier, later);
    displacements.push((0, 0));
    blocks(earlier, later, &displacements, REACH).map_or(still, |moved| moved.min(still))
}

/// The most likely displacements of the picture or a large part of it, in cells.
fn likely(earlier: &Thumbnail, later: &Thumbnail) -> Vec<Displacement> {
    let (width, height) = earlier.half_size();
    let (w, h) = (width as isize, height as isize);
    let mut found: Vec<(f32, Displacement)> = Vec::new();
    for dy in -h / 2..=h / 2 {
        for dx in -w / 2..=w / 2 {
            let (across, down) = ((w - dx.abs()) as usize, (h - dy.abs()) as usize);
            if ((across * down) as f32) < OVERLAP * (width * height) as f32 {
                continue;
            }
            let (ax, bx) = ((-dx).max(0) as usize, dx.max(0) as usize);
            let (ay, by) = ((-dy).max(0) as usize, dy.max(0) as usize);
            let mut ab = 0.0;
            for row in 0..down {
                let a = &earlier.half[2 * ((ay + row) * width + ax)..][..2 * across];
                let b = &later.half[2 * ((by + row) * width + bx)..][..2 * across];
                ab += dot(a, b);
            }
            let aa = earlier.half_energy.within(ax, ay, ax + across, ay + down);
            let bb = later.half_energy.within(bx, by, bx + across, by + down);
            let noise = NOISE * (across * down) as f32 / 4.0;
            let correlation = ab / ((aa + noise) * (bb + noise)).sqrt();
            if correlation > 0.0 {
                // The smaller the overlap, the more likely a match by chance.
                let part = (across * down) as f32 / (width * height) as f32;
                found.push((correlation * part.sqrt(), (2 * dx, 2 * dy)));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut likely: Vec<Displacement> = Vec::new();
    for (_, at) in found {
        let near = |other: &Displacement| {
            (at.0 - other.0).abs() <= 2 * REACH && (at.1 - other.1).abs() <= 2 * REACH
        };
        if !likely.iter().any(near) {
            likely.push(at);
            if likely.len() == LIKELY {
                break;
            }
        }
    }
    likely
}

/// A block of cells.
#[derive(Clone, Copy)]
struct Block {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Block {
    /// First cell of the displaced block; `None` unless all of it is inside the area with slopes.
    fn moved(&self, frame: &Thumbnail, to: Displacement) -> Option<(usize, usize)> {
        let edge = thumbnail::REACH;
        let inside =
            |at: usize, length: usize, side: usize| at >= edge && at + length + edge <= side;
        let x = self.x.checked_add_signed(to.0);
        let y = self.y.checked_add_signed(to.1);
        let x = x.filter(|x| inside(*x, self.width, frame.width))?;
        Some((x, y.filter(|y| inside(*y, self.height, frame.height))?))
    }
}

/// Dot product with several independent sums, which vectorizes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let (mut a, mut b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in (&mut a).zip(&mut b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Weighted mean dissimilarity of the blocks, each at its best match near the displacements; `None`
/// if no block carries information.
fn blocks(
    earlier: &Thumbnail,
    later: &Thumbnail,
    displacements: &[Displacement],
    reach: isize,
) -> Option<f32> {
    let edge = thumbnail::REACH;
    let width = earlier.width.checked_sub(2 * edge).filter(|width| *width > 0)?;
    let height = earlier.height.checked_sub(2 * edge).filter(|height| *height > 0)?;
    let (across, down) = ((width / BLOCK).max(1), (height / BLOCK).max(1));
    let exposure = Exposure::new(earlier, later);
    let (mut missing, mut weights) = (0.0f32, 0.0f32);
    for row in 0..down {
        for column in 0..across {
            let (x, y) = (column * width / across, row * height / down);
            let block = Block {
                x: x + edge,
                y: y + edge,
                width: (column + 1) * width / across - x,
                height: (row + 1) * height / down - y,
            };
            let still = compare(earlier, later, block, (0, 0), exposure);
            let mut best = still;
            if still.is_none_or(|still| still.missing > SAME) {
                for centre in displacements {
                    for (dx, dy) in
                        (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)))
                    {
                        let to = (centre.0 + dx, centre.1 + dy);
                        let found = compare(earlier, later, block, to, exposure);
                        best = [best, found]
                            .into_iter()
                            .flatten()
                            .min_by(|a, b| a.missing.total_cmp(&b.missing));
                    }
                }
            }
            let Some(Found { missing: lost, mut weight }) = best else { continue };
            // A block that left the frame cannot be found.
            if displacements.first().is_some_and(|to| block.moved(earlier, *to).is_none()) {
                weight *= LEFT_WEIGHT;
            }
            // After a cut, most blocks are doubtful; with a few moving objects, few are.
            let square = lost * lost;
            missing += weight * square / (square + HALF_LOST * HALF_LOST);
            weights += weight;
        }
    }
    (weights > 0.0).then(|| missing / weights * (1.0 + HALF_LOST * HALF_LOST))
}

/// Relative exposure of two frames.
#[derive(Clone, Copy)]
struct Exposure {
    /// Square root of the gain from the earlier frame to the later one.
    half_gain: f32,
    /// Whether spreading or fading light hides parts of the picture; not if all of it turns white
    /// at once.
    hides: bool,
}

impl Exposure {
    fn new(earlier: &Thumbnail, later: &Thumbnail) -> Self {
        let (a, b) = (earlier.brightness().max(0.0), later.brightness().max(0.0));
        let gain = ((b + 1.0) / (a + 1.0)).clamp(1.0 / 64.0, 64.0);
        let white = |frame: &Thumbnail| {
            let blown = frame.levels[0].iter().filter(|level| **level > BLOWN).count();
            blown as f32 / frame.levels[0].len().max(1) as f32
        };
        let (a, b) = (white(earlier), white(later));
        Self { half_gain: gain.sqrt(), hides: a.max(b) < ALL_WHITE || a.min(b) > NONE_WHITE }
    }
}

/// Dissimilarity of a block at a position, from 0 to 1, and its weight.
#[derive(Clone, Copy)]
struct Found {
    missing: f32,
    weight: f32,
}

/// Compares a block of the earlier frame with a position in the later one; `None` if that is not
/// entirely inside the frame.
fn compare(
    earlier: &Thumbnail,
    later: &Thumbnail,
    block: Block,
    to: Displacement,
    exposure: Exposure,
) -> Option<Found> {
    let width = earlier.width;
    let (x, y) = block.moved(earlier, to)?;
    let count = (block.width * block.height) as f32;
    let length = SLOPES * block.width;
    let mut ab = 0.0;
    for row in 0..block.height {
        let a = SLOPES * ((block.y + row) * width + block.x);
        let b = SLOPES * ((y + row) * width + x);
        ab += dot(&earlier.slopes[a..a + length], &later.slopes[b..b + length]);
    }
    let of_a =
        |sums: &Sums| sums.within(block.x, block.y, block.x + block.width, block.y + block.height);
    let of_b = |sums: &Sums| sums.within(x, y, x + block.width, y + block.height);
    let (aa, bb) = (of_a(&earlier.energy), of_b(&later.energy));
    let a_level = earlier.level_sums.each_ref().map(of_a);
    let b_level = later.level_sums.each_ref().map(of_b);
    let (ab, aa, bb) = (ab / count, aa / count, bb / count);
    let structure = 1.0 - (ab + NOISE) / ((aa + NOISE) * (bb + NOISE)).sqrt();
    // The side with more structure decides: its structure should be on the other side, too.
    let most = aa.max(bb);
    let structured = most / (most + 4.0 * NOISE);
    // Overexposure hides structure without being evidence of a change.
    let blown = |level: f32, energy: f32| level / count > BLOWN && energy < 0.1 * most;
    let hidden = exposure.hides && (blown(a_level[0], aa) || blown(b_level[0], bb));
    if hidden {
        return Some(Found { missing: 0.0, weight: HIDDEN_WEIGHT });
    }
    // Without structure, compare levels, corrected for exposure.
    let (mut apart, mut size) = (0.0f32, 0.0f32);
    for plane in 0..PLANES {
        let (a, b) = (a_level[plane] / count, b_level[plane] / count);
        // Half of the correction on each side, so that both directions score the same.
        let (a, b) = (a * exposure.half_gain, b / exposure.half_gain);
        apart += (a - b) * (a - b);
        size += a * a + b * b;
    }
    let level = (LEVEL_GAIN * apart.sqrt() / ((2.0 * size).sqrt() + LEVEL_NOISE)).min(1.0);
    // Similar structure may be found elsewhere by chance; colour tells the difference.
    let structure = structure.clamp(0.0, 1.0);
    let structure = structure + (1.0 - structure) * level * (structure / DOUBTFUL).min(1.0);
    let black = (a_level[0].max(b_level[0]) / count) < BLACK;
    let flat_weight = if black { 0.0 } else { FLAT_WEIGHT + 0.3 * level };
    let weight = structured + (1.0 - structured) * flat_weight;
    let missing = structured * structure + (1.0 - structured) * flat_weight * level;
    Some(Found { missing: if weight > 0.0 { missing / weight } else { 0.0 }, weight })
}
