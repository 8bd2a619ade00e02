//! Packed weights, multiplied like on the tensor cores, equal the published ones.

use rife_model::ModelVersion;

use super::super::kernel::{Kernel, RoundingResiduals};
use super::super::pack::{self, input_channels, output_of, round_with_error_diffusion};
use super::super::plan::{ChannelOrder, LayerKind, Plan};
use super::super::variant::{Layout, Products, Variant};
use super::reference::{Element, Weights};
use super::{FULL_HD, PRECISIONS, Random, request};
use crate::{Precision, goldens};

/// The weights of every convolution, unpacked as `mma.m16n8k16` (F16) and `m16n8k8` read operand B:
/// lane `l` has column `l / 4`, and in each of two registers the channels of `l % 4`. Eight columns
/// of a step are 256 bytes: the first registers of all lanes, then the second ones, so that in F16
/// each column has 16 bytes in either half, as `wgmma` reads them. For 3xBF16, the first
/// register holds both channels of a lane rounded, and the second one their residuals.
#[test]
fn packed_convolution_weights_match_published_ones() {
    for version in ModelVersion::ALL {
        let bytes = goldens::random(version.spec(), |_, _| ());
        let weights = Weights::read(&bytes);
        for precision in PRECISIONS {
            let plan = Plan::new(&request(version, precision, FULL_HD));
            let packed = pack::pack(&plan, version.spec(), &bytes).unwrap();
            let (offsets, end) = plan.weight_offsets();
            assert_eq!(packed.len(), end);
            let variant = &plan.variant;
            let mut random = Random(1);
            for (layer, (weights_at, bias_at)) in plan.layers.iter().zip(offsets) {
                let LayerKind::Conv { cin, padded, columns, order, .. } = layer.kind else {
                    continue;
                };
                let channels = input_channels(order, cin, padded);
                // Every published channel has a place, and a second one if its rounding residual is
                // multiplied.
                for channel in 0..cin {
                    let twice = match order {
                        ChannelOrder::Image(residuals) | ChannelOrder::Block { residuals, .. } => {
                            match residuals {
                                RoundingResiduals::None => false,
                                RoundingResiduals::Flow => channel + 4 >= cin,
                                RoundingResiduals::All => true,
                            }
                        }
                        ChannelOrder::Published => false,
                    };
                    let places = channels.iter().filter(|at| **at == Some(channel)).count();
                    assert_eq!(places, 1 + usize::from(twice), "{} {channel}", layer.path);
                }

                let expected = weights.multiplied(layer, precision);
                let x: Vec<f64> = (0..padded).map(|_| random.within(1.0)).collect();
                for tap in 0..9 {
                    let mut sums = vec![0.0; columns];
                    for (n, sums) in sums.chunks_exact_mut(8).enumerate() {
                        let steps = padded / variant.step();
                        for k in 0..steps {
                            let at = (n * 9 + tap) * steps + k;
                            let (first, second) =
                                packed[weights_at + 256 * at..][..256].split_at(128);
                            let lanes = first.chunks_exact(4).zip(second.chunks_exact(4));
                            let of: Vec<u8> =
                                lanes.flat_map(|(a, b)| a.iter().chain(b)).copied().collect();
                            let products = layer.kind.products(precision);
                            multiply(products, variant, &of, &x[k * variant.step()..], sums);
                        }
                    }
                    for (o, sum) in sums.iter().enumerate() {
                        let expected_sum: f64 = channels
                            .iter()
                            .zip(&x)
                            .filter_map(|(c, x)| Some(x * expected.at_or_zero(tap, (*c)?, o)))
                            .sum();
                        let off = (sum - expected_sum).abs();
                        assert!(off < 1e-9, "{} {precision:?} {tap} {o}: {off}", layer.path);
                    }
                }
                for (o, expected_bias) in expected.bias().iter().enumerate() {
                    let bias = Element::Float.read(&packed[bias_at + 4 * o..][..4]);
                    assert_eq!(bias, *expected_bias, "{} {o}", layer.path);
                }
            }
        }
    }
}

/// Simulates one step of the tensor cores for one row and eight columns, from both registers of
/// each lane.
fn multiply(products: Products, variant: &Variant, of: &[u8], x: &[f64], sums: &mut [f64]) {
    let element = if products == Products::F16 { Element::Half } else { Element::Float };
    let each = 4 / element.bytes();
    let bf16 = |of: &[u8]| f64::from(half::bf16::from_le_bytes(of.try_into().unwrap()));
    for (lane, of) in of.chunks_exact(8).enumerate() {
        let sum = &mut sums[lane / 4];
        if products == Products::ThreeOfBf16 {
            for e in 0..2 {
                let (rounded, rest) = (bf16(&of[2 * e..][..2]), bf16(&of[4 + 2 * e..][..2]));
                assert!(rest.abs() <= rounded.abs() / 256.0, "{rounded} {rest}");
                *sum += (rounded + rest) * x[lane % 4 + 4 * e];
            }
            continue;
        }
        for (register, of) in of.chunks_exact(4).enumerate() {
            for (e, of) in of.chunks_exact(element.bytes()).enumerate() {
                let channel = register * variant.step() / 2 + lane % 4 * each + e;
                *sum += element.read(of) * x[channel];
            }
        }
    }
}

