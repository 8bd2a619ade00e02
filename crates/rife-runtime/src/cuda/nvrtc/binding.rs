//! Loads libnvrtc and calls it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use libloading::Library;

use super::find::{Candidate, Environment};
use super::select::{builtins_beside, choose, searched};
use super::{Arch, CompileError};
use crate::cuda::library::reason;

/// A `nvrtcProgram`.
type RawProgram = *mut c_void;

/// Declares a struct with the functions of the library, loaded by their symbols.
macro_rules! functions {
    ($($field:ident = $symbol:literal ( $($arg:ty),* ) -> $ret:ty;)*) => {
        struct Functions { $($field: unsafe extern "C" fn($($arg),*) -> $ret,)* }

        impl Functions {
            fn of(library: &Library) -> Result<Self, String> {
                Ok(Self { $(
                    // SAFETY: the type is the declaration in NVIDIA's `nvrtc.h`, and every caller
                    // keeps the library loaded for as long as the process runs.
                    $field: unsafe {
                        *library
                            .get::<unsafe extern "C" fn($($arg),*) -> $ret>($symbol)
                            .map_err(|e| reason(&e))?
                    },
                )* })
            }
        }
    };
}

functions! {
    version = "nvrtcVersion"(*mut c_int, *mut c_int) -> c_int;
    error_string = "nvrtcGetErrorString"(c_int) -> *const c_char;
    num_supported_archs = "nvrtcGetNumSupportedArchs"(*mut c_int) -> c_int;
    supported_archs = "nvrtcGetSupportedArchs"(*mut c_int) -> c_int;
    create = "nvrtcCreateProgram"(
        *mut RawProgram,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char
    ) -> c_int;
    destroy = "nvrtcDestroyProgram"(*mut RawProgram) -> c_int;
    compile = "nvrtcCompileProgram"(RawProgram, c_int, *const *const c_char) -> c_int;
    log_size = "nvrtcGetProgramLogSize"(RawProgram, *mut usize) -> c_int;
    log = "nvrtcGetProgramLog"(RawProgram, *mut c_char) -> c_int;
    cubin_size = "nvrtcGetCUBINSize"(RawProgram, *mut usize) -> c_int;
    cubin = "nvrtcGetCUBIN"(RawProgram, *mut c_char) -> c_int;
}

/// NVIDIA's run-time compiler, loaded.
pub(crate) struct Nvrtc {
    functions: Functions,
    version: (i32, i32),
    /// The compute capabilities it supports, as 89 for 8.9.
    supported: Vec<i32>,
    from: String,
    /// The library is never unloaded: threads that it started may still run.
    _libraries: ManuallyDrop<Vec<Library>>,
}

/// Why a source does not compile.
#[derive(Debug)]
pub(super) struct Failure {
    /// A summary of one line.
    pub(super) line: String,
    /// The compiler's whole log.
    pub(super) log: String,
}

impl Nvrtc {
    /// The compiler of this process, found and loaded on the first call.
    ///
    /// # Errors
    /// [`CompileError::Missing`] and [`CompileError::Named`]; the next call searches again.
    pub(crate) fn load() -> Result<Arc<Self>, CompileError> {
        static LOADED: Mutex<Option<Arc<Nvrtc>>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(nvrtc) = &*loaded {
            return Ok(Arc::clone(nvrtc));
        }
        let nvrtc = Arc::new(Self::find(&Environment::of_process())?);
        tracing::debug!("compiling kernels with {}", nvrtc.describe());
        Ok(Arc::clone(loaded.insert(nvrtc)))
    }

    /// The major and minor version.
    pub(crate) fn version(&self) -> (i32, i32) {
        self.version
    }

    /// The version and the path, as `libnvrtc 13.0 of /usr/lib/libnvrtc.so.13`.
    pub(crate) fn describe(&self) -> String {
        let (major, minor) = self.version;
        format!("libnvrtc {major}.{minor} of {}", self.from)
    }

