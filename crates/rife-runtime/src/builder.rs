//! Options for running a model, and loading it.

use std::path::Path;

use rife_model::weights::{Store, Weights};
use rife_model::{ModelError, ModelVersion, Scale};

use crate::engine::Load;
use crate::machine::{self, Request, Resolved};
use crate::options::{MAX_BATCH, MAX_THREADS};
use crate::{Description, Device, Engine, Error, Interpolator, Optimizations, Precision, Result};

/// Options for running a model, before it is loaded.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it loads"]
pub struct InterpolatorBuilder {
    version: ModelVersion,
    engine: Engine,
    device: Device,
    precision: Precision,
    scale: Scale,
    ensemble: bool,
    optimizations: Optimizations,
    batch: usize,
    threads: Option<usize>,
}

impl Interpolator {
    /// Starts a builder for a model version, with default options.
    pub fn builder(version: ModelVersion) -> InterpolatorBuilder {
        InterpolatorBuilder {
            version,
            engine: Engine::Auto,
            device: Device::Auto,
            precision: Precision::Auto,
            scale: Scale::One,
            ensemble: false,
            optimizations: Optimizations::default(),
            batch: 1,
            threads: None,
        }
    }
}

impl InterpolatorBuilder {
    /// The largest batch.
    pub const MAX_BATCH: usize = MAX_BATCH;
    /// The largest number of threads.
    pub const MAX_THREADS: usize = MAX_THREADS;

    /// The implementation that runs the network.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// The device that it runs on.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The precision of convolutions.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// The resolution at which flow is estimated: [`Scale::Half`] for 4K.
    pub fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }

    /// Average with the reversed pair (4.6 only): about twice the work.
    pub fn ensemble(mut self, ensemble: bool) -> Self {
        self.ensemble = ensemble;
        self
    }

    /// The enabled optimizations of the optimized engine; by default all of them. An engine ignores
    /// those that do not apply to it.
    pub fn optimizations(mut self, optimizations: Optimizations) -> Self {
        self.optimizations = optimizations;
        self
    }

    /// Frames that an engine interpolates in one launch if it supports batches, 1 (the default) to
    /// [`InterpolatorBuilder::MAX_BATCH`], see [`crate::Session::at_many`] and
    /// [`Interpolator::interpolate_many`]. Larger batches are faster for small frames, and need
    /// more memory in proportion.
    pub fn batch(mut self, frames: usize) -> Self {
        self.batch = frames;
        self
    }

    /// CPU threads, 1 to [`InterpolatorBuilder::MAX_THREADS`]; by default one per available CPU.
    /// Ignored on a GPU.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Checks that this machine and build support the options, without reading any weights.
    ///
    /// # Errors
    /// [`Error::NoDevice`], [`Error::NoEngine`] or [`Error::NoPrecision`] if they are not
    /// supported; [`Error::Batch`] or [`Error::ThreadCount`] if a number is out of range;
    /// [`Error::Model`] if the version has no ensemble.
    pub fn check(&self) -> Result<()> {
        self.resolve().map(drop)
    }

    /// Loads the weights that a folder contains. Downloads nothing: fetch missing weights first,
    /// with [`Weights::fetch`] or [`Store::fetch`]. [`Weights::note`] is logged as a warning.
    ///
    /// # Errors
    /// [`Error::Weights`] if the folder does not contain the weights of the version, or they cannot
    /// be read; otherwise as [`InterpolatorBuilder::load_weights`].
    pub fn load(self, weights: impl AsRef<Path>) -> Result<Interpolator> {
        self.check()?;
        let version = self.version;
        let weights = Store::at(weights.as_ref())
            .find(version)
            .map_err(|cause| Error::Weights { version, cause })?;
        if let Some(note) = &weights.note {
            tracing::warn!("{note}");
        }
        self.load_weights(&weights)
    }

    /// Loads weights that are already available.
    ///
    /// # Errors
    /// Same as for [`InterpolatorBuilder::check`]; [`Error::OtherWeights`] if the weights are those
    /// of another version, [`Error::Weights`] if they cannot be read or have changed.
    pub fn load_weights(self, weights: &Weights) -> Result<Interpolator> {
        let version = self.version;
        if weights.requested != version {
            return Err(Error::OtherWeights { expected: version, got: weights.requested });
        }
        let resolved = self.resolve()?;
        let bytes = weights.read().map_err(|cause| Error::Weights { version, cause })?;
        let engine = (resolved.factory().load)(&Load {
            spec: version.spec(),
            weights: &bytes,
            index: resolved.device.index(),
            precision: resolved.precision,
            scale: self.scale,
            ensemble: self.ensemble,
            optimizations: self.optimizations,
            batch: self.batch,
            threads: self.threads,
        })?;
        let description = engine.info();
        tracing::debug!(
            "RIFE {version}: {} in {} ({}) on {}, {}",
            weights.path.display(),
            resolved.precision,
            description.arithmetic,
            resolved.device,
            description.device
        );
        let info = EngineInfo {
            model: version,
            weights: weights.clone(),
            engine: resolved.engine,
            device: resolved.device.to_string(),
            precision: resolved.precision,
            scale: self.scale,
            ensemble: self.ensemble,
            batch: self.batch,
            description,
        };
        Ok(Interpolator::new(info, engine))
    }

    /// Resolves every `Auto` for this machine.
    fn resolve(&self) -> Result<Resolved> {
        if self.ensemble && !self.version.spec().supports_ensemble {
            return Err(ModelError::NoEnsemble { version: self.version }.into());
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return Err(Error::Batch(self.batch));
        }
        if let Some(threads) = self.threads.filter(|t| !(1..=MAX_THREADS).contains(t)) {
            return Err(Error::ThreadCount(threads));
        }
        let Self { engine, device, precision, .. } = *self;
        machine::resolve(Request { engine, device, precision })
    }
}

/// A loaded model, with every option resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineInfo {
    /// The requested version.
    pub model: ModelVersion,
    /// The weights in use; for 4.25 they may be those of 4.26, see [`Weights::note`].
    pub weights: Weights,
    /// The engine, never [`Engine::Auto`].
    pub engine: Engine,
    /// The device, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The precision, never [`Precision::Auto`].
    pub precision: Precision,
    /// The scale of the flow.
    pub scale: Scale,
    /// Whether the ensemble runs.
    pub ensemble: bool,
    /// The most frames per launch.
    pub batch: usize,
    /// The engine's description of itself.
    pub description: Description,
}
