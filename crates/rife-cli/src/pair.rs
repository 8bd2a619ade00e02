//! Interpolation of an image pair.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rife_runtime::{Frame, PixelFormat};
use rife_video::{JobFolder, JobHandle, Rational};

use crate::args::{HwAccel, InterpolateArgs};
use crate::host::Host;
use crate::image_file::{self, DecodedImage, ImageFormat};
use crate::model::Model;
use crate::paths::{self, OutputFile};
use crate::terminal::Terminal;
use crate::video::engines::{self, EngineConfig};
use crate::{image_folder, interrupt};

/// The largest --factor.
const MAX_FACTOR: i64 = 10_000;

/// An image to interpolate.
struct Output {
    file: OutputFile,
    /// In (0, 1).
    timestep: f32,
}

/// A validated job.
struct Job {
    first: DecodedImage,
    second: DecodedImage,
    second_path: PathBuf,
    outputs: Vec<Output>,
    format: ImageFormat,
    /// The folder that --factor fills.
    folder: Option<PathBuf>,
    overwrite: bool,
    host: Host,
    model: Model,
    engine: EngineConfig,
}

pub(crate) fn run(args: InterpolateArgs, second: &Path) -> Result<()> {
    let job = Job::new(args, second, Host::command(Terminal::text()))?;
    job.report_losses();
    interrupt::install(&job.host)?;
    let result = job.claim_folder().and_then(|folder| job.interpolate(folder.as_deref()));
    interrupt::remove_unfinished(&job.host);
    result
}

impl Job {
    /// Checks everything that can be checked before weights are loaded, and reads the images.
    fn new(args: InterpolateArgs, second_path: &Path, host: Host) -> Result<Self> {
        refuse_video_options(&args)?;
        let [device] = args.engine.device[..] else {
            bail!("an image pair needs one --device, got {}", args.engine.device.len());
        };
        let model = Model::of(&args.engine, &host)?;
        engines::check(&args.engine, &model)?;
        let (outputs, format, folder) = match args.factor {
            None => {
                let (output, format) = single_output(&args)?;
                (vec![output], format, None)
            }
            Some(factor) => {
                let outputs = folder_outputs(&args.output, factor)?;
                (outputs, ImageFormat::Png, Some(args.output.clone()))
            }
        };
        if !args.overwrite {
            refuse_existing(&args, &outputs, folder.is_some())?;
        }
        let (first, second) = (image_file::read(&args.input)?, image_file::read(second_path)?);
        let (size, second_size) = (first.frame.size(), second.frame.size());
        ensure!(
            size == second_size,
            "the images differ in size: {} is {size}, {} is {second_size}",
            args.input.display(),
            second_path.display(),
        );
        Ok(Self {
            first,
            second,
            second_path: second_path.to_owned(),
            outputs,
            format,
            folder,
            overwrite: args.overwrite,
            host,
            engine: EngineConfig::new(&args.engine, &model, device, size),
            model,
        })
    }

    /// Reports what is lost from the images, whatever the output format.
    fn report_losses(&self) {
        let (first, second) = (&self.first.losses, &self.second.losses);
        first.iter().for_each(|loss| self.host.report(loss));
        second.iter().filter(|loss| !first.contains(loss)).for_each(|loss| self.host.report(loss));
        let conflict =
            self.first.colour_tags.conflict_with(&self.second.colour_tags, &self.second_path);
        if let Some(line) = conflict {
            self.host.report(&line);
        }
    }

    /// Creates and locks the job folder before any work, so that a second job for the same output
    /// fails immediately. A pipe or a device has none.
    fn claim_folder(&self) -> Result<Option<Arc<JobFolder>>> {
        let path = match (&self.folder, self.outputs.as_slice()) {
            (Some(folder), _) => {
                paths::create_folders(&self.host, folder)?;
                folder.join(image_folder::JOB_FOLDER)
            }
            (None, [Output { file: OutputFile { path, write_through: false }, .. }]) => {
                JobFolder::beside(path)
            }
            _ => return Ok(None),
        };
        let folder = Arc::new(JobFolder::open(&path)?);
        interrupt::register_job(&self.host, JobHandle::new(&folder));
        folder.clear(|_| true).with_context(|| format!("cannot empty {}", path.display()))?;
        Ok(Some(folder))
    }

