//! Cuts the other streams of the original to the part of the video that was interpolated.

use std::collections::BTreeMap;
use std::process::Command;

use crate::Rational;
use crate::ffmpeg::carry::Transfer;
use crate::ffmpeg::decode::microseconds;
use crate::ffmpeg::json::{parse_seconds, tag};
use crate::ffmpeg::media::{Probed, StreamKind};
use crate::ffmpeg::programs::Programs;

/// The part of the original that the video shows, in ffmpeg's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Time of the first frame, in s, which becomes 0; or 0 if the start is kept.
    pub start: Rational,
    /// Length of the part, in s; `None` if the end is kept.
    pub length: Option<Rational>,
}

/// How long before a part reading starts, in s: a subtitle that is shown at the start of the part
/// begins before it.
const SUBTITLES_S: i64 = 15;

/// How long after the end of a part reading may go on, in s. Ends the read of a long file; streams
/// are cut exactly by other means.
const READ_S: i64 = 30;

/// Whether a packet ends before the part, as an expression of ffmpeg. Without a duration, it lasts
/// until the next one.
const NOT_SHOWN: &str = "if(gt(d,0),lte(pts+d,0),lt(pts,0))";

/// Name of the file with the chapters, in the folder of the segment list.
pub(super) const CHAPTERS: &str = "unfinished-chapters.txt";

/// A shorter rest of a chapter is the rounding error of its end, in s.
const SHORTEST_CHAPTER: (i64, i64) = (1, 500);

/// A chapter, in ffmpeg's times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chapter {
    start: Rational,
    end: Rational,
    tags: BTreeMap<String, String>,
}

impl Chapter {
    /// Reads a chapter that ffprobe printed, of a file that starts at `origin`, in s.
    pub(super) fn of(raw: &serde_json::Value, origin: Rational) -> Option<Self> {
        let time = |key: &str| parse_seconds(raw.get(key)?.as_str());
        let tags = raw.get("tags").and_then(serde_json::Value::as_object);
        let tags = tags.into_iter().flatten();
        Some(Self {
            start: time("start_time")? - origin,
            end: time("end_time")? - origin,
            tags: tags
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        })
    }

    /// The title, or nothing.
    pub(super) fn title(&self) -> String {
        tag(&self.tags, "title").map(|title| title.trim().to_owned()).unwrap_or_default()
    }
}

impl Cut {
    /// Adds the options that precede the original. `encodes` states whether audio is encoded.
    pub(super) fn limit_input(&self, command: &mut Command, source: &Probed, encodes: bool) {
        let zero = Rational::from(0);
        let seek = (self.start - SUBTITLES_S).max(zero);
        let seek = if source.seeks() { seek } else { zero };
        if seek > zero {
            command.args(["-ss", &microseconds(seek)]);
        }
        if self.start > zero {
            command.args(["-itsoffset", &microseconds(seek - self.start)]);
        }
        if let Some(length) = self.length {
            // ffmpeg counts the length of decoded audio from where it starts to read.
            let before = if encodes && seek == zero { self.start } else { zero };
            command.args(["-t", &microseconds(length + before)]);
        }
    }

    /// Adds the option that ends the read of a long file, after all streams.
    pub(super) fn limit_output(&self, command: &mut Command) {
        if let Some(length) = self.length {
            command.args(["-t", &microseconds(length + READ_S)]);
        }
    }

    /// Adds the options that cut a stream of the output, which `specifier` selects.
    pub(super) fn cut_stream(
        &self,
        command: &mut Command,
        kind: StreamKind,
        specifier: &str,
        transfer: &Transfer,
        clips: Clips,
    ) {
        let encoded = matches!(transfer, Transfer::Encode(..));
        let filter = match clips {
            Clips::All => Some(self.clip_filter()),
            Clips::Copied { unit } if encoded => Some(self.drop_filter(unit)),
            Clips::Copied { .. } => Some(self.clip_filter()),
            Clips::None => None,
        };
        let copy_before = format!("-copypriorss:{specifier}");
        match (kind, filter) {
            (StreamKind::Subtitle, Some(filter)) => {
                command.args([copy_before, "1".into(), format!("-bsf:{specifier}"), filter]);
            }
            (StreamKind::Audio | StreamKind::Subtitle | StreamKind::Data, _) => {
                command.args([copy_before, "0".into()]);
            }
            // Pictures and attachments have no time.
            (StreamKind::Picture | StreamKind::Video | StreamKind::Attachment, _) => {}
        }
    }

    /// Bitstream filter that drops packets which are not entirely within the part. `unit` is the
    /// unit of their times.
    fn drop_filter(&self, unit: &str) -> String {
        let end = self.length.map(|length| {
            let length = crate::part::seconds(length);
            format!("+gt((pts+d)*{unit},{length})+gte(pts*{unit},{length})")
        });
        escape_commas(&format!("noise=drop=lt(pts,0){}", end.unwrap_or_default()))
    }

