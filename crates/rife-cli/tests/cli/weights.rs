//! `rife weights`, and weights that are not the published ones.

use std::path::Path;

use predicates::prelude::*;
use rife_model::ModelVersion;
use rife_model::weights::Store;
use rife_testkit::write_random_weights;

use crate::support::{assert_refused, names, pair, rife, rife_in, weights};

#[test]
fn weights_with_a_wrong_hash_are_refused() {
    let folder = pair();
    let here = folder.path();
    rife().args(["weights", "fetch", "4.6"]).assert().success();
    rife().args(["weights", "list"]).assert().success().stdout(predicate::str::contains("4.25"));
    rife()
        .args(["weights", "verify"])
        .assert()
        .success()
        .stdout(predicate::str::contains("rife46.safetensors matches the published hash"));
    std::fs::create_dir(here.join("w")).unwrap();
    let path = here.join("w/rife46.safetensors");
    let mut bytes = std::fs::read(weights().join("rife46.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let run = ["interpolate", "a.png", "b.png", "-o", "m.png", "-m", "4.6", "--weights", "w"];
    let kept = ["a.png", "b.png", "w"];
    assert_refused(here, &run, &kept, "not the published file");
    let error = predicate::str::contains("the SHA-256 of its tensors");
    rife_in(here, &["weights", "verify", "--weights", "w"]).assert().failure().stderr(error);
    std::fs::write(&path, &bytes[..last]).unwrap();
    assert_refused(here, &run, &kept, "rife46.safetensors");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(here.join("w/rife46.pth"), b"not a checkpoint").unwrap();
    assert_refused(here, &run, &kept, "rife46.pth is not the published file");
}

#[test]
fn own_file_of_4_25_is_verified_and_reconverted_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let published = |version| {
        let line = &mut |line: &str| eprintln!("{line}");
        Store::at(weights()).fetch_checkpoint(version, line).unwrap_or_else(|e| panic!("{e}"))
    };
    std::fs::create_dir(here.join("w")).unwrap();
    let own = here.join("w/rife425.pth");
    let fetch = ["weights", "fetch", "4.25", "--weights", "w"];

    std::fs::copy(published(ModelVersion::V4_6), &own).unwrap();
    let assert = rife_in(here, &fetch).assert().failure();
    let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("not the weights of RIFE 4.25: the tensors match 4.6"), "{stderr}");
    assert_eq!(names(&here.join("w")), [".lock", "rife425.pth"]);

    std::fs::copy(published(ModelVersion::V4_26), &own).unwrap();
    let stand_in = predicate::str::contains("runs with the weights of 4.26");
    rife_in(here, &fetch).assert().success().stderr(stand_in);
    assert_eq!(names(&here.join("w")), [".lock", "rife425.pth", "rife425.safetensors"]);

    // After the file is replaced, the conversion of the old one must not be used.
    std::fs::copy(published(ModelVersion::V4_6), &own).unwrap();
    rife_in(here, &fetch).assert().failure();
    let converted = here.join("w/rife425.safetensors");
    std::fs::remove_file(&own).unwrap();
    std::fs::copy(weights().join("rife46.safetensors"), &converted).unwrap();
    let error = predicate::str::contains("missing");
    rife_in(here, &["weights", "verify", "--weights", "w"]).assert().failure().stderr(error);
}

/// Random weights of a version as a file in a folder.
fn random_file(folder: &Path, name: &str, version: ModelVersion) {
    write_random_weights(&folder.join(name), &version.spec().tensors(), 7);
}

#[test]
fn weights_file_under_any_name_runs_without_being_imported() {
    let folder = pair();
    let here = folder.path();
    random_file(here, "some_4.25_lite.pkl", ModelVersion::V4_25Lite);
    let run = |args: &str| {
        let all = format!("interpolate a.png b.png -o c.png --overwrite {args}");
        rife_in(here, &all.split_whitespace().collect::<Vec<_>>()).assert()
    };
    run("--weights some_4.25_lite.pkl").success().stderr(predicate::str::contains("note").not());
    assert_eq!(names(here), ["a.png", "b.png", "c.png", "some_4.25_lite.pkl"]);
    // The version is that of the file, and another one is refused in one line.
    let other = "some_4.25_lite.pkl contains the weights of RIFE 4.25.lite, not 4.26";
    let refused = |args: &str, expected: &str| {
        let assert = run(args).failure();
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(stderr.contains(expected) && errors == 1, "{stderr}");
    };
    refused("--weights some_4.25_lite.pkl -m 4.26", other);
    refused("--weights missing.safetensors", "missing.safetensors");
    random_file(here, "flownet.pkl", ModelVersion::V4_26);
    refused("--weights flownet.pkl", "could be RIFE 4.25 or 4.26");
    refused("--weights flownet.pkl", "hint: pass --model 4.25 or --model 4.26");
    run("--weights flownet.pkl --model 4.26").success();
    std::fs::write(here.join("text.safetensors"), "hello").unwrap();
    refused("--weights text.safetensors", "text.safetensors");
}

#[test]
fn imported_file_is_used_for_its_version() {
    let folder = pair();
    let here = folder.path();
    random_file(here, "v4.26_heavy.safetensors", ModelVersion::V4_26Heavy);
    random_file(here, "flownet.pkl", ModelVersion::V4_25);
    let weights = |args: &str| {
        let all = format!("weights {args} --weights w");
        rife_in(here, &all.split_whitespace().collect::<Vec<_>>()).assert()
    };
    let imported = predicate::str::contains("rife426_heavy.safetensors imported");
    weights("import v4.26_heavy.safetensors").success().stdout(imported);
    weights("import flownet.pkl").failure().stderr(predicate::str::contains("--as"));
    weights("import flownet.pkl --as 4.25").success();
    let listed = predicate::str::contains("rife425.safetensors")
        .and(predicate::str::contains("rife426_heavy.safetensors"))
        .and(predicate::str::contains("rife weights import FILE"));
    weights("list").success().stdout(listed);
    weights("verify").success();
    let run = |args: &str| {
        let all = format!("interpolate a.png b.png -o c.png --overwrite --weights w {args}");
        rife_in(here, &all.split_whitespace().collect::<Vec<_>>()).assert()
    };
    run("-m 4.26.heavy").success();
    // The default is 4.25, since the folder has no 4.26, and nothing is downloaded.
    run("").success().stderr(predicate::str::contains("fetching").not());
    random_file(here, "flownet.pkl", ModelVersion::V4_26);
    std::fs::copy(here.join("v4.26_heavy.safetensors"), here.join("w/rife425.safetensors"))
        .unwrap();
    run("").failure().stderr(predicate::str::contains("rife425.safetensors"));
}
