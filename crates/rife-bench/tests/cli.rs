//! The program as a user runs it.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;

fn bench(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("rife-bench"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

#[test]
fn help_lists_every_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = bench(folder.path()).arg("--help").assert().success().get_output().stdout.clone();
    let help = String::from_utf8(help).expect("text");
    for flag in [
        "--all",
        "--model",
        "--engine",
        "--precision",
        "--without",
        "--device",
        "--size",
        "--frames",
        "--repeats",
        "--input",
        "--weights",
        "--output",
        "--quiet",
        "--warmup",
        "--budget",
        "--mode",
        "--ablate",
        "--reference",
        "--threads",
        "--profile",
        "--quality",
        "--scaling",
        "--peers",
        "--peers-script",
        "--pictures",
        "--factor",
        "kernels",
        "report",
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn invalid_arguments_fail_on_one_line_and_create_no_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["--nonsense"][..],
        &["--model", "4.7"],
        &["--engine", "fast"],
        &["--precision", "f64"],
        &["--precision", "tf32", "--device", "cpu"],
        &["--without", "haste"],
        &["--without", "winograd", "--device", "cpu", "--engine", "baseline"],
        &["--frames", "0"],
        &["--frames", "-3"],
        &["--frames", "many"],
        &["--repeats", "0"],
        &["--threads", "0"],
        &["--threads", "1025"],
        &["--threads", "many"],
        &["--threads", "-1"],
        &["kernels", "--threads", "0"],
        &["--size", "1x1"],
        &["--size", "1000000000x1000000000"],
        &["--size", "99999999999999999999x2"],
        &["--size", "64x64,big"],
        &["--mode", "haste"],
        &["--mode", "device", "--device", "cpu", "--engine", "baseline"],
        &["--ablate", "--device", "cpu", "--engine", "baseline"],
        &["--ablate", "--device", "cpu", "--mode", "latency"],
        &["kernels", "--device", "cpu", "--precision", "f16", "--json", "kernels.json"],
        &["kernels", "--nonsense"],
        &["--all", "kernels"],
        &["--device", "tpu"],
        &["--device", "cuda:4000"],
        &["--input", "no-such-picture.png"],
        &["--input", "."],
        &["--input", ".", "--size", "64x64"],
        &["--factor", "1"],
        &["--quality", "no-such-clip.mp4"],
        &["--quality", "."],
        &["--python", "python3"],
        &["--output", "no/such/folder/record.json"],
        &["--output", "/dev/null"],
        &["--output", "/dev/null", "--overwrite"],
    ] {
        bench(folder.path())
            .args(arguments)
            .assert()
            .failure()
            .stdout("")
            .stderr(predicate::str::is_match("^error: [^\n]+\n$").expect("a pattern"));
        let left = std::fs::read_dir(folder.path()).expect("the folder").count();
        assert_eq!(left, 0, "{arguments:?} created files");
    }
}

#[test]
fn every_configuration_of_the_real_engines_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let record = folder.path().join("record.json");
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
    let text = std::fs::read_to_string(record).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
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
    let read = |name: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("a record");
        serde_json::from_str(&text).expect("JSON")
    };
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
    let record = read("ablation.json");
    let off: Vec<_> = record["ablations"][0]["without"]
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
    expected.sort();
    let mut off = off;
    off.sort();
    assert_eq!(off, expected);

    quick(&["kernels", "--runs", "2", "--json", "kernels.json"])
        .assert()
        .success()
        .stdout(predicate::str::contains("GFLOP/s").and(predicate::str::contains("block0.res")));
    let frame = &read("kernels.json")["frames"][0];
    assert_eq!(frame["subject"]["threads"], 2);
    assert_eq!(frame["whole_ms"]["samples"], 2);
    for ceiling in ["flops", "bytes"] {
        assert!(frame["ceilings"][ceiling].as_f64().expect(ceiling) > 1e7, "{frame}");
    }
}

/// Absolute, as the program runs in another folder.
fn weights() -> std::path::PathBuf {
    let store = rife_model::weights::Store::locate(None).expect("a folder for weights");
    std::path::absolute(store.dir()).expect("an absolute path")
}

/// Replaces Python with a script whose output depends on the peer.
#[cfg(unix)]
#[test]
fn absent_and_failing_peers_are_recorded_next_to_working_ones() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let python = folder.path().join("python");
    let script = r#"#!/bin/sh
case "$2" in
    --list) printf 'missing f32\nbroken f32\nbabbling f32\nmute f32\nfine f32\n' ;;
    missing*) echo '{"absent": "no module named nothing"}' ;;
    broken*) echo trace >&2; echo 'it broke' >&2; exit 1 ;;
    babbling*) echo 'good morning' ;;
    mute*) echo '{"version": "1", "frame_ms": [1.0], "setup_ms": 2.0}' ;;
    fine*)
        into=$(printf %s "$3" | sed 's/.*"folder":"\([^"]*\)".*/\1/')
        head -c $((4 * 3 * 64 * 32)) /dev/zero > "$into/frame.f32"
        echo 'a note on the way'
        echo '{"version": "2.0", "frame_ms": [4.0, 5.0], "setup_ms": 7.0, "peak_rss_mib": 9.5}' ;;
