//! How much of a frame is found again in another: a measure that neither exposure nor motion
//! changes much.
//!
//! Each block of the earlier frame is looked for in the later one, near where it was and near where
//! the whole picture has moved to, by the correlation of local detail. Correlation does not depend
//! on gain or offset: the same cut measures the same in the dark.

use super::thumbnail::{self, BLACK, PLANES, SLOPES, Sums, Thumbnail};

/// Variance of detail that is as likely noise as structure, in squared steps of 8 bits.
const NOISE: f32 = 0.1;

/// Cells of a block's side, about.
const BLOCK: usize = 8;

/// Cells by which a block may be off from where it is expected.
const REACH: isize = 2;

/// Displacements that are tried, beside none.
const LIKELY: usize = 1;

/// The part of the picture that must be visible in both frames of a displacement.
const OVERLAP: f32 = 0.45;

/// Weight of a block without structure, relative to one with it: it matches anything flat.
const FLAT_WEIGHT: f32 = 0.4;

/// Weight of a block that light hides.
const HIDDEN_WEIGHT: f32 = 0.8;

/// Weight of a block that may have moved out of the frame, relative to others.
const LEFT_WEIGHT: f32 = 0.4;

/// Luma from which on what is flat is overexposed, in steps of 8 bits.
const BLOWN: f32 = 220.0;

/// What levels differ by without a reason, in steps of 8 bits.
const LEVEL_NOISE: f32 = 2.0;

/// The part of a frame from which on it is white, and up to which another is not at all.
const ALL_WHITE: f32 = 0.9;
const NONE_WHITE: f32 = 0.08;

/// Levels that differ by a third of themselves are as different as can be.
const LEVEL_GAIN: f32 = 3.0;

/// What is missing of a block's structure from which on levels count in full.
const DOUBTFUL: f32 = 0.3;

/// What is missing of a block that counts as half lost.
const HALF_LOST: f32 = 0.3;

/// Below this nothing is gained by looking for motion.
const SAME: f32 = 0.05;

type Displacement = (isize, isize);

/// The part of the picture that is not found again: 0 where all of it is, 1 where none is.
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

/// Where the picture, or a large part of it, may have moved to, in cells: the most likely
/// displacements.
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
                // The less of the picture agrees, the more likely is it by chance.
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

/// A block's cells.
#[derive(Clone, Copy)]
struct Block {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Block {
    /// The place of its first cell after a displacement; `None` where it is not all within the
    /// part of the frame that has slopes.
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

/// A product of vectors, in an order that a processor can compute several sums of at once.
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

/// The weighted mean of what is missing of each block, near each of the displacements; `None` where
/// nothing says anything.
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
            // What moves out of the frame cannot be found, if that is where it went.
            if displacements.first().is_some_and(|to| block.moved(earlier, *to).is_none()) {
                weight *= LEFT_WEIGHT;
            }
            // Most blocks of a cut are doubtful; of a picture in which a few things move, few.
            let square = lost * lost;
            missing += weight * square / (square + HALF_LOST * HALF_LOST);
            weights += weight;
        }
    }
    (weights > 0.0).then(|| missing / weights * (1.0 + HALF_LOST * HALF_LOST))
}

/// How the exposure of two frames differs.
#[derive(Clone, Copy)]
struct Exposure {
    /// The square root of how much brighter the later frame is.
    half_gain: f32,
    /// Whether light that spreads or fades hides a part of the picture; not where all of it is
    /// white at once.
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

/// What is missing of a block at a place, 0 to 1, and how much that says.
#[derive(Clone, Copy)]
struct Found {
    missing: f32,
    weight: f32,
}

/// A block of the earlier frame against what is at a place of the later; `None` where that place
/// is not all within the frame.
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
    // The more structured side decides: what it has, the other should have, too.
    let most = aa.max(bb);
    let structured = most / (most + 4.0 * NOISE);
    // Light that is too bright hides structure, and says nothing of what it hides.
    let blown = |level: f32, energy: f32| level / count > BLOWN && energy < 0.1 * most;
    let hidden = exposure.hides && (blown(a_level[0], aa) || blown(b_level[0], bb));
    if hidden {
        return Some(Found { missing: 0.0, weight: HIDDEN_WEIGHT });
    }
    // Without structure there are only levels, compared as if both were exposed alike.
    let (mut apart, mut size) = (0.0f32, 0.0f32);
    for plane in 0..PLANES {
        let (a, b) = (a_level[plane] / count, b_level[plane] / count);
        // Half of the correction on either side, so that neither direction counts more.
        let (a, b) = (a * exposure.half_gain, b / exposure.half_gain);
        apart += (a - b) * (a - b);
        size += a * a + b * b;
    }
    let level = (LEVEL_GAIN * apart.sqrt() / ((2.0 * size).sqrt() + LEVEL_NOISE)).min(1.0);
    // By chance some place is found whose structure is alike: colours say that it is another.
    let structure = structure.clamp(0.0, 1.0);
    let structure = structure + (1.0 - structure) * level * (structure / DOUBTFUL).min(1.0);
    let black = (a_level[0].max(b_level[0]) / count) < BLACK;
    let flat_weight = if black { 0.0 } else { FLAT_WEIGHT + 0.3 * level };
    let weight = structured + (1.0 - structured) * flat_weight;
    let missing = structured * structure + (1.0 - structured) * flat_weight * level;
    Some(Found { missing: if weight > 0.0 { missing / weight } else { 0.0 }, weight })
}
