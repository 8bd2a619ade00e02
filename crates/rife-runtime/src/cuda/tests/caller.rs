//! Frames in the caller's device memory.

use rife_model::{ModelVersion, Scale};

use super::super::driver::{Gpu, Memory, Stream, fault};
use super::super::engine::CudaEngine;
use super::super::samples::SampleLayout;
use super::{layouts, weights};
use crate::engine::{EngineImpl, EngineSession, Load, Pair};
use crate::{
    DeviceSamples, Error, Frame, FrameSize, FrameView, FrameViewMut, Optimization, Optimizations,
    PixelFormat, Precision,
};

const SIZE: FrameSize = FrameSize::new(66, 40);

/// The content of gaps.
const POISON: u8 = 0x5a;

/// A caller with a stream of its own.
struct Caller {
    gpu: Gpu,
    stream: Stream,
}

impl Caller {
    fn new() -> Self {
        let gpu = Gpu::open(0).unwrap();
        Self { stream: gpu.stream().unwrap(), gpu }
    }

    fn engine(
        &self,
        version: ModelVersion,
        precision: Precision,
        all: Optimizations,
    ) -> CudaEngine {
        let load = Load {
            spec: version.spec(),
            weights: &weights(version),
            index: 0,
            precision,
            scale: Scale::One,
            ensemble: false,
            optimizations: all,
            batch: 2,
            threads: None,
        };
        CudaEngine::load(self.gpu.clone(), &load).unwrap()
    }

    fn upload(&self, bytes: &[u8]) -> Memory {
        let memory = self.gpu.memory(bytes.len()).unwrap();
        memory.write(bytes).unwrap();
        memory
    }

    fn samples(&self, address: u64, layout: &SampleLayout) -> DeviceSamples {
        let SampleLayout { sample, row, pixel, channel } = *layout;
        let (device, stream) = (0, self.stream.handle());
        DeviceSamples { address, sample, row, pixel, channel, device, stream }
    }

    fn view(&self, memory: &Memory, layout: &SampleLayout) -> FrameView<'static> {
        // SAFETY: the memory holds a frame of this layout, and outlives the test's sessions.
        unsafe { FrameView::device(SIZE, self.samples(memory.address(), layout)) }.unwrap()
    }

    fn view_mut(&self, memory: &Memory, layout: &SampleLayout) -> FrameViewMut<'static> {
        // SAFETY: as above.
        unsafe { FrameViewMut::device(SIZE, self.samples(memory.address(), layout)) }.unwrap()
    }

    /// The content of memory after the work on the caller's stream.
    fn read(&self, memory: &Memory) -> Vec<u8> {
        self.stream.synchronize().unwrap();
        let mut bytes = vec![0; memory.bytes()];
        memory.read(&mut bytes).unwrap();
        bytes
    }
}

/// The format of frames in host memory with the samples of a layout.
fn host_format(layout: &SampleLayout) -> PixelFormat {
    let view = DeviceSamples {
        address: 64,
        sample: layout.sample,
        row: layout.row,
        pixel: layout.pixel,
        channel: layout.channel,
        device: 0,
        stream: 0,
    };
    // SAFETY: the view is only asked for its format.
    unsafe { FrameView::device(SIZE, view) }.unwrap().format()
}

/// A frame laid out in `bytes` bytes, with poison between the samples.
fn laid_out(frame: &Frame, layout: &SampleLayout, bytes: usize) -> Vec<u8> {
    let mut to = vec![POISON; bytes];
    let from = SampleLayout::packed(SIZE, frame.format());
    let n = layout.sample.bytes();
    for i in 0..3 * SIZE.pixels() {
        let (c, x, y) = (i % 3, i / 3 % SIZE.width, i / 3 / SIZE.width);
        let at = |l: &SampleLayout| {
            (l.row * y as i64 + l.pixel * x as i64 + l.channel * c as i64) as usize
        };
        to[at(layout)..][..n].copy_from_slice(&frame.as_bytes()[at(&from)..][..n]);
    }
    to
}

fn frame(pan: i64, format: PixelFormat) -> Frame {
    let planes = rife_testkit::lines(66, 40, pan, 0);
    let planes = planes.into_iter().map(|v| f32::from(v) / 255.0).collect();
    Frame::planar_f32(SIZE, planes).unwrap().converted(format).unwrap()
}

