//! What is measured: the door to the engines, as narrow as the benchmark needs it.
//!
//! [`runtime`] stands before the engines that ship; [`blend`] is the stand-in that the tests of
//! the benchmark itself run on, and the floor that any interpolation has to beat.

pub mod blend;
mod inside;
pub mod runtime;

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use rife_model::ModelVersion;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use inside::{Ceilings, EngineMemory, KernelTime};
pub use rife_runtime::{Optimization, Optimizations};

/// Width and height of a frame, in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// Pixels of a frame.
    pub const fn pixels(self) -> usize {
        self.width * self.height
    }

    /// Samples of an RGB frame.
    pub const fn samples(self) -> usize {
        3 * self.pixels()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Which implementation of the networks runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The networks on candle's own operations.
    Baseline,
    /// The engines written for speed.
    Optimized,
}

/// The type that an engine computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 32-bit floats whose products are rounded to TF32 on tensor cores.
    Tf32,
    /// 16-bit floats (IEEE half).
    F16,
    /// 32-bit floats, with the products of 3×3 convolutions in BF16.
    Bf16,
}

/// The device as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that the engines can use, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this ordinal.
    Cuda(usize),
}

/// The device that a benchmark runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The CPU.
    Cpu,
    /// The CUDA device of this ordinal, as CUDA counts them.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

macro_rules! named {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(format!("unknown {}: expected {}", $what, [$($name),+].join(" or "))),
                }
            }
        }
    };
}
named!(Engine, "engine", Baseline = "baseline", Optimized = "optimized");
named!(Precision, "precision", F32 = "f32", Tf32 = "tf32", F16 = "f16", Bf16 = "bf16");

/// The optimizations that an engine runs without; in a record the list of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Without(Optimizations);

impl Without {
    /// Everything is on.
    pub const NOTHING: Self = Self(Optimizations::all());

    /// Whether everything is on.
    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// What is on.
    pub fn optimizations(self) -> Optimizations {
        self.0
    }

    /// These, and one more.
    #[must_use]
    pub const fn and(self, one: Optimization) -> Self {
        Self(self.0.without(one))
    }

    fn list(self) -> impl Iterator<Item = Optimization> {
        Optimization::ALL.into_iter().filter(move |one| !self.0.has(*one))
    }
}

impl Default for Without {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl FromIterator<Optimization> for Without {
    fn from_iter<I: IntoIterator<Item = Optimization>>(off: I) -> Self {
        Self(off.into_iter().fold(Optimizations::all(), Optimizations::without))
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.list().map(Optimization::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl Serialize for Without {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.list().map(Optimization::as_str))
    }
}

impl<'de> Deserialize<'de> for Without {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(as_names::deserialize(d)?.into_iter().collect())
    }
}

/// One configuration to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// The model that was asked for.
    #[serde(with = "as_text")]
    pub model: ModelVersion,
    /// Whose implementation of it.
    pub engine: Engine,
    /// In which arithmetic.
    pub precision: Precision,
    /// What is switched off in it; absent where nothing is.
    #[serde(default, skip_serializing_if = "Without::is_nothing")]
    pub without: Without,
}

impl Case {
    /// What every other configuration of the same model is compared with, unless the optimized
    /// engine's F32 is asked for, see `--reference`.
    pub const fn reference(model: ModelVersion) -> Self {
        Self {
            model,
            engine: Engine::Baseline,
            precision: Precision::F32,
            without: Without::NOTHING,
        }
    }

    /// Whether this is its model's reference.
    pub fn is_reference(&self) -> bool {
        *self == Self::reference(self.model)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.model, self.engine, self.precision)?;
        if self.without.is_nothing() { Ok(()) } else { write!(f, " without {}", self.without) }
    }
}

/// What an engine says of itself once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectInfo {
    /// The version whose weights are in use; differs from the one asked for where another
    /// version's weights stand in.
    #[serde(with = "as_text")]
    pub weights: ModelVersion,
    /// SHA-256 of the weights, in hex.
    pub weights_sha256: String,
    /// What a reader of the figures has to know, such as that other weights stand in.
    pub note: Option<String>,
    /// The engine in its own words.
    pub engine: String,
    /// The device in the engine's words.
    pub device: String,
    /// What it computes in what, in its own words; absent from older records.
    #[serde(default)]
    pub arithmetic: String,
    /// The optimizations in effect; absent from older records, and where there are none.
    #[serde(default, with = "as_names", skip_serializing_if = "Vec::is_empty")]
    pub optimizations: Vec<Optimization>,
    /// The threads that it computes on; absent from older records, and where that is not the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// The source of everything that can be measured.
pub trait Engines {
    /// The device that a choice comes down to on this machine.
    ///
    /// # Errors
    /// Where the device does not exist or no engine can use it.
    fn resolve(&self, choice: DeviceChoice) -> Result<Device>;

    /// The configurations that exist on a device, in the order in which they are reported.
    fn offered(&self, device: Device) -> Vec<(Engine, Precision)>;

    /// Loads one configuration, ready to run.
    ///
    /// # Errors
    /// Where the weights are missing or the engine cannot run them.
    fn load(&self, case: Case, device: Device) -> Result<Box<dyn Subject>>;

    /// The same, on so many threads or for so many frames at once. Engines that have no choice
    /// load as ever.
    ///
    /// # Errors
    /// As [`Engines::load`].
    fn load_tuned(&self, case: Case, device: Device, _tuning: Tuning) -> Result<Box<dyn Subject>> {
        self.load(case, device)
    }
}

