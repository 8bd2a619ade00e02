//! Packs published weights in the order of the kernels. Nothing is rounded except the results of
//! Winograd's weight transform, which is computed in F64.

use rayon::prelude::*;
use rife_model::{ModelSpec, RES_CONVS, Scale};

use super::kernels::group;
use super::kernels::winograd::{POINTS, transform_weights};
use super::lanes::pair_of;
use super::tensor::{BLOCK, Floats, segment_len};
use crate::published::{Published, StateDict, with_capacity};
use crate::{Error, Result};

/// The weights of a [`super::kernels::direct::Direct`].
#[derive(Debug)]
pub(crate) struct DirectWeights {
    pub(crate) weights: Floats,
    pub(crate) bias: Floats,
    pub(crate) vectors: usize,
    /// Channels of a segment.
    pub(crate) len: usize,
}

/// The weights of a residual convolution.
#[derive(Debug)]
pub(crate) enum ResWeights {
    /// Transformed weights, see [`super::kernels::winograd::Multiply`], and the bias; with `pairs`,
    /// pairs of channels in BF16, else F32.
    Winograd {
        weights: Floats,
        bias: Floats,
        pairs: bool,
    },
    Direct(DirectWeights),
}

/// A block's weights.
#[derive(Debug)]
pub(crate) struct BlockWeights {
    /// The two convolutions of stride 2.
    pub(crate) stem: [DirectWeights; 2],
    pub(crate) body: Vec<ResWeights>,
    /// The four phases of the transposed convolution: flow, and the feature if there is one.
    pub(crate) phases: [DirectWeights; 4],
    /// The mask of all phases.
    pub(crate) mask: DirectWeights,
}

/// The encoder's weights.
#[derive(Debug)]
pub(crate) struct EncoderWeights {
    pub(crate) first: DirectWeights,
    pub(crate) body: Vec<ResWeights>,
    pub(crate) last: EncoderOutput,
}

/// The weights of the encoder's transposed convolution.
#[derive(Debug)]
pub(crate) enum EncoderOutput {
    /// All phases at once: four features of 2×2 pixels in each vector.
    Quarters(DirectWeights),
    /// One phase at a time, without products of taps that a phase does not read: for whole vectors
    /// of features.
    Phases(Box<[DirectWeights; 4]>),
}

impl EncoderOutput {
    fn floats(&self) -> usize {
        match self {
            Self::Quarters(weights) => weights.floats(),
            Self::Phases(phases) => phases.iter().map(DirectWeights::floats).sum(),
        }
    }
}

/// All weights of a version.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) blocks: Vec<BlockWeights>,
    pub(crate) encoder: Option<EncoderWeights>,
}

impl DirectWeights {
    fn floats(&self) -> usize {
        self.weights.len() + self.bias.len()
    }
}

impl ResWeights {
    fn floats(&self) -> usize {
        match self {
            Self::Winograd { weights, bias, .. } => weights.len() + bias.len(),
            Self::Direct(weights) => weights.floats(),
        }
    }
}

impl Packed {
    /// The number of floats of all weights.
    pub(crate) fn floats(&self) -> usize {
        let of_a_block = |b: &BlockWeights| {
            let direct = b.stem.iter().chain(&b.phases).chain([&b.mask]);
            let body = b.body.iter().map(ResWeights::floats).sum::<usize>();
            direct.map(DirectWeights::floats).sum::<usize>() + body
        };
        let of_the_encoder = |e: &EncoderWeights| {
            let body = e.body.iter().map(ResWeights::floats).sum::<usize>();
            e.first.floats() + body + e.last.floats()
        };
        self.blocks.iter().map(of_a_block).sum::<usize>()
            + self.encoder.as_ref().map_or(0, of_the_encoder)
    }
}

/// How weights are packed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    pub(crate) spec: &'static ModelSpec,
    pub(crate) scale: Scale,
    /// See [`super::level::Level::most_vectors`].
    pub(crate) most_vectors: usize,
    /// Whether convolutions of stride 1 use Winograd.
    pub(crate) winograd: bool,
    /// Whether the Winograd convolutions of all blocks but the first use BF16.
    pub(crate) bf16: bool,
}

impl Published {
    /// A weight of a 3×3 convolution.
    fn tap(&self, output: usize, input: usize, tap: usize) -> f32 {
        self.weights[(output * self.second + input) * 9 + tap]
    }