fn on_host(session: &mut dyn EngineSession, format: PixelFormat, timesteps: &[f32]) -> Vec<Frame> {
    session.reset();
    session.push(&frame(0, format).view()).unwrap();
    session.push(&frame(3, format).view()).unwrap();
    let blank = |_: &f32| Frame::black(SIZE, format).unwrap();
    let mut outs: Vec<_> = timesteps.iter().map(blank).collect();
    for (t, out) in timesteps.iter().zip(&mut outs) {
        session.at_into(*t, &mut out.view_mut()).unwrap();
    }
    outs
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn device_frames_give_the_same_bits_as_host_frames() {
    let caller = Caller::new();
    let plain = Optimizations::all().without(Optimization::CachedFrames);
    for (version, precision, optimizations) in [
        (ModelVersion::V4_6, Precision::F16, Optimizations::all()),
        (ModelVersion::V4_26, Precision::F16, Optimizations::all()),
        (ModelVersion::V4_26, Precision::F32, Optimizations::all()),
        (ModelVersion::V4_26, Precision::F32, plain),
    ] {
        let engine = caller.engine(version, precision, optimizations);
        let (mut host, mut session) =
            (engine.session(SIZE).unwrap(), engine.session(SIZE).unwrap());
        for (layout, bytes) in layouts(SIZE) {
            let name = format!("RIFE {version} {precision} {layout:?}");
            let format = host_format(&layout);
            let timesteps = [0.5, 0.25, 0.75];
            let expected: Vec<_> = on_host(host.as_mut(), format, &timesteps)
                .iter()
                .map(|frame| laid_out(frame, &layout, bytes))
                .collect();
            let [a, b] =
                [0, 3].map(|pan| caller.upload(&laid_out(&frame(pan, format), &layout, bytes)));
            let outs = [0; 3].map(|_| caller.upload(&vec![POISON; bytes]));

            // A stream.
            session.reset();
            session.push(&caller.view(&a, &layout)).unwrap();
            session.push(&caller.view(&b, &layout)).unwrap();
            for (t, out) in timesteps.iter().zip(&outs) {
                session.at_into(*t, &mut caller.view_mut(out, &layout)).unwrap();
            }
            for (out, expected) in outs.iter().zip(&expected) {
                assert!(caller.read(out) == *expected, "{name}: a stream");
            }

            // Batches of timesteps and of pairs, of which the last is partial.
            let outs = [0; 3].map(|_| caller.upload(&vec![POISON; bytes]));
            let mut views = outs.each_ref().map(|out| caller.view_mut(out, &layout));
            session.at_many_into(&timesteps, &mut views).unwrap();
            for (out, expected) in outs.iter().zip(&expected) {
                assert!(caller.read(out) == *expected, "{name}: timesteps");
            }
            let outs = [0; 3].map(|_| caller.upload(&vec![POISON; bytes]));
            let mut views = outs.each_ref().map(|out| caller.view_mut(out, &layout));
            let (earlier, later) = (caller.view(&a, &layout), caller.view(&b, &layout));
            let pairs = timesteps.map(|timestep| Pair { earlier, later, timestep });
            session.pairs_into(&pairs, &mut views).unwrap();
            for (out, expected) in outs.iter().zip(&expected) {
                assert!(caller.read(out) == *expected, "{name}: pairs");
            }

            // A frame of the host and one of the device, and a result on the host.
            session.reset();
            session.push(&frame(0, format).view()).unwrap();
            session.push(&caller.view(&b, &layout)).unwrap();
            let mut out = Frame::black(SIZE, format).unwrap();
            session.at_into(0.5, &mut out.view_mut()).unwrap();
            assert!(laid_out(&out, &layout, bytes) == expected[0], "{name}: mixed");
        }
    }
}

/// Large frames go through staging memory in several parts.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn large_frames_of_the_host_give_the_same_bits_as_device_frames() {
    let caller = Caller::new();
    let engine = caller.engine(ModelVersion::V4_6, Precision::F16, Optimizations::all());
    for (width, height) in [(1300, 700), (1920, 1080)] {
        let size = FrameSize::new(width, height);
        let mut session = engine.session(size).unwrap();
        for format in [PixelFormat::Rgb8, PixelFormat::RgbF32] {
            let frames = [0, 3].map(|pan| {
                let planes = rife_testkit::lines(width, height, pan, 0);
                let planes = planes.into_iter().map(|v| f32::from(v) / 255.0).collect();
                Frame::planar_f32(size, planes).unwrap().converted(format).unwrap()
            });
            let layout = SampleLayout::packed(size, format);
            let memory = frames.each_ref().map(|frame| caller.upload(frame.as_bytes()));
            let out = caller.upload(&vec![POISON; memory[0].bytes()]);
            let samples = |memory: &Memory| caller.samples(memory.address(), &layout);
            for memory in &memory {
                // SAFETY: the memory holds a frame of this layout, and outlives the session.
                let view = unsafe { FrameView::device(size, samples(memory)) };
                session.push(&view.unwrap()).unwrap();
            }
            // SAFETY: as above.
            let mut view = unsafe { FrameViewMut::device(size, samples(&out)) }.unwrap();
            session.at_into(0.5, &mut view).unwrap();
            let expected = caller.read(&out);

            frames.iter().for_each(|frame| session.push(&frame.view()).unwrap());
            let mut got = Frame::black(size, format).unwrap();
            session.at_into(0.5, &mut got.view_mut()).unwrap();
            assert!(got.as_bytes() == expected, "{format:?} at {size}");
        }
    }
}

