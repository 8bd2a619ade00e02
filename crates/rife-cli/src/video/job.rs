//! A validated job: everything is opened, chosen and checked before anything is written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rife_video::{
    CutMode, Feature, Hdr, Orientation, Programs, Rate, Rational, RawFormat, SceneDetector,
    SceneSettings, Settings, Timeline, Y4mHeader,
};

use super::format::OutputFormat;
use super::input::{self, Input, InputKind};
use super::output::Output;
use super::pattern::{self, NamePattern};
use super::programs::ProgramFinder;
use super::{engines, side_by_side};
use crate::args::{InterpolateArgs, Scene};
use crate::host::Host;
use crate::image_file::ColourTags;
use crate::model::Model;
use crate::paths;

/// A validated job.
pub(super) struct Job {
    pub(super) args: InterpolateArgs,
    pub(super) model: Model,
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) format: OutputFormat,
    pub(super) rate: Rate,
    /// Average frame rate of the output.
    pub(super) output_rate: Rational,
    /// Number of output frames, if known.
    pub(super) total_frames: Option<u64>,
    pub(super) timeline: Timeline,
    /// Rotation and mirroring to apply to the frames, if the output cannot store it.
    pub(super) orientation: Orientation,
    /// Width of an output pixel divided by its height.
    pub(super) sample_aspect: Option<Rational>,
    /// Features whose loss is reported before the job starts.
    pub(super) reported: Vec<Feature>,
    /// ffmpeg and ffprobe, if the job needs them.
    programs: Option<Programs>,
    pub(super) host: Host,
}

impl Job {
    /// Opens the input, and makes all checks that need neither weights nor a job folder.
    pub(super) fn new(args: InterpolateArgs, host: Host) -> Result<Self> {
        let output = Output::from_args(&args)?;
        ensure!(
            args.timestep.is_none(),
            "--timestep applies to image pairs: for a video use --factor, --fps or --slow"
        );
        pattern::refuse_as_input(&args.input)?;
        let model = Model::of(&args.engine, &host)?;
        engines::check(&args.engine, &model)?;
        let ffmpeg = args.video.ffmpeg.clone();
        let mut programs = ProgramFinder::new(ffmpeg.as_deref());
        if output.is_video() {
            programs.find()?;
        }
        let input = input::open(&args, &host, &mut programs)?;
        let programs = programs.into_found();
        check_video_options(&args, &host, &input, &output)?;

        let rate = match (args.factor, args.fps, args.slow) {
            (_, Some(fps), _) => Rate::Fps(fps),
            (_, _, Some(k)) => Rate::Slow(k),
            (Some(k), ..) => Rate::Factor(k),
            _ => Rate::Factor(Rational::from(2)),
        };
        let multiple = rate.multiple(input.rate);
        let output_rate = rate.output_rate(input.rate);
        let orientation = match (&input.kind, output.target()) {
            (InputKind::File { source, .. }, Some(target)) => {
                source.video.orientation.filter(|orientation| target.rotates_pixels(*orientation))
            }
            _ => None,
        };
        let orientation = orientation.unwrap_or(Orientation::IDENTITY);
        let format = OutputFormat::choose(
            &args,
            &host,
            &output,
            &input,
            programs.as_ref(),
            orientation,
            output_rate,
        )?;
        let timeline = Timeline::new(rate, input.time_base)?
            .with_end_rounding(input.time_rounding)
            .with_hold_last(!args.video.no_hold_last);
        let total_frames = input.frames.map(|frames| timeline.count(frames, multiple));
        if !args.video.dry_run {
            check_output(&args, &output)?;
        }
        let mut reported = vec![Feature::Alpha, Feature::FieldOrder];
        reported.extend(format.lost_features());
        Ok(Self {
            sample_aspect: input.sample_aspect.map(|aspect| orientation.sample_aspect(aspect)),
            args,
            model,
            input,
            output,
            format,
            rate,
            output_rate,
            total_frames,
            timeline,
            orientation,
            reported,
            programs,
            host,
        })
    }

    /// ffmpeg and ffprobe. Located during validation if the input or the output needs them.
    pub(super) fn programs(&self) -> Result<&Programs> {
        self.programs.as_ref().context("ffmpeg was not located")
    }

    /// The extension of the output's name as given: a symbolic link may lead to a file of any name.
    pub(super) fn container(&self) -> String {
        paths::extension(&self.args.output)
    }

    /// Memory layout of the frames as written.
    pub(super) fn written_format(&self) -> RawFormat {
        match self.args.video.compare {
            true => side_by_side::double_width(&self.format.raw),
            false => self.format.raw,
        }
    }

    /// The header of a Y4M output.
    pub(super) fn y4m_header(&self) -> Y4mHeader {
        Y4mHeader {
            raw: self.written_format(),
            rate: Some(self.output_rate),
            sample_aspect: self.sample_aspect,
            colour: self.format.colour.clone(),
            interlaced: false,
        }
    }

    /// Settings of the pipeline. The first `skip` output frames were written by an earlier run.
    pub(super) fn pipeline_settings(&self, skip: i64) -> Settings {
        let video = &self.args.video;
        Settings {
            scenes: SceneSettings {
                cut_threshold: match video.scene {
                    Scene::Off => f64::INFINITY,
                    Scene::Hold | Scene::Blend => video.scene_threshold,
                },
                still_threshold: video.static_threshold.unwrap_or(match video.dedup {
                    true => SceneDetector::DEFAULT_HELD,
                    false => 0.0,
                }),
                cut_mode: if video.scene == Scene::Blend { CutMode::Blend } else { CutMode::Hold },
                longest_hold: if video.dedup { video.dedup_max } else { 1 },
            },
            size: self.input.raw.size,
            input: self.input.pixel_format,
            format: self.format.pixel_format,
            memory: video.max_memory,
            skip,
            until: None,
            frame_time: self.input.rate.recip(),
        }
    }

