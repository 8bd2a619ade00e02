//! The private extension module of the Python package `rife`, which wraps it.

#![warn(clippy::unwrap_used, clippy::expect_used)]
// Results with runtime errors are returned at most a few times per frame.
#![allow(clippy::result_large_err)]

mod command;
mod engine;
mod error;
mod exit;
mod frames;
mod logging;
mod machine;
mod probe;
mod stream;
mod video;
mod views;
mod wait;

use pyo3::prelude::*;

#[pymodule]
fn _rife(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::add_to(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("BUILD", rife_cli::build_version())?;
    module.add("DEFAULT_CUT", rife_video::SceneDetector::DEFAULT_CUT)?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<stream::Stream>()?;
    module.add_function(wrap_pyfunction!(command::cli, module)?)?;
    module.add_function(wrap_pyfunction!(exit::close_at_exit, module)?)?;
    module.add_function(wrap_pyfunction!(frames::is_viewable, module)?)?;
    module.add_function(wrap_pyfunction!(machine::convert, module)?)?;
    module.add_function(wrap_pyfunction!(machine::devices, module)?)?;
    module.add_function(wrap_pyfunction!(machine::fetch_weights, module)?)?;
    module.add_function(wrap_pyfunction!(machine::versions, module)?)?;
    module.add_function(wrap_pyfunction!(video::interpolate_video, module)?)?;
    module.add_function(wrap_pyfunction!(video::job_options, module)?)
}
