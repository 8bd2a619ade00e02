//! The versions of IFNet, each described by one row of data.

use std::fmt;
use std::str::FromStr;

/// A published version of RIFE's IFNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelVersion {
    /// RIFE 4.6: four blocks, no encoder.
    V4_6,
    /// RIFE 4.25: five blocks, a shared frame encoder, a feature passed from block to block.
    V4_25,
    /// RIFE 4.26: the architecture of 4.25 with different weights.
    V4_26,
}

impl ModelVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 3] = [Self::V4_6, Self::V4_25, Self::V4_26];

    /// The description of the version.
    pub const fn spec(self) -> &'static ModelSpec {
        match self {
            Self::V4_6 => &ModelSpec::V4_6,
            Self::V4_25 => &ModelSpec::V4_25,
            Self::V4_26 => &ModelSpec::V4_26,
        }
    }

    /// The version number: `4.6`, `4.25` or `4.26`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4_6 => "4.6",
            Self::V4_25 => "4.25",
            Self::V4_26 => "4.26",
        }
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A version that is not one of [`ModelVersion::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid model version {0:?}: expected 4.6, 4.25 or 4.26")]
pub struct UnknownVersion(String);

impl FromStr for ModelVersion {
    type Err = UnknownVersion;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|v| v.as_str() == s).ok_or_else(|| UnknownVersion(s.to_owned()))
    }
}

/// How the mask of a block is combined with the mask of the previous blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskUpdate {
    /// `mask += m` (4.6).
    Add,
    /// `mask = m` (4.25 and 4.26).
    Replace,
}

/// The description of a version: everything that IFNet depends on.
///
/// Source: the published models, <https://github.com/hzwer/Practical-RIFE>.
#[derive(Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// The version.
    pub version: ModelVersion,
    /// Channels `c` of each IFBlock, in order.
    pub block_channels: &'static [usize],
    /// Divisor of the input size of each block at scale 1; a power of two.
    pub block_scales: &'static [usize],
    /// Channels of the encoder features of a frame; 0 without an encoder.
    pub encoder_channels: usize,
    /// Channels of the feature that a block passes to the next; 0 without one.
    pub feature_channels: usize,
    /// Channels after the pixel shuffle of a block: 4 of flow, 1 of mask, and the rest.
    pub block_outputs: usize,
    /// How masks accumulate.
    pub mask_update: MaskUpdate,
    /// Whether the published model has an ensemble mode, which averages with the reversed pair.
    pub supports_ensemble: bool,
    /// Prefixes of training-only tensors, which a file may contain and inference ignores.
    pub ignored_prefixes: &'static [&'static str],
}

const IGNORED: &[&str] = &["teacher.", "caltime."];

impl ModelSpec {
    /// RIFE 4.6.
    pub const V4_6: Self = Self {
        version: ModelVersion::V4_6,
        block_channels: &[192, 128, 96, 64],
        block_scales: &[8, 4, 2, 1],
        encoder_channels: 0,
        feature_channels: 0,
        block_outputs: 6,
        mask_update: MaskUpdate::Add,
        supports_ensemble: true,
        ignored_prefixes: IGNORED,
    };

    /// RIFE 4.25.
    pub const V4_25: Self = Self {
        version: ModelVersion::V4_25,
        block_channels: &[192, 128, 96, 64, 32],
        block_scales: &[16, 8, 4, 2, 1],
        encoder_channels: 4,
        feature_channels: 8,
        block_outputs: 13,
        mask_update: MaskUpdate::Replace,
        supports_ensemble: false,
        ignored_prefixes: IGNORED,
    };

    /// RIFE 4.26: the architecture of 4.25.
    pub const V4_26: Self = Self { version: ModelVersion::V4_26, ..Self::V4_25 };

    /// Whether the version has a frame encoder.
    pub const fn has_encoder(&self) -> bool {
        self.encoder_channels > 0
    }

    /// Input channels of block `index`, including flow for every block except the first.
    ///
    /// ```
    /// use rife_model::ModelSpec;
    /// assert_eq!((ModelSpec::V4_6.block_inputs(0), ModelSpec::V4_6.block_inputs(3)), (7, 12));
    /// assert_eq!((ModelSpec::V4_25.block_inputs(0), ModelSpec::V4_25.block_inputs(4)), (15, 28));
    /// ```
    pub const fn block_inputs(&self, index: usize) -> usize {
        let frames_and_timestep = 2 * (3 + self.encoder_channels) + 1;
        if index == 0 {
            frames_and_timestep
        } else {
            frames_and_timestep + 1 + self.feature_channels + 4
        }
    }

    /// Width and height are padded to a multiple of this at scale 1, in px: 32 for 4.6, 64 for
    /// 4.25. For other scales see [`crate::Scale::pad_multiple`].
    pub fn pad_multiple(&self) -> usize {
        4 * self.block_scales[0]
    }

    /// Name (`state_dict` path) and shape of every tensor that inference needs.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        let mut conv = |path: String, weight: [usize; 4], outputs: usize| {
            all.push((format!("{path}.weight"), weight.to_vec()));
            all.push((format!("{path}.bias"), vec![outputs]));
        };
        for (i, &c) in self.block_channels.iter().enumerate() {
            let inputs = self.block_inputs(i);
            conv(format!("block{i}.conv0.0.0"), [c / 2, inputs, 3, 3], c / 2);
            conv(format!("block{i}.conv0.1.0"), [c, c / 2, 3, 3], c);
            for k in 0..RES_CONVS {
                conv(format!("block{i}.convblock.{k}.conv"), [c, c, 3, 3], c);
            }
            let outputs = 4 * self.block_outputs;
            conv(format!("block{i}.lastconv.0"), [c, outputs, 4, 4], outputs);
        }
        if self.has_encoder() {
            let f = self.encoder_channels;
            conv("encode.cnn0".into(), [ENCODER_WIDTH, 3, 3, 3], ENCODER_WIDTH);
            conv("encode.cnn1".into(), [ENCODER_WIDTH, ENCODER_WIDTH, 3, 3], ENCODER_WIDTH);
            conv("encode.cnn2".into(), [ENCODER_WIDTH, ENCODER_WIDTH, 3, 3], ENCODER_WIDTH);
            conv("encode.cnn3".into(), [ENCODER_WIDTH, f, 4, 4], f);
        }
        for (i, &c) in self.block_channels.iter().enumerate() {
            for k in 0..RES_CONVS {
                all.push((format!("block{i}.convblock.{k}.beta"), vec![1, c, 1, 1]));
            }
        }
        all
    }

    /// The versions for which `shape_of` returns the right shape of every inference tensor. 4.25
    /// and 4.26 have the same architecture, so the weights of either match both.
    pub fn recognise<'a>(shape_of: impl Fn(&str) -> Option<&'a [usize]>) -> Vec<ModelVersion> {
        ModelVersion::ALL
            .into_iter()
            .filter(|v| {
                v.spec().tensors().iter().all(|(name, shape)| shape_of(name) == Some(shape))
            })
            .collect()
    }
}

