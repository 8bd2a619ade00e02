//! Checks a plan that was read: it comes from a file, so nothing in it is certain.

use std::path::Path;

use super::layout::file_name;
use super::{JobPlan, PlannedSegment};

/// The most frames and ticks of a job, so that no sum overflows.
const MOST: i64 = 1 << 52;

/// The most segments: a week of segments of one second.
const MOST_SEGMENTS: usize = 1 << 20;

impl JobPlan {
    /// Checks that the values are possible and fit each other; otherwise returns the reason.
    pub(super) fn check(&self) -> Result<(), String> {
        let [input, output, work_dir] = [&self.input.path, &self.output, &self.work_dir];
        for (name, path) in [("input", input), ("output", output), ("work_dir", work_dir)] {
            absolute(name, path)?;
        }
        let (frames, segments) = (&self.timeline, &self.segments);
        if segments.is_empty() || segments.len() > MOST_SEGMENTS {
            return Err(format!("expected 1 to {MOST_SEGMENTS} segments, got {}", segments.len()));
        }
        for (name, value) in [
            ("source_frames", frames.source_frames),
            ("output_frames", frames.output_frames),
            ("end_tick", frames.end_tick.unwrap_or(1)),
        ] {
            within(name, value, 1, MOST)?;
        }
        within("last_tick", frames.last_tick, 0, frames.end_tick.unwrap_or(MOST))?;
        if *frames.tick.numer() != 1 {
            return Err("expected a tick of 1/n s".into());
        }
        let extension = extension_of(segments.first())?;
        let (mut next, mut tick) = (0, -1);
        for (at, segment) in segments.iter().enumerate() {
            let in_segment = |why: String| format!("segment {at}: {why}");
            self.check_segment(segment, at as u64, [next, tick], &extension).map_err(in_segment)?;
            next += segment.frames;
            tick = segment.last_tick;
            if segment.address != self.address(at) {
                return Err(in_segment(
                    "its address does not match its content: the document was changed".into(),
                ));
            }
        }
        if next != frames.output_frames {
            return Err(format!("the segments have {next} of {} frames", frames.output_frames));
        }
        Ok(())
    }

    fn check_segment(
        &self,
        segment: &PlannedSegment,
        at: u64,
        [next, tick]: [i64; 2],
        extension: &str,
    ) -> Result<(), String> {
        let (frames, source) = (&self.timeline, &segment.source);
        if segment.index != at {
            return Err(format!("expected the index {at}, got {}", segment.index));
        }
        if segment.file != file_name(at, extension) {
            return Err(format!(
                "expected the file name {}, got {:?}",
                file_name(at, extension),
                segment.file
            ));
        }
        within("first_frame", segment.first_frame, next, next)?;
        within("frames", segment.frames, 1, frames.output_frames - next)?;
        within("first_tick", segment.first_tick, tick, frames.last_tick)?;
        within("last_tick", segment.last_tick, segment.first_tick, frames.last_tick)?;
        within("source.first", source.first, 0, frames.source_frames - 1)?;
        within("source.last", source.last, source.first, frames.source_frames - 1)?;
        within("source.decode_from", source.decode_from, 0, source.first)?;
        within("source.frames_before", source.frames_before, 0, segment.first_frame)?;
        within("source.seek_us", source.seek_us.unwrap_or(0), 0, MOST)
    }
}

/// The extension of segment files, from the first of them.
fn extension_of(first: Option<&PlannedSegment>) -> Result<String, String> {
    let name = first.map(|segment| segment.file.as_str()).unwrap_or_default();
    match name.split_once('.') {
        Some((_, extension))
            if (1..=8).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Ok(extension.to_owned())
        }
        _ => Err(format!("segment 0: expected a file name like 000000.mp4, got {name:?}")),
    }
}

fn absolute(name: &str, path: &Path) -> Result<(), String> {
    match path.is_absolute() {
        true => Ok(()),
        false => Err(format!("{name}: expected an absolute path, got {:?}", path.display())),
    }
}

fn within(name: &str, value: i64, least: i64, most: i64) -> Result<(), String> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false if least == most => Err(format!("{name}: expected {least}, got {value}")),
        false => Err(format!("{name}: expected {least} to {most}, got {value}")),
    }
}
