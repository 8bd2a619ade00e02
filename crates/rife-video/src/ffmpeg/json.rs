//! The JSON output of ffprobe, and its number formats.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Rational;

#[derive(Deserialize)]
pub(super) struct RawProbe {
    #[serde(default)]
    pub(super) streams: Vec<RawStream>,
    #[serde(default)]
    pub(super) frames: Vec<RawFrame>,
    #[serde(default)]
    pub(super) chapters: Vec<serde_json::Value>,
    #[serde(default)]
    pub(super) programs: Vec<RawProgram>,
    pub(super) format: Option<RawContainer>,
}

#[derive(Deserialize)]
pub(super) struct RawProgram {
    #[serde(default)]
    pub(super) streams: Vec<RawStream>,
}

#[derive(Deserialize)]
pub(super) struct RawContainer {
    #[serde(default)]
    pub(super) format_name: String,
    pub(super) start_time: Option<String>,
    pub(super) duration: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct RawFrame {
    #[serde(default)]
    pub(super) side_data_list: Vec<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
pub(super) struct RawStream {
    #[serde(default)]
    pub(super) index: usize,
    pub(super) codec_type: Option<String>,
    pub(super) codec_name: Option<String>,
    #[serde(default)]
    pub(super) codec_tag_string: String,
    #[serde(default)]
    pub(super) width: usize,
    #[serde(default)]
    pub(super) height: usize,
    #[serde(default)]
    pub(super) channels: usize,
    pub(super) sample_rate: Option<String>,
    pub(super) pix_fmt: Option<String>,
    pub(super) sample_aspect_ratio: Option<String>,
    pub(super) time_base: Option<String>,
    pub(super) r_frame_rate: Option<String>,
    pub(super) avg_frame_rate: Option<String>,
    pub(super) nb_frames: Option<String>,
    pub(super) duration: Option<String>,
    pub(super) duration_ts: Option<i64>,
    pub(super) start_time: Option<String>,
    pub(super) start_pts: Option<i64>,
    pub(super) color_range: Option<String>,
    pub(super) color_space: Option<String>,
    pub(super) color_primaries: Option<String>,
    pub(super) color_transfer: Option<String>,
    pub(super) chroma_location: Option<String>,
    pub(super) field_order: Option<String>,
    #[serde(default)]
    pub(super) disposition: BTreeMap<String, i64>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) side_data_list: Vec<BTreeMap<String, serde_json::Value>>,
}

/// Finds a tag, ignoring case: Matroska's are in capitals.
pub(super) fn tag<'a>(tags: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Parses `30000/1001`; `None` unless both sides are positive.
pub(super) fn parse_ratio(text: Option<&str>, by: char) -> Option<Rational> {
    let (a, b) = text?.split_once(by)?;
    let (a, b): (i64, i64) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0).then(|| Rational::new(a, b))
}

/// Parses `12.345000` exactly.
pub(super) fn parse_seconds(text: Option<&str>) -> Option<Rational> {
    let text = text?;
    let (text, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.get(..part.len().min(6))?;
    let scale = 10i64.pow(part.len() as u32);
    let whole: i64 = whole.parse().ok().filter(|s| *s < 1 << 32)?;
    let part: i64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let value = Rational::new(whole * scale + part, scale);
    Some(if negative { -value } else { value })
}

/// A time from ticks if given, otherwise from seconds with six decimals.
pub(super) fn exact_time(
    ticks: Option<i64>,
    base: Rational,
    text: Option<&str>,
) -> Option<Rational> {
    let stated = parse_seconds(text)?;
    let ticks = ticks.filter(|ticks| ticks.unsigned_abs() < 1 << 40);
    Some(ticks.map_or(stated, |ticks| base * ticks))
}

/// Parses `00:00:12.345000000` exactly.
pub(super) fn parse_clock(text: &str) -> Option<Rational> {
    let mut parts = text.trim().splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let rest = parse_seconds(parts.next())?;
    ((0..1 << 20).contains(&hours)).then(|| rest + minutes * 60 + hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_parsed_exactly() {
        assert_eq!(parse_seconds(Some("12.345000")), Some(Rational::new(12345, 1000)));
        assert_eq!(parse_seconds(Some("-0.021")), Some(Rational::new(-21, 1000)));
        assert_eq!(parse_seconds(Some("N/A")), None);
        assert_eq!(parse_clock("01:00:02.500000000"), Some(Rational::new(36025, 10)));
        assert_eq!(parse_ratio(Some("0/0"), '/'), None);
        assert_eq!(parse_ratio(Some("30000/1001"), '/'), Some(Rational::new(30000, 1001)));
    }
}