/// The rows of a frame from the last to the first.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn device_frames_can_have_negative_strides() {
    let caller = Caller::new();
    let engine = caller.engine(ModelVersion::V4_6, Precision::F32, Optimizations::all());
    let mut session = engine.session(SIZE).unwrap();
    let format = PixelFormat::Rgb8;
    let expected = on_host(session.as_mut(), format, &[0.5]).remove(0);
    let packed = SampleLayout::packed(SIZE, format);
    let flipped = |frame: &Frame| -> Vec<u8> {
        frame.as_bytes().chunks_exact(3 * SIZE.width).rev().flatten().copied().collect()
    };
    let last_row = packed.row as u64 * (SIZE.height as u64 - 1);
    let layout = SampleLayout { row: -packed.row, ..packed };
    let samples = |memory: &Memory| caller.samples(memory.address() + last_row, &layout);
    session.reset();
    let frames = [0, 3].map(|pan| caller.upload(&flipped(&frame(pan, format))));
    for memory in &frames {
        // SAFETY: the rows lie within the memory, which outlives the session.
        session.push(&unsafe { FrameView::device(SIZE, samples(memory)) }.unwrap()).unwrap();
    }
    let out = caller.upload(&vec![POISON; 3 * SIZE.pixels()]);
    // SAFETY: as above.
    let mut view = unsafe { FrameViewMut::device(SIZE, samples(&out)) }.unwrap();
    session.at_into(0.5, &mut view).unwrap();
    assert!(caller.read(&out) == flipped(&expected));
}

