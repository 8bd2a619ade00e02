//! How close every engine is to PyTorch and to the reference network.

use std::cell::RefCell;
use std::path::Path;

use candle_core::{DType, Device as CandleDevice, Tensor};
use rife_model::{IfNet, Input, Padding};
use rife_runtime::{Device, Frame, FrameSize, ModelVersion, Precision, Scale};
use rife_testkit::tolerance::{
    BF16_PSNR_DB, BF16_WORST_PSNR_DB, F16_IMAGE, F16_PSNR_DB, F32_IMAGE, QUARTER_SCALE_PSNR_DB,
    TF32_IMAGE, TF32_PSNR_DB, max_error, psnr_db,
};
use rife_testkit::{Golden, GoldenCase};

use super::{
    Engines, builder, each_engine, engines_on, has_published_weights, planar, rgb8, weights,
};

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// Runs the reference network on zero-padded frames, and crops the result.
fn network(net: &IfNet, a: &Frame, b: &Frame, t: f32) -> Vec<f32> {
    let FrameSize { width: w, height: h, .. } = a.size();
    let padding = Padding::new(h, w, net.spec(), Scale::One);
    let tensor = |f: &Frame| {
        let samples = f.as_planar_f32().unwrap().to_vec();
        padding.pad(&Tensor::from_vec(samples, (1, 3, h, w), net.device()).unwrap()).unwrap()
    };
    let image = net.forward(&Input::new(&tensor(a), &tensor(b), &[t])).unwrap();
    values(&padding.crop(&image).unwrap())
}

pub(super) fn interpolator_matches_the_network_at_any_size(engines: &Engines) {
    for version in ModelVersion::ALL {
        let bytes = weights(version).read().unwrap();
        // Random weights amplify the rounding errors of both results.
        let tolerance = if has_published_weights(version) { F32_IMAGE } else { 2.0 * F32_IMAGE };
        let net = IfNet::from_weights(&bytes, version, DType::F32, &CandleDevice::Cpu).unwrap();
        each_engine(engines, version, |rife| {
            for (w, h) in [(1, 1), (1, 70), (70, 1), (31, 33), (64, 64), (65, 2), (130, 45)] {
                let (a, b) = (planar(&rgb8(w, h, 0)), planar(&rgb8(w, h, 2)));
                let got = rife.interpolate(&a.view(), &b.view(), 0.3).unwrap();
                let off = max_error(got.as_planar_f32().unwrap(), &network(&net, &a, &b, 0.3));
                assert!(off <= tolerance, "RIFE {version} at {w}x{h}: off by {off}");
            }
            assert!(rife.session(FrameSize::new(0, 4)).is_err());
            assert!(rife.session(FrameSize::new(4, FrameSize::MAX_SIDE + 1)).is_err());
        });
    }
}

/// Runs every golden case with published weights on every engine. `check` receives its name,
/// whether the case has a tolerance for reduced precision (see [`GoldenCase::f16`]), the computed
/// values and the golden values.
fn each_golden(
    engines: &Engines,
    precision: Precision,
    check: impl Fn(&str, bool, &[f32], &[f32]),
) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-model/tests/data");
    for (version, file) in [(ModelVersion::V4_6, "rife46"), (ModelVersion::V4_26, "rife426")] {
        let golden = Golden::load(data.join(format!("golden_{file}.safetensors")));
        let weights = weights(version);
        for engine in engines.iter().filter(|engine| engine.precisions.contains(&precision)) {
            for case in golden.cases.iter().filter(|case: &&GoldenCase| !case.random_weights) {
                let rife = builder(version, engine, precision)
                    .scale(case.scale.to_string().parse().unwrap())
                    .ensemble(case.ensemble)
                    .load_weights(&weights)
                    .unwrap();
                let [a, b] = case.frames.each_ref().map(|t| {
                    let (_, _, h, w) = t.dims4().unwrap();
                    Frame::planar_f32(FrameSize::new(w, h), values(t)).unwrap()
                });
                let mut session = rife.session(a.size()).unwrap();
                session.push(&a.view()).unwrap();
                session.push(&b.view()).unwrap();
                let columns = case.first_column..case.first_column + case.image.dim(3).unwrap();
                for (i, t) in case.timesteps.iter().enumerate() {
                    let got = session.at(*t).unwrap();
                    let rows = got.as_planar_f32().unwrap().chunks_exact(a.size().width);
                    let got: Vec<f32> = rows.flat_map(|r| &r[columns.clone()]).copied().collect();
                    let name =
                        format!("{} {version} {precision} {} at {t}", engine.engine, case.name);
                    check(&name, case.f16, &got, &values(&case.image.get(i).unwrap()));
                }
            }
        }
    }
}

