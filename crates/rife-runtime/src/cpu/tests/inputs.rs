//! Validates the inputs of blocks with their definition: computed at the frame's size, then
//! resampled.

use std::ops::Range;

use super::super::kernels::Kernels;
use super::super::kernels::picture::{ESTIMATE, Inputs, scratch_len, taps};
use super::scene::{Flow, Scene, position};
use super::{Expected, Output, each_level, or_under_miri, rounded};

/// A part of a block's picture and its sources.
#[derive(Clone, Debug)]
struct Case {
    divisor: f64,
    lanes: usize,
    /// Of the blocks before.
    divisors: Vec<f64>,
    feature: bool,
    swapped: bool,
    flow: Flow,
    rows: Range<isize>,
    columns: Range<isize>,
}

/// The size of the frame, which every divisor divides.
const SIZE: (usize, usize) = if cfg!(miri) { (16, 16) } else { (32, 48) };
const TIMESTEP: f32 = 0.375;

impl Case {
    /// A pixel of the picture, resampled from the pixels of the frame.
    fn resized(&self, at: (usize, usize), of: impl Fn((usize, usize)) -> Expected) -> Expected {
        let (height, width) = self.picture();
        let (mut value, mut tolerance, mut magnitude) = (0.0, 0.0, 0.0);
        for (y, wy) in position(SIZE.0, height, at.0) {
            for (x, wx) in position(SIZE.1, width, at.1) {
                // Values of weight 0 are ignored, even NaN.
                if wy * wx > 0.0 {
                    let one = of((y, x));
                    value += wy * wx * one.value;
                    tolerance += wy * wx * one.tolerance;
                    magnitude += wy * wx * one.value.abs();
                }
            }
        }
        Expected::new(value, tolerance + rounded(8, magnitude))
    }

    fn picture(&self) -> (usize, usize) {
        let part = |side: usize| (side as f64 / self.divisor) as usize;
        (part(SIZE.0), part(SIZE.1))
    }

    /// Every lane of a pixel of the picture.
    fn pixel(&self, scene: &Scene, at: (usize, usize)) -> Vec<Expected> {
        let any = !self.divisors.is_empty();
        let mut all = Vec::new();
        for side in [0, 1].map(|side| if self.swapped { 1 - side } else { side }) {
            let lanes = 0..self.lanes;
            all.extend(lanes.map(|lane| self.resized(at, |at| scene.warped(side, at, lane))));
            // The mask, which is not a lane of the frames.
            all.push(Expected::exactly(0.0));
        }
        let timestep = if self.swapped { 1.0 - TIMESTEP } else { TIMESTEP };
        let vector = self.lanes + 1;
        all[vector - 1] = Expected::exactly(timestep);
        if any {
            let mask = self.resized(at, |at| scene.estimates_before(at, 4));
            let sign = if self.swapped { -1.0 } else { 1.0 };
            all[2 * vector - 1] = Expected::new(sign * mask.value, mask.tolerance);
        }
        if self.feature {
            all.extend((0..ESTIMATE).map(|i| self.resized(at, |at| scene.feature(at, i))));
        }
        if any {
            for lane in if self.swapped { [2, 3, 0, 1] } else { [0, 1, 2, 3] } {
                let flow = self.resized(at, |at| scene.estimates_before(at, lane));
                all.push(Expected::new(flow.value / self.divisor, flow.tolerance / self.divisor));
            }
        }
        all
    }

