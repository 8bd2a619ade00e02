//! `rife info`, --help and --version.

use predicates::prelude::*;

use crate::support::rife;

#[test]
fn info_help_and_version_succeed() {
    let engines =
        predicate::str::is_match(r"optimized on cpu +f32(, bf16)? +\w+, \d+ threads?\n").unwrap();
    let engines = engines.and(predicate::str::contains("baseline on cpu"));
    rife().arg("info").assert().success().stdout(engines);
    rife().arg("--help").assert().success().stdout(predicate::str::contains("interpolate"));
    rife().arg("--version").assert().success();
}
