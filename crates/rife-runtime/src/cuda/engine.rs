//! The engine: weights on the card, kernels compiled for it, plans kept for each size.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rife_model::{ModelSpec, Scale};

use super::abi::Args;
use super::driver::{Function, Gpu, Memory, Module};
use super::kernel::{Kernel, Layout, Variant};
use super::launch::Compiled;
use super::nvrtc::{CompileError, Compiler};
use super::pack;
use super::plan::{Plan, Request, Step, UNPLACED};
use super::session::CudaSession;
use super::tune::Tuner;
use crate::engine::{Ceilings, Description, EngineImpl, EngineSession, HostLock, Load};
use crate::{Error, FrameSize, Optimization, Optimizations, Precision, Result};

/// RIFE on the tensor cores.
pub(crate) struct CudaEngine(pub(crate) Arc<Shared>);

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) gpu: Gpu,
    pub(crate) spec: &'static ModelSpec,
    pub(crate) scale: Scale,
    pub(crate) precision: Precision,
    pub(crate) ensemble: bool,
    pub(crate) batch: usize,
    pub(crate) optimizations: Optimizations,
    pub(crate) weights: Memory,
    /// Where each layer's weights and bias lie.
    pub(crate) layers: Arc<Vec<(usize, usize)>>,
    compiler: Compiler,
    modules: Mutex<HashMap<(Kernel, Variant), Arc<Module>>>,
    compiled: Mutex<HashMap<(FrameSize, usize), Arc<Compiled>>>,
    tuner: Tuner,
}

/// Bytes that are copied to see how fast memory is: more than any cache holds.
const COPIED: usize = 512 << 20;
/// Bytes that are copied to see how fast the way to the host is: a few frames.
const TRANSFERRED: usize = 64 << 20;

/// A poisoned lock guards a cache only: what is in it is whole.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn compile_error(error: CompileError) -> Error {
    Error::Kernel { name: "compiling kernels".into(), reason: error.to_string() }
}

impl CudaEngine {
    pub(crate) fn load(gpu: Gpu, load: &Load<'_>) -> Result<Self> {
        Self::with_weights(gpu, load, load.weights.as_slice())
    }

    /// As [`CudaEngine::load`] with other weights: the bytes of a safetensors file.
    pub(super) fn with_weights(gpu: Gpu, load: &Load<'_>, weights: &[u8]) -> Result<Self> {
        let spec = load.version.spec();
        let probe = Request {
            spec,
            size: FrameSize::new(64, 64),
            scale: load.scale,
            precision: load.precision,
            ensemble: load.ensemble,
            batch: 1,
            optimizations: load.optimizations,
            card: gpu.card,
        };
        // The layers are the same at every size.
        let plan = Plan::new(&probe);
        let packed = pack::pack(&plan, spec, weights)?;
        let weights = gpu.memory(packed.len())?;
        weights.write(&packed)?;
        let arch = super::arch(gpu.capability);
        let cache = Compiler::usual_cache_dir();
        let tuner = Tuner::new(cache.as_deref(), &gpu);
        Ok(Self(Arc::new(Shared {
            layers: Arc::new(plan.weight_offsets().0),
            spec,
            scale: load.scale,
            precision: load.precision,
            ensemble: load.ensemble,
            batch: load.batch,
            optimizations: load.optimizations,
            weights,
            compiler: Compiler::new(cache, arch),
            modules: Mutex::default(),
            compiled: Mutex::default(),
            tuner,
            gpu,
        })))
    }
}

impl EngineImpl for CudaEngine {
    fn info(&self) -> Description {
        let arithmetic = match self.0.precision {
            Precision::F16 => "F16 convolutions, F32 accumulation, F32 flow and blending",
            Precision::Tf32 => {
                "TF32 convolutions, three of BF16 where TF32 shows, F32 accumulation and all else"
            }
            _ => "F32, each product as three of TF32",
        };
        Description {
            device: self.0.gpu.name.clone(),
            precision: self.0.precision,
            arithmetic: arithmetic.into(),
            optimizations: self.0.in_effect(),
            threads: None,
        }
    }

    fn session(&self, size: FrameSize) -> Result<Box<dyn EngineSession>> {
        Ok(Box::new(CudaSession::new(Arc::clone(&self.0), size)?))
    }

    fn ceilings(&self) -> Result<Option<Ceilings>> {
        self.0.ceilings().map(Some)
    }

    unsafe fn lock(&self, ptr: std::ptr::NonNull<u8>, len: usize) -> Option<Box<dyn HostLock>> {
        // SAFETY: as the caller says.
        let locked = unsafe { self.0.gpu.lock(ptr.as_ptr(), len) }?;
        Some(Box::new(locked))
    }
}

impl Shared {
    /// Of the optimizations chosen those that the card and the model have a use for.
    fn in_effect(&self) -> Optimizations {
        let chosen = self.optimizations;
        let arena = chosen.has(Optimization::PreallocatedBuffers);
        let without = |of: Optimizations, one, applies: bool| of.with(one, of.has(one) && applies);
        let chosen = without(chosen, Optimization::Winograd, false);
        let mut all = without(chosen, Optimization::CachedFeatures, self.spec.has_encoder());
        let frames = chosen.has(Optimization::CachedFrames);
        all = without(all, Optimization::CachedFeatures, frames);
        all = without(all, Optimization::CudaGraph, arena);
        all = without(all, Optimization::ReusedBuffers, arena);
        all = without(all, Optimization::OverlappedLaunches, self.gpu.capability >= (9, 0));
        let halves = self.precision == Precision::F16 && chosen.has(Optimization::ChannelsLast);
        without(all, Optimization::Wgmma, self.gpu.card.wgmma && halves)
    }

