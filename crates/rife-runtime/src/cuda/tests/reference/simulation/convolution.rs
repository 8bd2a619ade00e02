//! Convolutions, the inputs of blocks, and activations.

use rayon::prelude::*;

use super::Simulation;
use crate::Precision;
use crate::cuda::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, RoundingResiduals};
use crate::cuda::pack::input_channels;
use crate::cuda::plan::{LayerKind, Step};
use crate::cuda::tests::reference::U;
use crate::cuda::tests::reference::value::{
    Approx, Element, Format, Output, Place, activation, in_terms,
};
use crate::cuda::tests::reference::view::View;
use crate::cuda::tests::reference::weights::{Sums, operand, sum_error};
use crate::cuda::variant::Products;

impl Simulation<'_> {
    /// The operands of a convolution, with channels in the published order, and their error bounds.
    fn operands(&self, step: &Step, batch: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let Kernel::Conv { cin: padded, source, terms, .. } = step.kernel else { unreachable!() };
        let LayerKind::Conv { cin, order, .. } = self.layer(step).kind else { unreachable!() };
        let products = self.variant().products(&step.kernel);
        let (h, w) = step.input;
        // The kernel's channels of each published channel: two if it has a residual.
        let order = input_channels(order, cin, padded);
        let places: Vec<Vec<usize>> = (0..cin)
            .map(|c| (0..padded).filter(|place| order[*place] == Some(c)).collect())
            .collect();
        let inputs: Vec<Approx> = match source {
            ConvInput::Tensor => {
                let x = self.tensor(step.src.unwrap(), terms.input, [batch, h, w, padded]);
                let sum = |x: &[f64], at: &[usize]| at.iter().map(|place| x[*place]).sum();
                let x = x.chunks_exact(padded).flat_map(|x| {
                    let sums = places.iter().map(|at| (sum(x, at), at.len().max(terms.input)));
                    sums.map(|(v, n)| operand(products, n, v)).collect::<Vec<_>>()
                });
                return (x.collect(), None);
            }
            ConvInput::Block { taps, .. } => {
                let view = self.view(&step.levels);
                self.block_inputs(&view, step, taps).into_iter().flatten().collect()
            }
            ConvInput::Image { .. } => {
                let image = self.image(&self.images[self.encoded]);
                let pixels = image.values.chunks_exact(image.channels);
                let colour = |v: &f64| Approx { v: *v, e: 2.0 * U * v };
                pixels.flat_map(|p| p[..3].iter().map(colour).collect::<Vec<_>>()).collect()
            }
        };
        let stored = |i: usize, v: f64| match products {
            Products::F16 => in_terms(places[i % cin].len(), v),
            other => operand(other, 1, Element::Float.round(v)),
        };
        let x: Vec<f64> = inputs.iter().enumerate().map(|(i, a)| stored(i, a.v)).collect();
        let off = inputs.iter().zip(&x).enumerate().map(|(i, (a, x))| {
            let off = (stored(i, a.v + a.e) - x).max(x - stored(i, a.v - a.e));
            if off.is_finite() { off.max(a.e * U) } else { f64::INFINITY }
        });
        (x.clone(), self.errors.then(|| off.collect()))
    }

    pub(super) fn conv(&self, step: &Step) -> Vec<Output> {
        let Kernel::Conv { cin: padded, stride, epilogue, terms: stored, .. } = step.kernel else {
            unreachable!()
        };
        let layer = self.layer(step);
        let LayerKind::Conv { cin, outputs: published, columns, .. } = layer.kind else {
            unreachable!()
        };
        let batch = step.batch;
        let layer_weights = self.weights.multiplied(layer, self.variant().precision);
        let (x, off) = self.operands(step, batch);
        let ((h, w), (oh, ow)) = (step.input, step.output);
        let relative = sum_error(self.variant(), &step.kernel, padded, 9);
        let terms = |oy: usize, ox: usize| {
            (0..9).filter_map(move |tap| {
                let y = (oy * stride + tap / 3).checked_sub(1)?;
                let x = (ox * stride + tap % 3).checked_sub(1)?;
                (y < h && x < w).then_some((tap, y * w + x))
            })
        };
        let mut outputs = Vec::with_capacity(batch * oh * ow * columns);
        for item in 0..batch {
            let within = item * h * w * cin..(item + 1) * h * w * cin;
            let off = off.as_ref().map(|off| &off[within.clone()]);
            let sums = Sums {
                x: &x[within],
                off,
                cin,
                weights: &layer_weights,
                relative,
                errors: self.errors,
            };
            for pixel in sums.all((oh, ow), terms).chunks_exact(published) {
                outputs.extend_from_slice(pixel);
                // The weights of unused channels are zero, but zero times infinity is NaN.
                let finite = pixel.iter().all(|v| v.e.is_finite());
                let unused = if finite { Approx::exact(0.0) } else { Approx::ANYTHING };
                outputs.extend(std::iter::repeat_n(unused, columns - published));
            }
        }
        if epilogue == Epilogue::Residual {
            let residual = self.tensor(step.src.unwrap(), stored.input, [batch, h, w, padded]);
            assert_eq!(residual.len(), outputs.len());
            outputs.iter_mut().zip(residual).for_each(|(v, r)| *v = v.plus(Approx::exact(r)));
        }
        if epilogue != Epilogue::Bias {
            outputs.iter_mut().for_each(|v| *v = v.leaky());
        }
        vec![self.stored(step.dst.unwrap(), stored.output, [batch, oh, ow, columns], outputs)]
    }

    pub(super) fn deconv(&self, step: &Step, epilogue: DeconvEpilogue) -> Vec<Output> {
        let layer = self.layer(step);
        let LayerKind::Deconv { cin, padded, outputs, columns, shuffled } = layer.kind else {
            unreachable!()
        };
        assert_eq!(shuffled, epilogue != DeconvEpilogue::Features);
        let batch = step.batch;
        let layer_weights = self.weights.multiplied(layer, self.variant().precision);
        let (h, w) = step.input;
        let products = self.variant().products(&step.kernel);
        let x = self.tensor(step.src.unwrap(), 1, [batch, h, w, padded]);
        let used = x.chunks_exact(padded).flat_map(|pixel| &pixel[..cin]);
        let x: Vec<f64> = used.map(|v| operand(products, 1, *v)).collect();
        // Input pixel `i` and tap `k` contribute to output pixel `2 i - 1 + k`.
        let terms = |oy: usize, ox: usize| {
            (0..16).filter_map(move |tap| {
                let of = |o: usize, k: usize| {
                    let twice = (o + 1).checked_sub(k)?;
                    (twice % 2 == 0).then_some(twice / 2)
                };
                let (y, x) = (of(oy, tap / 4)?, of(ox, tap % 4)?);
                (y < h && x < w).then_some((tap, y * w + x))
            })
        };
        let relative = sum_error(self.variant(), &step.kernel, padded, 4);
        let each = h * w * cin;
        let mut sums_of_items: Vec<Vec<Approx>> = Vec::new();
        for item in 0..batch {
            let x = &x[item * each..(item + 1) * each];
            let sums =
                Sums { x, off: None, cin, weights: &layer_weights, relative, errors: self.errors };
            sums_of_items.push(sums.all((2 * h, 2 * w), terms));
        }
        if epilogue == DeconvEpilogue::Features {
            let variant = self.variant();
            let element = variant.element();
            let (per_pixel, first) = (variant.pixel() / element, variant.features_at() / element);
            let mut values = vec![None; h * w * 4 * per_pixel];
            for (pixel, features) in
                values.chunks_exact_mut(per_pixel).zip(sums_of_items[0].chunks_exact(outputs))
            {
                let stored = &mut pixel[first..first + variant.stored_features()];
                stored.fill(Some(Approx::exact(0.0)));
                stored.iter_mut().zip(features).for_each(|(to, v)| *to = Some(*v));
            }
            let (place, format) = (Place::Image(self.encoded), Format::image(self.variant()));
            return vec![Output { place, format, values }];
        }
        // Channel `c` of the pixel after the pixel shuffle.
        let (rows, across) = (4 * h, 4 * w);
        let shuffled = |item: usize, y: usize, x: usize, c: usize| {
            let pixel = (y / 2) * 2 * w + x / 2;
            sums_of_items[item][pixel * outputs + 4 * c + 2 * (y % 2) + x % 2]
        };
        let positions = (0..batch * rows * across).map(|i| {
            let (item, pixel) = (i / (rows * across), i % (rows * across));
            (item, pixel / across, pixel % across)
        });
        let flow: Vec<Approx> = positions
            .clone()
            .flat_map(|(n, y, x)| (0..4).map(move |c| (n, y, x, c)))
            .map(|(n, y, x, c)| shuffled(n, y, x, c).times(step.divisor))
            .collect();
        let mask: Vec<Approx> = positions.clone().map(|(n, y, x)| shuffled(n, y, x, 4)).collect();
        if let DeconvEpilogue::Blend { .. } = epilogue {
            // The last block works at the frame's size.
            assert_eq!((rows, across), self.full());
            let view = self.view(&step.levels);
            return (0..batch)
                .map(|item| {
                    self.blended(&view, item, |flow_before, mask_before, y, x| {
                        let at = (item * rows + y) * across + x;
                        let mut sum = *flow_before;
                        for (sum, v) in sum.iter_mut().zip(&flow[4 * at..]) {
                            *sum = sum.plus(*v);
                        }
                        let replaced = self.variant().mask_replaced;
                        (sum, if replaced { mask[at] } else { mask_before.plus(mask[at]) })
                    })
                })
                .collect();
        }
        let estimate = step.estimate.unwrap();
        let mut outputs = vec![
            Output::all(Place::Buffer(estimate.flow), Element::Float, flow),
            Output::all(Place::Buffer(estimate.mask), Element::Float, mask),
        ];
        assert_eq!(estimate.feat.is_some(), columns == 56);
        if let Some(id) = estimate.feat {
            let feat = positions
                .flat_map(|(n, y, x)| (5..13).map(move |c| (n, y, x, c)))
                .map(|(n, y, x, c)| shuffled(n, y, x, c))
                .collect();
            outputs.push(Output::all(Place::Buffer(id), activation(self.variant()), feat));
        }
        outputs
    }

    /// The input of a block: the channels of each pixel in the published order.
    fn block_inputs(&self, view: &View, step: &Step, taps: usize) -> Vec<Vec<Approx>> {
        let (h, w) = step.input;
        (0..step.batch * h * w)
            .into_par_iter()
            .map(|i| {
                let (item, pixel) = (i / (h * w), i % (h * w));
                let of = &self.items[item];
                view.block_input(of, item, pixel / w, pixel % w, step.divisor, taps)
            })
            .collect()
    }

    pub(super) fn input(
        &self,
        step: &Step,
        padded: usize,
        taps: usize,
        residuals: RoundingResiduals,
    ) -> Vec<Output> {
        let view = self.view(&step.levels);
        let pixels = self.block_inputs(&view, step, taps);
        let (cin, order) = (pixels[0].len(), self.block_order(step, residuals));
        let order = input_channels(order, cin, padded);
        let is_first = |place: usize| order[..place].iter().all(|c| *c != order[place]);
        let of = |pixel: &Vec<Approx>| -> Vec<Approx> {
            let at = |place: usize| order[place].filter(|_| is_first(place)).map(|c| pixel[c]);
            (0..padded).map(|place| at(place).unwrap_or_default()).collect()
        };
        let values = pixels.iter().flat_map(of).collect();
        let (h, w) = step.output;
        let shape = [step.batch, h, w, padded];
        let mut output = self.stored(step.dst.unwrap(), 1, shape, values);
        if self.variant().precision == Precision::F16 {
            output.format = Format::inputs(&order, self.stride(step.output));
        }
        vec![output]
    }

    pub(super) fn pointwise(&self, step: &Step, channels: usize, terms: usize) -> Vec<Output> {
        let id = step.dst.unwrap();
        let (h, w) = step.output;
        let format = self.format(terms, [step.batch, h, w, channels]);
        let stored = format.read(self.bytes(Place::Buffer(id)));
        let mut values: Vec<Approx> = stored.into_iter().map(Approx::exact).collect();
        if let Some(residual) = step.residual {
            assert_eq!(terms, 1);
            let residual = self.elements(residual, activation(self.variant()));
            values.iter_mut().zip(residual).for_each(|(v, r)| *v = v.plus(Approx::exact(r)));
        }
        let values = values.into_iter().map(|v| Some(v.leaky())).collect();
        vec![Output { place: Place::Buffer(id), format, values }]
    }
}
