//! The blended frame, and the mean of the ensemble's estimates.

use rayon::prelude::*;

use super::{Simulation, element, sample_offset};
use crate::FrameSize;
use crate::cuda::plan::Step;
use crate::cuda::tests::reference::value::{Approx, Element, Format, Output, Place};
use crate::cuda::tests::reference::view::View;

impl Simulation<'_> {
    pub(super) fn blend(&self, step: &Step) -> Vec<Output> {
        let view = self.view(&step.levels);
        (0..self.plan.items)
            .step_by(self.plan.item_step)
            .map(|item| self.blended(&view, item, |flow, mask, _, _| (*flow, mask)))
            .collect()
    }

    /// The blended frame of an item. `add` adds to the levels' estimate of flow and mask at a
    /// pixel.
    pub(super) fn blended(
        &self,
        view: &View,
        item: usize,
        add: impl Fn(&[Approx; 4], Approx, usize, usize) -> ([Approx; 4], Approx) + Sync,
    ) -> Output {
        let of = &self.items[item];
        let FrameSize { width: w, height: h, .. } = self.size;
        let element = element(of.layout.sample);
        let max = match element {
            Element::U8 => 255.0,
            Element::U16 => 65535.0,
            Element::Half | Element::Float => 1.0,
        };
        let size = element.bytes();
        let mut values = vec![None; self.outs[of.out].len() / size];
        let pixels: Vec<[Approx; 3]> = (0..h * w)
            .into_par_iter()
            .map(|i| {
                let (y, x) = (i / w, i % w);
                let (flow, mask) = view.estimate(item, y, x);
                let (flow, mask) = add(&flow, mask, y, x);
                view.blend(of, y, x, &flow, mask)
            })
            .collect();
        for (i, rgb) in pixels.into_iter().enumerate() {
            let (y, x) = (i / w, i % w);
            for (c, colour) in rgb.into_iter().enumerate() {
                let at = sample_offset(&of.layout, y, x, c) / size;
                let clamped = if colour.v.is_nan() { colour.v } else { colour.v.clamp(0.0, 1.0) };
                let clamped = Approx { v: clamped, e: colour.e };
                values[at] = Some(if max == 1.0 { clamped } else { clamped.times(max) });
            }
        }
        // Kernels clamp to [0, 1], which reduces the error bound.
        if matches!(element, Element::Half | Element::Float) {
            for value in values.iter_mut().flatten().filter(|v| v.e.is_finite()) {
                let (min, max) = ((value.v - value.e).max(0.0), (value.v + value.e).min(1.0));
                *value = Approx { v: value.v, e: (value.v - min).max(max - value.v) };
            }
        }
        Output { place: Place::Out(of.out), format: Format::All(element), values }
    }

    pub(super) fn merge(&self, step: &Step) -> Vec<Output> {
        let estimate = step.estimate.unwrap();
        let flow = self.elements(estimate.flow, Element::Float);
        let mask = self.elements(estimate.mask, Element::Float);
        let n = step.output.0 * step.output.1;
        let exact = |v: f64| Approx::exact(v);
        let mut flows = vec![Approx::default(); flow.len()];
        let mut masks = vec![Approx::default(); mask.len()];
        for pair in 0..self.plan.items / 2 {
            for i in 0..n {
                let (p, q) = (2 * pair * n + i, (2 * pair + 1) * n + i);
                for c in 0..4 {
                    let reversed = (c + 2) % 4;
                    let sum = exact(flow[4 * p + c]).plus(exact(flow[4 * q + reversed])).times(0.5);
                    flows[4 * p + c] = sum;
                    flows[4 * q + reversed] = sum;
                }
                let mean = exact(mask[p]).plus(exact(-mask[q])).times(0.5);
                masks[p] = mean;
                masks[q] = Approx { v: -mean.v, e: mean.e };
            }
        }
        vec![
            Output::all(Place::Buffer(estimate.flow), Element::Float, flows),
            Output::all(Place::Buffer(estimate.mask), Element::Float, masks),
        ]
    }
}
