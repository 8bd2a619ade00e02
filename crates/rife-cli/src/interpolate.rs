//! `rife interpolate`: pictures between two pictures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rife_model::weights::Store;
use rife_runtime::{Frame, Interpolator, InterpolatorBuilder, PixelFormat};

use crate::args::{EngineArgs, InterpolateArgs};
use crate::picture::{self, Format, Picture};
use crate::say;

/// A picture to make.
struct Output {
    path: PathBuf,
    timestep: f32,
}

/// What was typed, found to be possible.
struct Job {
    args: InterpolateArgs,
    outputs: Vec<Output>,
    format: Format,
    /// The folder to fill, where there are several pictures.
    folder: Option<PathBuf>,
}

impl Job {
    fn new(args: InterpolateArgs) -> Result<Self> {
        // Before weights are fetched for what cannot run.
        builder(&args.engine).check()?;
        let (outputs, format, folder) = match args.factor {
            None => {
                let format = Format::of(&args.output)?;
                ensure!(!args.output.is_dir(), "{} is a folder", args.output.display());
                let parent = args.output.parent().filter(|p| !p.as_os_str().is_empty());
                if let Some(parent) = parent {
                    ensure!(parent.is_dir(), "there is no folder {}", parent.display());
                }
                let output = Output { path: args.output.clone(), timestep: args.timestep };
                (vec![output], format, None)
            }
            Some(factor) => {
                let folder = args.output.clone();
                ensure!(
                    !folder.exists() || folder.is_dir(),
                    "{} is not a folder: --factor fills one",
                    folder.display()
                );
                let above = folder.ancestors().skip(1).find(|dir| dir.exists());
                if let Some(above) = above {
                    ensure!(above.is_dir(), "{} is not a folder", above.display());
                }
                let outputs = (1..factor).map(|i| Output {
                    path: folder.join(format!("{i:04}.png")),
                    timestep: (f64::from(i) / f64::from(factor)) as f32,
                });
                (outputs.collect(), Format::Png, Some(folder))
            }
        };
        if !args.overwrite
            && let Some(taken) = outputs.iter().find(|o| o.path.exists())
        {
            bail!("{} exists: add --overwrite to replace it", taken.path.display());
        }
        Ok(Self { args, outputs, format, folder })
    }
}

fn builder(args: &EngineArgs) -> InterpolatorBuilder {
    Interpolator::builder(args.model)
        .engine(args.engine)
        .device(args.device)
        .precision(args.precision)
        .scale(args.scale)
        .ensemble(args.ensemble)
}

pub(crate) fn run(args: InterpolateArgs) -> Result<()> {
    let job = Job::new(args)?;
    let (earlier, later) = read_pair(&job.args.earlier, &job.args.later)?;

    let engine = &job.args.engine;
    let weights = Store::locate(engine.weights.dir.as_deref())?
        .obtain(engine.model, &mut |line| say(line))?;
    let rife = builder(engine).load_weights(&weights)?;
    let created = match &job.folder {
        Some(folder) => create(folder)?,
        None => Vec::new(),
    };
    if let Some(note) = &weights.note {
        say(&format!("note: {note}"));
    }
    let done = make(&job, &rife, &earlier, &later);
    if done.is_err() {
        // Only what this run created, and only what is empty.
        created.iter().rev().for_each(|folder| drop(std::fs::remove_dir(folder)));
    }
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

/// Creates a folder and those above it that are missing; gives the ones it created, topmost first.
fn create(folder: &Path) -> Result<Vec<PathBuf>> {
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let mut created: Vec<_> =
        folder.ancestors().take_while(missing).map(Path::to_path_buf).collect();
    created.reverse();
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    Ok(created)
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

    let bar = progress(job.outputs.len());
    let mut whole = Vec::with_capacity(job.outputs.len());
    for output in &job.outputs {
        let frame = session.at_as(output.timestep, pixels)?;
        let profile = earlier.icc_profile.as_deref();
        whole.push(
            picture::write_beside(&output.path, job.format, &frame, profile)?.into_temp_path(),
        );
        bar.inc(1);
    }
    for (file, output) in whole.into_iter().zip(&job.outputs) {
        picture::keep(file, &output.path, job.args.overwrite)?;
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