pub(super) fn f32_matches_pytorch(engines: &Engines) {
    each_golden(engines, Precision::F32, |name, _, got, expected| {
        let off = max_error(got, expected);
        assert!(off <= F32_IMAGE, "{name}: off by {off}");
    });
}

pub(super) fn f16_is_within_two_8_bit_steps_and_70_db(engines: &Engines) {
    each_golden(engines, Precision::F16, |name, validated, got, expected| {
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off > 0.0, "{name}: computed in F32");
        assert!(off <= F16_IMAGE || !validated, "{name}: off by {off}");
        let least = if validated { F16_PSNR_DB } else { QUARTER_SCALE_PSNR_DB };
        assert!(psnr >= least, "{name}: {psnr} dB");
    });
}

/// Only GPU engines support TF32.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn tf32_is_within_two_8_bit_steps_and_75_db() {
    each_golden(&engines_on(Device::Cuda(0)), Precision::Tf32, |name, validated, got, expected| {
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off <= TF32_IMAGE || !validated, "{name}: off by {off}");
        let least = if validated { TF32_PSNR_DB } else { QUARTER_SCALE_PSNR_DB };
        assert!(psnr >= least, "{name}: {psnr} dB");
    });
}

/// Only CPU engines support BF16.
#[test]
#[cfg_attr(not(bf16_here), ignore = "this CPU has no AVX512-BF16")]
fn bf16_is_within_60_db() {
    let engines = engines_on(Device::Cpu);
    assert!(engines.iter().any(|engine| engine.precisions.contains(&Precision::Bf16)));
    let all = RefCell::new(Vec::new());
    each_golden(&engines, Precision::Bf16, |name, validated, got, expected| {
        if !validated {
            return;
        }
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off > 0.0, "{name}: computed in F32");
        assert!(psnr >= BF16_WORST_PSNR_DB, "{name}: {psnr} dB");
        all.borrow_mut().push((got.to_vec(), expected.to_vec()));
    });
    let (got, expected): (Vec<_>, Vec<_>) = all.into_inner().into_iter().unzip();
    let psnr = psnr_db(&got.concat(), &expected.concat());
    println!("all cases: {psnr:.1} dB");
    assert!(psnr >= BF16_PSNR_DB, "all cases: {psnr} dB");
}

pub(super) fn equal_frames_give_nearly_the_same_frame(engines: &Engines) {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        each_engine(engines, version, |rife| {
            let a = rgb8(96, 64, 0);
            let middle = rife.interpolate(&a.view(), &a.view(), 0.5).unwrap();
            let (a, middle) = (a.as_rgb8().unwrap(), middle.as_rgb8().unwrap());
            let sum: u64 = a.iter().zip(middle).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
            assert!(sum as f64 / (a.len() as f64) < 2.0, "sum of differences {sum}");
        });
    }
}

/// Sample coordinates must be exact in every precision: in F16, those at the far edge of a wide
/// frame would be rounded. Compared with the reference network in F32 on the CPU.
pub(super) fn every_precision_is_accurate_at_the_far_edge_of_a_wide_frame(engines: &Engines) {
    let (w, h, edge) = (3840, 64, 256);
    let (a, b) = (planar(&rgb8(w, h, 0)), planar(&rgb8(w, h, 3)));
    let at_the_edge = |samples: &[f32]| -> Vec<f32> {
        samples.chunks_exact(w).flat_map(|row| &row[w - edge..]).copied().collect()
    };
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let weights = weights(version);
        let bytes = weights.read().unwrap();
        let net = IfNet::from_weights(&bytes, version, DType::F32, &CandleDevice::Cpu).unwrap();
        let exact = at_the_edge(&network(&net, &a, &b, 0.5));
        for engine in engines {
            for precision in engine.precisions.iter().copied() {
                let rife = builder(version, engine, precision).load_weights(&weights).unwrap();
                let image = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
                let image = at_the_edge(image.as_planar_f32().unwrap());
                let (off, psnr) = (max_error(&image, &exact), psnr_db(&image, &exact));
                let name = format!("{} {version} {precision} on {}", engine.engine, engine.device);
                println!("{name}: off by {off:.2e}, {psnr:.1} dB");
                let least = match precision {
                    Precision::Bf16 => BF16_WORST_PSNR_DB,
                    _ => F16_PSNR_DB,
                };
                assert!(psnr >= least, "{name}: {psnr} dB");
                assert!(off <= F32_IMAGE || precision != Precision::F32, "{name}: off by {off}");
            }
        }
    }
}
