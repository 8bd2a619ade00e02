//! Joins segments into a video, with the other streams of the original.

use std::process::Command;

use crate::ffmpeg::carry::{self, Transfer};
use crate::ffmpeg::cut::{self, Clips};
use crate::ffmpeg::decode::select_timing_streams;
use crate::ffmpeg::encoder_args;
use crate::ffmpeg::media::{Probed, Stream, StreamKind};
use crate::ffmpeg::mux::{LastFrame, Mux};
use crate::ffmpeg::plan::{self, StreamPlan, TimecodePlan};
use crate::ffmpeg::programs::{self, Programs, run_program};
use crate::{Error, Orientation, Rational, Result};

/// Joins segments with the other streams of the original. ffmpeg runs in the folder of the segment
/// list; `what` names the operation in errors. Returns remarks to report.
///
/// # Errors
/// If ffmpeg cannot write the output.
pub fn join(programs: &Programs, mux: &Mux<'_>, what: &str) -> Result<Vec<String>> {
    let folder = mux.list.parent();
    if let Some((path, source)) = mux.original {
        for (stream, plan) in source.streams.iter().zip(plan::streams(mux, source)) {
            let StreamPlan::Keep(Transfer::Attach(ending, _)) = plan else { continue };
            let mut command = programs.ffmpeg();
            command.arg("-y");
            source.access.limit(&mut command).arg("-i").arg(programs::file(path));
            command.args(["-map", &format!("0:{}", stream.index), "-c", "copy"]);
            command.args(["-frames:v", "1", "-f", "image2pipe"]);
            command.arg(file_in_folder(plan::cover_file(stream, ending).as_ref()));
            if let Some(folder) = folder {
                command.current_dir(folder);
            }
            run_program(command, what)?;
        }
    }
    if let (Some(cut), Some((_, source)), Some(folder)) = (&mux.cut, mux.original, folder) {
        let file = folder.join(cut::CHAPTERS);
        std::fs::write(&file, cut.chapters_file(source)).map_err(Error::io(what))?;
    }
    let (command, notes) = mux_command(programs, mux);
    run_program(command, what)?;
    Ok(notes)
}

