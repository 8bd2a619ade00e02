//! The optimized engine for CPUs: F32 throughout, on AVX-512, AVX2 and FMA, or whatever the
//! processor is.
//!
//! - [`lanes`], [`level`]: vectors, and which ones are used.
//! - [`kernels`]: what is computed, once for all levels.
//! - [`plan`]: shapes, and where every buffer lies.
//! - [`pack`]: weights in the kernels' order.
//! - [`run`], [`conv`], [`team`]: a plan's steps, on threads.
//! - [`engine`], [`session`]: what the door sees.
//! - [`ceilings`]: what it could be at most.

mod ceilings;
mod conv;
mod engine;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod kernels;
mod lanes;
mod level;
mod pack;
mod plan;
mod run;
mod session;
mod team;
mod tensor;
#[cfg(test)]
mod tests;

use crate::engine::{EngineImpl, Load};
use crate::machine::{self, Probe};
use crate::{Precision, Result};

/// It runs on any CPU.
pub(crate) fn probe(_index: usize) -> Probe {
    let threads = machine::count_of_threads(engine::default_threads());
    Ok(format!("{}, {threads}", level::Level::current()))
}

/// What it computes in, on this CPU.
pub(crate) fn precisions() -> &'static [Precision] {
    let bf16 = kernels::Bf16Kernels::of(level::Level::current()).is_some();
    if bf16 { &[Precision::F32, Precision::Bf16] } else { &[Precision::F32] }
}

pub(crate) fn load(load: &Load<'_>) -> Result<Box<dyn EngineImpl>> {
    Ok(Box::new(engine::CpuEngine::load(load, level::Level::current())?))
}
