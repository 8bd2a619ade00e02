//! Compares an output with its original, and reports what was lost.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ffmpeg::carry::Transfer;
use crate::ffmpeg::colour::default_colour;
use crate::ffmpeg::contents::{self, Contents, StreamContents, Tags};
use crate::ffmpeg::feature::{Feature, Target};
use crate::ffmpeg::media::{Probed, StreamKind};
use crate::ffmpeg::mux::Mux;
use crate::ffmpeg::plan::{self, StreamPlan, TimecodePlan};
use crate::ffmpeg::programs::Programs;
use crate::ffmpeg::report::{Change, Difference, report_lines};
use crate::ffmpeg::table::Support;
use crate::{Orientation, Result};

/// Intended differences.
struct Expectations {
    target: Target,
    streams: Vec<StreamPlan>,
    chapters: Option<&'static str>,
    timecode: TimecodePlan,
    /// Rotation that was applied to the frames.
    applied_orientation: Orientation,
    /// Features whose loss has been reported.
    reported: Vec<Feature>,
}

impl Expectations {
    fn new(mux: &Mux<'_>, source: &Probed) -> Option<Self> {
        Some(Self {
            target: Target::from_extension(mux.container)?,
            streams: plan::streams(mux, source),
            chapters: plan::chapters(mux),
            timecode: plan::timecode(mux, source),
            applied_orientation: mux.applied_orientation,
            reported: mux.reported.to_vec(),
        })
    }
}

/// Compares a finished output with its original. Returns one line per loss.
///
/// # Errors
/// If one of the files cannot be read.
pub fn differences(programs: &Programs, mux: &Mux<'_>) -> Result<Vec<String>> {
    let Some((path, source)) = mux.original else { return Ok(Vec::new()) };
    let Some(mut expectations) = Expectations::new(mux, source) else { return Ok(Vec::new()) };
    let input = contents::read_part(programs, path, source, mux.cut)?;
    let (written, output) = contents::probe_and_read(programs, mux.output)?;
    if written.video.codec == "h264" && programs.version < (6, 0) {
        // ffprobe reads these from H.264 since 6.0.
        expectations.reported.extend([Feature::Mastering, Feature::LightLevels]);
    }
    Ok(report_lines(&compare(&input, Some(&output), &expectations)))
}

/// The losses known before the output is written, one line each.
///
/// # Errors
/// If the original cannot be read.
pub fn expected_losses(programs: &Programs, mux: &Mux<'_>) -> Result<Vec<String>> {
    let Some((path, source)) = mux.original else { return Ok(Vec::new()) };
    let Some(expectations) = Expectations::new(mux, source) else { return Ok(Vec::new()) };
    let input = contents::read_part(programs, path, source, mux.cut)?;
    Ok(report_lines(&compare(&input, None, &expectations)))
}

/// The losses in an output that is not a container, one line each.
///
/// # Errors
/// If the file cannot be read.
pub fn losses_without_container(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    target: Target,
    reported: &[Feature],
) -> Result<Vec<String>> {
    let input = contents::read(programs, path, source)?;
    let reason = |feature| match target.support(feature) {
        Support::No(reason) | Support::Partial(reason) => reason,
        _ => "the output does not hold it",
    };
    let streams = source.streams.iter().map(|stream| match stream {
        main if main.index == source.video.index => StreamPlan::Main,
        stream if plan::implied(stream, source) => StreamPlan::Implied,
        stream => StreamPlan::Drop(reason(plan::feature(stream.kind)).into()),
    });
    let expectations = Expectations {
        target,
        streams: streams.collect(),
        chapters: Some(reason(Feature::Chapters)),
        timecode: match source.video.timecode {
            Some(_) => TimecodePlan::Drop(reason(Feature::Timecode).into()),
            None => TimecodePlan::None,
        },
        applied_orientation: source.video.orientation.unwrap_or(Orientation::IDENTITY),
        reported: reported.to_vec(),
    };
    Ok(report_lines(&compare(&input, None, &expectations)))
}

/// Returns all unintended differences; without an output, those that the table predicts.
fn compare(
    input: &Contents,
    output: Option<&Contents>,
    expectations: &Expectations,
) -> Vec<Difference> {
    let mut found = Findings { expectations, differences: Vec::new() };
    found.streams(input, output);
    found.tags(Feature::Tag, "", &input.tags, output.map(|output| &output.tags));
    found.chapters(input, output);
    for program in &input.programs {
        found.lost(Feature::Program, program.clone());
    }
    for (feature, value) in &input.video {
        found.property(*feature, value, input, output);
    }
    found.differences
}

struct Findings<'a> {
    expectations: &'a Expectations,
    differences: Vec<Difference>,
}

