//! The behaviour of every engine through the public interface: on the CPU and, if there is one, on
//! a GPU.

#[path = "door/yuv.rs"]
mod yuv;

use std::cell::RefCell;
use std::path::Path;

use candle_core::{DType, Device as CandleDevice, Tensor};
use rife_model::weights::{Store, Weights};
use rife_model::{IfNet, Input, ModelError, Padding};
use rife_runtime::{
    Availability, Device, Engine, Error, Frame, FrameSize, FrameView, FrameViewMut, Interpolator,
    InterpolatorBuilder, ModelVersion, Optimization, Optimizations, PixelFormat, Precision, Scale,
    Stride,
};
use rife_testkit::tolerance::{
    BF16_PSNR_DB, BF16_WORST_PSNR_DB, F16_IMAGE, F16_PSNR_DB, F32_IMAGE, QUARTER_SCALE_PSNR_DB,
    TF32_IMAGE, TF32_PSNR_DB, max_error, psnr_db,
};
use rife_testkit::{Golden, GoldenCase, lines};
use yuv::{
    input_and_output_formats_can_be_mixed, yuv_output_matches_explicit_conversion,
    yuv_stream_matches_separate_pairs,
};

/// Engines, each on a device and with the precisions that it supports there.
type Engines = [Availability];

/// The engines that run here on a kind of device.
fn engines_on(kind: Device) -> Vec<Availability> {
    let all = rife_runtime::engines();
    let here: Vec<_> =
        all.iter().filter(|a| a.device.same_kind(kind) && a.state.is_ok()).cloned().collect();
    assert!(!here.is_empty(), "no engine can use {kind}: {all:?}");
    here
}

/// Runs each test on the engines of the CPU and, if there is one, on those of a GPU.
macro_rules! behaviours {
    ($($name:ident)*) => {
        mod on_the_cpu {
            $(
                #[test]
                fn $name() {
                    super::$name(&super::engines_on(super::Device::Cpu));
                }
            )*
        }

        mod on_a_gpu {
            $(
                #[test]
                #[cfg_attr(not(gpu_here), ignore = "there is no GPU here")]
                fn $name() {
                    super::$name(&super::engines_on(super::Device::Cuda(0)));
                }
            )*
        }
    };
}

behaviours! {
    interpolator_matches_the_network_at_any_size
    f32_matches_pytorch
    f16_is_within_two_8_bit_steps_and_70_db
    formats_agree_within_rounding
    strides_do_not_change_the_output
    stream_matches_separate_pairs
    caching_does_not_change_the_output
    optimizations_do_not_change_the_output
    reset_drops_all_frames
    session_remains_usable_after_a_refused_call
    submitted_frames_finish_in_order
    queue_refuses_invalid_calls
    batched_timesteps_match_single_ones
    batched_pairs_match_single_ones
    pinning_does_not_change_the_output
    engine_describes_itself
    equal_frames_give_nearly_the_same_frame
    every_precision_is_exact_at_the_far_edge_of_a_wide_frame
    yuv_output_matches_explicit_conversion
    input_and_output_formats_can_be_mixed
    yuv_stream_matches_separate_pairs
}

