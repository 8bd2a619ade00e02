//! Which other implementations run, and how.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rife_model::ModelVersion;
use rife_model::weights::{Store, entry};

use super::cores;
use crate::args::Args;
use crate::child;
use crate::subject::{Device, cuda_ordinal};

/// How to run other implementations.
#[derive(Clone, Debug)]
pub struct PeersPlan {
    /// Python interpreter.
    pub python: PathBuf,
    /// Path of `tools/peers.py`.
    pub script: PathBuf,
    /// Names of the peers.
    pub names: Vec<String>,
    /// Folder with the converted weights of every model.
    pub weights: PathBuf,
    /// CPU threads.
    pub threads: usize,
}

impl PeersPlan {
    /// Validates `--peers`, `--peers-script` and `--python`; `None` without `--peers`.
    pub(super) fn new(args: &Args, device: Device) -> Result<Option<Self>> {
        let Some(words) = &args.peers else {
            ensure!(args.python.is_none(), "--python requires --peers");
            ensure!(args.peers_script.is_none(), "--peers-script requires --peers");
            return Ok(None);
        };
        let python = args.python.clone().unwrap_or_else(|| "python3".into());
        let script = child::peers_script(args.peers_script.as_deref())?;
        Ok(Some(Self {
            names: names(&python, &script, device, words)?,
            script,
            python,
            weights: Store::locate(args.engine.weights.as_deref())?.dir().to_owned(),
            threads: args.engine.threads.unwrap_or_else(cores),
        }))
    }

    /// The converted weights of a model. Weights of 4.26 substitute for missing weights of 4.25.
    pub fn weights_of(&self, model: ModelVersion) -> PathBuf {
        let file = |model: ModelVersion| {
            self.weights.join(&entry(model).file).with_extension("safetensors")
        };
        let own = file(model);
        if model == ModelVersion::V4_25 && !own.is_file() {
            return file(ModelVersion::V4_26);
        }
        own
    }
}

/// The device as `tools/peers.py` names it.
pub(crate) const fn peer_device(device: Device) -> &'static str {
    if cuda_ordinal(device).is_some() { "cuda" } else { "cpu" }
}

/// The peers of a device whose name contains one of the words.
fn names(python: &Path, script: &Path, device: Device, words: &[String]) -> Result<Vec<String>> {
    let list = [script.as_os_str(), "--list".as_ref(), peer_device(device).as_ref()];
    let output = child::output(python, &list, &|| false)
        .with_context(|| format!("--peers: {} {}", python.display(), child::PEERS_SCRIPT))?;
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let matches = |name: &&str| lower.iter().any(|word| name.to_lowercase().contains(word));
    let names: Vec<String> = output.lines().filter(matches).map(str::to_owned).collect();
    let all: Vec<&str> = output.lines().collect();
    ensure!(!all.is_empty(), "--peers: {} is not a Python interpreter", python.display());
    ensure!(
        !names.is_empty(),
        "--peers={}: no match; available are {}",
        words.join(","),
        all.join(", ")
    );
    Ok(names)
}
