//! The list of published files, compiled in from `manifest.toml`.

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::ModelVersion;

/// The published file of a version.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The version.
    #[serde(deserialize_with = "version")]
    pub version: ModelVersion,
    /// The file's name in a weights folder.
    pub file: String,
    /// Its size in bytes, where known.
    pub size: Option<u64>,
    /// Its SHA-256 in hexadecimal, where known.
    pub sha256: Option<String>,
    /// The number of its tensors.
    pub tensors: usize,
    /// SHA-256 of its tensors, see [`crate::convert::tensors_sha256`]; where known.
    pub tensors_sha256: Option<String>,
    /// The same for the tensors that inference needs, where the file has others too.
    pub inference_sha256: Option<String>,
    /// The licence of the weights.
    pub licence: String,
    /// The version whose weights are used in its place while the file is missing.
    #[serde(default, deserialize_with = "maybe_version")]
    pub stand_in: Option<ModelVersion>,
    /// Where the file is published, for a manual download.
    pub upstream: String,
    /// The pip package that contains the file.
    pub pip: Option<PipPackage>,
}

/// A file inside a pip package.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PipPackage {
    /// The package's name.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The path of the file in the wheel.
    pub member: String,
}

impl fmt::Display for PipPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    model: Vec<Entry>,
}

fn version<'de, D: serde::Deserializer<'de>>(d: D) -> Result<ModelVersion, D::Error> {
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

fn maybe_version<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<ModelVersion>, D::Error> {
    version(d).map(Some)
}

static MANIFEST: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let text = include_str!("../../manifest.toml");
    #[expect(clippy::expect_used, reason = "the manifest is compiled in and tested")]
    toml::from_str::<Manifest>(text).expect("manifest.toml is valid").model
});

/// The manifest entry of a version. Every version has one, which a test asserts.
pub fn entry(version: ModelVersion) -> &'static Entry {
    #[expect(clippy::expect_used, reason = "every version has an entry, as tested")]
    MANIFEST.iter().find(|e| e.version == version).expect("every version is in the manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_one_complete_entry() {
        assert_eq!(MANIFEST.len(), ModelVersion::ALL.len());
        for v in ModelVersion::ALL {
            let e = entry(v);
            assert!(e.tensors >= v.spec().tensors().len());
            assert_eq!(e.pip.is_some(), e.sha256.is_some() && e.size.is_some());
            assert_eq!(e.pip.is_some(), e.tensors_sha256.is_some());
            if let Some(stand_in) = e.stand_in {
                assert_eq!(stand_in.spec().tensors(), v.spec().tensors());
                assert!(entry(stand_in).pip.is_some(), "{stand_in} cannot be fetched");
            }
        }
    }
}
