//! Damaged files: what can be decoded is interpolated, and what cannot is counted.

use std::fs;
use std::path::Path;

use crate::support::{ffprobe, hashes, interpolate, names, well, with};

/// Where packets are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Middle,
    End,
}

/// What damaged bytes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Zero,
    Random,
}

/// Damages some packets of a stream.
fn damage(folder: &Path, from: &str, to: &str, stream: &str, at: At, bytes: Bytes, count: usize) {
    let args = format!("-select_streams {stream} -show_entries packet=size,pos -of csv=p=0 {from}");
    let text = ffprobe(folder, &args);
    let packets: Vec<(usize, usize)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',').map(str::parse);
            Some((fields.next()?.ok()?, fields.next()?.ok()?))
        })
        .collect();
    let first = match at {
        At::Start => 0,
        At::Middle => packets.len() / 2 + 1,
        At::End => packets.len() - count,
    };
    let mut file = fs::read(folder.join(from)).unwrap();
    let mut seed = 1u32;
    for (size, pos) in &packets[first..first + count] {
        let end = (pos + size).min(file.len());
        for byte in &mut file[*pos..end] {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = if bytes == Bytes::Zero { 0 } else { (seed >> 24) as u8 };
        }
    }
    fs::write(folder.join(to), file).unwrap();
}

/// Interpolates a damaged file, and checks the warning against the frames that can be decoded.
fn check(folder: &Path, input: &str, listed: usize, args: &str) -> String {
    let decoded = hashes_of_what_is_left(folder, input);
    let text = well(interpolate(folder, &format!("{input} -o out.mkv --overwrite {args}")));
    assert_eq!(hashes(folder, "out.mkv").len(), 2 * decoded, "{input}: {text}");
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("is damaged")).collect();
    assert!(warnings.len() <= 1, "{input}: {text}");
    if let Some(warning) = warnings.first().filter(|line| line.contains("could not be decoded")) {
        let number = warning.split_whitespace().find_map(|word| word.parse::<usize>().ok());
        assert!(number.is_some_and(|n| n > 0 && n <= listed), "{warning}");
    }
    assert!(!text.contains("ends early"), "{text}");
    text
}

