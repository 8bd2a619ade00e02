//! Ctrl-C and termination.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{names, pair, rife, weights};

#[test]
fn interrupted_run_leaves_no_files() {
    let folder = pair();
    let here = folder.path();
    rife().args(["weights", "fetch", "4.6"]).assert().success();
    // Repeated, because the signal races with the work.
    for signal in ["-INT", "-TERM"].repeat(5) {
        let mut run = Command::new(env!("CARGO_BIN_EXE_rife"))
            .current_dir(here)
            .env("RIFE_WEIGHTS", weights())
            .env_remove("RIFE_LOG")
            .args(["interpolate", "a.png", "b.png", "-m", "4.6", "-f", "10000", "-o", "x/y"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The first image shows that the run is interpolating.
        let start = Instant::now();
        while !here.join("x/y/.rife-job/0.picture").exists() {
            assert!(start.elapsed() < Duration::from_secs(600), "no image was written");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = run.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(130));
        assert_eq!(names(here), ["a.png", "b.png"], "{signal}");
    }
}
