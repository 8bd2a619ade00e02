//! Published weights, rounded as the kernels multiply them, and the errors of their sums.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::U;
use super::value::{Approx, in_terms};
use crate::Precision;
use crate::cuda::kernel::Kernel;
use crate::cuda::pack::round_with_error_diffusion;
use crate::cuda::plan::{Layer, LayerKind};
use crate::cuda::variant::{Products, Variant};

/// Published weights by their paths.
#[derive(Clone, Debug)]
pub(in crate::cuda::tests) struct Weights(HashMap<String, Vec<f32>>);

/// A layer's weights rounded as the kernels multiply them, `[tap][input][output]`, and its bias.
pub(in crate::cuda::tests) struct Multiplied {
    weights: Vec<f64>,
    bias: Vec<f64>,
    inputs: usize,
}

impl Multiplied {
    pub(in crate::cuda::tests) fn at(&self, tap: usize, input: usize, output: usize) -> f64 {
        self.weights[(tap * self.inputs + input) * self.bias.len() + output]
    }

    /// The same; 0 for a column that has no published output.
    pub(in crate::cuda::tests) fn at_or_zero(
        &self,
        tap: usize,
        input: usize,
        output: usize,
    ) -> f64 {
        if output < self.bias.len() { self.at(tap, input, output) } else { 0.0 }
    }

    pub(in crate::cuda::tests) fn bias(&self) -> &[f64] {
        &self.bias
    }
}

impl Weights {
    pub(in crate::cuda::tests) fn read(safetensors: &[u8]) -> Self {
        let tensors = candle_core::safetensors::load_buffer(safetensors, &Device::Cpu).unwrap();
        let flat = |t: Tensor| {
            t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        Self(tensors.into_iter().map(|(name, t)| (name, flat(t))).collect())
    }

    pub(in crate::cuda::tests) fn multiplied(
        &self,
        layer: &Layer,
        precision: Precision,
    ) -> Multiplied {
        let products = layer.kind.products(precision);
        let published = &self.0[&format!("{}.weight", layer.path)];
        let bias = &self.0[&format!("{}.bias", layer.path)];
        let beta = layer.beta.as_ref().map(|path| &self.0[path]);
        let scaled = |v: f32, output: usize| beta.map_or(v, |beta| v * beta[output]);
        let (taps, inputs, outputs, transposed) = match layer.kind {
            LayerKind::Conv { cin, outputs, .. } => (9, cin, outputs, false),
            LayerKind::Deconv { cin, outputs, .. } => (16, cin, outputs, true),
        };
        assert_eq!((published.len(), bias.len()), (taps * inputs * outputs, outputs));
        let mut scaled_weights: Vec<f32> = published.clone();
        for (i, v) in scaled_weights.iter_mut().enumerate() {
            *v = scaled(*v, if transposed { i / taps % outputs } else { i / taps / inputs });
        }
        if matches!(products, Products::F16 | Products::Tf32) {
            let each = scaled_weights.chunks_exact_mut(taps);
            each.for_each(|kernel| round_with_error_diffusion(kernel, precision));
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

/// Rounds a number to an operand of the tensor cores.
pub(super) fn operand(products: Products, terms: usize, v: f64) -> f64 {
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

/// A bound on the error of a sum on the tensor cores, relative to the sum of the magnitudes of its
/// terms.
///
/// One step adds the products of a few channels to the running sum. All terms are aligned to the
/// largest one and truncated to 24 bits or more, an error of a few units in the last place of the
/// largest term. That term is usually far smaller than the sum of all magnitudes, so a correct
/// kernel stays well below 2^-22 of the sum per step, while a single lost product of average size
/// exceeds it.
///
/// [`Products::ThreeOfTf32`] sums only a part of one tap's products that way, in three steps each,
/// and adds the parts in F32. It drops the part of each product below 2^-22.
/// [`Products::ThreeOfBf16`] takes two steps and drops the part below 2^-16.
pub(super) fn sum_error(v: &Variant, kernel: &Kernel, cin: usize, taps: usize) -> f64 {
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

/// The sums of a convolution over one item.
pub(super) struct Sums<'a> {
    pub(super) x: &'a [f64],
    pub(super) off: Option<&'a [f64]>,
    pub(super) cin: usize,
    pub(super) weights: &'a Multiplied,
    pub(super) relative: f64,
    pub(super) errors: bool,
}

impl Sums<'_> {
    /// The sum and bias of every output. `terms` returns the taps of an output pixel, each with its
    /// input pixel.
    pub(super) fn all<T: Iterator<Item = (usize, usize)>>(
        &self,
        (oh, ow): (usize, usize),
        terms: impl Fn(usize, usize) -> T + Sync,
    ) -> Vec<Approx> {
        let (cin, cout) = (self.cin, self.weights.bias.len());
        let pixel = |i: usize| -> Vec<Approx> {
            let mut sum = self.weights.bias.clone();
            let mut size: Vec<f64> = sum.iter().map(|v| v.abs()).collect();
            let mut off = vec![0.0; cout];
            for (tap, at) in terms(i / ow, i % ow) {
                for c in 0..cin {
                    let x = self.x[at * cin + c];
                    let row = &self.weights.weights[(tap * cin + c) * cout..][..cout];
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
