//! Errors of the networks.

use std::path::PathBuf;

use candle_core::DType;

use crate::{ModelVersion, Scale};

/// Why a network cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The tensors are not those of the version.
    #[error(transparent)]
    StateDict(#[from] StateDictMismatch),
    /// An argument has the wrong shape, count or range.
    #[error("{op}: expected {expected}, got {got}")]
    Input {
        /// The operation.
        op: &'static str,
        /// What it requires.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The version has no ensemble.
    #[error("RIFE {version} has no ensemble mode; only RIFE 4.6 has one")]
    NoEnsemble {
        /// The version.
        version: ModelVersion,
    },
    /// The version has no encoder, so it neither computes nor takes features.
    #[error("RIFE {version} has no frame encoder; only later versions have one")]
    NoEncoder {
        /// The version.
        version: ModelVersion,
    },
    /// The device does not support convolutions in the dtype.
    #[error("{dtype:?} is not supported on {device}: expected {expected}")]
    DType {
        /// The dtype.
        dtype: DType,
        /// The device.
        device: &'static str,
        /// The supported dtypes.
        expected: &'static str,
    },
    /// Candle reported an error: out of memory or a device error.
    #[error("a tensor operation failed")]
    Candle(#[source] candle_core::Error),
    /// A weights file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A weights file is not a safetensors file.
    #[error("{} is not a valid safetensors file", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: safetensors::SafeTensorError,
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

/// A tensor with another shape than the version requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Its `state_dict` path.
    pub name: String,
    /// The required shape.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub got: Vec<usize>,
}

/// Every difference between a `state_dict` and the tensors that a version needs for inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDictMismatch {
    /// The requested version.
    pub version: ModelVersion,
    /// Required tensors that are not in the file.
    pub missing: Vec<String>,
    /// Tensors in the file that the version does not have.
    pub unexpected: Vec<String>,
    /// Tensors with a wrong shape.
    pub shapes: Vec<ShapeMismatch>,
}

impl StateDictMismatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shapes.is_empty()
    }
}

impl std::error::Error for StateDictMismatch {}

impl std::fmt::Display for StateDictMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not the weights of RIFE {}:", self.version)?;
        let mut separator = "";
        if !self.missing.is_empty() {
            write!(f, " {} missing: {}", self.missing.len(), self.missing.join(", "))?;
            separator = ";";
        }
        if !self.unexpected.is_empty() {
            let (count, names) = (self.unexpected.len(), self.unexpected.join(", "));
            write!(f, "{separator} {count} unexpected: {names}")?;
            separator = ";";
        }
        if !self.shapes.is_empty() {
            write!(f, "{separator} {} with a wrong shape:", self.shapes.len())?;
            for (i, m) in self.shapes.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                write!(f, "{comma} {} (expected {:?}, got {:?})", m.name, m.expected, m.got)?;
            }
        }
        Ok(())
    }
}

/// A scale that is not one of [`Scale::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid scale {0:?}: expected one of {list}",
    list = Scale::ALL.map(|s| s.to_string()).join(", ")
)]
pub struct UnknownScale(pub(crate) String);
