//! Weights in a file that the user names.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::manifest::entry;
use super::{Content, Weights, WeightsError};
use crate::ModelVersion;
use crate::convert::{self, Limits, Naming, Selected, WeightsFile};

/// The weights of a network in a file, with the published names.
pub(super) struct Opened {
    pub(super) selected: Selected,
    pub(super) source_sha256: String,
    pub(super) tensors_sha256: String,
    /// The version to use them for.
    pub(super) requested: ModelVersion,
    /// The version that they belong to.
    pub(super) version: ModelVersion,
    pub(super) note: Option<String>,
}

impl Weights {
    /// Whether a path is that of a weights file rather than of a weights folder. The file need not
    /// exist.
    pub fn is_file_path(path: &Path) -> bool {
        const EXTENSIONS: [&str; 6] = ["pth", "pkl", "pt", "ckpt", "bin", "safetensors"];
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        // A pipe or a device is refused when it is read.
        match path.metadata() {
            Ok(found) => !found.is_dir(),
            Err(_) => EXTENSIONS.iter().any(|known| extension == *known),
        }
    }

    /// The weights in a file: a checkpoint of PyTorch (`.pth`, `.pkl`, `.pt`, `.ckpt`) or a
    /// safetensors file, with the published names of tensors, a prefix before all of them, or other
    /// names that can be matched in exactly one way. Nothing is written.
    ///
    /// The version is that of the tensors. 4.25 and 4.26 have the same tensors: there, `version`
    /// decides, else the published hash, else the name of the file. [`Weights::note`] says how
    /// tensors were matched if their names were not the published ones.
    ///
    /// # Errors
    /// [`WeightsError::Convert`] when the file cannot be read, [`WeightsError::Unknown`] when it
    /// has no weights of RIFE, [`WeightsError::OtherVersion`] when they are not those of `version`,
    /// [`WeightsError::Ambiguous`] when nothing decides between two versions.
    pub fn from_file(
        path: impl AsRef<Path>,
        version: Option<ModelVersion>,
    ) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let opened = open(path, version)?;
        let content = opened.selected.to_safetensors(&file_name(path), &opened.source_sha256)?;
        Ok(Self {
            requested: opened.requested,
            version: opened.version,
            path: path.to_owned(),
            tensors_sha256: opened.tensors_sha256,
            note: opened.note,
            content: Some(Content(Arc::new(content))),
        })
    }
}

/// The name of a file, without its folder.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a file, and finds out which network it belongs to.
pub(super) fn open(path: &Path, version: Option<ModelVersion>) -> Result<Opened, WeightsError> {
    let WeightsFile { checkpoint, sha256, origin } =
        convert::read_weights(path, &Limits::default())?;
    let recognised = convert::recognise(&checkpoint)
        .map_err(|found| WeightsError::Unknown { path: path.to_owned(), found })?;
    let selected = Selected::new(checkpoint, &recognised);
    let tensors_sha256 = convert::tensors_sha256(&selected.checkpoint);
    if let Some(expected) = origin.tensors_sha256
        && expected != tensors_sha256
        && selected.left_out == 0
        && recognised.naming == Naming::Published
    {
        let (path, got) = (path.to_owned(), tensors_sha256);
        return Err(WeightsError::Changed { path, expected, got });
    }
    let fitting = &recognised.versions;
    let needed: HashSet<String> =
        fitting.iter().flat_map(|version| version.spec().tensors()).map(|(name, _)| name).collect();
    if let Some((name, problem)) = selected.unusable(|name| needed.contains(name)) {
        let (path, tensor) = (path.to_owned(), name.to_owned());
        return Err(WeightsError::Unusable { path, tensor, problem });
    }

    let published =
        ModelVersion::ALL.into_iter().find(|version| is_published(*version, &tensors_sha256));
    // What the file was imported as, else what its name says.
    let imported = origin.imported_as.and_then(|name| name.parse().ok());
    let named = imported.or_else(|| named_in(&file_name(path)));
    let named = named.filter(|named| fitting.contains(named));
    let requested = match (version, published.or(named), &fitting[..]) {
        // 4.25 may run with the published weights of 4.26.
        (Some(expected), Some(own), _) if expected != own && published.is_none() => {
            let (path, found) = (path.to_owned(), vec![own]);
            return Err(WeightsError::OtherVersion { path, expected, found });
        }
        (Some(version), ..) if fitting.contains(&version) => version,
        (Some(expected), ..) => {
            let (path, found) = (path.to_owned(), fitting.clone());
            return Err(WeightsError::OtherVersion { path, expected, found });
        }
        (None, Some(own), _) => own,
        (None, None, [only]) => *only,
        (None, None, _) => {
            let (path, versions) = (path.to_owned(), fitting.clone());
            return Err(WeightsError::Ambiguous { path, versions });
        }
    };
    let version = published.unwrap_or(requested);
    let notes = notes(&recognised.naming, selected.left_out, requested, version);
    let note = (!notes.is_empty()).then(|| format!("{}: {}", path.display(), notes.join("; ")));
    Ok(Opened { selected, source_sha256: sha256, tensors_sha256, requested, version, note })
}

