//! `rife --version`: the build and what it can run on.

use std::fmt::Write;

use rife_runtime::{Availability, Device, Engine, engines};

/// Version and commit, as in `0.1.0 (cc46e24)`.
pub fn version() -> String {
    let commit = option_env!("RIFE_COMMIT").map(|commit| format!(" ({commit})"));
    format!("{}{}", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default())
}

/// Version and commit for a plan.
pub(crate) fn program() -> rife_video::PlannedProgram {
    rife_video::PlannedProgram {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("RIFE_COMMIT").map(str::to_owned),
    }
}

/// Names of the enabled features.
pub(crate) fn features() -> &'static str {
    if cfg!(feature = "candle-cuda") { "candle-cuda" } else { "none" }
}

/// The optimized engine of a device: what it runs on, or why it cannot.
fn support(all: &[Availability], cpu: bool) -> String {
    let mut of_device = all.iter().filter(|available| {
        available.engine == Engine::Optimized && (available.device == Device::Cpu) == cpu
    });
    match of_device.next().map(|available| &available.state) {
        Some(Ok(details)) => details.clone(),
        Some(Err(reason)) => format!("unavailable: {reason}"),
        None => "unavailable".into(),
    }
}

/// The text of `rife --version`.
pub(crate) fn long_version() -> String {
    let all = engines();
    let mut out = format!("rife {}\n", version());
    // Writing to a string cannot fail.
    let _ = writeln!(out, "features: {}", features());
    let _ = writeln!(out, "cpu: {}, {}", std::env::consts::ARCH, support(&all, true));
    let _ = writeln!(out, "gpu: {}", support(&all, false));
    out
}
