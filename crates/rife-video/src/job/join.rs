//! Joins segments with the other streams of the original.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::ffmpeg::{self, LastFrame, Mux, concat_list, mux_command};
use crate::job::folder::JobFolder;
use crate::job::journal::Segment;
use crate::job::settings::JobSettings;
use crate::progress::Progress;
use crate::{Error, Rational, Result};

const LIST: &str = "list.txt";

/// When the video starts in the original, s, and its last frame if it is known.
#[derive(Clone, Copy, Default)]
struct Ends {
    first: Rational,
    last: Option<LastFrame>,
}

/// The name of the complete video while it is in the folder.
fn whole(settings: &JobSettings) -> String {
    format!("whole.{}", settings.container)
}

/// How segments in `folder` are joined.
fn with_mux<R>(
    settings: &JobSettings,
    folder: &Path,
    ends: Ends,
    run: impl FnOnce(&Mux<'_>) -> R,
) -> R {
    let original = settings.original.as_ref();
    let container = settings.container.as_str();
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
        offset: match original.is_none_or(|original| original.offset) {
            true => ends.first,
            false => Rational::from(0),
        },
        // AVI has no times.
        last: ends.last.filter(|_| container != "avi"),
        time_scale: *settings.tick.denom(),
        rate: settings.rate,
        colour: &settings.colour,
        sample_aspect: settings.sample_aspect,
    })
}

/// The command that joins segments in `folder`, and what the output will lose.
pub(super) fn command(settings: &JobSettings, folder: &Path) -> Result<(Command, Vec<String>)> {
    with_mux(settings, folder, Ends::default(), |mux| {
        let (command, mut notes) = mux_command(&settings.programs, mux);
        notes.extend(ffmpeg::expected_losses(&settings.programs, mux)?);
        Ok((command, notes))
    })
}

/// Joins segments, and gives the video its name. Returns what the output lost, each line starting
/// with it; that the output cannot be compared with the original is reported, and no error.
pub(super) fn join(
    settings: &JobSettings,
    folder: &JobFolder,
    segments: &[Segment],
    progress: &Progress,
) -> Result<Vec<String>> {
    let tick = settings.tick;
    let starts: Vec<_> =
        segments.iter().map(|segment| (segment.file.clone(), tick * segment.ticks)).collect();
    let cannot = || format!("cannot write {}", settings.output.display());
    folder.write(LIST, concat_list(&starts).as_bytes()).map_err(Error::io(cannot()))?;
    let ends = Ends {
        first: progress.first_time().unwrap_or_default(),
        last: progress.last_frame().map(|(start, end)| LastFrame {
            number: progress.written.load(Ordering::Relaxed).saturating_sub(1),
            time: tick * start,
            duration: tick * (end - start),
        }),
    };
    let programs = &settings.programs;
    let what = format!("writing {}", settings.output.display());
    let in_folder = folder.working_dir().map_err(Error::io(cannot()))?;
    let mut notes = with_mux(settings, &in_folder, ends, |mux| ffmpeg::join(programs, mux, &what))?;
    // The path of the descriptor leads a child process nowhere else than to its own.
    let compared =
        with_mux(settings, folder.path(), ends, |mux| ffmpeg::differences(programs, mux));
    match compared {
        Ok(lines) => notes.extend(lines),
        Err(error) => notes.push(format!("the output was not compared with the input: {error}")),
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
