//! Decoders and encoders in hardware, which the machines that run these tests mostly lack.

use std::process::Command;

use crate::support::{clips, fail_with, frame_hashes, interpolate, stderr_of, succeed};

const CLIP: &str = "-f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -pix_fmt yuv420p -c:v libx264 in.mp4";

/// Whether a command of ffmpeg lists a name.
fn lists(option: &str, name: &str) -> bool {
    let output = Command::new("ffmpeg").args(["-hide_banner", option]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == name)
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn decoder_that_does_not_work_is_replaced_with_one_line() {
    let folder = clips(&[CLIP]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mp4 -o expected.y4m"));
    for kind in ["cuda", "vaapi", "videotoolbox", "d3d11va", "auto"] {
        let stderr =
            succeed(interpolate(dir, &format!("in.mp4 -o out.y4m --overwrite --hwaccel {kind}")));
        let notes: Vec<_> = stderr.lines().filter(|line| line.starts_with("note: ")).collect();
        // A machine with this hardware needs no replacement.
        let works = notes.is_empty() || notes[0].starts_with("note: decoding with ");
        let replaced =
            notes.len() == 1 && notes[0].starts_with("note: decoding in.mp4 in software");
        assert!(works || replaced, "{kind}: {stderr}");
        assert_eq!(frame_hashes(dir, "out.y4m"), frame_hashes(dir, "expected.y4m"), "{kind}");
    }
    fail_with(interpolate(dir, "in.mp4 -o x.y4m --hwaccel magic"), dir, "magic");
    let stderr = succeed(interpolate(dir, "expected.y4m -o out.y4m --overwrite --hwaccel auto"));
    assert!(stderr.contains("--hwaccel has no effect"), "{stderr}");
}

/// A folder with a program `ffmpeg` that pretends to have the hardware decoder `vaapi`: it removes
/// the options for it and runs the real one. `filter` is applied instead of the download.
#[cfg(unix)]
fn pretending_ffmpeg(filter: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let find = |name: &str| {
        let output = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
        String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
    };
    let body = format!(
        "case \"$*\" in *-hwaccels*) printf 'Hardware acceleration methods:\\nvaapi\\n'; exit;; esac\n\
         count=$#\n\
         while [ $count -gt 0 ]; do\n\
         count=$((count - 1)); word=$1; shift\n\
         case $word in\n\
         -hwaccel|-hwaccel_output_format) shift; count=$((count - 1));;\n\
         hwdownload*) set -- \"$@\" '{filter}';;\n\
         *) set -- \"$@\" \"$word\";;\n\
         esac\n\
         done\n\
         exec {} \"$@\"",
        find("ffmpeg")
    );
    rife_testkit::program::write_script(&folder.path().join("ffmpeg"), &body);
    std::os::unix::fs::symlink(find("ffprobe"), folder.path().join("ffprobe")).unwrap();
    folder
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn decoder_is_used_only_if_its_frames_are_the_same() {
    let folder = clips(&[CLIP]);
    let dir = folder.path();
    succeed(interpolate(dir, "in.mp4 -o expected.y4m"));
    for (filter, same) in [("null", true), ("negate", false)] {
        let programs = pretending_ffmpeg(filter);
        let ffmpeg = programs.path().display();
        let run = |options: &str| {
            let options = format!("in.mp4 -o out.y4m --overwrite --ffmpeg {ffmpeg} {options}");
            succeed(interpolate(dir, &options))
        };
        let stderr = run("--hwaccel auto");
        let line = match same {
            true => "note: decoding with vaapi",
            false => {
                "note: decoding in.mp4 in software: vaapi cannot decode it: its frames differ from \
                 those of the software decoder"
            }
        };
        assert!(stderr.contains(line), "{stderr}");
        assert_eq!(frame_hashes(dir, "out.y4m"), frame_hashes(dir, "expected.y4m"), "{filter}");
        let stderr = run("--hwaccel vaapi");
        assert_eq!(stderr.contains("note: "), !same, "{stderr}");
        // The command shows whether the decoder is used.
        let options = format!("in.mp4 -o x.y4m --ffmpeg {ffmpeg} --hwaccel vaapi --dry-run");
        let plan = interpolate(dir, &options).output().unwrap();
        let plan = String::from_utf8(plan.stdout).unwrap();
        let decode = plan.lines().find(|line| line.starts_with("decode: ")).unwrap();
        assert_eq!(decode.contains("-hwaccel vaapi"), same, "{decode}");
    }
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn resumed_job_must_use_the_same_decoder() {
    let folder =
        clips(&["-f lavfi -i testsrc2=s=64x48:r=25:d=12 -c:v libx264 -preset ultrafast in.mp4"]);
    let dir = folder.path();
    let programs = pretending_ffmpeg("null");
    let ffmpeg = format!("--ffmpeg {}", programs.path().display());
    let mut command = interpolate(dir, &format!("in.mp4 -o out.mp4 {ffmpeg} --hwaccel vaapi"));
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    while !dir.join(".out.mp4.rife-job/journal.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "ended before a segment was finished");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = interpolate(dir, &format!("in.mp4 -o out.mp4 {ffmpeg} --resume")).output();
    let stderr = stderr_of(&refused.unwrap());
    assert!(stderr.contains("hardware decoder: was vaapi, is unset"), "{stderr}");
}

#[test]
#[cfg_attr(not(ffmpeg_here), ignore = "needs ffmpeg and ffprobe on PATH: install ffmpeg")]
fn encoder_without_a_device_is_replaced_with_one_line() {
    let folder = clips(&[CLIP]);
    let dir = folder.path();
    let software = [("h264", "libx264"), ("hevc", "libx265"), ("av1", "libsvtav1")];
    let mut tried = 0;
    for (codec, replacement) in software {
        for kind in ["nvenc", "vaapi", "qsv"] {
            let encoder = format!("{codec}_{kind}");
            if !lists("-encoders", &encoder) || !lists("-encoders", replacement) {
                continue;
            }
            let args = format!("in.mp4 -o out.mp4 --overwrite --codec {encoder}");
            let stderr = succeed(interpolate(dir, &args));
            let notes: Vec<_> = stderr.lines().filter(|line| line.contains(&encoder)).collect();
            // A machine with this hardware needs no replacement.
            if notes.is_empty() {
                continue;
            }
            tried += 1;
            let start = format!(
                "note: encoding with {replacement} instead: {encoder} cannot encode the video: "
            );
            assert!(notes.len() == 1 && notes[0].starts_with(&start), "{encoder}: {stderr}");
            // Another encoder does not understand these.
            for options in ["--preset p7", "--encoder-args '-b:v 1M'"] {
                let args = format!("in.mp4 -o x.mp4 --codec {encoder} {options}");
                let mut command = interpolate(dir, "");
                command.args(shlex::split(&args).unwrap());
                let output = command.output().unwrap();
                assert!(!output.status.success(), "{encoder} {options}");
            }
            fail_with(
                interpolate(dir, &format!("in.mp4 -o x.mp4 --codec {encoder} --encoder-args -an")),
                dir,
                &format!("{encoder} cannot encode the video: "),
            );
        }
    }
    let here = lists("-encoders", "h264_nvenc") || lists("-encoders", "h264_vaapi");
    assert!(tried > 0 || !here || std::path::Path::new("/dev/dri").exists(), "nothing was tried");
}
