//! Joins the segments of a job with the streams of the original.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::ffmpeg::{self, Cut, LastFrame, Mux, concat_list, mux_command};
use crate::job::folder::JobFolder;
use crate::job::journal::Segment;
use crate::job::plan::PlannedTimeline;
use crate::job::settings::{JobSettings, Original};
use crate::progress::Progress;
use crate::{Error, Rational, Result};

const LIST: &str = "list.txt";

/// Start of the video in the original, in s, and the last frame, if known.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    first: Option<Rational>,
    last: Option<LastFrame>,
}

impl Ends {
    /// The ends of a run.
    pub(super) fn of(settings: &JobSettings, progress: &Progress) -> Self {
        let tick = settings.tick;
        Self {
            first: progress.first_time(),
            last: progress.last_frame().map(|(start, end)| LastFrame {
                number: progress.written.load(Ordering::Relaxed).saturating_sub(1),
                time: tick * start,
                duration: tick * (end - start),
            }),
        }
    }

    /// The ends of a planned job.
    pub(super) fn planned(planned: &PlannedTimeline) -> Self {
        Self {
            first: Some(planned.start),
            last: planned.end_tick.map(|end| LastFrame {
                number: u64::try_from(planned.output_frames - 1).unwrap_or_default(),
                time: planned.tick * planned.last_tick,
                duration: planned.tick * (end - planned.last_tick),
            }),
        }
    }
}

impl Original {
    /// Whether the video starts later than the other streams, if it does in the original. A part
    /// starts with its first frame.
    fn keeps_offset(&self) -> bool {
        self.offset && self.part.is_none_or(|part| !part.cuts_start())
    }

    /// The part of the original that the video shows; as requested, until the frames are known.
    fn cut(&self, ends: Ends) -> Option<Cut> {
        let part = self.part?;
        let first = ends.first.unwrap_or(part.from());
        let start = if part.cuts_start() { first } else { Rational::from(0) };
        let end = part.to().map(|to| match ends.last {
            Some(last) => first + (last.time + last.duration) / self.slowdown,
            None => to,
        });
        Some(Cut { start, length: end.map(|end| end - start) })
    }
}

/// Name of the complete video while it is in the job folder.
fn whole(settings: &JobSettings) -> String {
    format!("whole.{}", settings.container)
}

/// Calls `run` with the request to join the segments in `folder`.
fn with_mux<R>(
    settings: &JobSettings,
    folder: &Path,
    ends: Ends,
    run: impl FnOnce(&Mux<'_>) -> R,
) -> R {
    let original = settings.original.as_ref();
    let container = settings.container.as_str();
    let cut = original.and_then(|original| original.cut(ends));
    let (list, output) = (folder.join(LIST), folder.join(whole(settings)));
    run(&Mux {
        list: &list,
        original: original.map(|original| (original.path.as_path(), &original.probed)),
        output: &output,
        container,
        audio: original.is_none_or(|original| original.audio),
        others: original.is_none_or(|original| original.others),
        applied_orientation: settings.applied_orientation,
        size: settings.raw.size,
        reported: &settings.reported,
        offset: match original.is_none_or(|original| original.keeps_offset()) {
            true => ends.first.unwrap_or_default(),
            false => Rational::from(0),
        },
        cut,
        // AVI has no timestamps.
        last: ends.last.filter(|_| container != "avi"),
        time_scale: *settings.tick.denom(),
        rate: settings.rate,
        colour: &settings.colour,
        sample_aspect: settings.sample_aspect,
    })
}

/// The command that joins the segments in `folder`, and the losses expected.
pub(super) fn command(settings: &JobSettings, folder: &Path) -> Result<(Command, Vec<String>)> {
    with_mux(settings, folder, Ends::default(), |mux| {
        let (command, mut notes) = mux_command(&settings.programs, mux);
        notes.extend(ffmpeg::expected_losses(&settings.programs, mux)?);
        Ok((command, notes))
    })
}

/// Joins the segments, and moves the video to its final path. Returns one line per loss. If the
/// output cannot be compared with the original, that is one of the lines rather than an error.
pub(super) fn join(
    settings: &JobSettings,
    folder: &JobFolder,
    segments: &[Segment],
    ends: Ends,
) -> Result<Vec<String>> {
    let tick = settings.tick;
    let starts: Vec<_> =
        segments.iter().map(|segment| (segment.file.clone(), tick * segment.ticks)).collect();
    let cannot = || format!("cannot write {}", settings.output.display());
    folder.write(LIST, concat_list(&starts).as_bytes()).map_err(Error::io(cannot()))?;
    let programs = &settings.programs;
    let what = format!("writing {}", settings.output.display());
    let in_folder = folder.working_dir().map_err(Error::io(cannot()))?;
    let mut notes = with_mux(settings, &in_folder, ends, |mux| ffmpeg::join(programs, mux, &what))?;
    // In a child process, the path of the descriptor would refer to its own descriptors.
    let compared =
        with_mux(settings, folder.path(), ends, |mux| ffmpeg::differences(programs, mux));
    match compared {
        Ok(lines) => notes.extend(lines),
        Err(error) => notes.push(format!(
            "losses unknown: cannot compare the output with the \
         input: {error}"
        )),
    }
    let whole = whole(settings);
    let mut file = folder.read(&whole).map_err(Error::io(cannot()))?;
    if settings.write_through {
        let to = OpenOptions::new().write(true).open(&settings.output);
        let copied = to.and_then(|mut to| io::copy(&mut file, &mut to));
        copied.map_err(Error::io(cannot()))?;
    } else {
        file.sync_all().map_err(Error::io(cannot()))?;
        folder
            .publish(&whole, &settings.output, settings.overwrite)
            .map_err(Error::io(cannot()))?;
    }
    Ok(notes)
}
