//! The memory of a plan, and the steps that compute on it.

mod blend;
mod convolution;

use super::value::{Approx, Element, Format, Output, Place, activation};
use super::view::{Image, Level, View};
use super::weights::Weights;
use crate::cuda::kernel::{Kernel, RoundingResiduals};
use crate::cuda::pack::input_channels;
use crate::cuda::plan::{BufferId, ChannelOrder, Estimate, Layer, LayerKind, Plan, Step};
use crate::cuda::samples::SampleLayout;
use crate::cuda::variant::{Layout, Variant};
use crate::{FrameSize, Precision, SampleType};

/// One frame to interpolate.
#[derive(Clone, Copy, Debug)]
pub(in crate::cuda::tests) struct Item {
    pub(in crate::cuda::tests) image0: usize,
    pub(in crate::cuda::tests) image1: usize,
    pub(in crate::cuda::tests) out: usize,
    pub(in crate::cuda::tests) t: f32,
    /// The type and the strides of the samples of `out`.
    pub(in crate::cuda::tests) layout: SampleLayout,
}

/// The stored element of a sample.
pub(in crate::cuda::tests) fn element(sample: SampleType) -> Element {
    match sample {
        SampleType::U8 => Element::U8,
        SampleType::U16 => Element::U16,
        SampleType::F16 => Element::Half,
        SampleType::F32 => Element::Float,
    }
}

/// The offset of a sample in a frame, in bytes.
pub(in crate::cuda::tests) fn sample_offset(
    layout: &SampleLayout,
    y: usize,
    x: usize,
    c: usize,
) -> usize {
    (layout.row * y as i64 + layout.pixel * x as i64 + layout.channel * c as i64) as usize
}

/// The memory of a plan's buffers.
#[derive(Clone, Debug)]
pub(in crate::cuda::tests) enum Memory {
    /// Separate buffers.
    Separate(Vec<Vec<u8>>),
    /// Buffers at their offsets in the arena.
    Arena(Vec<u8>),
}

/// A plan and everything that its steps read and write.
pub(in crate::cuda::tests) struct Simulation<'a> {
    pub(in crate::cuda::tests) plan: &'a Plan,
    pub(in crate::cuda::tests) size: FrameSize,
    pub(in crate::cuda::tests) weights: &'a Weights,
    pub(in crate::cuda::tests) memory: Memory,
    pub(in crate::cuda::tests) images: Vec<Vec<u8>>,
    pub(in crate::cuda::tests) outs: Vec<Vec<u8>>,
    pub(in crate::cuda::tests) items: Vec<Item>,
    /// The index of the image that the encoder reads.
    pub(in crate::cuda::tests) encoded: usize,
    /// Whether to compute error bounds. Without them it is faster.
    pub(in crate::cuda::tests) errors: bool,
}

/// The initial content of memory: NaN as F32 and as F16.
pub(in crate::cuda::tests) const POISON: u8 = 0xff;

