//! `rife doctor`, completions and manual pages.

use std::fs;

use rife_model::ModelVersion;
use rife_model::weights::Store;
use serde_json::Value;

use crate::support::{rife, weights};

/// Runs `rife doctor --json` and returns whether it succeeded and its report.
fn doctor(arguments: &[&str]) -> (bool, Value) {
    let output = rife().arg("doctor").arg("--json").args(arguments).output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report =
        report.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), report)
}

/// The checks whose name starts with `name`.
fn checks<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = report["checks"].as_array().unwrap();
    all.iter().filter(|check| check["name"].as_str().unwrap().starts_with(name)).collect()
}

#[test]
fn doctor_tests_every_engine_and_precision_of_the_cpu() {
    Store::at(weights()).fetch(ModelVersion::V4_6, &mut |_| ()).unwrap();
    Store::at(weights()).fetch(ModelVersion::V4_26, &mut |_| ()).unwrap();
    let (succeeded, report) = doctor(&[]);
    assert!(succeeded, "{report:#}");
    assert_eq!(report["failed"], 0);
    for version in ["4.6", "4.26"] {
        for engine in ["optimized f32", "baseline f32", "baseline f16"] {
            let found = checks(&report, &format!("RIFE {version} {engine} on cpu"));
            assert_eq!(found.len(), 1, "{version} {engine}: {report:#}");
            assert!(found[0]["psnr_db"].as_f64().is_none_or(|psnr| psnr > 50.0), "{report:#}");
            assert!(found[0]["time_ms"].as_f64().unwrap() > 0.0);
        }
        let weights = checks(&report, &format!("weights of RIFE {version}"));
        assert!(!weights.is_empty() && weights.iter().all(|check| check["status"] == "ok"));
    }
}

#[test]
fn doctor_reports_damaged_weights_and_a_broken_ffmpeg_with_hints() {
    let folder = tempfile::tempdir().unwrap();
    let path = Store::at(weights()).fetch(ModelVersion::V4_6, &mut |_| ()).unwrap().path;
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(folder.path().join(path.file_name().unwrap()), bytes).unwrap();
    let ffmpeg = folder.path().join("ffmpeg");
    fs::write(&ffmpeg, "not a program").unwrap();
    let (folder, ffmpeg) = (folder.path().to_str().unwrap(), ffmpeg.to_str().unwrap());
    let (succeeded, report) = doctor(&["--weights", folder, "--ffmpeg", ffmpeg]);
    assert!(!succeeded);
    let programs = checks(&report, "ffmpeg");
    assert_eq!(programs[0]["status"], "failed", "{report:#}");
    let weights = checks(&report, "weights of RIFE 4.6");
    assert!(weights[0]["status"] == "failed" && weights[0]["hint"].is_string(), "{report:#}");
    // The text form has the same checks, and ends with the number of failures.
    let args = ["doctor", "--weights", folder, "--ffmpeg", ffmpeg];
    let output = rife().args(args).output().unwrap();
    let (text, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("FAILED  weights of RIFE 4.6") && text.contains("hint: "), "{text}");
    assert!(error.starts_with("error: ") && error.contains("failed"), "{error}");
}

#[cfg(unix)]
#[test]
fn doctor_reports_a_cache_that_others_can_write() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let kernels = folder.path().join("kernels");
    fs::create_dir(&kernels).unwrap();
    fs::set_permissions(&kernels, fs::Permissions::from_mode(0o777)).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let output = rife()
        .env("RIFE_CACHE_DIR", folder.path())
        .args(["doctor", "--weights", empty.path().to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("FAILED  cache") && text.contains("RIFE_CACHE_DIR"), "{text}");
    assert!(text.contains("skipped: the weights are missing"), "{text}");
}

#[test]
fn doctor_fails_if_a_cache_folder_cannot_be_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for cache in [file.clone(), folder.path().join("x".repeat(300))] {
        let mut command = rife();
        command.env("RIFE_CACHE_DIR", &cache).args(["doctor", "--weights"]).arg(folder.path());
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && text.contains("FAILED  cache"), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn doctor_refuses_a_program_that_is_not_ffmpeg_and_escapes_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("w\x1b[31m\nname");
    fs::create_dir(&weights).unwrap();
    fs::write(weights.join("rife46.safetensors"), "").unwrap();
    let output = rife()
        .args(["doctor", "--ffmpeg", "/bin/true", "--weights"])
        .arg(&weights)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("FAILED  ffmpeg") && text.contains("is not ffmpeg"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    let known = ["ok ", "absent ", "FAILED ", "        hint: "];
    assert!(text.lines().all(|line| known.iter().any(|start| line.starts_with(start))), "{text}");
}

#[test]
fn completions_of_every_shell_name_the_subcommands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = rife().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("interpolate"), "{shell}: {script}");
    }
}

#[test]
fn manual_has_a_page_for_each_subcommand() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    rife().arg("man").arg(&pages).assert().success();
    for page in ["rife.1", "rife-interpolate.1", "rife-weights-fetch.1", "rife-doctor.1"] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".TH rife"), "{page}: {text}");
    }
}

#[test]
fn version_names_the_build_and_what_it_can_run_on() {
    for flag in ["--version", "-V"] {
        let output = rife().arg(flag).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let first = concat!("rife ", env!("CARGO_PKG_VERSION"));
        assert!(output.status.success() && text.starts_with(first), "{text}");
        for line in ["features: ", "cpu: ", "gpu: "] {
            assert!(text.lines().any(|l| l.starts_with(line) && l.len() > line.len()), "{text}");
        }
    }
}
