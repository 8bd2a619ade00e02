//! Packed weights, multiplied as the tensor cores multiply them, are the published ones.

use rife_model::ModelVersion;

use super::super::kernel::{Kernel, Layout, Variant};
use super::super::pack::{self, input_channels};
use super::super::plan::{LayerKind, Plan};
use super::super::twin::{Element, Weights};
use super::{FULL_HD, PRECISIONS, Random, published, request};
use crate::Precision;

/// The weights of every convolution, taken apart as `mma.m16n8k16` (F16) and `m16n8k8` take their
/// right operand: of a lane `l`, column `l / 4`, and in each of two registers the channels of
/// `l % 4`. What 16 columns of a step are is 512 bytes, 16 a lane: the first eight columns' two
/// registers, then the second's.
#[test]
fn packed_convolutions_multiply_as_published_ones() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
        let bytes = published(version);
        let weights = Weights::read(bytes.as_slice());
        for precision in PRECISIONS {
            let plan = Plan::new(&request(version, precision, FULL_HD));
            let packed = pack::pack(&plan, version.spec(), bytes.as_slice()).unwrap();
            let (offsets, end) = plan.weight_offsets();
            assert_eq!(packed.len(), end);
            let variant = &plan.variant;
            let mut random = Random(1);
            for (layer, (weights_at, bias_at)) in plan.layers.iter().zip(offsets) {
                let LayerKind::Conv { cin, padded, cout, halves, .. } = layer.kind else {
                    continue;
                };
                let order: Vec<Option<usize>> = if halves {
                    input_channels(cin, padded)
                } else {
                    (0..padded).map(|c| (c < cin).then_some(c)).collect()
                };
                // Every published channel has a place, and one only.
                let mut known: Vec<usize> = order.iter().flatten().copied().collect();
                known.sort_unstable();
                assert!(known.into_iter().eq(0..cin), "{}: {order:?}", layer.path);

                let expected = weights.multiplied(layer, precision);
                let x: Vec<f64> = (0..padded).map(|_| random.within(1.0)).collect();
                for tap in 0..9 {
                    let mut sums = vec![0.0; cout];
                    for (n, sums) in sums.chunks_exact_mut(16).enumerate() {
                        for k in 0..padded / variant.step() {
                            let at = (n * 9 + tap) * (padded / variant.step()) + k;
                            let of = &packed[weights_at + 512 * at..][..512];
                            multiply(variant, of, &x[k * variant.step()..], sums);
                        }
                    }
                    for (o, sum) in sums.iter().enumerate() {
                        let wanted: f64 = order
                            .iter()
                            .zip(&x)
                            .filter_map(|(c, x)| Some(x * expected.at(tap, (*c)?, o)))
                            .sum();
                        let off = (sum - wanted).abs();
                        assert!(off < 1e-9, "{} {precision:?} {tap} {o}: {off}", layer.path);
                    }
                }
                for (o, wanted) in expected.bias().iter().enumerate() {
                    let bias = Element::Float.read(&packed[bias_at + 4 * o..][..4]);
                    assert_eq!(bias, *wanted, "{} {o}", layer.path);
                }
            }
        }
    }
}

/// One step of the tensor cores for 16 columns and one row.
fn multiply(variant: &Variant, of: &[u8], x: &[f64], sums: &mut [f64]) {
    let element = if variant.precision == Precision::F16 { Element::Half } else { Element::Float };
    let each = 4 / element.bytes();
    for (lane, of) in of.chunks_exact(16).enumerate() {
        for (register, of) in of.chunks_exact(4).enumerate() {
            let column = register / 2 * 8 + lane / 4;
            for (e, of) in of.chunks_exact(element.bytes()).enumerate() {
                let channel = register % 2 * variant.step() / 2 + lane % 4 * each + e;
                sums[column] += element.read(of) * x[channel];
            }
        }
    }
}

/// What is packed does not depend on the size, the fusing or the layout: one copy serves all.
#[test]
fn layers_are_the_same_in_every_plan_of_a_model() {
    use crate::{FrameSize, Optimizations};
    for version in ModelVersion::ALL {
        let of = request(version, Precision::F16, FULL_HD);
        let usual = Plan::new(&of);
        let other = Plan::new(&super::super::plan::Request {
            size: FrameSize::new(33, 7),
            optimizations: Optimizations::none(),
            ensemble: version.spec().supports_ensemble,
            batch: 3,
            ..of
        });
        assert_eq!(usual.layers, other.layers);
        assert_eq!(
            (usual.variant.layout, other.variant.layout),
            (Layout::ChannelsLast, Layout::Planes)
        );
        assert!(other.steps().any(|s| matches!(s.kernel, Kernel::Input { .. })));
    }
}
