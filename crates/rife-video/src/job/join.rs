//! Joins segments with the other streams of the original.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::ffmpeg::{LastFrame, Mux, Probed, concat_list, mux_command, run_program};
use crate::job::JobSettings;
use crate::job::folder::JobFolder;
use crate::job::journal::Segment;
use crate::pipeline::Progress;
use crate::{Error, Rational, Result};

const LIST: &str = "list.txt";

/// The file whose sound, subtitles, chapters and metadata go along.
#[derive(Clone, Debug)]
pub struct Original {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub probed: Probed,
    /// Whether its sound goes along.
    pub audio: bool,
    /// Whether its subtitles, chapters and other streams do.
    pub others: bool,
    /// Whether the video keeps the time at which it starts after the other streams.
    pub offset: bool,
}

/// The name of the complete video while it is in the folder.
fn whole(settings: &JobSettings) -> String {
    format!("whole.{}", settings.container)
}

/// The command that joins segments in `folder`, and notes on it.
pub(super) fn command(
    settings: &JobSettings,
    folder: &Path,
    first: Rational,
    last: Option<LastFrame>,
) -> (Command, Vec<String>) {
    let original = settings.original.as_ref();
    let container = settings.container.as_str();
    let (list, output) = (folder.join(LIST), folder.join(whole(settings)));
    let mux = Mux {
        list: &list,
        original: original.map(|original| (original.path.as_path(), &original.probed)),
        output: &output,
        container,
        audio: original.is_none_or(|original| original.audio),
        others: original.is_none_or(|original| original.others),
        offset: match original.is_none_or(|original| original.offset) {
            true => first,
            false => Rational::from(0),
        },
        // AVI has no times.
        last: last.filter(|_| container != "avi"),
        time_scale: *settings.tick.denom(),
        rate: settings.rate,
        colour: &settings.colour,
        sample_aspect: settings.sample_aspect,
    };
    mux_command(&settings.programs, &mux)
}

/// Joins segments, and gives the video its name. Returns notes on what the container cannot hold.
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
    let last = progress.last_frame().map(|(start, end)| LastFrame {
        number: progress.written.load(Ordering::Relaxed).saturating_sub(1),
        time: tick * start,
        duration: tick * (end - start),
    });
    let first = progress.first_time().unwrap_or_default();
    let whole = whole(settings);
    let run = |in_folder: &Path| -> Result<Vec<String>> {
        let (command, notes) = command(settings, in_folder, first, last);
        run_program(command, &format!("writing {}", settings.output.display()))?;
        Ok(notes)
    };
    let notes = run(&folder.working_dir().map_err(Error::io(cannot()))?)?;
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
