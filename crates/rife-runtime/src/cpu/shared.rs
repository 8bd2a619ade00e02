//! The state that the sessions of an engine share: packed weights, kernels and threads.

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rife_model::{ModelSpec, Scale};

use super::kernels::{Bf16Kernels, Kernels};
use super::level::Level;
use super::pack::{Packed, Packing};
use super::plan::Request;
use crate::engine::Load;
use crate::{Error, FrameSize, Optimization, Optimizations, Precision, Result};

/// The state that the sessions of an engine share.
pub(crate) struct Shared {
    pub(crate) spec: &'static ModelSpec,
    scale: Scale,
    ensemble: bool,
    pub(crate) optimizations: Optimizations,
    pub(crate) kernels: Kernels,
    /// Set with [`Precision::Bf16`].
    pub(crate) bf16: Option<Bf16Kernels>,
    pub(crate) packed: Packed,
    pub(crate) pool: Arc<ThreadPool>,
}

/// The default number of threads: one per CPU that is available to this process.
pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Shared {
    /// Packs the weights and starts the threads.
    pub(super) fn load(load: &Load<'_>, weights: &[u8], level: Level) -> Result<Self> {
        let spec = load.spec;
        let bf16 = Bf16Kernels::of(level).filter(|_| load.precision == Precision::Bf16);
        // BF16 is implemented only with Winograd.
        let winograd = load.optimizations.has(Optimization::Winograd) || bf16.is_some();
        let optimizations = load.optimizations.with(Optimization::Winograd, winograd);
        let threads = load.threads.unwrap_or_else(default_threads);
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("rife-cpu-{i}"))
            .build()
            .map_err(|cause| Error::Threads { threads, cause: cause.into() })?;
        let packing = Packing {
            spec,
            scale: load.scale,
            most_vectors: level.most_vectors(),
            winograd,
            bf16: bf16.is_some(),
        };
        Ok(Self {
            spec,
            scale: load.scale,
            ensemble: load.ensemble,
            optimizations,
            kernels: Kernels::of(level),
            bf16,
            packed: pool.install(|| packing.pack(weights))?,
            pool: Arc::new(pool),
        })
    }

    /// Whether the products of 3x3 convolutions are BF16.
    pub(super) fn is_bf16(&self) -> bool {
        self.bf16.is_some()
    }

    /// The chosen optimizations that apply to a CPU and the model.
    pub(super) fn effective_optimizations(&self) -> Optimizations {
        let chosen = self.optimizations;
        chosen.filtered(|one| match one {
            // With BF16, Winograd is not optional.
            Optimization::Winograd => !self.is_bf16(),
            Optimization::CachedFrames
            | Optimization::FusedKernels
            | Optimization::PreallocatedBuffers
            | Optimization::ReusedBuffers => true,
            Optimization::CachedFeatures => {
                self.spec.has_encoder() && chosen.has(Optimization::CachedFrames)
            }
            _ => false,
        })
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
