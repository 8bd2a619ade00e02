//! `rife interpolate` of a video: what was typed, found to be possible, and run.

mod content;
pub(crate) mod engines;
mod files;
mod input;
mod output;
mod progress;
mod side_by_side;
mod streams;
mod webp;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rife_runtime::PixelFormat;
use rife_video::{
    Colour, CutMode, DeviceWorker, Encoding, EncodingRequest, Feature, Orientation, Planes,
    Programs, Progress, Queues, Rate, Rational, RawFormat, RotatingSink, SceneSettings, Settings,
    Sink, Timeline, Y4mHeader,
};
use serde_json::json;

pub(crate) use self::files::{PICTURES_JOB, remove_stale};
use self::input::{Input, Kind};
use self::output::Output;
use self::progress::Told;
use self::side_by_side::SideBySide;
use crate::args::{InterpolateArgs, Scene};
use crate::picture::Marks;
use crate::{interrupt, report, say};

/// What was typed, found to be possible.
struct Job {
    args: InterpolateArgs,
    output: Output,
    programs: Option<Programs>,
    rate: Rate,
    /// Frames that will be written, where that is known.
    total: Option<u64>,
    /// The output's rate, on average.
    out_rate: Rational,
    /// How the output's frames lie, before two are put side by side.
    raw: RawFormat,
    format: PixelFormat,
    /// What is said of its samples.
    said: Colour,
    /// How frames are turned before they are written.
    turned: Orientation,
    /// Width of a pixel over its height, as it is written.
    sample_aspect: Option<Rational>,
    /// Features whose loss is reported before the job starts.
    reported: Vec<Feature>,
    /// The encoder; none where there is none.
    encoding: Option<Encoding>,
    /// The build of the encoder, once it was tried out.
    encoder_build: String,
    /// Whether the output is a pipe or a device.
    write_through: bool,
    told: Told,
}

pub(crate) fn run(args: InterpolateArgs) -> Result<()> {
    let to_error =
        args.output.as_os_str() == "-" || crate::target::is_standard_output(&args.output);
    let told = match args.video.json {
        false => Told::People,
        true if to_error => Told::ProgramsByError,
        true => Told::ProgramsByOutput,
    };
    let done = carry_out(args);
    if let Err(error) = &done {
        told.line(&json!({ "event": "error", "message": crate::describe(error) }));
    }
    done
}

fn carry_out(args: InterpolateArgs) -> Result<()> {
    let output = Output::of(&args)?;
    ensure!(
        args.timestep.is_none(),
        "--timestep is for two pictures: of a video --factor, --fps or --slow say what is made"
    );
    output::refuse_pattern(&args.earlier)?;
    engines::check(&args.engine)?;
    let mut found = None;
    let ffmpeg = args.video.ffmpeg.clone();
    let mut programs = || -> Result<Programs> {
        if found.is_none() {
            found = Some(Programs::find(ffmpeg.as_deref())?);
        }
        found.clone().context("ffmpeg")
    };
    if let Output::Video(_) = output {
        programs()?;
    }
    let mut input = Input::open(&args, &mut programs)?;
    // It stays until the sound is copied from it, too.
    let _copy = input.copy.take();
    let mut job = Job::new(args, output, &input, found)?;
    let timeline = Timeline::new(job.rate, input.tick)?.with_end_rounding(input.rounding);
    if job.args.video.dry_run {
        return job.tell_plan(&input, &timeline);
    }
    job.refuse_what_exists()?;
    interrupt::install()?;
    let done = job.run(input, timeline);
    interrupt::clean();
    done.map_err(files::advise)
}

