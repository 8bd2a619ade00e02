//! Queue lengths of the pipeline, derived from the memory limit.

use rife_runtime::PixelFormat;

use crate::scene::SceneDetector;
use crate::settings::Settings;

/// Pairs in a row that go to the same device. Both devices upload the frame at a boundary, so
/// longer chunks mean fewer uploads, but they need longer queues.
pub(crate) const CHUNK: u64 = 8;

/// Longest useful queue.
const LONGEST: u64 = 64;

/// Bytes per pixel of planar F32, the only format that no stream has.
const PLANAR_F32: usize = 12;

/// Source frames held outside the `read` and `items` queues: one by the reader, two and the
/// lookahead by the director, two by the writer.
const SOURCE_FRAMES: u64 = 5 + SceneDetector::LOOK_AHEAD as u64;

/// Source frames that an item refers to, if it shares none with its neighbours.
const PER_ITEM: u64 = 2;

/// Queue lengths, and the resulting maximum memory of all frames. Excludes the network, the decoder
/// and the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Source frames read.
    pub(crate) read: usize,
    /// Output frames in order, interpolated or not.
    pub(crate) items: usize,
    /// Pairs per device.
    pub(crate) work: usize,
    /// Interpolated frames per device.
    pub(crate) interpolated: usize,
    /// Maximum memory of all frames, in bytes.
    pub bytes: u64,
}

impl Queues {
    /// Returns the longest queues that fit `settings.memory`, or the shortest possible ones if
    /// those need more; check [`Queues::bytes`]. `buffered` is [`crate::Sink::buffered`].
    pub fn new(settings: &Settings, devices: usize, buffered: usize) -> Self {
        let bytes = |format: PixelFormat| {
            let size = settings.size;
            let raw = crate::raw_format(size, format).map(|raw| raw.frame_bytes());
            raw.unwrap_or(size.pixels() * PLANAR_F32).max(1) as u64
        };
        let (input, output) = (bytes(settings.input), bytes(settings.format));
        let devices = devices.max(1) as u64;
        // If formats differ, the frame and its `left` are converted.
        let converted = if settings.input == settings.format { 0 } else { 2 };
        // A hold is decided when the next drawing is known.
        let held = settings.scenes.longest_hold.saturating_sub(1) as u64;
        let total = |length: u64| {
            let interpolated = Self::interpolated(length, devices);
            let source = length.saturating_mul(1 + PER_ITEM) + SOURCE_FRAMES + held;
            // Each device and the writer hold one more.
            let others = devices * (interpolated + 1) + 1 + converted + buffered as u64;
            input.saturating_mul(source).saturating_add(output.saturating_mul(others))
        };
        let fits = (1..=LONGEST).rev().find(|length| total(*length) <= settings.memory);
        let length = fits.unwrap_or(1);
        Self {
            read: length as usize,
            items: length as usize,
            work: (length / devices).clamp(1, CHUNK) as usize,
            interpolated: Self::interpolated(length, devices) as usize,
            bytes: total(length),
        }
    }

    /// Length of the queue of each device.
    fn interpolated(length: u64, devices: u64) -> u64 {
        (length / devices).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CutMode, Rational, SceneSettings};
    use rife_runtime::FrameSize;

    fn queues(memory: u64, devices: usize, buffered: usize, format: PixelFormat) -> Queues {
        let settings = Settings {
            scenes: SceneSettings {
                cut_threshold: 10.0,
                still_threshold: 0.0,
                cut_mode: CutMode::Hold,
                longest_hold: 1,
            },
            size: FrameSize::new(3840, 2160),
            input: PixelFormat::Rgb8,
            format,
            memory,
            skip: 0,
            until: None,
            frame_time: Rational::new(1, 25),
        };
        Queues::new(&settings, devices, buffered)
    }

    #[test]
    fn queues_fit_any_memory_above_the_minimum() {
        const FRAME: u64 = 3840 * 2160 * 3;
        for devices in [1, 2, 8] {
            for format in [PixelFormat::Rgb8, PixelFormat::Rgb16] {
                for buffered in [0, 3] {
                    let smallest = queues(0, devices, buffered, format);
                    assert_eq!((smallest.read, smallest.items, smallest.interpolated), (1, 1, 1));
                    assert!(smallest.bytes > 8 * FRAME);
                    let mut before = smallest;
                    for memory in (0..400).map(|n| smallest.bytes + n * FRAME) {
                        let now = queues(memory, devices, buffered, format);
                        assert!(now.bytes <= memory && now.read >= before.read);
                        before = now;
                    }
                    assert_eq!(before.read as u64, LONGEST);
                }
            }
        }
        // Frames of twice the sample size count twice.
        let [shallow, deep] =
            [PixelFormat::Rgb8, PixelFormat::Rgb16].map(|f| queues(1 << 30, 1, 0, f));
        assert!(deep.read < shallow.read);
    }
}
