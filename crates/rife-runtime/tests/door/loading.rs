//! Loading of engines and weights, and how an engine describes itself.

use rife_model::ModelError;
use rife_model::weights::Store;
use rife_runtime::{
    Device, Engine, Error, Interpolator, InterpolatorBuilder, ModelVersion, Optimizations,
    Precision,
};

use super::{Engines, builder, weights};

pub(super) fn engine_describes_itself(engines: &Engines) {
    let version = ModelVersion::V4_6;
    let weights = weights(version);
    for engine in engines {
        for precision in &engine.precisions {
            let rife = builder(version, engine, *precision).load_weights(&weights).unwrap();
            let info = rife.info();
            assert_eq!((info.engine, info.precision), (engine.engine, *precision));
            assert_eq!(info.device, engine.device.to_string());
            assert_eq!(info.description.precision, *precision);
            assert!(!info.description.device.is_empty() && !info.description.arithmetic.is_empty());
            let threads = info.description.threads;
            assert_eq!(threads.is_some_and(|n| n > 0), engine.device == Device::Cpu, "{threads:?}");
            let three =
                builder(version, engine, *precision).threads(3).load_weights(&weights).unwrap();
            let chosen = (engine.device == Device::Cpu).then_some(3);
            assert_eq!(three.info().description.threads, chosen);
            if engine.engine == Engine::Baseline {
                assert_eq!(info.description.optimizations, Optimizations::none());
            }
        }
    }
}

#[test]
fn unsupported_choices_are_refused_when_loading() {
    let version = ModelVersion::V4_25;
    let weights = weights(version);
    let builder = || Interpolator::builder(version).device(Device::Cpu);
    let ensemble = builder().ensemble(true).load_weights(&weights);
    assert!(matches!(ensemble, Err(Error::Model(ModelError::NoEnsemble { .. }))));
    let f16 = builder().engine(Engine::Optimized).precision(Precision::F16).load_weights(&weights);
    assert!(matches!(f16, Err(Error::NoPrecision { .. })));
    for threads in [0, 1025, usize::MAX] {
        assert!(matches!(builder().threads(threads).check(), Err(Error::ThreadCount(_))));
    }
    let tf32 = builder().precision(Precision::Tf32).load_weights(&weights);
    assert!(matches!(tf32, Err(Error::NoPrecision { .. })));
    for batch in [0, 17, usize::MAX] {
        assert!(matches!(builder().batch(batch).check(), Err(Error::Batch(_))));
    }
    assert!(builder().batch(InterpolatorBuilder::MAX_BATCH).check().is_ok());
    let cuda = builder().device(Device::Cuda(250)).load_weights(&weights);
    assert!(matches!(cuda, Err(Error::NoDevice { .. })));
    let other = Interpolator::builder(ModelVersion::V4_6).device(Device::Cpu);
    assert!(matches!(other.load_weights(&weights), Err(Error::OtherWeights { .. })));
}

#[test]
fn version_4_25_reports_the_weights_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = weights(ModelVersion::V4_26).path;
    std::fs::copy(&path, folder.path().join("rife426.safetensors")).unwrap();
    let rife = Interpolator::builder(ModelVersion::V4_25).load(folder.path()).unwrap();
    let info = rife.info();
    assert_eq!((info.model, info.weights.version), (ModelVersion::V4_25, ModelVersion::V4_26));
    assert!(info.weights.note.as_ref().unwrap().contains("4.26"));
}

#[test]
fn loading_from_an_empty_folder_downloads_nothing_and_reports_how_to_fetch() {
    let folder = tempfile::tempdir().unwrap();
    for version in ModelVersion::ALL {
        let error = Interpolator::builder(version).load(folder.path()).unwrap_err();
        assert!(matches!(error, Error::Weights { version: v, .. } if v == version), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("Weights::fetch"), "{source}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder was written to");
}

#[test]
fn weights_that_change_between_verifying_and_loading_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rife46.safetensors");
    let mut bytes = std::fs::read(weights(ModelVersion::V4_6).path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let found = Store::at(folder.path()).find(ModelVersion::V4_6).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let loaded = Interpolator::builder(ModelVersion::V4_6).load_weights(&found);
    assert!(matches!(loaded, Err(Error::Weights { .. })));
}
