//! --dry-run: what a job would do.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rife_video::{Rate, Rational};

use super::engines::{self, Trial};
use super::job::Job;
use super::output::Output;
use super::video_file;
use crate::print::loss_or_note;

/// Prints the plan of a job, with the speed and memory measured in a short trial.
pub(super) fn print(job: &Job) -> Result<()> {
    let trial =
        engines::try_out(&job.args.engine, &job.model, job.input.raw.size, job.input.pixel_format);
    let mut lines = vec![input_line(job), output_line(job)];
    if let Some(frames) = job.total_frames {
        let seconds = Rational::from(frames as i64) / job.output_rate;
        let seconds = *seconds.numer() as f64 / *seconds.denom() as f64;
        lines.push(format!("duration: {seconds:.3} s"));
    }
    lines.push(match &trial {
        Ok(trial) => time_line(job, trial),
        Err(error) => format!("time: unknown: {}", crate::describe(error)),
    });
    lines.push(memory_line(job, trial.ok().and_then(|trial| trial.memory_bytes)));
    lines.extend(command_lines(job)?);
    lines.extend(job.losses()?);
    crate::print(&(lines.join("\n") + "\n"))
}

fn input_line(job: &Job) -> String {
    let input = &job.input;
    format!(
        "input: {}: {} {}, {} fps{}{}",
        input.name,
        input.raw.size,
        rife_video::pipe_pix_fmt(&input.raw),
        input.rate,
        if input.variable_rate { " on average" } else { "" },
        [
            input.part.map(|part| format!(", {part}")),
            input.frames.map(|frames| format!(", {frames} frames")),
        ]
        .into_iter()
        .flatten()
        .collect::<String>(),
    )
}

fn output_line(job: &Job) -> String {
    let format = job.written_format();
    let rate = match job.rate {
        Rate::Fps(_) => String::new(),
        rate => format!("{rate}, "),
    };
    format!(
        "output: {}: {} {}, {rate}{} fps{}, timestamps in units of {} s",
        job.args.output.display(),
        format.size,
        rife_video::pipe_pix_fmt(&format),
        job.output_rate,
        job.total_frames.map(|frames| format!(", {frames} frames")).unwrap_or_default(),
        job.timeline.tick(),
    )
}

fn time_line(job: &Job, trial: &Trial) -> String {
    let estimate = interpolated_frames(job).map(|frames| {
        let seconds = (frames as f64 / trial.fps).clamp(1.0, 1e12);
        let time = indicatif::HumanDuration(Duration::from_secs_f64(seconds));
        let most = if job.args.video.dedup { "up to " } else { "" };
        format!(": about {time} for {most}{frames} interpolated frames")
    });
    format!(
        "time: {}, {:.1} fps in a trial{}",
        trial.description,
        trial.fps,
        estimate.unwrap_or_default()
    )
}

fn memory_line(job: &Job, network_bytes: Option<u64>) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "memory: {}frame queues up to {:.0} MiB, {:.1} MiB per frame",
        network_bytes.map(|bytes| format!("network {:.0} MiB, ", mib(bytes))).unwrap_or_default(),
        mib(job.args.video.max_memory),
        mib(job.input.raw.frame_bytes() as u64),
    )
}

/// The number of interpolated frames if there are neither cuts nor stills; with --dedup, if every
/// drawing is held as long as it may be. The other output frames are source frames, or repeat the
/// last one.
fn interpolated_frames(job: &Job) -> Option<u64> {
    let (total, frames) = (job.total_frames?, job.input.frames?);
    let multiple = job.rate.multiple(job.input.rate);
    // One output frame of so many coincides with a source frame that is shown.
    let hold = job.pipeline_settings(0).scenes.longest_hold as u64;
    let period = (*multiple.numer() as u64).saturating_mul(hold);
    let before_last =
        (multiple * frames.saturating_sub(1) as i64).ceil().to_integer().max(0) as u64;
    let before_last = before_last.min(total);
    Some(before_last - before_last.div_ceil(period.max(1)))
}

/// The ffmpeg commands, and what is lost.
fn command_lines(job: &Job) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    if let Some(decoder) = job.input.decoder(job.programs().ok()) {
        let command = decoder.command(decoder.seek_time(job.input.part_start()));
        lines.push(format!("decode: {}", shell_line(&command)));
    }
    if let (Output::Video(file), Some(encoding)) = (&job.output, &job.format.encoding) {
        let commands = video_file::commands(job, file)?;
        let encode = shell_line(&commands.encode);
        lines.push(format!("encode, every {} frames: {encode}", commands.frames_per_segment));
        lines.push(format!("join: {}", shell_line(&commands.join)));
        lines.extend(encoding.notes.iter().chain(&commands.notes).map(|note| loss_or_note(note)));
        lines.extend(job.coarse_timestamps_warning());
    }
    Ok(lines)
}

/// A command, quoted for a shell.
fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let line =
        shlex::try_join(words.iter().map(|word| &**word)).unwrap_or_else(|_| words.join(" "));
    let folder = command.get_current_dir().map(|folder| folder.to_string_lossy());
    let folder =
        folder.as_deref().and_then(|folder| Some(shlex::try_quote(folder).ok()?.into_owned()));
    match folder {
        Some(folder) => format!("cd {folder} && {line}"),
        None => line,
    }
}
