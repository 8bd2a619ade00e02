//! The memory of the engine, and the layout of activations in it.

use std::fmt;

/// Channels stored side by side: those of one vector.
pub(crate) const BLOCK: usize = 16;

/// Channels of a segment of a convolution: the most that divide the channels and do not cross a
/// block.
pub(crate) fn segment_len(channels: usize) -> usize {
    if channels <= BLOCK { channels } else { 1 << channels.trailing_zeros().min(4) }
}

/// Sixteen floats: one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through pointers")] [f32; BLOCK]);

/// Floats aligned to a cache line.
pub(crate) struct Floats {
    lines: Vec<Line>,
    len: usize,
}

impl Floats {
    /// `len` zeros; `None` if the allocation fails.
    pub(crate) fn zeros(len: usize) -> Option<Self> {
        let count = len.div_ceil(BLOCK);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0.0; BLOCK]));
        Some(Self { lines, len })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.lines.as_mut_ptr().cast()
    }

    #[cfg(test)]
    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: the lines hold at least `len` floats, without gaps.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: the lines hold at least `len` floats, without gaps.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }
}

impl fmt::Debug for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Floats").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The layout of a feature map: blocks of 16 channels. Each block is a picture whose pixels are 16
/// channels, with a margin of zeros that 3×3 convolutions and 4×4 tiles read. The last block is
/// filled up with channels that are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grid {
    /// Channels of the published layer.
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Grid {
    pub(crate) fn new(channels: usize, (height, width): (usize, usize)) -> Self {
        Self { channels, height, width }
    }

    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(BLOCK)
    }

    /// Channels in memory, with those that fill up the last block.
    pub(crate) fn padded_channels(&self) -> usize {
        self.blocks() * BLOCK
    }

    /// The segments of a convolution of the map, see [`segment_len`]: those of each tap.
    pub(crate) fn segments(&self, taps: &[(isize, isize)]) -> Vec<isize> {
        let (row, plane) = (self.row() as isize, self.plane());
        let len = segment_len(self.channels);
        let channels = (0..self.channels).step_by(len);
        let of_a_tap = |(y, x): &(isize, isize)| {
            let at = y * row + x * BLOCK as isize;
            channels.clone().map(move |c| at + (c / BLOCK * plane + c % BLOCK) as isize)
        };
        taps.iter().flat_map(of_a_tap).collect()
    }

    /// Pixels per row, and rows, including the margin.
    fn columns(&self) -> usize {
        self.width.next_multiple_of(4) + 2
    }

    fn rows(&self) -> usize {
        self.height.next_multiple_of(4) + 2
    }

    /// Floats from one row to the next.
    pub(crate) fn row(&self) -> usize {
        self.columns() * BLOCK
    }

    /// Floats from one block of channels to the next.
    pub(crate) fn plane(&self) -> usize {
        self.rows() * self.row()
    }

    /// The total number of floats.
    pub(crate) fn len(&self) -> usize {
        self.blocks() * self.plane()
    }

    /// The offset of the first channel of the first pixel.
    pub(crate) fn origin(&self) -> usize {
        self.row() + BLOCK
    }

    /// Clears the margin of one block of channels.
    pub(crate) fn clear_margin(&self, plane: &mut [f32]) {
        let (row, width) = (self.row(), self.width * BLOCK);
        assert_eq!(plane.len(), self.plane(), "the plane has another size than the grid");
        for (y, line) in plane.chunks_exact_mut(row).enumerate() {
            if (1..=self.height).contains(&y) {
                line[..BLOCK].fill(0.0);
                line[BLOCK + width..].fill(0.0);
            } else {
                line.fill(0.0);
            }
        }
    }
}

/// A feature map in memory that threads share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Map {
    /// The start of its memory, [`Grid::len`] floats.
    start: *mut f32,
    pub(crate) grid: Grid,
}

// SAFETY: a map is only an address; each access through it states its own invariant.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// # Safety
    /// `start` points to [`Grid::len`] floats that are valid while the map is in use, and that are
    /// accessed only through the map.
    pub(crate) unsafe fn new(start: *mut f32, grid: Grid) -> Self {
        Self { start, grid }
    }

    /// The first channel of the first pixel.
    pub(crate) fn origin(&self) -> *mut f32 {
        self.start.wrapping_add(self.grid.origin())
    }

    /// One block of channels with its margin.
    ///
    /// # Safety
    /// No other thread accesses the block while the slice exists.
    #[expect(clippy::mut_from_ref, reason = "the caller guarantees exclusive access")]
    pub(crate) unsafe fn plane(&self, block: usize) -> &mut [f32] {
        assert!(block < self.grid.blocks(), "a block outside the map");
        let plane = self.grid.plane();
        // SAFETY: it is within the map, and the caller has exclusive access.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(block * plane), plane) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_every_channel_once() {
        for channels in [3, 12, 16, 18, 24, 32, 40, 96] {
            let grid = Grid::new(channels, (4, 4));
            let len = segment_len(channels);
            let of_a_tap: Vec<_> = grid
                .segments(&[(0, 0)])
                .into_iter()
                .flat_map(|at| at as usize..at as usize + len)
                .collect();
            let expected: Vec<_> =
                (0..channels).map(|c| c / BLOCK * grid.plane() + c % BLOCK).collect();
            assert_eq!(of_a_tap, expected, "{channels}");
            assert_eq!(grid.segments(&[(-1, 1)])[0], BLOCK as isize - grid.row() as isize);
        }
        assert_eq!([16, 24, 20, 192].map(segment_len), [16, 8, 4, 16]);
    }

    #[test]
    fn clear_margin_clears_only_the_margin() {
        let grid = Grid::new(32, (5, 6));
        let mut floats = Floats::zeros(grid.len()).unwrap();
        assert_eq!(floats.as_ptr() as usize % 64, 0);
        floats.as_mut_slice().fill(1.0);
        for plane in floats.as_mut_slice().chunks_exact_mut(grid.plane()) {
            grid.clear_margin(plane);
        }
        let ones = floats.as_slice().iter().filter(|v| **v == 1.0).count();
        assert_eq!(ones, 32 * 5 * 6);
        for (y, x) in [(0, 0), (4, 5)] {
            assert_eq!(floats.as_slice()[grid.origin() + y * grid.row() + x * BLOCK], 1.0);
        }
        // Tiles of 4×4 cover 8×8 pixels, and read one more on each side.
        assert_eq!((grid.rows(), grid.columns()), (10, 10));
    }
}
