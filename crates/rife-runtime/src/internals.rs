//! Kernels for this crate's benchmarks. Not part of the interface.

pub use crate::cpu::internals::{Kernel, kernels};
