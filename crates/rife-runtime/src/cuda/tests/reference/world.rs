//! The memory of a plan, and what each of its steps computes from it.

use rayon::prelude::*;

use super::U;
use super::value::{Approx, Element, Format, Output, Place, activation, in_terms};
use super::view::{Image, Level, View};
use super::weights::{Sums, Weights, operand, sum_error};
use crate::cuda::kernel::{ConvInput, DeconvEpilogue, Epilogue, Kernel, RoundingResiduals};
use crate::cuda::pack::input_channels;
use crate::cuda::plan::{BufferId, ChannelOrder, Estimate, Layer, LayerKind, Plan, Step};
use crate::cuda::variant::{Layout, Products, Variant};
use crate::{FrameSize, PixelFormat, Precision};

/// One frame to interpolate.
#[derive(Clone, Copy, Debug)]
pub(in crate::cuda::tests) struct Item {
    pub(in crate::cuda::tests) image0: usize,
    pub(in crate::cuda::tests) image1: usize,
    pub(in crate::cuda::tests) out: usize,
    pub(in crate::cuda::tests) t: f32,
    pub(in crate::cuda::tests) format: PixelFormat,
    /// Bytes from a row to the next, and from a plane to the next.
    pub(in crate::cuda::tests) pitch: usize,
    pub(in crate::cuda::tests) plane: usize,
}

/// The memory of a plan's buffers.
#[derive(Clone, Debug)]
pub(in crate::cuda::tests) enum Memory {
    /// Separate buffers.
    Apart(Vec<Vec<u8>>),
    /// Buffers at their offsets in the arena.
    Arena(Vec<u8>),
}

/// A plan and everything that its steps read and write.
pub(in crate::cuda::tests) struct World<'a> {
    pub(in crate::cuda::tests) plan: &'a Plan,
    pub(in crate::cuda::tests) size: FrameSize,
    pub(in crate::cuda::tests) weights: &'a Weights,
    pub(in crate::cuda::tests) memory: Memory,
    pub(in crate::cuda::tests) images: Vec<Vec<u8>>,
    pub(in crate::cuda::tests) outs: Vec<Vec<u8>>,
    pub(in crate::cuda::tests) items: Vec<Item>,
    /// The image that the encoder works on.
    pub(in crate::cuda::tests) encoded: usize,
    /// Whether error bounds are computed; it is faster without.
    pub(in crate::cuda::tests) errors: bool,
}

/// The initial content of memory: NaN as F32 and as F16.
pub(in crate::cuda::tests) const POISON: u8 = 0xff;

impl<'a> World<'a> {
    pub(in crate::cuda::tests) fn new(
        plan: &'a Plan,
        size: FrameSize,
        weights: &'a Weights,
        images: usize,
        arena: bool,
    ) -> Self {
        let apart = || plan.buffers.iter().map(|b| vec![POISON; b.bytes]).collect();
        Self {
            plan,
            size,
            weights,
            memory: match arena {
                true => Memory::Arena(vec![POISON; plan.arena]),
                false => Memory::Apart(apart()),
            },
            images: vec![vec![POISON; plan.image_bytes()]; images],
            outs: Vec::new(),
            items: Vec::new(),
            encoded: 0,
            errors: true,
        }
    }

    pub(in crate::cuda::tests) fn bytes(&self, place: Place) -> &[u8] {
        match (place, &self.memory) {
            (Place::Buffer(id), Memory::Apart(all)) => &all[id],
            (Place::Buffer(id), Memory::Arena(arena)) => {
                let buffer = &self.plan.buffers[id];
                &arena[buffer.offset..][..buffer.bytes]
            }
            (Place::Image(i), _) => &self.images[i],
            (Place::Out(i), _) => &self.outs[i],
        }
    }

    pub(in crate::cuda::tests) fn bytes_mut(&mut self, place: Place) -> &mut [u8] {
        match (place, &mut self.memory) {
            (Place::Buffer(id), Memory::Apart(all)) => &mut all[id],
            (Place::Buffer(id), Memory::Arena(arena)) => {
                let buffer = &self.plan.buffers[id];
                &mut arena[buffer.offset..][..buffer.bytes]
            }
            (Place::Image(i), _) => &mut self.images[i],
            (Place::Out(i), _) => &mut self.outs[i],
        }
    }

