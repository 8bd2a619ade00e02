//! The command line.

use predicates::prelude::*;

use crate::bench;

#[test]
fn help_lists_every_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = bench(folder.path()).arg("--help").assert().success().get_output().stdout.clone();
    let help = String::from_utf8(help).expect("text");
    let options = "--all --model --engine --precision --without --device --size --frames --repeats \
                   --input --weights --output --quiet --warmup --budget --mode --ablate --reference \
                   --threads --profile --quality --scaling --peers --peers-script --pictures \
                   --factor kernels report";
    for option in options.split_whitespace() {
        assert!(help.contains(option), "{option}");
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