    /// A weight of a transposed 4×4 convolution with stride 2: the factor of the input at `(dy,
    /// dx)` relative to the output's, for sub-pixel `(py, px)`. `None` if the sub-pixel does not
    /// read that input.
    fn phase(
        &self,
        (input, output): (usize, usize),
        (py, px): (usize, usize),
        (dy, dx): (isize, isize),
    ) -> Option<f32> {
        let along = |p: usize, d: isize| {
            let k = p as isize + 1 - 2 * d;
            (0..4).contains(&k).then_some(k as usize)
        };
        let (ky, kx) = (along(py, dy)?, along(px, dx)?);
        Some(self.weights[(input * self.second + output) * 16 + ky * 4 + kx])
    }
}

fn floats(values: &[f32]) -> Result<Floats> {
    zeros(values.len()).map(|mut to| {
        to.as_mut_slice().copy_from_slice(values);
        to
    })
}

/// The same, filled up with zeros to a multiple of 16.
fn whole_vectors(values: &[f32]) -> Result<Floats> {
    zeros(values.len().next_multiple_of(BLOCK)).map(|mut to| {
        to.as_mut_slice()[..values.len()].copy_from_slice(values);
        to
    })
}

/// Zeroed memory.
pub(crate) fn zeros(len: usize) -> Result<Floats> {
    let needed = Some(4 * len as u64);
    Floats::zeros(len).ok_or(Error::OutOfMemory { needed })
}

/// The taps of a 3×3 convolution, row by row, relative to the centre.
pub(crate) const TAPS: [(isize, isize); 9] =
    [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)];

/// The inputs of a phase of a transposed convolution.
pub(crate) fn phase_taps((py, px): (usize, usize)) -> [(isize, isize); 4] {
    let along = |p: usize| if p == 0 { [-1, 0] } else { [0, 1] };
    let ([y0, y1], [x0, x1]) = (along(py), along(px));
    [(y0, x0), (y0, x1), (y1, x0), (y1, x1)]
}

impl Packing {
    /// Packs a version's weights file.
    pub(crate) fn pack(self, weights: &[u8]) -> Result<Packed> {
        let tensors = StateDict::read(self.spec, weights)?;
        let blocks = (0..self.spec.block_channels.len()).map(|i| self.block(&tensors, i));
        Ok(Packed {
            blocks: blocks.collect::<Result<_>>()?,
            encoder: self.spec.has_encoder().then(|| self.encoder(&tensors)).transpose()?,
        })
    }

    fn block(self, tensors: &StateDict<'_>, index: usize) -> Result<BlockWeights> {
        let spec = self.spec;
        let c = spec.block_channels[index];
        let read = |path: &str| tensors.layer(&format!("block{index}.{path}"), None);
        let first = read("conv0.0.0")?;
        let channels = input_channels(spec, index);
        let stem0 = self.direct(9, channels.len(), &first.bias, |tap, lane, output| {
            channels[lane].map_or(0.0, |input| first.tap(output, input, tap))
        })?;
        let stem1 = self.conv(&read("conv0.1.0")?)?;
        let body = (0..RES_CONVS).into_par_iter().map(|k| {
            let path = format!("block{index}.convblock.{k}");
            let beta = format!("{path}.beta");
            let layer = tensors.layer(&format!("{path}.conv"), Some(&beta))?;
            // The first block stays in F32: it determines the coarse motion, later blocks cannot
            // correct its errors, and it takes little time.
            self.res(&layer, self.bf16 && index > 0)
        });
        let body = body.collect::<Result<_>>()?;

        let last = read("lastconv.0")?;
        // A block's flow is in px of its own resolution; scale it to px of the frame.
        let px = self.scale.block_divisor(spec, index) as f32;
        let len = segment_len(c);
        let per_tap = c / len;
        let phase = |p: usize| {
            let phase = (p / 2, p % 2);
            let lanes = phase_lanes(output_features(spec, index));
            let scale = |lane: usize| if lane < BLOCK { px } else { 1.0 };
            let bias: Vec<f32> =
                lanes.iter().enumerate().map(|(i, o)| last.bias[*o] * scale(i)).collect();
            let taps = phase_taps(phase);
            self.direct(4 * per_tap, len, &bias, |segment, channel, lane| {
                let input = segment % per_tap * len + channel;
                let weight = last.phase((input, lanes[lane]), phase, taps[segment / per_tap]);
                weight.map_or(0.0, |w| w * scale(lane))
            })
        };
        let phases = [phase(0)?, phase(1)?, phase(2)?, phase(3)?];
        // Lane 4Y + X is the mask of pixel (Y, X) of 4×4.
        let output = |lane: usize| 4 * 4 + lane / 4 % 2 * 2 + lane % 2;
        let bias: Vec<f32> = (0..BLOCK).map(|lane| last.bias[output(lane)]).collect();
        let mask = self.direct(9 * per_tap, len, &bias, |segment, channel, lane| {
            let input = segment % per_tap * len + channel;
            let phase = (lane / 8, lane % 4 / 2);
            last.phase((input, output(lane)), phase, TAPS[segment / per_tap]).unwrap_or(0.0)
        })?;
        Ok(BlockWeights { stem: [stem0, stem1], body, phases, mask })
    }

