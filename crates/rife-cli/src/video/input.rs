//! What a job reads: a file through ffmpeg, Y4M, raw video, or a folder of pictures.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rife_runtime::{FrameSize, PixelFormat};
use rife_video::{
    Colour, ContainerTiming, Decoder, PipeFormat, PipeSource, Playlists, Pool, Programs, Rational,
    RawFormat, Source, SourceFrame, VideoStream, Y4mHeader,
};

use super::content::{self, Animation, Once};
use super::webp::WebpSource;
use crate::args::InterpolateArgs;
use crate::picture::{self, Marks};
use crate::{report, say};

/// Bytes that are read at once where less than that is wanted: the lines between frames.
const AT_ONCE: usize = 1 << 13;

/// The rate of pictures and raw video where nobody says it.
const DEFAULT_RATE: i64 = 25;

/// What is read.
pub(crate) struct Input {
    /// Its name, for people.
    pub(crate) name: String,
    /// How frames lie.
    pub(crate) raw: RawFormat,
    /// What the engines take them as.
    pub(crate) format: PixelFormat,
    /// What samples mean, where nothing is said by custom.
    pub(crate) colour: Colour,
    /// What is said of it: what was not said stays unsaid.
    pub(crate) said: Colour,
    /// Seconds of which every time is a multiple.
    pub(crate) tick: Rational,
    /// Seconds that times may be off by, as the container rounds them; 0 where they are exact.
    pub(crate) rounding: Rational,
    /// Frames a second, on average.
    pub(crate) rate: Rational,
    /// Whether the container does not claim a constant rate.
    pub(crate) variable: bool,
    /// Frames, where that is known.
    pub(crate) frames: Option<u64>,
    /// Width of a pixel over its height.
    pub(crate) sample_aspect: Option<Rational>,
    pub(crate) kind: Kind,
    /// The copy of what can be read only once, removed with this.
    pub(crate) copy: Option<tempfile::TempPath>,
}

pub(crate) enum Kind {
    /// A file that ffmpeg reads.
    File { path: PathBuf, source: Box<rife_video::Probed>, working: rife_video::WorkingFormat },
    /// A stream that stands at its first frame.
    Stream { from: Box<dyn BufRead + Send>, wrapping: PipeFormat },
    /// Pictures of a folder.
    Pictures(Folder),
    /// An animated WebP.
    Webp(Box<WebpSource>),
}

/// Pictures, in order.
pub(crate) struct Folder {
    files: Vec<PathBuf>,
    /// What the samples of the first mean: the output's pictures carry it on.
    pub(crate) marks: Marks,
    /// What was reported as lost already.
    reported: Vec<&'static str>,
}

impl Folder {
    /// The files, in order.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Input {
    pub(crate) fn open(
        args: &InterpolateArgs,
        programs: &mut dyn FnMut() -> Result<Programs>,
    ) -> Result<Self> {
        let path = &args.earlier;
        let stdin = path.as_os_str() == "-";
        if let Some(name) = &args.video.pix_fmt {
            let size = args.video.size.context("raw video needs --size beside --pix-fmt")?;
            return Self::raw(args, path, stdin, name, size);
        }
        ensure!(args.video.size.is_none(), "--size is for raw video: it needs --pix-fmt");
        if stdin {
            rife_video::enlarge_pipe(std::io::stdin());
            let stdin = super::streams::stdin().context("standard input is not there")?;
            let from = Box::new(BufReader::with_capacity(AT_ONCE, stdin));
            return Self::y4m(args, "standard input", from);
        }
        let found = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
        if found.is_dir() {
            return Self::pictures(args, path);
        }
        if !found.is_file() {
            match content::open_once(args, path, &found)? {
                Once::Y4m(from) => return Self::y4m(args, &path.display().to_string(), from),
                Once::Copy(copy) => {
                    let read = Self::of_file(args, &copy, programs);
                    let input = read.map_err(|error| named(error, &copy, path))?;
                    let name = path.display().to_string();
                    return Ok(Self { name, copy: Some(copy), ..input });
                }
                Once::Device => {}
            }
        }
        if has_extension(path, &["y4m"]) {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let from = Box::new(BufReader::with_capacity(AT_ONCE, file));
            return Self::y4m(args, &path.display().to_string(), from);
        }
        Self::of_file(args, path, programs)
    }

    /// A file that is neither Y4M nor raw.
    fn of_file(
        args: &InterpolateArgs,
        path: &Path,
        programs: &mut dyn FnMut() -> Result<Programs>,
    ) -> Result<Self> {
        let animation = content::animation(path)?;
        if animation == Some(Animation::WebP) {
            ensure!(
                args.video.input_fps.is_none(),
                "--input-fps is for pictures, raw video and Y4M: an animation says its times itself"
            );
            return Self::webp(path);
        }
        ensure!(
            animation.is_some() || picture::Format::of(path).is_err(),
            "{} is one picture: name the later one after it, or a folder of pictures",
            path.display()
        );
        ensure!(
            args.video.input_fps.is_none(),
            "--input-fps is for pictures, raw video and Y4M: a file says its rate itself"
        );
        let playlists = match args.video.allow_playlists {
            true => Playlists::Allow,
            false => Playlists::Refuse,
        };
        Self::file(path, &programs()?, playlists)
    }