esac
"#;
    std::fs::write(&python, script).expect("a script");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("permission");
    bench(folder.path())
        .args(["--peers", "--python", "./python", "--device", "cpu", "--model", "4.6"])
        .args(["--precision", "f32", "--size", "64x32", "--frames", "2", "--repeats", "2"])
        .args(["--engine", "optimized", "--warmup", "0", "--output", "record.json"])
        .env("RIFE_WEIGHTS", weights())
        .assert()
        .code(1)
        .stdout(predicate::str::contains("Absent: missing f32, 4.6: no module named nothing"))
        .stdout(predicate::str::contains("Failed: broken f32, 4.6: it broke"));
    let text = std::fs::read_to_string(folder.path().join("record.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let peer = |name: &str| {
        let peers = record["peers"].as_array().expect("peers");
        peers.iter().find(|peer| peer["name"] == name).expect(name)
    };
    assert!(peer("babbling f32")["error"].as_str().expect("an error").contains("cannot parse"));
    assert!(peer("mute f32")["error"].as_str().expect("an error").contains("no frame"));
    let fine = peer("fine f32");
    assert_eq!(fine["round_frame_ms"], serde_json::json!([[4.0, 5.0], [4.0, 5.0]]));
    assert_eq!((&fine["fps"], &fine["ours"]), (&(1000.0 / 4.5).into(), &false.into()));
    // A black frame differs from the scene.
    assert!(fine["fidelity"]["psnr_db"].as_f64().expect("dB") < 20.0);
    let ours = peer("rife-bench optimized f32");
    assert!(ours["ours"] == true && ours["fps"].as_f64().expect("fps") > 0.0, "{ours}");
    assert!(ours["fidelity"]["psnr_db"].as_f64().expect("dB") > 90.0);

    bench(folder.path())
        .args(["--peers=nobody", "--python", "./python", "--device", "cpu"])
        .assert()
        .failure()
        .stderr(predicate::str::contains("missing f32, broken f32"));
    bench(folder.path())
        .args(["--peers", "--python", "./no-such-python", "--device", "cpu"])
        .assert()
        .failure()
        .stderr(predicate::str::is_match("^error: --peers[^\n]+\n$").expect("a pattern"));
}

/// A working folder and its parents may contain files of anyone.
#[cfg(unix)]
#[test]
fn peers_script_of_the_working_folder_is_never_run() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("a/b");
    std::fs::create_dir_all(&here).expect("folders");
    for planted in [folder.path(), here.as_path()] {
        std::fs::create_dir(planted.join("tools")).expect("a folder");
        std::fs::write(planted.join("tools/peers.py"), "").expect("a script");
    }
    // In place of Python: it tells which script it was given.
    let python = folder.path().join("python");
    std::fs::write(&python, "#!/bin/sh\necho \"script $1\"\n").expect("a script");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("permission");
    let script_of = |given: &[&str]| {
        let output = bench(&here)
            .args(["--peers=nobody", "--python", "../../python", "--device", "cpu"])
            .args(given)
            .env("RIFE_WEIGHTS", weights())
            .assert()
            .failure()
            .get_output()
            .stderr
            .clone();
        let said = String::from_utf8(output).expect("text");
        let (_, script) = said.trim().split_once("script ").expect(&said);
        Path::new(script).canonicalize().expect(script)
    };
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/peers.py");
    assert_eq!(script_of(&[]), checkout.canonicalize().expect("a checkout"));
    let planted = here.join("tools/peers.py").canonicalize().expect("a script");
    assert_eq!(script_of(&["--peers-script", "tools/peers.py"]), planted);

    for wrong in
        [&["--peers-script", "tools/peers.py"][..], &["--peers", "--peers-script", "no.py"]]
    {
        let line = predicate::str::is_match("^error: --peers-script[^\n]+\n$").expect("a pattern");
        bench(&here).args(wrong).args(["--device", "cpu"]).assert().failure().stderr(line);
    }
}