    pub(in crate::cuda::tests) fn commit(&mut self, outputs: &[Output]) {
        for output in outputs {
            output.write(self.bytes_mut(output.place));
        }
    }

    /// Computes the outputs of a step.
    pub(in crate::cuda::tests) fn run(&self, step: &Step) -> Vec<Output> {
        match step.kernel {
            Kernel::Conv { .. } => self.conv(step),
            Kernel::Deconv { epilogue, .. } => self.deconv(step, epilogue),
            Kernel::Input { cin, taps, residuals, .. } => self.input(step, cin, taps, residuals),
            Kernel::Pointwise { channels, terms } => self.pointwise(step, channels, terms),
            Kernel::Blend { .. } => self.blend(step),
            Kernel::Merge => self.merge(step),
            Kernel::Frame
            | Kernel::YuvDecode
            | Kernel::YuvEncode
            | Kernel::Items
            | Kernel::Peak => {
                panic!("no plan has {:?}", step.kernel)
            }
        }
    }

    fn variant(&self) -> &Variant {
        &self.plan.variant
    }

    fn full(&self) -> (usize, usize) {
        (self.plan.padding.padded_height, self.plan.padding.padded_width)
    }

    fn elements(&self, id: BufferId, element: Element) -> Vec<f64> {
        let bytes = self.bytes(Place::Buffer(id));
        bytes.chunks_exact(element.bytes()).map(|b| element.read(b)).collect()
    }

    /// A tensor of `(batch, h, w, c)`, with channels last whatever the layout in memory.
    fn tensor(&self, id: BufferId, terms: usize, [batch, h, w, c]: [usize; 4]) -> Vec<f64> {
        let format = self.format(terms, [batch, h, w, c]);
        let stored = format.read(self.bytes(Place::Buffer(id)));
        assert_eq!(stored.len(), batch * h * w * c);
        self.in_memory([batch, h, w, c]).map(|at| stored[at]).collect()
    }

    /// The format of a stored tensor.
    fn format(&self, terms: usize, [_, h, w, c]: [usize; 4]) -> Format {
        match (terms, self.variant().layout) {
            (1, _) => Format::All(activation(self.variant())),
            (_, Layout::ChannelsLast) => Format::Pairs { run: c },
            (_, Layout::Planar) => Format::Pairs { run: c * h * w },
        }
    }

    /// The format of an activation that a step reads.
    pub(in crate::cuda::tests) fn activation(&self, step: &Step, id: BufferId) -> Format {
        let ((h, w), (oh, ow), batch) = (step.input, step.output, step.batch);
        match step.kernel {
            Kernel::Conv { cin, .. }
                if step.src == Some(id) && self.inputs(step, cin).is_some() =>
            {
                self.inputs(step, cin).unwrap()
            }
            Kernel::Conv { cin, terms, .. } if step.src == Some(id) => {
                self.format(terms.input, [batch, h, w, cin])
            }
            Kernel::Pointwise { channels, terms } if step.dst == Some(id) => {
                self.format(terms, [batch, oh, ow, channels])
            }
            _ => Format::All(activation(self.variant())),
        }
    }

    /// The format of a block's input that a convolution reads.
    fn inputs(&self, step: &Step, padded: usize) -> Option<Format> {
        let LayerKind::Conv { cin, order: order @ ChannelOrder::Block(_), .. } =
            self.layer(step).kind
        else {
            return None;
        };
        (self.variant().precision == Precision::F16)
            .then(|| Format::inputs(&input_channels(order, cin, padded), self.stride(step.input)))
    }

    /// Elements from a channel to the next, for images of a size.
    fn stride(&self, (h, w): (usize, usize)) -> usize {
        if self.variant().layout == Layout::Planar { h * w } else { 1 }
    }

