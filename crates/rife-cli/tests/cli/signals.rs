//! Ctrl-C and termination.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rife_testkit::process::with_default_interrupt;

use crate::support::{names, pair, rife, weights};

#[test]
fn interrupted_run_leaves_no_files() {
    let folder = pair();
    let here = folder.path();
    rife().args(["weights", "fetch", "4.6"]).assert().success();
    // Repeated, because the signal races with the work.
    for signal in ["-INT", "-TERM"].repeat(5) {
        let mut run = with_default_interrupt(&mut Command::new(env!("CARGO_BIN_EXE_rife")))
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

#[test]
fn signal_that_the_parent_ignores_does_not_end_the_run() {
    let folder = pair();
    let here = folder.path();
    rife().args(["weights", "fetch", "4.6"]).assert().success();
    for signal in ["HUP", "INT"] {
        // As nohup does, and a shell for background jobs.
        let mut run = Command::new("sh")
            .current_dir(here)
            .env("RIFE_WEIGHTS", weights())
            .args(["-c", &format!("trap '' {signal}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_rife"))
            .args(["interpolate", "a.png", "b.png", "-m", "4.6", "-f", "40", "-o", signal])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !here.join(signal).join(".rife-job/0.picture").exists() {
            assert!(start.elapsed() < Duration::from_secs(600), "no image was written");
            assert!(run.try_wait().unwrap().is_none(), "the run ended before the signal");
            std::thread::sleep(Duration::from_millis(2));
        }
        let kill =
            Command::new("kill").args([&format!("-{signal}"), &run.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(names(&here.join(signal)).len(), 39);
    }
}
