//! Where a job's frames go, whole or not at all.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rife_video::{
    Encoding, Fingerprint, Journal, LastFrame, Maker, Mux, NutFormat, Orientation, PipeSink,
    Planes, Probed, Rational, SegmentSettings, Segments, Timeline,
};
use sha2::{Digest, Sha256};

use super::input::{Input, Kind};
use super::output::{Output, Pattern, Pictures};
use super::{Job, beside, shown};
use crate::interpolate::create;
use crate::{interrupt, picture, report, say};

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 20;

/// How long a segment is, s: what a job that is killed has to make again, at most.
const SEGMENT_S: i64 = 5;

/// Bytes at either end of the input that say which it is.
const LOOKED_AT: u64 = 1 << 20;

pub(crate) fn standard_output(
    job: &Job,
    input: Input,
    timeline: Timeline,
    makers: &[Maker],
) -> Result<()> {
    let start = Instant::now();
    let header = job.header();
    rife_video::widen(std::io::stdout());
    let out = super::streams::stdout().context("standard output is not there")?;
    let out = BufWriter::with_capacity(GATHERED, out);
    let mut sink = PipeSink::new(out, "standard output", Some(&header))?;
    let progress = job.make(input, timeline, makers, &mut sink, 0)?;
    sink.finish()?;
    job.tell_done("standard output", &progress, start);
    Ok(())
}

pub(crate) fn stream(
    job: &Job,
    path: &Path,
    input: Input,
    timeline: Timeline,
    makers: &[Maker],
) -> Result<()> {
    let start = Instant::now();
    let header = job.header();
    let header = matches!(job.output, Output::Y4m(_)).then_some(&header);
    let shown = path.display().to_string();
    let cannot = || format!("cannot write {shown}");
    let folder = crate::interpolate::folder_of(path);
    let file = tempfile::Builder::new()
        .prefix(".rife-")
        .tempfile_in(folder)
        .map_err(|error| std::io::Error::from(error.kind()))
        .with_context(cannot)?;
    interrupt::file(file.path());
    let writer = file.as_file().try_clone().with_context(cannot)?;
    let mut sink = PipeSink::new(BufWriter::with_capacity(GATHERED, writer), &shown, header)?;
    let progress = job.make(input, timeline, makers, &mut sink, 0)?;
    sink.finish()?;
    file.as_file().sync_all().with_context(cannot)?;
    let kept = match job.args.overwrite {
        true => file.persist(path),
        false => file.persist_noclobber(path),
    };
    kept.map_err(|error| error.error).with_context(cannot)?;
    job.tell_done(&shown, &progress, start);
    Ok(())
}

pub(crate) fn pictures(
    job: &Job,
    folder: &Path,
    pattern: &Pattern,
    input: Input,
    timeline: Timeline,
    makers: &[Maker],
) -> Result<()> {
    let start = Instant::now();
    create(folder)?;
    let cannot = || format!("cannot write to {}", folder.display());
    if !job.args.overwrite {
        for entry in fs::read_dir(folder).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            ensure!(
                !pattern.makes(&name),
                "{} exists: add --overwrite to replace it",
                path.display()
            );
        }
    }
    let scratch = tempfile::Builder::new()
        .prefix(".rife-")
        .tempdir_in(folder)
        .map_err(|error| std::io::Error::from(error.kind()))
        .with_context(cannot)?;
    interrupt::scratch(scratch.path());
    let mut sink = Pictures::new(scratch.path(), pattern, job.marks(&input));
    let progress = job.make(input, timeline, makers, &mut sink, 0)?;
    let written = sink.finish()?;
    for number in 0..written {
        let name = pattern.name(number);
        picture::keep(&scratch.path().join(&name), &folder.join(&name), job.args.overwrite)
            .with_context(|| format!("cannot write {}", folder.join(&name).display()))?;
    }
    job.tell_done(&folder.display().to_string(), &progress, start);
    Ok(())
}

/// What goes into a video beside its frames.
struct Rest {
    original: Option<(PathBuf, Probed)>,
}

impl Rest {
    fn of(input: &Input) -> Self {
        let original = match &input.kind {
            Kind::File { path, source, .. } => Some((path.clone(), (**source).clone())),
            _ => None,
        };
        Self { original }
    }

    fn mux<'a>(
        &'a self,
        job: &'a Job,
        list: &'a Path,
        output: &'a Path,
        (offset, last): (Rational, Option<LastFrame>),
        tick: Rational,
        container: &'a str,
    ) -> Mux<'a> {
        let slow = job.args.slow.is_some();
        Mux {
            list,
            original: self.original.as_ref().map(|(path, source)| (path.as_path(), source)),
            output,
            container,
            audio: !slow || job.args.video.audio,
            others: !slow,
            turned: job.turned,
            size: job.written().size,
            reported: &job.reported,
            offset: if slow { Rational::from(0) } else { offset },
            // AVI knows no times.
            last: last.filter(|_| container != "avi"),
            time_scale: *tick.denom(),
            rate: job.out_rate,
            colour: &job.said,
            sample_aspect: job.sample_aspect,
        }
    }
}

