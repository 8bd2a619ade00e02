//! What a job writes, told from its name.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail, ensure};
use rife_runtime::{Frame, PixelFormat};
use rife_video::{Error, Sink, Target};

use super::input::has_extension;
use crate::args::InterpolateArgs;
use crate::picture::{self, Format, Marks};

/// Containers that ffmpeg is asked to write.
const CONTAINERS: &[&str] = &["mp4", "m4v", "mov", "mkv", "webm", "avi"];

/// The pattern of the names of pictures where nobody gives one.
const PATTERN: &str = "%08d.png";

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A video, through ffmpeg.
    Video(PathBuf),
    /// Y4M to a file, or to standard output.
    Y4m(Option<PathBuf>),
    /// Raw video to a file.
    Raw(PathBuf),
    /// Pictures into a folder.
    Pictures(PathBuf, Pattern),
}

impl Output {
    pub(crate) fn of(args: &InterpolateArgs) -> Result<Self> {
        let path = &args.output;
        if let Some(pattern) = &args.video.pattern {
            ensure!(
                path.is_dir() || !path.exists(),
                "{} is not a folder: --pattern names the pictures in one",
                path.display()
            );
            return Ok(Self::Pictures(path.clone(), Pattern::parse(pattern)?));
        }
        if path.as_os_str() == "-" {
            return Ok(Self::Y4m(None));
        }
        if path.is_dir() || path.extension().is_none() {
            return Ok(Self::Pictures(path.clone(), Pattern::parse(PATTERN)?));
        }
        if has_extension(path, &["y4m"]) {
            return Ok(Self::Y4m(Some(path.clone())));
        }
        if has_extension(path, &["yuv", "raw", "rgb"]) {
            return Ok(Self::Raw(path.clone()));
        }
        if has_extension(path, CONTAINERS) {
            return Ok(Self::Video(path.clone()));
        }
        ensure!(
            Format::of(path).is_err(),
            "{} names one picture: name a video, or a folder to fill with pictures",
            path.display()
        );
        bail!(
            "{}: the output's name ends with .{}, .y4m or .yuv, or names a folder for pictures",
            path.display(),
            CONTAINERS.join(", .")
        )
    }

    /// What it can hold; `None` for containers that nothing is known of.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Self::Video(path) => Target::of_container(&super::files::container(path)),
            Self::Y4m(_) => Some(Target::Y4m),
            Self::Raw(_) => Some(Target::Raw),
            Self::Pictures(_, pattern) if pattern.format == Format::Png => Some(Target::Png),
            Self::Pictures(..) => Some(Target::Pictures),
        }
    }

    /// The file that is written; none for standard output and pictures.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Video(path) | Self::Raw(path) | Self::Y4m(Some(path)) => Some(path),
            _ => None,
        }
    }
}

/// Names with a number in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    before: String,
    digits: usize,
    after: String,
    pub(crate) format: Format,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let wrong = || format!("--pattern is a name as %08d.png, got {text:?}");
        let (before, rest) = text.split_once('%').with_context(wrong)?;
        let (digits, after) = rest.split_once('d').with_context(wrong)?;
        let digits = match digits.strip_prefix('0').unwrap_or(digits) {
            "" => 1,
            digits => digits.parse().ok().filter(|n| *n <= 20).with_context(wrong)?,
        };
        ensure!(!after.contains('%') && !text.contains(['/', '\\']), wrong());
        let format = Format::of(Path::new(text))?;
        Ok(Self { before: before.into(), digits, after: after.into(), format })
    }

    pub(crate) fn name(&self, number: i64) -> String {
        format!("{}{:0width$}{}", self.before, number + 1, self.after, width = self.digits)
    }
}

impl Pattern {
    /// Whether a name is one of those.
    pub(crate) fn makes(&self, name: &str) -> bool {
        let digits =
            name.strip_prefix(&self.before).and_then(|rest| rest.strip_suffix(&self.after));
        digits.is_some_and(|d| {
            d.len() >= self.digits && !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit())
        })
    }
}

/// Pictures that are encoded side by side.
pub(crate) struct Pictures {
    folder: PathBuf,
    pattern: Pattern,
    to: Option<SyncSender<(PathBuf, Frame)>>,
    writers: Vec<JoinHandle<Result<()>>>,
    written: i64,
}

impl Pictures {
    pub(crate) fn new(folder: &Path, pattern: &Pattern, marks: Marks) -> Self {
        let writers = std::thread::available_parallelism().map_or(1, usize::from);
        let (to, from) = sync_channel::<(PathBuf, Frame)>(writers);
        let from = Arc::new(Mutex::new(from));
        let format = pattern.format;
        let marks = Arc::new(marks);
        let writer = || {
            let (from, marks) = (from.clone(), marks.clone());
            std::thread::spawn(move || write(&from, format, &marks))
        };
        Self {
            folder: folder.to_owned(),
            pattern: pattern.clone(),
            to: Some(to),
            writers: (0..writers).map(|_| writer()).collect(),
            written: 0,
        }
    }

    /// Waits for all of them; how many there are.
    pub(crate) fn finish(mut self) -> Result<i64> {
        self.to = None;
        for writer in self.writers.drain(..) {
            match writer.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(self.written)
    }
}

fn write(from: &Mutex<Receiver<(PathBuf, Frame)>>, format: Format, marks: &Marks) -> Result<()> {
    loop {
        let next = from.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((path, frame)) = next else { return Ok(()) };
        picture::write(&path, format, &frame, marks)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
}

impl Sink for Pictures {
    fn put(&mut self, number: i64, _: i64, frame: &Frame, _: &Frame) -> rife_video::Result<()> {
        let path = self.folder.join(self.pattern.name(number));
        let to = self.to.as_ref();
        if to.is_none_or(|to| to.send((path, frame.clone())).is_err()) {
            // Every writer has ended, each with an error: that of the first is as good as any.
            let failed = self.writers.drain(..).find_map(|writer| writer.join().ok()?.err());
            let why = failed.map_or("nobody writes".into(), |error| crate::describe(&error));
            return Err(Error::Refused(why));
        }
        self.written += 1;
        Ok(())
    }
}

/// The format of pictures made from frames of a format.
pub(crate) fn picture_format(format: Format, from: PixelFormat) -> PixelFormat {
    let deep = match from {
        PixelFormat::Rgb8 => false,
        PixelFormat::Yuv(yuv) => yuv.depth > 8,
        _ => true,
    };
    format.pixel_format(if deep { PixelFormat::Rgb16 } else { PixelFormat::Rgb8 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_from_one() {
        assert_eq!(Pattern::parse("%08d.png").unwrap().name(0), "00000001.png");
        assert_eq!(Pattern::parse("a-%d.jpg").unwrap().name(11), "a-12.jpg");
        let pattern = Pattern::parse("%3d_x.webp").unwrap();
        assert_eq!(pattern.name(4), "005_x.webp");
        assert!(pattern.makes("005_x.webp") && pattern.makes("1234_x.webp"));
        assert!(!pattern.makes("05_x.webp") && !pattern.makes("a05_x.webp"));
        for wrong in ["a.png", "%d", "%x.png", "%08d%08d.png", "../%d.png", "%d.gif", "%099d.png"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
