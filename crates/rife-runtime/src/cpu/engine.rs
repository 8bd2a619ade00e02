//! The engine: weights packed for the processor, and threads.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rife_model::{ModelSpec, Scale};

use super::ceilings;
use super::kernels::{Bf16Kernels, Kernels};
use super::level::Level;
use super::pack::{Packed, Packing};
use super::plan::Request;
use super::session::CpuSession;
use crate::engine::{Description, EngineImpl, EngineSession, Load};
use crate::machine::count_of_threads;
use crate::{Ceilings, Error, FrameSize, Optimization, Optimizations, Precision, Result};

/// RIFE on the CPU.
pub(crate) struct CpuEngine(Arc<Shared>);

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) spec: &'static ModelSpec,
    scale: Scale,
    ensemble: bool,
    pub(crate) optimizations: Optimizations,
    pub(crate) kernels: Kernels,
    /// With [`Precision::Bf16`].
    pub(crate) bf16: Option<Bf16Kernels>,
    pub(crate) packed: Packed,
    pub(crate) pool: Arc<ThreadPool>,
}

/// Threads, unless chosen: one for each processor that this process may use.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl CpuEngine {
    pub(crate) fn load(load: &Load<'_>, level: Level) -> Result<Self> {
        Self::with_weights(load, load.weights.as_slice(), level)
    }

    /// As [`CpuEngine::load`] with other weights: the bytes of a safetensors file.
    pub(super) fn with_weights(load: &Load<'_>, weights: &[u8], level: Level) -> Result<Self> {
        let spec = load.version.spec();
        let bf16 = Bf16Kernels::of(level).filter(|_| load.precision == Precision::Bf16);
        // Only Winograd's products are in BF16: it cannot be had without.
        let winograd = load.optimizations.has(Optimization::Winograd) || bf16.is_some();
        let optimizations = load.optimizations.with(Optimization::Winograd, winograd);
        let threads = load.threads.unwrap_or_else(default_threads);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("rife-cpu-{i}"))
            .build()
            .map_err(|cause| Error::Threads { threads, reason: cause.to_string() })?;
        let packing = Packing {
            spec,
            scale: load.scale,
            most_vectors: level.most_vectors(),
            winograd,
            bf16: bf16.is_some(),
        };
        Ok(Self(Arc::new(Shared {
            spec,
            scale: load.scale,
            ensemble: load.ensemble,
            optimizations,
            kernels: Kernels::of(level),
            bf16,
            packed: pool.install(|| packing.pack(weights))?,
            pool: Arc::new(pool),
        })))
    }
}

impl CpuEngine {
    /// A session whose insides tests may look at.
    #[cfg(test)]
    pub(super) fn cpu_session(&self, size: FrameSize) -> Result<CpuSession> {
        CpuSession::new(Arc::clone(&self.0), size)
    }

    /// Whether anything is in BF16: only Winograd's products are.
    fn is_bf16(&self) -> bool {
        self.0.bf16.is_some()
    }
}

impl EngineImpl for CpuEngine {
    fn info(&self) -> Description {
        let shared = &self.0;
        let how = if shared.optimizations.has(Optimization::Winograd) { ", Winograd" } else { "" };
        let (level, threads) = (shared.kernels.level, shared.pool.current_num_threads());
        let numbers = if self.is_bf16() { "BF16 products of 3x3 convolutions, F32" } else { "F32" };
        Description {
            device: "cpu".into(),
            precision: if self.is_bf16() { Precision::Bf16 } else { Precision::F32 },
            arithmetic: format!("{numbers}{how}, {level}, {}", count_of_threads(threads)),
            optimizations: shared.in_effect(),
            threads: Some(threads),
        }
    }

    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        Ok(Box::new(CpuSession::new(Arc::clone(&self.0), size)?))
    }

    fn ceilings(&self) -> Result<Option<Ceilings>> {
        ceilings::measure(&self.0.kernels, self.0.bf16.as_ref(), &self.0.pool).map(Some)
    }
}

impl Shared {
    /// Of the optimizations chosen those that a CPU and the model have a use for.
    fn in_effect(&self) -> Optimizations {
        let chosen = self.optimizations;
        let applies = |one| match one {
            // BF16 has no other way to compute what it computes: that is no choice.
            Optimization::Winograd => self.bf16.is_none(),
            Optimization::CachedFrames
            | Optimization::FusedKernels
            | Optimization::PreallocatedBuffers
            | Optimization::ReusedBuffers => true,
            Optimization::CachedFeatures => {
                self.spec.has_encoder() && chosen.has(Optimization::CachedFrames)
            }
            _ => false,
        };
        Optimization::ALL
            .into_iter()
            .fold(Optimizations::none(), |all, one| all.with(one, chosen.has(one) && applies(one)))
    }

    pub(crate) fn request(&self, size: FrameSize) -> Request {
        Request {
            spec: self.spec,
            size,
            scale: self.scale,
            ensemble: self.ensemble,
            threads: self.pool.current_num_threads(),
            optimizations: self.optimizations,
        }
    }
}
