//! What every kernel computes, once more, in plain Rust and slowly: the definition that plans are
//! checked against without a GPU, and kernels on one.
//!
//! A twin works in double precision, and knows of every value how far a kernel's, which works in
//! single precision and in another order, may lie from it ([`Approx`]). What is stored is rounded
//! as the engine rounds it. Weights are read as they were published, never as they are packed.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::kernel::{Epilogue, Kernel, Layout, Outcome, Products, Rests, Source, Variant};
use super::pack::{input_channels, round_together};
use super::plan::{BufferId, Estimate, Input, Layer, LayerKind, Plan, Step};
use crate::{FrameSize, PixelFormat, Precision};

/// The most that rounding to single precision changes a number, relative to it.
const U: f64 = 1.0 / (1u64 << 24) as f64;
const SLOPE: f64 = 0.2f32 as f64;
const MAX_FLOW_PX: f64 = (1 << 23) as f64;

/// A value, and how far from it a kernel's may lie. Infinitely far: nothing is said of it, since
/// it comes from what is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Approx {
    pub(super) v: f64,
    pub(super) e: f64,
}

impl Approx {
    pub(super) const fn exact(v: f64) -> Self {
        Self { v, e: 0.0 }
    }

    const ANYTHING: Self = Self { v: f64::NAN, e: f64::INFINITY };

    /// Nothing is said of what is not finite.
    const fn of(v: f64, e: f64) -> Self {
        if v.is_finite() && e.is_finite() { Self { v, e } } else { Self::ANYTHING }
    }

    fn plus(self, other: Self) -> Self {
        let v = self.v + other.v;
        Self::of(v, self.e + other.e + U * v.abs())
    }

    /// Times a number that both sides have exactly.
    fn times(self, k: f64) -> Self {
        let v = self.v * k;
        Self::of(v, self.e * k.abs() + U * v.abs())
    }

    /// From one to another; in whichever way a kernel writes it, three roundings of numbers no
    /// larger than the difference.
    fn mix(self, to: Self, f: f64) -> Self {
        let v = self.v + (to.v - self.v) * f;
        let most = self.v.abs().max(to.v.abs());
        let rounding = if self.v == to.v { 1.0 } else { 6.0 };
        Self::of(v, self.e.max(to.e) + rounding * U * most)
    }

    fn leaky(self) -> Self {
        // The slope is 1 at most: an error does not grow.
        let v = self.v.max(self.v * SLOPE);
        Self::of(v, self.e + U * v.abs())
    }
}

/// How one element lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    U16,
    Half,
    Float,
}

impl Element {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::Half => 2,
            Self::Float => 4,
        }
    }

    /// Rounded as it is stored. Never falls where its argument rises.
    pub(super) fn round(self, v: f64) -> f64 {
        let whole = |most: f64| {
            if v.is_nan() { 0.0 } else { v.clamp(0.0, most).round_ties_even() }
        };
        match self {
            Self::U8 => whole(255.0),
            Self::U16 => whole(65535.0),
            Self::Half => f64::from(half::f16::from_f32(v as f32).to_f32()),
            Self::Float => f64::from(v as f32),
        }
    }

    pub(super) fn write(self, v: f64, to: &mut [u8]) {
        let v = self.round(v);
        match self {
            Self::U8 => to[0] = v as u8,
            Self::U16 => to.copy_from_slice(&(v as u16).to_le_bytes()),
            Self::Half => to.copy_from_slice(&half::f16::from_f64(v).to_le_bytes()),
            Self::Float => to.copy_from_slice(&(v as f32).to_le_bytes()),
        }
    }

    pub(super) fn read(self, from: &[u8]) -> f64 {
        match self {
            Self::U8 => f64::from(from[0]),
            Self::U16 => f64::from(u16::from_le_bytes([from[0], from[1]])),
            Self::Half => half::f16::from_le_bytes([from[0], from[1]]).to_f64(),
            Self::Float => f64::from(f32::from_le_bytes([from[0], from[1], from[2], from[3]])),
        }
    }
}

/// What an activation is stored as.
pub(super) const fn activation(v: &Variant) -> Element {
    if matches!(v.precision, Precision::F16) { Element::Half } else { Element::Float }
}

/// A number as so many halves, see `Terms`. Never falls where its argument rises.
pub(super) fn in_terms(terms: usize, v: f64) -> f64 {
    let first = Element::Half.round(v);
    if terms == 1 || (v as f32).abs() > 65504.0 || v.is_nan() {
        return first;
    }
    first + Element::Half.round(f64::from(v as f32) - first)
}

