//! What every engine must do, whatever is behind the door.

use std::path::Path;

use candle_core::{DType, Device as CandleDevice, Tensor};
use rife_model::weights::{Store, Weights};
use rife_model::{IfNet, Input, ModelError, Padding};
use rife_runtime::{
    Device, Engine, Error, Frame, FrameSize, FrameView, Interpolator, ModelVersion, PixelFormat,
    Precision, Scale, Stride,
};
use rife_testkit::tolerance::{F16_IMAGE, F16_PSNR_DB, F32_IMAGE, max_error, psnr_db};
use rife_testkit::{Case, Golden, lines};

/// The engines that run here, on the devices that they run on.
const ENGINES: &[(Engine, Device)] = &[(Engine::Baseline, Device::Cpu)];

fn weights(version: ModelVersion) -> Weights {
    Store::locate(None)
        .and_then(|store| store.obtain(version, &mut |line| eprintln!("{line}")))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn each_engine(version: ModelVersion, check: impl Fn(&Interpolator)) {
    let weights = weights(version);
    for (engine, device) in ENGINES {
        let builder = Interpolator::builder(version).engine(*engine).device(*device);
        check(&builder.precision(Precision::F32).load_weights(&weights).unwrap());
    }
}

fn rgb8(w: usize, h: usize, pan: i64) -> Frame {
    let planar = lines(w, h, pan, 0);
    let samples = (0..w * h).flat_map(|i| [0, 1, 2].map(|c| planar[c * w * h + i])).collect();
    Frame::rgb8(FrameSize::new(w, h), samples).unwrap()
}

fn planar(frame: &Frame) -> Frame {
    let (rgb, n) = (frame.as_rgb8().unwrap(), frame.size().pixels());
    let samples = (0..3 * n).map(|i| f32::from(rgb[i % n * 3 + i / n]) / 255.0).collect();
    Frame::planar_f32(frame.size(), samples).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The network itself on zero-padded frames, cropped back.
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

#[test]
fn the_door_gives_what_the_network_gives_at_any_size() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let bytes = weights(version).read().unwrap();
        let net = IfNet::from_weights(&bytes, version, DType::F32, &CandleDevice::Cpu).unwrap();
        each_engine(version, |rife| {
            for (w, h) in [(1, 1), (1, 70), (70, 1), (31, 33), (64, 64), (65, 2), (130, 45)] {
                let (a, b) = (planar(&rgb8(w, h, 0)), planar(&rgb8(w, h, 2)));
                let got = rife.interpolate(&a.view(), &b.view(), 0.3).unwrap();
                let off = max_error(got.as_planar_f32().unwrap(), &network(&net, &a, &b, 0.3));
                assert!(off <= F32_IMAGE, "RIFE {version} at {w}x{h}: off by {off}");
            }
            assert!(rife.session(FrameSize::new(0, 4)).is_err());
            assert!(rife.session(FrameSize::new(4, FrameSize::MAX_SIDE + 1)).is_err());
        });
    }
}

/// Every golden case of the published weights through every engine: name, made and golden values.
fn each_golden(precision: Precision, check: impl Fn(&str, &[f32], &[f32])) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-model/tests/data");
    for (version, file) in [(ModelVersion::V4_6, "rife46"), (ModelVersion::V4_26, "rife426")] {
        let golden = Golden::load(data.join(format!("golden_{file}.safetensors")));
        let weights = weights(version);
        for (engine, device) in ENGINES {
            let held = |c: &&Case| !c.random_weights && (c.f16 || precision == Precision::F32);
            for case in golden.cases.iter().filter(held) {
                let rife = Interpolator::builder(version)
                    .engine(*engine)
                    .device(*device)
                    .precision(precision)
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
                    let name = format!("{engine} {version} {precision} {} at {t}", case.name);
                    check(&name, &got, &values(&case.image.get(i).unwrap()));
                }
            }
        }
    }
}