    fn webp(path: &Path) -> Result<Self> {
        let (source, facts) = WebpSource::open(path)?;
        if facts.has_alpha {
            say("note: transparency is dropped: the networks know colour only");
        }
        Ok(Self {
            name: path.display().to_string(),
            raw: RawFormat { size: facts.size, planes: rife_video::Planes::Gbr, depth: 8 },
            format: PixelFormat::Rgb8,
            colour: Colour::default(),
            said: Colour::default(),
            tick: Rational::new(1, 1000),
            rounding: Rational::from(0),
            rate: facts.rate,
            variable: true,
            frames: Some(facts.frames),
            sample_aspect: None,
            kind: Kind::Webp(Box::new(source)),
            copy: None,
        })
    }

    fn file(path: &Path, programs: &Programs, playlists: Playlists) -> Result<Self> {
        let source = rife_video::probe_with(programs, path, playlists)?;
        let video = &source.video;
        let working = rife_video::working_format(video);
        if let Some(note) = &working.note {
            report(note);
        }
        if video.interlaced {
            say("note: the video is interlaced: its fields are taken as they lie in the frames; \
                 deinterlace it first (ffmpeg -vf bwdif) for a smooth picture");
        }
        let colour = rife_video::effective_colour(video, &working);
        let format = rife_video::pixel_format(&working.raw, &colour);
        rife_video::check_complete(programs, path, &source)?;
        let expected = ContainerTiming::new(&source, Rational::from(DEFAULT_RATE));
        Ok(Self {
            name: path.display().to_string(),
            raw: working.raw,
            format,
            tick: expected.tick(),
            rounding: if expected.rate.is_none() { video.time_base } else { Rational::from(0) },
            rate: expected.frame_time.recip(),
            variable: expected.rate.is_none(),
            frames: video.frames,
            sample_aspect: video.sample_aspect,
            said: video.colour.clone(),
            colour,
            kind: Kind::File { path: path.to_owned(), source: Box::new(source), working },
            copy: None,
        })
    }

    fn y4m(args: &InterpolateArgs, name: &str, mut from: Box<dyn BufRead + Send>) -> Result<Self> {
        let header = Y4mHeader::read(&mut from).with_context(|| format!("cannot use {name}"))?;
        if header.interlaced {
            say("note: the stream is interlaced: its fields are taken as they lie in the frames");
        }
        let rate =
            args.video.input_fps.or(header.rate).unwrap_or_else(|| Rational::from(DEFAULT_RATE));
        Ok(Self {
            name: name.into(),
            raw: header.raw,
            format: rife_video::pixel_format(&header.raw, &header.colour),
            said: header.colour.clone(),
            colour: header.colour,
            tick: rate.recip(),
            rounding: Rational::from(0),
            rate,
            variable: false,
            frames: None,
            sample_aspect: header.sample_aspect,
            kind: Kind::Stream { from, wrapping: PipeFormat::Y4m },
            copy: None,
        })
    }

    fn raw(
        args: &InterpolateArgs,
        path: &Path,
        stdin: bool,
        name: &str,
        size: FrameSize,
    ) -> Result<Self> {
        let raw = match name {
            "rgb24" => RawFormat { size, planes: rife_video::Planes::Gbr, depth: 8 },
            "rgb48le" => RawFormat { size, planes: rife_video::Planes::Gbr, depth: 16 },
            _ => match RawFormat::from_pix_fmt(name, size) {
                Some(raw) if raw.planes != rife_video::Planes::Gbr => raw,
                _ => bail!(
                    "raw video is gray, yuv420p, yuv422p or yuv444p, of more bits as yuv420p10le \
                     (10, 12, 16), or rgb24 or rgb48le; got {name:?}"
                ),
            },
        };
        let full = name.starts_with("yuvj").then(|| "pc".to_owned());
        let colour = Colour { range: full, ..Colour::default() };
        let (from, shown): (Box<dyn BufRead + Send>, _) = if stdin {
            rife_video::enlarge_pipe(std::io::stdin());
            let stdin = super::streams::stdin().context("standard input is not there")?;
            let from = BufReader::with_capacity(AT_ONCE, stdin);
            (Box::new(from), "standard input".to_owned())
        } else {
            let shown = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
            ensure!(
                file.metadata().is_ok_and(|file| !file.is_dir()),
                "{shown} is a folder: raw video is a file"
            );
            (Box::new(BufReader::with_capacity(AT_ONCE, file)), shown)
        };
        let rate = args.video.input_fps.unwrap_or_else(|| Rational::from(DEFAULT_RATE));
        Ok(Self {
            name: shown,
            raw,
            format: rife_video::pixel_format(&raw, &colour),
            said: colour.clone(),
            colour,
            tick: rate.recip(),
            rounding: Rational::from(0),
            rate,
            variable: false,
            frames: None,
            sample_aspect: None,
            kind: Kind::Stream { from, wrapping: PipeFormat::Raw },
            copy: None,
        })
    }

