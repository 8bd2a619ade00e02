//! Damaged files: frames that can be decoded are interpolated, and the others are counted.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use rife_testkit::ffmpeg::{fps_mode_option, input_time_base};

use crate::support::{Media, clips, fail_with, ffmpeg, frame_hashes, interpolate, names, succeed};

/// Which packets of a stream are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Start,
    Middle,
    End,
}

/// What damaged bytes are overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    Zero,
    Random,
}

/// An intact file, from which damaged copies are made.
struct Intact {
    bytes: Vec<u8>,
    media: Media,
}

impl Intact {
    fn read(dir: &Path, file: &str) -> Self {
        Self { bytes: fs::read(dir.join(file)).unwrap(), media: Media::probe(dir, file) }
    }

    /// Writes a copy in which `count` packets of a stream are overwritten.
    fn write_damaged(
        &self,
        path: &Path,
        stream: &str,
        position: Position,
        filling: Filling,
        count: usize,
    ) {
        let packets: Vec<Range<usize>> = self.media.packet_ranges(stream);
        let first = match position {
            Position::Start => 0,
            Position::Middle => packets.len() / 2 + 1,
            Position::End => packets.len() - count,
        };
        let mut bytes = self.bytes.clone();
        let mut seed = 1u32;
        for packet in &packets[first..first + count] {
            let end = packet.end.min(bytes.len());
            for byte in &mut bytes[packet.start..end] {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = if filling == Filling::Zero { 0 } else { (seed >> 24) as u8 };
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// Interpolates a damaged file that has `listed` frames in its index and compares the warning with
/// the frames that ffmpeg decodes. Returns the messages and the number of these frames.
fn check(dir: &Path, input: &str, listed: usize) -> (String, usize) {
    let decodable = decodable_frames(dir, input);
    let stderr = succeed(interpolate(dir, &format!("{input} -o out.mkv --overwrite")));
    assert_eq!(frame_hashes(dir, "out.mkv").len(), 2 * decodable, "{input}: {stderr}");
    let warnings: Vec<_> = stderr.lines().filter(|line| line.contains("is damaged")).collect();
    assert!(warnings.len() <= 1, "{input}: {stderr}");
    if let Some(warning) = warnings.first().filter(|line| line.contains("could not be decoded")) {
        let number = warning.split_whitespace().find_map(|word| word.parse::<usize>().ok());
        assert!(number.is_some_and(|n| n > 0 && n <= listed), "{warning}");
    }
    assert!(!stderr.contains("ends early"), "{stderr}");
    (stderr, decodable)
}

/// Number of frames that ffmpeg decodes from a file that may be damaged.
fn decodable_frames(dir: &Path, input: &str) -> usize {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i", input, "-map", "0:v:0", "-map", "0:a?"])
        .args([
            "-c:a",
            "copy",
            "-enc_time_base",
            input_time_base(),
            fps_mode_option(),
            "passthrough",
        ])
        .args(["-f", "framemd5", "-"])
        .current_dir(dir)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.starts_with("0,")).count()
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn damaged_packets_cost_only_their_frames_and_are_counted() {
    let folder = clips(&["-f lavfi -i mandelbrot=s=64x48:r=25 -f lavfi -i sine=d=2 -t 2 \
                          -pix_fmt yuv420p -c:v libx264 -g 10 -bf 0 -c:a mp2 whole.mkv"]);
    let dir = folder.path();
    for extension in ["mp4", "mov", "mkv", "ts", "avi"] {
        let whole = format!("whole.{extension}");
        if extension != "mkv" {
            // AVI stores H.264 with start codes.
            let filter = if extension == "avi" { "-bsf:v h264_mp4toannexb" } else { "" };
            ffmpeg(dir, &format!("-i whole.mkv -c copy {filter} {whole}"));
        }
        let whole = Intact::read(dir, &whole);
        let input = format!("in.{extension}");
        for (stream, position, filling) in [
            ("v:0", Position::Start, Filling::Zero),
            ("v:0", Position::Middle, Filling::Zero),
            ("v:0", Position::Middle, Filling::Random),
            ("v:0", Position::End, Filling::Zero),
            ("a:0", Position::Start, Filling::Zero),
            ("a:0", Position::Middle, Filling::Zero),
            ("a:0", Position::End, Filling::Zero),
        ] {
            whole.write_damaged(&dir.join(&input), stream, position, filling, 3);
            let (stderr, decodable) = check(dir, &input, 50);
            let case = format!("{extension} {stream} {position:?} {filling:?}: {stderr}");
            let counted = stderr.contains("could not be decoded");
            match (extension, stream, position) {
                // The number of frames at the end of a transport stream is stated nowhere.
                ("ts", "v:0", Position::End) => assert!(stderr.contains("is damaged"), "{case}"),
                // Damage to the start of a cluster also affects the picture in it.
                ("mkv", "a:0", _) | ("ts", "a:0", _) => {}
                (_, "v:0", _) => assert!(counted, "{case}"),
                _ => assert!(!counted, "{case}"),
            }
            // MP4 lists its frames, so the count is exact.
            if (extension, stream, position) == ("mp4", "v:0", Position::Middle)
                && filling == Filling::Zero
            {
                let lost = 50 - decodable;
                let message = format!("{lost} frames of 50 could not be");
                assert!(lost >= 3 && stderr.contains(&message), "{case}");
            }
        }
    }
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn job_with_a_damaged_input_can_be_resumed() {
    let folder =
        clips(&["-f lavfi -i testsrc2=s=96x64:r=25:d=12 -c:v libx264 -g 25 -bf 2 intact.mp4"]);
    let dir = folder.path();
    let intact = Intact::read(dir, "intact.mp4");
    intact.write_damaged(&dir.join("in.mp4"), "v:0", Position::Middle, Filling::Zero, 4);
    succeed(interpolate(dir, "in.mp4 -o whole.mp4"));
    // Killed once the job folder contains a finished segment.
    let mut job = interpolate(dir, "in.mp4 -o out.mp4").spawn().unwrap();
    let job_folder = dir.join(".out.mp4.rife-job");
    let finished_segments = || {
        let entries = fs::read_dir(&job_folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".mp4") && !name.starts_with("unfinished")).count()
    };
    while finished_segments() == 0 && job.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    job.kill().unwrap();
    job.wait().unwrap();
    if names(dir).contains(&"out.mp4".into()) {
        fs::remove_file(dir.join("out.mp4")).unwrap();
    }
    let stderr = succeed(interpolate(dir, "in.mp4 -o out.mp4 --resume"));
    assert!(stderr.contains("could not be decoded"), "{stderr}");
    assert_eq!(frame_hashes(dir, "out.mp4"), frame_hashes(dir, "whole.mp4"));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn only_a_missing_end_is_reported_as_truncation() {
    let folder = clips(&[
        "-f lavfi -i testsrc2=s=96x64:r=25:d=3 -c:v libx264 -g 5 -cluster_time_limit 100 w.mkv",
        "-i w.mkv -c copy -movflags +faststart w.mp4",
        "-i w.mkv -c copy -movflags +faststart w.mov",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=3 -c:v mpeg4 -g 5 w.avi",
    ]);
    let dir = folder.path();
    for extension in ["mp4", "mov", "mkv", "avi"] {
        let input = format!("in.{extension}");
        let intact = Intact::read(dir, &format!("w.{extension}"));
        let bytes = &intact.bytes;
        fs::write(dir.join(&input), &bytes[..bytes.len() * 2 / 3]).unwrap();
        let start = std::time::Instant::now();
        fail_with(interpolate(dir, &format!("{input} -o x.mp4")), dir, "ends early");
        // Refused before any frame is interpolated or any file is written.
        assert!(start.elapsed().as_secs() < 60 && !dir.join("x.mp4").exists());
        // If only bytes after the last frame are missing, no frame is lost.
        if extension != "avi" {
            fs::write(dir.join(&input), &bytes[..bytes.len() - 8]).unwrap();
            succeed(interpolate(dir, &format!("{input} -o x.mkv --overwrite")));
            assert!(frame_hashes(dir, "x.mkv").len() >= 146, "{extension}");
            fs::remove_file(dir.join("x.mkv")).unwrap();
        }
        // A file whose last packets are zeros is damaged, not truncated.
        intact.write_damaged(&dir.join(&input), "v:0", Position::End, Filling::Zero, 10);
        let stderr = succeed(interpolate(dir, &format!("{input} -o x.mkv --overwrite")));
        assert!(stderr.contains("could not be decoded"), "{extension}: {stderr}");
        fs::remove_file(dir.join("x.mkv")).unwrap();
    }
}

#[test]
#[cfg_attr(
    not(all(ffmpeg_here, clips_here)),
    ignore = "needs ffmpeg, and RIFE_CLIPS to name a folder with bikes.mp4 and carphone_pristine.mp4"
)]
fn damaged_real_clips_are_finished() {
    let clips = std::env::var_os("RIFE_CLIPS").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for (clip, seconds) in [("bikes", "0.6"), ("carphone_pristine", "1")] {
        let clip = Path::new(&clips).join(format!("{clip}.mp4"));
        for extension in ["mp4", "mov", "mkv", "ts", "avi"] {
            let whole = format!("w.{extension}");
            let quoted = clip.to_string_lossy();
            let quoted = shlex::try_quote(&quoted).unwrap();
            ffmpeg(
                dir,
                &format!(
                    "-i {quoted} -f lavfi -i sine -map 0:v -map 1:a -t {seconds} -c:v copy \
                     -c:a mp2 {whole}"
                ),
            );
            let listed = decodable_frames(dir, &whole);
            let input = format!("in.{extension}");
            let whole = Intact::read(dir, &whole);
            let path = dir.join(&input);
            whole.write_damaged(&path, "v:0", Position::Middle, Filling::Zero, 4);
            let (stderr, _) = check(dir, &input, listed);
            assert!(stderr.contains("is damaged"), "{}: {stderr}", clip.display());
        }
    }
}
