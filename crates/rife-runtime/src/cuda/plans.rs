//! The plans of an engine, tuned and compiled once for each frame size and batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::context::{Shared, lock};
use super::launch::Compiled;
use super::nvrtc::Compiler;
use super::plan::{Plan, Step};
use super::tile::Tile;
use super::tune::Tuner;
use crate::{Error, FrameSize, Optimization, Result};

/// The plans of an engine.
pub(super) struct Plans {
    pub(super) shared: Arc<Shared>,
    tuner: Tuner,
    compiled: Mutex<HashMap<(FrameSize, usize), Arc<Compiled>>>,
}

impl Plans {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let tuner = Tuner::new(Compiler::usual_cache_dir().as_deref(), &shared.gpu);
        Self { shared, tuner, compiled: Mutex::default() }
    }

    /// The plan for a size and a batch, with tuned tiles and loaded kernels.
    pub(super) fn compiled(&self, size: FrameSize, batch: usize) -> Result<Arc<Compiled>> {
        if let Some(found) = lock(&self.compiled).get(&(size, batch)) {
            return Ok(Arc::clone(found));
        }
        let shared = &self.shared;
        let mut plan = Plan::new(&shared.request(size, batch));
        if !plan.is_countable() {
            // Indices overflow only in plans that are too large for the memory of any GPU.
            return Err(Error::OutOfMemory { needed: Some(plan.arena as u64) });
        }
        if let Some(step) = plan.steps().find(|s| s.kernel.tile() == Some(Tile::UNCHOSEN)) {
            let cause = format!("none of its tiles fits on the {}", shared.gpu.name).into();
            return Err(Error::Kernel { name: format!("cannot run {}", step.name), cause });
        }
        if shared.optimizations.has(Optimization::Autotune) {
            self.tuner.tune(shared, &mut plan, size)?;
        }
        shared.load_modules(plan.steps().map(|s| s.kernel), &plan.variant)?;
        let functions = |steps: &[Step]| {
            steps.iter().map(|s| shared.function(s.kernel, &s.name, &plan.variant)).collect()
        };
        let (encoder, network): (Result<_>, Result<_>) =
            (functions(&plan.encoder), functions(&plan.network));
        let compiled = Arc::new(Compiled { encoder: encoder?, network: network?, plan, size });
        lock(&self.compiled).insert((size, batch), Arc::clone(&compiled));
        Ok(compiled)
    }
}