impl Job {
    /// Claims the output, and writes it.
    fn run(&mut self, input: Input, timeline: Timeline) -> Result<()> {
        let folder = files::claim(self)?;
        let content = files::content(self, &input)?;
        self.report_losses(&input)?;
        if let Some(warning) = self.coarse_rate() {
            say(&warning);
        }
        if let Some(encoding) = &self.encoding {
            encoding.notes.iter().for_each(|note| report(note));
            self.encoder_build = rife_video::check_encoding(self.programs()?, encoding)?;
        }
        let makers = engines::load(&self.args.engine, input.raw.size)?;
        match (&self.output, &folder) {
            (Output::Video(path), Some(folder)) => {
                files::video(self, path, (folder, content), input, timeline, &makers)
            }
            (Output::Pictures(to, pattern), Some(folder)) => {
                files::pictures(self, (to, pattern), folder, input, timeline, &makers)
            }
            (Output::Y4m(Some(path)) | Output::Raw(path), Some(folder)) => {
                files::stream(self, path, folder, input, timeline, &makers)
            }
            (output, _) => files::write_through(self, output.file(), input, timeline, &makers),
        }
    }

    fn new(
        args: InterpolateArgs,
        output: Output,
        input: &Input,
        programs: Option<Programs>,
    ) -> Result<Self> {
        let video = &args.video;
        let rate = match (args.factor, args.fps, args.slow) {
            (_, Some(fps), _) => Rate::Fps(fps),
            (_, _, Some(k)) => Rate::Slow(k),
            (Some(k), ..) => Rate::Factor(k),
            _ => Rate::Factor(Rational::from(2)),
        };
        let multiple = rate.multiple(input.rate);
        let total =
            input.frames.map(|frames| (multiple * frames as i64).ceil().to_integer().max(0) as u64);
        let out_rate = rate.output_rate(input.rate);
        ensure!(
            !video.compare || input.raw.size.width > 1,
            "--compare needs frames of two columns or more"
        );
        if let (Output::Video(_), Kind::Stream { .. }) = (&output, &input.kind) {
            ensure!(!video.resume, "--resume needs an input that can be read again: a file");
        }
        ensure!(
            matches!(output, Output::Video(_)) || !video.resume,
            "--resume is for videos: they are kept in segments while they are made"
        );
        if input.variable && !matches!(output, Output::Video(_)) && args.fps.is_none() {
            say("note: the input's rate varies and the output has no times of its own: \
                 --fps makes the rate constant");
        }

        let stored = match &input.kind {
            Kind::File { source, .. } => source.video.orientation,
            _ => None,
        };
        let stored = stored.unwrap_or(Orientation::IDENTITY);
        let target = output.target();
        let turned = match target.is_some_and(|target| target.rotates_pixels(stored)) {
            true => stored,
            false => Orientation::IDENTITY,
        };
        let upright = RawFormat { size: turned.size(input.raw.size), ..input.raw };
        let sample_aspect = input.sample_aspect.map(|aspect| turned.sample_aspect(aspect));
        let mut reported = vec![Feature::Alpha, Feature::FieldOrder];

        let mut raw = upright;
        let mut said = input.said.clone();
        let mut format = input.format;
        let mut encoding = None;
        match &output {
            Output::Video(_) => {
                let container = extension(&args.output);
                let programs = programs.as_ref().context("ffmpeg was not looked for")?;
                let hdr = match &input.kind {
                    Kind::File { source, .. } => source.video.hdr,
                    _ => rife_video::Hdr::default(),
                };
                let twice = |raw: &RawFormat| match video.compare {
                    true => side_by_side::twice(raw),
                    false => *raw,
                };
                let chosen = rife_video::choose_encoding(
                    programs,
                    &EncodingRequest {
                        container: &container,
                        codec: video.codec.as_deref(),
                        crf: video.crf,
                        preset: video.preset.as_deref(),
                        extra: video.encoder_args.as_deref(),
                        raw: &twice(&upright),
                        colour: &input.said,
                        hdr: &hdr,
                        rate: out_rate,
                    },
                )?;
                // Red, green and blue may have to become luma and chroma.
                raw = RawFormat { size: upright.size, ..chosen.raw };
                reported.extend(&chosen.lost);
                if raw.planes == Planes::Gbr {
                    // The encoder takes it as it is.
                } else if input.raw.planes == Planes::Gbr {
                    say_that_colours_change(input, &chosen.encoder);
                    said = chosen.colour.clone();
                    format = rife_video::pixel_format(&raw, &said);
                } else {
                    format = rife_video::pixel_format(&raw, &input.colour);
                }
                encoding = Some(chosen);
            }
            Output::Y4m(_) if raw.planes == Planes::Gbr => {
                say_that_colours_change(input, "Y4M");
                raw.planes = Planes::Yuv444;
                said = rife_video::default_colour(raw.size);
                format = rife_video::pixel_format(&raw, &said);
            }
            Output::Y4m(_) | Output::Raw(_) => {}
            Output::Pictures(_, pattern) => {
                format = output::picture_format(pattern.format, format);
            }
        }
        let told = match (video.json, &output) {
            (false, _) => Told::People,
            (true, Output::Y4m(None)) => Told::ProgramsByError,
            (true, _) => Told::ProgramsByOutput,
        };
        let write_through = match output.file() {
            Some(path) => crate::target::writes_through(path)?,
            None => false,
        };
        Ok(Self {
            args,
            output,
            programs,
            rate,
            total,
            out_rate,
            raw,
            format,
            said,
            turned,
            sample_aspect,
            reported,
            encoding,
            encoder_build: String::new(),
            write_through,
            told,
        })
    }

