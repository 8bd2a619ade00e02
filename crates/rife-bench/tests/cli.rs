//! The program from outside.

use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;

fn bench(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("rife-bench"));
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

#[test]
fn help_names_every_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = bench(folder.path()).arg("--help").assert().success().get_output().stdout.clone();
    let help = String::from_utf8(help).expect("text");
    for flag in [
        "--all",
        "--model",
        "--engine",
        "--precision",
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
    ] {
        assert!(help.contains(flag), "{flag}");
    }
}

#[test]
fn the_impossible_is_one_line_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [
        &["--nonsense"][..],
        &["--model", "4.7"],
        &["--engine", "fast"],
        &["--precision", "f64"],
        &["--frames", "0"],
        &["--frames", "-3"],
        &["--frames", "many"],
        &["--repeats", "0"],
        &["--size", "1x1"],
        &["--size", "1000000000x1000000000"],
        &["--size", "99999999999999999999x2"],
        &["--device", "tpu"],
        &["--device", "cuda:4000"],
        &["--input", "no-such-picture.png"],
        &["--input", "."],
        &["--input", ".", "--size", "64x64"],
        &["--output", "no/such/folder/record.json"],
        &["--weights", "no-such-folder", "--frames", "1", "--size", "64x64"],
    ] {
        bench(folder.path())
            .args(arguments)
            .assert()
            .failure()
            .stdout("")
            .stderr(predicate::str::is_match("^error: [^\n]+\n$").expect("a pattern"));
        let left = std::fs::read_dir(folder.path()).expect("the folder").count();
        assert_eq!(left, 0, "{arguments:?} left something behind");
    }
}
