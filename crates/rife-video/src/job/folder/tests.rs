//! Tests of the job folder.

use super::*;

#[test]
fn long_and_invalid_names_are_shortened_to_unique_ones() {
    let folder_of = |name: &str| {
        let path = JobFolder::beside(Path::new(name));
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(folder_of("out.mp4"), ".out.mp4.rife-job");
    for letter in ["a", "é", "映", "🎞"] {
        for bytes in 100..=255 {
            let fill = bytes - ".mp4".len();
            let name = |last: &str| {
                let text = letter.repeat((fill - 1) / letter.len());
                let pad = fill - 1 - text.len();
                format!("{text}{}{last}.mp4", "x".repeat(pad))
            };
            assert_eq!(name("1").len(), bytes);
            let [one, two] = ["1", "2"].map(|last| folder_of(&name(last)));
            assert!(one.len() <= MAX_NAME && one.ends_with(".rife-job"), "{one}");
            assert_ne!(one, two);
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn folder_is_private_locked_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(".x.rife-job");
        let folder = JobFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(JobFolder::open(&path), Err(Error::Busy { .. })));
        folder.write("a", b"1").unwrap();
        assert_eq!(folder.names().unwrap(), ["a"]);
        folder.publish("a", &root.path().join("b"), false).unwrap();
        folder.write("a", b"2").unwrap();
        let error = folder.publish("a", &root.path().join("b"), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        folder.publish("a", &root.path().join("b"), true).unwrap();
        assert_eq!(fs::read(root.path().join("b")).unwrap(), b"2");
        folder.write("a", b"3").unwrap();
        folder.remove().unwrap();
        assert!(!path.exists());
        drop(folder);
        JobFolder::open(&path).unwrap().remove().unwrap();
    }

    #[test]
    fn planted_folders_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let path = root.path().join("job");
        let refused = |why: &str| {
            let error = JobFolder::open(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        };
        symlink(&elsewhere, &path).unwrap();
        refused("got a link or a file");
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"").unwrap();
        refused("got a link or a file");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for mode in [0o720, 0o702, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            refused("others can write");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // Only root can change the owner of a directory.
        if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
            refused("another user");
        }
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[test]
    fn links_in_the_folder_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (path, secret) = (root.path().join("job"), root.path().join("secret"));
        fs::write(&secret, b"secret").unwrap();
        fs::create_dir(&path).unwrap();
        symlink(&secret, path.join(LOCK)).unwrap();
        assert!(JobFolder::open(&path).is_err());
        fs::remove_file(path.join(LOCK)).unwrap();
        let folder = JobFolder::open(&path).unwrap();
        symlink(&secret, path.join("a")).unwrap();
        assert!(folder.read("a").is_err());
        folder.create("a").unwrap();
        symlink(&secret, path.join("b")).unwrap();
        folder.write("b", b"new").unwrap();
        symlink(&secret, path.join("unfinished-c")).unwrap();
        folder.write("c", b"new").unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
        assert!(folder.read("../secret").is_err());
        folder.remove().unwrap();
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
    }

    #[test]
    fn replaced_folder_is_detected() {
        let root = tempfile::tempdir().unwrap();
        let (path, moved) = (root.path().join("job"), root.path().join("moved"));
        let folder = JobFolder::open(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        folder.write("a", b"1").unwrap();
        assert!(moved.join("a").exists() && !path.join("a").exists());
        match folder.working_dir() {
            // By descriptor, which still refers to the directory that was opened.
            Ok(dir) => {
                assert_eq!(fs::canonicalize(dir).unwrap(), moved.canonicalize().unwrap())
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
    }
}