/// The same for transposed convolutions. For each phase and each of its 2x2 taps, eight columns of
/// a step are 256 bytes, 8 per lane.
#[test]
fn packed_transposed_convolution_weights_match_published_ones() {
    for version in ModelVersion::ALL {
        let bytes = goldens::random(version.spec(), |_, _| ());
        let weights = Weights::read(&bytes);
        for precision in PRECISIONS {
            let plan = Plan::new(&request(version, precision, FULL_HD));
            let packed = pack::pack(&plan, version.spec(), &bytes).unwrap();
            let (offsets, _) = plan.weight_offsets();
            let variant = &plan.variant;
            let mut random = Random(2);
            let mut seen = 0;
            for (layer, (weights_at, bias_at)) in plan.layers.iter().zip(offsets) {
                let LayerKind::Deconv { cin, padded, outputs, columns, shuffled } = layer.kind
                else {
                    continue;
                };
                seen += 1;
                let expected = weights.multiplied(layer, precision);
                let products = layer.kind.products(precision);
                let x: Vec<f64> = (0..padded).map(|_| random.within(1.0)).collect();
                let steps = padded / variant.step();
                for (phase, tap) in (0..4).flat_map(|p| (0..4).map(move |t| (p, t))) {
                    // Output 2y + p reads input i = y + p + d - 1 by the kernel's row
                    // 2y + p + 1 - 2i.
                    let row = |p: usize, d: usize| 3 - p - 2 * d;
                    let of = row(phase / 2, tap / 2) * 4 + row(phase % 2, tap % 2);
                    for j in 0..columns / 8 {
                        let mut sums = [0.0; 8];
                        for k in 0..steps {
                            let at = ((phase * 4 + tap) * (columns / 8) + j) * steps + k;
                            let from = &packed[weights_at + 256 * at..][..256];
                            multiply(products, variant, from, &x[k * variant.step()..], &mut sums);
                        }
                        for (n, sum) in sums.iter().enumerate() {
                            let output = output_of(8 * j + n, outputs, shuffled);
                            let expected_sum: f64 = output.map_or(0.0, |o| {
                                let used = x[..cin].iter().enumerate();
                                used.map(|(i, x)| x * expected.at(of, i, o)).sum()
                            });
                            let off = (sum - expected_sum).abs();
                            assert!(off < 1e-9, "{} {precision:?} {of} {n}: {off}", layer.path);
                        }
                    }
                }
                for n in 0..columns {
                    let bias = Element::Float.read(&packed[bias_at + 4 * n..][..4]);
                    let output = output_of(n, outputs, shuffled);
                    assert_eq!(bias, output.map_or(0.0, |o| expected.bias()[o]), "{}", layer.path);
                }
            }
            assert!(seen >= 4, "{seen}");
        }
    }
}

/// Sessions share one copy of the packed weights, so the layers must not depend on size, fusion or
/// layout.
#[test]
fn layers_are_the_same_in_every_plan_of_a_model() {
    use crate::{FrameSize, Optimizations};
    for version in ModelVersion::ALL {
        let of = request(version, Precision::F16, FULL_HD);
        let default = Plan::new(&of);
        let other = Plan::new(&super::super::plan::Request {
            size: FrameSize::new(33, 7),
            optimizations: Optimizations::none(),
            ensemble: version.spec().supports_ensemble,
            batch: 3,
            ..of
        });
        assert_eq!(default.layers, other.layers);
        assert_eq!(
            (default.variant.layout, other.variant.layout),
            (Layout::ChannelsLast, Layout::Planar)
        );
        assert!(other.steps().any(|s| matches!(s.kernel, Kernel::Input { .. })));
    }
}

/// Weights rounded with error diffusion stay close to the originals, and their sum over an output
/// is far more accurate than with independent rounding.
#[test]
fn rounded_weights_keep_their_sums() {
    let round = |v: f32, precision| match precision {
        Precision::F16 => half::f16::from_f32(v).to_f32(),
        _ => f32::from_bits((v.to_bits() + 0x1000) & 0xffff_e000),
    };
    let outputs: [&[&[usize]]; 2] = [
        &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]],
        &[&[0, 2, 8, 10], &[1, 3, 9, 11], &[4, 6, 12, 14], &[5, 7, 13, 15]],
    ];
    for precision in [Precision::F16, Precision::Tf32] {
        let mut random = Random(7);
        let (mut diffused_error, mut independent_error) = (0.0f64, 0.0f64);
        for taps in outputs {
            for _ in 0..500 {
                let count = taps.len() * taps[0].len();
                let exact: Vec<f32> = (0..count).map(|_| random.within(0.3) as f32).collect();
                let mut rounded = exact.clone();
                round_with_error_diffusion(&mut rounded, precision);
                for (v, r) in exact.iter().zip(&rounded) {
                    assert_eq!(round(*r, precision), *r);
                    // Half a unit in the last place of the weight, plus half of one of the largest
                    // weight.
                    let max = 2.0f32.powi(-11) * v.abs() + 1.01 * 2.0f32.powi(-13);
                    assert!((v - r).abs() <= max, "{v} {r}");
                }
                for taps in taps {
                    let sum = |of: &dyn Fn(usize) -> f32| -> f64 {
                        taps.iter().map(|tap| f64::from(of(*tap))).sum()
                    };
                    let expected_sum = sum(&|tap| exact[tap]);
                    diffused_error += (sum(&|tap| rounded[tap]) - expected_sum).abs();
                    independent_error +=
                        (sum(&|tap| round(exact[tap], precision)) - expected_sum).abs();
                }
            }
        }
        assert!(
            diffused_error < independent_error / 6.0,
            "{precision:?}: {diffused_error} {independent_error}"
        );
    }
    let mut huge = [7e4, 1.0, -1e5, 0.0, f32::NAN, 0.1, 0.2, 0.3, 0.4];
    round_with_error_diffusion(&mut huge, Precision::F16);
    assert!(huge[0].is_infinite() && huge[1] == 1.0);
}
