//! YUV frames as input and output.

#[path = "../../src/frame/yuv/reference.rs"]
mod reference;

use rife_runtime::{
    Chroma, Error, Frame, FrameSize, FrameView, FrameViewMut, Interpolator, Matrix, ModelVersion,
    Optimization, Optimizations, PixelFormat, Siting, YuvFormat,
};

use super::{Engines, each_arithmetic, each_engine, planar, rgb8, weights};
use reference::{planes_reference, samples_reference};

const VIDEO: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

const HDR: YuvFormat =
    YuvFormat { depth: 10, matrix: Matrix::Bt2020, siting: Siting::TopLeft, ..VIDEO };

/// Every chroma layout, and several depths, matrices, ranges and sitings.
const FORMATS: [YuvFormat; 6] = [
    VIDEO,
    HDR,
    YuvFormat { matrix: Matrix::Bt601, full_range: true, siting: Siting::Center, ..VIDEO },
    YuvFormat { chroma: Chroma::Yuv422, siting: Siting::BottomLeft, ..VIDEO },
    YuvFormat { chroma: Chroma::Yuv444, depth: 12, matrix: Matrix::YCgCo, ..VIDEO },
    YuvFormat { chroma: Chroma::Gray, full_range: true, ..VIDEO },
];

fn frame(size: FrameSize, format: YuvFormat, samples: &[u16]) -> Frame {
    match format.depth {
        8 => Frame::yuv8(size, format, samples.iter().map(|v| *v as u8).collect()),
        _ => Frame::yuv16(size, format, samples.to_vec()),
    }
    .unwrap()
}

fn samples(frame: &Frame) -> Vec<u16> {
    match (frame.as_yuv8(), frame.as_yuv16()) {
        (Some(samples), _) => samples.iter().map(|v| u16::from(*v)).collect(),
        (_, Some(samples)) => samples.to_vec(),
        _ => panic!("{:?}", frame.format()),
    }
}

/// Converts 8-bit RGB to YUV with the reference implementation.
fn of_rgb(rgb: &Frame, format: YuvFormat) -> Frame {
    let planes = planar(rgb);
    let samples = samples_reference(rgb.size(), format, planes.as_planar_f32().unwrap());
    frame(rgb.size(), format, &samples)
}

/// Converts YUV to 16-bit RGB with the reference implementation.
fn to_rgb16(yuv: &Frame) -> Frame {
    let PixelFormat::Yuv(format) = yuv.format() else { panic!("{:?}", yuv.format()) };
    let planes = planes_reference(yuv.size(), format, &samples(yuv));
    let n = yuv.size().pixels();
    let sample = |i: usize| (planes[i % 3 * n + i / 3] * 65535.0).round() as u16;
    Frame::rgb16(yuv.size(), (0..3 * n).map(sample).collect()).unwrap()
}

/// Converts 16-bit RGB to YUV samples with the reference implementation.
fn of_rgb16(rgb: &Frame, format: YuvFormat) -> Vec<u16> {
    let (rgb16, n) = (rgb.as_rgb16().unwrap(), rgb.size().pixels());
    let planes: Vec<f32> =
        (0..3 * n).map(|i| f32::from(rgb16[i % n * 3 + i / n]) / 65535.0).collect();
    samples_reference(rgb.size(), format, &planes)
}

/// The largest difference of two samples.
fn max_difference<T: Copy + Into<i32>>(a: &[T], b: &[T]) -> i32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| ((*a).into() - (*b).into()).abs());
    differences.max().unwrap()
}

fn middle(rife: &Interpolator, [a, b]: [&Frame; 2]) -> Frame {
    rife.interpolate(&a.view(), &b.view(), 0.5).unwrap()
}

pub(super) fn yuv_output_matches_explicit_conversion(engines: &Engines) {
    for version in ModelVersion::ALL {
        each_engine(engines, version, |rife| {
            // Odd, even and tiny sizes, and one with a far edge.
            for (w, h) in [(64, 48), (75, 41), (1, 1), (2, 35), (1283, 33)] {
                for format in FORMATS {
                    let yuv = [0, 3].map(|pan| of_rgb(&rgb8(w, h, pan), format));
                    let got = middle(rife, yuv.each_ref());
                    assert_eq!(got.format(), PixelFormat::Yuv(format));
                    let rgb = yuv.each_ref().map(to_rgb16);
                    let expected = of_rgb16(&middle(rife, rgb.each_ref()), format);
                    let off = max_difference(&samples(&got), &expected);
                    assert!(off <= 2, "RIFE {version}, {format:?} at {w}x{h}: {off}");
                }
            }
        });
    }
}