    /// Reports what an output that is not a container cannot hold of a file.
    fn report_losses(&self, input: &Input) -> Result<()> {
        for line in self.losses(input)? {
            report(&line);
        }
        Ok(())
    }

    /// What an output that is not a container cannot hold of a file.
    fn losses(&self, input: &Input) -> Result<Vec<String>> {
        match (self.output.target(), &input.kind) {
            (_, Kind::Pictures(folder)) => {
                let format = match &self.output {
                    Output::Pictures(_, pattern) => Some(pattern.format),
                    _ => None,
                };
                let lost = match format {
                    Some(format) => folder.marks.losses(format),
                    None => folder.marks.losses_in_video(),
                };
                Ok(lost.into_iter().collect())
            }
            (Some(target), Kind::File { path, source, .. })
                if !matches!(self.output, Output::Video(_)) =>
            {
                let programs = self.programs()?;
                let reported = &self.reported;
                Ok(rife_video::losses_without_container(programs, path, source, target, reported)?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What pictures made from an input say of their colours.
    fn marks(&self, input: &Input) -> Marks {
        match &input.kind {
            Kind::File { source, .. } => Marks::of_video(&self.said, &source.video.hdr),
            Kind::Pictures(folder) => folder.marks.clone(),
            Kind::Stream { .. } | Kind::Webp(_) => {
                Marks::of_video(&self.said, &rife_video::Hdr::default())
            }
        }
    }

    fn programs(&self) -> Result<&Programs> {
        self.programs.as_ref().context("ffmpeg was not looked for")
    }

    /// A warning where the container's times are too coarse for the output's rate.
    fn coarse_rate(&self) -> Option<String> {
        match &self.output {
            Output::Video(_) => files::shared_times(&self.container(), self.out_rate.recip()),
            _ => None,
        }
    }

    /// The container, by the ending of the output's name as it was typed: a link may lead to a
    /// file of any name.
    fn container(&self) -> String {
        extension(&self.args.output)
    }

    fn refuse_what_exists(&self) -> Result<()> {
        let input = &self.args.earlier;
        if let Output::Pictures(folder, pattern) = &self.output {
            let same = folder.canonicalize().ok().zip(input.canonicalize().ok());
            ensure!(
                same.is_none_or(|(a, b)| a != b),
                "{} is the input: name another output",
                folder.display()
            );
            if !self.args.overwrite {
                files::refuse_existing_pictures(folder, pattern)?;
            }
        }
        if let Some(path) = self.output.file() {
            let same = path.canonicalize().ok().zip(input.canonicalize().ok());
            ensure!(
                same.is_none_or(|(a, b)| a != b),
                "{} is the input: name another output",
                path.display()
            );
            ensure!(!path.is_dir(), "{} is a folder", path.display());
            let folder = crate::interpolate::folder_of(path);
            ensure!(folder.is_dir(), "there is no folder {}", folder.display());
            // A pipe or a device loses nothing.
            let free = self.write_through || self.args.output.symlink_metadata().is_err();
            ensure!(
                self.args.overwrite || free,
                "{} exists: add --overwrite to replace it",
                path.display()
            );
        }
        Ok(())
    }

    /// The shape of the frames that are written.
    fn written(&self) -> RawFormat {
        match self.args.video.compare {
            true => side_by_side::twice(&self.raw),
            false => self.raw,
        }
    }

    fn header(&self) -> Y4mHeader {
        Y4mHeader {
            raw: self.written(),
            rate: Some(self.out_rate),
            sample_aspect: self.sample_aspect,
            colour: self.said.clone(),
            interlaced: false,
        }
    }

    fn settings(&self, input: &Input, skip: i64) -> Settings {
        let video = &self.args.video;
        let off = video.scene == Scene::Off;
        Settings {
            scenes: SceneSettings {
                cut_threshold: if off { f64::INFINITY } else { video.scene_threshold },
                still_threshold: video.static_threshold,
                cut_mode: if video.scene == Scene::Blend { CutMode::Blend } else { CutMode::Hold },
            },
            size: input.raw.size,
            input: input.format,
            format: self.format,
            memory: video.max_memory,
            skip,
            frame_time: input.rate.recip(),
        }
    }

    /// Makes all frames.
    fn make(
        &self,
        input: Input,
        mut timeline: Timeline,
        makers: &[DeviceWorker],
        sink: &mut dyn Sink,
        skip: i64,
    ) -> Result<Progress> {
        let settings = self.settings(&input, skip);
        self.warn_of_memory(&settings, makers.len(), sink);
        let mut source = input.source(self.programs.as_ref())?;
        let progress = Progress::default();
        let done = AtomicBool::new(false);
        let made = std::thread::scope(|scope| {
            let teller = scope.spawn(|| {
                progress::tell(self.told, &progress, self.total, skip.max(0) as u64, &done);
            });
            let mut wide;
            let sink: &mut dyn Sink = match self.args.video.compare {
                true => {
                    wide = SideBySide { to: sink };
                    &mut wide
                }
                false => sink,
            };
            let mut upright;
            let sink: &mut dyn Sink = match self.turned {
                Orientation::IDENTITY => sink,
                by => {
                    upright = RotatingSink { sink, orientation: by };
                    &mut upright
                }
            };
            let made =
                rife_video::run(&mut *source, &mut timeline, makers, sink, &settings, &progress);
            done.store(true, Ordering::Relaxed);
            teller.thread().unpark();
            made
        });
        made?;
        Ok(progress)
    }

    /// Reports that frames need more than --max-memory.
    fn warn_of_memory(&self, settings: &Settings, devices: usize, sink: &dyn Sink) {
        let buffered = match self.args.video.compare {
            true => SideBySide::buffered_with(sink.buffered()),
            false => sink.buffered(),
        };
        let needed = Queues::new(settings, devices, buffered).bytes;
        if needed > settings.memory {
            say(&format!(
                "note: --max-memory {} is too little for frames of {}: using {}M, the least \
                 possible",
                match settings.memory {
                    bytes if bytes < 1 << 20 => format!("{}K", bytes >> 10),
                    bytes => format!("{}M", bytes >> 20),
                },
                settings.size,
                needed.div_ceil(1 << 20)
            ));
        }
    }

    /// Says what was done.
    fn tell_done(&self, name: &str, progress: &Progress, start: Instant) {
        let seconds = start.elapsed().as_secs_f64();
        let [written, made, cuts, stills, read] = [
            &progress.written,
            &progress.interpolated,
            &progress.cuts,
            &progress.stills,
            &progress.read,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        let network = progress.stages().network.as_secs_f64();
        if self.told != Told::People {
            self.told.line(&json!({
                "event": "done",
                "output": name,
                "frames": written,
                "read": read,
                "made": made,
                "cuts": cuts,
                "stills": stills,
                "frame_bytes": progress.pooled_bytes.load(Ordering::Relaxed),
                "seconds": seconds,
                "fps": written as f64 / seconds,
                "stages_s": progress::stages(progress),
            }));
            return;
        }
        let count = |n: u64, one: &str, many: &str| match n {
            0 => String::new(),
            1 => format!(", 1 {one}"),
            n => format!(", {n} {many}"),
        };
        say(&format!(
            "{name}: {written} frames, {made} interpolated{}{}, {seconds:.1} s (network busy {:.0} %)",
            count(cuts, "cut", "cuts"),
            count(stills, "still", "stills"),
            100.0 * network / seconds / self.args.engine.device.len().max(1) as f64,
        ));
    }

    /// Frames that the network makes where nothing is a cut and nothing stands still: the others
    /// are the source's own, or the last one held.
    fn made(&self, input: &Input) -> Option<u64> {
        let (total, frames) = (self.total?, input.frames?);
        let multiple = self.rate.multiple(input.rate);
        // Of the output's frames one in so many meets one of the source's.
        let meets = *multiple.numer() as u64;
        let gaps = (multiple * frames.saturating_sub(1) as i64).ceil().to_integer().max(0) as u64;
        let between = gaps.min(total);
        Some(between - between.div_ceil(meets.max(1)))
    }

    /// Says what would be done.
    fn tell_plan(&self, input: &Input, timeline: &Timeline) -> Result<()> {
        let mut lines = vec![format!(
            "input: {}: {} {}, {} fps{}{}",
            input.name,
            input.raw.size,
            rife_video::pipe_pix_fmt(&input.raw),
            input.rate,
            if input.variable { " on average" } else { "" },
            input.frames.map(|frames| format!(", {frames} frames")).unwrap_or_default(),
        )];
        lines.push(format!(
            "output: {}: {} {}, {}{} fps{}, times in ticks of {} s",
            self.args.output.display(),
            self.written().size,
            rife_video::pipe_pix_fmt(&self.written()),
            if let Rate::Fps(_) = self.rate { String::new() } else { format!("{}, ", self.rate) },
            self.out_rate,
            self.total.map(|total| format!(", {total} frames")).unwrap_or_default(),
            timeline.tick(),
        ));
        if let Some(total) = self.total {
            let seconds = Rational::from(total as i64) / self.out_rate;
            lines.push(format!(
                "duration: {:.3} s",
                *seconds.numer() as f64 / *seconds.denom() as f64
            ));
        }
        let trial = engines::try_out(&self.args.engine, input.raw.size, input.format);
        lines.push(match &trial {
            Ok(trial) => {
                let made = self.made(input).map(|made| {
                    let time = indicatif::HumanDuration(Duration::from_secs_f64(
                        (made as f64 / trial.fps).clamp(1.0, 1e12),
                    ));
                    format!(": about {time} for {made} of them")
                });
                format!(
                    "time: {}, {:.1} frames a second by a trial{}",
                    trial.what,
                    trial.fps,
                    made.unwrap_or_default()
                )
            }
            Err(error) => format!("time: unknown: {}", crate::describe(error)),
        });
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let network = trial.ok().and_then(|trial| trial.bytes);
        lines.push(format!(
            "memory: {}queues of up to {:.0} MiB, of frames of {:.1} MiB",
            network.map(|bytes| format!("network {:.0} MiB, ", mib(bytes))).unwrap_or_default(),
            mib(self.args.video.max_memory),
            mib(input.raw.frame_bytes() as u64),
        ));
        lines.extend(files::commands(self, input, timeline)?);
        lines.extend(self.losses(input)?);
        crate::print(&(lines.join("\n") + "\n"))
    }
}

/// Says that a video's own frames cannot stay as they are. Of pictures everybody expects it.
fn say_that_colours_change(input: &Input, by: &str) {
    if let Kind::File { .. } = input.kind {
        say(&format!(
            "note: {by} takes luma and chroma for red, green and blue: frames change by rounding; \
             --codec ffv1 in .mkv keeps them"
        ));
    }
}

/// A path, as a shell takes it.
fn shown(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let line =
        shlex::try_join(words.iter().map(|word| &**word)).unwrap_or_else(|_| words.join(" "));
    let folder = command.get_current_dir().map(|folder| folder.to_string_lossy());
    let folder =
        folder.as_deref().and_then(|folder| Some(shlex::try_quote(folder).ok()?.into_owned()));
    folder.map_or_else(|| line.clone(), |folder| format!("cd {folder} && {line}"))
}

/// The ending of a name, in lower case.
fn extension(path: &Path) -> String {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}
