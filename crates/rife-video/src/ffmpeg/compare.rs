//! HEAD compare

use std::collections::BTreeMap;
use std::path::Path;

use crate::ffmpeg::carry::Carry;
use crate::ffmpeg::colour::default_colour;
use crate::ffmpeg::contents::{self, Contents, Held, Tags};
use crate::ffmpeg::feature::{Feature, Target};
use crate::ffmpeg::media::{Probed, StreamKind};
use crate::ffmpeg::mux::Mux;
use crate::ffmpeg::plan::{self, Code, Fate};
use crate::ffmpeg::probe::probe;
use crate::ffmpeg::programs::Programs;
use crate::ffmpeg::report::{Difference, How, lines};
use crate::ffmpeg::table::Carried;
use crate::{Orientation, Result};

/// What is meant to differ.
struct Intent {
    target: Target,
    fates: Vec<Fate>,
    chapters: Option<&'static str>,
    timecode: Code,
    /// How frames were turned.
    turned: Orientation,
    /// Features whose loss was reported already.
    reported: Vec<Feature>,
}

impl Intent {
    fn of_mux(mux: &Mux<'_>, source: &Probed) -> Option<Self> {
        Some(Self {
            target: Target::of_container(mux.container)?,
            fates: plan::streams(mux, source),
            chapters: plan::chapters(mux),
            timecode: plan::timecode(mux, source),
            turned: mux.turned,
            reported: mux.reported.to_vec(),
        })
    }
}

/// Compares a finished output with its original. Each line starts with what the user loses.
///
/// # Errors
/// When one of the two cannot be read.
pub fn differences(programs: &Programs, mux: &Mux<'_>) -> Result<Vec<String>> {
    let Some((path, source)) = mux.original else { return Ok(Vec::new()) };
    let Some(mut intent) = Intent::of_mux(mux, source) else { return Ok(Vec::new()) };
    let input = contents::read(programs, path, source)?;
    let written = probe(programs, mux.output)?;
    if written.video.codec == "h264" && programs.version < (6, 0) {
        // ffprobe reads these from H.264 since that release only.
        intent.reported.extend([Feature::Mastering, Feature::LightLevels]);
    }
    let output = contents::read(programs, mux.output, &written)?;
    Ok(lines(&compare(&input, Some(&output), &intent)))
}

/// What a video will lose, as far as that is known before it is written.
///
/// # Errors
/// When the original cannot be read.
pub fn expected_losses(programs: &Programs, mux: &Mux<'_>) -> Result<Vec<String>> {
    let Some((path, source)) = mux.original else { return Ok(Vec::new()) };
    let Some(intent) = Intent::of_mux(mux, source) else { return Ok(Vec::new()) };
    let input = contents::read(programs, path, source)?;
    Ok(lines(&compare(&input, None, &intent)))
}

/// What an output that is not a container loses of a file.
///
/// # Errors
/// When the file cannot be read.
pub fn losses_without_container(
    programs: &Programs,
    path: &Path,
    source: &Probed,
    target: Target,
    reported: &[Feature],
) -> Result<Vec<String>> {
    let input = contents::read(programs, path, source)?;
    let why = |feature| match target.carries(feature) {
        Carried::No(why) | Carried::Some(why) => why,
        _ => "the output does not hold it",
    };
    let fates = source.streams.iter().map(|stream| match stream {
        main if main.index == source.video.index => Fate::Main,
        stream if plan::implied(stream, source) => Fate::Implied,
        stream => Fate::Left(why(plan::feature(stream.kind)).into()),
    });
    let intent = Intent {
        target,
        fates: fates.collect(),
        chapters: Some(why(Feature::Chapters)),
        timecode: match source.video.timecode {
            Some(_) => Code::Left(why(Feature::Timecode).into()),
            None => Code::None,
        },
        turned: source.video.orientation.unwrap_or(Orientation::IDENTITY),
        reported: reported.to_vec(),
    };
    Ok(lines(&compare(&input, None, &intent)))
}