#[test]
fn records_are_compared_and_regressions_fail_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    bench(folder.path())
        .args(["--device", "cpu", "--model", "4.6", "--engine", "optimized", "--precision", "f32"])
        .args(["--size", "64x64", "--frames", "2", "--repeats", "2", "--warmup", "0"])
        .args(["--reference", "optimized-f32", "--output", "before.json"])
        .env("RIFE_WEIGHTS", weights())
        .assert()
        .success();
    let path = |name: &str| folder.path().join(name);
    let text = std::fs::read_to_string(path("before.json")).expect("a record");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    // Times of a machine on which nothing else runs, whatever runs on this one.
    let mut frames_take = |milliseconds: f64| {
        for run in record["measurements"][0]["runs"].as_array_mut().expect("runs") {
            run["frame_ms"].as_array_mut().expect("samples").fill(milliseconds.into());
        }
        record.to_string()
    };
    let text = frames_take(5.0);
    std::fs::write(path("before.json"), &text).expect("a record");
    std::fs::write(path("slow.json"), frames_take(500.0)).expect("a record");
    std::fs::write(path("nothing.json"), "{}").expect("a file");

    let compare = |words: &[&str]| bench(folder.path()).arg("compare").args(words).assert();
    compare(&["before.json", "before.json", "--fail-on-regression"])
        .success()
        .stdout(predicate::str::contains("0 figure(s) changed"));
    compare(&["before.json", "slow.json"]).success().stdout(predicate::str::contains("slower"));
    compare(&["before.json", "slow.json", "--fail-on-regression"]).code(1);
    compare(&["before.json", "nothing.json", "--fail-on-regression"]).code(2);
    // Missing figures and other machines must not pass.
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["machine"]["cpu"] = "another".into();
    std::fs::write(path("elsewhere.json"), record.to_string()).expect("a record");
    compare(&["before.json", "elsewhere.json", "--fail-on-regression"]).code(2);
    record["machine"]["cpu"] =
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")["machine"]["cpu"].clone();
    record["measurements"][0]["memory"] = serde_json::Value::Null;
    std::fs::write(path("blind.json"), record.to_string()).expect("a record");
    compare(&["before.json", "blind.json", "--fail-on-regression"])
        .code(1)
        .stdout(predicate::str::contains("missing: "));
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["settings"]["clip"] = serde_json::json!({ "video": { "name": "another.mp4" } });
    std::fs::write(path("scene.json"), record.to_string()).expect("a record");
    compare(&["before.json", "scene.json", "--fail-on-regression"])
        .code(2)
        .stderr(predicate::str::contains("not comparable: clip"));
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["measurements"][0]["subject"]["threads"] = 77.into();
    std::fs::write(path("threads.json"), record.to_string()).expect("a record");
    compare(&["before.json", "threads.json", "--fail-on-regression"])
        .code(2)
        .stderr(predicate::str::contains("threads: "));
    record["measurements"] = serde_json::Value::Array(Vec::new());
    std::fs::write(path("empty.json"), record.to_string()).expect("a record");
    compare(&["before.json", "empty.json", "--fail-on-regression"]).code(2);

    let report = |words: &[&str]| bench(folder.path()).arg("report").args(words).assert();
    report(&["before.json", "--html", "before.json"]).failure();
    report(&["before.json", "--html", "slow.json"]).failure();
    report(&["before.json", "--check"]).failure();
    std::fs::write(path("no-tables.md"), "# Text\n").expect("a text");
    report(&["before.json", "--readme", "no-tables.md", "--check"]).failure();
    assert_eq!(std::fs::read_to_string(path("before.json")).expect("a record"), text);
    report(&["before.json", "--html", "page.html"]).success();
    report(&["before.json", "--html", "page.html"]).success();
    compare(&["slow.json", "before.json", "--fail-on-regression"])
        .success()
        .stdout(predicate::str::contains("faster"));
    for wrong in
        [&["before.json", "nothing.json"][..], &["before.json", "none.json"], &["one.json"]]
    {
        let pattern = predicate::str::is_match("^error: [^\n]+\n$").expect("a pattern");
        compare(wrong).failure().stderr(pattern);
    }
}

#[cfg(unix)]
#[test]
fn interrupted_run_records_its_results() {
    // An interrupt before the first frame leaves nothing to record: then the run gets more time.
    let frames =
        [2.0, 10.0, 40.0].into_iter().map(frames_recorded_after).find(|frames| *frames > 0);
    assert!(frames.is_some_and(|frames| frames < 1_000_000), "{frames:?}");
}

/// CPU time that a process has used, in seconds: its progress, however busy the machine is.
#[cfg(unix)]
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    let Ok(stat) = stat else { return f64::INFINITY };
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    // utime and stime are the 14th and 15th field, in hundredths of a second.
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}

/// Recorded frames of a run that would take hours and is interrupted after this much CPU time.
#[cfg(unix)]
fn frames_recorded_after(cpu_s: f64) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_rife-bench"))
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
    let text = std::fs::read_to_string(folder.path().join("record.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(record["settings"]["stopped"], true);
    record["measurements"][0]["runs"][0]["frame_ms"].as_array().map_or(0, Vec::len)
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
    let text = std::fs::read_to_string(here.join("video.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let job = &record["jobs"][0];
    assert_eq!((&job["frames"], &job["frame_bytes"]), (&20.into(), &4608.into()));
    for figure in ["job_fps", "engine_fps", "pipe_fps", "pass_through_fps", "share"] {
        assert!(job[figure].as_f64().is_some_and(|fps| fps > 0.0), "{figure}");
    }
    run().assert().failure().stderr(predicate::str::contains("exists"));
    bench(here).args(["video", "--frames", "1"]).assert().failure();
}
