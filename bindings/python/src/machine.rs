//! Devices, versions and weights.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use rife_cli::{Host, Observer};
use rife_model::ModelVersion;
use rife_model::convert::{ConvertError, ConvertOptions, convert_file};
use rife_runtime::{Availability, Device, Engine};

use crate::exit::detached;
use crate::wait::{self, Events};
use crate::{error, logging};

/// The engines of this machine: engine, device, precisions, whether it is available, and its
/// details or the reason why it is not.
#[pyfunction]
pub(crate) fn devices(py: Python<'_>) -> Vec<(String, String, Vec<String>, bool, String)> {
    logging::install();
    let all = detached(py, rife_runtime::engines);
    all.into_iter()
        .map(|Availability { engine, device, precisions, state, .. }| {
            let precisions = precisions.iter().map(ToString::to_string).collect();
            let usable = state.is_ok();
            let details = state.unwrap_or_else(|reason| reason);
            (engine.to_string(), device.to_string(), precisions, usable, details)
        })
        .collect()
}

/// The known model versions.
#[pyfunction]
pub(crate) fn versions() -> Vec<&'static str> {
    ModelVersion::ALL.map(ModelVersion::as_str).to_vec()
}

/// Parses a model version.
pub(crate) fn parse_version(name: &str) -> PyResult<ModelVersion> {
    name.parse::<ModelVersion>().map_err(|error| error::value_error(error.to_string()))
}

/// Parses a device.
pub(crate) fn parse_device(name: &str) -> PyResult<Device> {
    name.parse::<Device>().map_err(|error| error::value_error(error.to_string()))
}

/// Parses an engine.
pub(crate) fn parse_engine(name: &str) -> PyResult<Engine> {
    name.parse::<Engine>().map_err(|error| error::value_error(error.to_string()))
}

/// An event while weights are fetched.
pub(crate) enum FetchEvent {
    Message(String),
    Download(u64, u64),
}

/// Sends the events of a fetch to the calling thread.
pub(crate) struct FetchObserver(pub(crate) Events<FetchEvent>);

impl Observer for FetchObserver {
    fn message(&self, line: &str) {
        self.0.send(FetchEvent::Message(line.to_owned()));
    }

    fn download(&self, done: u64, total: u64) {
        self.0.send(FetchEvent::Download(done, total));
    }
}

/// Downloads the weights of a version if they are missing. Returns the path of the file, and a note
/// if there is one.
#[pyfunction]
pub(crate) fn fetch_weights(
    py: Python<'_>,
    version: &str,
    folder: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<(PathBuf, Option<String>)> {
    logging::install();
    let version = parse_version(version)?;
    let (events, waiter) = wait::events();
    let host = Host::embedded(FetchObserver(events));
    let work = move || rife_cli::fetch_weights(&host, folder.as_deref(), version);
    let on_event = |event, cancelled: bool| match (event, &progress) {
        (FetchEvent::Message(line), _) => logging::log_line(py, &line),
        (FetchEvent::Download(done, total), Some(progress)) if !cancelled => {
            progress.call1(py, (done, total)).map(drop)
        }
        (FetchEvent::Download(..), _) => Ok(()),
    };
    match waiter.run(py, work, on_event, || ())? {
        Ok(weights) => Ok((weights.path, weights.note)),
        Err(error) => Err(error::from_any(&error.into())),
    }
}

/// Converts a checkpoint to safetensors.
#[pyfunction]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    source: PathBuf,
    output: PathBuf,
    overwrite: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let options = ConvertOptions { overwrite, ..ConvertOptions::default() };
    let report = match detached(py, || convert_file(&source, &output, &options)) {
        Ok(report) => report,
        Err(ConvertError::OutputExists { path }) if !overwrite => {
            let message = format!("{path} exists: pass overwrite=True to replace it");
            return Err(error::WeightsError::new_err(message));
        }
        Err(error) => return Err(error::from_any(&error.into())),
    };
    let out = PyDict::new(py);
    let models: Vec<_> = report.models.iter().map(|model| model.as_str()).collect();
    out.set_item("path", output)?;
    out.set_item("models", models)?;
    out.set_item("tensors", report.tensors)?;
    out.set_item("bytes", report.output_bytes)?;
    out.set_item("source_sha256", report.source_sha256)?;
    out.set_item("tensors_sha256", report.tensors_sha256)?;
    out.set_item(
        "skipped",
        report.skipped.iter().map(|skipped| skipped.key.clone()).collect::<Vec<_>>(),
    )?;
    Ok(out)
}
