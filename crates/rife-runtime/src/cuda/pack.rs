//! Packs published weights in the order in which the tensor cores read them.

use rayon::prelude::*;
use rife_model::ModelSpec;

use super::kernel::RoundingResiduals;
use super::plan::{ChannelOrder, Layer, LayerKind, Plan};
use super::variant::Products;
use crate::published::{Published, StateDict};
use crate::{Precision, Result};

/// The packed weights and biases of a plan's layers, at [`Plan::weight_offsets`].
pub(crate) fn pack(plan: &Plan, spec: &ModelSpec, weights: &[u8]) -> Result<Vec<u8>> {
    let tensors = StateDict::read(spec, weights)?;
    let (offsets, bytes) = plan.weight_offsets();
    let precision = plan.variant.precision;
    let pack = |layer: &Layer| -> Result<[Vec<u8>; 2]> {
        let mut source = tensors.layer(&layer.path, layer.beta.as_deref())?;
        let products = layer.kind.products(precision);
        if matches!(products, Products::F16 | Products::Tf32) {
            let each = source.weights.chunks_exact_mut(layer.kind.taps());
            each.for_each(|kernel| round_with_error_diffusion(kernel, precision));
        }
        let floats = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect();
        let weights = source.fragments(layer.kind, plan.variant.step());
        let mut weights: Vec<u8> = match products {
            Products::F16 => {
                weights.into_iter().flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect()
            }
            Products::ThreeOfBf16 => weights.chunks_exact(2).flat_map(split_bf16).collect(),
            Products::Tf32 | Products::ThreeOfTf32 => floats(weights),
        };
        if let LayerKind::Conv { .. } = layer.kind {
            weights.chunks_exact_mut(FRAGMENT).for_each(deinterleave_registers);
        }
        Ok([weights, floats(source.columns_bias(layer.kind))])
    };
    let layers: Vec<[Vec<u8>; 2]> = plan.layers.par_iter().map(pack).collect::<Result<_>>()?;
    let mut packed = vec![0; bytes];
    for ([weights, bias], (weights_at, bias_at)) in layers.into_iter().zip(offsets) {
        packed[weights_at..][..weights.len()].copy_from_slice(&weights);
        packed[bias_at..][..bias.len()].copy_from_slice(&bias);
    }
    Ok(packed)
}

/// Bytes of eight columns of a step: two registers of each of 32 lanes.
const FRAGMENT: usize = 256;

/// Reorders a fragment from two registers per lane to the first registers of all lanes, followed by
/// the second ones. Each half of the fragment is then eight columns of 16 bytes of channels, as
/// `ldmatrix` and `wgmma` read it.
fn deinterleave_registers(fragment: &mut [u8]) {
    let lanes = fragment.to_vec();
    for (lane, registers) in lanes.chunks_exact(8).enumerate() {
        for (half, register) in registers.chunks_exact(4).enumerate() {
            fragment[half * FRAGMENT / 2 + lane * 4..][..4].copy_from_slice(register);
        }
    }
}

/// Rounds the weights of one kernel with error diffusion, so that their errors cancel. In smooth
/// regions of an image only the sum of an output's weights matters, which this preserves almost
/// exactly. Weights are rounded in order of magnitude, and each one absorbs the error of those
/// before it.
///
/// All weights of a 3x3 kernel contribute to one output. In a transposed 4x4 kernel, every second
/// row and column does.
pub(crate) fn round_with_error_diffusion(kernel: &mut [f32], precision: Precision) {
    let count = kernel.len();
    let mut round = |taps: &mut [usize]| {
        taps.sort_by(|a, b| kernel[*b].abs().total_cmp(&kernel[*a].abs()));
        let mut error = 0.0;
        for tap in taps {
            let exact = kernel[*tap] + error;
            let rounded = match precision {
                Precision::F16 => half::f16::from_f32(exact).to_f32(),
                _ => round_to_tf32(exact),
            };
            error = if rounded.is_finite() { exact - rounded } else { 0.0 };
            kernel[*tap] = rounded;
        }
    };
    match count {
        16 => {
            for first in [0, 1, 4, 5] {
                round(&mut [first, first + 2, first + 8, first + 10]);
            }
        }
        n => round(&mut std::array::from_fn::<_, 9, _>(|tap| tap)[..n.min(9)]),
    }
}

/// Rounds to the nearest number with 10 bits of mantissa, ties away from zero, like the kernels
/// round the other operand.
fn round_to_tf32(v: f32) -> f32 {
    f32::from_bits(v.to_bits().wrapping_add(0x1000) & 0xffff_e000)
}

/// The hi/lo split of a lane's two registers to BF16: both numbers rounded, then both residuals.
fn split_bf16(pair: &[f32]) -> [u8; 8] {
    let mut out = [0; 8];
    for (e, v) in pair.iter().enumerate() {
        let rounded = half::bf16::from_f32(*v);
        let rest = half::bf16::from_f32(v - rounded.to_f32());
        out[2 * e..][..2].copy_from_slice(&rounded.to_le_bytes());
        out[4 + 2 * e..][..2].copy_from_slice(&rest.to_le_bytes());
    }
    out
}

