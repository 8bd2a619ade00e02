//! Sessions on a GPU after failed driver calls.

use rife_model::{ModelVersion, Scale};

use super::super::driver::{Gpu, fault};
use super::super::engine::CudaEngine;
use super::weights;
use crate::engine::{EngineImpl, EngineSession, Load};
use crate::{
    Error, Frame, FrameSize, FrameView, FrameViewMut, Optimization, Optimizations, PixelFormat,
    Precision, Result, Stride,
};

fn engine(version: ModelVersion, scale: Scale, optimizations: Optimizations) -> CudaEngine {
    let load = Load {
        spec: version.spec(),
        weights: &weights(version),
        index: 0,
        precision: Precision::F32,
        scale,
        ensemble: false,
        optimizations,
        batch: 2,
        threads: None,
    };
    CudaEngine::load(Gpu::open(0).unwrap(), &load).unwrap()
}

fn interpolated(session: &mut dyn EngineSession, size: FrameSize, timestep: f32) -> Result<Frame> {
    let mut out = Frame::black(size, PixelFormat::PlanarF32).unwrap();
    session.at_into(timestep, &mut out.view_mut())?;
    Ok(out)
}

/// Fails each driver call of an operation in turn. The operation must return the error and leave
/// the frames of the session unchanged, and a retry must give the same results.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn session_recovers_from_a_failure_of_any_driver_call() {
    let size = FrameSize::new(66, 40);
    let planar = |pan| {
        let samples = rife_testkit::lines(66, 40, pan, 0);
        Frame::planar_f32(size, samples.into_iter().map(|v| f32::from(v) / 255.0).collect())
            .unwrap()
    };
    let [a, b, c] = [0, 2, 5].map(planar);
    let stride = Stride { row: 70, plane: 70 * 40 };
    let strided = |frame: &Frame| {
        let mut rows = vec![0.0; 3 * stride.plane];
        let packed = frame.as_planar_f32().unwrap().chunks_exact(size.width);
        rows.chunks_exact_mut(stride.row)
            .zip(packed)
            .for_each(|(to, row)| to[..size.width].copy_from_slice(row));
        rows
    };
    let unpinned = Optimizations::all().without(Optimization::PinnedMemory);
    let uncached = Optimizations::all()
        .without(Optimization::PreallocatedBuffers)
        .without(Optimization::CachedFrames)
        .without(Optimization::PinnedMemory);
    for (version, optimizations) in [
        (ModelVersion::V4_6, Optimizations::all()),
        (ModelVersion::V4_26, Optimizations::all()),
        (ModelVersion::V4_26, unpinned),
        (ModelVersion::V4_26, uncached),
    ] {
        let engine = engine(version, Scale::One, optimizations);
        let fresh = |frames: &[&Frame]| {
            let mut session = engine.session(size).unwrap();
            frames.iter().for_each(|frame| session.push(&frame.view()).unwrap());
            session
        };
        let [ab, bc] = [[&a, &b], [&b, &c]].map(|pair| {
            let mut session = fresh(&pair);
            [0.5, 0.25].map(|t| interpolated(session.as_mut(), size, t).unwrap())
        });
        // Fail each driver call that starts a session.
        let calls_to_start = (0..).find(|calls| {
            fault::after(*calls);
            let session = engine.session(size);
            let over = fault::is_over();
            assert_eq!(over, session.is_err(), "RIFE {version}, call {calls}");
            !over
        });
        assert!(calls_to_start > Some(10));
        // Whether the injected failure happened during the operation.
        let has_failed = |calls: usize, result: Result<()>| {
            let over = fault::is_over();
            match result {
                Ok(()) => {
                    assert!(!over, "RIFE {version}: the failure of call {calls} was not returned")
                }
                Err(Error::Kernel { name, .. }) if name == fault::NAME => {}
                Err(other) => panic!("RIFE {version}, call {calls}: {other}"),
            }
            over
        };
        let mut failed = [0; 4];
        for calls in 0.. {
            let before = failed;
            // In a new session, which allocates for its first frames, and in a used one.
            for used in [false, true] {
                let mut session = fresh(&[&a, &b]);
                if used {
                    assert_eq!(interpolated(session.as_mut(), size, 0.5).unwrap(), ab[0]);
                }
                let context = || format!("RIFE {version}, call {calls}, used {used}");

                fault::after(calls);
                let result = interpolated(session.as_mut(), size, 0.25).map(drop);
                failed[0] += usize::from(has_failed(calls, result));
                assert_eq!(
                    interpolated(session.as_mut(), size, 0.25).unwrap(),
                    ab[1],
                    "{}",
                    context()
                );

                // A batch.
                let mut outs = [0; 2].map(|_| Frame::black(size, PixelFormat::PlanarF32).unwrap());
                fault::after(calls);
                let result =
                    session.at_many_into(&[0.5, 0.25], &mut outs.each_mut().map(Frame::view_mut));
                failed[1] += usize::from(has_failed(calls, result));
                session
                    .at_many_into(&[0.5, 0.25], &mut outs.each_mut().map(Frame::view_mut))
                    .unwrap();
                assert_eq!(outs, ab, "{}", context());

                // A push with a pending frame, which must stay intact.
                session.submit(0.5, PixelFormat::PlanarF32).unwrap();
                fault::after(calls);
                let result = session.push(&c.view());
                let lost = has_failed(calls, result);
                failed[2] += usize::from(lost);
                let mut out = Frame::black(size, PixelFormat::PlanarF32).unwrap();
                session.finish_into(&mut out.view_mut()).unwrap();
                assert_eq!(out, ab[0], "{}", context());
                let expected = if lost { &ab } else { &bc };
                assert_eq!(
                    interpolated(session.as_mut(), size, 0.5).unwrap(),
                    expected[0],
                    "{}",
                    context()
                );

                // Rows with gaps, which are packed first.
                let (mut session, rows) = (fresh(&[&a, &b]), strided(&c));
                let view = FrameView::planar_f32(size, &rows, stride).unwrap();
                fault::after(calls);
                let result = session.push(&view);
                if has_failed(calls, result) {
                    assert_eq!(
                        interpolated(session.as_mut(), size, 0.5).unwrap(),
                        ab[0],
                        "{}",
                        context()
                    );
                    session.push(&view).unwrap();
                }
                // The frame whose download failed is lost; the next one is not.
                session.submit(0.5, PixelFormat::PlanarF32).unwrap();
                session.submit(0.25, PixelFormat::PlanarF32).unwrap();
                let mut rows = vec![0.0; 3 * stride.plane];
                let mut view = FrameViewMut::planar_f32(size, &mut rows, stride).unwrap();
                fault::after(calls);
                let result = session.finish_into(&mut view);
                failed[3] += usize::from(has_failed(calls, result));
                session.finish_into(&mut view).unwrap();
                assert_eq!(rows, strided(&bc[1]), "{}", context());
            }
            if failed == before {
                break;
            }
        }
        println!("RIFE {version}: {failed:?} failures");
        let [single, batch, push, finish] = failed;
        assert!(single > 10 && batch > 10 && finish > 2, "{failed:?}");
        // Without cached frames, a push makes no driver calls.
        let cached = optimizations.has(Optimization::CachedFrames);
        assert_eq!(push > 10, cached, "{failed:?}");
    }
}
