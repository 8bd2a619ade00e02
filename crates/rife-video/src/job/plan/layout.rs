//! Lays out the segments of a job over the frames of its source.

use super::{PlannedSegment, PlannedSource, PlannedTimeline};
use crate::ffmpeg::ScannedFrame;
use crate::frame_clock::FrameClock;
use crate::scene::SceneDetector;
use crate::timeline::Timeline;
use crate::{ContainerTiming, Error, Rational, Result};

/// Source frames to decode before a segment, so that scene detection and everything else that looks
/// back gives the same result as in the whole video.
const CONTEXT: i64 = 32;

// A pair depends on so many pairs before it, each of which depends on so many frames before.
const _: () = assert!(SceneDetector::HISTORY + SceneDetector::LOOK_AHEAD < CONTEXT as usize);

/// Frames to go back further if it is impossible to seek to a frame.
const FURTHER: i64 = 64;

/// The output frames of a job, in segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The frames.
    pub timeline: PlannedTimeline,
    /// The segments, in order, without addresses.
    pub segments: Vec<PlannedSegment>,
}

/// How to divide an output into segments.
#[derive(Clone, Copy, Debug)]
pub struct LayoutOptions<'a> {
    /// Output frames per segment, except for the last one.
    pub per_segment: i64,
    /// Extension of segment files, without the dot.
    pub extension: &'a str,
    /// Timing of a container in which the decoder can seek; `None` to always decode from the start.
    pub seek: Option<ContainerTiming>,
    /// Whether the frames have checksums.
    pub checksums: bool,
    /// Duration of the last frame if it states none, in s.
    pub frame_time: Rational,
    /// See [`crate::SceneSettings::longest_hold`].
    pub longest_hold: usize,
}

/// Divides the output of `timeline` into segments.
///
/// # Errors
/// [`Error::Refused`] if there are no frames.
pub fn lay_out(
    frames: &[ScannedFrame],
    mut timeline: Timeline,
    options: &LayoutOptions<'_>,
) -> Result<Layout> {
    let LayoutOptions { per_segment, extension, seek, checksums, frame_time, longest_hold } =
        *options;
    let no_frames = || Error::Refused("the input has no frames".into());
    let (first, last) = frames.first().zip(frames.last()).ok_or_else(no_frames)?;
    // Output frames before each source frame, and the times of all output frames.
    let mut before = Vec::with_capacity(frames.len());
    let mut ticks = Vec::new();
    for (at, frame) in frames.iter().enumerate() {
        before.push(timeline.frame_count());
        let outputs = match frames.get(at + 1) {
            Some(next) => timeline.pair(frame.time, next.time),
            None => timeline.last(frame.time, last.duration.unwrap_or(frame_time)),
        };
        ticks.extend(outputs.iter().map(|output| output.ticks));
    }
    let at_or_before = |output: i64| before.partition_point(|count| *count <= output) as i64 - 1;
    let end = frames.len() as i64 - 1;
    let total = ticks.len() as i64;
    let per_segment = per_segment.max(1);
    // Where a hold ends depends on where it starts, and on whether it is a pause.
    let context = CONTEXT + if longest_hold > 1 { 2 * longest_hold as i64 } else { 0 };
    let mut segments = Vec::new();
    for first_frame in (0..total).step_by(per_segment as usize) {
        let index = first_frame / per_segment;
        let after = (first_frame + per_segment).min(total);
        let tick_of = |output: i64| ticks.get(output as usize).copied().unwrap_or_default();
        let first = at_or_before(first_frame);
        // The last segment ends with the source.
        let last = if after == total { end } else { (at_or_before(after - 1) + 1).min(end) };
        let (decode_from, seek_us) = start_of(frames, first, seek, context);
        let range = frames.get(decode_from as usize..=last as usize).unwrap_or_default();
        segments.push(PlannedSegment {
            index: index as u64,
            first_frame,
            frames: after - first_frame,
            first_tick: tick_of(first_frame),
            last_tick: tick_of(after - 1),
            source: PlannedSource {
                decode_from,
                frames_before: before.get(decode_from as usize).copied().unwrap_or_default(),
                first,
                last,
                seek_us,
                time: range.first().map_or(first_time(frames), |frame| frame.time),
                blake3: checksums.then(|| {
                    let mut digest = FrameDigest::default();
                    range.iter().for_each(|frame| digest.add(frame));
                    digest.finish()
                }),
            },
            file: file_name(index as u64, extension),
            address: String::new(),
        });
    }
    let last_tick = *ticks.last().ok_or_else(no_frames)?;
    // Without an end if the last source frame has no output frame.
    let end_tick = timeline.last_frame().map(|(_, end)| end);
    let timeline = PlannedTimeline {
        source_frames: frames.len() as i64,
        output_frames: total,
        tick: timeline.tick(),
        start: first.time,
        last_tick,
        end_tick,
    };
    Ok(Layout { timeline, segments })
}

fn first_time(frames: &[ScannedFrame]) -> Rational {
    frames.first().map_or(Rational::from(0), |frame| frame.time)
}

/// Name of the file of a segment.
pub(super) fn file_name(index: u64, extension: &str) -> String {
    format!("{index:06}.{extension}")
}

/// The source frame to decode from for a segment that starts at `first`, and where to seek.
fn start_of(
    frames: &[ScannedFrame],
    first: i64,
    seek: Option<ContainerTiming>,
    context: i64,
) -> (i64, Option<i64>) {
    let usual = (first - context).max(0);
    if usual == 0 {
        return (0, None);
    }
    let earliest = (usual - FURTHER).max(1);
    let found = (earliest..=usual)
        .rev()
        .find_map(|frame| Some((frame, seek_position(frames, frame, &seek?)?)));
    found.map_or((usual, None), |(frame, micros)| (frame, Some(micros)))
}

/// A position between a frame and the one before it, in µs; `None` if seeking there would not give
/// the frame the same time as decoding from the start.
fn seek_position(frames: &[ScannedFrame], frame: i64, timing: &ContainerTiming) -> Option<i64> {
    let at = usize::try_from(frame).ok()?;
    let (before, here) = (frames.get(at.checked_sub(1)?)?, frames.get(at)?);
    let (earlier, stated) = (before.stated?, here.stated?);
    let mut clock = FrameClock::starting_at(*timing, here.time);
    let same = clock.times.next(Some(stated)) == here.time;
    // Until the times have settled, a frame depends on those before it.
    let micros = ((earlier + stated) / 2 * 1_000_000).floor().to_integer();
    let between = |time: Rational| time * 1_000_000;
    let fits =
        between(earlier) < Rational::from(micros) && Rational::from(micros) < between(stated);
    (same && fits && micros > 0).then_some(micros)
}

/// A hash of the times and checksums of consecutive frames.
#[derive(Debug, Default)]
pub(crate) struct FrameDigest(blake3::Hasher);

impl FrameDigest {
    /// Adds the next frame.
    pub(crate) fn add(&mut self, frame: &ScannedFrame) {
        let stated = frame.stated.unwrap_or(Rational::new_raw(0, 0));
        for number in [stated.numer(), stated.denom(), frame.time.numer(), frame.time.denom()] {
            self.0.update(&number.to_le_bytes());
        }
        self.0.update(&frame.checksum.to_le_bytes());
    }

    /// The hash, in hexadecimal.
    pub(crate) fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}