    /// The target for a GPU.
    ///
    /// # Errors
    /// [`CompileError::NoTarget`].
    pub(crate) fn target(&self, arch: Arch) -> Result<String, CompileError> {
        arch.target_among(&self.supported, self.version).ok_or_else(|| CompileError::NoTarget {
            arch,
            version: self.version,
            from: self.from.clone(),
            targets: self.supported.iter().map(|number| format!("sm_{number}")).collect(),
        })
    }

    /// Compiles a source to a cubin.
    pub(super) fn compile(
        &self,
        name: &str,
        source: &str,
        options: &[String],
    ) -> Result<Vec<u8>, Failure> {
        let program = self.program(name, source, options)?;
        let cubin = program.bytes(self.functions.cubin_size, self.functions.cubin);
        match cubin {
            Ok(cubin) if !cubin.is_empty() => Ok(cubin),
            Ok(_) => {
                Err(Failure { line: "the compiler returned no code".into(), log: program.log() })
            }
            Err(line) => Err(Failure { line, log: program.log() }),
        }
    }

    fn program(
        &self,
        name: &str,
        source: &str,
        options: &[String],
    ) -> Result<Program<'_>, Failure> {
        let failed = |line: String| Failure { line, log: String::new() };
        let text = |text: &str| {
            CString::new(text).map_err(|_| failed(format!("a zero byte in {text:.40?}")))
        };
        let (name, source) = (text(name)?, text(source)?);
        let options = options.iter().map(|o| text(o)).collect::<Result<Vec<_>, _>>()?;
        let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        let count = c_int::try_from(options.len()).map_err(|e| failed(e.to_string()))?;

        let mut raw = ptr::null_mut();
        // SAFETY: both strings end in a zero byte and outlive the call, which copies them; there
        // are no headers, for which null is allowed.
        let code = unsafe {
            let (source, name) = (source.as_ptr(), name.as_ptr());
            (self.functions.create)(&mut raw, source, name, 0, ptr::null(), ptr::null())
        };
        self.check(code).map_err(failed)?;
        let program = Program { nvrtc: self, raw };
        // SAFETY: the program is valid, and there are `count` options, which end in a zero byte and
        // outlive the call.
        let code = unsafe { (self.functions.compile)(program.raw, count, options.as_ptr()) };
        self.check(code).map_err(|reason| {
            let log = program.log();
            Failure { line: first_error(&log).unwrap_or(&reason).to_owned(), log }
        })?;
        Ok(program)
    }

    fn find(environment: &Environment) -> Result<Self, CompileError> {
        let open = |candidate: &Candidate| {
            let nvrtc = Self::open(candidate)?;
            Ok(nvrtc.map(|nvrtc| (nvrtc.version, nvrtc)))
        };
        choose(environment.candidates(), open).map_err(|broken| match &environment.named {
            Some(_) => CompileError::Named(broken.join("; ")),
            None => CompileError::Missing { searched: searched(environment), broken },
        })
    }

    /// Loads a library and checks that it can compile. `None` if the loader finds no library of
    /// that name.
    fn open(candidate: &Candidate) -> Result<Option<Self>, String> {
        let mut libraries = ManuallyDrop::new(Vec::new());
        let (from, opened) = match candidate {
            Candidate::Named(name) => {
                // SAFETY: the library is NVIDIA's compiler, whose initialisers may run on any
                // thread and have no preconditions.
                let Ok(library) = (unsafe { Library::new(*name) }) else { return Ok(None) };
                ((*name).to_owned(), library)
            }
            Candidate::File(path) => {
                // The compiler loads its builtins by name, which succeeds from any folder if they
                // are already loaded.
                for file in builtins_beside(path) {
                    // SAFETY: as for the compiler itself, below.
                    libraries.extend(unsafe { Library::new(file) }.ok());
                }
                // SAFETY: the file has the name of NVIDIA's library, or was set by the user; the
                // initialisers of NVIDIA's libraries have no preconditions.
                let library = unsafe { Library::new(path) }.map_err(|e| reason(&e))?;
                (path.display().to_string(), library)
            }
        };
        libraries.push(opened);
        let functions = libraries.last().map_or(Err(String::new()), Functions::of)?;
        let mut nvrtc =
            Self { functions, version: (0, 0), supported: Vec::new(), from, _libraries: libraries };

        let (mut major, mut minor, mut count) = (0, 0, 0);
        // SAFETY: both pointers are to integers that the function writes.
        nvrtc.check(unsafe { (nvrtc.functions.version)(&mut major, &mut minor) })?;
        nvrtc.version = (major, minor);
        // SAFETY: the pointer is to an integer that the function writes.
        nvrtc.check(unsafe { (nvrtc.functions.num_supported_archs)(&mut count) })?;
        let mut supported = vec![0; usize::try_from(count).map_err(|e| e.to_string())?];
        // SAFETY: there is room for as many integers as the function has just reported.
        nvrtc.check(unsafe { (nvrtc.functions.supported_archs)(supported.as_mut_ptr()) })?;
        nvrtc.supported = supported;

        // NVRTC reports missing builtins only when it compiles.
        let probe = nvrtc.program("probe", "extern \"C\" __global__ void probe() {}", &[]);
        probe.map(drop).map_err(|failure| failure.line)?;
        Ok(Some(nvrtc))
    }

    fn check(&self, code: c_int) -> Result<(), String> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the function accepts any number and returns a static string that ends in a zero
        // byte.
        let text = unsafe { CStr::from_ptr((self.functions.error_string)(code)) };
        Err(text.to_string_lossy().into_owned())
    }
}