impl<'a> Simulation<'a> {
    pub(in crate::cuda::tests) fn new(
        plan: &'a Plan,
        size: FrameSize,
        weights: &'a Weights,
        images: usize,
        arena: bool,
    ) -> Self {
        let separate = || plan.buffers.iter().map(|b| vec![POISON; b.bytes]).collect();
        Self {
            plan,
            size,
            weights,
            memory: match arena {
                true => Memory::Arena(vec![POISON; plan.arena]),
                false => Memory::Separate(separate()),
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
            (Place::Buffer(id), Memory::Separate(all)) => &all[id],
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
            (Place::Buffer(id), Memory::Separate(all)) => &mut all[id],
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
                panic!("{:?} is not a step of a plan", step.kernel)
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

    /// Reads a tensor of shape `(batch, h, w, c)`, and returns it channels-last whatever its layout
    /// in memory.
    fn tensor(&self, id: BufferId, terms: usize, [batch, h, w, c]: [usize; 4]) -> Vec<f64> {
        let format = self.format(terms, [batch, h, w, c]);
        let stored = format.read(self.bytes(Place::Buffer(id)));
        assert_eq!(stored.len(), batch * h * w * c);
        self.memory_order([batch, h, w, c]).map(|at| stored[at]).collect()
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
        let LayerKind::Conv { cin, order: order @ ChannelOrder::Block { .. }, .. } =
            self.layer(step).kind
        else {
            return None;
        };
        (self.variant().precision == Precision::F16)
            .then(|| Format::inputs(&input_channels(order, cin, padded), self.stride(step.input)))
    }

    /// The order of a block's input that a step computes.
    fn block_order(&self, step: &Step, residuals: RoundingResiduals) -> ChannelOrder {
        let features = self.variant().features;
        let handed_on = step.levels.last().map(|level| if level.feat.is_some() { 8 } else { 0 });
        ChannelOrder::Block { residuals, features, handed_on }
    }

    /// Elements from one channel to the next.
    fn stride(&self, (h, w): (usize, usize)) -> usize {
        if self.variant().layout == Layout::Planar { h * w } else { 1 }
    }

    /// The index in memory of each element of a tensor, in channels-last order.
    fn memory_order(&self, [batch, h, w, c]: [usize; 4]) -> impl Iterator<Item = usize> + use<> {
        let planes = self.variant().layout == Layout::Planar;
        (0..batch * h * w * c).map(move |i| {
            let (pixel, channel) = (i / c, i % c);
            let (item, pixel) = (pixel / (h * w), pixel % (h * w));
            if planes { (item * c + channel) * h * w + pixel } else { i }
        })
    }

    fn stored(&self, id: BufferId, terms: usize, shape: [usize; 4], values: Vec<Approx>) -> Output {
        let mut stored = vec![None; values.len()];
        self.memory_order(shape).zip(values).for_each(|(at, v)| stored[at] = Some(v));
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
        let (step, first) = (variant.pixel() / size, variant.features_at() / size);
        let channels = 3 + variant.stored_features();
        let mut values = Vec::new();
        let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); channels];
        for (i, b) in bytes.chunks_exact(size).enumerate() {
            let channel = match i % step {
                c if c < 3 => c,
                c if (first..first + variant.stored_features()).contains(&c) => c - first + 3,
                _ => continue,
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

    /// Converts a frame to the image `to`.
    pub(in crate::cuda::tests) fn convert_frame(
        &self,
        samples: &[u8],
        layout: SampleLayout,
        to: usize,
    ) -> Output {
        let variant = self.variant();
        let (h, w) = self.full();
        let channels = variant.pixel() / variant.element();
        let mut values = vec![None; h * w * channels];
        for (i, pixel) in values.chunks_exact_mut(channels).enumerate() {
            let (y, x) = (i / w, i % w);
            for (c, to) in pixel[..4].iter_mut().enumerate() {
                let inside = y < self.size.height && x < self.size.width && c < 3;
                let v = if inside {
                    let at = sample_offset(&layout, y, x, c);
                    let v = element(layout.sample).read(&samples[at..]) as f32;
                    match layout.sample {
                        SampleType::U8 => v / 255.0,
                        SampleType::U16 => v / 65535.0,
                        _ if v.is_nan() => 0.0,
                        _ => v.clamp(0.0, 1.0),
                    }
                } else {
                    0.0
                };
                // In F32 like the kernel, so that the result is exact.
                let v = match variant.precision {
                    Precision::F16 => f64::from((v * 65535.0).round_ties_even()),
                    _ => f64::from(v),
                };
                *to = Some(Approx::exact(v));
            }
        }
        Output { place: Place::Image(to), format: Format::image(variant), values }
    }

    fn layer(&self, step: &Step) -> &Layer {
        &self.plan.layers[step.layer.unwrap()]
    }
}