/// Without any synchronization by the caller: frames arrive late on its stream, are overwritten
/// right after they were pushed, and results are copied right after they were queued.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn work_is_ordered_with_the_stream_of_the_caller() {
    let caller = Caller::new();
    let engine = caller.engine(ModelVersion::V4_26, Precision::F32, Optimizations::all());
    let mut session = engine.session(SIZE).unwrap();
    let format = PixelFormat::RgbF32;
    let layout = SampleLayout::packed(SIZE, format);
    let expected = on_host(session.as_mut(), format, &[0.5]).remove(0);
    let slow = caller.gpu.memory(1 << 30).unwrap();
    let frames = [0, 3].map(|pan| caller.upload(frame(pan, format).as_bytes()));
    let (moving, out, copy) = (
        caller.upload(&vec![POISON; frames[0].bytes()]),
        caller.upload(&vec![POISON; frames[0].bytes()]),
        caller.upload(&vec![POISON; frames[0].bytes()]),
    );
    let delay = || (0..20).for_each(|byte| caller.stream.fill(&slow, byte).unwrap());
    for round in 0..3 {
        session.reset();
        for frame in &frames {
            delay();
            caller.stream.copy(&moving, frame).unwrap();
            session.push(&caller.view(&moving, &layout)).unwrap();
            caller.stream.fill(&moving, 0xff).unwrap();
        }
        delay();
        caller.stream.fill(&out, 0xff).unwrap();
        session.at_into(0.5, &mut caller.view_mut(&out, &layout)).unwrap();
        caller.stream.copy(&copy, &out).unwrap();
        caller.stream.fill(&out, 0xff).unwrap();
        assert!(caller.read(&copy) == expected.as_bytes(), "round {round}");
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn session_continues_after_refused_and_failed_device_frames() {
    let caller = Caller::new();
    let engine = caller.engine(ModelVersion::V4_26, Precision::F32, Optimizations::all());
    let mut session = engine.session(SIZE).unwrap();
    let format = PixelFormat::Planar8;
    let layout = SampleLayout::packed(SIZE, format);
    let expected = on_host(session.as_mut(), format, &[0.5, 0.25]);
    let [a, b] = [0, 3].map(|pan| caller.upload(frame(pan, format).as_bytes()));
    let out = caller.upload(&vec![POISON; a.bytes()]);
    session.reset();
    session.push(&caller.view(&a, &layout)).unwrap();
    session.push(&caller.view(&b, &layout)).unwrap();

    // An address of the host, which the driver does not know.
    let on_host = vec![0u8; a.bytes()];
    let samples = caller.samples(on_host.as_ptr() as usize as u64, &layout);
    // SAFETY: the engine refuses the address before it uses it.
    let (view, mut view_mut) = unsafe {
        (FrameView::device(SIZE, samples).unwrap(), FrameViewMut::device(SIZE, samples).unwrap())
    };
    assert!(matches!(session.push(&view), Err(Error::Frame { .. })));
    assert!(matches!(session.at_into(0.5, &mut view_mut), Err(Error::Frame { .. })));

    // Each driver call fails in turn.
    let mut calls = 0;
    loop {
        fault::after(calls);
        let pushed = session.push(&caller.view(&a, &layout));
        let failed = fault::is_over();
        assert_eq!(failed, pushed.is_err(), "call {calls} of a push");
        if !failed {
            session.push(&caller.view(&b, &layout)).unwrap();
        }
        fault::after(calls);
        let interpolated = session.at_into(0.25, &mut caller.view_mut(&out, &layout));
        let also = fault::is_over();
        assert_eq!(also, interpolated.is_err(), "call {calls} of an interpolation");
        if !failed {
            session.push(&caller.view(&a, &layout)).unwrap();
            session.push(&caller.view(&b, &layout)).unwrap();
        }
        session.at_into(0.5, &mut caller.view_mut(&out, &layout)).unwrap();
        assert!(caller.read(&out) == expected[0].as_bytes(), "after call {calls}");
        calls += 1;
        if !failed && !also {
            break;
        }
    }
    assert!(calls > 8, "{calls} calls");
}

/// Other libraries take the current context of a thread for the device that their user selected.
#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn current_context_of_the_thread_is_left_as_it_was() {
    use cudarc::driver::{result, sys};

    use crate::Interpolator;
    use crate::test_weights::weights;

    // Initializes the driver. The test's own memory is on the device at the end.
    let caller = Caller::new();
    let frames = [0, 3].map(|pan| frame(pan, PixelFormat::Rgb8));
    let layout = SampleLayout::packed(SIZE, PixelFormat::Rgb8);
    let memory = caller.upload(frames[0].as_bytes());
    let mut other = std::ptr::null_mut();
    // SAFETY: the pointer is to a live variable; the context is destroyed below.
    unsafe { sys::cuCtxCreate_v4(&raw mut other, std::ptr::null_mut(), 0, 0) }.result().unwrap();
    for current in [std::ptr::null_mut(), other] {
        let check = |what: &str| {
            let now = result::ctx::get_current().unwrap().unwrap_or(std::ptr::null_mut());
            assert_eq!(now, current, "after {what}");
        };
        // Null takes the topmost context off the thread's stack.
        while result::ctx::get_current().unwrap().is_some() {
            // SAFETY: null is always valid.
            unsafe { result::ctx::set_current(std::ptr::null_mut()) }.unwrap();
        }
        // SAFETY: null or a live context.
        unsafe { result::ctx::set_current(current) }.unwrap();
        crate::engines();
        check("engines");
        let builder = Interpolator::builder(ModelVersion::V4_6).device(crate::Device::Cuda(0));
        let rife = builder.load_weights(&weights(ModelVersion::V4_6)).unwrap();
        check("loading");
        rife.interpolate(&frames[0].view(), &frames[1].view(), 0.5).unwrap();
        check("interpolate");
        let mut session = rife.session(SIZE).unwrap();
        check("session");
        session.push(&caller.view(&memory, &layout)).unwrap();
        session.push(&frames[1].view()).unwrap();
        check("push");
        session.at_into(0.5, &mut caller.view_mut(&memory, &layout)).unwrap();
        check("at_into");
        session.at_many(&[0.25, 0.5]).unwrap();
        check("at_many");
        session.submit(0.5).unwrap();
        check("submit");
        session.finish().unwrap();
        check("finish");
        session.submit(0.5).unwrap();
        session.reset();
        check("reset");
        rife.synchronize().unwrap();
        check("synchronize");
        let pinned = rife.pin(frames[0].clone());
        check("pin");
        drop((session, pinned, rife));
        check("drop");
    }
    // SAFETY: created above and destroyed once.
    unsafe { result::ctx::set_current(std::ptr::null_mut()) }.unwrap();
    // SAFETY: as above.
    unsafe { sys::cuCtxDestroy_v2(other) }.result().unwrap();
}
