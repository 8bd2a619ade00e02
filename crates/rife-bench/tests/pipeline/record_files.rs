//! Writing and reading records.

use rife_bench::record::{Record, write};
use rife_bench::report::terminal;

use crate::blend::BlendEngines;
use crate::record;

#[test]
fn records_round_trip() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("record.json");
    std::fs::write(&path, "an older record").expect("a file");
    let (_, record) = record("--model 4.6 --size 32x32 --frames 4", &BlendEngines);
    write(&record, &path, true).expect("written");
    assert_eq!(Record::read(&path).expect("read"), record);
    let files = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(files, 1, "no temporary file is left");

    std::fs::write(&path, "{}").expect("a file");
    assert!(Record::read(&path).is_err());
}

#[test]
fn older_records_are_read_and_reported() {
    let (_, new) = record("--model 4.6 --size 64x48 --frames 5", &BlendEngines);
    let mut old = serde_json::to_value(&new).expect("JSON");
    // Fields of later versions. A latency record of a CPU may lack nothing else.
    old["settings"].as_object_mut().expect("settings").remove("modes").expect("modes");
    assert!(old.get("ablations").is_none() && old["settings"].get("further_clips").is_none());
    let measurement = &old["measurements"][0];
    for later in ["size", "device", "end_to_end", "memory"] {
        assert!(measurement.get(later).is_none() && measurement["runs"][0].get(later).is_none());
    }
    assert!(measurement["subject"].get("optimizations").is_none());
    let read: Record = serde_json::from_value(old).expect("an older record");
    assert_eq!(read, new);
    assert!(terminal::render(&read).contains("PSNR"));
}
