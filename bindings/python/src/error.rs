//! Exceptions, and the conversion of errors of the crates to exceptions.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use rife_model::convert::ConvertError;
use rife_model::weights::WeightsError as ModelWeightsError;
use rife_runtime::Error;

create_exception!(rife, RifeError, PyException, "An error of rife; the base of all others.");
create_exception!(rife, WeightsError, RifeError, "Weights are missing, damaged or not usable.");
create_exception!(rife, DeviceError, RifeError, "A device is unavailable or failed.");
create_exception!(rife, OutOfMemoryError, DeviceError, "A device has too little memory.");
create_exception!(rife, VideoError, RifeError, "A video cannot be read, written or encoded.");

/// Adds the exceptions to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("RifeError", py.get_type::<RifeError>())?;
    module.add("WeightsError", py.get_type::<WeightsError>())?;
    module.add("DeviceError", py.get_type::<DeviceError>())?;
    module.add("OutOfMemoryError", py.get_type::<OutOfMemoryError>())?;
    module.add("VideoError", py.get_type::<VideoError>())
}

/// The exception for an argument of a wrong type.
pub(crate) fn type_error(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

/// The exception for an argument with an invalid value.
pub(crate) fn value_error(message: impl Into<String>) -> PyErr {
    PyValueError::new_err(message.into())
}

/// The exception for an error of `rife-runtime`.
pub(crate) fn from_runtime(error: &Error) -> PyErr {
    new(kind_of_runtime(error), rife_runtime::describe(error))
}

/// The exception for any error, with its causes, and a hint on a second line if there is one.
pub(crate) fn from_any(error: &anyhow::Error) -> PyErr {
    let (mut message, hint) = rife_cli::describe_with_hint(error);
    if let Some(hint) = hint {
        message += &format!("\nhint: {hint}");
    }
    new(kind_of_any(error), message)
}

/// The kinds of exceptions.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Value,
    Other,
    Weights,
    Device,
    Memory,
    Video,
}

fn new(kind: Kind, message: String) -> PyErr {
    match kind {
        Kind::Value => value_error(message),
        Kind::Other => RifeError::new_err(message),
        Kind::Weights => WeightsError::new_err(message),
        Kind::Device => DeviceError::new_err(message),
        Kind::Memory => OutOfMemoryError::new_err(message),
        Kind::Video => VideoError::new_err(message),
    }
}

fn kind_of_runtime(error: &Error) -> Kind {
    match error {
        Error::Frame { .. }
        | Error::Size { .. }
        | Error::Timestep(_)
        | Error::Format { .. }
        | Error::Count { .. }
        | Error::Batch(_)
        | Error::ThreadCount(_)
        | Error::Model(rife_model::ModelError::NoEnsemble { .. }) => Kind::Value,
        Error::OutOfMemory { .. } => Kind::Memory,
        Error::NoEngine { .. }
        | Error::NoPrecision { .. }
        | Error::NoDevice { .. }
        | Error::DeviceLost { .. }
        | Error::Kernel { .. }
        | Error::Threads { .. } => Kind::Device,
        Error::Weights { .. } | Error::OtherWeights { .. } => Kind::Weights,
        _ => Kind::Other,
    }
}

fn kind_of_any(error: &anyhow::Error) -> Kind {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return kind_of_runtime(error);
        }
        if let Some(rife_video::Error::Engine(error)) = cause.downcast_ref() {
            return kind_of_runtime(error);
        }
        if cause.is::<rife_cli::UsageError>() {
            return Kind::Value;
        }
        if cause.is::<ModelWeightsError>() || cause.is::<ConvertError>() {
            return Kind::Weights;
        }
    }
    Kind::Video
}
