//! Speed of the engine alone, from frames in memory to frames in memory, for `bench/bench.py`.
//!
//! ```sh
//! cargo run --release -p rife-vapoursynth --example engine_fps -- 4.25 auto 1920x1080 YUV420P8 200
//! ```

use std::error::Error;
use std::time::Instant;

use rife_model::weights::Store;
use rife_runtime::{
    Chroma, Frame, FrameSize, Interpolator, Matrix, ModelVersion, PixelFormat, Siting, YuvFormat,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, device, size, format, pairs] = &arguments[..] else {
        return Err("arguments: MODEL DEVICE WIDTHxHEIGHT FORMAT PAIRS".into());
    };
    let (model, size): (ModelVersion, FrameSize) = (model.parse()?, size.parse()?);
    let (format, pairs) = (pixel_format(format)?, pairs.parse::<usize>()?.max(1));
    let weights = Store::locate(None)?.find(model)?;
    let rife = Interpolator::builder(model).device(device.parse()?).load_weights(&weights)?;
    let mut session = rife.session(size)?;
    let frames = (0..4).map(|n| textured(size, format, n).map(|frame| rife.pin(frame)));
    let frames = frames.collect::<Result<Vec<_>, _>>()?;
    let mut out = rife.pin(Frame::black(size, format)?);

    // The first runs include compilation and allocation.
    for frame in frames.iter().cycle().take(5) {
        session.push(&frame.view())?;
    }
    for _ in 0..3 {
        session.at_into(0.5, &mut out.view_mut())?;
    }
    // One pair at a time, as after a seek: both frames are pushed.
    let runs = pairs.min(20);
    let start = Instant::now();
    for pair in frames.windows(2).cycle().take(runs) {
        session.push(&pair[0].view())?;
        session.push(&pair[1].view())?;
        session.at_into(0.5, &mut out.view_mut())?;
    }
    let latency_ms = start.elapsed().as_secs_f64() * 1e3 / runs as f64;

    // In a stream: every pair pushes one frame and interpolates one.
    let start = Instant::now();
    for frame in frames.iter().cycle().take(pairs) {
        if session.pending() == session.depth() {
            session.finish_into(&mut out.view_mut())?;
        }
        session.push(&frame.view())?;
        session.submit_as(0.5, format)?;
    }
    while session.pending() > 0 {
        session.finish_into(&mut out.view_mut())?;
    }
    let fps = pairs as f64 / start.elapsed().as_secs_f64();
    let info = rife.info();
    println!(
        "{{\"interpolated_fps\": {fps:.3}, \"run_ms\": {latency_ms:.3}, \"device\": \"{}\", \
         \"precision\": \"{}\"}}",
        info.device, info.precision
    );
    Ok(())
}

/// The engine's format for the name of a VapourSynth format.
fn pixel_format(name: &str) -> Result<PixelFormat, String> {
    let yuv = |chroma, depth| {
        let (matrix, siting) = (Matrix::Bt709, Siting::Left);
        PixelFormat::Yuv(YuvFormat { chroma, depth, matrix, full_range: false, siting })
    };
    Ok(match name {
        "YUV420P8" => yuv(Chroma::Yuv420, 8),
        "YUV420P10" => yuv(Chroma::Yuv420, 10),
        "YUV444P8" => yuv(Chroma::Yuv444, 8),
        "YUV444P16" => yuv(Chroma::Yuv444, 16),
        "RGB24" => PixelFormat::Planar8,
        "RGB48" => PixelFormat::Planar16,
        "RGBH" => PixelFormat::PlanarF16,
        "RGBS" => PixelFormat::PlanarF32,
        _ => return Err(format!("unsupported format {name}")),
    })
}

/// A test frame with a wave pattern, shifted by `seed`.
fn textured(size: FrameSize, format: PixelFormat, seed: usize) -> Result<Frame, Box<dyn Error>> {
    let value = |at: usize| {
        let (x, y) = (at % size.width + 5 * seed, at / size.width);
        (127.0 + 60.0 * (x as f64 / 9.0).sin() + 50.0 * (y as f64 / 13.0).cos()) as u8
    };
    let rgb = (0..3 * size.pixels()).map(|at| value(at / 3)).collect();
    Ok(Frame::rgb8(size, rgb)?.converted(format)?)
}
