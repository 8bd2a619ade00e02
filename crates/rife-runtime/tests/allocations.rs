//! The CPU engine allocates when a stream starts, not per frame.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rife_model::weights::Store;
use rife_runtime::{
    Chroma, Device, Engine, Frame, FrameSize, Interpolator, Matrix, ModelVersion, Siting, YuvFormat,
};
use rife_testkit::own_process;

/// The system allocator, counting allocations.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Frames interpolated while allocations are counted.
const FRAMES: usize = 60;
/// Jobs that a frame submits to the thread pool: two conversions and one interpolation.
const JOBS_PER_FRAME: usize = 3;
/// Jobs that fit into one block of rayon's queue for jobs from outside of the pool. The queue
/// allocates block by block.
const JOBS_PER_BLOCK: usize = 63;

const VIDEO: YuvFormat = YuvFormat {
    chroma: Chroma::Yuv420,
    depth: 8,
    matrix: Matrix::Bt709,
    full_range: false,
    siting: Siting::Left,
};

#[test]
fn interpolation_does_not_allocate() {
    // In its own process: the test harness allocates when it reports slow tests.
    own_process!(interpolation_does_not_allocate);
    for version in [ModelVersion::V4_6, ModelVersion::V4_26] {
        let weights = Store::locate(None)
            .and_then(|store| store.fetch(version, &mut |line| eprintln!("{line}")))
            .unwrap_or_else(|e| panic!("{e}"));
        for threads in [1, 2] {
            let rife = Interpolator::builder(version)
                .device(Device::Cpu)
                .engine(Engine::Optimized)
                .threads(threads)
                .load_weights(&weights)
                .unwrap();
            let size = FrameSize::new(75, 40);
            let samples =
                |step: usize, n: usize| (0..n).map(|i| (i * step) as u8).collect::<Vec<_>>();
            let rgb =
                [17, 29].map(|step| Frame::rgb8(size, samples(step, 3 * size.pixels())).unwrap());
            let yuv = [17, 29]
                .map(|step| Frame::yuv8(size, VIDEO, samples(step, VIDEO.samples(size))).unwrap());
            for frames in [rgb, yuv] {
                let mut out = frames[0].clone();
                let mut session = rife.session(size).unwrap();
                let mut stream = |count: usize| {
                    for i in 0..count {
                        session.push(&frames[i % 2].view()).unwrap();
                        session.push(&frames[(i + 1) % 2].view()).unwrap();
                        session.at_into(0.5, &mut out.view_mut()).unwrap();
                    }
                };
                stream(5);
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                stream(FRAMES);
                let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
                let allowed = (FRAMES * JOBS_PER_FRAME).div_ceil(JOBS_PER_BLOCK);
                let format = frames[0].format();
                assert!(
                    allocations <= allowed,
                    "RIFE {version} on {threads} threads, {format:?}: {allocations} allocations"
                );
            }
        }
    }
}