/// Returns the command that joins the segments, and remarks to report.
pub fn mux_command(programs: &Programs, mux: &Mux<'_>) -> (Command, Vec<String>) {
    let mut command = programs.ffmpeg();
    let mut notes = Vec::new();
    let container = mux.container.to_ascii_lowercase();
    let container = container.as_str();
    // Continue however much of damaged audio is lost.
    command.args(["-y", "-max_error_rate", "1"]);
    let turned = mux.applied_orientation != Orientation::IDENTITY;
    let stored = mux.original.filter(|_| !turned);
    let rotation = stored.map_or(0, |(_, source)| source.video.rotation);
    if rotation != 0 && programs.version >= (6, 0) {
        command.args(["-display_rotation:v:0", &rotation.to_string()]);
    }
    if mux.offset != Rational::from(0) {
        let micros = (mux.offset * 1_000_000).round().to_integer();
        command.args(["-itsoffset", &format!("{}us", micros)]);
    }
    // Names in the list are relative to it, and ffmpeg ends the folder's path at a "?".
    let list = std::path::absolute(mux.list).unwrap_or_else(|_| mux.list.into());
    command.args(["-protocol_whitelist", "file", "-format_whitelist", "concat,mov,matroska,nut"]);
    command.args(["-f", "concat", "-safe", "0", "-i"]);
    command.arg(file_in_folder(list.file_name().unwrap_or_default()));
    if let Some(folder) = list.parent() {
        command.current_dir(folder);
    }
    let clips = mux.cut.map_or(Clips::None, |_| programs.clips(container));
    if let Some((path, source)) = mux.original {
        if let Some(cut) = mux.cut {
            cut.limit_input(&mut command, source, encodes_audio(mux, source));
        }
        source.access.limit(&mut command).arg("-i").arg(programs::file(path));
        if mux.cut.is_some() {
            command.args(["-protocol_whitelist", "file", "-f", "ffmetadata", "-i"]);
            command.arg(file_in_folder(cut::CHAPTERS.as_ref()));
        }
    }
    command.args(["-map", "0:v:0", "-c", "copy"]);
    if let Some((_, source)) = mux.original {
        streams(&mut command, mux, container, source, clips, &mut notes);
    }
    if let Some(last) = mux.last.filter(|_| programs.sets_durations()) {
        command.args(["-bsf:v:0", &last_frame_filter(&last, mux.offset, container)]);
    }
    if rotation != 0 && programs.version < (6, 0) {
        let turned = rotation.rem_euclid(360);
        command.args(["-metadata:s:v:0", &format!("rotate={turned}")]);
    }
    if let Some(aspect) = mux.sample_aspect.filter(|aspect| *aspect != Rational::from(1)) {
        // ffmpeg's -aspect is the display aspect ratio.
        let display_aspect = aspect * Rational::new(mux.size.width as i64, mux.size.height as i64);
        command.args([
            "-aspect:v:0",
            &format!("{}:{}", display_aspect.numer(), display_aspect.denom()),
        ]);
    }
    // Some codecs do not store colour properties and leave them to the container.
    let colour = mux.colour;
    for (option, word) in [
        ("-color_range:v:0", &colour.range),
        ("-colorspace:v:0", &colour.matrix.clone().filter(|matrix| matrix != "gbr")),
        ("-color_primaries:v:0", &colour.primaries),
        ("-color_trc:v:0", &colour.transfer),
    ] {
        if let Some(word) = word {
            command.args([option, &encoder_args::option_value(option, word)]);
        }
    }
    if matches!(container, "mp4" | "m4v" | "mov") {
        // FLAC and TrueHD in MP4 were experimental for long.
        command.args(["-strict", "experimental"]);
        let quicktime = mux.original.is_some_and(|(_, source)| plan::quicktime_tags(mux, source));
        let tags = if quicktime { "+use_metadata_tags" } else { "" };
        command.args(["-movflags", &format!("+faststart{tags}")]);
        command.args(["-video_track_timescale", &mux.time_scale.to_string()]);
    }
    command.args(["-disposition:v:0", &dispositions(mux)]);
    // The same job must write the same bytes: no random numbers, no dates.
    command.args(["-fflags", "+bitexact"]);
    if container == "avi" {
        // AVI has one clock for all streams, which starts at the first frame.
        command.args(["-avoid_negative_ts", "disabled"]);
        // Otherwise ffmpeg guesses a higher rate, and inserts empty frames.
        command.args(["-r:v:0", &format!("{}/{}", mux.rate.numer(), mux.rate.denom())]);
    }
    if let Some(cut) = mux.cut {
        cut.limit_output(&mut command);
    }
    // All packets are available, so none must be flushed early for a stream that lags.
    command.args(["-max_interleave_delta", "0"]);
    if let Some(muxer) = carry::muxer(container) {
        command.args(["-f", muxer]);
    }
    // An output in the folder of the list is named relative to it, as the segments are.
    match mux.output.file_name().filter(|_| mux.output.parent() == mux.list.parent()) {
        Some(name) => _ = command.arg(file_in_folder(name)),
        None => _ = command.arg(programs::file(mux.output)),
    }
    if let Some((_, source)) = mux.original.filter(|_| mux.audio || mux.others) {
        select_timing_streams(&mut command, 1, source);
    }
    (command, notes)
}

