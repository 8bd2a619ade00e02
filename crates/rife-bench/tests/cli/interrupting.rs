//! Interrupting the benchmark.

use std::path::Path;

use crate::{read_json, weights};

#[test]
fn interrupted_run_records_its_results() {
    // An interrupt before the first frame leaves nothing to record: then the run gets more time.
    let frames =
        [2.0, 10.0, 40.0].into_iter().map(frames_recorded_after).find(|frames| *frames > 0);
    assert!(frames.is_some_and(|frames| frames < 1_000_000), "{frames:?}");
}

/// CPU time that a process has used, in seconds: its progress, however busy the machine is.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    let Ok(stat) = stat else { return f64::INFINITY };
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    // utime and stime are the 14th and 15th field, in hundredths of a second.
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

/// Recorded frames of a run that would take hours and is interrupted after this much CPU time.
fn frames_recorded_after(cpu_s: f64) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rife-bench"));
    let mut run = rife_testkit::process::with_default_interrupt(&mut command)
        .current_dir(folder.path())
        .args(["--device", "cpu", "--model", "4.6", "--engine", "optimized", "--precision", "f32"])
        .args(["--size", "64x64", "--frames", "1000000", "--repeats", "1", "--warmup", "0"])
        .args(["--threads", "1", "--output", "record.json", "--quiet"])
        .env("RIFE_WEIGHTS", weights())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("a run");
    // Without /proc, elapsed time has to do.
    let begun = std::time::Instant::now();
    let proc = Path::new("/proc/self/stat").exists();
    let done = |process| if proc { cpu_seconds(process) } else { begun.elapsed().as_secs_f64() };
    while done(run.id()) < cpu_s {
        assert!(run.try_wait().expect("a state").is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = run.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill").success()
    );
    assert_eq!(run.wait().expect("an end").code(), Some(130));
    let record = read_json(folder.path(), "record.json");
    assert_eq!(record["settings"]["stopped"], true);
    record["measurements"][0]["runs"][0]["frame_ms"].as_array().map_or(0, Vec::len)
}
