//! The engines under test, reduced to what the benchmark needs.
//!
//! [`runtime`] adapts the engines of `rife-runtime`. The tests of the benchmark implement the traits
//! with an engine that blends the two frames.

mod internals;
pub mod runtime;

use std::fmt;

use anyhow::Result;
use rife_model::ModelVersion;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use internals::{Ceilings, EngineMemory, KernelTime};
pub use rife_runtime::{Device, Engine, Optimization, Optimizations, Precision};

/// Frame size in px.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Width.
    pub width: usize,
    /// Height.
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

/// The ordinal of a CUDA device; `None` for the CPU.
pub const fn cuda_ordinal(device: Device) -> Option<usize> {
    match device {
        Device::Cuda(ordinal) => Some(ordinal),
        _ => None,
    }
}

/// The optimizations that are switched off. Serialized as a list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disabled(Optimizations);

impl Disabled {
    /// Every optimization is on.
    pub const NONE: Self = Self(Optimizations::all());

    /// Whether every optimization is on.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// The optimizations that are on.
    pub const fn enabled(self) -> Optimizations {
        self.0
    }

    /// Switches one more optimization off.
    #[must_use]
    pub const fn and(self, one: Optimization) -> Self {
        Self(self.0.without(one))
    }

    fn list(self) -> impl Iterator<Item = Optimization> {
        Optimization::ALL.into_iter().filter(move |one| !self.0.has(*one))
    }
}

impl Default for Disabled {
    fn default() -> Self {
        Self::NONE
    }
}

impl FromIterator<Optimization> for Disabled {
    fn from_iter<I: IntoIterator<Item = Optimization>>(off: I) -> Self {
        Self(off.into_iter().fold(Optimizations::all(), Optimizations::without))
    }
}

impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.list().map(Optimization::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl Serialize for Disabled {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.list())
    }
}

impl<'de> Deserialize<'de> for Disabled {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Vec::deserialize(d)?.into_iter().collect())
    }
}

/// One configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Model version: `4.6`, `4.25` or `4.26`.
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub model: ModelVersion,
    /// Engine: `baseline` or `optimized`.
    #[schemars(with = "String")]
    pub engine: Engine,
    /// Precision: `f32`, `tf32`, `f16` or `bf16`.
    #[schemars(with = "String")]
    pub precision: Precision,
    /// Names of the optimizations that are switched off. Absent if all are on.
    #[serde(default, skip_serializing_if = "Disabled::is_none")]
    #[schemars(with = "Vec<String>")]
    pub without: Disabled,
}

impl Config {
    /// The default reference: all other configurations of the model are compared with it.
    pub const fn reference(model: ModelVersion) -> Self {
        Self { model, engine: Engine::Baseline, precision: Precision::F32, without: Disabled::NONE }
    }

    /// Whether this is the default reference of its model.
    pub fn is_reference(&self) -> bool {
        *self == Self::reference(self.model)
    }

    /// Whether the optimized engine runs.
    pub fn is_optimized(&self) -> bool {
        self.engine == Engine::Optimized
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.model, self.engine, self.precision)?;
        if self.without.is_none() { Ok(()) } else { write!(f, " without {}", self.without) }
    }
}

/// Description of a loaded engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubjectInfo {
    /// Model version whose weights are loaded. Differs from the requested model if another
    /// version's weights substitute for missing ones.
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub weights: ModelVersion,
    /// SHA-256 of the weights, in hexadecimal.
    pub weights_sha256: String,
    /// What to know about the results, such as substituted weights.
    pub note: Option<String>,
    /// The engine's description of itself.
    pub engine: String,
    /// The engine's description of the device.
    pub device: String,
    /// The engine's description of its arithmetic. Missing in older records.
    #[serde(default)]
    pub arithmetic: String,
    /// Names of the active optimizations. Absent if there are none; missing in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub optimizations: Vec<Optimization>,
    /// Threads of a CPU engine. Absent on a GPU; missing in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// Provides the engines to measure.
pub trait Engines {
    /// Resolves `Device::Auto` to a device of this machine, and checks any other device.
    ///
    /// # Errors
    /// When the device does not exist or no engine supports it.
    fn resolve(&self, device: Device) -> Result<Device>;

    /// The engines and precisions available on a device, in report order.
    fn available(&self, device: Device) -> Vec<(Engine, Precision)>;

    /// Loads one configuration.
    ///
    /// # Errors
    /// When the weights are missing or the engine cannot run them.
    fn load(&self, config: Config, device: Device) -> Result<Box<dyn Subject>>;

    /// Loads one configuration with a number of threads or a batch size. Engines without these
    /// options ignore them.
    ///
    /// # Errors
    /// As [`Engines::load`].
    fn load_with(
        &self,
        config: Config,
        device: Device,
        _options: LoadOptions,
    ) -> Result<Box<dyn Subject>> {
        self.load(config, device)
    }
}

/// Options of [`Engines::load_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// CPU threads; `None` for the engine's default.
    pub threads: Option<usize>,
    /// Frames per call, 1 or more.
    pub batch: usize,
}