/// Somewhere in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Buffer(BufferId),
    Image(usize),
    Out(usize),
}

/// What lies somewhere, element by element: where these lie differs with the kind of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    All(Element),
    /// Frames as the network reads them, in F16: integers, and where there are features halves.
    Pixels {
        features: bool,
    },
    /// Numbers as two halves: of `run` of them what they are rounded to, then what that leaves.
    Pairs {
        run: usize,
    },
    /// A block's input: channel `c` of a pixel as two halves where `rest[c]` is another channel,
    /// which is what the first leaves; channels are `stride` elements apart.
    Inputs {
        rest: [u8; MOST_INPUTS],
        channels: usize,
        stride: usize,
    },
}

/// The most channels of a block's input.
const MOST_INPUTS: usize = 32;

/// A channel that has no other, and one that is another's.
const ALONE: u8 = 255;
const BEHIND: u8 = 254;

impl Format {
    /// Of a block's input, by the published channel of each of its own.
    fn inputs(order: &[Option<usize>], stride: usize) -> Self {
        let mut rest = [ALONE; MOST_INPUTS];
        for (place, channel) in order.iter().enumerate() {
            let first = order.iter().position(|c| channel.is_some() && c == channel);
            if let Some(first) = first.filter(|first| *first < place) {
                (rest[first], rest[place]) = (place as u8, BEHIND);
            }
        }
        Self::Inputs { rest, channels: order.len(), stride }
    }

    /// Where the halves of number `index` lie; none of one that is another's second.
    fn halves(self, index: usize) -> Option<(usize, Option<usize>)> {
        match self {
            Self::Pairs { run } => {
                let first = index + index / run * run;
                Some((first, Some(first + run)))
            }
            Self::Inputs { rest, channels, stride } => {
                let channel = index / stride % channels;
                match rest[channel] {
                    BEHIND => None,
                    ALONE => Some((index, None)),
                    behind => Some((index, Some(index + (usize::from(behind) - channel) * stride))),
                }
            }
            _ => Some((index, None)),
        }
    }

    pub(super) fn at(self, index: usize) -> Element {
        match self {
            Self::All(element) => element,
            Self::Pairs { .. } | Self::Inputs { .. } => Element::Half,
            Self::Pixels { features: true } if index % 8 >= 4 => Element::Half,
            Self::Pixels { .. } => Element::U16,
        }
    }

    /// How many numbers lie in so many bytes.
    pub(super) fn count(self, bytes: usize) -> usize {
        let each = if let Self::Pairs { .. } = self { 2 } else { 1 };
        bytes / self.at(0).bytes() / each
    }

    /// Writes numbers, those that there are.
    pub(super) fn write(self, values: &[Option<f64>], to: &mut [u8]) {
        let size = self.at(0).bytes();
        let known = values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?)));
        for (i, v) in known {
            let Some((first, second)) = self.halves(i) else { continue };
            self.at(i).write(v, &mut to[first * size..][..size]);
            if let Some(second) = second {
                let rest = in_terms(2, v) - Element::Half.round(v);
                let rest = if rest.is_finite() { rest } else { 0.0 };
                Element::Half.write(rest, &mut to[second * size..][..size]);
            }
        }
    }

    /// Every number that lies somewhere, and 0 for what is another's second half.
    fn read(self, from: &[u8]) -> Vec<f64> {
        let size = self.at(0).bytes();
        let at = |i: usize, place: usize| self.at(i).read(&from[place * size..][..size]);
        let number = |i: usize| {
            let Some((first, second)) = self.halves(i) else { return 0.0 };
            let rest = second.map(|second| at(i, second));
            rest.map_or_else(|| at(i, first), |rest| at(i, first) + rest)
        };
        (0..self.count(from.len())).map(number).collect()
    }

    /// A number as it is stored, never falling where it rises.
    fn round(self, index: usize, v: f64) -> f64 {
        match self.halves(index) {
            Some((_, Some(_))) => in_terms(2, v),
            _ => self.at(index).round(v),
        }
    }

    pub(super) fn image(v: &Variant) -> Self {
        match v.precision {
            Precision::F16 => Self::Pixels { features: v.features },
            _ => Self::All(Element::Float),
        }
    }
}

/// What a step makes: of a place from its beginning, `None` what it leaves as it was.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) place: Place,
    pub(super) format: Format,
    pub(super) values: Vec<Option<Approx>>,
}

