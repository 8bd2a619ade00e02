//! A job as a document: everything that a worker on another machine needs to encode one segment,
//! and everything that must be the same there.

mod layout;
mod validate;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::layout::FrameDigest;
pub use self::layout::{Layout, LayoutOptions, lay_out};
use crate::job::journal::Fingerprint;
use crate::job::ratio;
use crate::{Error, Rational, Result};

/// The value of [`JobPlan::format`].
const FORMAT: &str = "rife-job";

/// The value of [`JobPlan::version`].
const VERSION: u32 = 1;

/// Size limit of a document, in bytes.
const MAX_BYTES: u64 = 1 << 28;

/// Settings in a [`Fingerprint`] that describe the device and how it computes. A segment of another
/// kind of device may differ in its last bits.
const DEVICE_KEYS: [&str; 6] =
    ["engine", "device", "precision", "arithmetic", "optimizations", "kernel compiler"];

/// A job: its input and output, all settings, and its segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobPlan {
    /// `rife-job`.
    pub format: String,
    /// Version of the document's format.
    pub version: u32,
    /// The program that made the plan.
    pub program: PlannedProgram,
    /// The input.
    pub input: PlannedInput,
    /// Absolute path of the output.
    pub output: PathBuf,
    /// Absolute path of the folder of the segments.
    pub work_dir: PathBuf,
    /// Options of `rife interpolate` that determine the output.
    pub options: Vec<String>,
    /// Settings that determine the output, as text.
    pub settings: Fingerprint,
    /// The kind of device and its arithmetic, as text; `None` if the first segment decides.
    pub device: Option<Fingerprint>,
    /// The weights.
    pub weights: PlannedWeights,
    /// The encoder.
    pub encoder: PlannedEncoder,
    /// The frames of the input and of the output.
    pub timeline: PlannedTimeline,
    /// The segments, in order.
    pub segments: Vec<PlannedSegment>,
}

/// The frames of the input and of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedTimeline {
    /// Number of source frames.
    pub source_frames: i64,
    /// Number of output frames.
    pub output_frames: i64,
    /// Length of an output tick, in s.
    #[serde(with = "ratio")]
    pub tick: Rational,
    /// Time of the first source frame, in s.
    #[serde(with = "ratio")]
    pub start: Rational,
    /// Time of the last output frame, in ticks after the first one.
    pub last_tick: i64,
    /// End of the last output frame, in ticks after the start of the first one; `None` if it lasts as
    /// long as the others.
    pub end_tick: Option<i64>,
}

/// The program that made a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedProgram {
    /// Version.
    pub version: String,
    /// Commit, if the program was built in its repository.
    pub commit: Option<String>,
}

/// The input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedInput {
    /// Absolute path of a file, or of a folder of images.
    pub path: PathBuf,
    /// Size in bytes; of a folder, the sum over its images.
    pub bytes: u64,
    /// BLAKE3 of the file; of a folder, BLAKE3 of the hashes of its images in order.
    pub blake3: String,
}

/// The weights of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedWeights {
    /// Model version.
    pub version: String,
    /// SHA-256 of the tensors.
    pub sha256: String,
    /// Absolute path of the file or folder, if it was named.
    pub path: Option<PathBuf>,
}

/// The encoder of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEncoder {
    /// ffmpeg's name of the encoder.
    pub name: String,
    /// Version of ffmpeg.
    pub ffmpeg: String,
    /// The build of the encoder.
    pub build: String,
}

/// A segment: consecutive output frames that are encoded together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSegment {
    /// Number, from 0.
    pub index: u64,
    /// Number of the first output frame.
    pub first_frame: i64,
    /// Number of output frames.
    pub frames: i64,
    /// Time of the first output frame, in ticks.
    pub first_tick: i64,
    /// Time of the last output frame, in ticks.
    pub last_tick: i64,
    /// The source frames that it needs.
    pub source: PlannedSource,
    /// Name of its file.
    pub file: String,
    /// BLAKE3 of everything that determines the bytes of the file.
    pub address: String,
}

