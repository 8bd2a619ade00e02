//! Measurements of the real engines.

use predicates::prelude::*;

use crate::{bench, read_json, weights};

#[test]
fn every_configuration_of_the_real_engines_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    bench(folder.path())
        .args(["--all", "--device", "cpu", "--size", "64x64", "--frames", "2", "--repeats", "1"])
        .args(["--warmup", "0", "--threads", "1", "--output", "record.json"])
        .env("RIFE_CPU", "avx2")
        .env("RIFE_TUNE", "30")
        // The working directory is outside the checkout.
        .env("RIFE_WEIGHTS", weights())
        .assert()
        .success()
        .stdout(predicate::str::contains("baseline").and(predicate::str::contains("4.25")));
    let record = read_json(folder.path(), "record.json");
    let measured = record["measurements"].as_array().expect("measurements");
    let cores = record["machine"]["cores"].as_f64().expect("cores");
    let names: Vec<_> = measured
        .iter()
        .map(|m| ["model", "engine", "precision"].map(|k| m["case"][k].as_str().expect(k)))
        .collect();
    let environment = &record["machine"]["environment"];
    assert_eq!([&environment["RIFE_CPU"], &environment["RIFE_TUNE"]], ["avx2", "30"]);
    for model in ["4.6", "4.25"] {
        for precision in ["f32", "f16"] {
            assert!(names.contains(&[model, "baseline", precision]), "{names:?}");
        }
    }
    for m in measured {
        assert_eq!(m["error"], serde_json::Value::Null);
        assert_eq!(m["subject"]["threads"], 1);
        let busy = m["runs"][0]["cpu_percent"].as_f64().expect("a share") / 100.0 * cores;
        assert!(busy < 1.2, "one thread used {busy} cores: {m}");
        let reference = m["case"]["engine"] == "baseline" && m["case"]["precision"] == "f32";
        assert_eq!(m["fidelity"].is_null(), reference, "{m}");
        assert_eq!(m["runs"][0]["frame_ms"].as_array().expect("samples").len(), 2);
        let sha256 = m["subject"]["weights_sha256"].as_str().expect("a hash");
        assert_eq!(sha256.len(), 64);
        if m["case"]["model"] == "4.25" && m["subject"]["weights"] == "4.26" {
            assert!(m["subject"]["note"].as_str().expect("a note").contains("4.26"));
        }
    }
}

#[test]
fn cpu_engine_is_ablated_and_profiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let quick = |words: &[&str]| {
        let mut command = bench(folder.path());
        command.args(words).env("RIFE_WEIGHTS", weights());
        command.args(["--device", "cpu", "--size", "64x64", "--model", "4.25", "--threads", "2"]);
        command
    };
    quick(&["--ablate", "--reference", "optimized-f32", "--frames", "2", "--repeats", "1"])
        .args(["--warmup", "0", "--engine", "optimized", "--output", "ablation.json"])
        .assert()
        .success()
        .stdout(predicate::str::contains("without").and(predicate::str::contains("winograd")));
    let record = read_json(folder.path(), "ablation.json");
    let mut off: Vec<_> = record["ablations"][0]["without"]
        .as_array()
        .expect("variants")
        .iter()
        .map(|variant| {
            assert!(!variant["device"].is_null() && !variant["end_to_end"].is_null(), "{variant}");
            variant["off"].as_str().expect("a name")
        })
        .collect();
    let mut expected = [
        "winograd",
        "cached-frames",
        "cached-features",
        "fused-kernels",
        "preallocated-buffers",
        "reused-buffers",
    ];
    expected.sort_unstable();
    off.sort_unstable();
    assert_eq!(off, expected);

    quick(&["kernels", "--runs", "2", "--json", "kernels.json"])
        .assert()
        .success()
        .stdout(predicate::str::contains("GFLOP/s").and(predicate::str::contains("block0.res")));
    let frame = &read_json(folder.path(), "kernels.json")["frames"][0];
    assert_eq!(frame["subject"]["threads"], 2);
    assert_eq!(frame["whole_ms"]["samples"], 2);
    for ceiling in ["flops", "bytes"] {
        assert!(frame["ceilings"][ceiling].as_f64().expect(ceiling) > 1e7, "{frame}");
    }
}

#[test]
fn video_jobs_are_measured_stage_by_stage() {
    let folder = tempfile::tempdir().expect("folder");
    let here = folder.path();
    let args = ["video", "--model", "4.6", "--device", "cpu", "--size", "64x48", "--frames", "20"];
    let run = || {
        let mut command = bench(here);
        command.env("RIFE_WEIGHTS", weights()).args(args).args(["--json", "video.json"]);
        command
    };
    run().assert().success().stdout(
        predicate::str::contains("interpolated frames per second")
            .and(predicate::str::contains("network")),
    );
    let record = read_json(here, "video.json");
    let job = &record["jobs"][0];
    assert_eq!((&job["frames"], &job["frame_bytes"]), (&20.into(), &4608.into()));
    for figure in ["job_fps", "engine_fps", "pipe_fps", "pass_through_fps", "share"] {
        assert!(job[figure].as_f64().is_some_and(|fps| fps > 0.0), "{figure}");
    }
    run().assert().failure().stderr(predicate::str::contains("exists"));
    bench(here).args(["video", "--frames", "1"]).assert().failure();
}
