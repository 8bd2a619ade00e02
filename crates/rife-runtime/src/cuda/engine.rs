//! The engine: RIFE on the tensor cores of an NVIDIA GPU.

use std::sync::Arc;

use super::context::Shared;
use super::driver::{CurrentContext, Gpu};
use super::peak;
use super::plans::Plans;
use super::session::CudaSession;
use crate::engine::{Description, EngineImpl, EngineSession, HostPin, Load};
use crate::profile::PeakThroughput;
use crate::{FrameSize, Precision, Result};

/// RIFE on the tensor cores.
pub(crate) struct CudaEngine {
    pub(crate) shared: Arc<Shared>,
    plans: Arc<Plans>,
}

impl CudaEngine {
    pub(crate) fn load(gpu: Gpu, load: &Load<'_>) -> Result<Self> {
        let shared = Arc::new(Shared::load(gpu, load, load.weights.as_slice())?);
        let plans = Arc::new(Plans::new(Arc::clone(&shared)));
        Ok(Self { shared, plans })
    }

    /// Like [`CudaEngine::load`] with other weights: the bytes of a safetensors file.
    #[cfg(test)]
    pub(super) fn with_weights(gpu: Gpu, load: &Load<'_>, weights: &[u8]) -> Result<Self> {
        let shared = Arc::new(Shared::load(gpu, load, weights)?);
        let plans = Arc::new(Plans::new(Arc::clone(&shared)));
        Ok(Self { shared, plans })
    }

    /// A session whose internals tests can read.
    #[cfg(test)]
    pub(super) fn cuda_session(&self, size: FrameSize) -> Result<CudaSession> {
        CudaSession::new(&self.plans, size)
    }
}

impl EngineImpl for CudaEngine {
    fn info(&self) -> Description {
        let arithmetic = match self.shared.precision {
            Precision::F16 => "F16 convolutions, F32 accumulation, F32 flow and blending",
            Precision::Tf32 => {
                "TF32 convolutions (3xBF16 in sensitive layers), F32 accumulation and all else"
            }
            _ => "F32, each product as three of TF32",
        };
        Description {
            device: self.shared.gpu.name.clone(),
            precision: self.shared.precision,
            arithmetic: arithmetic.into(),
            optimizations: self.shared.effective_optimizations(),
            threads: None,
        }
    }

    fn cuda_device(&self) -> Option<usize> {
        Some(self.shared.gpu.index())
    }

    fn synchronize(&self) -> Result<()> {
        let _before = CurrentContext::save();
        self.shared.gpu.synchronize_default_stream()
    }

    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        let _before = CurrentContext::save();
        Ok(Box::new(CudaSession::new(&self.plans, size)?))
    }

    fn peak_throughput(&self) -> Result<Option<PeakThroughput>> {
        let _before = CurrentContext::save();
        peak::measure(&self.shared).map(Some)
    }

    unsafe fn pin(&self, ptr: std::ptr::NonNull<u8>, len: usize) -> Option<Box<dyn HostPin>> {
        let _before = CurrentContext::save();
        // SAFETY: the contract is the same as the caller's.
        let pinned = unsafe { self.shared.gpu.pin(ptr.as_ptr(), len) }?;
        Some(Box::new(pinned))
    }
}
