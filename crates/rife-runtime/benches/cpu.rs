//! Benchmarks of the CPU engine: each kernel on one thread, and whole frames on all threads.
//!
//! `cargo bench -p rife-runtime --features internals`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rife_model::weights::{Store, WeightsError};
use rife_runtime::{
    Device, Engine, Frame, FrameSize, Interpolator, ModelVersion, PixelFormat, internals,
};
use rife_testkit::lines;

const SIZE: FrameSize = FrameSize::new(640, 360);

fn kernels(criterion: &mut Criterion) {
    let mut kernels = internals::kernels().unwrap_or_else(|e| panic!("{e}"));
    // Criterion applies a throughput to all later benchmarks of a group, so run those without one
    // first.
    kernels.sort_by(|a, b| a.flops.total_cmp(&b.flops));
    let mut group = criterion.benchmark_group("kernels");
    for mut kernel in kernels {
        // An element is one multiplication or addition.
        if kernel.flops > 0.0 {
            group.throughput(Throughput::Elements(kernel.flops as u64));
        }
        group.bench_function(kernel.name, |b| b.iter(|| kernel.run()));
    }
}

/// A frame of lines, panned by `pan` pixels.
fn frame(pan: i64) -> Frame {
    let (width, height) = (SIZE.width, SIZE.height);
    let planar = lines(width, height, pan, 0);
    let pixels = width * height;
    let rgb = (0..pixels).flat_map(|i| [0, 1, 2].map(|c| planar[c * pixels + i])).collect();
    Frame::rgb8(SIZE, rgb).unwrap_or_else(|e| panic!("{e}"))
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    group.sample_size(10);
    for version in [ModelVersion::V4_6, ModelVersion::V4_25] {
        let store = Store::locate(None).unwrap_or_else(|e| panic!("{e}"));
        // Benchmarks must not download anything.
        let weights = match store.find(version) {
            Ok(weights) => weights,
            Err(error @ WeightsError::Missing { .. }) => {
                println!("frames/{version}: skipped: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let rife = Interpolator::builder(version)
            .engine(Engine::Optimized)
            .device(Device::Cpu)
            .load_weights(&weights)
            .unwrap_or_else(|e| panic!("{e}"));
        let mut session = rife.session(SIZE).unwrap_or_else(|e| panic!("{e}"));
        let pair = [frame(0), frame(3)];
        let mut out = Frame::black(SIZE, PixelFormat::Rgb8).unwrap_or_else(|e| panic!("{e}"));
        session.push(&pair[1].view()).unwrap_or_else(|e| panic!("{e}"));
        let mut next = 0;
        group.bench_function(format!("{version} at {SIZE}"), |b| {
            b.iter(|| {
                session.push(&pair[next].view()).unwrap_or_else(|e| panic!("{e}"));
                next = 1 - next;
                session.at_into(0.5, &mut out.view_mut()).unwrap_or_else(|e| panic!("{e}"));
                black_box(&mut out);
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = kernels, frames
}
criterion_main!(benches);