    /// The input files whose content identifies a job that can be resumed; empty if the output
    /// cannot be resumed or the input is a stream.
    pub(super) fn resumable_files(&self) -> &[PathBuf] {
        match (&self.output, &self.input.kind) {
            (Output::Video(_), InputKind::File { path, .. }) => std::slice::from_ref(path),
            (Output::Video(_), InputKind::Images(folder)) => folder.files(),
            _ => &[],
        }
    }

    /// Colour tags of output images.
    pub(super) fn colour_tags(&self) -> ColourTags {
        match &self.input.kind {
            InputKind::File { source, .. } => {
                ColourTags::from_video(&self.format.colour, &source.video.hdr)
            }
            InputKind::Images(folder) => folder.colour_tags.clone(),
            InputKind::Stream { .. } | InputKind::Webp(_) => {
                ColourTags::from_video(&self.format.colour, &Hdr::default())
            }
        }
    }

    /// What the output loses of the input, one line each. Losses in containers are determined when
    /// the streams are joined.
    pub(super) fn losses(&self) -> Result<Vec<String>> {
        match (&self.output, &self.input.kind) {
            (Output::Images { pattern, .. }, InputKind::Images(folder)) => {
                Ok(folder.colour_tags.losses(pattern.format).into_iter().collect())
            }
            (_, InputKind::Images(folder)) => {
                Ok(folder.colour_tags.losses_in_video().into_iter().collect())
            }
            (Output::Video(_), _) => Ok(Vec::new()),
            (output, InputKind::File { path, source, .. }) => {
                let Some(target) = output.target() else { return Ok(Vec::new()) };
                let (programs, reported) = (self.programs()?, &self.reported);
                Ok(rife_video::losses_without_container(programs, path, source, target, reported)?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// A warning if the timestamps of the container are too coarse for the output's frame rate.
    pub(super) fn coarse_timestamps_warning(&self) -> Option<String> {
        let container = self.output.is_video().then(|| self.container())?;
        coarse_timestamps_warning(&container, self.output_rate.recip())
    }
}

/// A warning if a container cannot store distinct timestamps for frames `interval` s apart.
pub(super) fn coarse_timestamps_warning(container: &str, interval: Rational) -> Option<String> {
    let coarse = matches!(container, "mkv" | "webm") && interval < Rational::new(1, 1000);
    coarse.then(|| {
        format!(
            "warning: frames share timestamps: .{container} stores milliseconds, and the output \
             has up to {:.0} fps; .mp4 and .mov store exact timestamps",
            *interval.denom() as f64 / *interval.numer() as f64
        )
    })
}

/// Checks options that depend on the kinds of the input and the output.
fn check_video_options(
    args: &InterpolateArgs,
    host: &Host,
    input: &Input,
    output: &Output,
) -> Result<()> {
    let size = input.raw.size;
    ensure!(
        !args.video.compare || size.width > 1,
        "--compare needs frames at least 2 px wide, got {size}"
    );
    if args.video.resume {
        ensure!(
            !output.is_video() || !matches!(input.kind, InputKind::Stream { .. }),
            "--resume needs an input file that ffmpeg reads, or a folder of images; {} is a stream",
            input.name
        );
        ensure!(output.is_video(), "--resume applies to video files only");
    }
    if input.variable_rate && !output.is_video() && args.fps.is_none() {
        host.report(
            "changed: frame timing - the input has a variable frame rate and the output stores no \
             timestamps; --fps makes the rate constant",
        );
    }
    Ok(())
}

/// Refuses an output that is the input, cannot be created, or exists without --overwrite.
fn check_output(args: &InterpolateArgs, output: &Output) -> Result<()> {
    if let Output::Images { folder, pattern } = output {
        refuse_input_as_output(&args.input, folder)?;
        if !args.overwrite {
            refuse_existing_images(folder, pattern)?;
        }
    }
    if let Some(file) = output.file() {
        let path = &file.path;
        refuse_input_as_output(&args.input, path)?;
        ensure!(!path.is_dir(), "cannot write {}: it is a folder", path.display());
        paths::check_parent_folder(path)?;
        // Writing to a pipe or a device replaces nothing.
        let replaces = !file.write_through && args.output.symlink_metadata().is_ok();
        if replaces && !args.overwrite {
            return Err(paths::exists_error(&args.output));
        }
    }
    Ok(())
}

fn refuse_input_as_output(input: &Path, output: &Path) -> Result<()> {
    let canonical = output.canonicalize().ok().zip(input.canonicalize().ok());
    ensure!(
        canonical.is_none_or(|(output, input)| output != input),
        "{} is the input: name another output",
        output.display()
    );
    Ok(())
}

/// Refuses a folder that contains images of the pattern.
fn refuse_existing_images(folder: &Path, pattern: &NamePattern) -> Result<()> {
    let error = || format!("cannot read {}", folder.display());
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(error)? {
        let entry = entry.with_context(error)?;
        if entry.file_name().to_str().is_some_and(|name| pattern.index(name).is_some()) {
            return Err(paths::exists_error(&entry.path()));
        }
    }
    Ok(())
}
