//! Tells the tests whether ffmpeg and the test clips are available, for those that need them to be
//! ignored without: the test harness can ignore a test at build time only.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_here)");
    println!("cargo::rustc-check-cfg=cfg(clips_here)");
    println!("cargo:rerun-if-env-changed=RIFE_CLIPS");
    let clips = env::var_os("RIFE_CLIPS").map(std::path::PathBuf::from);
    if clips.is_some_and(|folder| folder.join("bikes.mp4").is_file()) {
        println!("cargo:rustc-cfg=clips_here");
    }
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
}