/// How an engine is to run, where it has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Threads on a CPU; `None` for as many as it would take by itself.
    pub threads: Option<usize>,
    /// Frames at once, 1 or more.
    pub batch: usize,
}

/// A loaded engine.
pub trait Subject {
    /// What it is.
    fn info(&self) -> SubjectInfo;

    /// Opens a stream of frames of one size.
    ///
    /// # Errors
    /// Where the engine cannot run frames of that size.
    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>>;

    /// Opens a stream that is fed ahead, over frames as [`Stream::push`] takes them. They are
    /// page-locked where the engine makes use of it and it is not switched off.
    ///
    /// # Errors
    /// As [`Subject::session`].
    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>>;

    /// The frame at `t` between each of these pairs, asked for at once, as [`Stream::at_rgb8`] gives
    /// it.
    ///
    /// # Errors
    /// As [`Subject::session`] and [`Stream::at_rgb8`].
    fn pairs_rgb8(
        &self,
        size: Size,
        pairs: &[(&[u8], &[u8])],
        t: f32,
        outs: &mut [Vec<u8>],
    ) -> Result<()> {
        pairs.iter().zip(outs).try_for_each(|((earlier, later), out)| {
            let mut stream = self.session(size)?;
            stream.push(earlier)?;
            stream.push(later)?;
            stream.at_rgb8(t, out)
        })
    }

    /// The most that its device gives; `None` where it cannot tell.
    ///
    /// # Errors
    /// Whatever the device reports.
    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(None)
    }
}

/// A stream of frames through an engine. Every call returns only when its work is done and
/// its output lies in host memory, so that a clock around it measures the whole of it.
pub trait Stream {
    /// Hands over the next frame: interleaved 8-bit RGB, `3 * width * height` samples.
    ///
    /// # Errors
    /// Whatever the engine reports.
    fn push(&mut self, rgb8: &[u8]) -> Result<()>;

    /// Generates the frame at time `t` in (0, 1) between the last two frames, as interleaved
    /// 8-bit RGB: what an application would ask for.
    ///
    /// # Errors
    /// Whatever the engine reports, such as that fewer than two frames were pushed.
    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()>;

    /// The frames at each of these times, asked for at once: what an application makes several
    /// frames between two with.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn at_many_rgb8(&mut self, ts: &[f32], outs: &mut [Vec<u8>]) -> Result<()> {
        ts.iter().zip(outs).try_for_each(|(t, out)| self.at_rgb8(*t, out))
    }

    /// The same as planar RGB floats in \[0, 1\], `[3, height, width]`: for comparisons.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()>;

    /// The device's own time, in ms each, of so many frames between the last two, which lie on
    /// the device, as the new ones do; `None` where it has no clock. A CPU's is the host's.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn time_on_device(&mut self, _t: f32, _frames: usize) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// How long each launch of a frame takes, over so many runs of each; empty where the engine
    /// cannot tell.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(Vec::new())
    }

    /// The memory that it holds, where the engine knows.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}

/// A stream that is fed ahead of what comes out of it, so that copies and computing overlap where
/// the engine can do that. It holds its frames itself, those handed over and those generated, in
/// page-locked host memory where the system allows.
pub trait Pipeline {
    /// Whether all its frames are page-locked.
    fn is_locked(&self) -> bool;

    /// How many frames can be asked for before the first of them is taken, 1 or more.
    fn depth(&self) -> usize;

    /// Hands over the frame of this index, of those that the stream was opened with.
    ///
    /// # Errors
    /// Whatever the engine reports.
    fn push(&mut self, index: usize) -> Result<()>;

    /// Asks for the frame at time `t` in (0, 1) between the last two.
    ///
    /// # Errors
    /// Whatever the engine reports, such as that [`Pipeline::depth`] frames were asked for.
    fn submit(&mut self, t: f32) -> Result<()>;

    /// Waits for the frame that was asked for first, until it lies in host memory: interleaved
    /// 8-bit RGB.
    ///
    /// # Errors
    /// Whatever the engine reports, such as that none was asked for.
    fn finish(&mut self) -> Result<&[u8]>;

    /// The memory that it holds, where the engine knows.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}

/// Serialises a value as the text that it prints as.
pub(crate) mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(d: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(d)?.parse().map_err(Error::custom)
    }
}

/// Serialises optimizations as the list of their names.
mod as_names {
    use rife_runtime::Optimization;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(list: &[Optimization], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(list.iter().map(|one| one.as_str()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Optimization>, D::Error> {
        let names = Vec::<String>::deserialize(d)?;
        names.iter().map(|name| name.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_older_records_are_read_and_what_is_switched_off_comes_back() {
        let old = r#"{"model":"4.6","engine":"baseline","precision":"f32"}"#;
        let case: Case = serde_json::from_str(old).expect("a case");
        assert!(case.is_reference());
        assert_eq!(serde_json::to_string(&case).expect("JSON"), old);

        let without = [Optimization::Autotune, Optimization::ChannelsLast];
        let case = Case {
            engine: Engine::Optimized,
            precision: Precision::Tf32,
            without: without.into_iter().collect(),
            ..case
        };
        let text = serde_json::to_string(&case).expect("JSON");
        assert!(text.ends_with(r#""tf32","without":["channels-last","autotune"]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Case>(&text).expect("a case"), case);
        assert_eq!(case.to_string(), "4.6 optimized tf32 without channels-last, autotune");
    }
}