/// Frames that ffmpeg decodes of a damaged file.
fn hashes_of_what_is_left(folder: &Path, input: &str) -> usize {
    let done = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "quiet", "-i", input, "-map", "0:v:0", "-map", "0:a?"])
        .args(["-c:a", "copy", "-enc_time_base", "-1", "-vsync", "passthrough"])
        .args(["-f", "framemd5", "-"])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().filter(|line| line.starts_with("0,")).count()
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn damaged_packets_cost_only_their_frames_and_are_counted() {
    let folder = with(&["-f lavfi -i mandelbrot=s=64x48:r=25 -f lavfi -i sine=d=2 -t 2 \
                         -pix_fmt yuv420p -c:v libx264 -g 10 -bf 0 -c:a mp2 whole.mkv"]);
    let here = folder.path();
    for extension in ["mp4", "mov", "mkv", "ts", "avi"] {
        let whole = format!("w.{extension}");
        // AVI stores H.264 with start codes.
        let filter = if extension == "avi" { "-bsf:v h264_mp4toannexb" } else { "" };
        crate::support::ffmpeg(here, &format!("-i whole.mkv -c copy {filter} {whole}"));
        for stream in ["v:0", "a:0"] {
            for at in [At::Start, At::Middle, At::End] {
                let both = (stream, at) == ("v:0", At::Middle);
                let kinds: &[Bytes] =
                    if both { &[Bytes::Zero, Bytes::Random] } else { &[Bytes::Zero] };
                for bytes in kinds.iter().copied() {
                    let input = format!("in.{extension}");
                    damage(here, &whole, &input, stream, at, bytes, 3);
                    let text = check(here, &input, 50, "");
                    let what = format!("{extension} {stream} {at:?} {bytes:?}: {text}");
                    let counted = text.contains("could not be decoded");
                    match (extension, stream, at) {
                        // ffmpeg passes over what is lost at a stream's end without a word.
                        ("ts", "v:0", At::End) => {}
                        // Where the start of a cluster is lost, so is the picture in it.
                        ("mkv", "a:0", _) | ("ts", "a:0", _) => {}
                        (_, "v:0", _) => assert!(counted, "{what}"),
                        _ => assert!(!counted, "{what}"),
                    }
                }
            }
        }
    }
    // In MP4 the frames are listed: the count is exact.
    damage(here, "w.mp4", "in.mp4", "v:0", At::Middle, Bytes::Zero, 3);
    let text = check(here, "in.mp4", 50, "");
    let lost = 50 - hashes_of_what_is_left(here, "in.mp4");
    assert!(lost >= 3 && text.contains(&format!("{lost} frames of 50 could not be")), "{text}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn damaged_file_can_be_resumed() {
    let folder = with(&["-f lavfi -i testsrc2=s=96x64:r=25:d=12 -c:v libx264 -g 25 -bf 2 w.mp4"]);
    let here = folder.path();
    damage(here, "w.mp4", "in.mp4", "v:0", At::Middle, Bytes::Zero, 4);
    well(interpolate(here, "in.mp4 -o whole.mp4"));
    // Interrupted once a segment is finished, which the journal lists.
    let mut job = interpolate(here, "in.mp4 -o out.mp4").spawn().unwrap();
    let journal = here.join(".out.mp4.rife-job");
    let finished = || {
        let entries = fs::read_dir(&journal).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".mp4") && !name.starts_with("unfinished")).count()
    };
    while finished() == 0 && job.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    job.kill().unwrap();
    job.wait().unwrap();
    if names(here).contains(&"out.mp4".into()) {
        fs::remove_file(here.join("out.mp4")).unwrap();
    }
    let text = well(interpolate(here, "in.mp4 -o out.mp4 --resume"));
    assert!(text.contains("could not be decoded"), "{text}");
    assert_eq!(hashes(here, "out.mp4"), hashes(here, "whole.mp4"));
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn only_a_missing_end_is_reported_as_truncation() {
    let folder = with(&[
        "-f lavfi -i testsrc2=s=96x64:r=25:d=3 -c:v libx264 -g 5 -cluster_time_limit 100 w.mkv",
        "-i w.mkv -c copy -movflags +faststart w.mp4",
        "-i w.mkv -c copy -movflags +faststart w.mov",
        "-f lavfi -i testsrc2=s=96x64:r=25:d=3 -c:v mpeg4 -g 5 w.avi",
    ]);
    let here = folder.path();
    for extension in ["mp4", "mov", "mkv", "avi"] {
        let (whole, cut) = (format!("w.{extension}"), format!("cut.{extension}"));
        let bytes = fs::read(here.join(&whole)).unwrap();
        fs::write(here.join(&cut), &bytes[..bytes.len() * 2 / 3]).unwrap();
        let start = std::time::Instant::now();
        crate::support::badly(interpolate(here, &format!("{cut} -o x.mp4")), here, "ends early");
        // Before the work: no frame was interpolated, no file written.
        assert!(start.elapsed().as_secs() < 60 && !here.join("x.mp4").exists());
        // Of a file that lacks some bytes after the last frame nothing is lost.
        if extension != "avi" {
            fs::write(here.join(&cut), &bytes[..bytes.len() - 8]).unwrap();
            well(interpolate(here, &format!("{cut} -o x.mkv --overwrite")));
            assert!(hashes(here, "x.mkv").len() >= 146, "{extension}");
            fs::remove_file(here.join("x.mkv")).unwrap();
        }
        // One whose last packets are zeros is complete.
        damage(here, &whole, &cut, "v:0", At::End, Bytes::Zero, 10);
        let text = well(interpolate(here, &format!("{cut} -o x.mkv --overwrite")));
        assert!(text.contains("could not be decoded"), "{extension}: {text}");
        fs::remove_file(here.join("x.mkv")).unwrap();
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
    let here = folder.path();
    for (clip, seconds) in [("bikes", "1"), ("carphone_pristine", "2")] {
        let clip = Path::new(&clips).join(format!("{clip}.mp4"));
        for extension in ["mp4", "mov", "mkv", "ts", "avi"] {
            let whole = format!("w.{extension}");
            crate::support::ffmpeg(
                here,
                &format!(
                    "-i {} -f lavfi -i sine -map 0:v -map 1:a -t {seconds} -c:v copy -c:a mp2 {whole}",
                    shlex::try_quote(&clip.to_string_lossy()).unwrap()
                ),
            );
            let listed = hashes_of_what_is_left(here, &whole);
            let input = format!("in.{extension}");
            damage(here, &whole, &input, "v:0", At::Middle, Bytes::Zero, 4);
            let text = check(here, &input, listed, "");
            assert!(text.contains("is damaged"), "{}: {text}", clip.display());
        }
    }
}
