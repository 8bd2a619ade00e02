//! Clips whose drawings are held, with their true motion.

use std::path::Path;
use std::sync::Arc;

use rife_runtime::Frame;

use crate::coded;
use crate::pictures::{Luma, Motion};

/// A clip.
pub struct Clip {
    pub name: &'static str,
    pub frames: Vec<Arc<Frame>>,
    /// Number of frames that repeat a drawing, without those of pauses and of the last drawing.
    pub held: usize,
    /// The true picture of each output frame at twice the rate, up to the last drawing; `None` where
    /// it is not known.
    pub truth: Vec<Option<Luma>>,
}

/// Frames of a generated clip: two seconds.
const FRAMES: usize = 48;

/// Lengths of holds, which repeat.
const TWOS: &[usize] = &[2];
const THREES: &[usize] = &[3];
const MIXED: &[usize] = &[2, 2, 3, 1, 1, 2, 3, 3];

/// All clips; the text names one that cannot be made, and why.
pub fn all() -> impl Iterator<Item = Result<Clip, String>> {
    let generated = |name, motion, holds| move || Ok(generate(name, motion, holds));
    let makers: Vec<Box<dyn Fn() -> Result<Clip, String>>> = vec![
        Box::new(generated("pan, on twos", Motion::Pan, TWOS)),
        Box::new(generated("pan, on threes", Motion::Pan, THREES)),
        Box::new(generated("objects, on twos", Motion::Objects, TWOS)),
        Box::new(generated("objects, on threes", Motion::Objects, THREES)),
        Box::new(generated("objects, ones to threes mixed", Motion::Objects, MIXED)),
        Box::new(generated("objects, on ones", Motion::Objects, &[1])),
        Box::new(|| code("pan, on twos, H.264 CRF 23", Motion::Pan, TWOS, 23)),
        Box::new(|| code("objects, on twos, H.264 CRF 23", Motion::Objects, TWOS, 23)),
        Box::new(|| code("objects, on threes, H.264 CRF 28", Motion::Objects, THREES, 28)),
        Box::new(|| code("objects, on ones, H.264 CRF 28", Motion::Objects, &[1], 28)),
        Box::new(carphone),
    ];
    makers.into_iter().map(|make| make())
}

/// For each frame, the one that its drawing starts with.
fn starts(holds: &[usize]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut holds = holds.iter().cycle();
    while starts.len() < FRAMES {
        let start = starts.len();
        starts.extend(std::iter::repeat_n(start, *holds.next().unwrap_or(&1)));
    }
    starts.truncate(FRAMES);
    starts
}

fn generate(name: &'static str, motion: Motion, holds: &[usize]) -> Clip {
    let starts = starts(holds);
    let last = starts.last().copied().unwrap_or(0);
    let mut frames: Vec<Arc<Frame>> = Vec::new();
    for (i, start) in starts.iter().enumerate() {
        let held = frames.get(*start).filter(|_| *start < i).cloned();
        frames.push(held.unwrap_or_else(|| Arc::new(motion.picture(*start as f32))));
    }
    let truth = (0..=2 * last).map(|i| Some(Luma::of(&motion.picture(i as f32 / 2.0)))).collect();
    let held = starts.iter().enumerate().filter(|(i, start)| **start < *i && *i < last).count();
    Clip { name, frames, held, truth }
}

/// A generated clip after compression. The truth is without.
fn code(name: &'static str, motion: Motion, holds: &[usize], crf: u32) -> Result<Clip, String> {
    let clip = generate(name, motion, holds);
    match coded::through_h264(&clip.frames, crf) {
        Ok(frames) => Ok(Clip { frames, ..clip }),
        Err(error) => Err(format!("{name}: skipped: {error}")),
    }
}

/// A real clip, of which every second frame is replaced by the one before it.
fn carphone() -> Result<Clip, String> {
    let name = "carphone, made on twos";
    let skipped = |why: String| format!("{name}: skipped: {why}");
    let folder = std::env::var_os("RIFE_CLIPS").ok_or(skipped("RIFE_CLIPS is not set".into()))?;
    let file = Path::new(&folder).join("carphone_pristine.mp4");
    let frames = coded::decode(&file).map_err(|error| skipped(error.to_string()))?;
    let last = (frames.len().saturating_sub(1)) / 2 * 2;
    let truth = (0..=2 * last).map(|i| match i % 2 {
        0 => frames.get(i / 2).map(|frame| Luma::of(frame)),
        _ => None,
    });
    let truth = truth.collect();
    let frames = (0..frames.len()).filter_map(|i| frames.get(i / 2 * 2).cloned()).collect();
    Ok(Clip { name, frames, held: last / 2, truth })
}