/// All differences that are not intended. Without an output, those that the table expects.
fn compare(input: &Contents, output: Option<&Contents>, intent: &Intent) -> Vec<Difference> {
    let mut found = Findings { intent, differences: Vec::new() };
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
    intent: &'a Intent,
    differences: Vec<Difference>,
}

impl Findings<'_> {
    fn add(&mut self, how: How, feature: Feature, what: String, why: impl Into<String>) {
        if !self.intent.reported.contains(&feature) {
            self.differences.push(Difference { how, feature, what, why: why.into() });
        }
    }

    /// Something that the output does not have. The table says why.
    fn lost(&mut self, feature: Feature, what: String) {
        match self.intent.target.carries(feature) {
            Carried::Intended => {}
            Carried::No(why) | Carried::Some(why) => self.add(How::Lost, feature, what, why),
            Carried::Yes | Carried::Converted => {
                let why = format!("missing from the {} output", self.intent.target);
                self.add(How::Lost, feature, what, why);
            }
        }
    }

    /// Whether something is lost without looking at the output.
    fn expected(&self, feature: Feature) -> bool {
        matches!(self.intent.target.carries(feature), Carried::No(_))
    }

    fn streams(&mut self, input: &Contents, output: Option<&Contents>) {
        let mut seen: BTreeMap<Feature, usize> = BTreeMap::new();
        for (stream, fate) in input.streams.iter().zip(&self.intent.fates) {
            let feature = plan::feature(stream.kind);
            let mut first = true;
            let other = match fate {
                Fate::Main => output.and_then(Contents::main),
                Fate::Implied => continue,
                Fate::Left(why) => {
                    self.add(How::Lost, feature, name(stream), why.clone());
                    continue;
                }
                Fate::Carried(_) => {
                    let number = seen.entry(feature).or_default();
                    *number += 1;
                    first = *number == 1;
                    let of_kind = |other: &&Held| {
                        let chapters = other.kind == StreamKind::Data && other.tag != stream.tag;
                        other.kind == stream.kind && !chapters
                    };
                    output.and_then(|output| output.streams.iter().filter(of_kind).nth(*number - 1))
                }
            };
            let Some(other) = other else {
                if output.is_some() {
                    self.lost(feature, name(stream));
                } else {
                    self.expected_of_stream(stream, fate);
                }
                continue;
            };
            self.stream(stream, other, fate, first);
        }
    }

    /// What is known of a stream before it is written.
    fn expected_of_stream(&mut self, stream: &Held, fate: &Fate) {
        if let Fate::Carried(Carry::Encoded(encoder, _)) = fate {
            let what = format!("{} to {encoder}", stream.codec);
            self.codec(plan::feature(stream.kind), what);
        }
        let of = format!(" of stream {}", stream.index);
        if self.expected(Feature::StreamTag) {
            for key in stream.tags.keys() {
                self.lost(Feature::StreamTag, format!("{key}{of}"));
            }
        }
        if self.expected(Feature::Disposition) {
            for flag in stream.dispositions.iter().filter(|flag| *flag != "default") {
                self.lost(Feature::Disposition, format!("{flag}{of}"));
            }
        }
    }

    /// A stream that had to be encoded anew.
    fn codec(&mut self, feature: Feature, what: String) {
        let why = format!("{} does not hold the codec", self.intent.target);
        self.add(How::Changed, feature, what, why);
    }

    fn stream(&mut self, stream: &Held, other: &Held, fate: &Fate, first: bool) {
        let feature = plan::feature(stream.kind);
        let main = *fate == Fate::Main;
        if !main && stream.codec != other.codec {
            self.codec(feature, format!("{} to {}", stream.codec, other.codec));
        }
        if stream.channels != other.channels {
            let what = format!("{} to {} channels", stream.channels, other.channels);
            self.codec(feature, what);
        }
        let of = format!(" of stream {}", stream.index);
        self.tags(Feature::StreamTag, &of, &stream.tags, Some(&other.tags));
        for flag in stream.dispositions.difference(&other.dispositions) {
            // Where there are no flags, players start with the first stream of a kind.
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
                Some(Some(other)) if same(key, value, other) => {}
                Some(Some(other)) => {
                    let what = format!("{key}{of} from {value:?} to {other:?}");
                    self.add(How::Changed, feature, what, "the container writes it otherwise");
                }
                Some(None) => self.lost(feature, format!("{key}{of}")),
                None if self.expected(feature) => self.lost(feature, format!("{key}{of}")),
                None => {}
            }
        }
    }

    fn chapters(&mut self, input: &Contents, output: Option<&Contents>) {
        let count = input.chapters.len();
        if let Some(why) = self.intent.chapters {
            for (_, title) in &input.chapters {
                self.add(How::Lost, Feature::Chapters, title.clone(), why);
            }
            return;
        }
        let Some(output) = output else { return };
        for (at, (_, title)) in input.chapters.iter().enumerate() {
            match output.chapters.get(at) {
                None => self.lost(Feature::Chapters, title.clone()),
                Some((_, other)) if other != title => {
                    let what =
                        format!("title of {} of {count} from {title:?} to {other:?}", at + 1);
                    self.add(
                        How::Changed,
                        Feature::Chapters,
                        what,
                        "the container writes it otherwise",
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// A property of the main video stream.
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
            Feature::Orientation if self.intent.turned != Orientation::IDENTITY => return,
            // Of samples that become luma and chroma, or that have no chroma.
            Feature::Range | Feature::Matrix | Feature::ChromaLocation if input.rgb => return,
            _ => {}
        }
        let expected = match feature {
            Feature::SampleAspect if self.intent.turned.swaps() => {
                let (x, y) = value.split_once(':').unwrap_or((value, "1"));
                format!("{y}:{x}")
            }
            _ => value.to_owned(),
        };
        let Some(output) = output else {
            let lost =
                self.expected(feature) && !is_default(feature, value, self.intent.target, input);
            return if lost {
                self.lost(feature, described())
            };
        };
        match output.video.get(&feature) {
            Some(other) if *other == expected => {}
            Some(other) => {
                let what = format!("from {value} to {other}");
                self.add(
                    How::Changed,
                    feature,
                    what,
                    "the encoder or the container writes it otherwise",
                );
            }
            None if is_default(feature, value, self.intent.target, input) => {}
            None => self.lost(feature, described()),
        }
    }

    fn timecode(&mut self, value: &str, output: Option<&Contents>) {
        let intent = self.intent;
        let found = output.and_then(|output| output.video.get(&Feature::Timecode));
        match &intent.timecode {
            Code::None => {}
            Code::Left(why) => self.add(How::Lost, Feature::Timecode, value.into(), why.clone()),
            Code::Exact(code) | Code::Nearest(code) => {
                if output.is_some() && found != Some(code) {
                    self.lost(Feature::Timecode, value.into());
                } else if code != value {
                    let what = format!("from {value} to {code}");
                    let why = match intent.timecode {
                        Code::Nearest(_) => "no frame at the new rate has exactly this time",
                        _ => "it counts frames at the new rate, and labels the same moment",
                    };
                    self.add(How::Changed, Feature::Timecode, what, why);
                }
            }
        }
    }
}

/// Whether a property has the value that players assume for an untagged stream.
fn is_default(feature: Feature, value: &str, target: Target, input: &Contents) -> bool {
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

/// Whether two values of a tag mean the same.
fn same(key: &str, a: &str, b: &str) -> bool {
    match key {
        // Fractions of a second come and go.
        "creation_time" => a.get(..19) == b.get(..19),
        _ => a == b,
    }
}

/// How a stream is called in a list.
fn name(stream: &Held) -> String {
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
        assert!(same("creation_time", "2020-01-02T03:04:05Z", "2020-01-02T03:04:05.000000Z"));
        assert!(!same("title", "a", "b"));
    }
}
