//! The position of chroma samples along one axis, and the filters between chroma and luma
//! positions.

/// The position of chroma samples among luma samples along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AxisSiting {
    /// Not subsampled: one per luma sample.
    Every,
    /// At even luma samples.
    Even,
    /// Between even luma samples and the next.
    Between,
    /// At odd luma samples.
    Odd,
}

/// One axis of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) siting: AxisSiting,
    /// Luma samples.
    pub(crate) luma: usize,
}

impl Axis {
    /// Chroma samples.
    pub(crate) const fn chroma(self) -> usize {
        match self.siting {
            AxisSiting::Every => self.luma,
            _ => self.luma.div_ceil(2),
        }
    }

    /// The chroma samples that are interpolated at luma sample `x`, and their weights.
    pub(crate) fn up(self, x: usize) -> [(usize, f32); 2] {
        let (i, last) = (x / 2, self.chroma() - 1);
        let (before, after) = (i.saturating_sub(1), (i + 1).min(last));
        let odd = x % 2 == 1;
        match (self.siting, odd) {
            (AxisSiting::Every, _) => [(x, 1.0), (x, 0.0)],
            (AxisSiting::Even, false) | (AxisSiting::Odd, true) => [(i, 1.0), (i, 0.0)],
            (AxisSiting::Even, true) => [(i, 0.5), (after, 0.5)],
            (AxisSiting::Odd, false) => [(before, 0.5), (i, 0.5)],
            (AxisSiting::Between, false) => [(before, 0.25), (i, 0.75)],
            (AxisSiting::Between, true) => [(i, 0.75), (after, 0.25)],
        }
    }

    /// The luma positions that chroma sample `i` is filtered from, and their weights. The inverse
    /// of [`Axis::up`], including at the borders.
    pub(crate) fn down(self, i: usize) -> [(usize, f32); 5] {
        let last = self.luma - 1;
        let x = 2 * i;
        let near = |back: usize| x.saturating_sub(back).min(last);
        let far = |ahead: usize| (x + ahead).min(last);
        match self.siting {
            AxisSiting::Every => [(i, 1.0), (i, 0.0), (i, 0.0), (i, 0.0), (i, 0.0)],
            AxisSiting::Even => {
                [(near(2), -0.125), (near(1), 0.25), (x, 0.75), (far(1), 0.25), (far(2), -0.125)]
            }
            // The last sample has no pixel after it, so it is extrapolated.
            AxisSiting::Between if x == last => {
                [(near(1), -0.5), (x, 1.5), (x, 0.0), (x, 0.0), (x, 0.0)]
            }
            AxisSiting::Between => {
                [(near(1), -0.25), (x, 0.75), (far(1), 0.75), (far(2), -0.25), (x, 0.0)]
            }
            // The last sample is beyond the last row, so it is extrapolated.
            AxisSiting::Odd if x == last => {
                [(near(1), -1.0), (x, 2.0), (x, 0.0), (x, 0.0), (x, 0.0)]
            }
            AxisSiting::Odd if x + 2 == last => {
                [(near(1), -0.125), (x, 0.25), (x + 1, 0.875), (x, 0.0), (x, 0.0)]
            }
            AxisSiting::Odd => {
                [(near(1), -0.125), (x, 0.25), (far(1), 0.75), (far(2), 0.25), (far(3), -0.125)]
            }
        }
    }
}
