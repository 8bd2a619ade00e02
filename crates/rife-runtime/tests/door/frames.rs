//! Pixel formats, strides and pinned memory.

use rife_runtime::{
    DeviceSamples, Engine, Error, Frame, FrameView, FrameViewMut, Interpolator, ModelVersion,
    Optimization, Optimizations, PixelFormat, Precision, Stride, f16,
};

use super::{Engines, builder, each_engine, planar, rgb8, weights};

pub(super) fn formats_agree_within_rounding(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_26, |rife| {
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

/// Formats that represent the same colours give the same bits, and an output of each format is the
/// planar F32 output, rounded.
pub(super) fn every_rgb_format_gives_the_same_frame(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_26, |rife| {
        let (a, b) = (rgb8(50, 40, 0), rgb8(50, 40, 3));
        let interpolated = |input: PixelFormat, output: PixelFormat| {
            let mut session = rife.session(a.size()).unwrap();
            session.push(&a.converted(input).unwrap().view()).unwrap();
            session.push(&b.converted(input).unwrap().view()).unwrap();
            session.at_as(0.5, output).unwrap()
        };
        let exact = interpolated(PixelFormat::Rgb8, PixelFormat::PlanarF32);
        let half = interpolated(PixelFormat::RgbF16, PixelFormat::PlanarF32);
        assert_ne!(exact, half, "F16 has fewer bits than an 8-bit colour");
        for format in PixelFormat::RGB {
            let expected = match format {
                PixelFormat::RgbF16 | PixelFormat::PlanarF16 => &half,
                _ => &exact,
            };
            let got = interpolated(format, PixelFormat::PlanarF32);
            assert!(got == *expected, "{format:?} in, on {}", rife.info().device);
            let got = interpolated(PixelFormat::Rgb8, format);
            let expected = exact.converted(format).unwrap();
            assert!(got == expected, "{format:?} out, on {}", rife.info().device);
        }

        // With gaps, which are not written.
        let stride = Stride { row: 57, plane: 57 * 40 + 9 };
        let strided = |frame: &Frame| {
            let mut data = vec![f16::NAN; 3 * stride.plane];
            let packed = frame.converted(PixelFormat::PlanarF16).unwrap();
            let planes = packed.as_planar_f16().unwrap().chunks_exact(50 * 40);
            for (to, plane) in data.chunks_exact_mut(stride.plane).zip(planes) {
                let rows = to.chunks_exact_mut(stride.row).zip(plane.chunks_exact(50));
                rows.for_each(|(to, row)| to[..50].copy_from_slice(row));
            }
            data
        };
        let [data_a, data_b] = [&a, &b].map(strided);
        let view = |data| FrameView::planar_f16(a.size(), data, stride).unwrap();
        let mut got = vec![f16::NAN; 3 * stride.plane];
        let mut out = FrameViewMut::planar_f16(a.size(), &mut got, stride).unwrap();
        rife.interpolate_into(&view(&data_a), &view(&data_b), 0.5, &mut out).unwrap();
        let bits = |data: &[f16]| data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(bits(&got) == bits(&strided(&half)));
    });
}

pub(super) fn device_frames_of_another_device_are_refused(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_6, |rife| {
        let a = rgb8(50, 40, 0);
        let format = PixelFormat::Rgb8;
        let samples = DeviceSamples::packed(4096, a.size(), format, 31).unwrap();
        // SAFETY: no engine runs on cuda:31, so each one refuses the frame.
        let (view, mut view_mut) = unsafe {
            let view = FrameView::device(a.size(), samples).unwrap();
            (view, FrameViewMut::device(a.size(), samples).unwrap())
        };
        let refused = |result: rife_runtime::Result<()>| match result {
            Err(Error::Frame { got, .. }) => assert_eq!(got, "a frame on cuda:31"),
            other => panic!("{other:?}"),
        };
        let mut own = Frame::black(a.size(), format).unwrap();
        refused(rife.interpolate_into(&view, &a.view(), 0.5, &mut own.view_mut()));
        refused(rife.interpolate_into(&a.view(), &view, 0.5, &mut own.view_mut()));
        refused(rife.interpolate_into(&a.view(), &a.view(), 0.5, &mut view_mut));
        let mut session = rife.session(a.size()).unwrap();
        refused(session.push(&view));
        session.push(&a.view()).unwrap();
        session.push(&a.view()).unwrap();
        refused(session.at_into(0.5, &mut view_mut));
        refused(session.at_many_into(&[0.5], std::slice::from_mut(&mut view_mut)));
        session.submit(0.5).unwrap();
        refused(session.finish_into(&mut view_mut));
        assert_eq!(session.finish().unwrap(), rife.interpolate(&a.view(), &a.view(), 0.5).unwrap());
    });
}

pub(super) fn strides_do_not_change_the_output(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_6, assert_stride_does_not_change_the_output);
    // Also without pinned memory to copy the rows into.
    let version = ModelVersion::V4_6;
    let weights = weights(version);
    for engine in engines.iter().filter(|engine| engine.engine == Engine::Optimized) {
        let unpinned = Optimizations::all().without(Optimization::PinnedMemory);
        for optimizations in [unpinned, Optimizations::none()] {
            let builder = builder(version, engine, Precision::F32).optimizations(optimizations);
            assert_stride_does_not_change_the_output(&builder.load_weights(&weights).unwrap());
        }
    }
}

fn assert_stride_does_not_change_the_output(rife: &Interpolator) {
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
    let mut got = vec![0x5a; stride.row * 30];
    let mut out = FrameViewMut::rgb8(a.size(), &mut got, stride).unwrap();
    rife.interpolate_into(&view(&da), &view(&db), 0.5, &mut out).unwrap();
    assert_eq!(got, strided(&expected), "the gaps between rows were written to");
}

pub(super) fn pinning_does_not_change_the_output(engines: &Engines) {
    each_engine(engines, ModelVersion::V4_25, |rife| {
        for format in [PixelFormat::Rgb8, PixelFormat::Rgb16, PixelFormat::PlanarF32] {
            let [a, b, c] = [0, 2, 4].map(|pan| rgb8(66, 40, pan));
            let pin = |f: &Frame| rife.pin(rife.pin(f.clone()));
            let [pinned_a, pinned_b, pinned_c] = [&a, &b, &c].map(pin);
            assert!(pinned_a == a && !pinned_a.clone().is_pinned());
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
            let pinned = run([&pinned_a, &pinned_b, &pinned_c], rife.pin(blank.clone()));
            assert!(pinned == run([&a, &b, &c], blank));
            assert_eq!(pinned_b.into_rgb8(), b.into_rgb8());
        }
    });
}
