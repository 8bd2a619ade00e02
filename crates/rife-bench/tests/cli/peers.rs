//! Other implementations.

use std::path::Path;

use predicates::prelude::*;

use rife_testkit::program::write_script;

use crate::{bench, read_json, weights};

/// Replaces Python with a script whose output depends on the peer.
#[test]
fn absent_and_failing_peers_are_recorded_next_to_working_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
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
    write_script(&folder.path().join("python"), script);
    bench(folder.path())
        .args(["--peers", "--python", "./python", "--device", "cpu", "--model", "4.6"])
        .args(["--precision", "f32", "--size", "64x32", "--frames", "2", "--repeats", "2"])
        .args(["--engine", "optimized", "--warmup", "0", "--output", "record.json"])
        .env("RIFE_WEIGHTS", weights())
        .assert()
        .code(1)
        .stdout(predicate::str::contains("Absent: missing f32, 4.6: no module named nothing"))
        .stdout(predicate::str::contains("Failed: broken f32, 4.6: it broke"));
    let record = read_json(folder.path(), "record.json");
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
#[test]
fn peers_script_of_the_working_folder_is_never_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("a/b");
    std::fs::create_dir_all(&here).expect("folders");
    for planted in [folder.path(), here.as_path()] {
        std::fs::create_dir(planted.join("tools")).expect("a folder");
        std::fs::write(planted.join("tools/peers.py"), "").expect("a script");
    }
    // In place of Python: prints the path of the script.
    write_script(&folder.path().join("python"), "echo \"script $1\"\n");
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
        let stderr = String::from_utf8(output).expect("text");
        let (_, script) = stderr.trim().split_once("script ").expect(&stderr);
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