    fn check(&self, kernels: &Kernels) {
        let scene = Scene::new(11, SIZE, self.lanes, &self.divisors, self.feature, self.flow);
        let (height, width) = self.picture();
        let estimates: Vec<_> = scene.sources.iter().map(|s| s.estimates()).collect();
        let used = 2 * (self.lanes + 1)
            + if self.feature { ESTIMATE } else { 0 }
            + if self.divisors.is_empty() { 0 } else { 4 };
        let row = (self.columns.len() + 1) * used;
        let mut out = Output::new(self.rows.len() * row);
        let scratch_len = scratch_len(scene.widths(), 0);
        let mut scratch = Output::new(scratch_len);
        let (down, across) = (taps(SIZE.0, height), taps(SIZE.1, width));
        let args = Inputs {
            frames: scene.frames(),
            estimates: &estimates,
            feature: scene.feature.as_ref().map(|s| s.estimates()),
            down: &down,
            across: &across,
            timestep: TIMESTEP,
            flow_scale: (1.0 / self.divisor) as f32,
            swapped: self.swapped,
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            to: out.at(),
            to_row: row,
            to_pixel: used,
            scratch: scratch.at(),
        };
        // SAFETY: the scene is complete, and there is room for the part and for the scratch memory.
        unsafe { (kernels.inputs)(&args) };

        for (i, y) in self.rows.clone().enumerate() {
            for (j, x) in self.columns.clone().enumerate() {
                let inside = |v: isize, side: usize| usize::try_from(v).is_ok_and(|v| v < side);
                let pixel = if inside(y, height) && inside(x, width) {
                    self.pixel(&scene, (y as usize, x as usize))
                } else {
                    vec![Expected::exactly(0.0); used]
                };
                assert_eq!(pixel.len(), used);
                for (lane, expected) in pixel.into_iter().enumerate() {
                    out.expect(i * row + j * used + lane, expected);
                }
            }
        }
        let what = format!("{} {self:?}", kernels.level);
        out.check(&what);
        scratch.check_around(scratch_len, &what);
    }
}

/// Ranges of a picture with `side` rows or columns: at the start, at the end, and beyond each.
fn parts(side: usize) -> [Range<isize>; 4] {
    let side = side as isize;
    [-1..3.min(side), side - 2..side + 2, -3..-1, side..side + 2]
}

/// The estimates before a block: none, one, and two at lower resolutions.
fn before(divisor: f64) -> [Vec<f64>; 3] {
    let larger = |times: f64| (times * divisor).min(16.0);
    [vec![], vec![larger(2.0)], vec![larger(4.0), larger(2.0)]]
}

#[test]
fn any_divisor_range_and_source_matches() {
    let divisors: &[f64] = if cfg!(miri) { &[2.0] } else { &[0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0] };
    for kernels in each_level() {
        for divisor in divisors.iter().copied() {
            for divisors in before(divisor).into_iter().take(or_under_miri(3, 2)) {
                let lanes = [(3, false), (7, false), (7, true), (11, true), (15, true), (19, true)];
                for (lanes, feature) in lanes {
                    let case = Case {
                        divisor,
                        lanes,
                        feature: feature && !divisors.is_empty(),
                        divisors: divisors.clone(),
                        swapped: lanes == 7,
                        flow: Flow::Usual,
                        rows: 0..1,
                        columns: 0..1,
                    };
                    let (height, width) = case.picture();
                    let parts_of = |side| parts(side).into_iter().take(or_under_miri(4, 2));
                    for (rows, columns) in parts_of(height).zip(parts_of(width)) {
                        let turned = parts(height)[1].clone();
                        Case { rows, columns: columns.clone(), ..case.clone() }.check(&kernels);
                        Case { rows: turned, columns, ..case.clone() }.check(&kernels);
                    }
                }
            }
        }
    }
}

#[test]
fn any_flow_reads_only_within_the_frames() {
    for kernels in each_level() {
        for flow in Flow::ALL {
            let all = [(1.0, vec![1.0]), (2.0, vec![4.0]), (0.5, vec![2.0, 1.0])];
            for (divisor, divisors) in all.into_iter().take(or_under_miri(3, 1)) {
                for swapped in [false, true].into_iter().take(or_under_miri(2, 1)) {
                    let (lanes, feature) = (if swapped { 19 } else { 7 }, true);
                    let (rows, columns) = if cfg!(miri) { (0..1, -1..3) } else { (9..13, -1..49) };
                    let divisors = divisors.clone();
                    Case { divisor, lanes, divisors, feature, swapped, flow, rows, columns }
                        .check(&kernels);
                }
            }
        }
    }
}
