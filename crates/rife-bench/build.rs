//! Passes build information to the program: compiler, flags, commit and the version of candle.
//! Detects a browser, so that the test that needs one is ignored without it.

use std::process::Command;
use std::{env, fs};

// The test harness can ignore a test only at build time.
#[path = "tests/support/browser.rs"]
mod browser;
#[path = "src/record/checkout.rs"]
mod checkout;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");

    println!("cargo:rerun-if-changed=src/record/checkout.rs");
    println!("cargo:rerun-if-changed=tests/support/browser.rs");
    println!("cargo:rerun-if-env-changed={}", browser::ENV);
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(browser_here)");
    if let Some(browser) = browser::find() {
        println!("cargo:rustc-cfg=browser_here");
        println!("cargo:rerun-if-changed={}", browser.display());
    }

    // A commit changes one of these files, and with it the recorded commit. Linked worktrees keep
    // them elsewhere.
    for state in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = checkout::git(&["rev-parse", "--git-path", state])
            && fs::exists(&path).unwrap_or(false)
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let (commit, dirty) = checkout::state().unwrap_or_default();
    set("RIFE_BENCH_COMMIT", &commit);
    set("RIFE_BENCH_DIRTY", &dirty.to_string());

    let rustc = env::var("RUSTC")
        .ok()
        .and_then(|rustc| Command::new(rustc).arg("--version").output().ok())
        .and_then(|out| String::from_utf8(out.stdout).ok());
    let candle = fs::read_to_string("../../Cargo.lock").ok().and_then(|lock| {
        let (_, entry) = lock.split_once("name = \"candle-core\"\nversion = \"")?;
        Some(entry.split_once('"')?.0.to_owned())
    });
    let rustflags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().replace('\x1f', " ");

    set("RIFE_BENCH_RUSTC", rustc.as_deref().unwrap_or("unknown").trim());
    set("RIFE_BENCH_CANDLE", candle.as_deref().unwrap_or("unknown"));
    set("RIFE_BENCH_TARGET", &env::var("TARGET").unwrap_or_default());
    set("RIFE_BENCH_RUSTFLAGS", &rustflags);
}

fn set(key: &str, value: &str) {
    println!("cargo:rustc-env={key}={value}");
}