impl Output {
    fn all(place: Place, element: Element, values: Vec<Approx>) -> Self {
        let values = values.into_iter().map(Some).collect();
        Self { place, format: Format::All(element), values }
    }

    pub(super) fn write(&self, to: &mut [u8]) {
        let values: Vec<_> = self.values.iter().map(|value| Some((*value)?.v)).collect();
        self.format.write(&values, to);
    }

    /// Holds what a kernel made of `before` to this; says where it is worst, if it is wrong.
    pub(super) fn check(&self, before: &[u8], made: &[u8]) -> Result<(), String> {
        let (mut wrong, mut worst) = (0, (0.0, String::new()));
        let values = self.values.iter().copied().chain(std::iter::repeat(None));
        let numbers = self.format.read(before).into_iter().zip(self.format.read(made));
        for (i, ((before, got), value)) in numbers.zip(values).enumerate() {
            let element = self.format.at(i);
            let by = match value {
                None if before.to_bits() == got.to_bits() => continue,
                None => f64::INFINITY,
                Some(value) if value.e == f64::INFINITY => continue,
                Some(Approx { v, e }) => {
                    // Rounding keeps the order, so what lies between is rounded in between.
                    let (least, most) = (self.format.round(i, v - e), self.format.round(i, v + e));
                    if (least..=most).contains(&got) {
                        continue;
                    }
                    if got.is_nan() { f64::INFINITY } else { (got - v).abs() / e.max(1e-30) }
                }
            };
            wrong += 1;
            if by >= worst.0 {
                worst = (by, format!("element {i} ({element:?}) is {got}, not {value:?}"));
            }
        }
        match wrong {
            0 => Ok(()),
            n => Err(format!("{:?}: {n} of {}: {}", self.place, self.values.len(), worst.1)),
        }
    }
}

/// Published weights by their paths.
#[derive(Clone, Debug)]
pub(super) struct Weights(HashMap<String, Vec<f32>>);

/// A layer's weights as they are multiplied: `[tap][input][output]`, and its bias.
pub(super) struct Multiplied {
    weights: Vec<f64>,
    bias: Vec<f64>,
    inputs: usize,
}

impl Multiplied {
    pub(super) fn at(&self, tap: usize, input: usize, output: usize) -> f64 {
        self.weights[(tap * self.inputs + input) * self.bias.len() + output]
    }

    pub(super) fn bias(&self) -> &[f64] {
        &self.bias
    }
}