/// The output's container, by the ending of its name.
pub(crate) fn container(output: &Path) -> String {
    output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase()
}

fn frames_per_segment(job: &Job) -> i64 {
    (job.out_rate * SEGMENT_S).round().to_integer().clamp(24, 600)
}

fn nut_format(job: &Job) -> NutFormat {
    let written = job.written();
    let format = match written.planes {
        Planes::Gbr => NutFormat::rgb(&written, job.sample_aspect),
        _ => NutFormat::planar(&written, job.sample_aspect),
    };
    format.at_rate(job.out_rate)
}

fn fingerprint(
    job: &Job,
    tick: Rational,
    makers: &[Maker],
    encoding: &Encoding,
) -> Result<Fingerprint> {
    let mut said = Fingerprint::new();
    let mut say = |key: &str, value: String| _ = said.insert(key.into(), value);
    let args = &job.args;
    say("input", content(&args.earlier)?);
    say(
        "frames",
        format!("{} {:?}, {} fps in ticks of {tick} s", job.rate, job.format, job.out_rate),
    );
    say("scenes", {
        let video = &args.video;
        format!("{:?} {} {}", video.scene, video.scene_threshold, video.static_threshold)
    });
    for (n, maker) in makers.iter().enumerate() {
        let info = maker.rife.info();
        let kind = info.device.split(':').next().unwrap_or_default();
        say(
            &format!("network {n}"),
            format!(
                "{} {} on {kind} in {}, scale {}{}, weights {}",
                info.model,
                info.engine,
                info.precision,
                info.scale,
                if info.ensemble { ", ensemble" } else { "" },
                info.weights.tensors_sha256,
            ),
        );
    }
    say(
        "encoder",
        format!("{} {} {}", encoding.encoder, encoding.pix_fmt, encoding.args.join(" ")),
    );
    say("segments", format!("{} frames of {}", frames_per_segment(job), job.written().size));
    if job.turned != Orientation::IDENTITY {
        say("rotation", job.turned.to_string());
    }
    if let Some(aspect) = job.sample_aspect {
        say("pixels", aspect.to_string());
    }
    Ok(said)
}

/// What tells one input from another.
fn content(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        return Ok("standard input".into());
    }
    let cannot = || format!("cannot read {}", path.display());
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .with_context(cannot)?;
        files.sort();
    }
    for file in files.iter().filter(|file| file.is_file()) {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(file).with_context(cannot)?;
        let length = file.metadata().with_context(cannot)?.len();
        bytes += length;
        let mut ends = Vec::new();
        (&mut file).take(LOOKED_AT).read_to_end(&mut ends).with_context(cannot)?;
        file.seek(SeekFrom::Start(length.saturating_sub(LOOKED_AT))).with_context(cannot)?;
        file.take(LOOKED_AT).read_to_end(&mut ends).with_context(cannot)?;
        hash.update(length.to_le_bytes());
        hash.update(&ends);
    }
    let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{bytes} bytes, {hash}"))
}

/// The journal to go on with: one that is there, with --resume, or a new one.
fn journal(job: &Job, folder: &Path, said: Fingerprint) -> Result<Journal> {
    let there = match Journal::open(folder) {
        Ok(there) => there.filter(|journal| journal.frames() > 0),
        Err(_) if job.args.overwrite && !job.args.video.resume => None,
        Err(error) => return Err(error.into()),
    };
    match there {
        Some(journal) if job.args.video.resume => {
            if let Some(difference) = journal.difference(&said) {
                bail!(
                    "the unfinished job in {} is another one: {difference}; remove it, or start \
                     anew without --resume and with --overwrite",
                    folder.display()
                );
            }
            say(&format!("going on after {} frames", journal.frames()));
            Ok(journal)
        }
        Some(journal) if !job.args.overwrite => bail!(
            "{} holds {} frames of an unfinished job: --resume goes on with it, --overwrite \
             starts anew",
            folder.display(),
            journal.frames()
        ),
        _ => {
            empty(folder, |_| true)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
            Ok(Journal::new(folder, said))
        }
    }
}

/// The name of the file that says that somebody is at work.
const LOCK: &str = "lock";

/// Makes the folder of a job one's own for as long as the file is open.
fn lock(folder: &Path) -> Result<File> {
    let cannot = || format!("cannot write to {}", folder.display());
    match fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(cannot);
        }
        _ => {}
    }
    let file = File::create(folder.join(LOCK)).with_context(cannot)?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another rife is at work in {}", folder.display())
        }
        // Where a system has no locks, there is nothing to wait for.
        _ => Ok(file),
    }
}

/// Removes files of a job's folder, all but the lock.
fn empty(folder: &Path, goes: impl Fn(&str) -> bool) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != LOCK && goes(&name) && path.is_file() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

