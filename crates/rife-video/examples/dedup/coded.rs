//! Frames from files, and through an encoder, with ffmpeg.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rife_runtime::{Frame, FrameSize};
use rife_video::{Programs, run_program};

use crate::Result;

/// The frames of a video file.
pub fn decode(file: &Path) -> Result<Vec<Arc<Frame>>> {
    let programs = Programs::find(None)?;
    let mut command = Command::new(&programs.ffmpeg);
    command.args(["-v", "error", "-nostdin", "-i"]).arg(file);
    // PPM states the size of each frame.
    command.args(["-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]);
    let stream = run_program(command, "decoding")?;
    let mut rest = &stream[..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (frame, after) = split_ppm(rest).ok_or("unexpected data from ffmpeg")?;
        frames.push(Arc::new(frame));
        rest = after;
    }
    Ok(frames)
}

/// Frames after encoding with x264 and decoding.
pub fn through_h264(frames: &[Arc<Frame>], crf: u32) -> Result<Vec<Arc<Frame>>> {
    let programs = Programs::find(None)?;
    let folder = tempfile::tempdir()?;
    let (raw, coded) = (folder.path().join("in.rgb"), folder.path().join("coded.mkv"));
    let size = frames.first().map(|frame| frame.size()).ok_or("no frames")?;
    let samples: Vec<u8> = frames.iter().flat_map(|frame| frame.as_bytes()).copied().collect();
    std::fs::write(&raw, samples)?;
    let mut command = Command::new(&programs.ffmpeg);
    command.args(["-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "rgb24", "-r", "24"]);
    command.args(["-s", &size.to_string(), "-i"]).arg(&raw);
    command.args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", &crf.to_string()]).arg(&coded);
    run_program(command, "encoding")?;
    decode(&coded)
}

/// Splits the first picture off a stream of PPM: `P6\nWIDTH HEIGHT\n255\n` and the samples.
fn split_ppm(stream: &[u8]) -> Option<(Frame, &[u8])> {
    let mut rest = stream;
    let mut lines = [""; 3];
    for line in &mut lines {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        *line = std::str::from_utf8(rest.get(..end)?).ok()?;
        rest = rest.get(end + 1..)?;
    }
    let (width, height) = lines[1].split_once(' ')?;
    let size = FrameSize::new(width.parse().ok()?, height.parse().ok()?);
    let (samples, rest) = rest.split_at_checked(3 * size.pixels())?;
    Some((Frame::rgb8(size, samples.to_vec()).ok()?, rest))
}