/// Residual convolutions per IFBlock.
pub const RES_CONVS: usize = 8;
/// Channels inside the encoder.
pub const ENCODER_WIDTH: usize = 16;
/// Negative slope of every LeakyReLU.
pub const LEAKY_SLOPE: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensor_and_parameter_counts_match_the_published_models() {
        let count = |v: ModelVersion| {
            let t = v.spec().tensors();
            (t.len(), t.iter().map(|(_, s)| s.iter().product::<usize>()).sum::<usize>())
        };
        assert_eq!(count(ModelVersion::V4_6), (120, 5_306_256));
        assert_eq!(count(ModelVersion::V4_25), (158, 5_664_776));
        assert_eq!(count(ModelVersion::V4_26), (158, 5_664_776));
    }

    #[test]
    fn versions_parse_from_display() {
        for v in ModelVersion::ALL {
            assert_eq!(v.to_string().parse(), Ok(v));
            assert_eq!(v.spec().version, v);
        }
        assert!("4.7".parse::<ModelVersion>().is_err());
    }

    #[test]
    fn pad_multiples_match_the_published_models() {
        assert_eq!(ModelSpec::V4_6.pad_multiple(), 32);
        assert_eq!(ModelSpec::V4_25.pad_multiple(), 64);
    }
}
