//! `rife interpolate`: pictures between two pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rife_runtime::{Frame, FrameSize, Interpolator, InterpolatorBuilder, PixelFormat};

use crate::args::{EngineArgs, InterpolateArgs};
use crate::picture::{self, Format, Picture};
use crate::video::engines::{Choice, weights};
use crate::{interrupt, say, video};

/// The most pictures between two, and one.
const MOST_PICTURES: i64 = 10_000;

/// A picture to make.
struct Output {
    path: PathBuf,
    timestep: f32,
}

/// What was typed, found to be possible.
struct Job {
    args: InterpolateArgs,
    /// The later picture.
    later: PathBuf,
    outputs: Vec<Output>,
    format: Format,
    /// The folder that the pictures go to.
    folder: PathBuf,
}

impl Job {
    fn new(args: InterpolateArgs, later: PathBuf) -> Result<Self> {
        refuse_what_videos_have(&args)?;
        // Before weights are fetched for what cannot run.
        builder(&args.engine, FrameSize::new(1, 1))?.check()?;
        let factor = match args.factor {
            None => None,
            Some(k) if k.is_integer() && *k.numer() <= MOST_PICTURES => Some(*k.numer()),
            Some(_) => bail!("of two pictures --factor makes a whole number, 2 to {MOST_PICTURES}"),
        };
        let (outputs, format, folder) = match factor {
            None => {
                let out = &args.output;
                ensure!(
                    !out.is_dir(),
                    "{} is a folder: name a picture, or fill the folder with --factor",
                    out.display()
                );
                let format = Format::of(out)?;
                let folder = folder_of(out);
                ensure!(folder.is_dir(), "there is no folder {}", folder.display());
                let output = Output { path: out.clone(), timestep: args.timestep.unwrap_or(0.5) };
                (vec![output], format, folder.to_owned())
            }
            Some(factor) => {
                let folder = args.output.clone();
                let existing = folder.ancestors().find(|dir| dir.exists());
                if let Some(existing) = existing {
                    ensure!(
                        existing.is_dir(),
                        "{} is not a folder: --factor fills one",
                        existing.display()
                    );
                }
                ensure!(
                    folder.is_dir() || Format::of(&folder).is_err(),
                    "{} names a picture: --factor fills a folder",
                    folder.display()
                );
                let outputs = (1..factor).map(|i| Output {
                    path: folder.join(format!("{i:04}.png")),
                    timestep: (i as f64 / factor as f64) as f32,
                });
                (outputs.collect(), Format::Png, folder)
            }
        };
        // Links are looked at, not through: what would be replaced is the link.
        for path in outputs.iter().map(|o| &o.path) {
            let Ok(found) = path.symlink_metadata() else { continue };
            ensure!(
                found.is_file() || found.is_symlink(),
                "{} is not a file that could be replaced",
                path.display()
            );
            ensure!(args.overwrite, "{} exists: add --overwrite to replace it", path.display());
        }
        Ok(Self { args, later, outputs, format, folder })
    }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn builder(args: &EngineArgs, size: FrameSize) -> Result<InterpolatorBuilder> {
    let [device] = args.device[..] else {
        bail!("two pictures need one --device; several share a video");
    };
    Ok(Choice::new(args, device, size).builder())
}

/// What says something of a video says nothing of two pictures.
fn refuse_what_videos_have(args: &InterpolateArgs) -> Result<()> {
    let video = &args.video;
    let given = [
        ("--fps", args.fps.is_some()),
        ("--slow", args.slow.is_some()),
        ("--resume", video.resume),
        ("--codec", video.codec.is_some()),
        ("--crf", video.crf.is_some()),
        ("--preset", video.preset.is_some()),
        ("--encoder-args", video.encoder_args.is_some()),
        ("--audio", video.audio),
        ("--compare", video.compare),
        ("--size", video.size.is_some()),
        ("--pix-fmt", video.pix_fmt.is_some()),
        ("--input-fps", video.input_fps.is_some()),
        ("--pattern", video.pattern.is_some()),
        ("--allow-playlists", video.allow_playlists),
        ("--dry-run", video.dry_run),
        ("--json", video.json),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => bail!("{flag} is for videos, not for two pictures"),
        None => Ok(()),
    }
}

pub(crate) fn run(mut args: InterpolateArgs) -> Result<()> {
    let Some(later) = args.later.take() else { return video::run(args) };
    let job = Job::new(args, later)?;
    let (earlier, later) = read_pair(&job.args.earlier, &job.later)?;

    let engine = &job.args.engine;
    let weights = weights(engine)?;
    let rife = builder(engine, earlier.frame.size())?.load_weights(&weights)?;
    interrupt::install()?;
    let done = create(&job.folder).and_then(|()| make(&job, &rife, &earlier, &later));
    interrupt::clean();
    done
}

fn read_pair(earlier: &Path, later: &Path) -> Result<(Picture, Picture)> {
    let (a, b) = (picture::read(earlier)?, picture::read(later)?);
    ensure!(
        a.frame.size() == b.frame.size(),
        "{} is {} and {} is {}: both must be of one size",
        earlier.display(),
        a.frame.size(),
        later.display(),
        b.frame.size()
    );
    if a.had_alpha || b.had_alpha {
        say("note: transparency is dropped: the networks know colour only");
    }
    Ok((a, b))
}

/// Creates a folder and those above it that are missing.
pub(crate) fn create(folder: &Path) -> Result<()> {
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let missing: Vec<_> = folder.ancestors().take_while(missing).collect();
    for dir in missing.into_iter().rev() {
        std::fs::create_dir(dir)
            .with_context(|| format!("cannot create the folder {}", dir.display()))?;
        interrupt::created(dir);
    }
    Ok(())
}

/// Makes every picture, and gives them their names when all are whole.
fn make(job: &Job, rife: &Interpolator, earlier: &Picture, later: &Picture) -> Result<()> {
    let deeper = [&earlier.frame, &later.frame]
        .map(Frame::format)
        .into_iter()
        .find(|f| *f != PixelFormat::Rgb8)
        .unwrap_or(PixelFormat::Rgb8);
    let pixels = job.format.pixel_format(deeper);
    let mut session = rife.session(earlier.frame.size())?;
    session.push(&earlier.frame.view())?;
    session.push(&later.frame.view())?;

    let cannot_write = || format!("cannot write to {}", job.folder.display());
    let scratch = tempfile::Builder::new()
        .prefix(".rife-")
        .tempdir_in(&job.folder)
        .map_err(|error| error.kind())
        .map_err(std::io::Error::from)
        .with_context(cannot_write)?;
    interrupt::scratch(scratch.path());
    let whole = |i: usize| scratch.path().join(i.to_string());

    let bar = progress(job.outputs.len());
    for (i, output) in job.outputs.iter().enumerate() {
        let frame = session.at_as(output.timestep, pixels)?;
        picture::write(&whole(i), job.format, &frame, earlier.icc_profile.as_deref())
            .with_context(|| format!("cannot write {}", output.path.display()))?;
        bar.inc(1);
    }
    for (i, output) in job.outputs.iter().enumerate() {
        picture::keep(&whole(i), &output.path, job.args.overwrite)
            .with_context(|| format!("cannot write {}", output.path.display()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Hidden where standard error is not a terminal, and for a single picture.
fn progress(pictures: usize) -> ProgressBar {
    if pictures == 1 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(pictures as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} pictures, {eta} left") {
        bar.set_style(style);
    }
    bar
}
