//! What a job writes, told from its name.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail, ensure};
use rife_runtime::{Frame, PixelFormat};
use rife_video::{Error, JobFolder, RawFormat, Sink, Target};

use super::input::has_extension;
use crate::args::InterpolateArgs;
use crate::interpolate::folder_of;
use crate::picture::{self, Format, Marks};
use crate::target;

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
        if path.as_os_str() == "-" || target::is_standard_output(path) {
            return Ok(Self::Y4m(None));
        }
        let writes_through = target::writes_through(path)?;
        if path.is_dir() || (path.extension().is_none() && !writes_through) {
            return Ok(Self::Pictures(path.clone(), Pattern::parse(PATTERN)?));
        }
        let target = || target::resolve(path);
        if has_extension(path, &["y4m"]) || path.extension().is_none() {
            return Ok(Self::Y4m(Some(target()?)));
        }
        if has_extension(path, &["yuv", "raw", "rgb"]) {
            return Ok(Self::Raw(target()?));
        }
        if has_extension(path, CONTAINERS) {
            return Ok(Self::Video(target()?));
        }
        if Format::of(path).is_ok() {
            // As ffmpeg takes it: frames/%04d.png.
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Ok(pattern) = Pattern::parse(name) {
                return Ok(Self::Pictures(folder_of(path).to_owned(), pattern));
            }
            bail!(
                "{} names one picture: name a video, or a folder to fill with pictures",
                path.display()
            );
        }
        bail!(
            "{}: the output's name ends with .{}, .y4m or .yuv, or names a folder for pictures",
            path.display(),
            CONTAINERS.join(", .")
        )
    }

    /// What it can hold; `None` for containers that nothing is known of.
    pub(crate) fn target(&self) -> Option<Target> {
        match self {
            Self::Video(path) => Target::from_extension(&super::extension(path)),
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
    /// The number of a name of this pattern, counted from 0; `None` for any other name.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        let digits = name.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        let number = digits.parse::<i64>().ok()?.checked_sub(1).filter(|number| *number >= 0)?;
        // Other numbers of digits are not names that it gives.
        (self.name(number) == name).then_some(number)
    }
}

/// Refuses a name that stands for many pictures as an input.
pub(crate) fn refuse_pattern(input: &Path) -> Result<()> {
    let name = input.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let many = Pattern::parse(name).is_ok()
        || (name.contains(['*', '?', '[']) && Format::of(input).is_ok());
    ensure!(
        !many || input.exists(),
        "cannot read {}: it is a pattern; name the folder {} instead (its pictures are read in \
         their natural order)",
        input.display(),
        folder_of(input).display()
    );
    Ok(())
}

/// Bytes that a picture takes while it is encoded, for each byte of the frame: the frame itself and
/// a copy of another byte order.
const COPIES: usize = 2;

/// Pictures that are encoded in parallel.
pub(crate) struct Pictures {
    pattern: Pattern,
    to: Option<SyncSender<(String, Frame)>>,
    writers: Vec<JoinHandle<Result<()>>>,
    buffered: usize,
    written: i64,
}

impl Pictures {
    /// Pictures with `marks` into a job's folder. As many are encoded at once as there are
    /// processors, and as a quarter of `memory` allows.
    pub(crate) fn new(
        folder: Arc<JobFolder>,
        pattern: &Pattern,
        marks: Marks,
        raw: &RawFormat,
        memory: u64,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let frame = (raw.size.pixels() * 3 * raw.sample_bytes() * COPIES).max(1) as u64;
        let writers = ((memory / 4 / frame) as usize).clamp(1, processors);
        // A frame waits in the hand of whoever gives it.
        let (to, from) = sync_channel::<(String, Frame)>(0);
        let from = Arc::new(Mutex::new(from));
        let format = pattern.format;
        let marks = Arc::new(marks);
        let writer = || {
            let (from, folder, marks) = (from.clone(), folder.clone(), marks.clone());
            std::thread::spawn(move || write(&from, &folder, format, &marks))
        };
        Self {
            pattern: pattern.clone(),
            to: Some(to),
            writers: (0..writers).map(|_| writer()).collect(),
            buffered: writers * COPIES + 1,
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

fn write(
    from: &Mutex<Receiver<(String, Frame)>>,
    folder: &JobFolder,
    format: Format,
    marks: &Marks,
) -> Result<()> {
    loop {
        let next = from.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((name, frame)) = next else { return Ok(()) };
        folder
            .create(&name)
            .map_err(anyhow::Error::from)
            .and_then(|file| picture::write(file, format, &frame, marks))
            .with_context(|| format!("cannot write {name}"))?;
    }
}

impl Sink for Pictures {
    fn put(&mut self, number: i64, _: i64, frame: &Frame, _: &Frame) -> rife_video::Result<()> {
        let name = self.pattern.name(number);
        let to = self.to.as_ref();
        if to.is_none_or(|to| to.send((name, frame.clone())).is_err()) {
            // Every writer has ended with an error: the first one is reported.
            let failed = self.writers.drain(..).find_map(|writer| writer.join().ok()?.err());
            let why = failed.map_or("no writer".into(), |error| crate::describe(&error));
            return Err(Error::Refused(why));
        }
        self.written += 1;
        Ok(())
    }

    fn buffered(&self) -> usize {
        self.buffered
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
        assert_eq!(pattern.number("005_x.webp"), Some(4));
        assert_eq!(pattern.number("1234_x.webp"), Some(1233));
        for other in
            ["05_x.webp", "a05_x.webp", "000_x.webp", "0005_x.webp", "_x.webp", "+05_x.webp"]
        {
            assert_eq!(pattern.number(other), None, "{other}");
        }
        assert_eq!(pattern.number("99999999999999999999_x.webp"), None);
        for wrong in ["a.png", "%d", "%x.png", "%08d%08d.png", "../%d.png", "%d.gif", "%099d.png"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
