//! What benchmarks of this crate look at from outside. No part of the interface: it changes with
//! the engines.

pub use crate::cpu::internals::{Kernel, kernels};
