//! Drawings that are held for several frames, as in animation "on twos" or "on threes": which pairs
//! of source frames are interpolated together.
//!
//! Everything here depends on a bounded number of pairs, so that the result for a pair does not
//! depend on where reading starts.

use std::collections::VecDeque;

use crate::scene::PairKind;

/// What is shown between the source frames of one or several pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The next pair is shown according to its kind.
    Pair(PairKind),
    /// The next `n` pairs are a drawing that is held for `n` frames, and the change to the next
    /// drawing: frames are interpolated between the first frame and the last one of them.
    Hold(usize),
}

/// A still pair that is not decided yet.
#[derive(Clone, Copy, Debug)]
struct Still {
    /// Whether its frames are identical.
    identical: bool,
    /// Whether it is part of a motion too slow for the threshold.
    slow: bool,
}

/// Groups the pairs of a stream, in order. A pair is decided at most `longest` pairs later.
///
/// - A drawing that is held for up to `longest` frames, and is followed by another drawing of the
///   same scene, is a [`Decision::Hold`].
/// - A longer hold is a pause: it stays still, and motion starts with its last frame.
/// - A drawing before a cut, or before the end of the stream, stays still.
/// - If the frames `longest` pairs apart are not the same drawing although each pair is still, the
///   pairs are slow motion, and are interpolated one by one.
#[derive(Clone, Debug)]
pub(crate) struct HoldPlanner {
    longest: usize,
    /// The latest still pairs.
    run: VecDeque<Still>,
    /// Whether the drawing has been held for more than `longest` frames.
    pause: bool,
}

impl HoldPlanner {
    /// Plans holds of up to `longest` frames. With 1, every pair is decided at once, according to
    /// its kind.
    pub(crate) fn new(longest: usize) -> Self {
        Self { longest: longest.max(1), run: VecDeque::new(), pause: false }
    }

    /// Adds a pair. `identical` tells whether the frames of a still pair are identical. `drifted`
    /// tells whether the first frame of the undecided pairs and the last frame of this pair differ;
    /// it is called only if `longest` still pairs are undecided. Returns the decisions about the
    /// oldest undecided pairs, in order.
    pub(crate) fn push(
        &mut self,
        kind: PairKind,
        identical: bool,
        drifted: impl FnOnce() -> bool,
    ) -> Vec<Decision> {
        match kind {
            PairKind::Still => {
                self.run.push_back(Still { identical, slow: false });
                if self.run.len() < self.longest {
                    return Vec::new();
                }
                self.pause = true;
                if self.longest > 1 && drifted() {
                    self.run.iter_mut().for_each(|pair| pair.slow = true);
                }
                self.run.pop_front().map(Still::decision).into_iter().collect()
            }
            PairKind::Motion if !self.pause && !self.run.is_empty() => {
                let pairs = self.run.len() + 1;
                self.run.clear();
                vec![Decision::Hold(pairs)]
            }
            PairKind::Motion | PairKind::Cut => {
                let mut decisions = self.finish();
                decisions.push(Decision::Pair(kind));
                decisions
            }
        }
    }

    /// Decides the remaining pairs at the end of the stream.
    pub(crate) fn finish(&mut self) -> Vec<Decision> {
        self.pause = false;
        self.run.drain(..).map(Still::decision).collect()
    }
}

impl Still {
    fn decision(self) -> Decision {
        Decision::Pair(match self.slow && !self.identical {
            true => PairKind::Motion,
            false => PairKind::Still,
        })
    }
}

#[cfg(test)]
mod tests;