#[test]
fn every_engine_equals_pytorch_in_f32() {
    each_golden(Precision::F32, |name, got, expected| {
        let off = max_error(got, expected);
        assert!(off <= F32_IMAGE, "{name}: off by {off}");
    });
}

#[test]
fn every_engine_is_within_two_eight_bit_steps_and_70_db_in_f16() {
    each_golden(Precision::F16, |name, got, expected| {
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        assert!(off > 0.0 && off <= F16_IMAGE, "{name}: off by {off}");
        assert!(psnr >= F16_PSNR_DB, "{name}: {psnr} dB");
    });
}

#[test]
fn formats_agree_to_the_rounding_of_the_coarser() {
    each_engine(ModelVersion::V4_26, |rife| {
        let (a, b) = (rgb8(64, 50, 0), rgb8(64, 50, 3));
        let deep = |f: &Frame| {
            let samples = f.as_rgb8().unwrap().iter().map(|v| u16::from(*v) * 257).collect();
            Frame::rgb16(f.size(), samples).unwrap()
        };
        let middle = |a: &Frame, b: &Frame| rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        let (from8, from16) = (middle(&a, &b), middle(&deep(&a), &deep(&b)));
        let mut stream = rife.session(a.size()).unwrap();
        stream.push(&deep(&a).view()).unwrap();
        stream.push(&deep(&b).view()).unwrap();
        assert_eq!(stream.at(0.5).unwrap(), from16, "a stream keeps the depth of its frames");
        let float = middle(&planar(&a), &planar(&b));
        let (from8, from16) = (from8.as_rgb8().unwrap(), from16.as_rgb16().unwrap());
        let (float, n) = (float.as_planar_f32().unwrap(), a.size().pixels());
        for i in 0..3 * n {
            let exact = float[i % 3 * n + i / 3];
            assert!((f32::from(from8[i]) - exact * 255.0).abs() <= 0.501);
            assert!((f32::from(from16[i]) - exact * 65535.0).abs() <= 1.0);
        }
    });
}

#[test]
fn a_strided_frame_is_the_same_frame() {
    each_engine(ModelVersion::V4_6, |rife| {
        let (a, b) = (rgb8(40, 30, 0), rgb8(40, 30, 2));
        let stride = Stride { row: 3 * 40 + 11, plane: 0 };
        let strided = |f: &Frame| {
            let mut data = vec![0x5a; stride.row * 30];
            let rows = f.as_rgb8().unwrap().chunks_exact(3 * 40);
            data.chunks_exact_mut(stride.row)
                .zip(rows)
                .for_each(|(to, row)| to[..120].copy_from_slice(row));
            data
        };
        let (da, db) = (strided(&a), strided(&b));
        let view = |data| FrameView::rgb8(a.size(), data, stride).unwrap();
        let expected = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        assert_eq!(rife.interpolate(&view(&da), &view(&db), 0.5).unwrap(), expected);
    });
}

/// Whatever an engine keeps from frame to frame, a stream gives what its pairs give alone, bit
/// for bit.
#[test]
fn a_stream_gives_what_its_pairs_give_alone() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        each_engine(version, |rife| {
            let frames = [0, 3, 5, 40, 42].map(|pan| rgb8(66, 40, pan));
            for timesteps in [&[0.5][..], &[1.0 / 3.0, 2.0 / 3.0], &[0.4], &[0.8, 0.2]] {
                let mut session = rife.session(frames[0].size()).unwrap();
                session.push(&frames[0].view()).unwrap();
                for pair in frames.windows(2) {
                    session.push(&pair[1].view()).unwrap();
                    for t in timesteps {
                        let alone = rife.interpolate(&pair[0].view(), &pair[1].view(), *t);
                        assert_eq!(session.at(*t).unwrap(), alone.unwrap());
                    }
                }
            }
        });
    }
}

