//! `rife interpolate`: pictures between two pictures.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rife_runtime::{Frame, FrameSize, InterpolatorBuilder, PixelFormat};
use rife_video::{JobFolder, JobHandle};

use crate::args::{EngineArgs, InterpolateArgs};
use crate::picture::{self, Format, Picture};
use crate::video::engines::{Choice, weights};
use crate::{interrupt, report, target, video};

/// The most pictures between two, and one.
const MOST_PICTURES: i64 = 10_000;

/// A picture to make.
struct Output {
    path: PathBuf,
    timestep: f32,
    /// Whether it is a pipe or a device.
    write_through: bool,
}

/// What was typed, found to be possible.
struct Job {
    args: InterpolateArgs,
    /// The later picture.
    later: PathBuf,
    outputs: Vec<Output>,
    format: Format,
    /// The folder that --factor fills.
    folder: Option<PathBuf>,
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
                let typed = &args.output;
                ensure!(
                    !typed.is_dir(),
                    "{} is a folder: name a picture, or fill the folder with --factor",
                    typed.display()
                );
                let write_through = target::writes_through(typed)?;
                let format = match Format::of(typed) {
                    // A device has no ending.
                    Err(_) if write_through && typed.extension().is_none() => Format::Png,
                    format => format?,
                };
                let path = target::resolve(typed)?;
                let folder = folder_of(&path);
                ensure!(folder.is_dir(), "there is no folder {}", folder.display());
                let timestep = args.timestep.unwrap_or(0.5);
                let output = Output { path: path.clone(), timestep, write_through };
                (vec![output], format, None)
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
                    write_through: false,
                });
                (outputs.collect(), Format::Png, Some(folder))
            }
        };
        if !args.overwrite {
            let typed = |output: &Output| match folder {
                Some(_) => output.path.clone(),
                None => args.output.clone(),
            };
            let mut files = outputs.iter().filter(|output| !output.write_through).map(typed);
            if let Some(path) = files.find(|path| path.symlink_metadata().is_ok()) {
                bail!("{} exists: add --overwrite to replace it", path.display());
            }
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

    interrupt::install()?;
    let done = claim(&job).and_then(|folder| make(&job, folder.as_deref(), &earlier, &later));
    interrupt::clean();
    done
}

/// The job folder, claimed before any work, so that a second job for the same output fails at once.
fn claim(job: &Job) -> Result<Option<Arc<JobFolder>>> {
    let path = match (&job.folder, job.outputs.as_slice()) {
        (Some(folder), _) => {
            create(folder)?;
            folder.join(video::PICTURES_JOB)
        }
        (None, [Output { path, write_through: false, .. }]) => JobFolder::beside(path),
        _ => return Ok(None),
    };
    let folder = Arc::new(JobFolder::open(&path)?);
    interrupt::job(JobHandle::new(&folder));
    folder.clear(|_| true).with_context(|| format!("cannot empty {}", path.display()))?;
    Ok(Some(folder))
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
    let mut losses = a.losses.clone();
    losses.extend(b.losses.iter().filter(|loss| !a.losses.contains(loss)));
    losses.iter().for_each(|loss| report(loss));
    if let Some(line) = a.marks.unlike(&b.marks, later) {
        report(&line);
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

/// Interpolates every picture, and gives them their names when all are complete.
fn make(job: &Job, folder: Option<&JobFolder>, earlier: &Picture, later: &Picture) -> Result<()> {
    let engine = &job.args.engine;
    let weights = weights(engine)?;
    let rife = builder(engine, earlier.frame.size())?.load_weights(&weights)?;
    let deeper = [&earlier.frame, &later.frame]
        .map(Frame::format)
        .into_iter()
        .find(|f| *f != PixelFormat::Rgb8)
        .unwrap_or(PixelFormat::Rgb8);
    let pixels = job.format.pixel_format(deeper);
    let mut session = rife.session(earlier.frame.size())?;
    session.push(&earlier.frame.view())?;
    session.push(&later.frame.view())?;

    if let Some(line) = earlier.marks.losses(job.format) {
        report(&line);
    }
    let bar = progress(job.outputs.len());
    let marks = &earlier.marks;
    let name = |i: usize| format!("{i}.picture");
    for (i, output) in job.outputs.iter().enumerate() {
        let frame = session.at_as(output.timestep, pixels)?;
        let written = match folder {
            Some(folder) => folder
                .create(&name(i))
                .map_err(Into::into)
                .and_then(|file| picture::write(file, job.format, &frame, marks)),
            None => picture::write_through(&output.path, job.format, &frame, marks),
        };
        written.with_context(|| format!("cannot write {}", output.path.display()))?;
        bar.inc(1);
    }
    if let Some(folder) = folder {
        for (i, output) in job.outputs.iter().enumerate() {
            folder
                .publish(&name(i), &output.path, job.args.overwrite)
                .with_context(|| format!("cannot write {}", output.path.display()))?;
        }
    }
    if let Some(filled) = job.folder.as_ref().filter(|_| job.args.overwrite) {
        video::remove_stale(filled, |name| is_stale(name, job.outputs.len()))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Whether a name is one that --factor gives to a picture after the last one.
fn is_stale(name: &str, pictures: usize) -> bool {
    let number = name.strip_suffix(".png").and_then(|number| number.parse::<usize>().ok());
    number.is_some_and(|number| number > pictures && name == format!("{number:04}.png"))
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
