//! Samples frames and the outputs of blocks.

use super::U;
use super::simulation::Item;
use super::value::Approx;
use crate::cuda::variant::Variant;

const MAX_FLOW_PX: f64 = crate::MAX_FLOW_PX as f64;

pub(super) struct Image {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) channels: usize,
    pub(super) values: Vec<f64>,
    /// The smallest and the largest value of each channel.
    pub(super) range: Vec<(f64, f64)>,
}

impl Image {
    pub(super) fn at(&self, y: usize, x: usize) -> Vec<Approx> {
        let pixel = &self.values[(y * self.w + x) * self.channels..][..self.channels];
        pixel.iter().map(|v| Approx { v: *v, e: 2.0 * U * v.abs() }).collect()
    }

    /// The sample at `(x + fx, y + fy)`, clamped to the border. Moving a sample by a pixel changes
    /// it by at most the image's contrast, which bounds the effect of an error of the flow. With a
    /// non-finite flow, any value within the range of the image is allowed.
    pub(super) fn sample(&self, y: usize, x: usize, fx: Approx, fy: Approx) -> Vec<Approx> {
        let finite = fx.e.is_finite() && fy.e.is_finite();
        let corner = |flow: f64, position: usize, length: usize| {
            let flow = flow.clamp(-MAX_FLOW_PX, MAX_FLOW_PX);
            let pixel = flow.floor() + position as f64;
            let fraction = if pixel >= 0.0 { flow - flow.floor() } else { 0.0 };
            let first = pixel.clamp(0.0, (length - 1) as f64) as usize;
            (first, (first + 1).min(length - 1), fraction)
        };
        let (x0, x1, ax) = corner(if finite { fx.v } else { 0.0 }, x, self.w);
        let (y0, y1, ay) = corner(if finite { fy.v } else { 0.0 }, y, self.h);
        let at = |y: usize, x: usize, c: usize| {
            Approx::exact(self.values[(y * self.w + x) * self.channels + c])
        };
        (0..self.channels)
            .map(|c| {
                let (min, max) = self.range[c];
                let rounding = 4.0 * U * min.abs().max(max.abs());
                if !finite {
                    let half = (max - min) / 2.0;
                    return Approx { v: min + half, e: half + rounding };
                }
                let above = at(y0, x0, c).mix(at(y0, x1, c), ax);
                let below = at(y1, x0, c).mix(at(y1, x1, c), ax);
                let mut v = above.mix(below, ay);
                // Splitting the flow into integer and fraction is exact, except for a fraction just
                // below 1.
                let moved = fx.e + fy.e + 4.0 * U;
                v.e += (max - min) * moved.min(1.0) + rounding;
                v
            })
            .collect()
    }
}

pub(super) struct Level {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) inv: f64,
    pub(super) flow: Vec<f64>,
    pub(super) mask: Vec<f64>,
    pub(super) feat: Option<Vec<f64>>,
}

/// The two cells around a position on an axis, and the distance from the first one.
fn surrounding_cells(position: usize, scale: f64, length: usize) -> (usize, usize, f64) {
    // Exact, since scales are powers of two.
    let at = ((position as f64 + 0.5) * scale - 0.5).max(0.0);
    let first = (at as usize).min(length - 1);
    (first, (first + 1).min(length - 1), at - first as f64)
}

impl Level {
    /// Channel `c` of `n` of one of the level's tensors, resized to the frame, at a pixel.
    pub(super) fn at(
        &self,
        of: &[f64],
        (c, n): (usize, usize),
        item: usize,
        y: usize,
        x: usize,
    ) -> Approx {
        let (y0, y1, ay) = surrounding_cells(y, self.inv, self.h);
        let (x0, x1, ax) = surrounding_cells(x, self.inv, self.w);
        let cell = |y, x| Approx::exact(of[((item * self.h + y) * self.w + x) * n + c]);
        cell(y0, x0).mix(cell(y0, x1), ax).mix(cell(y1, x0).mix(cell(y1, x1), ax), ay)
    }
}

impl Level {
    /// The largest magnitude of the cells that [`Level::at`] reads.
    fn largest(&self, of: &[f64], (c, n): (usize, usize), item: usize, y: usize, x: usize) -> f64 {
        let (y0, y1, _) = surrounding_cells(y, self.inv, self.h);
        let (x0, x1, _) = surrounding_cells(x, self.inv, self.w);
        let cell = |(y, x): (usize, usize)| of[((item * self.h + y) * self.w + x) * n + c].abs();
        [(y0, x0), (y0, x1), (y1, x0), (y1, x1)].map(cell).into_iter().fold(0.0, f64::max)
    }
}