    /// The index of each element of a tensor, in channels-last order.
    fn in_memory(&self, [batch, h, w, c]: [usize; 4]) -> impl Iterator<Item = usize> + use<> {
        let planes = self.variant().layout == Layout::Planar;
        (0..batch * h * w * c).map(move |i| {
            let (pixel, channel) = (i / c, i % c);
            let (item, pixel) = (pixel / (h * w), pixel % (h * w));
            if planes { (item * c + channel) * h * w + pixel } else { i }
        })
    }

    fn stored(&self, id: BufferId, terms: usize, shape: [usize; 4], values: Vec<Approx>) -> Output {
        let mut stored = vec![None; values.len()];
        self.in_memory(shape).zip(values).for_each(|(at, v)| stored[at] = Some(v));
        Output { place: Place::Buffer(id), format: self.format(terms, shape), values: stored }
    }

    fn view(&self, levels: &[Estimate]) -> View {
        let level = |e: &Estimate| Level {
            h: e.h,
            w: e.w,
            inv: 1.0 / e.divisor,
            flow: self.elements(e.flow, Element::Float),
            mask: self.elements(e.mask, Element::Float),
            feat: e.feat.map(|id| self.elements(id, activation(self.variant()))),
        };
        View {
            full: self.full(),
            variant: *self.variant(),
            images: self.images.iter().map(|bytes| self.image(bytes)).collect(),
            levels: levels.iter().map(level).collect(),
        }
    }