    fn pictures(args: &InterpolateArgs, folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {shown}"))?;
        let mut pictures = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {shown}"))?.path();
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.is_file() && picture::Format::of(&path).is_ok() {
                pictures.push(path);
            }
        }
        alphanumeric_sort::sort_path_slice(&mut pictures);
        let Some(first) = pictures.first() else {
            bail!("there is no picture in {shown} (PNG, JPEG, WebP, TIFF)");
        };
        let first = picture::read(first)?;
        first.losses.iter().for_each(|loss| report(loss));
        let size = first.frame.size();
        let depth = if first.frame.format() == PixelFormat::Rgb8 { 8 } else { 16 };
        let rate = args.video.input_fps.unwrap_or_else(|| Rational::from(DEFAULT_RATE));
        Ok(Self {
            name: folder.display().to_string(),
            raw: RawFormat { size, planes: rife_video::Planes::Gbr, depth },
            format: first.frame.format(),
            colour: Colour::default(),
            said: Colour::default(),
            tick: rate.recip(),
            rounding: Rational::from(0),
            rate,
            variable: false,
            frames: Some(pictures.len() as u64),
            sample_aspect: None,
            kind: Kind::Pictures(Folder {
                files: pictures,
                marks: first.marks,
                reported: first.losses,
            }),
            copy: None,
        })
    }

    /// Begins to read.
    pub(crate) fn source(self, programs: Option<&Programs>) -> Result<Box<dyn Source>> {
        Ok(match self.kind {
            Kind::File { path, source, working } => {
                let programs = programs.context("ffmpeg was not looked for")?;
                let command = rife_video::decode_command(programs, &path, &source, &working);
                let expected = ContainerTiming::new(&source, Rational::from(DEFAULT_RATE));
                let stream = VideoStream::new(programs, &path, &source);
                Box::new(Decoder::start(command, Path::new(&self.name), expected, stream)?)
            }
            Kind::Stream { from, wrapping } => {
                Box::new(PipeSource::new(from, &self.name, wrapping, self.rate))
            }
            Kind::Webp(source) => source,
            Kind::Pictures(folder) => Box::new(PictureSource {
                pictures: folder.files.into_iter(),
                marks: folder.marks,
                reported: folder.reported,
                others: false,
                size: self.raw.size,
                format: self.format,
                frame_time: self.rate.recip(),
                read: 0,
            }),
        })
    }
}

/// An error of a copy, told of what it is a copy of.
fn named(error: anyhow::Error, copy: &Path, original: &Path) -> anyhow::Error {
    match error.downcast::<rife_video::Error>() {
        Ok(rife_video::Error::Playlist { path, demuxer }) if path == copy => {
            rife_video::Error::Playlist { path: original.to_owned(), demuxer }.into()
        }
        Ok(rife_video::Error::Unusable { path, why }) if path == copy => {
            rife_video::Error::Unusable { path: original.to_owned(), why }.into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

/// Pictures, one after the other.
struct PictureSource {
    pictures: std::vec::IntoIter<PathBuf>,
    marks: Marks,
    reported: Vec<&'static str>,
    /// Whether a picture with other marks than the first was reported.
    others: bool,
    size: FrameSize,
    format: PixelFormat,
    frame_time: Rational,
    read: i64,
}

impl Source for PictureSource {
    fn next(&mut self, _: &Pool<'_>) -> rife_video::Result<Option<SourceFrame>> {
        let Some(path) = self.pictures.next() else { return Ok(None) };
        let unusable = |why: String| rife_video::Error::Unusable { path: path.clone(), why };
        let picture = picture::read(&path)
            .map_err(|error| rife_video::Error::Refused(crate::describe(&error)))?;
        let size = picture.frame.size();
        if size != self.size {
            return Err(unusable(format!(
                "it is {size} and the pictures before are {}: all must be of one size",
                self.size
            )));
        }
        for loss in picture.losses {
            if !self.reported.contains(&loss) {
                report(loss);
                self.reported.push(loss);
            }
        }
        if let Some(line) = self.marks.unlike(&picture.marks, &path).filter(|_| !self.others) {
            report(&line);
            self.others = true;
        }
        let frame = match picture.frame.format() == self.format {
            true => picture.frame,
            false => picture.frame.converted(self.format)?,
        };
        let time = self.frame_time * self.read;
        self.read += 1;
        Ok(Some(SourceFrame { frame: Arc::new(frame), time, duration: Some(self.frame_time) }))
    }
}

pub(crate) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    extensions.iter().any(|e| extension.eq_ignore_ascii_case(e))
}
