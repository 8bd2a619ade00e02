//! Comparing and reporting records.

use predicates::prelude::*;
use serde_json::Value;

use crate::{bench, read_json, weights};

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
    let mut record = read_json(folder.path(), "before.json");
    // Constant times: those measured depend on what else runs on the machine.
    set_frame_times(&mut record, 5.0);
    let text = record.to_string();
    let write = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut changed = record.clone();
        change(&mut changed);
        std::fs::write(path(name), changed.to_string()).expect("a record");
    };
    write("before.json", &|_| ());
    write("slow.json", &|record| set_frame_times(record, 500.0));
    write("elsewhere.json", &|record| record["machine"]["cpu"] = "another".into());
    write("blind.json", &|record| record["measurements"][0]["memory"] = Value::Null);
    let clip = serde_json::json!({ "video": { "name": "another.mp4" } });
    write("scene.json", &|record| record["settings"]["clip"] = clip.clone());
    write("threads.json", &|record| {
        record["measurements"][0]["subject"]["threads"] = 77.into();
    });
    write("empty.json", &|record| record["measurements"] = Value::Array(Vec::new()));
    std::fs::write(path("nothing.json"), "{}").expect("a file");

    let compare = |words: &[&str]| bench(folder.path()).arg("compare").args(words).assert();
    let check = |after: &str| compare(&["before.json", after, "--fail-on-regression"]);
    check("before.json").success().stdout(predicate::str::contains("0 figure(s) changed"));
    compare(&["before.json", "slow.json"]).success().stdout(predicate::str::contains("slower"));
    check("slow.json").code(1);
    check("nothing.json").code(2);
    // Missing figures and other machines must not pass.
    check("elsewhere.json").code(2);
    check("blind.json").code(1).stdout(predicate::str::contains("missing: "));
    check("scene.json").code(2).stderr(predicate::str::contains("not comparable: clip"));
    check("threads.json").code(2).stderr(predicate::str::contains("threads: "));
    check("empty.json").code(2);

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

/// Sets the time of every frame of the first measurement, in ms.
fn set_frame_times(record: &mut Value, ms: f64) {
    for run in record["measurements"][0]["runs"].as_array_mut().expect("runs") {
        run["frame_ms"].as_array_mut().expect("samples").fill(ms.into());
    }
}