impl Published {
    /// Weights as fragments of eight columns. Lane `l`, with `g = l / 4` and `t = l % 4`, holds
    /// column `g` and channels `2t, 2t + 1` and `2t + 8, 2t + 9` of a step of 16 (`t` and `t + 4`
    /// of a step of 8).
    fn fragments(&self, kind: LayerKind, step: usize) -> Vec<f32> {
        // Channels per 32-bit register.
        let pair = step / 8;
        let mut out = Vec::with_capacity(kind.weights());
        let mut fragment = |first: usize, k: usize, of: &dyn Fn(usize, usize) -> f32| {
            for lane in 0..32 {
                let (g, t) = (lane / 4, lane % 4);
                for register in 0..2 {
                    for e in 0..pair {
                        let channel = k * step + register * step / 2 + pair * t + e;
                        out.push(of(first + g, channel));
                    }
                }
            }
        };
        match kind {
            LayerKind::Conv { cin, padded, outputs, columns, order, .. } => {
                let published = input_channels(order, cin, padded);
                for n in 0..columns / 8 {
                    for tap in 0..9 {
                        for k in 0..padded / step {
                            fragment(n * 8, k, &|column, at| match published[at] {
                                Some(channel) if column < outputs => {
                                    self.weights[(column * self.second + channel) * 9 + tap]
                                }
                                _ => 0.0,
                            });
                        }
                    }
                }
            }
            LayerKind::Deconv { cin, padded, outputs, columns, shuffled } => {
                for (phase, tap) in (0..4).flat_map(|p| (0..4).map(move |t| (p, t))) {
                    // Output 2y + p reads input y + p + d - 1 through row p + 3 - 2 (p + d).
                    let row = |p: usize, d: usize| 3 - p - 2 * d;
                    let at = row(phase / 2, tap / 2) * 4 + row(phase % 2, tap % 2);
                    for j in 0..columns / 8 {
                        for k in 0..padded / step {
                            fragment(j * 8, k, &|column, channel| match output_of(
                                column, outputs, shuffled,
                            ) {
                                Some(o) if channel < cin => {
                                    self.weights[(channel * self.second + o) * 16 + at]
                                }
                                _ => 0.0,
                            });
                        }
                    }
                }
            }
        }
        out
    }

    fn columns_bias(&self, kind: LayerKind) -> Vec<f32> {
        match kind {
            LayerKind::Conv { columns, .. } => {
                let mut bias = self.bias.clone();
                bias.resize(columns, 0.0);
                bias
            }
            LayerKind::Deconv { outputs, columns, shuffled, .. } => (0..columns)
                .map(|n| output_of(n, outputs, shuffled).map_or(0.0, |o| self.bias[o]))
                .collect(),
        }
    }
}

/// The published channel of each input channel of a kernel. `None` for padding. A channel with a
/// rounding residual appears twice.
///
/// The published order of a block's input is: RGB of both frames, features of both frames, the
/// timestep, and after the first block the mask, the feature of the block before, the flow. The
/// kernels' order has one half per frame.
pub(crate) fn input_channels(order: ChannelOrder, cin: usize, padded: usize) -> Vec<Option<usize>> {
    let mut channels = vec![None; padded];
    let (residuals, features, handed_on) = match order {
        ChannelOrder::Published => {
            channels.iter_mut().zip(0..cin).for_each(|(to, c)| *to = Some(c));
            return channels;
        }
        ChannelOrder::Image(residuals) => {
            let again = if residuals == RoundingResiduals::None { 0 } else { cin };
            let all = (0..cin).chain(0..again);
            channels.iter_mut().zip(all).for_each(|(to, c)| *to = Some(c));
            return channels;
        }
        ChannelOrder::Block { residuals, features, handed_on } => (residuals, features, handed_on),
    };
    let stored = features.next_multiple_of(4);
    let timestep = 6 + 2 * features;
    for (side, half) in channels.chunks_exact_mut(padded / 2).enumerate() {
        let mut order: Vec<Option<usize>> = (0..3).map(|c| Some(3 * side + c)).collect();
        order.extend((0..features).map(|c| Some(6 + features * side + c)));
        order.resize(3 + stored, None);
        order.push(match (side, handed_on) {
            (0, _) => Some(timestep),
            (_, Some(_)) => Some(timestep + 1),
            _ => None,
        });
        if let Some(feature) = handed_on {
            let flow = timestep + 2 + feature;
            order.extend((0..2).map(|c| Some(flow + 2 * side + c)));
            order.extend((0..feature / 2).map(|c| Some(timestep + 2 + feature / 2 * side + c)));
        }
        match residuals {
            RoundingResiduals::None => {}
            RoundingResiduals::Flow => order.extend_from_within(4 + stored..6 + stored),
            RoundingResiduals::All => order.extend_from_within(..),
        }
        half.iter_mut().zip(order).for_each(|(to, channel)| *to = channel);
    }
    channels
}

/// The published output channel of a column.
pub(crate) fn output_of(column: usize, outputs: usize, shuffled: bool) -> Option<usize> {
    let output = if shuffled {
        let (j, t, e) = (column / 8, column % 8 / 2, column % 2);
        (2 * j + e) * 4 + t
    } else {
        column
    };
    (output < outputs).then_some(output)
}