/// What the user should know about how a file was read.
fn notes(
    naming: &Naming,
    left_out: usize,
    requested: ModelVersion,
    version: ModelVersion,
) -> Vec<String> {
    let mut notes = Vec::new();
    match naming {
        Naming::Published => {}
        Naming::Prefixed(prefix) => {
            let prefix: String = prefix.chars().take(60).flat_map(char::escape_default).collect();
            notes.push(format!("the prefix {prefix} was removed from the names of its tensors"));
        }
        Naming::NumberedBlocks => notes
            .push("its tensors have the names of ComfyUI (blocks.0 instead of block0)".to_owned()),
        Naming::ByShape => notes.push(
            "its tensors do not have the published names; they were matched by shape and by the \
             numbers in their names, which may be wrong"
                .to_owned(),
        ),
    }
    match left_out {
        0 => {}
        1 => notes.push("1 unused tensor was dropped".to_owned()),
        n => notes.push(format!("{n} unused tensors were dropped")),
    }
    if version != requested {
        notes.push(format!(
            "it contains the weights of RIFE {version}; RIFE {requested} runs with them"
        ));
    }
    notes
}

/// Whether this is the digest of the published tensors of a version, or of those that inference
/// needs.
pub(super) fn is_published(version: ModelVersion, tensors_sha256: &str) -> bool {
    let entry = entry(version);
    let known = [&entry.tensors_sha256, &entry.inference_sha256];
    known.into_iter().flatten().any(|known| known == tensors_sha256)
}

/// The version that the name of a file states, as `flownet_v4.25.pkl` or `rife425.pth`. `None` if it
/// states none or several.
fn named_in(name: &str) -> Option<ModelVersion> {
    let name = name.to_ascii_lowercase();
    let lengths = ModelVersion::ALL.map(|version| (version, stated_length(&name, version)));
    // `4.25.lite` also states 4.25: the longest one counts.
    let longest = lengths.iter().map(|(_, length)| *length).max().filter(|length| *length > 0)?;
    let mut longest = lengths.into_iter().filter(|(_, length)| *length == longest);
    match (longest.next(), longest.next()) {
        (Some((version, _)), None) => Some(version),
        _ => None,
    }
}

/// Length of a version that a name states, with any separators or none between its parts; 0 if it
/// does not. The version must not be part of a longer number or of a date.
fn stated_length(name: &str, version: ModelVersion) -> usize {
    const SEPARATORS: [char; 4] = ['.', '_', '-', ' '];
    let ends_in_digit = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
    let stated_at = |start: usize| {
        let (before, mut rest) = name.split_at(start);
        for part in version.as_str().split('.') {
            match rest.trim_start_matches(SEPARATORS).strip_prefix(part) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        !ends_in_digit(before.trim_end_matches(SEPARATORS))
            && !rest.starts_with(|c: char| c.is_ascii_digit())
    };
    match name.char_indices().any(|(start, _)| stated_at(start)) {
        true => version.as_str().len(),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_the_extension_of_weights_is_a_file_unless_it_is_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Weights::is_file_path(&folder.path().join("missing.PKL")));
        assert!(!Weights::is_file_path(&folder.path().join("weights")));
        let odd = folder.path().join("v4.pkl");
        std::fs::create_dir(&odd).unwrap();
        assert!(!Weights::is_file_path(&odd));
    }

    #[test]
    fn file_name_states_a_version() {
        let (v4_25, v4_26) = (ModelVersion::V4_25, ModelVersion::V4_26);
        for (name, expected) in [
            ("flownet_v4.25.pkl", Some(v4_25)),
            ("rife425.pth", Some(v4_25)),
            ("RIFE_4_26.safetensors", Some(v4_26)),
            ("RIFEv4.26_0921.pth", Some(v4_26)),
            ("some_4_25_lite.pkl", Some(ModelVersion::V4_25Lite)),
            ("rife_v4.26-heavy.safetensors", Some(ModelVersion::V4_26Heavy)),
            ("flownet.pkl", None),
            ("4.25-and-4.26.pth", None),
            ("rife_2024-04-25.pkl", None),
            ("epoch_14260.pth", None),
            ("epoch4251.pth", None),
        ] {
            assert_eq!(named_in(name), expected, "{name}");
        }
    }
}