    /// Bitstream filters that drop packets outside the part, and shorten those that extend beyond
    /// it.
    fn clip_filter(&self) -> String {
        let (mut drop, mut end) = (NOT_SHOWN.to_owned(), "PTS+DURATION".to_owned());
        if let Some(length) = self.length {
            let length = crate::part::seconds(length);
            drop += &format!("+gte(pts*tb,{length})");
            end = format!("min({end},round({length}/TB))");
        }
        // A subtitle without a duration lasts until the next one.
        let duration = format!("if(DURATION,{end}-max(PTS,0),0)");
        let (drop, pts, dts) = (escape_commas(&drop), "max(PTS\\,0)", "max(DTS\\,0)");
        let duration = escape_commas(&duration);
        format!("noise=drop={drop},setts=pts={pts}:dts={dts}:duration={duration}")
    }

    /// Cuts audio that is encoded, with the filter among its options.
    pub(super) fn cut_encoded(&self, transfer: &mut Transfer) {
        let Transfer::Encode(_, options) = transfer else { return };
        let mut filter = "atrim=start=0".to_owned();
        if let Some(length) = self.length {
            filter += &format!(":end={}", crate::part::seconds(length));
        }
        match options.iter_mut().find(|(name, _)| *name == "filter") {
            Some((_, value)) => *value = format!("{filter},{value}"),
            None => options.push(("filter", filter)),
        }
    }

    /// The chapters of the part, with times of the output.
    pub(super) fn chapters(&self, source: &Probed) -> Vec<Chapter> {
        let shortest = Rational::new(SHORTEST_CHAPTER.0, SHORTEST_CHAPTER.1);
        let cut = |chapter: &Chapter| {
            let start = (chapter.start - self.start).max(Rational::from(0));
            let end = chapter.end - self.start;
            let end = self.length.map_or(end, |length| end.min(length));
            let kept = end - start >= shortest || chapter.end - chapter.start < shortest;
            (kept && end >= start).then(|| Chapter { start, end, ..chapter.clone() })
        };
        source.chapter_list.iter().filter_map(cut).collect()
    }

    /// The chapters as a file for ffmpeg.
    pub(super) fn chapters_file(&self, source: &Probed) -> String {
        let mut text = String::from(";FFMETADATA1\n");
        let micros = |time: Rational| (time * 1_000_000).round().to_integer();
        for chapter in self.chapters(source) {
            let (start, end) = (micros(chapter.start), micros(chapter.end));
            text += &format!("[CHAPTER]\nTIMEBASE=1/1000000\nSTART={start}\nEND={end}\n");
            for (key, value) in &chapter.tags {
                text += &format!("{}={}\n", escape(key), escape(value));
            }
        }
        text
    }
}

/// Escapes the commas of an expression, which would separate filters.
fn escape_commas(expression: &str) -> String {
    expression.replace(',', "\\,")
}

/// Escapes a word of a metadata file.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '=' | ';' | '#' | '\\' | '\n') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Which subtitles can be shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clips {
    All,
    /// Those that are copied: before 7.0, ffmpeg loses the last packet of the others.
    Copied {
        /// The unit in which the filters see the times of the others, as an expression.
        unit: &'static str,
    },
    /// None: releases before 5.0 cannot drop packets by an expression.
    None,
}

impl Programs {
    /// Which subtitles can be shortened in a container.
    pub(super) fn clips(&self, container: &str) -> Clips {
        let filters = self.version >= (5, 0)
            && self.filter_has("noise", "-drop ")
            && self.filter_has("setts", "-duration");
        match filters {
            true if self.version >= (7, 0) => Clips::All,
            // These releases state microseconds, whatever the unit of the container.
            true if matches!(container, "mkv" | "webm") => Clips::Copied { unit: "0.001" },
            true => Clips::Copied { unit: "tb" },
            false => Clips::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_subtitles_have_escaped_commas_within_expressions_only() {
        let cut = |length| Cut { start: Rational::from(3), length };
        assert_eq!(
            cut(None).clip_filter(),
            "noise=drop=if(gt(d\\,0)\\,lte(pts+d\\,0)\\,lt(pts\\,0)),\
             setts=pts=max(PTS\\,0):dts=max(DTS\\,0):duration=if(DURATION\\,PTS+DURATION-max(PTS\\,0)\\,0)"
        );
        let limited = cut(Some(Rational::new(5, 2))).clip_filter();
        assert!(limited.contains("gte(pts*tb\\,2.5)"), "{limited}");
        let dropped = cut(Some(Rational::new(5, 2))).drop_filter("tb");
        let expected = "noise=drop=lt(pts\\,0)+gt((pts+d)*tb\\,2.5)+gte(pts*tb\\,2.5)";
        assert_eq!(dropped, expected);
        assert!(limited.contains("min(PTS+DURATION\\,round(2.5/TB))"), "{limited}");
    }

    #[test]
    fn encoded_audio_is_trimmed_before_other_filters() {
        let cut = Cut { start: Rational::from(3), length: Some(Rational::from(2)) };
        let mut transfer = Transfer::Encode("libopus", vec![("filter", "aformat=x".into())]);
        cut.cut_encoded(&mut transfer);
        let filter = vec![("filter", "atrim=start=0:end=2,aformat=x".to_owned())];
        assert_eq!(transfer, Transfer::Encode("libopus", filter));
    }

    #[test]
    fn metadata_is_escaped() {
        assert_eq!(escape("a=b;c#d\\e\nf"), "a\\=b\\;c\\#d\\\\e\\\nf");
    }
}
