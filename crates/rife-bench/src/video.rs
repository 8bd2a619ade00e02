//! Frames of a video file, through the system's ffmpeg.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::subject::Size;

/// Reads the first frames of a video as interleaved 8-bit RGB, `most` at most; there may be fewer.
///
/// # Errors
/// Where ffmpeg is not there, cannot decode the file, or there is no frame in it.
pub fn read(path: &Path, most: usize) -> Result<(Size, Vec<Vec<u8>>)> {
    // A name that begins with a dash is a name all the same.
    let file = std::path::absolute(path).with_context(|| format!("{}", path.display()))?;
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
    rife_video::limit_input(&mut command);
    let mut child = command
        .arg("-i")
        .arg(file)
        .args(["-map", "0:v:0", "-frames:v", &most.to_string()])
        .args(["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm"])
        .args(["-pix_fmt", "rgb24", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("a video is read through ffmpeg, which does not start: install it")?;
    let mut complaint = child.stderr.take().context("ffmpeg without messages")?;
    // Read at the same time, so that a talkative decoder does not wait for a reader.
    let complaint = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = complaint.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let out = child.stdout.take().context("ffmpeg without output")?;
    let read = frames(&mut BufReader::with_capacity(1 << 20, out), most);
    if read.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().context("waiting for ffmpeg")?;
    let complaint = complaint.join().unwrap_or_default();
    let frames = match read {
        Ok(frames) if status.success() || !frames.is_empty() => frames,
        read => {
            let last = complaint.lines().last().map(str::trim).unwrap_or_default();
            // What ffmpeg says last of a file without pictures is how to do without them.
            let none = complaint.contains("matches no streams");
            let names_others = complaint.contains("Format not on whitelist");
            let why = match (none, names_others) {
                (true, _) => "it has no pictures",
                (_, true) => "it is a playlist, or no video that holds all its frames in one file",
                _ => last,
            };
            let error = read.err().map(|error| format!("{error:#}")).unwrap_or_default();
            bail!(
                "cannot read {} as a video: {}",
                path.display(),
                if why.is_empty() { &error } else { why }
            );
        }
    };
    let Some((size, _)) = frames.first() else {
        bail!("{} has no frame of video", path.display());
    };
    let size = *size;
    ensure!(
        frames.iter().all(|(other, _)| *other == size),
        "{} changes its size on the way",
        path.display()
    );
    Ok((size, frames.into_iter().map(|(_, rgb)| rgb).collect()))
}

/// Binary portable pixmaps, one after the other.
fn frames(from: &mut impl BufRead, most: usize) -> Result<Vec<(Size, Vec<u8>)>> {
    let mut frames = Vec::new();
    while frames.len() < most {
        if from.fill_buf()?.is_empty() {
            break;
        }
        let size = header(from)?;
        let mut rgb = vec![0; size.samples()];
        from.read_exact(&mut rgb).context("a frame ends early")?;
        frames.push((size, rgb));
    }
    Ok(frames)
}

fn header(from: &mut impl BufRead) -> Result<Size> {
    let mut words = Vec::new();
    while words.len() < 4 {
        let mut line = String::new();
        ensure!(from.take(64).read_line(&mut line)? > 0, "a header ends early");
        words.extend(line.split_whitespace().map(str::to_owned));
    }
    match &words[..] {
        [magic, width, height, depth] if magic == "P6" && depth == "255" => {
            let size = Size { width: width.parse()?, height: height.parse()? };
            crate::plan::check_size(size)?;
            Ok(size)
        }
        _ => bail!("no pixmap: {}", words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixmaps_come_one_after_the_other() {
        let frame = |level: u8| {
            let mut bytes = b"P6\n20 16\n255\n".to_vec();
            bytes.extend(vec![level; 3 * 20 * 16]);
            bytes
        };
        let two = [frame(1), frame(2)].concat();
        let read = frames(&mut &two[..], 9).expect("frames");
        let size = Size { width: 20, height: 16 };
        assert_eq!(read, [(size, vec![1; 960]), (size, vec![2; 960])]);
        assert_eq!(frames(&mut &two[..], 1).expect("frames").len(), 1);
        for wrong in [&two[..two.len() - 1], b"P5\n20 16\n255\n", b"P6\n1 1\n255\n", b"P6 20"] {
            assert!(frames(&mut &wrong[..], 9).is_err());
        }
    }
}
