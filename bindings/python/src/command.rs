//! The `rife` command.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::exit::detached;

/// Runs the command. `args` starts with the program name. Returns the exit code.
#[pyfunction]
pub(crate) fn cli(py: Python<'_>, args: Vec<OsString>) -> u8 {
    detached(py, || rife_cli::run(args))
}
