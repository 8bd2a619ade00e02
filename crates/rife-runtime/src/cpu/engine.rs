//! The optimized engine for CPUs.

use std::sync::Arc;

use super::level::Level;
use super::peak;
use super::session::CpuSession;
use super::shared::Shared;
use crate::engine::{Description, EngineImpl, EngineSession, Load};
use crate::probe::count_of_threads;
use crate::profile::PeakThroughput;
use crate::{FrameSize, Optimization, Precision, Result};

/// RIFE on the CPU.
pub(crate) struct CpuEngine(Arc<Shared>);

impl CpuEngine {
    pub(crate) fn load(load: &Load<'_>, level: Level) -> Result<Self> {
        Ok(Self(Arc::new(Shared::load(load, load.weights.as_slice(), level)?)))
    }

    /// Like [`CpuEngine::load`] with other weights: the bytes of a safetensors file.
    #[cfg(test)]
    pub(super) fn with_weights(load: &Load<'_>, weights: &[u8], level: Level) -> Result<Self> {
        Ok(Self(Arc::new(Shared::load(load, weights, level)?)))
    }

    /// A session whose internals tests can read.
    #[cfg(test)]
    pub(super) fn cpu_session(&self, size: FrameSize) -> Result<CpuSession> {
        CpuSession::new(Arc::clone(&self.0), size)
    }
}

impl EngineImpl for CpuEngine {
    fn info(&self) -> Description {
        let shared = &self.0;
        let how = if shared.optimizations.has(Optimization::Winograd) { ", Winograd" } else { "" };
        let (level, threads) = (shared.kernels.level, shared.pool.current_num_threads());
        let (precision, numbers) = if shared.is_bf16() {
            (Precision::Bf16, "BF16 products of 3x3 convolutions, F32")
        } else {
            (Precision::F32, "F32")
        };
        Description {
            device: "cpu".into(),
            precision,
            arithmetic: format!("{numbers}{how}, {level}, {}", count_of_threads(threads)),
            optimizations: shared.effective_optimizations(),
            threads: Some(threads),
        }
    }

    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        Ok(Box::new(CpuSession::new(Arc::clone(&self.0), size)?))
    }

    fn peak_throughput(&self) -> Result<Option<PeakThroughput>> {
        let shared = &self.0;
        peak::measure(&shared.kernels, shared.bf16.as_ref(), &shared.pool).map(Some)
    }
}
