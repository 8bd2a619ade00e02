//! Convolutions that accumulate in F32, whatever dtype their input and output have.
//!
//! On a GPU they do so by themselves. Candle's CPU backend stores partial sums of F16 products in F16,
//! after a number of products that depends on the size of the CPU's caches, and ARM CPUs with F16
//! arithmetic accumulate in F16 throughout: an image would depend on the machine, and be off by more
//! than rounding the tensors explains. So on the CPU inputs and weights of F16 are widened, and outputs
//! are rounded to F16 once.

use candle_core::{DType, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Module, VarBuilder};

/// A convolution that accumulates in F32.
#[derive(Clone, Debug)]
pub(crate) struct InF32<C> {
    conv: C,
    /// The dtype of input and output, where the convolution itself runs in F32 instead.
    narrow: Option<DType>,
}

impl<C: Module> Module for InF32<C> {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self.narrow {
            Some(dtype) => self.conv.forward(&x.to_dtype(DType::F32)?)?.to_dtype(dtype),
            None => self.conv.forward(x),
        }
    }
}

/// The dtype that has to be widened on the device of `vb`, if it has to be.
fn narrow(vb: &VarBuilder) -> Option<DType> {
    (vb.device().is_cpu() && vb.dtype() == DType::F16).then_some(DType::F16)
}

fn widened(
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> candle_core::Result<(Tensor, Option<Tensor>)> {
    let widen = |tensor: &Tensor| tensor.to_dtype(DType::F32);
    Ok((widen(weight)?, bias.map(widen).transpose()?))
}

/// As [`candle_nn::conv2d`].
pub(crate) fn conv2d(
    inputs: usize,
    outputs: usize,
    kernel_size: usize,
    config: Conv2dConfig,
    vb: VarBuilder,
) -> candle_core::Result<InF32<Conv2d>> {
    let narrow = narrow(&vb);
    let mut conv = candle_nn::conv2d(inputs, outputs, kernel_size, config, vb)?;
    if narrow.is_some() {
        let (weight, bias) = widened(conv.weight(), conv.bias())?;
        conv = Conv2d::new(weight, bias, config);
    }
    Ok(InF32 { conv, narrow })
}

/// As [`candle_nn::conv_transpose2d`].
pub(crate) fn conv_transpose2d(
    inputs: usize,
    outputs: usize,
    kernel_size: usize,
    config: ConvTranspose2dConfig,
    vb: VarBuilder,
) -> candle_core::Result<InF32<ConvTranspose2d>> {
    let narrow = narrow(&vb);
    let mut conv = candle_nn::conv_transpose2d(inputs, outputs, kernel_size, config, vb)?;
    if narrow.is_some() {
        let (weight, bias) = widened(conv.weight(), conv.bias())?;
        conv = ConvTranspose2d::new(weight, bias, config);
    }
    Ok(InF32 { conv, narrow })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;
    use half::f16;

    use super::*;

    const INPUTS: usize = 192;
    const SIDE: usize = 6;

    /// F16 numbers from -1 to 1, none of them a multiple of a large power of two.
    fn numbers(seed: u64, count: usize) -> Vec<f16> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f16::from_f64((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
        };
        (0..count).map(|_| next()).collect()
    }

    fn tensors(weight: &[usize], outputs: usize) -> (HashMap<String, Tensor>, Vec<f16>, Vec<f16>) {
        let weights = numbers(1, weight.iter().product());
        let bias = numbers(2, outputs);
        let tensor = |values: &[f16], shape: &[usize]| {
            Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
        };
        let tensors = HashMap::from([
            ("weight".to_owned(), tensor(&weights, weight)),
            ("bias".to_owned(), tensor(&bias, &[outputs])),
        ]);
        (tensors, weights, bias)
    }

    /// Each value is the F16 next to the exact one, but for what F32 sums are off by.
    fn is_rounded_once(got: &Tensor, exact: &[f64]) {
        assert_eq!(got.dtype(), DType::F16);
        let got: Vec<f16> = got.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(got.len(), exact.len());
        for (got, exact) in got.into_iter().zip(exact) {
            let off = (got.to_f64() - exact).abs();
            let half_ulp = 2f64.powf(exact.abs().max(1e-3).log2().floor() - 11.0);
            assert!(off <= half_ulp + 1e-4, "{got} for {exact}");
        }
    }

    #[test]
    fn an_f16_convolution_on_the_cpu_rounds_once() {
        let outputs = 4;
        let (tensors, weights, bias) = tensors(&[outputs, INPUTS, 3, 3], outputs);
        let input = numbers(3, INPUTS * SIDE * SIDE);
        let vb = VarBuilder::from_tensors(tensors, DType::F16, &Device::Cpu);
        let config = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
        let conv = conv2d(INPUTS, outputs, 3, config, vb).unwrap();
        let x = Tensor::from_vec(input.clone(), (1, INPUTS, SIDE, SIDE), &Device::Cpu).unwrap();
        let mut exact = Vec::new();
        for o in 0..outputs {
            for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
                let mut sum = bias[o].to_f64();
                for (c, dy, dx) in (0..INPUTS * 9).map(|i| (i / 9, i / 3 % 3, i % 3)) {
                    let (y, x) = (y + dy, x + dx);
                    if (1..=SIDE).contains(&y) && (1..=SIDE).contains(&x) {
                        let at = (c * SIDE + y - 1) * SIDE + x - 1;
                        let weight = weights[((o * INPUTS + c) * 3 + dy) * 3 + dx];
                        sum += weight.to_f64() * input[at].to_f64();
                    }
                }
                exact.push(sum);
            }
        }
        is_rounded_once(&conv.forward(&x).unwrap(), &exact);
    }

    #[test]
    fn an_f16_transposed_convolution_on_the_cpu_rounds_once() {
        let outputs = 2;
        let (tensors, weights, bias) = tensors(&[INPUTS, outputs, 4, 4], outputs);
        let input = numbers(3, INPUTS * SIDE * SIDE);
        let vb = VarBuilder::from_tensors(tensors, DType::F16, &Device::Cpu);
        let config =
            ConvTranspose2dConfig { padding: 1, stride: 2, ..ConvTranspose2dConfig::default() };
        let conv = conv_transpose2d(INPUTS, outputs, 4, config, vb).unwrap();
        let x = Tensor::from_vec(input.clone(), (1, INPUTS, SIDE, SIDE), &Device::Cpu).unwrap();
        let side = 2 * SIDE;
        let mut exact: Vec<f64> =
            (0..outputs * side * side).map(|i| bias[i / (side * side)].to_f64()).collect();
        for (c, i) in (0..INPUTS).flat_map(|c| (0..SIDE * SIDE).map(move |i| (c, i))) {
            let value = input[c * SIDE * SIDE + i].to_f64();
            for (o, dy, dx) in (0..outputs * 16).map(|i| (i / 16, i / 4 % 4, i % 4)) {
                let (y, x) = (2 * (i / SIDE) + dy, 2 * (i % SIDE) + dx);
                if (1..=side).contains(&y) && (1..=side).contains(&x) {
                    let weight = weights[((c * outputs + o) * 4 + dy) * 4 + dx].to_f64();
                    exact[(o * side + y - 1) * side + x - 1] += weight * value;
                }
            }
        }
        is_rounded_once(&conv.forward(&x).unwrap(), &exact);
    }
}
