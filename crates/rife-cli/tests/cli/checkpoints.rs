//! `rife convert`.

use predicates::prelude::*;
use rife_model::ModelVersion;
use rife_model::weights::Store;

use crate::support::{assert_refused, rife_in, weights};

#[test]
fn checkpoint_is_converted_and_an_invalid_one_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (pth, converted) = (here.join("net.pth"), here.join("net.safetensors"));
    let published = Store::at(weights())
        .fetch_checkpoint(ModelVersion::V4_6, &mut |line| eprintln!("{line}"))
        .unwrap_or_else(|e| panic!("{e}"));
    std::fs::copy(published, &pth).unwrap();
    let summary = predicate::str::contains("120 tensors").and(predicate::str::contains("RIFE 4.6"));
    rife_in(here, &["convert", "net.pth"]).assert().success().stdout(summary);
    let first = std::fs::read(&converted).unwrap();
    assert_refused(here, &["convert", "net.pth"], &["net.pth", "net.safetensors"], "exists");
    rife_in(here, &["convert", "net.pth", "--overwrite"]).assert().success();
    assert!(std::fs::read(&converted).unwrap() == first, "the same input gave different bytes");
    std::fs::remove_file(&converted).unwrap();

    let whole = std::fs::read(&pth).unwrap();
    std::fs::remove_file(&pth).unwrap();
    std::fs::write(here.join("cut.pth"), &whole[..whole.len() - 1000]).unwrap();
    assert_refused(here, &["convert", "cut.pth"], &["cut.pth"], "cut.pth");
    assert_refused(here, &["convert", "none.pth"], &["cut.pth"], "none.pth");
    assert_refused(here, &["convert", "cut.pth", "-o", "cut.pth"], &["cut.pth"], "cut.pth");
}