pub(super) fn input_and_output_formats_can_be_mixed(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_26, |rife| {
        let frames = [0, 2].map(|pan| rgb8(75, 41, pan));
        let size = frames[0].size();
        for format in FORMATS {
            let yuv = frames.each_ref().map(|rgb| of_rgb(rgb, format));
            let rgb = yuv.each_ref().map(to_rgb16);
            let session = |frames: &[Frame; 2]| {
                let mut session = rife.session(size).unwrap();
                frames.iter().for_each(|frame| session.push(&frame.view()).unwrap());
                session
            };
            let (mut from_yuv, mut from_rgb) = (session(&yuv), session(&rgb));
            let [got, expected] = [&mut from_yuv, &mut from_rgb]
                .map(|session| session.at_as(0.4, PixelFormat::Rgb8).unwrap());
            let off = max_difference(got.as_rgb8().unwrap(), expected.as_rgb8().unwrap());
            assert!(off <= 1, "{format:?}: {off}");
            for to in [VIDEO, HDR] {
                let [got, expected] = [&mut from_yuv, &mut from_rgb]
                    .map(|session| session.at_as(0.4, PixelFormat::Yuv(to)).unwrap());
                let off = max_difference(&samples(&got), &samples(&expected));
                assert!(off <= 2, "{format:?} as {to:?}: {off}");
            }
            // The frames of a pair may have different formats.
            let mixed = middle(rife, [&yuv[0], &rgb[1]]);
            let off =
                max_difference(&samples(&mixed), &of_rgb16(&middle(rife, rgb.each_ref()), format));
            assert!(off <= 2, "{format:?} and RGB: {off}");
        }
    });
}

pub(super) fn yuv_stream_matches_separate_pairs(engines: &Engines) {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    each_arithmetic(engines, version, |builder| {
        let uncached = Optimizations::all().without(Optimization::CachedFrames);
        let uncached = builder.clone().optimizations(uncached).load_weights(&weights).unwrap();
        let rife = builder.batch(3).load_weights(&weights).unwrap();
        for format in [VIDEO, HDR] {
            let as_yuv = PixelFormat::Yuv(format);
            let frames = [0, 3, 5].map(|pan| of_rgb(&rgb8(67, 41, pan), format));
            let size = frames[0].size();
            let mut session = rife.session(size).unwrap();
            session.push(&frames[0].view()).unwrap();
            for pair in frames.windows(2) {
                session.push(&pair[1].view()).unwrap();
                let alone = |t| rife.interpolate(&pair[0].view(), &pair[1].view(), t).unwrap();
                let all = [0.2, 0.4, 0.6, 0.8].map(alone);
                assert_eq!(session.at(0.4).unwrap(), all[1]);
                assert!(session.at_many(&[0.2, 0.4, 0.6, 0.8]).unwrap() == all);
                session.submit(0.6).unwrap();
                assert_eq!(session.finish().unwrap(), all[2]);
                let (mut yuv, mut rgb) = (
                    Frame::black(size, as_yuv).unwrap(),
                    Frame::black(size, PixelFormat::Rgb8).unwrap(),
                );
                let outs: &mut [FrameViewMut<'_>] = &mut [yuv.view_mut(), rgb.view_mut()];
                session.at_many_into(&[0.2, 0.8], outs).unwrap();
                assert_eq!(yuv, all[0]);
                assert_eq!(rgb, session.at_as(0.8, PixelFormat::Rgb8).unwrap());
            }
            let pairs = [(0, 1), (1, 2)].map(|(a, b)| (frames[a].view(), frames[b].view(), 0.5));
            let many = rife.interpolate_many(&pairs).unwrap();
            let each = pairs.map(|(a, b, t)| rife.interpolate(&a, &b, t).unwrap());
            assert!(many == each);
            assert_eq!(middle(&uncached, [&frames[0], &frames[1]]), each[0]);

            // Pinned frames, and buffers that are longer than the frame.
            let pinned = frames.each_ref().map(|frame| rife.pin(frame.clone()));
            let mut out = rife.pin(Frame::black(size, as_yuv).unwrap());
            let (a, b) = (pinned[0].view(), pinned[1].view());
            rife.interpolate_into(&a, &b, 0.5, &mut out.view_mut()).unwrap();
            assert_eq!(out, each[0]);
            if let Some(own) = frames[0].as_yuv8() {
                let mut long = own.to_vec();
                long.extend([7; 9]);
                let view = FrameView::yuv8(size, format, &long).unwrap();
                assert_eq!(rife.interpolate(&view, &b, 0.5).unwrap(), each[0]);
                let mut into = FrameViewMut::yuv8(size, format, &mut long).unwrap();
                rife.interpolate_into(&a, &b, 0.5, &mut into).unwrap();
                assert_eq!(long[..own.len()], *each[0].as_yuv8().unwrap());
                assert_eq!(long[own.len()..], [7; 9]);
            }

            // A refused call has no effect.
            let invalid = PixelFormat::Yuv(YuvFormat { depth: 9, ..format });
            assert!(matches!(session.at_as(0.5, invalid), Err(Error::Frame { .. })));
            assert!(matches!(session.submit_as(0.5, invalid), Err(Error::Frame { .. })));
            assert_eq!(session.at(0.5).unwrap(), each[1]);
        }
    });
}
