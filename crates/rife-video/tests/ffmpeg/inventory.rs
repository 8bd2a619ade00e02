//! The properties of a file, read from ffprobe's JSON without the code under test.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::ffprobe;

/// Properties of a file. The key identifies a property, and is the same in an output that keeps it.
/// The value lists the words that a report of its loss must contain.
pub type Properties = BTreeMap<String, Vec<String>>;

/// Tags about how a file was written, which differ between files.
const WRITER_TAGS: &[&str] = &[
    "encoder",
    "duration",
    "major_brand",
    "minor_version",
    "compatible_brands",
    "handler_name",
    "vendor_id",
    "alpha_mode",
    "rotate",
    "timecode",
];

fn probe_json(dir: &Path, args: &str) -> Value {
    serde_json::from_str(&ffprobe(dir, &format!("{args} -of json"))).unwrap()
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    let tags = value["tags"].as_object().into_iter().flatten();
    let tags = tags.filter_map(|(key, value)| {
        let key = key.to_lowercase();
        let key = key.strip_suffix("-eng").unwrap_or(&key).to_owned();
        let value = value.as_str()?;
        let value = if key == "creation_time" { &value[..19] } else { value };
        if key == "software" && value.starts_with("Lavf") {
            return None;
        }
        let is_content =
            !WRITER_TAGS.contains(&key.as_str()) && (key.as_str(), value) != ("language", "und");
        is_content.then(|| (key, value.to_owned()))
    });
    tags.collect()
}

/// Everything that a file contains except samples and timestamps.
pub fn properties(dir: &Path, file: &str) -> Properties {
    let all = probe_json(
        dir,
        &format!("-show_format -show_streams -show_chapters -show_programs {file}"),
    );
    let first =
        probe_json(dir, &format!("-show_frames -select_streams v:0 -read_intervals %+#1 {file}"));
    let mut properties = Properties::new();
    let mut add = |key: String, words: &[&str]| {
        properties.insert(key, words.iter().map(|word| (*word).to_owned()).collect());
    };
    let mut timecode = None;
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for stream in array(&all, "streams") {
        if let Some((_, code)) = stream["tags"]
            .as_object()
            .into_iter()
            .flatten()
            .find(|(key, _)| key.eq_ignore_ascii_case("timecode"))
        {
            timecode = code.as_str().map(str::to_owned);
        }
        let cover = stream["disposition"]["attached_pic"] == 1;
        let tag = stream["codec_tag_string"].as_str().unwrap_or_default();
        let kind = match stream["codec_type"].as_str().unwrap() {
            "video" if cover => "cover",
            "audio" => "audio stream",
            "subtitle" => "subtitle stream",
            "video" => "video stream",
            "attachment" => "attachment",
            // QuickTime's tracks of timecode and chapters.
            "data" if tag == "tmcd" || tag == "text" => continue,
            _ => "data stream",
        };
        let number = numbers.entry(kind).or_default();
        *number += 1;
        let main = kind == "video stream" && *number == 1;
        let name = format!("{kind} {number}");
        let of_stream = format!("of stream {}", stream["index"]);
        let codec = stream["codec_name"].as_str().unwrap_or_default();
        if !main {
            let label = stream["tags"]["filename"].as_str().unwrap_or(codec);
            // Reports do not name the codec of data.
            let label = if kind == "data stream" { "" } else { label };
            add(name.clone(), &[kind, label]);
            // Covers and attachments are copied byte by byte: their codec is not compared.
            if !matches!(kind, "cover" | "attachment") {
                add(format!("{name} as {codec}"), &[kind, codec]);
            }
        }
        for (key, value) in tags(stream) {
            add(format!("{name}: {key} is {value}"), &[&format!("{key} {of_stream}")]);
        }
        for (flag, set) in stream["disposition"].as_object().unwrap() {
            if *set == 1 && flag != "attached_pic" {
                add(format!("{name} is {flag}"), &[&format!("{flag} {of_stream}")]);
            }
        }
        if main {
            for (key, word) in [
                ("sample_aspect_ratio", "pixel aspect ratio"),
                ("color_primaries", "colour primaries"),
                ("color_transfer", "transfer characteristics"),
                ("color_space", "colour matrix"),
                ("color_range", "colour range"),
            ] {
                let value = stream[key].as_str().unwrap_or("unknown");
                if !matches!(value, "unknown" | "1:1" | "0:1") {
                    add(format!("{key} is {value}"), &[word]);
                }
            }
            if let Some(order) = stream["field_order"].as_str().filter(|o| o.len() == 2) {
                add(format!("field order is {order}"), &["field order"]);
            }
            let alpha = stream["tags"]["alpha_mode"] == "1"
                || stream["pix_fmt"].as_str().unwrap().contains("yuva");
            if alpha {
                add("transparency".into(), &["transparency"]);
            }
            let frame = array(&first, "frames").first().cloned().unwrap_or_default();
            for data in
                array(stream, "side_data_list").iter().chain(array(&frame, "side_data_list"))
            {
                let kind = data["side_data_type"].as_str().unwrap();
                if let Some(rotation) = data["rotation"].as_i64() {
                    add(format!("rotation by {rotation}"), &["rotation"]);
                } else if kind.contains("ontent light") {
                    add(format!("light levels {}", data["max_content"]), &["light levels"]);
                } else if kind.contains("astering") {
                    add(format!("mastered at {}", data["max_luminance"]), &["mastering display"]);
                }
            }
        }
    }
    for (key, value) in tags(&all["format"]) {
        add(format!("{key} is {value}"), &["metadata tag", &key]);
    }
    let file_timecode = all["format"]["tags"]["timecode"].as_str().map(str::to_owned);
    if let Some(code) = timecode.or(file_timecode) {
        add(format!("timecode {code}"), &["timecode"]);
    }
    for (number, chapter) in array(&all, "chapters").iter().enumerate() {
        let title = chapter["tags"]["title"].as_str().unwrap_or_default();
        add(format!("chapter {number} is {title}"), &["chapter", title]);
    }
    for program in array(&all, "programs") {
        for (key, value) in tags(program) {
            add(format!("program {key} is {value}"), &["program", &key]);
        }
    }
    properties
}
