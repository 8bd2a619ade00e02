//! Profiles of options: `--profile` and `rife profiles`.

use std::path::Path;

use tempfile::TempDir;

use crate::support::{assert_refused_by, pair, rife, rife_in};

/// A configuration folder with a file of profiles.
fn config(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rife")).unwrap();
    std::fs::write(folder.path().join("rife/profiles.toml"), text).unwrap();
    folder
}

/// `rife interpolate` on the pair in `dir`, with the smallest network on the CPU.
fn interpolate(dir: &Path, config: &Path, options: &str) -> assert_cmd::Command {
    let mut command = rife_in(dir, &["interpolate", "a.png", "b.png", "--device", "cpu"]);
    // The configuration folder on Unix, on macOS too.
    command.env("XDG_CONFIG_HOME", config).args(options.split_whitespace());
    command
}

fn refused(config: &TempDir, options: &str, why: &str) {
    let folder = pair();
    let options = format!("-o out.png {options}");
    let command = interpolate(folder.path(), config.path(), &options);
    assert_refused_by(command, folder.path(), &["a.png", "b.png"], why);
}

const PROFILES: &str = r#"
[quick]
model = "4.6"
factor = 4
overwrite = true
threads = 2

[half]
model = "4.6"
timestep = 0.25
ensemble = false
"#;

#[test]
#[cfg(unix)]
fn profile_options_apply_unless_the_command_line_overrides_them() {
    let config = config(PROFILES);
    let folder = pair();
    let dir = folder.path();
    let files = |name: &str| crate::support::names(&dir.join(name));
    interpolate(dir, config.path(), "--profile quick -o quick").assert().success();
    assert_eq!(files("quick"), ["0001.png", "0002.png", "0003.png"]);
    interpolate(dir, config.path(), "--factor=2 -o two --profile quick").assert().success();
    assert_eq!(files("two"), ["0001.png"]);
    // Another option of the same group overrides the factor, too.
    interpolate(dir, config.path(), "-t 0.5 -o half.png --profile quick").assert().success();
    // The values arrive: a timestep of 0.25 is the first of three images.
    interpolate(dir, config.path(), "--profile half -o quarter.png").assert().success();
    let read = |name: &str| image::open(dir.join(name)).unwrap().to_rgb8();
    assert_eq!(read("quarter.png"), read("quick/0001.png"));
    assert_eq!(read("half.png"), read("quick/0002.png"));
    assert_ne!(read("half.png"), read("quarter.png"));
}

#[test]
#[cfg(unix)]
fn profiles_are_listed_as_options() {
    let config = config(PROFILES);
    let mut list = rife();
    let output = list.arg("profiles").env("XDG_CONFIG_HOME", config.path()).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let file = config.path().join("rife/profiles.toml");
    assert!(text.contains(&format!("profiles in {}", file.display())), "{text}");
    assert!(text.contains("  half: --model 4.6 --timestep 0.25\n"), "{text}");
    assert!(text.contains("  quick: --model 4.6 --factor 4 --overwrite --threads 2\n"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    let mut list = rife();
    let output = list.arg("profiles").env("XDG_CONFIG_HOME", empty.path()).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(text.starts_with("no profiles: ") && text.contains("profiles.toml"), "{text}");
}

#[test]
#[cfg(unix)]
fn invalid_profiles_are_refused_with_file_line_and_expectation() {
    for (text, why) in [
        ("[a]\nfactor = 2\nfctor = 3", ":3: profile \"a\": unknown option \"fctor\": expected "),
        ("[a]\noutput = \"x\"", ":2: profile \"a\": a profile cannot set \"output\""),
        ("[a]\nprofile = \"b\"", ":2: profile \"a\": a profile cannot set \"profile\""),
        ("[a]\n\naudio = 1", ":3: profile \"a\": invalid audio: expected true or false"),
        ("[a]\ncrf = true", ":2: profile \"a\": invalid crf: expected a string or a number"),
        ("[a]\ncrf = [1, 2]", ":2: profile \"a\": invalid crf: expected a string or a number"),
        ("[a]\ncrf = {x = 1}", ":2: profile \"a\": invalid crf: expected a string or a number"),
        ("[a]\nscene-threshold = 200", ":2: profile \"a\": invalid value '200'"),
        ("[a]\nfrom = 2020-01-01", ":2: profile \"a\": invalid from: expected a string or a"),
        ("[a]\nfactor = 2\nfps = 60", ":1: profile \"a\": the argument '--factor"),
        ("factor = 2\n[a]", ":1: \"factor\" is outside of a profile: expected a line such as ["),
        ("[a]\nfactor = ", ":2: "),
        ("[b]\nfactor = 2\n[c]", "profiles.toml: no profile \"a\": expected \"b\", \"c\""),
        ("", "no profile \"a\": the file has none"),
    ] {
        refused(&config(text), "--profile a", why);
    }
    let empty = tempfile::tempdir().unwrap();
    refused(&empty, "--profile a", "cannot read the profiles in ");
}

#[test]
#[cfg(unix)]
fn lists_times_and_numbers_are_accepted_as_values() {
    let text = "[a]\nmodel = \"4.6\"\ndevice = [\"cpu\"]\nthreads = 0x1\nfrom = 00:00:01\n\
                max-memory = \"512M\"\ncrf = 18.5\naudio = false\n";
    let config = config(text);
    let mut list = rife();
    let output = list.arg("profiles").env("XDG_CONFIG_HOME", config.path()).assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let expected = "  a: --model 4.6 --device cpu --threads 1 --from 00:00:01 --max-memory 512M \
                    --crf 18.5\n";
    assert!(text.contains(expected), "{text}");
}
