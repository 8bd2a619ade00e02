//! Whatever a file holds is in the output, or reported as lost or changed. What it holds is read
//! here from ffprobe's JSON, without the code that is tested.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rife_video::{Orientation, Programs, Rational, Target, choose_encoding, probe, working_format};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Clip, Out, ffmpeg, ffprobe, passed, request};

/// Something that a file holds: an identity that is equal where it was kept, and what a report has
/// to name where it was not.
type Facts = BTreeMap<String, Vec<String>>;

/// Tags that tell of the file's writing, which has to differ.
const OF_WRITING: &[&str] = &[
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

fn json(folder: &Path, args: &str) -> Value {
    serde_json::from_str(&ffprobe(folder, &format!("{args} -of json"))).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
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
        let counts =
            !OF_WRITING.contains(&key.as_str()) && (key.as_str(), value) != ("language", "und");
        counts.then(|| (key, value.to_owned()))
    });
    tags.collect()
}

/// Everything that a file holds beside samples and times.
fn facts(folder: &Path, file: &str) -> Facts {
    let all =
        json(folder, &format!("-show_format -show_streams -show_chapters -show_programs {file}"));
    let first =
        json(folder, &format!("-show_frames -select_streams v:0 -read_intervals %+#1 {file}"));
    let mut facts = Facts::new();
    let mut add = |identity: String, words: &[&str]| {
        facts.insert(identity, words.iter().map(|word| (*word).to_owned()).collect());
    };
    let mut timecode = None;
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for stream in list(&all, "streams") {
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
            // The tracks of QuickTime's timecode and chapters.
            "data" if tag == "tmcd" || tag == "text" => continue,
            _ => "data stream",
        };
        let number = numbers.entry(kind).or_default();
        *number += 1;
        let main = kind == "video stream" && *number == 1;
        let name = format!("{kind} {number}");
        let of = format!("of stream {}", stream["index"]);
        let codec = stream["codec_name"].as_str().unwrap_or_default();
        if !main {
            let called = stream["tags"]["filename"].as_str().unwrap_or(codec);
            // Data has no codec worth a name.
            let called = if kind == "data stream" { "" } else { called };
            add(name.clone(), &[kind, called]);
            // A copy of a cover or a font has the bytes, and its name where it can.
            if !matches!(kind, "cover" | "attachment") {
                add(format!("{name} as {codec}"), &[kind, codec]);
            }
        }
        for (key, value) in tags(stream) {
            add(format!("{name}: {key} is {value}"), &[&format!("{key} {of}")]);
        }
        for (flag, set) in stream["disposition"].as_object().unwrap() {
            if *set == 1 && flag != "attached_pic" {
                add(format!("{name} is {flag}"), &[&format!("{flag} {of}")]);
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
            let frame = list(&first, "frames").first().cloned().unwrap_or_default();
            for data in list(stream, "side_data_list").iter().chain(list(&frame, "side_data_list"))
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
    let of_file = all["format"]["tags"]["timecode"].as_str().map(str::to_owned);
    if let Some(code) = timecode.or(of_file) {
        add(format!("timecode {code}"), &["timecode"]);
    }
    for (number, chapter) in list(&all, "chapters").iter().enumerate() {
        let title = chapter["tags"]["title"].as_str().unwrap_or_default();
        add(format!("chapter {number} is {title}"), &["chapter", title]);
    }
    for program in list(&all, "programs") {
        for (key, value) in tags(program) {
            add(format!("program {key} is {value}"), &["program", &key]);
        }
    }
    facts
}

/// Files with everything that ffmpeg writes into each container, and what has to be in them for
/// the test to mean something.
fn sources() -> (TempDir, Vec<(&'static str, &'static [&'static str])>) {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, bytes: &[u8]| std::fs::write(here.join(name), bytes).unwrap();
    write("s.srt", b"1\n00:00:00,100 --> 00:00:00,900\nhello\n");
    write("font.ttf", b"not a font, but a file");
    let mut text = String::from(";FFMETADATA1\ntitle=A film\nartist=Somebody\ncomment=Seen\n");
    text += "creation_time=2020-01-02T03:04:05Z\n";
    for (from, to, title) in [(0, 400, "One"), (400, 1000, "Two")] {
        writeln!(text, "[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}")
            .unwrap();
    }
    write("m.txt", text.as_bytes());
    let packets: Vec<u8> = (0..2000u32).map(|at| ((at * 7919) >> 5) as u8).collect();
    write("d.bin", &packets);
    let colours =
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=4/3";
    let picture = format!("-f lavfi -i 'testsrc2=s=96x64:r=25:d=1,{colours}'");
    let inputs =
        format!("{picture} -f lavfi -i sine=440:d=1 -f lavfi -i sine=880:d=1 -i s.srt -i m.txt");
    let tagged = "-color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv";
    let streams = "-metadata:s:v:0 language=jpn -metadata:s:a:0 language=fra -metadata:s:a:1 \
                   language=deu -metadata:s:a:1 title=Second -metadata:s:s:0 language=eng \
                   -disposition:a:0 default -disposition:a:1 comment -disposition:s:0 forced";
    let x264 = format!("-c:v libx264 -preset ultrafast {tagged}");
    let all = "-map 0 -map 1 -map 2 -map 3 -map_metadata 4 -map_chapters 4";
    ffmpeg(here, "-f lavfi -i color=red:s=32x32 -frames:v 1 cover.jpg");
    ffmpeg(
        here,
        &format!("{picture} -f data -i d.bin -map 0 -map 1 -c:v mpeg2video -c:d copy telemetry.ts"),
    );
    // With telemetry as a camera writes it, a cover and a rotation.
    ffmpeg(
        here,
        &format!(
            "{inputs} -i cover.jpg -i telemetry.ts {all} -map 6:d -map 5 {x264} -c:a aac -c:s mov_text -c:v:1 copy \
         -c:d copy -tag:d gpmd -disposition:v:1 attached_pic {streams} -timecode 01:00:00:10 plain.mp4"
        ),
    );
    ffmpeg(
        here,
        "-i plain.mp4 -map 0:v -map 0:a -map 0:s -map 0:d:0 -c copy -metadata:s:v:0 rotate=90 \
                  -disposition:v:1 attached_pic in.mp4",
    );
    ffmpeg(
        here,
        &format!(
            "{inputs} {all} {x264} -c:a:0 pcm_s16be -c:a:1 aac -c:s mov_text {streams} \
         -metadata com.apple.quicktime.model=Phone -metadata com.apple.quicktime.location.ISO6709=+48.1-011.2/ \
         -movflags use_metadata_tags -timecode 01:00:00:10 in.mov"
        ),
    );
    ffmpeg(
        here,
        &format!(
            "{inputs} {all} -map 3 {x264} -c:a:0 pcm_s16le -c:a:1 flac -c:s:0 ass -c:s:1 srt {streams} \
         -metadata:s:s:1 title=Other -attach font.ttf -metadata:s:t:0 mimetype=font/ttf -attach cover.jpg \
         -metadata:s:t:1 mimetype=image/jpeg -metadata CATALOG_NUMBER=77 -metadata:s:v:0 timecode=01:00:00:10 in.mkv"
        ),
    );
    ffmpeg(
        here,
        &format!(
            "{inputs} {all} -vf format=yuva420p -c:v libvpx-vp9 -cpu-used 8 -auto-alt-ref 0 -pix_fmt yuva420p \
         {tagged} -c:a libopus -c:s webvtt {streams} -metadata:s:v:0 timecode=01:00:00:10 in.webm"
        ),
    );
    ffmpeg(
        here,
        &format!(
            "{inputs} -i telemetry.ts -map 0 -map 1 -map 2 -map 5:d {x264} -c:a mp2 -c:d copy \
         -metadata:s:a:0 language=fra -metadata:s:a:1 language=deu -disposition:a:1 hearing_impaired \
         -metadata service_name=Channel in.ts"
        ),
    );
    ffmpeg(
        here,
        &format!(
            "{inputs} -map 0 -map 1 -map 2 -map_metadata 4 {x264} -c:a mp3 -metadata timecode=01:00:00:10 \
         -metadata:s:a:1 title=Second in.avi"
        ),
    );
    let sources: Vec<(&str, &[&str])> = vec![
        (
            "in.mp4",
            &[
                "cover 1",
                "data stream 1",
                "subtitle stream 1",
                "rotation by",
                "chapter 1",
                "timecode",
            ],
        ),
        (
            "in.mov",
            &["com.apple.quicktime.model", "audio stream 2", "chapter 1", "timecode", "bt709"],
        ),
        (
            "in.mkv",
            &[
                "attachment 1",
                "cover 1",
                "subtitle stream 2",
                "catalog_number",
                "timecode",
                "forced",
            ],
        ),
        ("in.webm", &["transparency", "subtitle stream 1", "timecode", "chapter 1"]),
        ("in.ts", &["data stream 1", "program service_name", "hearing_impaired"]),
        ("in.avi", &["title is", "timecode", "audio stream 2"]),
    ];
    (folder, sources)
}

/// Facts of a source that are in the output, by the identity that each has there.
fn kept(identity: &str, output: &Facts, turned: Orientation) -> bool {
    let moved = match identity {
        // Players start with the first stream of a kind where none has the flag.
        first if first.ends_with(" 1 is default") => {
            return !output.keys().any(|key| key.ends_with("is default") && key.as_str() != first)
                || output.contains_key(first);
        }
        // 01:00:00:10 at 25 frames per second is :20 at 50.
        "timecode 01:00:00:10" => "timecode 01:00:00:20",
        "sample_aspect_ratio is 4:3" if turned.swaps_dimensions() => "sample_aspect_ratio is 3:4",
        rotation if rotation.starts_with("rotation by") && turned != Orientation::IDENTITY => {
            return !output.keys().any(|key| key.starts_with("rotation by"));
        }
        // Players assume nothing else for an untagged stream.
        "color_range is tv" if !output.keys().any(|key| key.starts_with("color_range")) => {
            return true;
        }
        same => same,
    };
    output.contains_key(moved)
}

fn check(folder: &Path, file: &str, out: &Out<'_>) -> Vec<String> {
    let programs = Programs::find(None).unwrap();
    let source = probe(&programs, &folder.join(file)).unwrap();
    let stored = source.video.orientation.unwrap();
    let turns = Target::from_extension(out.container).unwrap().rotates_pixels(stored);
    let turned = if turns { stored } else { Orientation::IDENTITY };
    let size = turned.size(source.video.size);
    let mut clip = Clip::gray("yuv420p", size.width, size.height, 50);
    clip.colour = source.video.colour.clone();
    let codec = if out.container == "webm" { "vp9" } else { "h264" };
    let preset = if out.container == "webm" { "8" } else { "ultrafast" };
    let mut asked = request(&clip, out.container);
    (asked.codec, asked.preset, asked.rate) = (Some(codec), Some(preset), Rational::from(50));
    let encoding = choose_encoding(&programs, &asked).unwrap();
    let pts: Vec<i64> = (0..50).collect();
    let mut reports: Vec<String> = working_format(&source.video).note.into_iter().collect();
    reports.extend(encoding.notes.iter().cloned());
    let path = folder.join(file);
    let out = Out { original: Some(&path), ..*out };
    reports.extend(passed(&programs, &clip, &pts, Rational::new(1, 50), &encoding, folder, &out));

    let output = facts(folder, &format!("out.{}", out.container));
    let lines: Vec<_> = reports
        .iter()
        .filter(|line| line.starts_with("lost: ") || line.starts_with("changed: "))
        .collect();
    let named =
        |words: &[String]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    let input = facts(folder, file);
    let mut silent = Vec::new();
    for (identity, words) in &input {
        // With a stream that was lost goes all that belongs to it.
        let stream = input.iter().find(|(stream, words)| {
            words.len() == 2
                && identity.starts_with(*stream)
                && !output.contains_key(*stream)
                && named(words)
        });
        if !kept(identity, &output, turned) && !named(words) && stream.is_none() {
            silent.push(identity);
        }
    }
    assert!(
        silent.is_empty(),
        "{file} to {}: lost silently: {silent:#?}; reports {reports:#?}; output {:#?}",
        out.container,
        output.keys()
    );
    reports
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn whatever_a_file_holds_is_kept_or_reported() {
    let (folder, sources) = sources();
    let here = folder.path();
    for (file, expected) in sources {
        let input = facts(here, file);
        for part in expected {
            assert!(input.keys().any(|key| key.contains(part)), "{file} has no {part}: {input:#?}");
        }
        for container in ["mp4", "mov", "mkv", "webm", "avi"] {
            let reports = check(here, file, &Out { container, ..Out::default() });
            let same = Path::new(file).extension().is_some_and(|ending| ending == container);
            // From a container to itself little may be lost.
            for (word, files) in [
                ("chapter", &["mp4", "mov", "mkv", "webm"][..]),
                ("subtitle", &["mp4", "mov", "mkv", "webm"]),
                ("cover", &["mp4", "mkv"]),
                ("attachment", &["mkv"]),
                ("data stream", &["mp4"]),
                ("audio", &["mp4", "mov", "mkv", "webm", "avi"]),
                ("timecode", &["mp4", "mov", "mkv", "webm", "avi"]),
                (" metadata tag", &["mp4", "mov", "mkv", "webm", "avi"]),
                ("rotation", &["mp4"]),
                ("colour primaries", &["mp4", "mov", "mkv", "webm"]),
                ("colour matrix", &["mp4", "mov", "mkv", "webm"]),
                ("pixel aspect", &["mp4", "mov", "mkv", "webm", "avi"]),
            ] {
                let lost = reports.iter().find(|line| {
                    line.starts_with("lost: ")
                        && line.contains(word)
                        && !line.contains("stream metadata")
                });
                assert!(!same || !files.contains(&container) || lost.is_none(), "{file}: {lost:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn slow_motion_reports_what_belongs_to_moments_of_the_video() {
    let (folder, _) = sources();
    let reports =
        check(folder.path(), "in.mkv", &Out { container: "mkv", slow: true, ..Out::default() });
    let all = reports.join("\n");
    for part in ["2 audio streams", "--audio", "2 subtitle streams", "2 chapters", "timecode"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    for part in ["attachment", "cover"] {
        assert!(!all.contains(part), "{part} is kept: {all}");
    }
}
