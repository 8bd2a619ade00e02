//! Engine, device and precision, as chosen by the caller.

use std::fmt;
use std::str::FromStr;

/// The largest batch.
pub(crate) const MAX_BATCH: usize = 16;
/// The largest number of threads.
pub(crate) const MAX_THREADS: usize = 1024;

/// A value that is not one of the valid choices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {got:?}: expected {expected}")]
pub struct UnknownChoice {
    pub(crate) what: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) got: String,
}

/// The implementation that runs the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Engine {
    /// The optimized engine if it supports the device and the precision, else the baseline.
    #[default]
    Auto,
    /// The reference network without optimizations: both frames are uploaded and encoded again for
    /// every interpolated frame.
    Baseline,
    /// The optimized engine of the device.
    Optimized,
}

/// The device that the network runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Device {
    /// The first GPU that an engine supports, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// The precision of convolutions. Coordinates, flow, mask and blending are always F32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Precision {
    /// F32 on a CPU, F16 on a GPU.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 32-bit floats, with products in TF32 (10 bits of mantissa) on tensor cores. Sensitive layers
    /// keep 16 bits of mantissa.
    Tf32,
    /// 16-bit floats.
    F16,
    /// The products of 3×3 convolutions in BF16 (8 bits of mantissa), on CPUs with AVX512-BF16. All
    /// other operations are F32.
    Bf16,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Baseline => "baseline",
            Self::Optimized => "optimized",
        })
    }
}

impl FromStr for Engine {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        [Self::Auto, Self::Baseline, Self::Optimized]
            .into_iter()
            .find(|v| v.to_string() == s)
            .ok_or(UnknownChoice {
                what: "engine",
                expected: "auto, baseline or optimized",
                got: s.into(),
            })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        let unknown =
            || UnknownChoice { what: "device", expected: "auto, cpu or cuda[:N]", got: s.into() };
        match s {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = s.strip_prefix("cuda:").ok_or_else(unknown)?;
                let digits = index.bytes().all(|b| b.is_ascii_digit());
                let index: u8 = index.parse().map_err(|_| unknown())?;
                if digits { Ok(Self::Cuda(index.into())) } else { Err(unknown()) }
            }
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = UnknownChoice;

    fn from_str(s: &str) -> Result<Self, UnknownChoice> {
        [Self::Auto, Self::F32, Self::Tf32, Self::F16, Self::Bf16]
            .into_iter()
            .find(|v| v.to_string() == s)
            .ok_or(UnknownChoice {
                what: "precision",
                expected: "auto, f32, tf32, f16 or bf16",
                got: s.into(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_round_trip_through_their_names() {
        for v in [Engine::Auto, Engine::Baseline, Engine::Optimized] {
            assert_eq!(v.to_string().parse(), Ok(v));
        }
        for v in [Device::Auto, Device::Cpu, Device::Cuda(0), Device::Cuda(7)] {
            assert_eq!(v.to_string().parse(), Ok(v));
        }
        for v in [Precision::Auto, Precision::F32, Precision::Tf32, Precision::F16, Precision::Bf16]
        {
            assert_eq!(v.to_string().parse(), Ok(v));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for bad in ["", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:99999999999", "gpu"] {
            assert!(bad.parse::<Device>().is_err(), "{bad}");
        }
    }
}