/// Adds the streams of the original.
fn streams(
    command: &mut Command,
    mux: &Mux<'_>,
    container: &str,
    source: &Probed,
    clips: Clips,
    notes: &mut Vec<String>,
) {
    let (mut audio, mut subtitles, mut pictures, mut data, mut files) = (0, 0, 1, 0, 0);
    // Source of each output stream, starting with the video.
    let mut from = vec![source.video.index];
    let mut covers = Vec::new();
    for (stream, plan) in source.streams.iter().zip(plan::streams(mux, source)) {
        let StreamPlan::Keep(mut transfer) = plan else { continue };
        let (kind, number) = match stream.kind {
            StreamKind::Audio => ("a", &mut audio),
            StreamKind::Subtitle => ("s", &mut subtitles),
            StreamKind::Data => ("d", &mut data),
            StreamKind::Attachment => ("t", &mut files),
            StreamKind::Video | StreamKind::Picture => ("v", &mut pictures),
        };
        if let Transfer::Attach(ending, mime) = transfer {
            covers.push((stream, ending, mime));
            continue;
        }
        if container == "avi" && kind == "a" && starts_offset(source, stream) {
            notes.push(
                "changed: start of audio - AVI starts all streams together, but in the input \
                 the audio starts before or after the video"
                    .into(),
            );
        }
        command.args(["-map", &format!("1:{}", stream.index)]);
        if let Some(cut) = &mux.cut {
            let specifier = format!("{kind}:{number}");
            cut.cut_stream(command, stream.kind, &specifier, &transfer, clips);
            if stream.kind == StreamKind::Audio {
                cut.cut_encoded(&mut transfer);
            }
        }
        match transfer {
            Transfer::Encode(encoder, options) => {
                command.args([format!("-c:{kind}:{number}"), encoder.into()]);
                for (option, value) in options {
                    command.args([format!("-{option}:{kind}:{number}"), value]);
                }
            }
            _ if kind == "v" => {
                command.args([format!("-disposition:v:{number}"), "attached_pic".into()]);
            }
            _ if kind == "d" => {
                command.args([format!("-tag:d:{number}"), stream.tag.clone()]);
            }
            _ => {}
        }
        *number += 1;
        from.push(stream.index);
    }
    notes.sort();
    notes.dedup();
    let chapters = match (plan::chapters(mux), mux.cut) {
        (Some(_), _) => "-1",
        (None, Some(_)) => "2",
        (None, None) => "1",
    };
    command.args(["-map_metadata", "1", "-map_chapters", chapters]);
    for (to, from) in from.into_iter().enumerate() {
        command.args([format!("-map_metadata:s:{to}"), format!("1:s:{from}")]);
    }
    for (number, (stream, ending, mime)) in (files..).zip(covers) {
        let name = stream.file_name.clone().unwrap_or_else(|| format!("cover.{ending}"));
        command.arg("-attach").arg(plan::cover_file(stream, ending));
        command.args([format!("-metadata:s:t:{number}"), format!("mimetype={mime}")]);
        command.args([format!("-metadata:s:t:{number}"), format!("filename={name}")]);
    }
    stale_tags(command, mux, source);
    timecode(command, mux, container, source);
}

/// Whether audio is encoded.
fn encodes_audio(mux: &Mux<'_>, source: &Probed) -> bool {
    source.streams.iter().zip(plan::streams(mux, source)).any(|(stream, plan)| {
        stream.kind == StreamKind::Audio && matches!(plan, StreamPlan::Keep(Transfer::Encode(..)))
    })
}

/// Whether a stream starts at least 10 ms before or after the video.
fn starts_offset(source: &Probed, stream: &Stream) -> bool {
    let main = source.streams.iter().find(|main| main.index == source.video.index);
    let starts = main.and_then(|main| Some((main.start?, stream.start?)));
    starts.is_some_and(|(a, b)| (a - b) * 100 >= 1.into() || (b - a) * 100 >= 1.into())
}