fn weights(version: ModelVersion) -> Weights {
    Store::locate(None)
        .and_then(|store| store.fetch(version, &mut |line| eprintln!("{line}")))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn builder(version: ModelVersion, on: &Availability, precision: Precision) -> InterpolatorBuilder {
    Interpolator::builder(version).engine(on.engine).device(on.device).precision(precision)
}

/// Every engine in F32.
fn each_engine(on: &Engines, version: ModelVersion, check: impl Fn(&Interpolator)) {
    let weights = weights(version);
    for on in on {
        check(&builder(version, on, Precision::F32).load_weights(&weights).unwrap());
    }
}

/// Every engine in every precision with code of its own, for what must hold bit for bit.
fn each_arithmetic(on: &Engines, version: ModelVersion, check: impl Fn(InterpolatorBuilder)) {
    for on in on {
        let all = on.precisions.iter().copied();
        for precision in all.filter(|p| *p == Precision::F32 || on.device != Device::Cpu) {
            check(builder(version, on, precision));
        }
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

/// The network itself on zero-padded frames, cropped.
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

fn interpolator_matches_the_network_at_any_size(on: &Engines) {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let bytes = weights(version).read().unwrap();
        let net = IfNet::from_weights(&bytes, version, DType::F32, &CandleDevice::Cpu).unwrap();
        each_engine(on, version, |rife| {
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

/// Every golden case with published weights through every engine: its name, whether F16 is
/// validated with it (see [`GoldenCase::f16`]), the computed and the golden values.
fn each_golden(on: &Engines, precision: Precision, check: impl Fn(&str, bool, &[f32], &[f32])) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rife-model/tests/data");
    for (version, file) in [(ModelVersion::V4_6, "rife46"), (ModelVersion::V4_26, "rife426")] {
        let golden = Golden::load(data.join(format!("golden_{file}.safetensors")));
        let weights = weights(version);
        for on in on.iter().filter(|on| on.precisions.contains(&precision)) {
            for case in golden.cases.iter().filter(|case: &&GoldenCase| !case.random_weights) {
                let rife = builder(version, on, precision)
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
                    let name = format!("{} {version} {precision} {} at {t}", on.engine, case.name);
                    check(&name, case.f16, &got, &values(&case.image.get(i).unwrap()));
                }
            }
        }
    }
}

fn f32_matches_pytorch(on: &Engines) {
    each_golden(on, Precision::F32, |name, _, got, expected| {
        let off = max_error(got, expected);
        assert!(off <= F32_IMAGE, "{name}: off by {off}");
    });
}

fn f16_is_within_two_8_bit_steps_and_70_db(on: &Engines) {
    each_golden(on, Precision::F16, |name, held, got, expected| {
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off > 0.0, "{name}: in F32");
        assert!(off <= F16_IMAGE || !held, "{name}: off by {off}");
        let least = if held { F16_PSNR_DB } else { QUARTER_SCALE_PSNR_DB };
        assert!(psnr >= least, "{name}: {psnr} dB");
    });
}

/// No CPU engine supports it.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU here")]
fn every_engine_is_within_two_eight_bit_steps_and_75_db_in_tf32() {
    each_golden(&engines_on(Device::Cuda(0)), Precision::Tf32, |name, held, got, expected| {
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off <= TF32_IMAGE || !held, "{name}: off by {off}");
        let least = if held { TF32_PSNR_DB } else { QUARTER_SCALE_PSNR_DB };
        assert!(psnr >= least, "{name}: {psnr} dB");
    });
}

/// No GPU engine supports it.
#[test]
#[cfg_attr(not(bf16_here), ignore = "this processor has no AVX512-BF16")]
fn the_cpu_is_within_60_db_in_bf16() {
    let on = engines_on(Device::Cpu);
    assert!(on.iter().any(|on| on.precisions.contains(&Precision::Bf16)));
    let all = RefCell::new(Vec::new());
    each_golden(&on, Precision::Bf16, |name, held, got, expected| {
        if !held {
            return;
        }
        let (off, psnr) = (max_error(got, expected), psnr_db(got, expected));
        println!("{name}: off by {off:.2e}, {psnr:.1} dB");
        assert!(off > 0.0, "{name}: in F32");
        assert!(psnr >= BF16_WORST_PSNR_DB, "{name}: {psnr} dB");
        all.borrow_mut().push((got.to_vec(), expected.to_vec()));
    });
    let (got, expected): (Vec<_>, Vec<_>) = all.into_inner().into_iter().unzip();
    let psnr = psnr_db(&got.concat(), &expected.concat());
    println!("together: {psnr:.1} dB");
    assert!(psnr >= BF16_PSNR_DB, "together: {psnr} dB");
}

fn formats_agree_within_rounding(on: &Engines) {
    each_engine(on, ModelVersion::V4_26, |rife| {
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

fn strides_do_not_change_the_output(on: &Engines) {
    each_engine(on, ModelVersion::V4_6, a_strided_frame_is_the_same_frame_to);
    // Without memory to gather it in.
    let version = ModelVersion::V4_6;
    let weights = weights(version);
    for on in on.iter().filter(|on| on.engine == Engine::Optimized) {
        let unpinned = Optimizations::all().without(Optimization::PinnedMemory);
        for optimizations in [unpinned, Optimizations::none()] {
            let builder = builder(version, on, Precision::F32).optimizations(optimizations);
            a_strided_frame_is_the_same_frame_to(&builder.load_weights(&weights).unwrap());
        }
    }
}

fn a_strided_frame_is_the_same_frame_to(rife: &Interpolator) {
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
    let mut made = vec![0x5a; stride.row * 30];
    let mut out = FrameViewMut::rgb8(a.size(), &mut made, stride).unwrap();
    rife.interpolate_into(&view(&da), &view(&db), 0.5, &mut out).unwrap();
    assert_eq!(made, strided(&expected), "between its rows nothing is written");
}

/// Whatever an engine keeps from frame to frame, a stream gives the same results as separate pairs,
/// bit for bit, at various rates and in any order.
fn stream_matches_separate_pairs(on: &Engines) {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let weights = weights(version);
        each_arithmetic(on, version, |builder| {
            let rife = builder.load_weights(&weights).unwrap();
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

/// A stream with a reset in the middle, with all optimizations and without those that keep
/// something of a frame.
fn caching_does_not_change_the_output(on: &Engines) {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        nothing_is_changed_by_caching(on, version);
    }
}

fn nothing_is_changed_by_caching(on: &Engines, version: ModelVersion) {
    let weights = weights(version);
    let uncached = Optimizations::all()
        .without(Optimization::CachedFrames)
        .without(Optimization::CachedFeatures);
    each_arithmetic(on, version, |builder| {
        let made = [Optimizations::all(), uncached].map(|optimizations| {
            let rife = builder.clone().optimizations(optimizations).load_weights(&weights).unwrap();
            let frames = [0, 3, 5, 40, 42].map(|pan| rgb8(66, 40, pan));
            let mut session = rife.session(frames[0].size()).unwrap();
            let mut made = Vec::new();
            for (i, frame) in frames.iter().enumerate() {
                if i == 3 {
                    session.reset();
                }
                session.push(&frame.view()).unwrap();
                if i % 3 != 0 {
                    made.extend([0.5, 1.0 / 3.0, 2.0 / 3.0, 0.4].map(|t| session.at(t).unwrap()));
                }
            }
            made
        });
        assert_eq!(made[0].len(), 12);
        assert!(made[0] == made[1]);
    });
}

/// Each optimization off, each on alone, and none: the same frames bit for bit, except where
/// another order of operations rounds differently.
fn optimizations_do_not_change_the_output(on: &Engines) {
    let rounds = [Optimization::Winograd, Optimization::FusedKernels];
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let weights = weights(version);
        each_arithmetic(on, version, |builder| {
            let frames = |optimizations| {
                let rife =
                    builder.clone().optimizations(optimizations).load_weights(&weights).unwrap();
                let input = [0, 2, 3].map(|pan| rgb8(70, 52, pan));
                let mut session = rife.session(input[0].size()).unwrap();
                session.push(&input[0].view()).unwrap();
                let made = input[1..].iter().map(|frame| {
                    session.push(&frame.view()).unwrap();
                    session.at(0.5).unwrap()
                });
                made.collect::<Vec<_>>()
            };
            let info = builder.clone().load_weights(&weights).unwrap().info().clone();
            let effective = info.description.optimizations;
            let all = frames(Optimizations::all());
            let none = frames(Optimizations::none());
            let near = |made: &[Frame], what: &str| {
                for (made, all) in made.iter().zip(&all) {
                    let pairs = made.as_rgb8().unwrap().iter().zip(all.as_rgb8().unwrap());
                    let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                    assert!(most <= 2, "RIFE {version}, {what}: {most}/255");
                }
            };
            near(&none, "none");
            for one in Optimization::ALL.into_iter().filter(|one| effective.has(*one)) {
                let off = frames(Optimizations::all().without(one));
                let alone = frames(Optimizations::none().with(one, true));
                if rounds.contains(&one) {
                    near(&off, &format!("without {one}"));
                    near(&alone, &format!("{one} alone"));
                } else {
                    assert!(off == all, "RIFE {version} without {one}");
                    assert!(alone == none, "RIFE {version} with {one} alone");
                }
            }
        });
    }
}

fn reset_drops_all_frames(on: &Engines) {
    each_engine(on, ModelVersion::V4_25, |rife| {
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

fn session_remains_usable_after_a_refused_call(on: &Engines) {
    each_engine(on, ModelVersion::V4_6, |rife| {
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

fn submitted_frames_finish_in_order(on: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(on, version, |builder| {
        let rife = builder.load_weights(&weights).unwrap();
        let [a, b, c, d] = [0, 2, 30, 33].map(|pan| rgb8(66, 40, pan));
        let alone = |a: &Frame, b: &Frame, t| rife.interpolate(&a.view(), &b.view(), t).unwrap();
        let mut session = rife.session(a.size()).unwrap();
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        assert!(session.depth() >= 1);
        for _ in 0..3 {
            let timesteps: Vec<f32> =
                (1..=session.depth()).map(|i| i as f32 / (session.depth() + 1) as f32).collect();
            for t in &timesteps {
                session.submit(*t).unwrap();
            }
            assert_eq!(session.pending(), timesteps.len());
            session.push(&c.view()).unwrap();
            session.push(&d.view()).unwrap();
            for t in &timesteps {
                assert_eq!(session.finish().unwrap(), alone(&a, &b, *t), "at {t}");
            }
            assert_eq!((session.pending(), session.at(0.5).unwrap()), (0, alone(&c, &d, 0.5)));
            session.push(&a.view()).unwrap();
            session.push(&b.view()).unwrap();
        }
        // As a player does: one frame is computed while the next one is pushed.
        session.reset();
        let stream = [&a, &b, &c, &d];
        session.push(&a.view()).unwrap();
        for (i, frame) in stream.iter().enumerate().skip(1) {
            session.push(&frame.view()).unwrap();
            if session.pending() == session.depth() {
                let first = i - session.pending();
                assert_eq!(session.finish().unwrap(), alone(stream[first - 1], stream[first], 0.5));
            }
            session.submit(0.5).unwrap();
        }
        for first in stream.len() - session.pending()..stream.len() {
            assert_eq!(session.finish().unwrap(), alone(stream[first - 1], stream[first], 0.5));
        }
    });
}

fn queue_refuses_invalid_calls(on: &Engines) {
    each_engine(on, ModelVersion::V4_6, |rife| {
        let (a, b) = (rgb8(32, 32, 0), rgb8(32, 32, 1));
        let expected = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
        let mut session = rife.session(a.size()).unwrap();
        assert!(matches!(session.submit(0.5), Err(Error::NotReady(0))));
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        assert!(matches!(session.finish(), Err(Error::NothingPending)));
        assert!(matches!(session.submit(1.0), Err(Error::Timestep(_))));
        let depth = session.depth();
        for _ in 0..depth {
            session.submit(0.5).unwrap();
        }
        assert!(matches!(session.submit(0.5), Err(Error::Busy(n)) if n == depth));
        assert!(matches!(session.at(0.5), Err(Error::Pending(n)) if n == depth));
        assert!(matches!(session.at_many(&[0.5]), Err(Error::Pending(_))));
        let mut out = Frame::black(a.size(), PixelFormat::Rgb16).unwrap();
        let wrong = session.finish_into(&mut out.view_mut());
        assert!(matches!(wrong, Err(Error::Format { got: PixelFormat::Rgb16, .. })));
        let mut out = Frame::black(FrameSize::new(33, 32), PixelFormat::Rgb8).unwrap();
        assert!(matches!(session.finish_into(&mut out.view_mut()), Err(Error::Size { .. })));
        assert_eq!(session.finish().unwrap(), expected);
        assert_eq!(session.pending(), depth - 1);

        session.submit_as(0.5, PixelFormat::PlanarF32).unwrap();
        session.reset();
        assert_eq!(session.pending(), 0);
        assert!(matches!(session.finish(), Err(Error::NothingPending)));
        session.push(&a.view()).unwrap();
        session.push(&b.view()).unwrap();
        session.submit_as(0.5, PixelFormat::Rgb16).unwrap();
        assert_eq!(session.finish().unwrap().format(), PixelFormat::Rgb16);
        assert_eq!(session.at(0.5).unwrap(), expected);
    });
}

fn batched_timesteps_match_single_ones(on: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(on, version, |builder| {
        for batch in [1, 3] {
            let rife = builder.clone().batch(batch).load_weights(&weights).unwrap();
            assert_eq!(rife.info().batch, batch);
            let (a, b) = (rgb8(66, 40, 0), rgb8(66, 40, 3));
            let mut session = rife.session(a.size()).unwrap();
            assert!(matches!(session.at_many(&[0.5]), Err(Error::NotReady(0))));
            session.push(&a.view()).unwrap();
            session.push(&b.view()).unwrap();
            let timesteps = [0.2, 0.4, 0.6, 0.8];
            let many = session.at_many(&timesteps).unwrap();
            let each: Vec<_> = timesteps.iter().map(|t| session.at(*t).unwrap()).collect();
            assert!(many == each, "batches of {batch}");
            assert!(session.at_many(&[]).unwrap().is_empty());
            assert!(matches!(session.at_many(&[0.5, 1.0]), Err(Error::Timestep(_))));
            let mut out = Frame::black(a.size(), PixelFormat::Rgb8).unwrap();
            let one = &mut [out.view_mut()];
            assert!(matches!(
                session.at_many_into(&timesteps, one),
                Err(Error::Count { expected: 4, got: 1, .. })
            ));
            // Each in its own format.
            let [mut deep, mut plain] = [PixelFormat::Rgb16, PixelFormat::Rgb8]
                .map(|format| Frame::black(a.size(), format).unwrap());
            let outs: &mut [FrameViewMut<'_>] = &mut [deep.view_mut(), plain.view_mut()];
            session.at_many_into(&[0.4, 0.8], outs).unwrap();
            assert_eq!(deep, session.at_as(0.4, PixelFormat::Rgb16).unwrap());
            assert_eq!(plain, each[3]);
        }
    });
}

fn batched_pairs_match_single_ones(on: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(on, version, |builder| {
        let rife = builder.batch(2).load_weights(&weights).unwrap();
        let frames = [0, 3, 5, 40].map(|pan| rgb8(66, 40, pan));
        let pair = |i: usize, t| (frames[i].view(), frames[i + 1].view(), t);
        let pairs = [pair(0, 0.5), pair(1, 0.3), pair(2, 0.5), pair(0, 0.6)];
        let many = rife.interpolate_many(&pairs).unwrap();
        let each: Vec<_> =
            pairs.iter().map(|(a, b, t)| rife.interpolate(a, b, *t).unwrap()).collect();
        assert!(many == each);
        assert!(rife.interpolate_many(&[]).unwrap().is_empty());
        let other = rgb8(67, 40, 0);
        let mixed = [pairs[0], (other.view(), other.view(), 0.5)];
        assert!(matches!(rife.interpolate_many(&mixed), Err(Error::Size { .. })));
        let late = [pairs[0], pair(1, 1.0)];
        assert!(matches!(rife.interpolate_many(&late), Err(Error::Timestep(_))));
        let none = rife.interpolate_many_into(&pairs, &mut []);
        assert!(matches!(none, Err(Error::Count { .. })));
    });
}

fn pinning_does_not_change_the_output(on: &Engines) {
    each_engine(on, ModelVersion::V4_25, |rife| {
        for format in [PixelFormat::Rgb8, PixelFormat::Rgb16, PixelFormat::PlanarF32] {
            let [a, b, c] = [0, 2, 4].map(|pan| rgb8(66, 40, pan));
            let lock = |f: &Frame| rife.pin(rife.pin(f.clone()));
            let [la, lb, lc] = [&a, &b, &c].map(lock);
            assert!(la == a && !la.clone().is_pinned());
            let run = |frames: [&Frame; 3], mut out: Frame| {
                let mut session = rife.session(a.size()).unwrap();
                session.push(&frames[0].view()).unwrap();
                session.push(&frames[1].view()).unwrap();
                session.submit_as(0.5, format).unwrap();
                session.push(&frames[2].view()).unwrap();
                session.finish_into(&mut out.view_mut()).unwrap();
                let first = out.clone();
                session.at_into(0.25, &mut out.view_mut()).unwrap();
                (first, out)
            };
            let blank = Frame::black(a.size(), format).unwrap();
            let locked = run([&la, &lb, &lc], rife.pin(blank.clone()));
            assert!(locked == run([&a, &b, &c], blank));
            assert_eq!(lb.into_rgb8(), b.into_rgb8());
        }
    });
}

fn engine_describes_itself(on: &Engines) {
    let version = ModelVersion::V4_6;
    let weights = weights(version);
    for on in on {
        for precision in &on.precisions {
            let rife = builder(version, on, *precision).load_weights(&weights).unwrap();
            let info = rife.info();
            assert_eq!((info.engine, info.precision), (on.engine, *precision));
            assert_eq!(info.device, on.device.to_string());
            assert_eq!(info.description.precision, *precision);
            assert!(!info.description.device.is_empty() && !info.description.arithmetic.is_empty());
            let threads = info.description.threads;
            assert_eq!(threads.is_some_and(|n| n > 0), on.device == Device::Cpu, "{threads:?}");
            let three = builder(version, on, *precision).threads(3).load_weights(&weights).unwrap();
            let chosen = (on.device == Device::Cpu).then_some(3);
            assert_eq!(three.info().description.threads, chosen);
            if on.engine == Engine::Baseline {
                assert_eq!(info.description.optimizations, Optimizations::none());
            }
        }
    }
}

fn equal_frames_give_nearly_the_same_frame(on: &Engines) {
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        each_engine(on, version, |rife| {
            let a = rgb8(96, 64, 0);
            let middle = rife.interpolate(&a.view(), &a.view(), 0.5).unwrap();
            let (a, middle) = (a.as_rgb8().unwrap(), middle.as_rgb8().unwrap());
            let sum: u64 = a.iter().zip(middle).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
            assert!(sum as f64 / (a.len() as f64) < 2.0, "sum of differences {sum}");
        });
    }
}

/// Coordinates are exact at the far edge of a wide frame, whatever the convolutions run in: compared
/// with the reference in F32 on the CPU.
fn every_precision_is_exact_at_the_far_edge_of_a_wide_frame(on: &Engines) {
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
        for on in on {
            for precision in on.precisions.iter().copied() {
                let rife = builder(version, on, precision).load_weights(&weights).unwrap();
                let image = rife.interpolate(&a.view(), &b.view(), 0.5).unwrap();
                let image = at_the_edge(image.as_planar_f32().unwrap());
                let (off, psnr) = (max_error(&image, &exact), psnr_db(&image, &exact));
                let name = format!("{} {version} {precision} on {}", on.engine, on.device);
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

#[test]
fn unsupported_choices_are_refused_when_loading() {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    let builder = || Interpolator::builder(version).device(Device::Cpu);
    let ensemble = builder().ensemble(true).load_weights(&weights);
    assert!(matches!(ensemble, Err(Error::Model(ModelError::NoEnsemble { .. }))));
    let f16 = builder().engine(Engine::Optimized).precision(Precision::F16).load_weights(&weights);
    assert!(matches!(f16, Err(Error::NoPrecision { .. })));
    for threads in [0, 1025, usize::MAX] {
        assert!(matches!(builder().threads(threads).check(), Err(Error::ThreadCount(_))));
    }
    let tf32 = builder().precision(Precision::Tf32).load_weights(&weights);
    assert!(matches!(tf32, Err(Error::NoPrecision { .. })));
    for batch in [0, 17, usize::MAX] {
        assert!(matches!(builder().batch(batch).check(), Err(Error::Batch(_))));
    }
    assert!(builder().batch(InterpolatorBuilder::MAX_BATCH).check().is_ok());
    let cuda = builder().device(Device::Cuda(250)).load_weights(&weights);
    assert!(matches!(cuda, Err(Error::NoDevice { .. })));
    let other = Interpolator::builder(ModelVersion::V4_6).device(Device::Cpu);
    assert!(matches!(other.load_weights(&weights), Err(Error::OtherWeights { .. })));
}

#[test]
fn version_4_25_reports_the_weights_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let held = weights(ModelVersion::V4_26).path;
    std::fs::copy(&held, folder.path().join("rife426.safetensors")).unwrap();
    let rife = Interpolator::builder(ModelVersion::V4_25).load(folder.path()).unwrap();
    let info = rife.info();
    assert_eq!((info.model, info.weights.version), (ModelVersion::V4_25, ModelVersion::V4_26));
    assert!(info.weights.note.as_ref().unwrap().contains("4.26"));
}

#[test]
fn loading_from_an_empty_folder_downloads_nothing_and_reports_how_to_fetch() {
    let folder = tempfile::tempdir().unwrap();
    for version in ModelVersion::ALL {
        let error = Interpolator::builder(version).load(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Weights { version: v, .. } if v == version), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("Weights::fetch"), "{source}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder was changed");
}

#[test]
fn weights_that_change_between_verifying_and_loading_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rife46.safetensors");
    let mut bytes = std::fs::read(weights(ModelVersion::V4_6).path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let held = Store::at(folder.path()).find(ModelVersion::V4_6).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let loaded = Interpolator::builder(ModelVersion::V4_6).load_weights(&held);
    assert!(matches!(loaded, Err(Error::Weights { .. })));
}
