//! The memory of a stream on a GPU does not grow with the number of frames, as reported by the
//! driver and the operating system. Runs in its own process, since other tests would change the
//! readings.

use rife_model::weights::Store;
use rife_runtime::{
    Device, Engine, Frame, FrameSize, Interpolator, ModelVersion, Optimization, Optimizations,
    PixelFormat, Precision, Session,
};
use rife_testkit::{lines, own_process};

/// Tolerance for the driver's own memory and for other programs, in bytes.
const DEVICE_SLACK: usize = 4 << 20;
/// The same when buffers are allocated per frame: the driver's pool grows and shrinks in steps of
/// 32 MiB. A leak in five hundred frames would be gigabytes.
const POOL_SLACK: usize = 64 << 20;
/// Tolerance for host memory, in bytes: detects leaks of more than 8 KiB per frame.
const HOST_SLACK: usize = 4 << 20;

/// Runs of five hundred frames. The test passes if memory does not grow in one of them.
const ATTEMPTS: usize = 5;

const SIZE: FrameSize = FrameSize::new(640, 360);

fn frame(pan: i64) -> Frame {
    let (planar, n) = (lines(SIZE.width, SIZE.height, pan, 0), SIZE.pixels());
    let samples = (0..3 * n).map(|i| planar[i % 3 * n + i / 3]).collect();
    Frame::rgb8(SIZE, samples).unwrap()
}

/// Bytes of device memory in use by all programs, and of host memory in use by this process.
fn in_use() -> (usize, usize) {
    let (free, total) = cudarc::driver::result::mem_get_info().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (total - free, kib << 10)
}

/// Interpolates `count` frames, some directly and some through the queue, with an occasional reset.
fn run(session: &mut Session, frames: &[Frame; 4], count: usize) {
    let mut out = Frame::black(SIZE, PixelFormat::Rgb8).unwrap();
    session.reset();
    session.push(&frames[0].view()).unwrap();
    for i in 1..=count {
        session.push(&frames[i % 4].view()).unwrap();
        if i % 3 == 0 {
            session.at_into(0.5, &mut out.view_mut()).unwrap();
        } else {
            session.submit(0.5).unwrap();
            session.finish_into(&mut out.view_mut()).unwrap();
        }
        if i % 100 == 0 {
            session.reset();
            session.push(&frames[i % 4].view()).unwrap();
        }
    }
}

#[test]
#[cfg_attr(not(gpu_here), ignore = "there is no GPU")]
fn five_hundred_frames_need_no_more_memory_than_twenty() {
    own_process!(five_hundred_frames_need_no_more_memory_than_twenty);
    // `mem_get_info` reports on the calling thread's context, which the engine shares.
    let context = cudarc::driver::CudaContext::new(0).unwrap();
    context.bind_to_thread().unwrap();
    let frames = [0, 3, 5, 40].map(frame);
    let all = Optimizations::all();
    let unbuffered = all.without(Optimization::PreallocatedBuffers);
    for (version, precision, optimizations) in [
        (ModelVersion::V4_6, Precision::F16, all),
        (ModelVersion::V4_25, Precision::F16, all),
        (ModelVersion::V4_25, Precision::Tf32, all),
        (ModelVersion::V4_6, Precision::F32, all),
        (ModelVersion::V4_25, Precision::F16, unbuffered),
    ] {
        let weights = Store::locate(None)
            .and_then(|store| store.fetch(version, &mut |line| eprintln!("{line}")))
            .unwrap_or_else(|e| panic!("{e}"));
        let rife = Interpolator::builder(version)
            .engine(Engine::Optimized)
            .device(Device::Cuda(0))
            .precision(precision)
            .optimizations(optimizations)
            .load_weights(&weights)
            .unwrap();
        let mut session = rife.session(SIZE).unwrap();
        run(&mut session, &frames, 20);
        let before = session.memory().expect("the engine reports its memory");
        let name = format!("RIFE {version} {precision}");
        let slack = if optimizations == all { DEVICE_SLACK } else { POOL_SLACK };
        // The driver counts the memory of all programs on the GPU. A leak grows in every attempt;
        // another program's memory is unlikely to.
        let grows = |session: &mut Session| {
            let (device, host) = in_use();
            run(session, &frames, 500);
            let (device_after, host_after) = in_use();
            println!("{name}: device {device} to {device_after}, host {host} to {host_after}");
            device_after > device + slack || host_after > host + HOST_SLACK
        };
        assert!(
            (0..ATTEMPTS).any(|_| !grows(&mut session)),
            "{name}: memory grew in every attempt"
        );
        let after = session.memory().expect("the engine reports its memory");
        assert!(before.device_bytes > 0);
        assert!(after.device_bytes <= before.device_bytes, "{before:?} became {after:?}");
        let pinned = [before, after].map(|memory| memory.pinned_host_bytes);
        assert!(pinned[1] <= pinned[0], "{before:?} became {after:?}");
    }
}