    fn encoder(self, tensors: &StateDict<'_>) -> Result<EncoderWeights> {
        let read = |i: usize| tensors.layer(&format!("encode.cnn{i}"), None);
        let first = read(0)?;
        let last = read(3)?;
        let features = self.spec.encoder_channels;
        let len = segment_len(self.spec.encoder_width);
        let per_tap = self.spec.encoder_width / len;
        let body = vec![self.res(&read(1)?, false)?, self.res(&read(2)?, false)?];
        let first =
            self.direct(9, 3, &first.bias, |tap, input, output| first.tap(output, input, tap))?;
        if features.is_multiple_of(BLOCK) {
            let phase = |p: usize| {
                let phase = (p / 2, p % 2);
                let taps = phase_taps(phase);
                self.direct(4 * per_tap, len, &last.bias, |segment, channel, feature| {
                    let input = segment % per_tap * len + channel;
                    last.phase((input, feature), phase, taps[segment / per_tap]).unwrap_or(0.0)
                })
            };
            let phases = Box::new([phase(0)?, phase(1)?, phase(2)?, phase(3)?]);
            return Ok(EncoderWeights { first, body, last: EncoderOutput::Phases(phases) });
        }
        let feature = |lane: usize| Some(lane / BLOCK * 4 + lane % 4).filter(|f| *f < features);
        let bias: Vec<f32> = (0..features.div_ceil(4) * BLOCK)
            .map(|lane| feature(lane).map_or(0.0, |feature| last.bias[feature]))
            .collect();
        let last = self.direct(9 * per_tap, len, &bias, |segment, channel, lane| {
            let input = segment % per_tap * len + channel;
            let phase = (lane % BLOCK / 8, lane % 8 / 4);
            let weight = |feature| last.phase((input, feature), phase, TAPS[segment / per_tap]);
            feature(lane).and_then(weight).unwrap_or(0.0)
        })?;
        Ok(EncoderWeights { first, body, last: EncoderOutput::Quarters(last) })
    }

    /// A 3×3 convolution of maps.
    fn conv(self, layer: &Published) -> Result<DirectWeights> {
        let len = segment_len(layer.second);
        let per_tap = layer.second / len;
        self.direct(9 * per_tap, len, &layer.bias, |segment, channel, output| {
            layer.tap(output, segment % per_tap * len + channel, segment / per_tap)
        })
    }

    /// A 3×3 convolution of maps with stride 1.
    fn res(self, layer: &Published, pairs: bool) -> Result<ResWeights> {
        if !self.winograd {
            return Ok(ResWeights::Direct(self.conv(layer)?));
        }
        let (inputs, outputs) = (layer.second, layer.bias.len());
        let mut at_points = with_capacity(POINTS * layer.weights.len() / 9)?;
        transform_weights(&layer.weights, &mut at_points);
        let floats_per_pair = if pairs { 2 } else { 1 };
        let vectors = outputs.div_ceil(BLOCK);
        let count = POINTS * inputs.div_ceil(floats_per_pair) * vectors * BLOCK;
        let mut weights = with_capacity(count)?;
        for of_a_point in at_points.chunks_exact(inputs * outputs) {
            let of = |input: usize, output: usize| match input < inputs {
                true => of_a_point[output * inputs + input],
                // The second channel of the last pair.
                false => 0.0,
            };
            if pairs {
                self.order(1, inputs.div_ceil(2), outputs, &mut weights, |_, pair, output| {
                    pair_of(of(2 * pair, output), of(2 * pair + 1, output))
                });
            } else {
                self.order(1, inputs, outputs, &mut weights, |_, input, output| of(input, output));
            }
        }
        let (weights, bias) = (floats(&weights)?, whole_vectors(&layer.bias)?);
        Ok(ResWeights::Winograd { weights, bias, pairs })
    }