    /// What the card gives: its tensor cores in this precision, through the instructions that the
    /// kernels use, and its memory.
    fn ceilings(&self) -> Result<Ceilings> {
        const ROUNDS: i32 = 4000;
        const WARPS: usize = 8;
        let stream = self.gpu.stream()?;
        let (start, end) = (self.gpu.event(true)?, self.gpu.event(true)?);
        let best = |work: &dyn Fn() -> Result<()>| -> Result<f64> {
            let mut least = f32::INFINITY;
            for _ in 0..4 {
                start.record(&stream)?;
                work()?;
                end.record(&stream)?;
                least = least.min(start.until(&end)?);
            }
            Ok(f64::from(least) / 1e3)
        };
        let wgmma = self.in_effect().has(Optimization::Wgmma);
        let layout = Layout::ChannelsLast;
        let variant = Variant::new(self.spec, self.scale, self.precision, layout, wgmma);
        let peak = self.function(Kernel::Peak, "peak", &variant)?;
        let blocks = 2 * self.gpu.card.processors;
        let out = self.gpu.memory(blocks * WARPS * 32 * 4)?;
        let args = Args { dst: out.address(), h: ROUNDS, ..Args::default() };
        // SAFETY: `peak` takes `Args` and writes a float a thread, for which `out` has room.
        let products = best(&|| unsafe { stream.launch(&peak, (blocks as u32, 1, 1), &args) })?;
        let each = (16 * 8 * variant.step() * 2) as f64;
        let flops = (blocks * WARPS * 16) as f64 * f64::from(ROUNDS) * each / products;
        let (from, to) = (self.gpu.memory(COPIED)?, self.gpu.memory(COPIED)?);
        stream.fill(&from, 0x2c)?;
        let copy = best(&|| stream.copy(&to, &from))?;
        let mut host = self.gpu.host(TRANSFERRED)?;
        let (bytes, at) = (host.bytes_mut().len(), host.bytes_mut().as_mut_ptr());
        // SAFETY: `host` and `to` have so many bytes, and live until the copies are done: `best`
        // waits for them.
        let up = best(&|| unsafe { stream.upload(to.address(), at, bytes) })?;
        // SAFETY: as above.
        let down = best(&|| unsafe { stream.download(at, to.address(), bytes) })?;
        Ok(Ceilings {
            flops,
            bytes: 2.0 * COPIED as f64 / copy,
            transfer: Some(bytes as f64 / up.max(down)),
        })
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

    /// The plan for a size, its kernels chosen and compiled.
    pub(crate) fn compiled(&self, size: FrameSize, batch: usize) -> Result<Arc<Compiled>> {
        if let Some(found) = held(&self.compiled).get(&(size, batch)) {
            return Ok(Arc::clone(found));
        }
        let mut plan = Plan::new(&self.request(size, batch));
        if !plan.is_countable() {
            // There is no card with that much memory either.
            return Err(Error::OutOfMemory { needed: Some(plan.arena as u64) });
        }
        if let Some(step) = plan.steps().find(|s| s.kernel.tile() == Some(UNPLACED)) {
            let reason = format!("nothing of it fits the {}", self.gpu.name);
            return Err(Error::Kernel { name: format!("the kernel {}", step.name), reason });
        }
        if self.optimizations.has(Optimization::Autotune) {
            self.tuner.tune(self, &mut plan, size)?;
        }
        self.load_modules(plan.steps().map(|s| s.kernel), &plan.variant)?;
        let functions = |steps: &[Step]| {
            steps.iter().map(|s| self.function(s.kernel, &s.name, &plan.variant)).collect()
        };
        let (encoder, network): (Result<_>, Result<_>) =
            (functions(&plan.encoder), functions(&plan.network));
        let compiled = Arc::new(Compiled { encoder: encoder?, network: network?, plan, size });
        held(&self.compiled).insert((size, batch), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Compiles what has not been, all at once.
    pub(crate) fn load_modules(
        &self,
        kernels: impl Iterator<Item = Kernel>,
        variant: &Variant,
    ) -> Result<()> {
        let mut missing: Vec<Kernel> = Vec::new();
        {
            let modules = held(&self.modules);
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
            held(&self.modules).insert((kernel, *variant), module);
        }
        Ok(())
    }

    /// A kernel as a function, compiled now if it has not been.
    pub(crate) fn function(
        &self,
        kernel: Kernel,
        name: &str,
        variant: &Variant,
    ) -> Result<Function> {
        self.load_modules(std::iter::once(kernel), variant)?;
        let module = held(&self.modules).get(&(kernel, *variant)).cloned();
        let module = module.ok_or_else(|| Error::Kernel {
            name: format!("the kernel {name}"),
            reason: "it was not loaded".into(),
        })?;
        let overlapped = self.optimizations.has(Optimization::OverlappedLaunches);
        Function::of(&module, name, kernel.threads(), kernel.shared(variant), overlapped)
    }
}
