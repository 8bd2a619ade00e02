//! `rife weights`, and weights that are not the published ones.

use predicates::prelude::*;
use rife_model::ModelVersion;
use rife_model::weights::Store;

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
