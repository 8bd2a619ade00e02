//! Decodes clips, and encodes and joins frames without a network.

use std::path::Path;
use std::process::{Command, Stdio};

use rife_runtime::FrameSize;
pub use rife_testkit::ffmpeg::{Media, clips, copy_rotated, ffmpeg, ffprobe, film, has_encoder};
use rife_video::{
    Colour, Encoding, EncodingRequest, Hdr, Mux, NutFormat, NutWriter, Orientation, Planes,
    Programs, Rational, RawFormat, ShowInfo, Target, check_encoding, choose_encoding, concat_list,
    decode_command, differences, join, parse_showinfo, probe, segment_command, working_format,
};

/// The headers of the first frame, as ffmpeg prints them.
pub fn trace_headers(dir: &Path, file: &str) -> String {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i", file, "-map", "0:v:0", "-c", "copy"])
        .args(["-frames:v", "1", "-bsf:v", "trace_headers", "-f", "null", "-"])
        .current_dir(dir)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Frames with their format and colours.
pub struct Clip {
    pub raw: RawFormat,
    pub colour: Colour,
    pub frames: Vec<Vec<u8>>,
}

impl Clip {
    /// Uniform gray frames, each lighter than the one before.
    pub fn gray(pix_fmt: &str, width: usize, height: usize, frames: u64) -> Self {
        let raw = RawFormat::from_pix_fmt(pix_fmt, FrameSize::new(width, height)).unwrap();
        let frame = |number: u64| match raw.depth {
            8 => vec![64 + number as u8; raw.frame_bytes()],
            depth => {
                let level = (1u16 << (depth - 2)) + number as u16;
                level.to_le_bytes().repeat(raw.frame_bytes() / 2)
            }
        };
        Self { raw, colour: Colour::default(), frames: (0..frames).map(frame).collect() }
    }

    /// Decodes all frames of a file.
    pub fn decode(programs: &Programs, path: &Path) -> Self {
        let source = probe(programs, path).unwrap();
        let working = working_format(&source.video);
        let frames = decode_frames(programs, path);
        Self { raw: working.raw, colour: source.video.colour, frames }
    }
}

/// Decodes all frames of a file and checks that each has a timestamp after that of the one before.
pub fn decode_frames(programs: &Programs, path: &Path) -> Vec<Vec<u8>> {
    let source = probe(programs, path).unwrap();
    let working = working_format(&source.video);
    let output = decode_command(programs, path, &source, &working).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let (mut time_bases, mut timestamps) = (0, Vec::new());
    for info in stderr.lines().filter_map(parse_showinfo) {
        match info {
            ShowInfo::Frame { pts, .. } => timestamps.push(pts.unwrap()),
            ShowInfo::TimeBase(base) => {
                time_bases += usize::from(base == source.video.time_base);
            }
        }
    }
    assert_eq!(time_bases, 1, "{stderr}");
    assert!(timestamps.windows(2).all(|two| two[0] < two[1]), "{timestamps:?}");
    let bytes = working.raw.frame_bytes();
    assert_eq!(output.stdout.len(), bytes * timestamps.len(), "{stderr}");
    output.stdout.chunks(bytes).map(<[u8]>::to_vec).collect()
}

/// A request with defaults for everything that the clip does not determine.
pub fn request<'a>(clip: &'a Clip, container: &'a str) -> EncodingRequest<'a> {
    const NO_HDR: Hdr = Hdr { mastering: None, content_light: None, dolby_vision: None };
    EncodingRequest {
        container,
        codec: None,
        crf: None,
        preset: None,
        extra: None,
        raw: &clip.raw,
        colour: &clip.colour,
        hdr: &NO_HDR,
        rate: Rational::new(60000, 1001),
    }
}

/// An encoding that passed its check; `None` if this ffmpeg has no such encoder.
pub fn checked_encoding(
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

/// The file to write.
#[derive(Default)]
pub struct Output<'a> {
    pub container: &'a str,
    /// The input whose other streams and metadata are copied.
    pub original: Option<&'a Path>,
    /// Slow motion: nothing that belongs to a time of the video is copied.
    pub slow: bool,
}

/// Encodes frames in segments of ten and joins these to `out.CONTAINER`. Returns the reported
/// differences from the original.
pub fn encode_and_join(
    programs: &Programs,
    clip: &Clip,
    pts: &[i64],
    tick: Rational,
    encoding: &Encoding,
    dir: &Path,
    output: &Output<'_>,
) -> Vec<String> {
    let mut entries = Vec::new();
    for (n, (frames, pts)) in clip.frames.chunks(10).zip(pts.chunks(10)).enumerate() {
        let name = format!("segment-{n}.{}", encoding.segment_ext);
        let mut child = segment_command(programs, encoding, tick, &dir.join(&name))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let format = match encoding.raw.planes {
            Planes::Gbr => NutFormat::rgb(&encoding.raw, None),
            _ => NutFormat::planar(&encoding.raw, None),
        };
        // For an encoder that needs another format, the pipeline converts frames. Here, gray stays
        // gray.
        let FrameSize { width, height } = clip.raw.size;
        let converted = Clip::gray(&encoding.raw.pix_fmt(), width, height, 1);
        let mut nut =
            NutWriter::new(child.stdin.take().unwrap(), &format.with_rate(encoding.rate), tick)
                .unwrap();
        for (frame, timestamp) in frames.iter().zip(pts) {
            let frame = if encoding.raw == clip.raw { frame } else { &converted.frames[0] };
            nut.frame((timestamp - pts[0]) as u64, frame).unwrap();
        }
        drop(nut.finish().unwrap());
        let result = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{stderr}");
        assert_eq!(stderr, "", "unexpected messages of the encoder");
        entries.push((name, tick * pts[0]));
    }
    std::fs::write(dir.join("list.txt"), concat_list(&entries)).unwrap();
    let source = output.original.map(|path| (path, probe(programs, path).unwrap()));
    let stored = source.as_ref().and_then(|(_, source)| source.video.orientation);
    let stored = stored.unwrap_or(Orientation::IDENTITY);
    let target = Target::from_extension(output.container);
    let turns = target.is_some_and(|target| target.rotates_pixels(stored));
    let mux = Mux {
        list: &dir.join("list.txt"),
        original: source.as_ref().map(|(path, source)| (*path, source)),
        output: &dir.join(format!("out.{}", output.container)),
        container: output.container,
        audio: !output.slow,
        others: !output.slow,
        applied_orientation: if turns { stored } else { Orientation::IDENTITY },
        size: clip.raw.size,
        reported: &encoding.lost,
        offset: Rational::from(0),
        cut: None,
        last: None,
        time_scale: *tick.denom(),
        rate: encoding.rate,
        colour: &encoding.colour,
        sample_aspect: source.as_ref().and_then(|(_, source)| {
            let aspect = source.video.sample_aspect?;
            Some(if turns { stored.sample_aspect(aspect) } else { aspect })
        }),
    };
    let mut reports = join(programs, &mux, "joining the segments").unwrap();
    reports.extend(differences(programs, &mux).unwrap());
    reports
}