/// A program, destroyed when dropped.
struct Program<'a> {
    nvrtc: &'a Nvrtc,
    raw: RawProgram,
}

impl Program<'_> {
    fn log(&self) -> String {
        let functions = &self.nvrtc.functions;
        let log = self.bytes(functions.log_size, functions.log).unwrap_or_default();
        String::from_utf8_lossy(&log).trim_end_matches('\0').trim_end().to_owned()
    }

    /// Reads a log or a cubin with the library's pair of functions for its size and its bytes.
    fn bytes(
        &self,
        size: unsafe extern "C" fn(RawProgram, *mut usize) -> c_int,
        fill: unsafe extern "C" fn(RawProgram, *mut c_char) -> c_int,
    ) -> Result<Vec<u8>, String> {
        let mut length = 0;
        // SAFETY: the program is valid, and the pointer is to an integer that the function writes.
        self.nvrtc.check(unsafe { size(self.raw, &mut length) })?;
        let mut bytes = vec![0; length];
        // SAFETY: the program is valid, and there is room for as many bytes as the size function
        // has just reported.
        self.nvrtc.check(unsafe { fill(self.raw, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }
}

impl Drop for Program<'_> {
    fn drop(&mut self) {
        // SAFETY: the program is valid, and not used after this.
        unsafe { (self.nvrtc.functions.destroy)(&mut self.raw) };
    }
}

/// The first line of a log with an error, else the first line.
fn first_error(log: &str) -> Option<&str> {
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| {
        !line.contains("warning") && (line.contains("error") || line.contains("fatal"))
    };
    lines.clone().find(is_error).or_else(|| lines.next())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::select::tests::empty_environment;
    use super::*;

    #[test]
    fn log_is_summarized_by_its_first_error() {
        let log = "k(3): warning #177-D: no error here\n\nk(7): error: no x\nk(9): error: no y\n";
        assert_eq!(first_error(log), Some("k(7): error: no x"));
        assert_eq!(
            first_error("\n  ptxas fatal   : Unresolved \n"),
            Some("ptxas fatal   : Unresolved")
        );
        assert_eq!(first_error("no reason\ngiven"), Some("no reason"));
        assert_eq!(first_error(""), None);
    }

    #[test]
    fn invalid_rife_nvrtc_is_reported_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libnvrtc.so");
        fs::write(&path, "not a library").unwrap();
        let mut environment = empty_environment(dir.path());
        environment.named = Some(path.clone());
        let message = Nvrtc::find(&environment).err().unwrap().to_string();
        assert!(
            message.contains("RIFE_NVRTC is not a working libnvrtc")
                && message.contains(&*path.to_string_lossy())
        );
    }
}