impl Weights {
    pub(super) fn read(safetensors: &[u8]) -> Self {
        let tensors = candle_core::safetensors::load_buffer(safetensors, &Device::Cpu).unwrap();
        let flat = |t: Tensor| {
            t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        Self(tensors.into_iter().map(|(name, t)| (name, flat(t))).collect())
    }

    pub(super) fn multiplied(&self, layer: &Layer, precision: Precision) -> Multiplied {
        let products = layer.kind.products(precision);
        let published = &self.0[&format!("{}.weight", layer.path)];
        let bias = &self.0[&format!("{}.bias", layer.path)];
        let beta = layer.beta.as_ref().map(|path| &self.0[path]);
        let scaled = |v: f32, output: usize| beta.map_or(v, |beta| v * beta[output]);
        // Where `(tap, input, output)` lies in the published file.
        let (taps, inputs, outputs, transposed) = match layer.kind {
            LayerKind::Conv { cin, cout, .. } => (9, cin, cout, false),
            LayerKind::Deconv { cin, outputs, .. } => (16, cin, outputs, true),
        };
        assert_eq!((published.len(), bias.len()), (taps * inputs * outputs, outputs));
        let mut scaled_weights: Vec<f32> = published.clone();
        for (i, v) in scaled_weights.iter_mut().enumerate() {
            *v = scaled(*v, if transposed { i / taps % outputs } else { i / taps / inputs });
        }
        if matches!(products, Products::F16 | Products::Tf32) {
            let each = scaled_weights.chunks_exact_mut(taps);
            each.for_each(|kernel| round_together(kernel, precision));
        }
        let mut weights = Vec::with_capacity(published.len());
        for tap in 0..taps {
            for i in 0..inputs {
                weights.extend((0..outputs).map(|o| {
                    let (row, column) = if transposed { (i, o) } else { (o, i) };
                    let columns = if transposed { outputs } else { inputs };
                    let v = scaled_weights[(row * columns + column) * taps + tap];
                    operand(products, 1, f64::from(v))
                }));
            }
        }
        let bias = bias.iter().enumerate().map(|(o, v)| f64::from(scaled(*v, o))).collect();
        Multiplied { weights, bias, inputs }
    }
}

/// A number as the tensor cores are given it.
fn operand(products: Products, terms: usize, v: f64) -> f64 {
    match products {
        Products::F16 => in_terms(terms, v),
        Products::Tf32 => {
            let bits = (v as f32).to_bits();
            f64::from(f32::from_bits((bits + 0x1000) & 0xffff_e000))
        }
        Products::ThreeOfBf16 => {
            let v = v as f32;
            let rounded = half::bf16::from_f32(v);
            f64::from(rounded) + f64::from(half::bf16::from_f32(v - rounded.to_f32()))
        }
        Products::ThreeOfTf32 => f64::from(v as f32),
    }
}

/// How far a sum on the tensor cores may be off, relative to the sum of its terms' magnitudes.
///
/// One step adds the products of a few channels to the sum so far: all are aligned to the largest
/// and cut off there, at 24 bits or more. What is cut off is below a few units in the last place
/// of the largest, and no largest exceeds the sum of all magnitudes, which as a rule is far more
/// than any; so 2^-22 of it a step is a bound that a correct kernel does not come near, and one
/// lost product of an average size is still above it.
///
/// F32 sums only a part of one tap's products that way, three steps each, and adds these sums as
/// floats do; of each product it drops what is below 2^-22. Three of BF16 take two steps and drop
/// what is below 2^-16.
fn sum_error(v: &Variant, kernel: &Kernel, cin: usize, taps: usize) -> f64 {
    let step = 4.0 * U;
    let terms = match kernel {
        Kernel::Conv { terms, .. } => terms.input,
        _ => 1,
    };
    match v.products(kernel) {
        Products::ThreeOfTf32 => {
            let part = v.part(cin);
            let of_a_part = (3 * part / v.step()) as f64;
            (of_a_part + 2.0) * step + (taps * cin / part) as f64 * U
        }
        Products::ThreeOfBf16 => {
            ((2 * taps * cin / v.step()) as f64 + 4.0) * step + 2.0f64.powi(-16)
        }
        Products::F16 | Products::Tf32 => ((terms * taps * cin / v.step()) as f64 + 4.0) * step,
    }
}

/// One frame to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) image0: usize,
    pub(super) image1: usize,
    pub(super) out: usize,
    pub(super) t: f32,
    pub(super) format: PixelFormat,
    /// Bytes from a row to the next, and from a plane.
    pub(super) pitch: usize,
    pub(super) plane: usize,
}

/// Where a plan's buffers lie.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    /// Each on its own.
    Apart(Vec<Vec<u8>>),
    /// At their places in the arena.
    Arena(Vec<u8>),
}

/// A plan and all that its steps read and write.
pub(super) struct World<'a> {
    pub(super) plan: &'a Plan,
    pub(super) size: FrameSize,
    pub(super) weights: &'a Weights,
    pub(super) memory: Memory,
    pub(super) images: Vec<Vec<u8>>,
    pub(super) outs: Vec<Vec<u8>>,
    pub(super) items: Vec<Item>,
    /// The image that the encoder works on.
    pub(super) encoded: usize,
    /// Whether errors are followed; without, it is faster.
    pub(super) errors: bool,
}

/// What memory holds before anything is written: as floats and as halves not a number.
pub(super) const POISON: u8 = 0xff;

