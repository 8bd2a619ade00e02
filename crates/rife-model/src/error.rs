//! The errors of the networks.

use candle_core::DType;

use crate::{ModelVersion, Scale};

/// What can go wrong when a network is built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The tensors offered are not those of the version.
    #[error(transparent)]
    StateDict(#[from] StateDictMismatch),
    /// An argument has the wrong shape, count or range.
    #[error("{op}: expected {expected}, got {got}")]
    Input {
        /// The operation that was asked for.
        op: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The ensemble was asked of a version that has none.
    #[error("ensemble is defined for RIFE 4.6 only; RIFE {version} has no published ensemble")]
    NoEnsemble {
        /// The version that was asked.
        version: ModelVersion,
    },
    /// Features were asked of, or handed to, a version without an encoder.
    #[error("RIFE {version} has no frame encoder; only 4.25 and 4.26 have one")]
    NoEncoder {
        /// The version that was asked.
        version: ModelVersion,
    },
    /// The dtype is not one that the device's convolutions support.
    #[error("{dtype:?} is not supported on {device}: use {instead}")]
    DType {
        /// The dtype that was asked for.
        dtype: DType,
        /// The device it was asked of.
        device: &'static str,
        /// What works there.
        instead: &'static str,
    },
    /// Candle failed: out of memory, a device error, an unreadable file.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A weights file could not be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A weights file is not safetensors.
    #[error("{path} is not a valid safetensors file: {cause}")]
    Safetensors {
        /// The file.
        path: String,
        /// Why.
        cause: safetensors::SafeTensorError,
    },
}

impl ModelError {
    pub(crate) fn input(
        op: &'static str,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::Input { op, expected: expected.into(), got: got.into() }
    }
}

/// A tensor whose shape is not the version's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its `state_dict` path.
    pub name: String,
    /// The version's shape.
    pub expected: Vec<usize>,
    /// The shape offered.
    pub got: Vec<usize>,
}

/// Every difference between a `state_dict` and what a version's inference needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDictMismatch {
    /// The version that was to be loaded.
    pub version: ModelVersion,
    /// Tensors that inference needs and the file lacks.
    pub missing: Vec<String>,
    /// Tensors that the version does not know.
    pub extra: Vec<String>,
    /// Tensors of another shape.
    pub misshapen: Vec<Misshapen>,
}

impl StateDictMismatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.misshapen.is_empty()
    }
}

impl std::error::Error for StateDictMismatch {}

impl std::fmt::Display for StateDictMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "these are not the weights of RIFE {}:", self.version)?;
        let mut separator = "";
        if !self.missing.is_empty() {
            write!(f, " {} missing: {}", self.missing.len(), self.missing.join(", "))?;
            separator = ";";
        }
        if !self.extra.is_empty() {
            write!(f, "{separator} {} unknown: {}", self.extra.len(), self.extra.join(", "))?;
            separator = ";";
        }
        if !self.misshapen.is_empty() {
            write!(f, "{separator} {} misshapen:", self.misshapen.len())?;
            for (i, m) in self.misshapen.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma} {} is {:?} instead of {:?}", m.name, m.got, m.expected)?;
            }
        }
        Ok(())
    }
}

/// A scale that is not one of [`Scale::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scale {0:?}: expected one of {list}", list = Scale::ALL.map(|s| s.to_string()).join(", "))]
pub struct UnknownScale(pub(crate) String);
