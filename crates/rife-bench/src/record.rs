//! The record of a benchmark: one JSON document, schema 1.
//!
//! Everything that a report says is computed from a record, and a record keeps every sample.
//! Units are in the fields' names (`_ms`, `_mib`, `_percent`, `_db`); a `_share` is 0 to 1. A PSNR
//! without an error is the string `"inf"`. What is unknown or does not apply is `null`. Within
//! schema 1 fields may be added, never removed or given another meaning.

mod machine;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::clip::{ClipFacts, Origin};
use crate::kernels::FrameTimes;
use crate::measure::ablation::Ablation;
use crate::measure::fidelity::Comparison;
use crate::measure::peers::Peer;
use crate::measure::quality::Quality;
use crate::measure::scaling::ScalingPoint;
use crate::measure::{Measured, Measurement};
use crate::mode::Mode;
use crate::plan::{Plan, behind_links, folder_of};
use crate::subject::{Device, Size};

pub use machine::{Build, Git, Machine};
pub(crate) use machine::{command_line, without_places};

/// The schema that this program writes.
pub const SCHEMA: u32 = 1;

/// A whole benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the format: [`SCHEMA`].
    pub schema: u32,
    /// When measuring ended, UTC, RFC 3339.
    pub time_utc: String,
    /// The command as typed, quoted for a POSIX shell; the program by its name alone.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// What ran.
    pub build: Build,
    /// The checkout that it was run in; `null` outside one.
    pub git: Option<Git>,
    /// How it was measured.
    pub settings: Settings,
    /// What was measured.
    pub measurements: Vec<Measurement>,
    /// What each optimization is worth; absent where that was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablations: Vec<Ablation>,
    /// Pairs of configurations, neither of which is the reference: the baseline in F16 and the
    /// optimized engine in F16, the optimized engine in F32 and in F16; absent where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Where a frame's time goes; absent where that was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<FrameTimes>,
    /// Fidelity to a real clip; absent where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// How cost grows; absent where that was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<ScalingPoint>,
    /// The same by others; absent where they did not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
}

/// How a benchmark was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Size of the frames; of several the first.
    pub size: Size,
    /// Where it ran.
    pub device: Device,
    /// Frames to generate in each run.
    pub frames: usize,
    /// Runs of each configuration.
    pub repeats: usize,
    /// Frames to generate before the measured ones.
    pub warmup: usize,
    /// Whether somebody ended it before everything was measured; absent where nobody did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Utilisation of the GPU before anything ran on it, in %: somebody else's; absent where there
    /// is none, and from older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_busy_before_percent: Option<f64>,
    /// Seconds for the measured frames of a configuration, all runs together.
    pub budget_s: Option<f64>,
    /// Time of the generated frames between the two around them; of several the first.
    pub timestep: f32,
    /// Frames of the output for each one of the input; absent from older records, where it is 2.
    #[serde(default = "double")]
    pub factor: usize,
    /// Where the frames came from.
    pub clip: Origin,
    /// How many different frames there were; they are played forwards and backwards in turn.
    pub clip_frames: usize,
    /// What they take in memory, in MiB: part of every memory peak.
    pub clip_mib: f64,
    /// The frames of the other sizes, held one size after the other; absent where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_clips: Vec<ClipFacts>,
    /// How speed was measured; absent from older records, which know latency alone.
    #[serde(default = "Mode::of_older_records")]
    pub modes: Vec<Mode>,
}

fn double() -> usize {
    2
}

impl Settings {
    /// Each size, with what its frames take in memory, in MiB.
    pub fn sizes(&self) -> Vec<(Size, f64)> {
        let further = self.further_clips.iter().map(|clip| (clip.size, clip.mib));
        [(self.size, self.clip_mib)].into_iter().chain(further).collect()
    }
}

impl Record {
    /// Puts measurements on record, together with what this machine and program are.
    pub fn new(plan: &Plan, measured: Measured) -> Self {
        let Measured {
            clip,
            further_clips,
            measurements,
            stopped,
            gpu_busy_before_percent,
            ablations,
            comparisons,
            profiles,
            quality,
            scaling,
            peers,
        } = measured;
        Self {
            schema: SCHEMA,
            time_utc: now_utc(),
            command: command_line(),
            machine: Machine::this(),
            build: Build::this(),
            git: Git::of_project(),
            settings: Settings {
                size: clip.size,
                device: plan.device,
                frames: plan.frames,
                repeats: plan.repeats,
                warmup: plan.warmup,
                stopped,
                gpu_busy_before_percent,
                budget_s: plan.budget.map(|budget| budget.as_secs_f64()),
                timestep: plan.place(0).timestep,
                factor: plan.factor,
                clip: clip.origin,
                clip_frames: clip.frames,
                clip_mib: clip.mib,
                further_clips,
                modes: plan.modes.clone(),
            },
            measurements,
            ablations,
            comparisons,
            profiles,
            quality,
            scaling,
            peers,
        }
    }

