//! Tests of the compiler. Some need libnvrtc; none needs a GPU.

use std::fs;
use std::path::Path;

use super::find::{Candidate, Environment};
use super::*;

/// The compute capabilities that the kernels support.
const ARCHS: [(i32, i32); 6] = [(8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (12, 0)];

fn arch(major: i32, minor: i32) -> Arch {
    Arch { major, minor }
}

fn unit(name: &str, source: &str) -> Unit {
    Unit { name: name.into(), source: source.into(), defines: Vec::new() }
}

/// A compiler on a machine without libnvrtc.
fn without_nvrtc(dir: &Path) -> Compiler {
    let load = || Err(CompileError::Missing { searched: Vec::new(), broken: Vec::new() });
    Compiler { load, ..Compiler::new(Some(dir.to_owned()), arch(8, 9)) }
}

#[test]
fn target_is_that_of_the_gpu() {
    let targets = ARCHS.map(|(major, minor)| arch(major, minor).target());
    assert_eq!(targets, ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"]);
    assert_eq!(arch(12, 1).to_string(), "12.1");
}

#[test]
fn target_falls_back_to_the_newest_that_the_gpu_runs() {
    let supported = [75, 80, 86, 90, 100, 120];
    let target = |major, minor| arch(major, minor).target_among(&supported, (12, 8));
    assert_eq!(target(8, 0).as_deref(), Some("sm_80"));
    assert_eq!(target(8, 9).as_deref(), Some("sm_86"));
    assert_eq!(target(8, 7).as_deref(), Some("sm_86"));
    assert_eq!(target(9, 0).as_deref(), Some("sm_90a"));
    assert_eq!(target(10, 3).as_deref(), Some("sm_100"));
    assert_eq!(target(12, 1).as_deref(), Some("sm_120"));
    assert_eq!(target(7, 0), None);
    assert_eq!(target(7, 5).as_deref(), Some("sm_75"));
    assert_eq!(target(11, 0), None);
    assert_eq!(target(13, 0), None);
    assert_eq!(arch(9, 0).target_among(&[80, 90], (11, 8)), None);
    assert_eq!(arch(12, 0).target_among(&[80, 90], (12, 4)), None);
}

#[test]
fn places_are_searched_in_order_newest_version_first() {
    let root = tempfile::tempdir().unwrap();
    let file = |path: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        Candidate::File(path)
    };
    let found = [
        file("home/lib64/libnvrtc.so.12.9.86"),
        file("home/lib64/libnvrtc.so.12"),
        file("home/lib64/libnvrtc.so"),
        file("path/targets/x86_64-linux/lib/libnvrtc.so.12"),
        file("path/bin/nvrtc64_130_0.dll"),
        file("path/bin/nvrtc64_120_0.dll"),
        file("local/cuda-13.0/lib64/libnvrtc.so.13"),
        file("local/cuda-12.10/lib64/libnvrtc.so.12"),
        file("local/cuda-12.8/lib64/libnvrtc.so.12"),
        file("local/cuda/lib64/libnvrtc.so"),
        file("venv/lib/python3.12/site-packages/nvidia/cu13/lib/libnvrtc.so.13"),
        file("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12"),
        file("venv/lib/python3.9/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2"),
        file("conda/Lib/site-packages/nvidia/cu13/bin/x86_64/nvrtc64_130_0.dll"),
        file("conda/lib/libnvrtc.so.13"),
    ];
    for other in [
        "home/lib64/libnvrtc.alt.so.13",
        "home/lib64/libnvrtc-builtins.so.13.0",
        "home/lib64/libnvrtc_static.a",
        "path/bin/nvrtc64_130_0.alt.dll",
        "local/cuda-keyring/lib64/libnvrtc.so.13",
        "venv/lib/python3.12/site-packages/nvidia/cudnn/lib/libnvrtc.so.13",
    ] {
        file(other);
    }
    let folder = |name: &str| root.path().join(name);
    let mut environment = Environment {
        named: None,
        toolkits: vec![folder("missing"), folder("home"), folder("path")],
        installs: folder("local"),
        pythons: vec![folder("venv"), folder("conda")],
        query_python: Vec::new,
    };
    let named = find::NAMES.map(Candidate::Named);
    let candidates: Vec<_> = environment.candidates().collect();
    assert_eq!(candidates, [&named[..], &found].concat());

    environment.named = Some(folder("mine.so"));
    let candidates: Vec<_> = environment.candidates().collect();
    assert_eq!(candidates, [Candidate::File(folder("mine.so"))]);
}

#[test]
fn python_is_run_only_as_the_last_resort() {
    let root = tempfile::tempdir().unwrap();
    let lib = root.path().join("lib");
    fs::create_dir(&lib).unwrap();
    fs::write(lib.join("libnvrtc.so.13"), "").unwrap();
    let environment = Environment {
        named: None,
        toolkits: vec![root.path().to_owned()],
        installs: root.path().join("missing"),
        pythons: Vec::new(),
        query_python: || unreachable!("Python was run too early"),
    };
    assert_eq!(environment.candidates().take(find::NAMES.len() + 1).count(), 4);
}

#[test]
fn key_depends_on_source_options_and_target() {
    let defined = |defines: &[(&str, &str)]| Unit {
        defines: defines.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
        ..unit("a", "text")
    };
    let key = unit("a", "text").key("sm_80");
    assert_eq!(unit("b", "text").key("sm_80"), key, "the name is not part of the key");
    assert_ne!(unit("a", "text").key("sm_86"), key);
    assert_ne!(unit("a", "other").key("sm_80"), key);
    assert_ne!(defined(&[("N", "1")]).key("sm_80"), key);
    assert_ne!(defined(&[("N", "1")]).key("sm_80"), defined(&[("N", "2")]).key("sm_80"));
}

#[test]
fn cached_kernels_need_no_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let (units, compiler) = ([unit("a", "A"), unit("b", "B")], without_nvrtc(dir.path()));
    let cache = Cache::at(dir.path().to_owned());
    cache.write(&units[0].key("sm_89"), b"cubin of a");
    let missing = compiler.compile_all(&units);
    assert!(matches!(missing, Err(CompileError::Missing { .. })), "{missing:?}");
    cache.write(&units[1].key("sm_89"), b"cubin of b");
    let cubins = compiler.compile_all(&units).unwrap();
    assert_eq!(cubins.iter().map(|c| &**c).collect::<Vec<_>>(), [b"cubin of a", b"cubin of b"]);
    assert!(compiler.compile_all(&[]).unwrap().is_empty());
}