#[test]
fn nothing_is_left_of_a_frame_after_a_reset() {
    each_engine(ModelVersion::V4_25, |rife| {
        let [before, a, b] = [17, 0, 2].map(|pan| rgb8(64, 40, pan));
        let mut session = rife.session(a.size()).unwrap();
        session.push(&before.view()).unwrap();
        session.push(&a.view()).unwrap();
        session.reset();
        assert!(matches!(session.at(0.5), Err(Error::NotReady(0))));
        session.push(&a.view()).unwrap();
        assert!(matches!(session.at(0.5), Err(Error::NotReady(1))));
        session.push(&b.view()).unwrap();
        let expected = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        assert_eq!(session.at(0.5).unwrap(), expected);
    });
}

#[test]
fn a_session_survives_what_it_refuses() {
    each_engine(ModelVersion::V4_6, |rife| {
        let (a, b) = (rgb8(32, 32, 0), rgb8(32, 32, 1));
        let mut session = rife.session(a.size()).unwrap();
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        let expected = session.at(0.5).unwrap();
        for t in [0.0, 1.0, -0.1, 1.5, f32::NAN, f32::INFINITY] {
            assert!(matches!(session.at(t), Err(Error::Timestep(_))));
        }
        let other = rgb8(33, 32, 0);
        assert!(matches!(session.push(&other.view()), Err(Error::Size { .. })));
        let mut wrong = Frame::black(other.size(), PixelFormat::Rgb8).unwrap();
        assert!(matches!(session.at_into(0.5, &mut wrong.view_mut()), Err(Error::Size { .. })));
        assert_eq!(session.at(0.5).unwrap(), expected);
        let mixed = rife.interpolate(&a.view(), &other.view(), 0.5);
        assert!(matches!(mixed, Err(Error::Size { .. })));
        assert_eq!(rife.interpolate(&a.view(), &b.view(), 0.5).unwrap(), expected);
    });
}

#[test]
fn equal_frames_give_nearly_the_same_frame() {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        each_engine(version, |rife| {
            let a = rgb8(96, 64, 0);
            let middle = rife.interpolate(&a.view(), &a.view(), 0.5).unwrap();
            let (a, middle) = (a.as_rgb8().unwrap(), middle.as_rgb8().unwrap());
            let sum: u64 = a.iter().zip(middle).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
            assert!(sum as f64 / (a.len() as f64) < 2.0, "sum of differences {sum}");
        });
    }
}

#[test]
fn what_cannot_run_is_refused_when_loading() {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    let builder = || Interpolator::builder(version).device(Device::Cpu);
    let ensemble = builder().ensemble(true).load_weights(&weights);
    assert!(matches!(ensemble, Err(Error::Model(ModelError::NoEnsemble { .. }))));
    let optimized = builder().engine(Engine::Optimized).load_weights(&weights);
    assert!(matches!(optimized, Err(Error::NoEngine { .. })));
    let cuda = builder().device(Device::Cuda(250)).load_weights(&weights);
    assert!(matches!(cuda, Err(Error::NoDevice { .. })));
    let other = Interpolator::builder(ModelVersion::V4_6).device(Device::Cpu);
    assert!(matches!(other.load_weights(&weights), Err(Error::OtherWeights { .. })));
}

#[test]
fn four_twenty_five_says_whose_weights_it_runs_with() {
    let folder = tempfile::tempdir().unwrap();
    let held = weights(ModelVersion::V4_26).path;
    std::fs::copy(&held, folder.path().join("rife426.safetensors")).unwrap();
    let rife = Interpolator::builder(ModelVersion::V4_25).load(folder.path()).unwrap();
    let info = rife.info();
    assert_eq!((info.model, info.weights.version), (ModelVersion::V4_25, ModelVersion::V4_26));
    assert!(info.weights.note.as_ref().unwrap().contains("4.26"));
}

#[test]
fn weights_that_change_between_verifying_and_loading_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rife46.safetensors");
    let mut bytes = std::fs::read(weights(ModelVersion::V4_6).path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let held = Store::at(folder.path()).obtain(ModelVersion::V4_6, &mut |_| ()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let loaded = Interpolator::builder(ModelVersion::V4_6).load_weights(&held);
    assert!(matches!(loaded, Err(Error::Weights { .. })));
}
