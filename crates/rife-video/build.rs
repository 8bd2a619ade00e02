//! Tells the tests whether ffmpeg is here, for those that need it to be ignored without: the test
//! harness can ignore a test at build time only.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(ffmpeg_here)");
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
