//! The engines under test, reduced to what the benchmark needs.
//!
//! [`runtime`] adapts the engines of `rife-runtime`. The tests of the benchmark implement the traits
//! with an engine that blends the two frames.

mod engines;
mod internals;
pub mod runtime;

use std::fmt;

use rife_model::ModelVersion;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use engines::{Engines, LoadOptions, Pipeline, Stream, Subject};
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
    /// Model version, such as `4.6` or `4.25.lite`.
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
