//! Finds the weights, and shares loaded models between filters with the same settings.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use rife_model::weights::{Store, Weights, WeightsError};
use rife_runtime::{Device, Interpolator, ModelVersion, Precision, Scale, describe};

use crate::cache::lock;
use crate::ffi::{Core, LogLevel};

/// The settings of a model, except its version and weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ModelSettings {
    pub(crate) device: Device,
    pub(crate) precision: Precision,
    pub(crate) scale: Scale,
    pub(crate) ensemble: bool,
}

/// The version if neither the script nor a weights file determines one.
pub(crate) const DEFAULT_MODEL: ModelVersion = ModelVersion::V4_25;

/// Finds the weights as the `rife` command does. `path` is a weights file or a weights folder;
/// without it, the default folder is searched. Missing weights are downloaded or converted, and a
/// message is logged.
///
/// # Errors
/// If the weights cannot be found, downloaded or read.
pub(crate) fn find(
    version: Option<ModelVersion>,
    path: Option<&str>,
    core: Core,
) -> Result<Weights, String> {
    let path = path.map(Path::new);
    let found = match path.filter(|path| Weights::is_file_path(path)) {
        Some(file) => Weights::from_file(file, version),
        None => Store::locate(path).and_then(|store| {
            let version = version.unwrap_or(DEFAULT_MODEL);
            store.fetch(version, &mut |line| core.log(LogLevel::Warning, line))
        }),
    };
    let weights = found.map_err(|error| message(&error))?;
    if let Some(note) = &weights.note {
        core.log(LogLevel::Information, note);
    }
    Ok(weights)
}

/// The message of an error: its causes, and a hint if there is one.
pub(crate) fn message(error: &(dyn Error + 'static)) -> String {
    let text = describe(error);
    match WeightsError::hint_in(error) {
        Some(hint) => format!("{text}\nhint: {hint}"),
        None => text,
    }
}

/// A loaded model.
struct Loaded {
    sha256: String,
    version: ModelVersion,
    settings: ModelSettings,
    interpolator: Weak<Interpolator>,
}

/// The models in use, and the most recently loaded one, which stays loaded: at a seek, mpv destroys
/// all filters and creates them again.
struct Models {
    all: Vec<Loaded>,
    latest: Option<Arc<Interpolator>>,
}

static MODELS: Mutex<Models> = Mutex::new(Models { all: Vec::new(), latest: None });

/// Loads a model, or returns it if it is already loaded.
///
/// # Errors
/// If this machine does not support the settings, or loading fails.
pub(crate) fn load(
    weights: &Weights,
    settings: ModelSettings,
) -> Result<Arc<Interpolator>, String> {
    let version = weights.requested;
    // Locked while loading, so that two filters of a script do not load the same model twice.
    let mut models = lock(&MODELS);
    let same = |model: &&Loaded| {
        model.sha256 == weights.tensors_sha256
            && model.version == version
            && model.settings == settings
    };
    let loaded = models.all.iter().find(same).and_then(|model| model.interpolator.upgrade());
    if let Some(interpolator) = loaded {
        models.latest = Some(Arc::clone(&interpolator));
        return Ok(interpolator);
    }
    // Frees the memory of an unused model before the new one is loaded.
    models.latest = None;
    models.all.retain(|model| model.interpolator.strong_count() > 0);
    let interpolator = Interpolator::builder(version)
        .device(settings.device)
        .precision(settings.precision)
        .scale(settings.scale)
        .ensemble(settings.ensemble)
        .load_weights(weights)
        .map_err(|error| message(&error))?;
    let interpolator = Arc::new(interpolator);
    models.all.push(Loaded {
        sha256: weights.tensors_sha256.clone(),
        version,
        settings,
        interpolator: Arc::downgrade(&interpolator),
    });
    models.latest = Some(Arc::clone(&interpolator));
    Ok(interpolator)
}
