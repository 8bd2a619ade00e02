//! The state that the sessions of an engine share: the GPU, the weights on it, and compiled
//! kernels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rife_model::{ModelSpec, Scale};

use super::driver::{Function, Gpu, Memory, Module};
use super::kernel::Kernel;
use super::nvrtc::{CompileError, Compiler};
use super::pack;
use super::plan::{Plan, Request};
use super::variant::Variant;
use crate::engine::Load;
use crate::{Error, FrameSize, Optimization, Optimizations, Precision, Result};

/// The state that the sessions of an engine share.
pub(crate) struct Shared {
    pub(crate) gpu: Gpu,
    pub(crate) spec: &'static ModelSpec,
    pub(crate) scale: Scale,
    pub(crate) precision: Precision,
    pub(crate) ensemble: bool,
    pub(crate) batch: usize,
    pub(crate) optimizations: Optimizations,
    pub(crate) weights: Memory,
    /// The offsets of each layer's weights and bias in `weights`.
    pub(crate) layers: Arc<Vec<(usize, usize)>>,
    compiler: Compiler,
    modules: Mutex<HashMap<(Kernel, Variant), Arc<Module>>>,
}

/// Locks a cache, ignoring poisoning: its entries are always valid.
pub(super) fn lock<T>(cache: &Mutex<T>) -> MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

fn compile_error(cause: CompileError) -> Error {
    Error::Kernel { name: "cannot compile the kernels".into(), cause: cause.into() }
}

impl Shared {
    /// Packs and uploads the weights.
    pub(super) fn load(gpu: Gpu, load: &Load<'_>, weights: &[u8]) -> Result<Self> {
        let spec = load.spec;
        // The layers do not depend on the size.
        let plan = Plan::new(&Request {
            spec,
            size: FrameSize::new(64, 64),
            scale: load.scale,
            precision: load.precision,
            ensemble: load.ensemble,
            batch: 1,
            optimizations: load.optimizations,
            card: gpu.card,
        });
        let packed = pack::pack(&plan, spec, weights)?;
        let weights = gpu.memory(packed.len())?;
        weights.write(&packed)?;
        let compiler = Compiler::new(Compiler::usual_cache_dir(), super::arch(gpu.capability));
        Ok(Self {
            layers: Arc::new(plan.weight_offsets().0),
            spec,
            scale: load.scale,
            precision: load.precision,
            ensemble: load.ensemble,
            batch: load.batch,
            optimizations: load.optimizations,
            weights,
            compiler,
            modules: Mutex::default(),
            gpu,
        })
    }

    /// The chosen optimizations that apply to the GPU and the model.
    pub(super) fn effective_optimizations(&self) -> Optimizations {
        let chosen = self.optimizations;
        let arena = chosen.has(Optimization::PreallocatedBuffers);
        let f16 = self.precision == Precision::F16 && chosen.has(Optimization::ChannelsLast);
        let applies = |one| match one {
            Optimization::Winograd => false,
            Optimization::CachedFeatures => {
                self.spec.has_encoder() && chosen.has(Optimization::CachedFrames)
            }
            Optimization::CudaGraph | Optimization::ReusedBuffers => arena,
            Optimization::OverlappedLaunches => self.gpu.capability >= (9, 0),
            Optimization::Wgmma => self.gpu.card.wgmma && f16,
            _ => true,
        };
        chosen.filtered(applies)
    }

    pub(crate) fn request(&self, size: FrameSize, batch: usize) -> Request {
        Request {
            spec: self.spec,
            size,
            scale: self.scale,
            precision: self.precision,
            ensemble: self.ensemble,
            batch,
            optimizations: self.optimizations,
            card: self.gpu.card,
        }
    }

    /// Compiles and loads the kernels that are not loaded yet, all at once.
    pub(crate) fn load_modules(
        &self,
        kernels: impl Iterator<Item = Kernel>,
        variant: &Variant,
    ) -> Result<()> {
        let mut missing: Vec<Kernel> = Vec::new();
        {
            let modules = lock(&self.modules);
            for kernel in kernels {
                if !modules.contains_key(&(kernel, *variant)) && !missing.contains(&kernel) {
                    missing.push(kernel);
                }
            }
        }
        let units: Vec<_> = missing.iter().map(|k| k.unit(variant)).collect();
        let cubins = self.compiler.compile_all(&units).map_err(compile_error)?;
        for (kernel, cubin) in missing.into_iter().zip(cubins) {
            let module = Arc::new(self.gpu.module(&format!("{kernel:?}"), &cubin)?);
            lock(&self.modules).insert((kernel, *variant), module);
        }
        Ok(())
    }

    /// A kernel as a function, compiled if it is not loaded yet.
    pub(crate) fn function(
        &self,
        kernel: Kernel,
        name: &str,
        variant: &Variant,
    ) -> Result<Function> {
        self.load_modules(std::iter::once(kernel), variant)?;
        let module = lock(&self.modules).get(&(kernel, *variant)).cloned();
        let module = module.ok_or_else(|| Error::Kernel {
            name: format!("cannot run the kernel {name}"),
            cause: "it was not loaded".into(),
        })?;
        let overlapped = self.optimizations.has(Optimization::OverlappedLaunches);
        Function::of(&module, name, kernel.threads(), kernel.shared(variant), overlapped)
    }
}
