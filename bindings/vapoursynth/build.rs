//! Links the plugin so that it is never unloaded.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // VapourSynth unloads plugins when it destroys a core, which mpv does at every seek. The
    // threads of the CPU engine are still running then, and loaded models are kept for the next
    // core.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