    /// Writes the record. Under its name there is never a part of one.
    ///
    /// # Errors
    /// Where the file cannot be written, or is there and not to be replaced.
    pub fn write(&self, path: &Path, overwrite: bool) -> Result<()> {
        write_json(self, path, overwrite)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no record of this schema.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = || format!("cannot read {} as a record", path.display());
        let file = File::open(path).with_context(failed)?;
        /// What every schema has.
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let text = std::io::read_to_string(file).with_context(failed)?;
        // Of another schema fields are missing, which says less.
        if let Ok(Head { schema }) = serde_json::from_str(&text) {
            let name = path.display();
            anyhow::ensure!(
                schema == SCHEMA,
                "{name} has schema {schema}, this program reads {SCHEMA}"
            );
        }
        let mut record: Self = serde_json::from_str(&text).with_context(failed)?;
        // One rule for all records, whatever the rule was when they were written.
        record.ablations.iter_mut().for_each(Ablation::judge);
        Ok(record)
    }
}

/// Now, as records say it.
pub(crate) fn now_utc() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes a document as JSON. Under its name there is never a part of one.
///
/// # Errors
/// Where the file cannot be written, or is there and not to be replaced.
pub(crate) fn write_json(document: &impl Serialize, path: &Path, overwrite: bool) -> Result<()> {
    write_whole(path, overwrite, |out| {
        document.serialize(&mut Serializer::with_formatter(&mut *out, Layout::default()))?;
        Ok(out.write_all(b"\n")?)
    })
}

/// Writes a file. Under its name there is never a part of one: it is written beside it and renamed.
/// Of a link what it leads to is written.
///
/// # Errors
/// Where the file cannot be written, or is there and not to be replaced.
pub(crate) fn write_whole(
    path: &Path,
    overwrite: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file, not private as temporary ones are; the umask still applies.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let failed = || format!("cannot write {}", path.display());
    let target = behind_links(path).with_context(failed)?;
    // Without the name of a file that nobody has asked for.
    let made = builder.tempfile_in(folder_of(&target));
    let file = made.map_err(|e| std::io::Error::from(e.kind())).with_context(failed)?;
    let mut out = BufWriter::new(file);
    write(&mut out).with_context(failed)?;
    let file = out.into_inner().map_err(|e| e.into_error()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    let kept = if overwrite { file.persist(&target) } else { file.persist_noclobber(&target) };
    match kept {
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            anyhow::bail!("{} exists: add --overwrite to replace it", path.display())
        }
        kept => kept.map(drop).map_err(|e| e.error).with_context(failed),
    }
}

/// Objects over lines, arrays along one: hundreds of samples stay one line.
#[derive(Default)]
struct Layout(PrettyFormatter<'static>);

impl Formatter for Layout {
    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.begin_object(w)
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.end_object(w)
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        self.0.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        self.0.end_object_value(w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, overwrite: bool, text: &str) -> Result<()> {
        write_whole(path, overwrite, |out| Ok(out.write_all(text.as_bytes())?))
    }

    #[test]
    fn nothing_is_replaced_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it.json");
        write(&path, false, "one").expect("a new file");
        let refused = write(&path, false, "two").expect_err("a file that is there").to_string();
        assert!(refused.ends_with("it.json exists: add --overwrite to replace it"), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "one");
        write(&path, true, "three").expect("a replaced file");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "three");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        let absent = write(&folder.path().join("no/it.json"), false, "").expect_err("no folder");
        assert!(!format!("{absent:#}").contains("no/.tmp"), "{absent:#}");
    }

    #[cfg(unix)]
    #[test]
    fn of_a_link_the_file_is_written_and_the_link_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("it.json"), folder.path().join("link.json"));
        std::fs::write(&file, "one").expect("written");
        std::os::unix::fs::symlink("it.json", &link).expect("a link");
        write(&link, true, "two").expect("a replaced file");
        assert!(link.symlink_metadata().expect("a link").is_symlink());
        assert_eq!(std::fs::read_to_string(&file).expect("text"), "two");
        // Where it leads nowhere, nothing is made of it.
        std::fs::remove_file(&file).expect("removed");
        write(&link, true, "three").expect_err("a link that leads nowhere");
        assert!(link.symlink_metadata().expect("a link").is_symlink() && !file.exists());
    }
}
