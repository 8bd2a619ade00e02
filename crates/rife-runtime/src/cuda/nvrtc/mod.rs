//! Compiles kernels, CUDA C++ texts, to cubins with NVIDIA's run-time compiler, which is found and
//! loaded when there is something to compile. What has been compiled is kept on disk, and is had
//! from there without the compiler.

mod binding;
mod cache;
mod error;
mod find;
mod private;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

pub(crate) use binding::Nvrtc;
pub(crate) use cache::cache_folder;
pub(crate) use error::CompileError;
pub(crate) use private::{Refused, open, replace, report};

use cache::{Cache, Key};

/// What every kernel is compiled with.
const OPTIONS: [&str; 1] = ["-std=c++17"];

/// The stack of a thread that compiles: as much as the main thread of a program mostly has.
const STACK: usize = 8 << 20;

/// The first version that knows `sm_90a`; it is none of those that the compiler lists.
const SM_90A_SINCE: (i32, i32) = (12, 0);

/// A text to compile.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// What messages call it.
    pub(crate) name: String,
    /// The text; it can include nothing but what the compiler brings itself.
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
    /// The target that kernels are compiled for; for Hopper the one with `wgmma` and `setmaxnreg`.
    pub(crate) fn target(self) -> String {
        match self {
            Self { major: 9, minor: 0 } => "sm_90a".to_owned(),
            Self { major, minor } => format!("sm_{major}{minor}"),
        }
    }

    /// The target for a compiler that compiles for these capabilities (89 is 8.9): the GPU's own,
    /// else the newest before it that the GPU runs too.
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

/// Compiles kernels for a GPU, or has them from the cache.
pub(crate) struct Compiler {
    cache: Option<Cache>,
    arch: Arch,
    load: fn() -> Result<Arc<Nvrtc>, CompileError>,
}

impl Compiler {
    /// A compiler that keeps what it makes in `cache_dir`, mostly [`Compiler::usual_cache_dir`].
    pub(crate) fn new(cache_dir: Option<PathBuf>, arch: Arch) -> Self {
        Self { cache: cache_dir.map(Cache::at), arch, load: Nvrtc::load }
    }

    /// Where compiled kernels are kept, if anywhere.
    pub(crate) fn usual_cache_dir() -> Option<PathBuf> {
        cache_folder("kernels")
    }

    /// The cubin of each unit. Those that are not in the cache are compiled on all cores.
    ///
    /// # Errors
    /// [`CompileError::Failed`] for a unit that does not compile; the others when there is
    /// something to compile and no compiler for it.
    pub(crate) fn compile_all(&self, units: &[Unit]) -> Result<Vec<Arc<[u8]>>, CompileError> {
        let target = self.arch.target();
        let found: Vec<_> = units.iter().map(|unit| self.cached(unit, &target)).collect();
        let missing = found.iter().filter(|cubin| cubin.is_none()).count();
        if missing == 0 {
            return Ok(found.into_iter().flatten().collect());
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
            let cubins = found.into_par_iter().zip(units).map(|(cubin, unit)| match cubin {
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
        // An older compiler than the GPU has a target of its own to keep things under.
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

    /// The compiler's version is no part of it: what is kept is to be found where there is none.
    fn key(&self, target: &str) -> Key {
        let options = self.options(target);
        Key::of([&*self.source].into_iter().chain(options.iter().map(String::as_str)))
    }
}
