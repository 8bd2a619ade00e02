//! Out-of-memory errors, on GPUs of any size.

use rife_model::{ModelVersion, Scale};

use super::super::driver::Gpu;
use super::super::engine::CudaEngine;
use super::super::plan::{Plan, Request};
use super::weights;
use crate::engine::{EngineImpl, EngineSession, Load};
use crate::{Error, Frame, FrameSize, Optimization, Optimizations, PixelFormat, Precision};

/// The largest batch, to need as much memory as possible.
const BATCH: usize = crate::InterpolatorBuilder::MAX_BATCH;

/// Sizes of frames that need more than `memory` bytes: the first one whose arena is larger, so that
/// the driver fails to allocate it, and the first one that 32-bit indices cannot address.
fn too_large(request: impl Fn(FrameSize) -> Request, memory: usize) -> [Option<FrameSize>; 2] {
    let sides = (1..=FrameSize::MAX_SIDE / 1024).map(|k| FrameSize::new(1024 * k, 1024 * k));
    let plans: Vec<(FrameSize, Plan)> =
        sides.map(|size| (size, Plan::new(&request(size)))).collect();
    let countable = plans.iter().find(|(_, plan)| plan.is_countable() && plan.arena > memory);
    let uncountable = plans.iter().find(|(_, plan)| !plan.is_countable());
    [countable, uncountable].map(|found| found.map(|(size, _)| *size))
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn frame_too_large_for_memory_is_an_error_and_other_sessions_continue() {
    let gpu = Gpu::open(0).unwrap();
    let memory = gpu.total_memory().unwrap();
    // The tuner would try to allocate the same memory first.
    let optimizations =
        Optimizations::all().without(Optimization::ReusedBuffers).without(Optimization::Autotune);
    let load = Load {
        spec: ModelVersion::V4_25.spec(),
        weights: &weights(ModelVersion::V4_25),
        index: 0,
        precision: Precision::F32,
        scale: Scale::One,
        ensemble: false,
        optimizations,
        batch: BATCH,
        threads: None,
    };
    let engine = CudaEngine::load(gpu, &load).unwrap();
    let size = FrameSize::new(64, 64);
    let frame = |pan| {
        let samples = rife_testkit::lines(64, 64, pan, 0).into_iter().map(|v| f32::from(v) / 255.0);
        Frame::planar_f32(size, samples.collect()).unwrap()
    };
    let interpolated = |session: &mut dyn EngineSession| {
        let mut out = Frame::black(size, PixelFormat::PlanarF32).unwrap();
        session.push(&frame(0).view()).unwrap();
        session.push(&frame(2).view()).unwrap();
        session.at_into(0.5, &mut out.view_mut()).unwrap();
        out
    };
    let mut before = engine.session(size).unwrap();
    let expected = interpolated(before.as_mut());

    let [countable, uncountable] = too_large(|size| engine.shared.request(size, BATCH), memory);
    assert!(countable.is_some() || uncountable.is_some(), "every frame fits {memory} bytes");
    for size in [countable, uncountable].into_iter().flatten() {
        let error = engine.session(size).err().unwrap_or_else(|| panic!("{size} fits"));
        println!("{size} in {memory} bytes: {error}");
        assert!(matches!(error, Error::OutOfMemory { needed: Some(_) }), "{size}: {error}");
    }
    assert_eq!(interpolated(before.as_mut()), expected);
    assert_eq!(interpolated(engine.session(size).unwrap().as_mut()), expected);
}

/// Checks that [`too_large`] finds sizes for current and for future GPUs.
#[test]
fn some_frame_is_too_large_for_every_gpu() {
    let request = |size| Request {
        optimizations: Optimizations::all().without(Optimization::ReusedBuffers),
        batch: BATCH,
        ..super::request(ModelVersion::V4_25, Precision::F32, size)
    };
    for gib in [1_usize, 16, 80, 141, 288, 1024, 1 << 20] {
        let found = too_large(request, gib << 30);
        println!("{gib} GiB: {found:?}");
        assert!(found[1].is_some(), "{gib} GiB");
        // On current GPUs, the driver itself refuses the allocation.
        assert!(found[0].is_some() || gib > 288, "{gib} GiB");
    }
}
