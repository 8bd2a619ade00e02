//! Runs the installed ffmpeg and ffprobe for tests: generates clips and reads outputs.
//!
//! Starting ffmpeg costs more than decoding a test clip. Clips are therefore generated once per test
//! binary, and [`Media`] reads everything about a file in one call.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;
use tempfile::TempDir;

/// Runs a program that must succeed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    output
}

/// Version of the installed ffmpeg. Builds without a release number count as the newest.
pub fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let output = run(Command::new("ffmpeg").arg("-version"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let release = text.split_whitespace().nth(2).unwrap_or_default();
        let mut numbers = release.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|digits| digits.parse().ok());
        number().map_or((u32::MAX, 0), |major| (major, number().unwrap_or(0)))
    })
}

/// Whether ffmpeg has an encoder of this name.
pub fn has_encoder(name: &str) -> bool {
    static ENCODERS: OnceLock<String> = OnceLock::new();
    let encoders = ENCODERS.get_or_init(|| {
        let output = run(Command::new("ffmpeg").args(["-hide_banner", "-encoders"]));
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    encoders.contains(&format!(" {name} "))
}

/// The option for the frame rate mode: ffmpeg 5.1 renamed it.
pub fn fps_mode_option() -> &'static str {
    if version() >= (5, 1) { "-fps_mode" } else { "-vsync" }
}

/// The value of `-enc_time_base` that keeps the ticks of the input: ffmpeg 7 renamed it.
pub fn input_time_base() -> &'static str {
    if version() >= (7, 0) { "demux" } else { "-1" }
}

/// Runs ffmpeg in `dir`. `args` has the quoting of a shell and may use `-fps_mode` with every version.
///
/// # Panics
/// When ffmpeg fails.
pub fn ffmpeg(dir: &Path, args: &str) {
    let args = match args.contains("-fps_mode") {
        true => args.replace("-fps_mode", fps_mode_option()),
        false => args.to_owned(),
    };
    let words = shlex::split(&args).unwrap_or_else(|| panic!("unbalanced quotes: {args}"));
    let mut command = Command::new("ffmpeg");
    run(command.args(["-nostdin", "-v", "error", "-y"]).args(words).current_dir(dir));
}

/// Runs ffprobe in `dir` and returns what it prints.
///
/// # Panics
/// When ffprobe fails.
pub fn ffprobe(dir: &Path, args: &str) -> String {
    let mut command = Command::new("ffprobe");
    let output = run(command.args(["-v", "error"]).args(args.split_whitespace()).current_dir(dir));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Name and content of every file that some ffmpeg commands write.
type Files = Vec<(String, Vec<u8>)>;

fn cached(key: String, generate: impl FnOnce() -> Files) -> Arc<OnceLock<Files>> {
    static CACHE: OnceLock<Mutex<HashMap<String, Arc<OnceLock<Files>>>>> = OnceLock::new();
    let cache = CACHE.get_or_init(Mutex::default);
    let files = cache.lock().unwrap_or_else(|e| e.into_inner()).entry(key).or_default().clone();
    files.get_or_init(generate);
    files
}

fn temporary_dir() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|e| panic!("cannot create a temporary folder: {e}"))
}

fn read_files(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("cannot read {dir:?}: {e}"));
    let read = |entry: fs::DirEntry| {
        let path = entry.path();
        let content = fs::read(&path).unwrap_or_else(|e| panic!("cannot read {path:?}: {e}"));
        (entry.file_name().to_string_lossy().into_owned(), content)
    };
    entries.flatten().map(read).collect()
}

/// A new folder with what these ffmpeg commands write (see [`ffmpeg()`]). A test binary runs equal
/// commands once; later calls get copies.
///
/// # Panics
/// When ffmpeg fails.
pub fn clips(commands: &[&str]) -> TempDir {
    clips_from(&[], commands)
}

/// Like [`clips`], with files that the commands read: their names and contents.
///
/// # Panics
/// When ffmpeg fails.
pub fn clips_from(inputs: &[(&str, &[u8])], commands: &[&str]) -> TempDir {
    let write = |dir: &Path, name: &str, content: &[u8]| {
        fs::write(dir.join(name), content).unwrap_or_else(|e| panic!("cannot write {name}: {e}"));
    };
    let files = cached(format!("{inputs:?} {commands:?}"), || {
        let dir = temporary_dir();
        for (name, content) in inputs {
            write(dir.path(), name, content);
        }
        for command in commands {
            ffmpeg(dir.path(), command);
        }
        read_files(dir.path())
    });
    let dir = temporary_dir();
    for (name, content) in files.get().into_iter().flatten() {
        write(dir.path(), name, content);
    }
    dir
}

