//! Frames reduced to a few hundred cells, for scene detection.

use rife_runtime::{Chroma, Frame, FrameSize, PixelFormat};

use super::samples::{Plane, Samples, level, rgb_planes};

/// Approximate number of cells of a large frame: 48x27 at 16:9.
const CELLS: f64 = 1296.0;

/// Minimum cell size in small frames, in px; smaller cells would let noise through.
const MIN_SIDE_PX: f64 = 4.0;

/// Minimum number of cells along the shorter side, if the frame has as many pixels.
const MIN_CELLS: f64 = 12.0;

/// Maximum number of rows of a cell that are averaged. In large frames a subset is enough, and
/// reading all rows would dominate the cost.
const ROWS: usize = 4;

/// Cells on each side that a slope is computed from, so that noise and detail finer than a cell
/// average out.
pub(super) const REACH: usize = 2;

/// Rows or columns on each side, across the direction of a slope, that are averaged.
const ACROSS: usize = 1;

/// Luma of black, in 8-bit levels.
pub(super) const BLACK: f32 = 3.0;

/// Planes of a thumbnail: luma and two of chroma.
pub(super) const PLANES: usize = 3;

/// Slopes per cell: horizontal and vertical, for each of [`PLANES`].
pub(super) const SLOPES: usize = 2 * PLANES;

/// A frame reduced to a few hundred cells, about 100 KB, which scene detection compares. Levels are
/// in 8-bit steps above black; those of chroma are signed.
#[derive(Clone, Debug, Default)]
pub struct Thumbnail {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Mean of each cell.
    pub(super) levels: [Vec<f32>; PLANES],
    /// Summed-area tables of `levels`.
    pub(super) level_sums: [Sums; PLANES],
    /// Slopes around each cell, [`SLOPES`] per cell; 0 at the border, where they are unknown.
    pub(super) slopes: Vec<f32>,
    /// Summed-area table of the squared slopes.
    pub(super) energy: Sums,
    /// Luma slopes at half resolution, for large displacements.
    pub(super) half: Vec<f32>,
    /// Summed-area table of their squares.
    pub(super) half_energy: Sums,
    brightness: f32,
}

impl Thumbnail {
    /// Reduces a frame of any format.
    pub fn new(frame: &Frame) -> Self {
        let size = frame.size();
        let least = MIN_SIDE_PX.min(size.width.min(size.height) as f64 / MIN_CELLS).max(1.0);
        let side = (size.pixels() as f64 / CELLS).sqrt().max(least);
        let cells = |px: usize| ((px as f64 / side).round() as usize).clamp(1, px.max(1));
        let (width, height) = (cells(size.width), cells(size.height));
        let levels = levels(frame, FrameSize::new(width, height));
        if levels.iter().any(|plane| plane.len() != width * height) {
            return Self::default();
        }
        let level_sums = [0, 1, 2].map(|plane| Sums::new(width, height, |at| levels[plane][at]));
        let brightness = mean(&levels[0]);
        let slopes = slopes(&level_sums, width, height, lit(&levels[0], width, height));
        let energy = |slopes: &[f32]| slopes.iter().map(|v| v * v).sum::<f32>();
        let of_cell = |at: usize| energy(&slopes[SLOPES * at..][..SLOPES]);
        let sums = Sums::new(width, height, of_cell);
        let half = halved(&slopes, width, height);
        let half_energy = Sums::new(width / 2, height / 2, |at| energy(&half[2 * at..][..2]));
        Self {
            width,
            height,
            levels,
            level_sums,
            slopes,
            energy: sums,
            half,
            half_energy,
            brightness,
        }
    }

    /// Columns and rows of [`Self::half`].
    pub(super) fn half_size(&self) -> (usize, usize) {
        (self.width / 2, self.height / 2)
    }

    /// Mean luma, in 8-bit levels.
    pub(super) fn brightness(&self) -> f32 {
        self.brightness
    }

    /// Mean absolute difference of luma, in percent of the 8-bit range.
    pub(super) fn difference(&self, other: &Self) -> f64 {
        let pairs = self.levels[0].iter().zip(&other.levels[0]);
        let sum: f32 = pairs.map(|(a, b)| (a - b).abs()).sum();
        100.0 * f64::from(sum) / (255.0 * self.levels[0].len().max(1) as f64)
    }