    /// Interpolates all images, and moves them to their final names when all are complete.
    fn interpolate(&self, folder: Option<&JobFolder>) -> Result<()> {
        let (first, second) = (&self.first, &self.second);
        let weights = self.model.weights(&self.host)?;
        let rife = self.engine.builder().load_weights(&weights)?;
        let sources = [&first.frame, &second.frame].map(Frame::format);
        let source = sources.into_iter().find(|format| *format != PixelFormat::Rgb8);
        let pixel_format = self.format.pixel_format(source.unwrap_or(PixelFormat::Rgb8));
        let mut session = rife.session(first.frame.size())?;
        session.push(&first.frame.view())?;
        session.push(&second.frame.view())?;

        let tags = &first.colour_tags;
        if let Some(line) = tags.losses(self.format) {
            self.host.report(&line);
        }
        let bar = progress_bar(self.outputs.len());
        let temporary_name = |i: usize| format!("{i}.picture");
        let cannot_write = |output: &Output| format!("cannot write {}", output.file.path.display());
        for (i, output) in self.outputs.iter().enumerate() {
            let frame = session.at_as(output.timestep, pixel_format)?;
            let written = match folder {
                Some(folder) => folder
                    .create(&temporary_name(i))
                    .map_err(Into::into)
                    .and_then(|file| image_file::write(file, self.format, &frame, tags)),
                None => image_file::write_to_pipe(&output.file.path, self.format, &frame, tags),
            };
            written.with_context(|| cannot_write(output))?;
            bar.inc(1);
        }
        if let Some(folder) = folder {
            for (i, output) in self.outputs.iter().enumerate() {
                folder
                    .publish(&temporary_name(i), &output.file.path, self.overwrite)
                    .with_context(|| cannot_write(output))?;
            }
        }
        if let Some(folder) = self.folder.as_ref().filter(|_| self.overwrite) {
            image_folder::remove_stale(&self.host, folder, |name| {
                is_stale(name, self.outputs.len())
            })?;
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// Refuses options that apply to videos only.
fn refuse_video_options(args: &InterpolateArgs) -> Result<()> {
    let video = &args.video;
    let options = [
        ("--fps", args.fps.is_some()),
        ("--slow", args.slow.is_some()),
        ("--from", args.part.from.is_some()),
        ("--to", args.part.to.is_some()),
        ("--preview", args.part.preview.is_some()),
        ("--hwaccel", args.setup.hwaccel != HwAccel::None),
        ("--resume", video.resume),
        ("--no-hold-last", video.no_hold_last),
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
    match options.iter().find(|(_, is_set)| *is_set) {
        Some((flag, _)) => bail!("{flag} applies to videos, not to an image pair"),
        None => Ok(()),
    }
}

/// The output without --factor: one image at --timestep.
fn single_output(args: &InterpolateArgs) -> Result<(Output, ImageFormat)> {
    let path = &args.output;
    ensure!(
        !path.is_dir(),
        "cannot write {}: it is a folder; name an image, or fill the folder with --factor",
        path.display()
    );
    let is_pipe_or_device = paths::is_pipe_or_device(path)?;
    let format = match ImageFormat::from_path(path) {
        // Devices have no extension.
        Err(_) if is_pipe_or_device && path.extension().is_none() => ImageFormat::Png,
        format => format?,
    };
    let file = OutputFile::resolve(path)?;
    paths::check_parent_folder(&file.path)?;
    Ok((Output { file, timestep: args.timestep.unwrap_or(0.5) }, format))
}

/// The outputs with --factor: numbered images at equal timesteps in a folder.
fn folder_outputs(folder: &Path, factor: Rational) -> Result<Vec<Output>> {
    ensure!(
        factor.is_integer() && *factor.numer() <= MAX_FACTOR,
        "--factor must be an integer from 2 to {MAX_FACTOR} for an image pair, got {factor}"
    );
    let factor = *factor.numer();
    if let Some(existing) = folder.ancestors().find(|dir| dir.exists()) {
        ensure!(
            existing.is_dir(),
            "{} is not a folder: --factor writes images into a folder",
            existing.display()
        );
    }
    ensure!(
        folder.is_dir() || ImageFormat::from_path(folder).is_err(),
        "{} is the name of an image: --factor writes images into a folder",
        folder.display()
    );
    let outputs = (1..factor).map(|i| Output {
        file: OutputFile { path: folder.join(format!("{i:04}.png")), write_through: false },
        timestep: (i as f64 / factor as f64) as f32,
    });
    Ok(outputs.collect())
}

/// Refuses to replace files.
fn refuse_existing(args: &InterpolateArgs, outputs: &[Output], in_folder: bool) -> Result<()> {
    // A link counts as existing even if its target does not, so a single output is checked by the
    // name as given.
    let named = |file: &OutputFile| if in_folder { file.path.clone() } else { args.output.clone() };
    let files = outputs.iter().map(|output| &output.file).filter(|file| !file.write_through);
    match { files.map(named) }.find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(paths::exists_error(&path)),
        None => Ok(()),
    }
}

/// Whether a file name is that of an image after the first `count` in a --factor job.
fn is_stale(name: &str, count: usize) -> bool {
    let number = name.strip_suffix(".png").and_then(|number| number.parse::<usize>().ok());
    number.is_some_and(|number| number > count && name == format!("{number:04}.png"))
}

/// A progress bar, hidden for a single image and if standard error is not a terminal.
fn progress_bar(images: usize) -> ProgressBar {
    if images == 1 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(images as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} images, {eta} left") {
        bar.set_style(style);
    }
    bar
}