/// A folder with `film.EXTENSION` (mp4 or mkv): 1.2 s at 29.97 fps, two audio tracks, subtitles,
/// languages, two chapters and a title. The second audio track is the default one, and the subtitles
/// are forced.
///
/// # Panics
/// When ffmpeg fails.
pub fn film(extension: &str) -> TempDir {
    let subtitles = if extension == "mkv" { "srt" } else { "mov_text" };
    clips_from(
        &[
            ("s.srt", b"1\n00:00:00,100 --> 00:00:01,000\nhello\n"),
            (
                "m.txt",
                b";FFMETADATA1\ntitle=A film\n\
                 [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=600\ntitle=One\n\
                 [CHAPTER]\nTIMEBASE=1/1000\nSTART=600\nEND=1200\ntitle=Two\n",
            ),
        ],
        &[&format!(
            "-f lavfi -i testsrc2=s=96x64:r=30000/1001:d=1.2 -f lavfi -i sine=440:d=1.2 \
             -f lavfi -i sine=880:d=1.2 -i s.srt -i m.txt -map 0 -map 1 -map 2 -map 3 \
             -map_metadata 4 -metadata:s:v:0 language=jpn -metadata:s:a:0 language=fra \
             -metadata:s:a:1 language=deu -metadata:s:s:0 language=eng -disposition:a:0 0 \
             -disposition:a:1 default -disposition:s:0 forced -c:v libx264 -c:a aac -ac:a:1 2 \
             -c:s {subtitles} film.{extension}"
        )],
    )
}

/// Copies a video and marks the copy as rotated by a quarter turn.
///
/// # Panics
/// When ffmpeg fails.
pub fn copy_rotated(dir: &Path, from: &str, to: &str) {
    copy_rotated_with(dir, from, "-map 0:v", to);
}

/// The same with options, such as the streams to copy. ffmpeg 6 replaced the tag by an option.
///
/// # Panics
/// When ffmpeg fails.
pub fn copy_rotated_with(dir: &Path, from: &str, options: &str, to: &str) {
    if version() >= (6, 0) {
        ffmpeg(dir, &format!("-display_rotation:v:0 -90 -i {from} {options} -c copy {to}"));
    } else {
        ffmpeg(dir, &format!("-i {from} {options} -c copy -metadata:s:v:0 rotate=90 {to}"));
    }
}

/// What ffprobe reports about the container, streams, chapters and packets of a file.
#[derive(Debug)]
pub struct Media(Value);

