//! The optimized engine for CPUs: F32 throughout (or BF16 products), on AVX-512, on AVX2 and FMA,
//! or portable.
//!
//! - [`lanes`], [`level`]: vectors, and the instruction set in use.
//! - [`kernels`]: the kernels, written once for all instruction sets.
//! - [`plan`]: shapes, and the offset of every buffer.
//! - [`pack`]: weights in the order of the kernels.
//! - [`run`], [`conv`], [`team`]: run the steps of a plan on threads.
//! - [`engine`], [`session`], [`shared`]: the implementation of the engine interface.
//! - [`peak`]: the peak throughput of the CPU.

mod conv;
mod engine;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod kernels;
mod lanes;
mod level;
mod pack;
mod peak;
mod plan;
mod run;
mod session;
mod shared;
mod team;
mod tensor;
#[cfg(test)]
mod tests;

use crate::engine::{EngineImpl, Load};
use crate::probe::{self, Probe};
use crate::{Precision, Result};

/// Always succeeds: the engine runs on any CPU.
pub(crate) fn probe(_index: usize) -> Probe {
    let threads = probe::count_of_threads(shared::default_threads());
    Ok(format!("{}, {threads}", level::Level::current()))
}

/// The precisions that this CPU supports.
pub(crate) fn precisions() -> &'static [Precision] {
    let bf16 = kernels::Bf16Kernels::of(level::Level::current()).is_some();
    if bf16 { &[Precision::F32, Precision::Bf16] } else { &[Precision::F32] }
}

pub(crate) fn load(load: &Load<'_>) -> Result<Box<dyn EngineImpl>> {
    Ok(Box::new(engine::CpuEngine::load(load, level::Level::current())?))
}