/// Bitstream filter that sets the duration of the last frame.
fn last_frame_filter(last: &LastFrame, offset: Rational, container: &str) -> String {
    let seconds = |time: Rational| *time.numer() as f64 / *time.denom() as f64;
    // The list has microseconds, Matroska milliseconds.
    let near = (last.duration / 2).min(Rational::new(1, 500));
    let time = offset + last.time;
    let number = last.number;
    let duration = seconds(last.duration);
    let mut decoded = "DTS".to_owned();
    let duration = match container {
        // The unit of PTS depends on the release: milliseconds, or ticks of the segments.
        "mkv" | "webm" => {
            let (time, near) = (seconds(time), seconds(near));
            let is =
                |unit: &str| format!("gt(N,{number}-16)*lt(abs(PTS*{unit}-{time:.6}),{near:.6})");
            format!(
                "if({},round({duration:.9}/0.001),if({},round({duration:.9}/TB),DURATION))",
                is("0.001"),
                is("TB")
            )
        }
        // The packet decoded last may be shown earlier, but also ends the track. It is decoded as
        // late as possible, so that it can last as long as possible.
        _ => {
            let (from, length) = (seconds(time - near), seconds(last.time + last.duration));
            let (start, end) = (seconds(offset), seconds(time + last.duration));
            let late = format!("max(DTS,min(PTS,PTS+STARTDTS-round({start:.9}/TB)))");
            decoded = format!("if(eq(N,{number}),{late},DTS)");
            format!(
                "if(gte(PTS*TB,{from:.6}),round({duration:.9}/TB),\
                 if(eq(N,{number}),min(round({length:.9}/TB)-{late}+STARTDTS,\
                 round({end:.9}/TB)-PTS),DURATION))"
            )
        }
    };
    let escaped = |expression: &str| expression.replace(',', "\\,");
    format!("setts=pts=PTS:dts={}:duration={}", escaped(&decoded), escaped(&duration))
}

/// Removes tags that describe the encoding and the file of the original.
fn stale_tags(command: &mut Command, mux: &Mux<'_>, source: &Probed) {
    for key in ["major_brand", "minor_version", "compatible_brands"] {
        command.args(["-metadata", &format!("{key}=")]);
    }
    // A part of another stream has other statistics, too.
    let measured: &[&str] = if mux.cut.is_some() { &["v:0", "a", "s"] } else { &["v:0"] };
    for key in ["NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "BPS", "DURATION"] {
        for language in ["", "-eng"] {
            for streams in measured {
                let option = format!("-metadata:s:{streams}");
                command.args([option, format!("{key}{language}=")]);
            }
        }
    }
    // Alpha is lost, but a player would look for it.
    for key in ["encoder", "_STATISTICS_TAGS", "_STATISTICS_WRITING_APP", "alpha_mode"] {
        command.args(["-metadata:s:v:0", &format!("{key}=")]);
    }
    if mux.applied_orientation != Orientation::IDENTITY && source.video.rotation != 0 {
        command.args(["-metadata:s:v:0", "rotate="]);
    }
}

/// Writes the timecode, if the container supports it.
fn timecode(command: &mut Command, mux: &Mux<'_>, container: &str, source: &Probed) {
    let code = match plan::timecode(mux, source) {
        TimecodePlan::None => return,
        TimecodePlan::Exact(code) | TimecodePlan::Nearest(code) => code,
        TimecodePlan::Drop(_) => String::new(),
    };
    let (of_file, of_stream) = if container == "avi" { (&*code, "") } else { ("", &*code) };
    command.args(["-metadata", &format!("timecode={of_file}")]);
    command.args(["-metadata:s:v:0", &format!("timecode={of_stream}")]);
    let reel = source.video.reel.as_deref().filter(|_| !code.is_empty());
    command.args(["-metadata:s:v:0", &format!("reel_name={}", reel.unwrap_or_default())]);
}

/// Dispositions of the video: default, and those of the original.
fn dispositions(mux: &Mux<'_>) -> String {
    let main = mux.original.and_then(|(_, source)| {
        source.streams.iter().find(|stream| stream.index == source.video.index)
    });
    let others = main.map(|stream| stream.dispositions.as_slice()).unwrap_or_default();
    let others = others.iter().filter(|name| *name != "default");
    others.fold("default".to_owned(), |all, name| format!("{all}+{name}"))
}

/// A file in the working folder of ffmpeg, whatever its name.
fn file_in_folder(name: &std::ffi::OsStr) -> std::ffi::OsString {
    let mut file = std::ffi::OsString::from("file:");
    file.push(name);
    file
}