    /// Packs weights by segment, channel and output, with as many outputs as biases.
    fn direct(
        self,
        segments: usize,
        len: usize,
        bias: &[f32],
        of: impl Fn(usize, usize, usize) -> f32,
    ) -> Result<DirectWeights> {
        let vectors = bias.len().div_ceil(BLOCK);
        let mut weights = with_capacity(segments * len * vectors * BLOCK)?;
        self.order(segments, len, bias.len(), &mut weights, of);
        Ok(DirectWeights { weights: floats(&weights)?, bias: whole_vectors(bias)?, vectors, len })
    }

    /// `[group of vectors][segment][channel][vector of the group][16]`, with zeros for the outputs
    /// that fill up the last vector.
    fn order(
        self,
        segments: usize,
        len: usize,
        outputs: usize,
        to: &mut Vec<f32>,
        of: impl Fn(usize, usize, usize) -> f32,
    ) {
        let vectors = outputs.div_ceil(BLOCK);
        let width = group(self.most_vectors, vectors) * BLOCK;
        for first in (0..outputs).step_by(width) {
            for (segment, channel) in (0..segments).flat_map(|s| (0..len).map(move |c| (s, c))) {
                let of = |output| if output < outputs { of(segment, channel, output) } else { 0.0 };
                to.extend((first..first + width).map(of));
            }
        }
    }
}

/// Channels of the feature that a block passes to the next; none for the last block.
pub(crate) fn output_features(spec: &ModelSpec, index: usize) -> usize {
    if index + 1 < spec.block_channels.len() { spec.feature_channels } else { 0 }
}

/// The most encoder features for which [`super::kernels::picture`] has a vector.
pub(crate) const MAX_FEATURES: usize = 16;

/// Floats of a pixel of a frame: RGB and features, filled up to one less than a vector.
pub(crate) fn frame_lanes(spec: &ModelSpec) -> usize {
    3 + spec.encoder_channels.next_multiple_of(4)
}

/// The published channel of each channel of the engine's block input, see
/// [`super::kernels::picture::Inputs`]. The published order is: RGB of both frames, features of
/// both frames, the timestep, and after the first block the mask, the feature of the block before,
/// the flow.
pub(crate) fn input_channels(spec: &ModelSpec, index: usize) -> Vec<Option<usize>> {
    let features = spec.encoder_channels;
    let timestep = 6 + 2 * features;
    let side = |side: usize, last: Option<usize>| {
        let colours = (0..3).map(move |c| Some(3 * side + c));
        let of_encoder = (0..features).map(move |c| Some(6 + features * side + c));
        let unused = (3 + features..frame_lanes(spec)).map(|_| None);
        colours.chain(of_encoder).chain(unused).chain([last])
    };
    let mask = (index > 0).then_some(timestep + 1);
    let mut all: Vec<_> = side(0, Some(timestep)).chain(side(1, mask)).collect();
    if index > 0 {
        all.extend((timestep + 2..timestep + 2 + spec.feature_channels + 4).map(Some));
    }
    all
}

/// The published output of the transposed convolution for each lane of a phase: flow, four channels
/// for each of 2×2 pixels; then the feature, eight channels for each.
fn phase_lanes(feature_channels: usize) -> Vec<usize> {
    // The pixel shuffle takes pixel (i, j) of 2×2 from output 4c + 2i + j.
    let pixels = |first: usize, channels: usize| {
        (0..4).flat_map(move |pixel| (first..first + channels).map(move |c| 4 * c + pixel))
    };
    pixels(0, 4).chain(pixels(5, feature_channels)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_channel_is_read_once() {
        for spec in rife_model::ModelVersion::ALL.map(rife_model::ModelVersion::spec) {
            for i in 0..spec.block_channels.len() {
                let mut all: Vec<_> = input_channels(spec, i).into_iter().flatten().collect();
                all.sort_unstable();
                assert_eq!(all, (0..spec.block_inputs(i)).collect::<Vec<_>>());
            }
            let mut lanes = phase_lanes(spec.feature_channels);
            lanes.extend((0..4).map(|pixel| 16 + pixel));
            lanes.sort_unstable();
            let used = if spec.feature_channels == 0 { 20 } else { 52 };
            assert_eq!(lanes, (0..used).collect::<Vec<_>>());
        }
    }
}