/// The source frames that a segment needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedSource {
    /// Number of the source frame to decode from: earlier than `first`, for scene detection.
    pub decode_from: i64,
    /// Number of output frames before that source frame.
    pub frames_before: i64,
    /// The source frame at or before the first output frame.
    pub first: i64,
    /// The last source frame that is needed.
    pub last: i64,
    /// Position to seek to, in µs of the frame times; `None` to decode from the start.
    pub seek_us: Option<i64>,
    /// Time of `decode_from`, in s.
    #[serde(with = "ratio")]
    pub time: Rational,
    /// BLAKE3 of times and checksums of `decode_from` to `last`; `None` for images.
    pub blake3: Option<String>,
}

impl JobPlan {
    /// A plan in the current format, with the address of each segment.
    #[allow(clippy::too_many_arguments, reason = "the fields of a document")]
    pub fn new(
        program: PlannedProgram,
        input: PlannedInput,
        [output, work_dir]: [PathBuf; 2],
        options: Vec<String>,
        [settings, device]: [Fingerprint; 2],
        weights: PlannedWeights,
        encoder: PlannedEncoder,
        layout: Layout,
    ) -> Self {
        let device = Some(device).filter(|device| !device.is_empty());
        let (format, version) = (FORMAT.to_owned(), VERSION);
        let mut plan = Self {
            format,
            version,
            program,
            input,
            output,
            work_dir,
            options,
            settings,
            device,
            weights,
            encoder,
            timeline: layout.timeline,
            segments: layout.segments,
        };
        let addresses: Vec<_> = (0..plan.segments.len()).map(|n| plan.address(n)).collect();
        for (segment, address) in plan.segments.iter_mut().zip(addresses) {
            segment.address = address;
        }
        plan
    }

    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`Error::Unusable`] if it is not a valid plan of this format version.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        let bytes = path.metadata().map_err(Error::io(cannot()))?.len();
        let unusable = |why: String| Error::Unusable { path: path.to_owned(), why };
        if bytes > MAX_BYTES {
            return Err(unusable(format!(
                "not a job: {bytes} bytes, expected at most {MAX_BYTES}"
            )));
        }
        let text = std::fs::read(path).map_err(Error::io(cannot()))?;
        Self::parse(&text).map_err(unusable)
    }

    /// Parses and checks a plan; otherwise returns the reason.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            format: String,
            version: u32,
        }
        let found: Versioned =
            serde_json::from_slice(text).map_err(|error| format!("not a job: {error}"))?;
        if found.format != FORMAT {
            return Err(format!("not a job: expected the format {FORMAT}, got {:?}", found.format));
        }
        if found.version != VERSION {
            return Err(format!(
                "a job of another version of rife: expected format version {VERSION}, got {}; plan \
                 it again",
                found.version
            ));
        }
        let plan: Self =
            serde_json::from_slice(text).map_err(|error| format!("not a valid job: {error}"))?;
        plan.check().map_err(|why| format!("not a valid job: {why}"))?;
        Ok(plan)
    }

    /// The document.
    ///
    /// # Errors
    /// [`Error::Refused`] if a path is not valid Unicode.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Error::Refused(format!("cannot write the job: {error}")))
    }

    /// The address of a segment: a hash of everything that determines its bytes.
    fn address(&self, index: usize) -> String {
        let segment = self.segments.get(index).cloned();
        let segment = segment.map(|segment| PlannedSegment { address: String::new(), ..segment });
        let timeline = &self.timeline;
        let all = serde_json::json!({
            "version": self.version,
            "program": self.program,
            "input": [self.input.bytes.to_string(), self.input.blake3],
            "options": self.options,
            "settings": self.settings,
            "device": self.device,
            "weights": self.weights.sha256,
            "encoder": self.encoder,
            "tick": ratio::to_text(timeline.tick),
            "start": ratio::to_text(timeline.start),
            "segment": segment,
        });
        blake3::hash(all.to_string().as_bytes()).to_hex().to_string()
    }
}

/// Separates the settings that describe the device from the others; see [`JobPlan::device`].
pub fn split_device(all: Fingerprint) -> [Fingerprint; 2] {
    let (device, settings) =
        all.into_iter().partition(|(key, _)| DEVICE_KEYS.contains(&key.as_str()));
    [settings, device]
}

#[cfg(test)]
mod tests;