/// A loaded engine.
pub trait Subject {
    /// Describes the engine.
    fn info(&self) -> SubjectInfo;

    /// Opens a stream of frames of one size.
    ///
    /// # Errors
    /// When the engine does not support the size.
    fn session(&self, size: Size) -> Result<Box<dyn Stream + '_>>;

    /// Opens a pipelined stream over `frames` (as in [`Stream::push`]). The frames are pinned if
    /// the engine benefits from it and the optimization is on.
    ///
    /// # Errors
    /// As [`Subject::session`].
    fn pipeline(&self, size: Size, frames: &[&[u8]]) -> Result<Box<dyn Pipeline + '_>>;

    /// Interpolates at `t` between each of several pairs in one call. Output as
    /// [`Stream::at_rgb8`].
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

    /// Peak throughput of the device; `None` if the engine cannot measure it.
    ///
    /// # Errors
    /// Errors of the device.
    fn ceilings(&self) -> Result<Option<Ceilings>> {
        Ok(None)
    }
}

/// A stream of frames. Each call returns after its work is complete and its output is in host
/// memory, so that timing the call measures all of it.
pub trait Stream {
    /// Passes in the next frame: interleaved 8-bit RGB, `3 * width * height` samples.
    ///
    /// # Errors
    /// Errors of the engine.
    fn push(&mut self, rgb8: &[u8]) -> Result<()>;

    /// Interpolates at time `t` in (0, 1) between the last two frames, as interleaved 8-bit RGB.
    ///
    /// # Errors
    /// Errors of the engine, for example when fewer than two frames were pushed.
    fn at_rgb8(&mut self, t: f32, out: &mut [u8]) -> Result<()>;

    /// Interpolates at several times between the last two frames in one call.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn at_many_rgb8(&mut self, ts: &[f32], outs: &mut [Vec<u8>]) -> Result<()> {
        ts.iter().zip(outs).try_for_each(|(t, out)| self.at_rgb8(*t, out))
    }

    /// As [`Stream::at_rgb8`], as planar RGB floats in \[0, 1\], `[3, height, width]`.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn at_planar(&mut self, t: f32, out: &mut [f32]) -> Result<()>;

    /// Device times, in ms, of `frames` interpolated frames between the last two, input and output
    /// staying on the device; `None` if the engine has no device clock. A CPU uses the host clock.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn time_on_device(&mut self, _t: f32, _frames: usize) -> Result<Option<Vec<f32>>> {
        Ok(None)
    }

    /// Time of each kernel launch of a frame, averaged over `runs`; empty if not supported.
    ///
    /// # Errors
    /// As [`Stream::at_rgb8`].
    fn kernel_times(&mut self, _runs: usize) -> Result<Vec<KernelTime>> {
        Ok(Vec::new())
    }

    /// Memory allocated by the engine, if known.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}

/// A stream with several frames in flight, so that transfers and computation can overlap. It owns
/// its input and output frames, in pinned host memory where the system allows it.
pub trait Pipeline {
    /// Whether all its frames are pinned.
    fn is_pinned(&self) -> bool;

    /// Number of frames that can be in flight, 1 or more.
    fn depth(&self) -> usize;

    /// Passes in frame `index` of the frames that the stream was opened with.
    ///
    /// # Errors
    /// Errors of the engine.
    fn push(&mut self, index: usize) -> Result<()>;

    /// Starts interpolating at time `t` in (0, 1) between the last two frames.
    ///
    /// # Errors
    /// Errors of the engine, for example when [`Pipeline::depth`] frames are in flight.
    fn submit(&mut self, t: f32) -> Result<()>;

    /// Waits until the oldest submitted frame is in host memory: interleaved 8-bit RGB.
    ///
    /// # Errors
    /// Errors of the engine, for example when no frame is in flight.
    fn finish(&mut self) -> Result<&[u8]>;

    /// Memory allocated by the engine, if known.
    fn memory(&self) -> Option<EngineMemory> {
        None
    }
}

/// Serializes a value as its display text.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_older_records_are_read_and_disabled_optimizations_round_trip() {
        let old = r#"{"model":"4.6","engine":"baseline","precision":"f32"}"#;
        let config: Config = serde_json::from_str(old).expect("a configuration");
        assert!(config.is_reference());
        assert_eq!(serde_json::to_string(&config).expect("JSON"), old);

        let without = [Optimization::Autotune, Optimization::ChannelsLast];
        let config = Config {
            engine: Engine::Optimized,
            precision: Precision::Tf32,
            without: without.into_iter().collect(),
            ..config
        };
        let text = serde_json::to_string(&config).expect("JSON");
        assert!(text.ends_with(r#""tf32","without":["channels-last","autotune"]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Config>(&text).expect("a configuration"), config);
        assert_eq!(config.to_string(), "4.6 optimized tf32 without channels-last, autotune");
        for (device, json) in [(Device::Cpu, "\"cpu\""), (Device::Cuda(1), "{\"cuda\":1}")] {
            assert_eq!(serde_json::to_string(&device).expect("JSON"), json);
        }
    }
}
