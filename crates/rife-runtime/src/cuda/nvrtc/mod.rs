//! Compiles kernels from CUDA C++ to cubins with NVIDIA's run-time compiler (NVRTC). Cubins are
//! cached on disk; the compiler is loaded only if one is missing.

mod binding;
mod cache;
mod error;
mod find;
mod private;
mod select;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

pub(crate) use binding::Nvrtc;
pub(crate) use cache::cache_folder;
pub(crate) use error::CompileError;
pub(crate) use private::{Refused, check_writable, open, replace, report};

use cache::{Cache, Key};

/// The options of every kernel.
const OPTIONS: [&str; 1] = ["-std=c++17"];

/// The stack of a compiler thread: the usual size of a program's main thread.
const STACK: usize = 8 << 20;

/// The first NVRTC version that supports `sm_90a`, which its list of architectures omits.
const SM_90A_SINCE: (i32, i32) = (12, 0);

/// A source to compile.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its name in messages.
    pub(crate) name: String,
    /// The source. It can include only headers that are built into the compiler.
    pub(crate) source: Arc<str>,
    /// Macros and their values.
    pub(crate) defines: Vec<(String, String)>,
}

/// A GPU's compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arch {
    pub(crate) major: i32,
    pub(crate) minor: i32,
}

impl Arch {
    /// The target that kernels are compiled for; for Hopper, the one with `wgmma` and `setmaxnreg`.
    pub(crate) fn target(self) -> String {
        match self {
            Self { major: 9, minor: 0 } => "sm_90a".to_owned(),
            Self { major, minor } => format!("sm_{major}{minor}"),
        }
    }

    /// The best target of a compiler that supports these capabilities (89 is 8.9): the newest one
    /// of the same major version that the GPU can run.
    fn target_among(self, supported: &[i32], version: (i32, i32)) -> Option<String> {
        let first = self.major * 10;
        let newest = supported.iter().filter(|n| (first..=first + self.minor).contains(n)).max()?;
        let target = Self { major: self.major, minor: newest - first }.target();
        (target != "sm_90a" || version >= SM_90A_SINCE).then_some(target)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Compiles kernels for a GPU, or reads them from the cache.
pub(crate) struct Compiler {
    cache: Option<Cache>,
    arch: Arch,
    load: fn() -> Result<Arc<Nvrtc>, CompileError>,
}

impl Compiler {
    /// A compiler with its cache in `cache_dir`, usually [`Compiler::usual_cache_dir`].
    pub(crate) fn new(cache_dir: Option<PathBuf>, arch: Arch) -> Self {
        Self { cache: cache_dir.map(Cache::at), arch, load: Nvrtc::load }
    }

    /// The usual folder of the cache, if there is one.
    pub(crate) fn usual_cache_dir() -> Option<PathBuf> {
        cache_folder("kernels")
    }

    /// The cubin of each unit. Those that are not in the cache are compiled on all cores.
    ///
    /// # Errors
    /// [`CompileError::Failed`] if a unit does not compile; the other variants if a unit is not
    /// cached and no compiler is usable.
    pub(crate) fn compile_all(&self, units: &[Unit]) -> Result<Vec<Arc<[u8]>>, CompileError> {
        let target = self.arch.target();
        let cached: Vec<_> = units.iter().map(|unit| self.cached(unit, &target)).collect();
        let missing = cached.iter().filter(|cubin| cubin.is_none()).count();
        if missing == 0 {
            return Ok(cached.into_iter().flatten().collect());
        }

        let nvrtc = (self.load)()?;
        let target = nvrtc.target(self.arch)?;
        tracing::info!("compiling {missing} of {} kernels for {target}", units.len());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(cores.min(missing))
            .stack_size(STACK)
            .thread_name(|_| "nvrtc".to_owned())
            .build()?;
        let cubins = threads.install(|| {
            let cubins = cached.into_par_iter().zip(units).map(|(cubin, unit)| match cubin {
                Some(cubin) => Ok(cubin),
                None => self.compile(&nvrtc, unit, &target),
            });
            cubins.collect()
        });
        if let Some(cache) = &self.cache {
            cache.trim();
        }
        cubins
    }

    fn compile(&self, nvrtc: &Nvrtc, unit: &Unit, target: &str) -> Result<Arc<[u8]>, CompileError> {
        // A compiler older than the GPU compiles for another target, which has its own cache key.
        if target != self.arch.target()
            && let Some(cubin) = self.cached(unit, target)
        {
            return Ok(cubin);
        }
        let cubin = nvrtc.compile(&unit.name, &unit.source, &unit.options(target));
        let cubin = cubin.map_err(|failure| {
            tracing::debug!("{}: {}", unit.name, failure.log);
            CompileError::Failed {
                unit: unit.name.clone(),
                target: target.to_owned(),
                line: failure.line,
                log: failure.log,
            }
        })?;
        if let Some(cache) = &self.cache {
            cache.write(&unit.key(target), &cubin);
        }
        Ok(cubin.into())
    }

    fn cached(&self, unit: &Unit, target: &str) -> Option<Arc<[u8]>> {
        self.cache.as_ref()?.read(&unit.key(target))
    }
}

impl Unit {
    fn options(&self, target: &str) -> Vec<String> {
        let target = format!("--gpu-architecture={target}");
        let defines = self.defines.iter().map(|(name, value)| format!("-D{name}={value}"));
        OPTIONS.map(str::to_owned).into_iter().chain([target]).chain(defines).collect()
    }

    /// The key leaves out the compiler's version, so that a machine without a compiler can use a
    /// filled cache.
    fn key(&self, target: &str) -> Key {
        let options = self.options(target);
        Key::of([&*self.source].into_iter().chain(options.iter().map(String::as_str)))
    }
}