pub(crate) fn video(
    job: &Job,
    path: &Path,
    input: Input,
    timeline: Timeline,
    makers: &[Maker],
) -> Result<()> {
    let start = Instant::now();
    let programs = job.programs()?.clone();
    let encoding = job.encoding.clone().context("no encoder was chosen")?;
    let folder = beside(path, "rife-job");
    let said = fingerprint(job, timeline.tick(), makers, &encoding)?;
    let lock = lock(&folder)?;
    let journal = journal(job, &folder, said)?;
    // What a job that was killed left is nobody's any more.
    let _ = empty(&folder, unfinished);
    interrupt::job(&folder);
    let tick = timeline.tick();
    let rest = Rest::of(&input);
    let skip = journal.frames();
    let settings = SegmentSettings {
        encoder: {
            let (programs, encoding) = (programs.clone(), encoding.clone());
            Box::new(move |file| rife_video::segment_command(&programs, &encoding, tick, file))
        },
        count: {
            let programs = programs.clone();
            Arc::new(move |file| rife_video::count_frames(&programs, file))
        },
        format: nut_format(job),
        tick,
        frames: frames_per_segment(job),
        extension: encoding.segment_ext.to_owned(),
    };
    let mut segments = Segments::new(settings, journal);
    let made = job
        .make(input, timeline, makers, &mut segments, skip)
        .and_then(|progress| Ok((progress, segments.finish()?)));
    let (progress, journal) = match made {
        Ok(made) => made,
        Err(error) => return Err(kept(&folder, error)),
    };

    let finish = || -> Result<()> {
        let list = folder.join("list.txt");
        let entries: Vec<_> = journal
            .segments
            .iter()
            .map(|segment| (segment.file.clone(), tick * segment.ticks))
            .collect();
        fs::write(&list, rife_video::concat_list(&entries))
            .with_context(|| format!("cannot write {}", list.display()))?;
        let container = container(path);
        let whole = folder.join(format!("whole.{container}"));
        let offset = progress.first_time().unwrap_or_default();
        let last = progress.last_frame().map(|(start, end)| LastFrame {
            number: progress.written.load(Ordering::Relaxed).saturating_sub(1),
            time: tick * start,
            duration: tick * (end - start),
        });
        let mux = rest.mux(job, &list, &whole, (offset, last), tick, &container);
        let cannot = || format!("cannot write {}", path.display());
        rife_video::join(&programs, &mux).with_context(cannot)?.iter().for_each(|l| report(l));
        File::open(&whole).and_then(|file| file.sync_all()).with_context(cannot)?;
        picture::keep(&whole, path, job.args.overwrite).with_context(cannot)
    };
    if let Err(error) = finish() {
        return Err(kept(&folder, error));
    }
    // What is left is not needed any more.
    let _ = fs::remove_dir_all(&folder);
    drop(lock);
    job.tell_done(&path.display().to_string(), &progress, start);
    Ok(())
}

/// Whether a file of a job's folder is one that is not whole.
fn unfinished(name: &str) -> bool {
    name.starts_with("unfinished-") || name.starts_with("whole.")
}

/// Says that what is finished is kept; removes the folder where nothing is.
fn kept(folder: &Path, error: anyhow::Error) -> anyhow::Error {
    // What is not whole must not keep a full disk full.
    let _ = empty(folder, unfinished);
    match Journal::open(folder) {
        Ok(Some(journal)) if journal.frames() > 0 => {
            say(&format!(
                "{} finished frames are kept in {}: --resume goes on with them",
                journal.frames(),
                folder.display()
            ));
        }
        _ => _ = fs::remove_dir_all(folder),
    }
    error
}

/// The commands that would be run.
pub(crate) fn commands(job: &Job, input: &Input, timeline: &Timeline) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let tick = timeline.tick();
    if let Kind::File { path, source, working } = &input.kind {
        let command = rife_video::decode_command(job.programs()?, path, source, working);
        lines.push(format!("decode: {}", shown(&command)));
    }
    if let (Output::Video(path), Some(encoding)) = (&job.output, &job.encoding) {
        let programs = job.programs()?;
        let folder = beside(path, "rife-job");
        let segment = folder.join(format!("000000.{}", encoding.segment_ext));
        let command = rife_video::segment_command(programs, encoding, tick, &segment);
        lines.push(format!("encode, each {} frames: {}", frames_per_segment(job), shown(&command)));
        let list = folder.join("list.txt");
        let container = container(path);
        let whole = folder.join(format!("whole.{container}"));
        let rest = Rest::of(input);
        let mux = rest.mux(job, &list, &whole, Default::default(), tick, &container);
        let (command, mut notes) = rife_video::mux_command(programs, &mux);
        lines.push(format!("join: {}", shown(&command)));
        notes.extend(rife_video::expected_losses(programs, &mux)?);
        lines.extend(encoding.notes.iter().chain(&notes).map(|note| crate::as_report(note)));
    }
    Ok(lines)
}
