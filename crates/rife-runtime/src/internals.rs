//! Kernels for the benchmarks of this crate. Not part of the public API.

pub use crate::cpu::internals::{Kernel, kernels};