/// The frames and the outputs of the blocks so far.
pub(super) struct View {
    pub(super) full: (usize, usize),
    pub(super) variant: Variant,
    pub(super) images: Vec<Image>,
    pub(super) levels: Vec<Level>,
}

impl View {
    pub(super) fn estimate(&self, item: usize, y: usize, x: usize) -> ([Approx; 4], Approx) {
        let mut flow = [Approx::default(); 4];
        let mut mask = Approx::default();
        for (i, level) in self.levels.iter().enumerate() {
            for (c, flow) in flow.iter_mut().enumerate() {
                *flow = flow.plus(level.at(&level.flow, (c, 4), item, y, x));
            }
            let here = level.at(&level.mask, (0, 1), item, y, x);
            match self.variant.mask_replaced {
                true if i + 1 == self.levels.len() => mask = here,
                true => {}
                false => mask = mask.plus(here),
            }
        }
        (flow, mask)
    }

    /// A pixel of a block's input at the frame's size, before flow is divided, in the published
    /// order: RGB, features, timestep, mask, feature, flow.
    pub(super) fn input_at(&self, of: &Item, item: usize, y: usize, x: usize) -> Vec<Approx> {
        let (image0, image1) = (&self.images[of.image0], &self.images[of.image1]);
        let t = Approx::exact(f64::from(of.t));
        let end = 3 + self.variant.features;
        let join = |a: &[Approx], b: &[Approx]| [&a[..3], &b[..3], &a[3..end], &b[3..end]].concat();
        let Some(last) = self.levels.last() else {
            let mut all = join(&image0.at(y, x), &image1.at(y, x));
            all.push(t);
            return all;
        };
        let (flow, mask) = self.estimate(item, y, x);
        let first = image0.sample(y, x, flow[0], flow[1]);
        let second = image1.sample(y, x, flow[2], flow[3]);
        let mut all = join(&first, &second);
        all.extend([t, mask]);
        if let Some(feat) = &last.feat {
            // The kernel sums the cells of up to four pixels one by one, with a weight of two
            // factors each.
            let feature = |c| {
                let mut v = last.at(feat, (c, 8), item, y, x);
                v.e += 20.0 * U * last.largest(feat, (c, 8), item, y, x);
                v
            };
            all.extend((0..8).map(feature));
        }
        all.extend(flow);
        all
    }

    pub(super) fn block_input(
        &self,
        of: &Item,
        item: usize,
        by: usize,
        bx: usize,
        divisor: f64,
        taps: usize,
    ) -> Vec<Approx> {
        assert_eq!(taps, if divisor == 1.0 { 1 } else { 4 });
        let (y0, y1, ay) = surrounding_cells(by, divisor, self.full.0);
        let (x0, x1, ax) = surrounding_cells(bx, divisor, self.full.1);
        let at = |y, x| self.input_at(of, item, y, x);
        let mut all = if taps == 1 {
            at(by, bx)
        } else {
            let mix = |a: Vec<Approx>, b: Vec<Approx>, f: f64| -> Vec<Approx> {
                a.into_iter().zip(b).map(|(a, b)| a.mix(b, f)).collect()
            };
            mix(mix(at(y0, x0), at(y0, x1), ax), mix(at(y1, x0), at(y1, x1), ax), ay)
        };
        let timestep = 6 + 2 * self.variant.features;
        all[timestep] = Approx::exact(f64::from(of.t));
        if !self.levels.is_empty() {
            let flow = all.len() - 4;
            all[flow..].iter_mut().for_each(|v| *v = v.times(1.0 / divisor));
        }
        all
    }

    pub(super) fn blend(
        &self,
        of: &Item,
        y: usize,
        x: usize,
        flow: &[Approx; 4],
        mask: Approx,
    ) -> [Approx; 3] {
        let first = self.images[of.image0].sample(y, x, flow[0], flow[1]);
        let second = self.images[of.image1].sample(y, x, flow[2], flow[3]);
        if !mask.e.is_finite() {
            return [Approx::ANYTHING; 3];
        }
        let weight = 1.0 / (1.0 + (-mask.v).exp());
        // The slope of the sigmoid is at most 1/4. `expf` and the division have an error of a few
        // units in the last place.
        let weight_off = (mask.e / 4.0).min(1.0) + 8.0 * U;
        std::array::from_fn(|c| {
            let (p, q) = (first[c], second[c]);
            let v = p.v * weight + q.v * (1.0 - weight);
            let e =
                p.e.max(q.e) + (p.v - q.v).abs() * weight_off + 4.0 * U * p.v.abs().max(q.v.abs());
            Approx { v, e }
        })
    }
}