impl Findings<'_> {
    fn add(&mut self, change: Change, feature: Feature, item: String, reason: impl Into<String>) {
        if !self.expectations.reported.contains(&feature) {
            self.differences.push(Difference { change, feature, item, reason: reason.into() });
        }
    }

    /// Adds a feature that the output lacks, with the reason from the table.
    fn lost(&mut self, feature: Feature, item: String) {
        match self.expectations.target.support(feature) {
            Support::Intended => {}
            Support::No(reason) | Support::Partial(reason) => {
                self.add(Change::Lost, feature, item, reason)
            }
            Support::Yes | Support::Converted => {
                let reason = format!("missing from the {} output", self.expectations.target);
                self.add(Change::Lost, feature, item, reason);
            }
        }
    }

    /// Whether the target never supports the feature.
    fn is_always_lost(&self, feature: Feature) -> bool {
        matches!(self.expectations.target.support(feature), Support::No(_))
    }

    fn streams(&mut self, input: &Contents, output: Option<&Contents>) {
        let mut seen: BTreeMap<Feature, usize> = BTreeMap::new();
        for (stream, plan) in input.streams.iter().zip(&self.expectations.streams) {
            let feature = plan::feature(stream.kind);
            let mut first = true;
            let other = match plan {
                StreamPlan::Main => output.and_then(Contents::main),
                StreamPlan::Implied => continue,
                StreamPlan::Drop(reason) => {
                    self.add(Change::Lost, feature, stream_name(stream), reason.clone());
                    continue;
                }
                StreamPlan::Keep(_) => {
                    let number = seen.entry(feature).or_default();
                    *number += 1;
                    first = *number == 1;
                    let of_kind = |other: &&StreamContents| {
                        let chapters = other.kind == StreamKind::Data && other.tag != stream.tag;
                        other.kind == stream.kind && !chapters
                    };
                    output.and_then(|output| output.streams.iter().filter(of_kind).nth(*number - 1))
                }
            };
            let Some(other) = other else {
                if output.is_some() {
                    self.lost(feature, stream_name(stream));
                } else {
                    self.predict_stream(stream, plan);
                }
                continue;
            };
            self.stream(stream, other, plan, first);
        }
    }

    /// Predicts the losses of a stream before the output is written.
    fn predict_stream(&mut self, stream: &StreamContents, plan: &StreamPlan) {
        if let StreamPlan::Keep(Transfer::Encode(encoder, _)) = plan {
            let item = format!("{} to {encoder}", stream.codec);
            self.codec(plan::feature(stream.kind), item);
        }
        let of = format!(" of stream {}", stream.index);
        if self.is_always_lost(Feature::StreamTag) {
            for key in stream.tags.keys() {
                self.lost(Feature::StreamTag, format!("{key}{of}"));
            }
        }
        if self.is_always_lost(Feature::Disposition) {
            for flag in stream.dispositions.iter().filter(|flag| *flag != "default") {
                self.lost(Feature::Disposition, format!("{flag}{of}"));
            }
        }
    }

    /// Adds a stream that had to be re-encoded.
    fn codec(&mut self, feature: Feature, item: String) {
        let reason = format!("{} does not hold the codec", self.expectations.target);
        self.add(Change::Changed, feature, item, reason);
    }

    fn stream(
        &mut self,
        stream: &StreamContents,
        other: &StreamContents,
        plan: &StreamPlan,
        first: bool,
    ) {
        let feature = plan::feature(stream.kind);
        let main = *plan == StreamPlan::Main;
        if !main && stream.codec != other.codec {
            self.codec(feature, format!("{} to {}", stream.codec, other.codec));
        }
        if stream.channels != other.channels {
            let item = format!("{} to {} channels", stream.channels, other.channels);
            self.codec(feature, item);
        }
        let of = format!(" of stream {}", stream.index);
        self.tags(Feature::StreamTag, &of, &stream.tags, Some(&other.tags));
        for flag in stream.dispositions.difference(&other.dispositions) {
            // Without flags, players choose the first stream of a kind.
            if flag != "default" || !first {
                self.lost(Feature::Disposition, format!("{flag}{of}"));
            }
        }
        if !main {
            for data in stream.side_data.difference(&other.side_data) {
                self.lost(Feature::SideData, format!("{data}{of}"));
            }
        }
    }

    fn tags(&mut self, feature: Feature, of: &str, input: &Tags, output: Option<&Tags>) {
        for (key, value) in input {
            match output.map(|output| output.get(key)) {
                Some(Some(other)) if same_tag_value(key, value, other) => {}
                Some(Some(other)) => {
                    let item = format!("{key}{of} from {value:?} to {other:?}");
                    self.add(Change::Changed, feature, item, "the container stores it differently");
                }
                Some(None) => self.lost(feature, format!("{key}{of}")),
                None if self.is_always_lost(feature) => self.lost(feature, format!("{key}{of}")),
                None => {}
            }
        }
    }

    fn chapters(&mut self, input: &Contents, output: Option<&Contents>) {
        let count = input.chapters.len();
        if let Some(reason) = self.expectations.chapters {
            for (_, title) in &input.chapters {
                self.add(Change::Lost, Feature::Chapters, title.clone(), reason);
            }
            return;
        }
        let Some(output) = output else { return };
        for (at, (_, title)) in input.chapters.iter().enumerate() {
            match output.chapters.get(at) {
                None => self.lost(Feature::Chapters, title.clone()),
                Some((_, other)) if other != title => {
                    let item =
                        format!("title of {} of {count} from {title:?} to {other:?}", at + 1);
                    self.add(
                        Change::Changed,
                        Feature::Chapters,
                        item,
                        "the container stores it differently",
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// Compares a property of the main video stream.
    fn property(
        &mut self,
        feature: Feature,
        value: &str,
        input: &Contents,
        output: Option<&Contents>,
    ) {
        let described = || value.to_owned();
        match feature {
            Feature::Timecode => return self.timecode(value, output),
            Feature::Orientation
                if self.expectations.applied_orientation != Orientation::IDENTITY =>
            {
                return;
            }
            // RGB is converted to YUV, or has no chroma.
            Feature::Range | Feature::Matrix | Feature::ChromaLocation if input.rgb => return,
            _ => {}
        }
        let expected = match feature {
            Feature::SampleAspect if self.expectations.applied_orientation.swaps_dimensions() => {
                let (x, y) = value.split_once(':').unwrap_or((value, "1"));
                format!("{y}:{x}")
            }
            _ => value.to_owned(),
        };
        let Some(output) = output else {
            let lost = self.is_always_lost(feature)
                && !is_assumed_default(feature, value, self.expectations.target, input);
            return if lost {
                self.lost(feature, described())
            };
        };
        match output.video.get(&feature) {
            Some(other) if *other == expected => {}
            Some(other) => {
                let item = format!("from {value} to {other}");
                self.add(
                    Change::Changed,
                    feature,
                    item,
                    "the encoder or the container stores it differently",
                );
            }
            None if is_assumed_default(feature, value, self.expectations.target, input) => {}
            None => self.lost(feature, described()),
        }
    }

    fn timecode(&mut self, value: &str, output: Option<&Contents>) {
        let expectations = self.expectations;
        let found = output.and_then(|output| output.video.get(&Feature::Timecode));
        match &expectations.timecode {
            TimecodePlan::None => {}
            TimecodePlan::Drop(reason) => {
                self.add(Change::Lost, Feature::Timecode, value.into(), reason.clone())
            }
            TimecodePlan::Exact(code) | TimecodePlan::Nearest(code) => {
                if output.is_some() && found != Some(code) {
                    self.lost(Feature::Timecode, value.into());
                } else if code != value {
                    let item = format!("from {value} to {code}");
                    let reason = match expectations.timecode {
                        TimecodePlan::Nearest(_) => {
                            "no frame at the new rate has exactly this time"
                        }
                        _ => "it counts frames at the new rate, and labels the same moment",
                    };
                    self.add(Change::Changed, Feature::Timecode, item, reason);
                }
            }
        }
    }
}

/// Whether players assume this value for an untagged stream.
fn is_assumed_default(feature: Feature, value: &str, target: Target, input: &Contents) -> bool {
    let file = target.is_container();
    let sdr = ["bt709", "smpte170m", "bt470bg", "bt470m", "iec61966-2-1"].contains(&value);
    match feature {
        Feature::Range => value == "tv",
        Feature::ChromaLocation => value == "left" || !input.subsampled,
        Feature::Primaries | Feature::Transfer => !file && sdr,
        Feature::Matrix => !file && default_colour(input.size).matrix.as_deref() == Some(value),
        _ => false,
    }
}

/// Whether two tag values are equivalent.
fn same_tag_value(key: &str, a: &str, b: &str) -> bool {
    match key {
        // Containers differ in fractions of a second.
        "creation_time" => a.get(..19) == b.get(..19),
        _ => a == b,
    }
}

/// Name of a stream in a report.
fn stream_name(stream: &StreamContents) -> String {
    let file = stream.tags.get("filename");
    match (file, stream.codec.as_str(), stream.tag.as_str()) {
        (Some(file), ..) => file.clone(),
        (_, "", tag) | (_, "bin_data" | "unknown", tag) if tag.is_ascii() && !tag.contains('[') => {
            if tag.is_empty() {
                "unknown".into()
            } else {
                tag.to_owned()
            }
        }
        (_, "", _) => "unknown".into(),
        (_, codec, _) => codec.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creation_times_are_equal_to_the_second() {
        assert!(same_tag_value(
            "creation_time",
            "2020-01-02T03:04:05Z",
            "2020-01-02T03:04:05.000000Z"
        ));
        assert!(!same_tag_value("title", "a", "b"));
    }
}
