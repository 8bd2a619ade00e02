//! Plans, run with the reference implementations of the kernels, compute the network.

use candle_core::{DType, Device, Tensor};
use rife_model::{IfNet, Input, ModelVersion, Padding, Scale};
use rife_testkit::tolerance::{F16_IMAGE, TF32_IMAGE, max_error, psnr_db};

use super::super::plan::{Plan, Request};
use super::reference::{Weights, run_plan};
use super::{request, weights};
use crate::goldens::RANDOM_PSNR_DB;
use crate::test_weights::has_published_weights;
use crate::{FrameSize, Optimization, Optimizations, Precision};

/// A picture of lines, panned by `pan` pixels, as planar F32.
fn frame(size: FrameSize, pan: i64) -> Vec<f32> {
    let lines = rife_testkit::lines(size.width, size.height, pan, pan / 2);
    lines.into_iter().map(|v| f32::from(v) / 255.0).collect()
}

/// The output of the network between two of the frames.
fn reference(
    net: &IfNet,
    size: FrameSize,
    (scale, ensemble): (Scale, bool),
    frames: &[Vec<f32>],
    (a, b, t): (usize, usize, f32),
) -> Vec<f32> {
    let padding = Padding::new(size.height, size.width, net.spec(), scale);
    let tensor = |i: usize| {
        let shape = (1, 3, size.height, size.width);
        padding.pad(&Tensor::from_vec(frames[i].clone(), shape, net.device()).unwrap()).unwrap()
    };
    let timesteps = [t];
    let (image0, image1) = (tensor(a), tensor(b));
    let input = Input { scale, ensemble, ..Input::new(&image0, &image1, &timesteps) };
    let image = net.forward(&input).unwrap();
    padding.crop(&image).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

const UNFUSED: Optimizations = Optimizations::all().without(Optimization::FusedKernels);

#[test]
fn plan_computes_the_network() {
    let (small, odd, wide) =
        (FrameSize::new(64, 64), FrameSize::new(70, 33), FrameSize::new(130, 66));
    let all = Optimizations::all();
    let none = Optimizations::none();
    for (version, cases) in [
        (
            ModelVersion::V4_6,
            &[
                (small, Scale::One, false, all),
                (odd, Scale::Half, true, all),
                (odd, Scale::Two, false, UNFUSED),
                (odd, Scale::Two, true, none),
                (wide, Scale::Two, false, all),
                (wide, Scale::One, false, none),
                (wide, Scale::Half, false, UNFUSED),
                (wide, Scale::One, true, all),
            ][..],
        ),
        (
            ModelVersion::V4_26,
            &[
                (small, Scale::One, false, all),
                (odd, Scale::Half, false, all),
                (odd, Scale::Two, false, none),
                (wide, Scale::Two, false, all),
                (wide, Scale::One, false, UNFUSED),
                (FrameSize::new(1, 1), Scale::One, false, all),
            ][..],
        ),
        (ModelVersion::V4_22Lite, &[(odd, Scale::One, false, all)][..]),
        (
            ModelVersion::V4_25Lite,
            &[(odd, Scale::Two, false, all), (odd, Scale::One, false, UNFUSED)][..],
        ),
        (ModelVersion::V4_25Heavy, &[(small, Scale::One, false, all)][..]),
        (
            ModelVersion::V4_26Heavy,
            &[(odd, Scale::One, false, all), (odd, Scale::Two, false, none)][..],
        ),
    ] {
        let bytes = weights(version);
        let net = IfNet::from_weights(&bytes, version, DType::F32, &Device::Cpu).unwrap();
        let weights = Weights::read(bytes.as_slice());
        for (case, &(size, scale, ensemble, optimizations)) in cases.iter().enumerate() {
            let frames = [frame(size, 0), frame(size, 3), frame(size, -4)];
            // Alternate between one frame and a batch of two.
            let requests = [(0, 1, 0.3), (1, 2, 0.85)];
            let requests = &requests[..1 + case % 2];
            let plan = Plan::new(&Request {
                scale,
                ensemble,
                optimizations,
                batch: requests.len(),
                ..request(version, Precision::F32, size)
            });
            let outputs = run_plan(&plan, size, &weights, &frames, requests, false);
            for (output, request) in outputs.iter().zip(requests) {
                let expected = reference(&net, size, (scale, ensemble), &frames, *request);
                let off = max_error(output, &expected);
                assert!(
                    off <= 1e-4,
                    "RIFE {version} at {size}, scale {scale}, ensemble {ensemble}, {}: off by {off}",
                    if optimizations == all { "fused" } else { "not fused" }
                );
            }
        }
    }
}

/// The results with an arena equal those with separate buffers. F16 and TF32 results are close to
/// F32.
#[test]
fn plan_computes_the_same_in_the_arena() {
    let size = FrameSize::new(70, 33);
    let frames = [frame(size, 0), frame(size, 3), frame(size, -4)];
    for (version, ensemble) in [
        (ModelVersion::V4_6, false),
        (ModelVersion::V4_6, true),
        (ModelVersion::V4_26, false),
        (ModelVersion::V4_25Lite, false),
        (ModelVersion::V4_26Heavy, false),
    ] {
        let bytes = weights(version);
        let weights = Weights::read(bytes.as_slice());
        let mut exact: Option<Vec<Vec<f32>>> = None;
        for (precision, optimizations, tolerance) in [
            (Precision::F32, Optimizations::all(), 1e-4),
            (Precision::F16, Optimizations::all(), F16_IMAGE),
            (Precision::F16, UNFUSED, F16_IMAGE),
            (Precision::Tf32, Optimizations::all(), TF32_IMAGE),
            (Precision::F32, UNFUSED.without(Optimization::ChannelsLast), 1e-4),
        ] {
            let plan = Plan::new(&Request {
                ensemble,
                optimizations,
                batch: 2,
                ..request(version, precision, size)
            });
            let requests = [(0, 1, 0.3), (2, 1, 0.85)];
            let separate = run_plan(&plan, size, &weights, &frames, &requests, false);
            let in_arena = run_plan(&plan, size, &weights, &frames, &requests, true);
            let bits = |all: &[Vec<f32>]| -> Vec<u32> {
                all.iter().flatten().map(|v| v.to_bits()).collect()
            };
            assert!(bits(&separate) == bits(&in_arena), "RIFE {version}, {precision:?}");
            let exact = exact.get_or_insert_with(|| separate.clone());
            for (output, exact) in separate.iter().zip(exact) {
                let (off, psnr) = (max_error(output, exact), psnr_db(output, exact));
                // Random weights amplify rounding errors.
                let close = match has_published_weights(version) || precision == Precision::F32 {
                    true => off <= tolerance,
                    false => psnr >= RANDOM_PSNR_DB,
                };
                assert!(close, "RIFE {version}, {precision:?}: off by {off}, {psnr:.1} dB");
            }
        }
    }
}