    /// Root mean square of the slopes, in 8-bit levels.
    pub(super) fn contrast(&self) -> f32 {
        let cells = (self.width * self.height).max(1) as f32;
        (self.energy.within(0, 0, self.width, self.height) / cells).sqrt()
    }
}

/// A summed-area table: sums over rectangles in constant time.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// Number of columns plus one.
    wide: usize,
    /// Sums over all cells above and to the left; `f64` keeps differences exact enough.
    sums: Vec<f64>,
}

impl Sums {
    fn new(width: usize, height: usize, of: impl Fn(usize) -> f32) -> Self {
        let wide = width + 1;
        let mut sums = vec![0.0f64; wide * (height + 1)];
        for y in 0..height {
            let mut row = 0.0;
            for x in 0..width {
                row += f64::from(of(y * width + x));
                sums[(y + 1) * wide + x + 1] = sums[y * wide + x + 1] + row;
            }
        }
        Self { wide, sums }
    }

    /// Sum over columns `left..right` and rows `top..bottom`.
    pub(super) fn within(&self, left: usize, top: usize, right: usize, bottom: usize) -> f32 {
        let at = |x: usize, y: usize| self.sums.get(y * self.wide + x).copied().unwrap_or(0.0);
        (at(right, bottom) - at(right, top) - at(left, bottom) + at(left, top)) as f32
    }
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Mean of each cell of a plane, in integer samples.
fn cells_of(samples: Samples<'_>, plane: Plane, grid: FrameSize) -> Vec<f32> {
    match samples {
        Samples::Eight(samples) => cells(samples, plane, grid, u32::from),
        Samples::Sixteen(samples) => cells(samples, plane, grid, u32::from),
        Samples::Half(samples) => cells(samples, plane, grid, |v| u32::from(level(v.to_f32()))),
        Samples::Single(samples) => cells(samples, plane, grid, |v| u32::from(level(v))),
    }
}

/// Mean of each cell of luma and chroma.
fn levels(frame: &Frame, grid: FrameSize) -> [Vec<f32>; PLANES] {
    let size = frame.size();
    let Some(samples) = Samples::of(frame) else { return Default::default() };
    let count = grid.pixels();
    match frame.format() {
        PixelFormat::Yuv(format) => {
            let unit = f32::from(1u16 << (samples.depth(frame.format()) - 8)).recip();
            let (black, range) = if format.full_range { (0.0, 255.0) } else { (16.0, 219.0) };
            let mut luma = cells_of(samples, Plane { start: 0, size, step: 1 }, grid);
            luma.iter_mut().for_each(|v| *v = (*v * unit - black) * (255.0 / range));
            let chroma = format.chroma_size(size);
            let chroma = |number: usize| match format.chroma {
                Chroma::Gray => vec![0.0; count],
                _ => {
                    let start = size.pixels() + number * chroma.pixels();
                    let plane = Plane { start, size: chroma, step: 1 };
                    let mut cells = cells_of(samples, plane, grid);
                    cells.iter_mut().for_each(|v| *v = *v * unit - 128.0);
                    cells
                }
            };
            [luma, chroma(0), chroma(1)]
        }
        format => {
            let unit = match samples {
                Samples::Eight(_) => 1.0,
                _ => 255.0 / 65535.0,
            };
            let planes = rgb_planes(size, format);
            let [r, g, b] = planes.map(|plane| cells_of(samples, plane, grid));
            let mut planes = [vec![0.0; count], vec![0.0; count], vec![0.0; count]];
            for cell in 0..count.min(b.len()) {
                let (r, g, b) = (r[cell] * unit, g[cell] * unit, b[cell] * unit);
                let luma = (r + 2.0 * g + b) / 4.0;
                planes[0][cell] = luma;
                planes[1][cell] = (b - luma) / 2.0;
                planes[2][cell] = (r - luma) / 2.0;
            }
            planes
        }
    }
}

fn cells<T: Copy>(
    samples: &[T],
    plane: Plane,
    grid: FrameSize,
    value: impl Fn(T) -> u32 + Copy,
) -> Vec<f32> {
    let Plane { start, size: FrameSize { width, height }, step } = plane;
    let mut out = Vec::with_capacity(grid.pixels());
    let mut sums = vec![0u64; grid.width];
    for cell_row in 0..grid.height {
        let from = cell_row * height / grid.height;
        let to = ((cell_row + 1) * height / grid.height).max(from + 1);
        let rows = (to - from).min(ROWS);
        sums.fill(0);
        for row in 0..rows {
            let y = (from + row * (to - from) / rows).min(height.saturating_sub(1));
            let row = samples.get(start + y * width * step..).unwrap_or_default();
            for (column, sum) in sums.iter_mut().enumerate() {
                let (a, b) = span(column, width, grid.width);
                let cell = row.get(a * step..(b * step).min(row.len())).unwrap_or_default();
                // The sum over a row of a cell fits 32 bits: at most 2^15 samples of 16 bits.
                let cell: u32 = match step {
                    1 => cell.iter().map(|v| value(*v)).sum(),
                    _ => cell.iter().step_by(step).map(|v| value(*v)).sum(),
                };
                *sum += u64::from(cell);
            }
        }
        out.extend(sums.iter().enumerate().map(|(column, sum)| {
            let (a, b) = span(column, width, grid.width);
            *sum as f32 / ((b - a).max(1) * rows) as f32
        }));
    }
    out
}

/// The samples of a row that a cell covers.
fn span(column: usize, width: usize, cells: usize) -> (usize, usize) {
    let from = (column * width / cells).min(width.saturating_sub(1));
    (from, ((column + 1) * width / cells).max(from + 1))
}

/// A rectangle of cells; `right` and `bottom` are exclusive.
#[derive(Clone, Copy)]
struct Window {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

/// The picture without black bars, whose edges would be structure that survives every cut.
fn lit(luma: &[f32], width: usize, height: usize) -> Window {
    // In a dark picture, black is darker.
    let black = (0.15 * mean(luma)).clamp(0.2 * BLACK, BLACK);
    let dark = |x: usize, y: usize| luma.get(y * width + x).is_none_or(|level| *level < black);
    let row = |y: &usize| (0..width).all(|x| dark(x, *y));
    let column = |x: &usize| (0..height).all(|y| dark(*x, y));
    // The cell that a bar ends in is part bar.
    let inside = |bar: usize| if bar > 0 { bar + 1 } else { 0 };
    let window = Window {
        left: inside((0..width).take_while(column).count()),
        right: width.saturating_sub(inside((0..width).rev().take_while(column).count())),
        top: inside((0..height).take_while(row).count()),
        bottom: height.saturating_sub(inside((0..height).rev().take_while(row).count())),
    };
    if window.left < window.right && window.top < window.bottom {
        return window;
    }
    Window { left: 0, right: width, top: 0, bottom: height }
}

/// Slopes around each cell; 0 outside the window and at its border.
fn slopes(levels: &[Sums; PLANES], width: usize, height: usize, lit: Window) -> Vec<f32> {
    let mut slopes = vec![0.0; SLOPES * width * height];
    let unit = 1.0 / (REACH * (2 * ACROSS + 1)) as f32;
    for y in lit.top + REACH..lit.bottom.saturating_sub(REACH) {
        for x in lit.left + REACH..lit.right.saturating_sub(REACH) {
            let (top, bottom) = (y - ACROSS, y + ACROSS + 1);
            let (left, right) = (x - ACROSS, x + ACROSS + 1);
            let at = SLOPES * (y * width + x);
            let cell = slopes[at..at + SLOPES].chunks_exact_mut(2);
            for (slopes, sums) in cell.zip(levels) {
                let after = sums.within(x + 1, top, x + 1 + REACH, bottom);
                slopes[0] = unit * (after - sums.within(x - REACH, top, x, bottom));
                let below = sums.within(left, y + 1, right, y + 1 + REACH);
                slopes[1] = unit * (below - sums.within(left, y - REACH, right, y));
            }
        }
    }
    slopes
}

/// Luma slopes at half resolution.
fn halved(slopes: &[f32], width: usize, height: usize) -> Vec<f32> {
    let (w, h) = (width / 2, height / 2);
    let mut half = Vec::with_capacity(2 * w * h);
    for y in 0..h {
        for x in 0..w {
            let at = 2 * y * width + 2 * x;
            for direction in 0..2 {
                let cells = [at, at + 1, at + width, at + width + 1];
                half.push(
                    cells.iter().map(|at| slopes[SLOPES * at + direction]).sum::<f32>() / 4.0,
                );
            }
        }
    }
    half
}