impl<'a> World<'a> {
    pub(super) fn new(
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

    pub(super) fn bytes(&self, place: Place) -> &[u8] {
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

    pub(super) fn bytes_mut(&mut self, place: Place) -> &mut [u8] {
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

    pub(super) fn commit(&mut self, outputs: &[Output]) {
        for output in outputs {
            output.write(self.bytes_mut(output.place));
        }
    }

    /// Computes what a step makes.
    pub(super) fn run(&self, step: &Step) -> Vec<Output> {
        match step.kernel {
            Kernel::Conv { .. } => self.conv(step),
            Kernel::Deconv { outcome, .. } => self.deconv(step, outcome),
            Kernel::Input { cin, taps, rests, .. } => self.input(step, cin, taps, rests),
            Kernel::Pointwise { channels, terms } => self.pointwise(step, channels, terms),
            Kernel::Blend { .. } => self.blend(step),
            Kernel::Merge => self.merge(step),
            Kernel::Frame | Kernel::YuvIn | Kernel::YuvOut | Kernel::Items | Kernel::Peak => {
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

    /// A tensor of `(batch, h, w, c)`, its channels last whatever they are in memory.
    fn tensor(&self, id: BufferId, terms: usize, [batch, h, w, c]: [usize; 4]) -> Vec<f64> {
        let format = self.format(terms, [batch, h, w, c]);
        let stored = format.read(self.bytes(Place::Buffer(id)));
        assert_eq!(stored.len(), batch * h * w * c);
        self.in_memory([batch, h, w, c]).map(|at| stored[at]).collect()
    }

    /// What a tensor is stored as.
    fn format(&self, terms: usize, [_, h, w, c]: [usize; 4]) -> Format {
        match (terms, self.variant().layout) {
            (1, _) => Format::All(activation(self.variant())),
            (_, Layout::ChannelsLast) => Format::Pairs { run: c },
            (_, Layout::Planes) => Format::Pairs { run: c * h * w },
        }
    }

    /// What an activation that a step reads is stored as.
    pub(super) fn activation(&self, step: &Step, id: BufferId) -> Format {
        let ((h, w), (oh, ow), batch) = (step.input, step.output, self.batch(step));
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

    /// How a block's input that a convolution reads lies in memory.
    fn inputs(&self, step: &Step, padded: usize) -> Option<Format> {
        let LayerKind::Conv { cin, input: input @ Input::Halves(_), .. } = self.layer(step).kind
        else {
            return None;
        };
        (self.variant().precision == Precision::F16)
            .then(|| Format::inputs(&input_channels(input, cin, padded), self.stride(step.input)))
    }

    /// Elements from a channel to the next of an image of a size.
    fn stride(&self, (h, w): (usize, usize)) -> usize {
        if self.variant().layout == Layout::Planes { h * w } else { 1 }
    }

    /// Where each element of a tensor lies, in the order of channels last.
    fn in_memory(&self, [batch, h, w, c]: [usize; 4]) -> impl Iterator<Item = usize> + use<> {
        let planes = self.variant().layout == Layout::Planes;
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
            // Red, green, blue, nothing, features.
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

    /// A frame as it came, made the image `to`: rows `pitch` bytes apart, planes `plane`.
    pub(super) fn take(
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
                // Single precision on purpose: this is exact, and so is every integer below.
                let v = match variant.precision {
                    Precision::F16 => f64::from((v * 65535.0).round_ties_even()),
                    _ => f64::from(v),
                };
                *to = Some(Approx::exact(v));
            }
        }
        Output { place: Place::Image(to), format: Format::image(variant), values }
    }

    /// What a convolution multiplies, with channels in the published order, and how far a kernel's
    /// may be off.
    fn operands(&self, step: &Step, batch: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let Kernel::Conv { cin: padded, source, terms, .. } = step.kernel else { unreachable!() };
        let LayerKind::Conv { cin, input, .. } = self.layer(step).kind else { unreachable!() };
        let products = self.variant().products(&step.kernel);
        let (h, w) = step.input;
        // Of each published channel its places: two where what rounding leaves has one too.
        let order = input_channels(input, cin, padded);
        let places: Vec<Vec<usize>> = (0..cin)
            .map(|c| (0..padded).filter(|place| order[*place] == Some(c)).collect())
            .collect();
        let made: Vec<Approx> = match source {
            Source::Tensor => {
                let x = self.tensor(step.src.unwrap(), terms.input, [batch, h, w, padded]);
                let sum = |x: &[f64], at: &[usize]| at.iter().map(|place| x[*place]).sum();
                let x = x.chunks_exact(padded).flat_map(|x| {
                    let sums = places.iter().map(|at| (sum(x, at), at.len().max(terms.input)));
                    sums.map(|(v, n)| operand(products, n, v)).collect::<Vec<_>>()
                });
                return (x.collect(), None);
            }
            Source::Input { taps, .. } => {
                let view = self.view(&step.levels);
                self.block_inputs(&view, step, taps).into_iter().flatten().collect()
            }
            Source::Image { .. } => {
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

    fn batch(&self, step: &Step) -> usize {
        self.plan.extent(step).batch
    }

    fn conv(&self, step: &Step) -> Vec<Output> {
        let Kernel::Conv { cin: padded, stride, epilogue, terms: stored, .. } = step.kernel else {
            unreachable!()
        };
        let layer = self.layer(step);
        let LayerKind::Conv { cin, cout, .. } = layer.kind else { unreachable!() };
        let batch = self.batch(step);
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

    fn deconv(&self, step: &Step, outcome: Outcome) -> Vec<Output> {
        let layer = self.layer(step);
        let LayerKind::Deconv { cin, outputs, columns, shuffled } = layer.kind else {
            unreachable!()
        };
        assert_eq!(shuffled, outcome != Outcome::Features);
        let batch = self.batch(step);
        let of = self.weights.multiplied(layer, self.variant().precision);
        let (h, w) = step.input;
        let products = self.variant().products(&step.kernel);
        let mut x = self.tensor(step.src.unwrap(), 1, [batch, h, w, cin]);
        x.iter_mut().for_each(|v| *v = operand(products, 1, *v));
        // Input pixel `i` and tap `k` of the kernel give output pixel `2 i - 1 + k`.
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
        if outcome == Outcome::Features {
            let mut values = vec![None; h * w * 4 * 8];
            for (pixel, features) in values.chunks_exact_mut(8).zip(made[0].chunks_exact(outputs)) {
                pixel[4..].iter_mut().zip(features).for_each(|(to, v)| *to = Some(*v));
            }
            let (place, format) = (Place::Image(self.encoded), Format::image(self.variant()));
            return vec![Output { place, format, values }];
        }
        // Channel `c` of the pixel that the four of a channel are shuffled into.
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
        if let Outcome::Blend { .. } = outcome {
            // The last block works at the frame's own size.
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

    /// A block's inputs, each pixel's channels in the published order.
    fn block_inputs(&self, view: &View, step: &Step, taps: usize) -> Vec<Vec<Approx>> {
        let (h, w) = step.input;
        (0..self.batch(step) * h * w)
            .into_par_iter()
            .map(|i| {
                let (item, pixel) = (i / (h * w), i % (h * w));
                let of = &self.items[item];
                view.block_input(of, item, pixel / w, pixel % w, step.divisor, taps)
            })
            .collect()
    }

    fn input(&self, step: &Step, padded: usize, taps: usize, rests: Rests) -> Vec<Output> {
        let view = self.view(&step.levels);
        let pixels = self.block_inputs(&view, step, taps);
        let order = input_channels(Input::Halves(rests), pixels[0].len(), padded);
        let first = |place: usize| order[..place].iter().all(|c| *c != order[place]);
        let of = |pixel: &Vec<Approx>| -> Vec<Approx> {
            let at = |place: usize| order[place].filter(|_| first(place)).map(|c| pixel[c]);
            (0..padded).map(|place| at(place).unwrap_or_default()).collect()
        };
        let values = pixels.iter().flat_map(of).collect();
        let (h, w) = step.output;
        let shape = [self.batch(step), h, w, padded];
        let mut made = self.stored(step.dst.unwrap(), 1, shape, values);
        if self.variant().precision == Precision::F16 {
            made.format = Format::inputs(&order, self.stride(step.output));
        }
        vec![made]
    }

    fn pointwise(&self, step: &Step, channels: usize, terms: usize) -> Vec<Output> {
        let id = step.dst.unwrap();
        let (h, w) = step.output;
        let format = self.format(terms, [self.batch(step), h, w, channels]);
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

    /// The frame of an item, from the levels' estimate and what `add` makes of it.
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
        // A sum that may be below 0 or above 1 is not stored so.
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

/// What a step reads, and what it writes.
pub(super) fn reads(step: &Step) -> Vec<BufferId> {
    let levels = step.levels.iter().flat_map(|e| [Some(e.flow), Some(e.mask), e.feat]);
    let own = match step.kernel {
        Kernel::Pointwise { .. } => vec![step.dst],
        Kernel::Merge => step.estimate.iter().flat_map(|e| [Some(e.flow), Some(e.mask)]).collect(),
        _ => Vec::new(),
    };
    [step.src, step.residual].into_iter().chain(levels).chain(own).flatten().collect()
}

pub(super) fn writes(step: &Step) -> Vec<BufferId> {
    let feat = |e: &Estimate| e.feat.filter(|_| step.kernel != Kernel::Merge);
    let estimate = step.estimate.iter().flat_map(|e| [Some(e.flow), Some(e.mask), feat(e)]);
    std::iter::once(step.dst).chain(estimate).flatten().collect()
}

/// The sums of a convolution over one item.
struct Sums<'a> {
    x: &'a [f64],
    off: Option<&'a [f64]>,
    cin: usize,
    of: &'a Multiplied,
    relative: f64,
    errors: bool,
}

impl Sums<'_> {
    /// Every output's sum and bias; `terms` gives the taps of an output pixel and the pixel that
    /// each reads.
    fn all<T: Iterator<Item = (usize, usize)>>(
        &self,
        (oh, ow): (usize, usize),
        terms: impl Fn(usize, usize) -> T + Sync,
    ) -> Vec<Approx> {
        let (cin, cout) = (self.cin, self.of.bias.len());
        let pixel = |i: usize| -> Vec<Approx> {
            let mut sum = self.of.bias.clone();
            let mut size: Vec<f64> = sum.iter().map(|v| v.abs()).collect();
            let mut off = vec![0.0; cout];
            for (tap, at) in terms(i / ow, i % ow) {
                for c in 0..cin {
                    let x = self.x[at * cin + c];
                    let row = &self.of.weights[(tap * cin + c) * cout..][..cout];
                    if !self.errors {
                        sum.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
                        continue;
                    }
                    let x_off = self.off.map_or(0.0, |off| off[at * cin + c]);
                    for (o, w) in row.iter().enumerate() {
                        sum[o] += x * w;
                        size[o] += (x * w).abs();
                        off[o] += x_off * w.abs();
                    }
                }
            }
            if !self.errors {
                return sum.into_iter().map(Approx::exact).collect();
            }
            let approx =
                |((v, size), off): ((f64, f64), f64)| Approx::of(v, size * self.relative + off);
            sum.into_iter().zip(size).zip(off).map(approx).collect()
        };
        (0..oh * ow).into_par_iter().flat_map_iter(pixel).collect()
    }
}

struct Image {
    h: usize,
    w: usize,
    channels: usize,
    values: Vec<f64>,
    /// The least and the most of each channel.
    range: Vec<(f64, f64)>,
}

impl Image {
    fn at(&self, y: usize, x: usize) -> Vec<Approx> {
        let pixel = &self.values[(y * self.w + x) * self.channels..][..self.channels];
        pixel.iter().map(|v| Approx { v: *v, e: 2.0 * U * v.abs() }).collect()
    }

    /// At `(x + fx, y + fy)`, the border repeated beyond it. Moving a sample by a pixel changes it
    /// by the image's contrast at most: so much of a flow's error comes through, and no more than
    /// the contrast. Where the flow is not a number, any value of the image's will do: what counts
    /// is that the image alone is read.
    fn sample(&self, y: usize, x: usize, fx: Approx, fy: Approx) -> Vec<Approx> {
        let known = fx.e.is_finite() && fy.e.is_finite();
        let corner = |flow: f64, position: usize, length: usize| {
            let flow = flow.clamp(-MAX_FLOW_PX, MAX_FLOW_PX);
            let pixel = flow.floor() + position as f64;
            let fraction = if pixel >= 0.0 { flow - flow.floor() } else { 0.0 };
            let first = pixel.clamp(0.0, (length - 1) as f64) as usize;
            (first, (first + 1).min(length - 1), fraction)
        };
        let (x0, x1, ax) = corner(if known { fx.v } else { 0.0 }, x, self.w);
        let (y0, y1, ay) = corner(if known { fy.v } else { 0.0 }, y, self.h);
        let at = |y: usize, x: usize, c: usize| {
            Approx::exact(self.values[(y * self.w + x) * self.channels + c])
        };
        (0..self.channels)
            .map(|c| {
                let (least, most) = self.range[c];
                let rounding = 4.0 * U * least.abs().max(most.abs());
                if !known {
                    let half = (most - least) / 2.0;
                    return Approx { v: least + half, e: half + rounding };
                }
                let above = at(y0, x0, c).mix(at(y0, x1, c), ax);
                let below = at(y1, x0, c).mix(at(y1, x1, c), ax);
                let mut v = above.mix(below, ay);
                // The whole and the fractional part are exact, but a fraction just below 1.
                let moved = fx.e + fy.e + 4.0 * U;
                v.e += (most - least) * moved.min(1.0) + rounding;
                v
            })
            .collect()
    }
}

struct Level {
    h: usize,
    w: usize,
    inv: f64,
    flow: Vec<f64>,
    mask: Vec<f64>,
    feat: Option<Vec<f64>>,
}

/// The two cells of an axis that lie around a position, and how far from the first it is.
fn between(position: usize, scale: f64, length: usize) -> (usize, usize, f64) {
    // Exact: scales are powers of two.
    let at = ((position as f64 + 0.5) * scale - 0.5).max(0.0);
    let first = (at as usize).min(length - 1);
    (first, (first + 1).min(length - 1), at - first as f64)
}

impl Level {
    /// Channel `c` of the `n` of a tensor of the level, at a pixel of the frame.
    fn at(&self, of: &[f64], (c, n): (usize, usize), item: usize, y: usize, x: usize) -> Approx {
        let (y0, y1, ay) = between(y, self.inv, self.h);
        let (x0, x1, ax) = between(x, self.inv, self.w);
        let cell = |y, x| Approx::exact(of[((item * self.h + y) * self.w + x) * n + c]);
        cell(y0, x0).mix(cell(y0, x1), ax).mix(cell(y1, x0).mix(cell(y1, x1), ax), ay)
    }
}

/// What a pixel is made from: frames, and what the blocks before made.
struct View {
    full: (usize, usize),
    variant: Variant,
    images: Vec<Image>,
    levels: Vec<Level>,
}

impl View {
    fn estimate(&self, item: usize, y: usize, x: usize) -> ([Approx; 4], Approx) {
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

    /// A pixel of the frame's size as a block is given it, but for flow not yet divided; in the
    /// published order: colours, features, timestep, mask, feature, flow.
    fn input_at(&self, of: &Item, item: usize, y: usize, x: usize) -> Vec<Approx> {
        let (image0, image1) = (&self.images[of.image0], &self.images[of.image1]);
        let t = Approx::exact(f64::from(of.t));
        let join = |a: &[Approx], b: &[Approx]| [&a[..3], &b[..3], &a[3..], &b[3..]].concat();
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
            all.extend((0..8).map(|c| last.at(feat, (c, 8), item, y, x)));
        }
        all.extend(flow);
        all
    }

    fn block_input(
        &self,
        of: &Item,
        item: usize,
        by: usize,
        bx: usize,
        divisor: f64,
        taps: usize,
    ) -> Vec<Approx> {
        assert_eq!(taps, if divisor == 1.0 { 1 } else { 4 });
        let (y0, y1, ay) = between(by, divisor, self.full.0);
        let (x0, x1, ax) = between(bx, divisor, self.full.1);
        let at = |y, x| self.input_at(of, item, y, x);
        let mut all = if taps == 1 {
            at(by, bx)
        } else {
            let mix = |a: Vec<Approx>, b: Vec<Approx>, f: f64| -> Vec<Approx> {
                a.into_iter().zip(b).map(|(a, b)| a.mix(b, f)).collect()
            };
            mix(mix(at(y0, x0), at(y0, x1), ax), mix(at(y1, x0), at(y1, x1), ax), ay)
        };
        let timestep = if self.variant.features { 14 } else { 6 };
        all[timestep] = Approx::exact(f64::from(of.t));
        if !self.levels.is_empty() {
            let flow = all.len() - 4;
            all[flow..].iter_mut().for_each(|v| *v = v.times(1.0 / divisor));
        }
        all
    }

    fn blend(
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
        // The sigmoid's slope is a quarter at most; `expf` and the division are off by a few units.
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

/// Runs a whole plan over planar frames and gives the frames that it makes, planar: one for each
/// `(earlier, later, timestep)`, which are as many as the plan's batch.
pub(super) fn run_plan(
    plan: &Plan,
    size: FrameSize,
    weights: &Weights,
    frames: &[Vec<f32>],
    wanted: &[(usize, usize, f32)],
    arena: bool,
) -> Vec<Vec<f32>> {
    let mut world = World::new(plan, size, weights, frames.len(), arena);
    world.errors = false;
    let (pitch, plane) = (4 * size.width, 4 * size.pixels());
    for (i, frame) in frames.iter().enumerate() {
        let samples: Vec<u8> = frame.iter().flat_map(|v| v.to_le_bytes()).collect();
        let taken = world.take(&samples, PixelFormat::PlanarF32, (pitch, plane), i);
        world.commit(&[taken]);
        world.encoded = i;
        for step in &plan.encoder {
            let made = world.run(step);
            world.commit(&made);
        }
    }
    assert_eq!(wanted.len() * plan.item_step, plan.items);
    for (out, (image0, image1, t)) in wanted.iter().copied().enumerate() {
        let format = PixelFormat::PlanarF32;
        let item = Item { image0, image1, out, t, format, pitch, plane };
        world.items.push(item);
        if plan.item_step == 2 {
            world.items.push(Item { image0: image1, image1: image0, t: 1.0 - t, ..item });
        }
        world.outs.push(vec![POISON; 3 * plane]);
    }
    for step in &plan.network {
        let made = world.run(step);
        world.commit(&made);
    }
    let floats = |out: &Vec<u8>| {
        out.chunks_exact(4).map(|b| Element::Float.read(b) as f32).collect::<Vec<f32>>()
    };
    world.outs.iter().map(floats).collect()
}
