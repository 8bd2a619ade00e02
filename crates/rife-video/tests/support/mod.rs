//! Clips that ffmpeg makes, and the way of their frames without a network.

use std::path::Path;
use std::process::{Command, Stdio};

use rife_runtime::FrameSize;
use rife_video::{
    Colour, Encoding, EncodingRequest, Hdr, Mux, NutFormat, NutWriter, Orientation, Planes,
    Programs, Rational, RawFormat, ShowInfo, Target, check_encoding, choose_encoding, concat_list,
    decode_command, differences, join, parse_showinfo, probe, segment_command, working_format,
};
use tempfile::TempDir;

/// A folder, and ffmpeg run in it.
pub fn with(args: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for args in args {
        ffmpeg(folder.path(), args);
    }
    folder
}

pub fn ffmpeg(folder: &Path, args: &str) {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-y"])
        .args(shlex::split(args).unwrap())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "ffmpeg {args}: {}", String::from_utf8_lossy(&done.stderr));
}

pub fn ffprobe(folder: &Path, args: &str) -> String {
    let done = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "ffprobe {args}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Whether there is an encoder of this name.
pub fn ffmpeg_has(encoder: &str) -> bool {
    let done = Command::new("ffmpeg").args(["-hide_banner", "-encoders"]).output().unwrap();
    String::from_utf8_lossy(&done.stdout).contains(&format!(" {encoder} "))
}

/// The headers of the first frames, as ffmpeg reads them.
pub fn trace(folder: &Path, file: &str) -> String {
    let done = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i", file, "-map", "0:v:0", "-c", "copy"])
        .args(["-frames:v", "1", "-bsf:v", "trace_headers", "-f", "null", "-"])
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// An entry of a stream, one line a stream.
pub fn entry(folder: &Path, file: &str, stream: &str, entry: &str) -> Vec<String> {
    let args = format!("-select_streams {stream} -show_entries stream={entry} -of csv=p=0 {file}");
    let lines = ffprobe(folder, &args);
    let lines = lines.lines().map(|line| line.trim_matches(',').to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// When frames are shown, in ticks, in order.
pub fn times(folder: &Path, file: &str) -> Vec<i64> {
    let args = format!("-select_streams v:0 -show_entries packet=pts -of csv=p=0 {file}");
    let lines = ffprobe(folder, &args);
    let mut times: Vec<i64> =
        lines.lines().map(|line| line.trim_matches(',').parse().unwrap()).collect();
    times.sort_unstable();
    times
}

/// A clip with two tracks of sound, subtitles, chapters, a title and languages.
pub fn full() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("s.srt", "1\n00:00:00,100 --> 00:00:01,000\nhello\n");
    let chapter = |from: u32, to: u32, title: &str| {
        format!("[CHAPTER]\nTIMEBASE=1/1000\nSTART={from}\nEND={to}\ntitle={title}\n")
    };
    let [one, two] = [chapter(0, 600, "One"), chapter(600, 1200, "Two")];
    write("m.txt", &format!(";FFMETADATA1\ntitle=A film\n{one}{two}"));
    ffmpeg(
        folder.path(),
        "-f lavfi -i testsrc2=s=96x64:r=30000/1001:d=1.2 -f lavfi -i sine=440:d=1.2 \
         -f lavfi -i sine=880:d=1.2 -i s.srt -i m.txt -map 0 -map 1 -map 2 -map 3 -map_metadata 4 \
         -metadata:s:v:0 language=jpn -metadata:s:a:0 language=fra -metadata:s:a:1 language=deu \
         -metadata:s:s:0 language=eng -disposition:a:0 0 -disposition:a:1 default \
         -disposition:s:0 forced -c:v libx264 -c:a aac -ac:a:1 2 -c:s srt full.mkv",
    );
    folder
}

/// Frames, and what is known of them.
pub struct Clip {
    pub raw: RawFormat,
    pub colour: Colour,
    pub frames: Vec<Vec<u8>>,
}

impl Clip {
    /// Gray that grows lighter.
    pub fn gray(pix_fmt: &str, width: usize, height: usize, frames: u64) -> Self {
        let raw = RawFormat::from_pix_fmt(pix_fmt, FrameSize::new(width, height)).unwrap();
        let frame = |at: u64| match raw.depth {
            8 => vec![64 + at as u8; raw.frame_bytes()],
            depth => {
                ((1u16 << (depth - 2)) + at as u16).to_le_bytes().repeat(raw.frame_bytes() / 2)
            }
        };
        Self { raw, colour: Colour::default(), frames: (0..frames).map(frame).collect() }
    }

    /// All frames of a file.
    pub fn of(programs: &Programs, path: &Path) -> Self {
        let source = probe(programs, path).unwrap();
        let working = working_format(&source.video);
        let frames = frames(programs, path);
        Self { raw: working.raw, colour: source.video.colour, frames }
    }
}

/// The frames of a file; each has a time, and a later one than that before.
pub fn frames(programs: &Programs, path: &Path) -> Vec<Vec<u8>> {
    let source = probe(programs, path).unwrap();
    let working = working_format(&source.video);
    let mut command = decode_command(programs, path, &source, &working);
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let shown: Vec<_> = said.lines().filter_map(parse_showinfo).collect();
    let base =
        |info: &ShowInfo| matches!(info, ShowInfo::TimeBase(b) if *b == source.video.time_base);
    assert_eq!(shown.iter().filter(|info| base(info)).count(), 1, "{said}");
    let times: Vec<i64> = shown
        .iter()
        .filter_map(|info| match info {
            ShowInfo::Frame { pts, .. } => Some(pts.unwrap()),
            ShowInfo::TimeBase(_) => None,
        })
        .collect();
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
    let bytes = working.raw.frame_bytes();
    assert_eq!(done.stdout.len(), bytes * times.len(), "{said}");
    done.stdout.chunks(bytes).map(<[u8]>::to_vec).collect()
}

pub fn request<'a>(clip: &'a Clip, container: &'a str) -> EncodingRequest<'a> {
    const NONE: Hdr = Hdr { mastering: None, content_light: None, dolby_vision: None };
    EncodingRequest {
        container,
        codec: None,
        crf: None,
        preset: None,
        extra: None,
        raw: &clip.raw,
        colour: &clip.colour,
        hdr: &NONE,
        rate: Rational::new(60000, 1001),
    }
}

/// An encoder that was tried; `None` where this ffmpeg has none.
pub fn encoding(
    programs: &Programs,
    clip: &Clip,
    container: &str,
    codec: &str,
) -> Option<Encoding> {
    let request = EncodingRequest { codec: Some(codec), ..request(clip, container) };
    let encoding = choose_encoding(programs, &request).ok()?;
    check_encoding(programs, &encoding).unwrap();
    Some(encoding)
}

/// What a video is made into, beside its frames.
#[derive(Default)]
pub struct Out<'a> {
    pub container: &'a str,
    pub original: Option<&'a Path>,
    /// Slow motion: nothing that belongs to moments of the video goes along.
    pub slow: bool,
}

/// Takes frames through encoders, ten to a segment, and joins them to `out.…`.
pub fn passed(
    programs: &Programs,
    clip: &Clip,
    pts: &[i64],
    tick: Rational,
    encoding: &Encoding,
    folder: &Path,
    out: &Out<'_>,
) -> Vec<String> {
    let mut entries = Vec::new();
    for (n, (frames, pts)) in clip.frames.chunks(10).zip(pts.chunks(10)).enumerate() {
        let name = format!("segment-{n}.{}", encoding.segment_ext);
        let mut child = segment_command(programs, encoding, tick, &folder.join(&name))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let format = match encoding.raw.planes {
            Planes::Gbr => NutFormat::rgb(&encoding.raw, None),
            _ => NutFormat::planar(&encoding.raw, None),
        };
        // What an encoder needs in another format the pipeline converts: here gray is gray.
        let FrameSize { width, height } = clip.raw.size;
        let other = Clip::gray(&encoding.raw.pix_fmt(), width, height, 1);
        let mut nut =
            NutWriter::new(child.stdin.take().unwrap(), &format.with_rate(encoding.rate), tick)
                .unwrap();
        for (frame, at) in frames.iter().zip(pts) {
            let frame = if encoding.raw == clip.raw { frame } else { &other.frames[0] };
            nut.frame((at - pts[0]) as u64, frame).unwrap();
        }
        drop(nut.finish().unwrap());
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert_eq!(said, "", "an encoder that does well says nothing");
        entries.push((name, tick * pts[0]));
    }
    std::fs::write(folder.join("list.txt"), concat_list(&entries)).unwrap();
    let source = out.original.map(|path| (path, probe(programs, path).unwrap()));
    let stored = source.as_ref().and_then(|(_, source)| source.video.orientation);
    let stored = stored.unwrap_or(Orientation::IDENTITY);
    let target = Target::from_extension(out.container);
    let turns = target.is_some_and(|target| target.rotates_pixels(stored));
    let mux = Mux {
        list: &folder.join("list.txt"),
        original: source.as_ref().map(|(path, source)| (*path, source)),
        output: &folder.join(format!("out.{}", out.container)),
        container: out.container,
        audio: !out.slow,
        others: !out.slow,
        applied_orientation: if turns { stored } else { Orientation::IDENTITY },
        size: clip.raw.size,
        reported: &encoding.lost,
        offset: Rational::from(0),
        last: None,
        time_scale: *tick.denom(),
        rate: encoding.rate,
        colour: &encoding.colour,
        sample_aspect: source.as_ref().and_then(|(_, source)| {
            let aspect = source.video.sample_aspect?;
            Some(if turns { stored.sample_aspect(aspect) } else { aspect })
        }),
    };
    let mut lines = join(programs, &mux, "joining the segments").unwrap();
    lines.extend(differences(programs, &mux).unwrap());
    lines
}