    fn image(&self, bytes: &[u8]) -> Image {
        let variant = self.variant();
        let format = Format::image(variant);
        let size = format.at(0).bytes();
        let (channels, step) = if variant.features { (7, 8) } else { (3, 4) };
        let mut values = Vec::new();
        let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); channels];
        for (i, b) in bytes.chunks_exact(size).enumerate() {
            // Red, green, blue, padding, features.
            let channel = match i % step {
                3 => continue,
                c if c > 3 => c - 1,
                c => c,
            };
            let element = format.at(i);
            let v = element.read(b) / if element == Element::U16 { 65535.0 } else { 1.0 };
            range[channel] = (range[channel].0.min(v), range[channel].1.max(v));
            values.push(v);
        }
        let (h, w) = self.full();
        assert_eq!(values.len(), h * w * channels);
        Image { h, w, channels, values, range }
    }

    /// Converts a frame to the image `to`: rows `pitch` bytes apart, planes `plane`.
    pub(in crate::cuda::tests) fn take(
        &self,
        samples: &[u8],
        format: PixelFormat,
        (pitch, plane): (usize, usize),
        to: usize,
    ) -> Output {
        let variant = self.variant();
        let (h, w) = self.full();
        let channels = if variant.features { 8 } else { 4 };
        let mut values = vec![None; h * w * channels];
        for (i, pixel) in values.chunks_exact_mut(channels).enumerate() {
            let (y, x) = (i / w, i % w);
            for (c, to) in pixel[..4].iter_mut().enumerate() {
                let inside = y < self.size.height && x < self.size.width && c < 3;
                let v = if inside {
                    let row = y * pitch;
                    match format {
                        PixelFormat::Rgb8 => f32::from(samples[row + 3 * x + c]) / 255.0,
                        PixelFormat::Rgb16 => {
                            let at = row + 2 * (3 * x + c);
                            f32::from(u16::from_le_bytes([samples[at], samples[at + 1]])) / 65535.0
                        }
                        PixelFormat::PlanarF32 => {
                            let at = row + c * plane + 4 * x;
                            let v = Element::Float.read(&samples[at..at + 4]) as f32;
                            if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) }
                        }
                        PixelFormat::Yuv(_) => panic!("a kernel of its own takes it in"),
                    }
                } else {
                    0.0
                };
                // F32 on purpose: the result is exact, as is every integer below.
                let v = match variant.precision {
                    Precision::F16 => f64::from((v * 65535.0).round_ties_even()),
                    _ => f64::from(v),
                };
                *to = Some(Approx::exact(v));
            }
        }
        Output { place: Place::Image(to), format: Format::image(variant), values }
    }

    /// The operands of a convolution, with channels in the published order, and the error of a
    /// kernel's.
    fn operands(&self, step: &Step, batch: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let Kernel::Conv { cin: padded, source, terms, .. } = step.kernel else { unreachable!() };
        let LayerKind::Conv { cin, order, .. } = self.layer(step).kind else { unreachable!() };
        let products = self.variant().products(&step.kernel);
        let (h, w) = step.input;
        // The channels of each published channel: two if its residual has one.
        let order = input_channels(order, cin, padded);
        let places: Vec<Vec<usize>> = (0..cin)
            .map(|c| (0..padded).filter(|place| order[*place] == Some(c)).collect())
            .collect();
        let made: Vec<Approx> = match source {
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
        let x: Vec<f64> = made.iter().enumerate().map(|(i, a)| stored(i, a.v)).collect();
        let off = made.iter().zip(&x).enumerate().map(|(i, (a, x))| {
            let off = (stored(i, a.v + a.e) - x).max(x - stored(i, a.v - a.e));
            if off.is_finite() { off.max(a.e * U) } else { f64::INFINITY }
        });
        (x.clone(), self.errors.then(|| off.collect()))
    }

    fn layer(&self, step: &Step) -> &Layer {
        &self.plan.layers[step.layer.unwrap()]
    }

    fn conv(&self, step: &Step) -> Vec<Output> {
        let Kernel::Conv { cin: padded, stride, epilogue, terms: stored, .. } = step.kernel else {
            unreachable!()
        };
        let layer = self.layer(step);
        let LayerKind::Conv { cin, cout, .. } = layer.kind else { unreachable!() };
        let batch = step.batch;
        let of = self.weights.multiplied(layer, self.variant().precision);
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
        let mut made = Vec::with_capacity(batch * oh * ow * cout);
        for item in 0..batch {
            let within = item * h * w * cin..(item + 1) * h * w * cin;
            let off = off.as_ref().map(|off| &off[within.clone()]);
            let sums = Sums { x: &x[within], off, cin, of: &of, relative, errors: self.errors };
            made.extend(sums.all((oh, ow), terms));
        }
        if epilogue == Epilogue::Residual {
            let own = self.tensor(step.src.unwrap(), stored.input, [batch, h, w, padded]);
            assert_eq!(own.len(), made.len());
            made.iter_mut().zip(own).for_each(|(v, r)| *v = v.plus(Approx::exact(r)));
        }
        if epilogue != Epilogue::Bias {
            made.iter_mut().for_each(|v| *v = v.leaky());
        }
        vec![self.stored(step.dst.unwrap(), stored.output, [batch, oh, ow, cout], made)]
    }

    fn deconv(&self, step: &Step, epilogue: DeconvEpilogue) -> Vec<Output> {
        let layer = self.layer(step);
        let LayerKind::Deconv { cin, outputs, columns, shuffled } = layer.kind else {
            unreachable!()
        };
        assert_eq!(shuffled, epilogue != DeconvEpilogue::Features);
        let batch = step.batch;
        let of = self.weights.multiplied(layer, self.variant().precision);
        let (h, w) = step.input;
        let products = self.variant().products(&step.kernel);
        let mut x = self.tensor(step.src.unwrap(), 1, [batch, h, w, cin]);
        x.iter_mut().for_each(|v| *v = operand(products, 1, *v));
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
        let relative = sum_error(self.variant(), &step.kernel, cin, 4);
        let each = h * w * cin;
        let mut made: Vec<Vec<Approx>> = Vec::new();
        for item in 0..batch {
            let x = &x[item * each..(item + 1) * each];
            let sums = Sums { x, off: None, cin, of: &of, relative, errors: self.errors };
            made.push(sums.all((2 * h, 2 * w), terms));
        }
        if epilogue == DeconvEpilogue::Features {
            let mut values = vec![None; h * w * 4 * 8];
            for (pixel, features) in values.chunks_exact_mut(8).zip(made[0].chunks_exact(outputs)) {
                pixel[4..].iter_mut().zip(features).for_each(|(to, v)| *to = Some(*v));
            }
            let (place, format) = (Place::Image(self.encoded), Format::image(self.variant()));
            return vec![Output { place, format, values }];
        }
        // Channel `c` of the pixel after the pixel shuffle.
        let (rows, across) = (4 * h, 4 * w);
        let shuffled = |item: usize, y: usize, x: usize, c: usize| {
            let pixel = (y / 2) * 2 * w + x / 2;
            made[item][pixel * outputs + 4 * c + 2 * (y % 2) + x % 2]
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

    /// A block's inputs: each pixel's channels in the published order.
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

    fn input(
        &self,
        step: &Step,
        padded: usize,
        taps: usize,
        residuals: RoundingResiduals,
    ) -> Vec<Output> {
        let view = self.view(&step.levels);
        let pixels = self.block_inputs(&view, step, taps);
        let order = input_channels(ChannelOrder::Block(residuals), pixels[0].len(), padded);
        let first = |place: usize| order[..place].iter().all(|c| *c != order[place]);
        let of = |pixel: &Vec<Approx>| -> Vec<Approx> {
            let at = |place: usize| order[place].filter(|_| first(place)).map(|c| pixel[c]);
            (0..padded).map(|place| at(place).unwrap_or_default()).collect()
        };
        let values = pixels.iter().flat_map(of).collect();
        let (h, w) = step.output;
        let shape = [step.batch, h, w, padded];
        let mut made = self.stored(step.dst.unwrap(), 1, shape, values);
        if self.variant().precision == Precision::F16 {
            made.format = Format::inputs(&order, self.stride(step.output));
        }
        vec![made]
    }

    fn pointwise(&self, step: &Step, channels: usize, terms: usize) -> Vec<Output> {
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

    fn blend(&self, step: &Step) -> Vec<Output> {
        let view = self.view(&step.levels);
        (0..self.plan.items)
            .step_by(self.plan.item_step)
            .map(|item| self.blended(&view, item, |flow, mask, _, _| (*flow, mask)))
            .collect()
    }

    /// The frame of an item, from the levels' estimate and `add`.
    fn blended(
        &self,
        view: &View,
        item: usize,
        add: impl Fn(&[Approx; 4], Approx, usize, usize) -> ([Approx; 4], Approx) + Sync,
    ) -> Output {
        let of = &self.items[item];
        let FrameSize { width: w, height: h, .. } = self.size;
        let (element, most) = match of.format {
            PixelFormat::Rgb8 => (Element::U8, 255.0),
            PixelFormat::Rgb16 => (Element::U16, 65535.0),
            PixelFormat::PlanarF32 => (Element::Float, 1.0),
            PixelFormat::Yuv(_) => panic!("a kernel of its own makes it"),
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
                let at = match of.format {
                    PixelFormat::PlanarF32 => (c * of.plane + y * of.pitch) / size + x,
                    _ => y * of.pitch / size + 3 * x + c,
                };
                let clamped = if colour.v.is_nan() { colour.v } else { colour.v.clamp(0.0, 1.0) };
                let clamped = Approx { v: clamped, e: colour.e };
                values[at] = Some(if most == 1.0 { clamped } else { clamped.times(most) });
            }
        }
        // Sums below 0 or above 1 are clamped when stored.
        if element == Element::Float {
            for value in values.iter_mut().flatten().filter(|v| v.e.is_finite()) {
                let (least, most) = ((value.v - value.e).max(0.0), (value.v + value.e).min(1.0));
                *value = Approx { v: value.v, e: (value.v - least).max(most - value.v) };
            }
        }
        Output { place: Place::Out(of.out), format: Format::All(element), values }
    }

    fn merge(&self, step: &Step) -> Vec<Output> {
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
                    let turned = (c + 2) % 4;
                    let sum = exact(flow[4 * p + c]).plus(exact(flow[4 * q + turned])).times(0.5);
                    flows[4 * p + c] = sum;
                    flows[4 * q + turned] = sum;
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