/// Uses F16 tensor cores, as the engine's kernels do.
const MMA: &str = r#"
extern "C" __global__ void multiply(const unsigned *a, const unsigned *b, float *c) {
    unsigned lane = threadIdx.x;
    float d[4] = {BIAS, BIAS, BIAS, BIAS};
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[4 * lane]), "r"(a[4 * lane + 1]), "r"(a[4 * lane + 2]), "r"(a[4 * lane + 3]),
          "r"(b[2 * lane]), "r"(b[2 * lane + 1]));
    for (int i = 0; i < 4; ++i) c[4 * lane + i] = d[i];
}
"#;

fn mma() -> Unit {
    Unit { defines: vec![("BIAS".into(), "0.5f".into())], ..unit("multiply", MMA) }
}

#[test]
#[cfg_attr(
    not(nvrtc_here),
    ignore = "libnvrtc is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
)]
fn tensor_core_kernels_compile_for_every_gpu() {
    let version = Nvrtc::load().unwrap().version();
    assert!(version >= (12, 8), "libnvrtc {version:?} is too old for the newest GPUs");
    for (major, minor) in ARCHS {
        let compiler = Compiler::new(None, arch(major, minor));
        let cubins = compiler.compile_all(&[mma()]).unwrap();
        assert!(cubins[0].starts_with(b"\x7fELF"), "{}", compiler.arch);
    }
}

#[test]
#[cfg_attr(
    not(nvrtc_here),
    ignore = "libnvrtc is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
)]
fn compiled_kernels_are_cached_and_damaged_ones_recompiled() {
    let dir = tempfile::tempdir().unwrap();
    let units = [mma(), unit("empty", "extern \"C\" __global__ void empty() {}")];
    let compiler = Compiler::new(Some(dir.path().to_owned()), arch(8, 9));
    let cubins = compiler.compile_all(&units).unwrap();
    assert_eq!(without_nvrtc(dir.path()).compile_all(&units).unwrap(), cubins);

    let entry = || fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    fs::write(entry(), "damaged").unwrap();
    assert!(without_nvrtc(dir.path()).compile_all(&units).is_err());
    assert_eq!(compiler.compile_all(&units).unwrap(), cubins);
    assert_eq!(without_nvrtc(dir.path()).compile_all(&units).unwrap(), cubins);
}

#[test]
#[cfg_attr(
    not(nvrtc_here),
    ignore = "libnvrtc is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
)]
fn compile_error_names_the_kernel_and_the_line() {
    let compiler = Compiler::new(None, arch(8, 6));
    let source =
        "extern \"C\" __global__ void k(float *x) {\n    int unused;\n    *x = nothing;\n}";
    let error = compiler.compile_all(&[mma(), unit("wrong", source)]).unwrap_err();
    let message = error.to_string();
    assert_eq!(
        message,
        "cannot compile the kernel wrong for sm_86: \
         wrong(3): error: identifier \"nothing\" is undefined"
    );
    let CompileError::Failed { log, .. } = error else { panic!("{error:?}") };
    assert!(log.contains("*x = nothing;"), "{log}");

    let error = compiler.compile_all(&[unit("zero", "int a;\0")]).unwrap_err();
    assert!(error.to_string().contains("zero byte"), "{error}");
    let asm = "extern \"C\" __global__ void k() { asm(\"no.such.thing;\"); }";
    let error = compiler.compile_all(&[unit("asm", asm)]).unwrap_err();
    assert!(error.to_string().contains("Unknown modifier '.such'"), "{error}");
}

#[test]
#[cfg_attr(
    not(nvrtc_here),
    ignore = "libnvrtc is not installed: pip install nvidia-cuda-nvrtc==13.0.88"
)]
fn gpu_unknown_to_the_compiler_is_reported() {
    let error = Compiler::new(None, arch(3, 5)).compile_all(&[mma()]).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, CompileError::NoTarget { .. }), "{message}");
    assert!(message.contains("compute capability 3.5") && message.contains("sm_90"), "{message}");
}