impl Media {
    /// Reads a file in `dir`.
    ///
    /// # Panics
    /// When ffprobe cannot read it.
    pub fn probe(dir: &Path, file: &str) -> Self {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-show_format", "-show_streams", "-show_chapters"]);
        command.args(["-show_packets", "-of", "json", "-i", file]).current_dir(dir);
        let output = run(&mut command);
        Self(serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{file}: {e}")))
    }

    /// A list at the top level: `streams`, `chapters` or `packets`.
    fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// The streams that a specifier selects: `v`, `a` or `s`, or one of these as in `a:1`.
    ///
    /// # Panics
    /// When the specifier has another form.
    pub fn streams(&self, specifier: &str) -> Vec<&Value> {
        let (kind, index) = match specifier.split_once(':') {
            Some((kind, index)) => (kind, index.parse::<usize>().ok()),
            None => (specifier, None),
        };
        let kind = match kind {
            "v" => "video",
            "a" => "audio",
            "s" => "subtitle",
            _ => panic!("invalid stream specifier {specifier:?}"),
        };
        let streams = self.list("streams").iter().filter(|stream| stream["codec_type"] == kind);
        match index {
            Some(index) => streams.skip(index).take(1).collect(),
            None => streams.collect(),
        }
    }

    /// Values of one or several keys (`width,height`) in each selected stream that has any of them.
    pub fn entries(&self, specifier: &str, keys: &str) -> Vec<String> {
        let entry = |stream: &Value| {
            let values: Vec<_> = keys.split(',').filter_map(|key| text(&stream[key])).collect();
            values.join(",")
        };
        let entries = self.streams(specifier).into_iter().map(entry);
        entries.filter(|entry| !entry.is_empty()).collect()
    }

    /// The value of a key of a stream that has it.
    ///
    /// # Panics
    /// When it is missing.
    pub fn entry(&self, specifier: &str, key: &str) -> String {
        let first = self.entries(specifier, key).into_iter().next();
        first
            .unwrap_or_else(|| panic!("no {key} in stream {specifier}: {:?}", self.list("streams")))
    }

    /// A tag of a stream, if it has it.
    pub fn tag(&self, specifier: &str, key: &str) -> Option<&str> {
        self.streams(specifier).first()?["tags"][key].as_str()
    }

    /// Rotation of the first video stream in degrees, as ffprobe reports it, if it has one.
    pub fn rotation(&self) -> Option<i64> {
        let streams = self.streams("v:0");
        let side_data = streams.first()?["side_data_list"].as_array()?;
        side_data.iter().find_map(|data| data["rotation"].as_i64())
    }

    /// Titles of the chapters.
    pub fn chapter_titles(&self) -> Vec<&str> {
        self.list("chapters")
            .iter()
            .filter_map(|chapter| chapter["tags"]["title"].as_str())
            .collect()
    }

    /// Start and end of the chapters, s, and their titles.
    pub fn chapters(&self) -> Vec<(f64, f64, &str)> {
        let chapters = self.list("chapters").iter();
        let chapter = |chapter: &'_ Value| {
            let times = number(&chapter["start_time"]).zip(number(&chapter["end_time"]))?;
            Some((times.0, times.1))
        };
        let titled = chapters.map(|one| (chapter(one), one["tags"]["title"].as_str()));
        titled.filter_map(|(times, title)| Some((times?.0, times?.1, title?))).collect()
    }

    /// Start of the file, s, and that of its first video stream.
    ///
    /// # Panics
    /// When the container does not report them.
    pub fn starts(&self) -> (f64, f64) {
        let video = self.streams("v:0").first().and_then(|stream| number(&stream["start_time"]));
        let starts = number(&self.0["format"]["start_time"]).zip(video);
        starts.unwrap_or_else(|| panic!("no start: {:?}", self.0))
    }

    /// The title of the file, if it has one.
    pub fn title(&self) -> Option<&str> {
        self.0["format"]["tags"]["title"].as_str()
    }

    /// Duration of the file as its container reports it, s.
    ///
    /// # Panics
    /// When the container does not report it.
    pub fn duration(&self) -> f64 {
        number(&self.0["format"]["duration"]).unwrap_or_else(|| panic!("no duration: {:?}", self.0))
    }

    fn packets(&self, specifier: &str) -> impl Iterator<Item = &Value> {
        let index = self.streams(specifier).first().map(|stream| stream["index"].clone());
        let packets = self.list("packets").iter();
        packets.filter(move |packet| index.as_ref().is_some_and(|i| packet["stream_index"] == *i))
    }

    /// Timestamps of the first video stream, in ticks of its time base, in presentation order.
    ///
    /// # Panics
    /// When a packet has no timestamp.
    pub fn timestamps(&self) -> Vec<i64> {
        let timestamp = |packet: &Value| {
            packet["pts"].as_i64().unwrap_or_else(|| panic!("no timestamp: {packet}"))
        };
        let mut timestamps: Vec<_> = self.packets("v:0").map(timestamp).collect();
        timestamps.sort_unstable();
        timestamps
    }

    /// The end of the last packet of a stream, s.
    pub fn end_s(&self, specifier: &str) -> f64 {
        let ends = self.packets(specifier).filter_map(|packet| {
            Some(number(&packet["pts_time"])? + number(&packet["duration_time"]).unwrap_or(0.0))
        });
        ends.fold(0.0, f64::max)
    }

    /// Position and size of each packet of a stream, in bytes of the file, in decoding order.
    pub fn packet_ranges(&self, specifier: &str) -> Vec<std::ops::Range<usize>> {
        let range = |packet: &Value| {
            let pos = number(&packet["pos"])? as usize;
            Some(pos..pos + number(&packet["size"])? as usize)
        };
        self.packets(specifier).filter_map(range).collect()
    }
}

/// A JSON string or number as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A JSON number, which ffprobe mostly writes as a string.
fn number(value: &Value) -> Option<f64> {
    text(value)?.parse().ok()
}
