//! The versions of IFNet, each described by one row of data.

use std::fmt;
use std::str::FromStr;

/// A published version of RIFE's IFNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ModelVersion {
    /// RIFE 4.6: four blocks, no encoder.
    V4_6,
    /// RIFE 4.22.lite: four blocks, with the encoder and the feature of 4.25.
    V4_22Lite,
    /// RIFE 4.25: five blocks, a shared frame encoder, a feature passed from block to block.
    V4_25,
    /// RIFE 4.25.lite: a coarser first block, and fewer channels in the last one.
    V4_25Lite,
    /// RIFE 4.25.heavy: twice the channels.
    V4_25Heavy,
    /// RIFE 4.26: the architecture of 4.25 with different weights.
    V4_26,
    /// RIFE 4.26.heavy: four times the encoder features of 4.26.
    V4_26Heavy,
}

/// Each version with its description and its name.
const VERSIONS: [(ModelVersion, &ModelSpec, &str); 7] = [
    (ModelVersion::V4_6, &ModelSpec::V4_6, "4.6"),
    (ModelVersion::V4_22Lite, &ModelSpec::V4_22_LITE, "4.22.lite"),
    (ModelVersion::V4_25, &ModelSpec::V4_25, "4.25"),
    (ModelVersion::V4_25Lite, &ModelSpec::V4_25_LITE, "4.25.lite"),
    (ModelVersion::V4_25Heavy, &ModelSpec::V4_25_HEAVY, "4.25.heavy"),
    (ModelVersion::V4_26, &ModelSpec::V4_26, "4.26"),
    (ModelVersion::V4_26Heavy, &ModelSpec::V4_26_HEAVY, "4.26.heavy"),
];

impl ModelVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; VERSIONS.len()] = {
        let mut all = [Self::V4_6; VERSIONS.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = VERSIONS[i].0;
            i += 1;
        }
        all
    };

    /// The description of the version.
    pub const fn spec(self) -> &'static ModelSpec {
        VERSIONS[self as usize].1
    }

    /// The version number, such as `4.25` or `4.25.lite`.
    pub const fn as_str(self) -> &'static str {
        VERSIONS[self as usize].2
    }
}

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A version that is not one of [`ModelVersion::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid model version {given:?}: expected {expected}", expected = names())]
pub struct UnknownVersion {
    /// The text that is not a version.
    pub given: String,
}

/// `4.6, 4.22.lite, ... or 4.26.heavy`
fn names() -> String {
    let names = ModelVersion::ALL.map(ModelVersion::as_str);
    let [first @ .., last] = &names;
    format!("{} or {last}", first.join(", "))
}

impl FromStr for ModelVersion {
    type Err = UnknownVersion;

    /// Also accepts the spellings of file names, such as `v4.25_lite` and `4.25-heavy`.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let name = given.to_ascii_lowercase().replace(['_', '-'], ".");
        let name = name.strip_prefix('v').unwrap_or(&name);
        let found = Self::ALL.into_iter().find(|version| version.as_str() == name);
        found.ok_or_else(|| UnknownVersion { given: given.to_owned() })
    }
}

/// How the mask of a block is combined with the mask of the previous blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskUpdate {
    /// `mask += m` (4.6).
    Add,
    /// `mask = m` (all versions with an encoder).
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
    /// Channels inside the frame encoder; 0 without one.
    pub encoder_width: usize,
    /// Channels of the encoder features of a frame; 0 without an encoder.
    pub encoder_channels: usize,
    /// Channels of the feature that a block passes to the next; 0 without one. The engines of
    /// `rife-runtime` support 0 and 8.
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
        encoder_width: 0,
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
        encoder_width: 16,
        encoder_channels: 4,
        feature_channels: 8,
        block_outputs: 13,
        mask_update: MaskUpdate::Replace,
        supports_ensemble: false,
        ignored_prefixes: IGNORED,
    };

    /// RIFE 4.22.lite.
    pub const V4_22_LITE: Self = Self {
        version: ModelVersion::V4_22Lite,
        block_channels: &[192, 128, 64, 32],
        block_scales: &[8, 4, 2, 1],
        ..Self::V4_25
    };

    /// RIFE 4.25.lite. No block has scale 2.
    pub const V4_25_LITE: Self = Self {
        version: ModelVersion::V4_25Lite,
        block_channels: &[192, 128, 96, 64, 24],
        block_scales: &[32, 16, 8, 4, 1],
        ..Self::V4_25
    };

    /// RIFE 4.25.heavy.
    pub const V4_25_HEAVY: Self = Self {
        version: ModelVersion::V4_25Heavy,
        block_channels: &[384, 256, 192, 128, 64],
        ..Self::V4_25
    };

    /// RIFE 4.26: the architecture of 4.25.
    pub const V4_26: Self = Self { version: ModelVersion::V4_26, ..Self::V4_25 };

    /// RIFE 4.26.heavy.
    pub const V4_26_HEAVY: Self =
        Self { version: ModelVersion::V4_26Heavy, encoder_channels: 16, ..Self::V4_25 };

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
    /// 4.25, 128 for 4.25.lite. For other scales see [`crate::Scale::pad_multiple`].
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
            let (width, features) = (self.encoder_width, self.encoder_channels);
            conv("encode.cnn0".into(), [width, 3, 3, 3], width);
            conv("encode.cnn1".into(), [width, width, 3, 3], width);
            conv("encode.cnn2".into(), [width, width, 3, 3], width);
            conv("encode.cnn3".into(), [width, features, 4, 4], features);
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
        assert_eq!(count(ModelVersion::V4_25Lite), (158, 5_622_700));
        assert_eq!(count(ModelVersion::V4_25Heavy), (158, 21_663_528));
        assert_eq!(count(ModelVersion::V4_26Heavy), (158, 5_723_156));
        assert_eq!(count(ModelVersion::V4_22Lite), (128, 4_866_052));
    }

    #[test]
    fn versions_parse_from_display() {
        for (i, v) in ModelVersion::ALL.into_iter().enumerate() {
            assert_eq!(v as usize, i);
            assert_eq!(v.to_string().parse(), Ok(v));
            assert_eq!(v.spec().version, v);
        }
        for text in ["v4.25_lite", "4.25-Lite", "V4.25.lite"] {
            assert_eq!(text.parse(), Ok(ModelVersion::V4_25Lite));
        }
        let error = "4.7".parse::<ModelVersion>().unwrap_err().to_string();
        assert_eq!(
            error,
            "invalid model version \"4.7\": expected 4.6, 4.22.lite, 4.25, 4.25.lite, 4.25.heavy, \
             4.26 or 4.26.heavy"
        );
    }

    #[test]
    fn pad_multiples_match_the_published_models() {
        assert_eq!(ModelSpec::V4_6.pad_multiple(), 32);
        assert_eq!(ModelSpec::V4_25.pad_multiple(), 64);
        assert_eq!(ModelSpec::V4_25_LITE.pad_multiple(), 128);
        assert_eq!(ModelSpec::V4_22_LITE.pad_multiple(), 32);
    }
}
