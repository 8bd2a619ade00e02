//! Several processes in one folder; each is a `WorkFolder` of its own.

use std::fs;

use super::*;
use crate::Rational;
use crate::job::plan::PlannedSource;

fn segment(index: u64) -> PlannedSegment {
    PlannedSegment {
        index,
        first_frame: 0,
        frames: 10,
        first_tick: 0,
        last_tick: 9,
        source: PlannedSource {
            decode_from: 0,
            frames_before: 0,
            first: 0,
            last: 9,
            seek_us: None,
            time: Rational::from(0),
            blake3: None,
        },
        file: format!("{index:06}.mp4"),
        address: format!("address {index}"),
    }
}

fn record(segment: &PlannedSegment, content: &[u8]) -> SegmentRecord {
    SegmentRecord {
        address: segment.address.clone(),
        frames: segment.frames,
        bytes: content.len() as u64,
        blake3: blake3::hash(content).to_hex().to_string(),
        device: Fingerprint::new(),
        seconds: 1.5,
        host: "a".into(),
    }
}

fn folders(root: &tempfile::TempDir, stale: Duration) -> [WorkFolder; 2] {
    [(); 2].map(|()| WorkFolder::create(&root.path().join("work"), stale).unwrap())
}

/// The claims that succeed when eight processes try at once.
fn claims_of_eight(path: &Path, segment: &PlannedSegment) -> Vec<Claim> {
    let claim = || {
        let folder = WorkFolder::create(path, WorkFolder::STALE).unwrap();
        folder.claim(segment, false).unwrap()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn one_of_many_processes_claims_a_segment() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("work");
    for index in 0..20 {
        let segment = segment(index);
        let claims = claims_of_eight(&path, &segment);
        assert_eq!(claims.len(), 1);
        let folder = WorkFolder::create(&path, WorkFolder::STALE).unwrap();
        assert!(matches!(folder.state(&segment, Check::Size), SegmentState::Running(_)));
        drop(claims);
        assert_eq!(folder.state(&segment, Check::Size), SegmentState::Missing);
    }
}

#[test]
fn one_of_many_processes_takes_over_an_abandoned_claim() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("work");
    let folder = WorkFolder::create(&path, WorkFolder::STALE).unwrap();
    let segment = segment(3);
    fs::write(path.join("000003.claim"), "of a process that was killed").unwrap();
    assert!(folder.claim(&segment, false).unwrap().is_none());
    let claim = File::options().write(true).open(path.join("000003.claim")).unwrap();
    claim.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(folder.state(&segment, Check::Size), SegmentState::Missing);
    let claims = claims_of_eight(&path, &segment);
    assert_eq!(claims.len(), 1);
    // Whoever is told to do the segment does it all the same.
    assert!(folder.claim(&segment, true).unwrap().is_some());
}

#[test]
fn replaced_claim_is_left_to_its_new_owner() {
    let root = tempfile::tempdir().unwrap();
    let [one, two] = folders(&root, WorkFolder::STALE);
    let segment = segment(0);
    let first = one.claim(&segment, false).unwrap().unwrap();
    let second = two.claim(&segment, true).unwrap().unwrap();
    drop(first);
    assert!(second.path().exists());
    assert!(one.claim(&segment, false).unwrap().is_none());
    drop(second);
    assert!(one.claim(&segment, false).unwrap().is_some());
}

#[test]
fn state_tells_finished_damaged_and_failed_segments_apart() {
    let root = tempfile::tempdir().unwrap();
    let [one, two] = folders(&root, WorkFolder::STALE);
    let segment = segment(7);
    let state = |check| two.state(&segment, check);
    for attempts in 1..3 {
        one.record_failure(&segment, "no memory");
        let failure =
            SegmentFailure { attempts, error: "no memory".into(), host: one.host.clone() };
        assert_eq!(state(Check::Size), SegmentState::Failed(failure));
    }
    let file = one.path().join(&segment.file);
    fs::write(&file, b"content").unwrap();
    // A file without a record may be incomplete in content, and counts as missing.
    assert!(matches!(state(Check::Size), SegmentState::Failed(_)));
    one.record(&segment, &record(&segment, b"content")).unwrap();
    assert!(matches!(state(Check::Content), SegmentState::Finished(_)));
    assert_eq!(one.failure(&segment), None);
    fs::write(&file, b"contents").unwrap();
    assert!(matches!(state(Check::Size), SegmentState::Damaged(_)));
    fs::write(&file, b"CONTENT").unwrap();
    assert!(matches!(state(Check::Size), SegmentState::Finished(_)));
    assert!(matches!(state(Check::Content), SegmentState::Damaged(_)));
    fs::remove_file(&file).unwrap();
    assert!(matches!(state(Check::Size), SegmentState::Damaged(_)));
}

#[test]
fn first_process_decides_the_device() {
    let root = tempfile::tempdir().unwrap();
    let [one, two] = folders(&root, WorkFolder::STALE);
    let device = |name: &str| Fingerprint::from([("device".to_owned(), name.to_owned())]);
    assert_eq!(one.decide_device(&device("cpu")).unwrap(), device("cpu"));
    assert_eq!(two.decide_device(&device("gpu")).unwrap(), device("cpu"));
    assert_eq!(fs::read_dir(one.path()).unwrap().count(), 1);
}

#[test]
#[cfg(unix)]
fn folder_of_others_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("work");
    assert!(WorkFolder::open(&path, WorkFolder::STALE).unwrap().is_none());
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    for result in [
        WorkFolder::create(&path, WorkFolder::STALE).map(drop),
        WorkFolder::open(&path, WorkFolder::STALE).map(drop),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("others can write"), "{error}");
    }
}
