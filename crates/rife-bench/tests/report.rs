//! Reports from records, through the library and the program.

#[path = "support/records.rs"]
mod records;

use std::path::Path;

use assert_cmd::Command;
use rife_bench::compare::{Change, RecordComparison};
use rife_bench::metrics::Psnr;
use rife_bench::record::{Record, write};
use rife_bench::report::pairs::{Pair, pairs};
use rife_bench::report::readme::rewrite;
use rife_bench::report::records::NamedRecord;
use rife_bench::report::{page, records as named_records};
use rife_bench::stats::Spread;

fn report(folder: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("rife-bench"));
    command.current_dir(folder).env_remove("RUST_LOG").arg("report");
    command
}

fn named(record: Record) -> NamedRecord {
    NamedRecord { name: "r.json".into(), record }
}

/// A page without Base64 data, which may contain any text.
fn without_pictures(page: &str) -> String {
    let mut parts = page.split(";base64,");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.filter_map(|part| part.split_once('"')).map(|(_, rest)| rest).collect::<String>()
}

const EVERY_TABLE: &str = "\
machine r.json|speed r.json f32|speed r.json f16|start r.json|gpu r.json|fidelity r.json|comparisons r.json|\
ablation r.json 4.6 f16|optimizations r.json|optimizations r.json r.json|profile r.json 4.6 f16|\
quality r.json|scaling r.json|peers r.json|peers r.json 4.6|printed r.json";

fn text_of_all() -> String {
    let tables = EVERY_TABLE.split('|');
    tables.map(|what| format!("<!-- table: {what} -->\n<!-- /table -->\n")).collect()
}

#[test]
fn page_contains_every_section_and_is_deterministic() {
    let records = [named(records::full())];
    let text = page::render(&records);
    assert_eq!(text, page::render(&records));
    for part in [
        "Summary",
        "baseline f32 vs optimized f32",
        "baseline f16 vs optimized f16",
        "optimized f32 vs optimized f16",
        "Speed and memory",
        "Other implementations",
        "not for this device",
        "Effect of each optimization",
        "torch.cuda.CUDAGraph",
        "Enabled alone",
        "helped",
        "hurt",
        "By stage",
        "Largest part: ",
        "Scaling",
        "Worst frames",
        "data:image/png;base64,",
        "Quality against ground truth",
        "too few frames",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    // The page is self-contained and has no scripts.
    for none in ["<script", "http:", "https:", "src=\"/", "@import", "url(h", "url(\"h"] {
        assert!(!text.contains(none), "{none}");
    }
    assert!(!without_pictures(&text).contains("NaN"));
}

#[test]
fn every_kind_of_table_is_generated() {
    let records = [named(records::full())];
    let text = rewrite(&text_of_all(), "R.md", &records).expect("tables").text;
    for part in [
        "- command: `rife-bench --model 4.6",
        "| vs baseline",
        "2x output fps",
        "| first frame ms |",
        "PSNR and max error are over ",
        "| 1410-1980 |          328 |         345 | 51.0 |",
        "| baseline f32 vs optimized f32",
        "bit-identical frames",
        "| (all on) ",
        "| torch.cuda.CUDAGraph",
        "Largest part: block3.res0-7 x8",
        "| stage ",
        "vs blending dB",
        "| threads | 4.6   | optimized | f32 ",
        "(ours)",
        "Absent: TensorRT f16, 4.6: not for this device",
        "4.6: blending, no network",
        "```text\nA processor, ",
        "\nSummary\n",
    ] {
        assert!(text.contains(part), "{part} is missing from\n{text}");
    }
    // All rows of a table have the same width.
    let tables = text.split("\n\n").filter(|part| part.starts_with('|'));
    for table in tables {
        let widths: Vec<_> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
    let again = rewrite(&text, "R.md", &records).expect("tables");
    assert_eq!((again.text, again.first_changed), (text, None));
}

#[test]
fn comparisons_use_whichever_mode_was_measured() {
    let mut record = records::full();
    let words = |record: &Record| {
        let words: Vec<_> = pairs(record).iter().map(Pair::words).collect();
        assert_eq!(words.len(), 3, "{words:?}");
        words
    };
    for m in &mut record.measurements {
        m.summary = None;
        for run in &mut m.runs {
            run.frame_ms.clear();
            run.gpu = None;
        }
    }
    for words in words(&record) {
        assert!(words.contains("as fast") || words.contains("slower"), "{words}");
        assert!(words.contains("of the memory"), "{words}");
    }
    // The baseline has no device times to compare with.
    record.measurements.iter_mut().for_each(|m| m.end_to_end = None);
    assert!(words(&record).iter().any(|words| !words.contains("as fast")));
}

#[test]
fn regressions_and_missing_figures_are_detected() {
    let before = records::full();
    let worse = |after: &Record| -> Vec<String> {
        let compared = RecordComparison::of(&before, after);
        let rows = compared.rows.iter().filter(|row| row.change == Change::Worse);
        let rows = rows.map(|row| format!("{}: {}", row.name, row.what));
        let all: Vec<_> = rows.chain(compared.missing.clone()).collect();
        assert_eq!(compared.is_regression(), !all.is_empty(), "{all:?}");
        all
    };
    assert_eq!(worse(&before), [] as [&str; 0]);

    let slower = |spread: &mut Spread| {
        for v in [&mut spread.min, &mut spread.median, &mut spread.max] {
            *v /= 5.0;
        }
    };
    let mut after = before.clone();
    slower(after.scaling[0].run_fps.as_mut().expect("runs"));
    assert_eq!(worse(&after).len(), 1);
    assert!(worse(&after)[0].ends_with("at 640x360, batch 1: scaling, fps"));

    let mut after = before.clone();
    let without = &mut after.ablations[0].without[0];
    slower(&mut without.measurement.device.as_mut().expect("a device").run_fps);
    let expected = format!("without {}: device, fps", without.off);
    assert_eq!(worse(&after).len(), 1);
    assert!(worse(&after)[0].ends_with(&expected), "{expected}");

    let mut after = before.clone();
    after.scaling.remove(0);
    after.ablations[0].without.remove(0);
    assert_eq!(worse(&after).len(), 2, "{:?}", worse(&after));
    after.ablations.clear();
    assert_eq!(worse(&after).len(), 1 + before.ablations.len());
}

#[test]
fn verdicts_from_single_runs_are_marked() {
    let mut record = records::full();
    let note = "based on single runs";
    assert!(!page::render(&[named(record.clone())]).contains(note));
    for ablation in &mut record.ablations {
        ablation.all.runs.truncate(1);
    }
    let text = "<!-- table: ablation r.json 4.6 f16 -->\n<!-- /table -->\n";
    let table = rewrite(text, "R.md", &[named(record.clone())]).expect("a table").text;
    assert!(table.contains(note), "{table}");
    assert!(page::render(&[named(record)]).contains(note));
}

#[test]
fn texts_of_a_record_are_escaped() {
    const HOSTILE: &str = "</p><script>alert(1)</script>\"'|`*[x](y)-->\n<!-- /table -->";
    let mut record = records::full();
    let hostile = || HOSTILE.to_owned();
    record.header.command = hostile();
    (record.header.machine.cpu, record.header.machine.os) = (hostile(), hostile());
    record.header.machine.environment.insert(hostile(), hostile());
    for gpu in &mut record.header.machine.gpus {
        gpu.name = hostile();
    }
    (record.header.time_utc, record.header.build.rustc) = (hostile(), hostile());
    for m in &mut record.measurements {
        if let Some(subject) = &mut m.subject {
            subject.note = Some(hostile());
        }
        if let Some(pictures) = m.fidelity.as_mut().and_then(|f| f.pictures.as_mut()) {
            pictures.interpolated = hostile();
        }
    }
    record.measurements[1].error = Some(hostile());
    for peer in &mut record.peers {
        (peer.name, peer.absent) = (hostile(), Some(hostile()));
    }
    for launch in record.profiles.iter_mut().flat_map(|frame| &mut frame.launches) {
        (launch.name, launch.kernel) = (hostile(), hostile());
    }
    record.quality.as_mut().expect("quality").clip = hostile();
    let records = [NamedRecord { name: hostile(), record: record.clone() }];
    let text = page::render(&records);
    assert!(!text.contains("<script"), "markup is not escaped");

    let new = rewrite(&text_of_all(), "R.md", &[named(record)]).expect("tables").text;
    assert!(!new.replace("`</p><script>", "").contains("<script"), "{new}");
    // Regenerating finds exactly the original markers.
    let same = rewrite(&new, "R.md", &[named(records::full())]).expect("tables");
    assert_eq!(same.text.matches("\n<!-- /table -->\n").count(), EVERY_TABLE.split('|').count());
}

#[test]
fn invalid_figures_and_missing_parts_are_dashes() {
    let mut record = records::full();
    for m in &mut record.measurements {
        if let Some(summary) = &mut m.summary {
            (summary.fps, summary.peak_rss_mib) = (f64::NAN, f64::INFINITY);
            summary.frame_ms.median = 0.0;
            summary.frame_ms.p25 = 0.0;
        }
        if let Some(fidelity) = &mut m.fidelity {
            (fidelity.psnr_db, fidelity.ssim) = (Psnr(f64::NAN), f64::NAN);
            fidelity.frames.clear();
        }
    }
    for ablation in &mut record.ablations {
        for gain in ablation.without.iter_mut().filter_map(|v| v.device.as_mut()) {
            (gain.gain, gain.most) = (f64::NAN, 1e308);
        }
    }
    for frame in &mut record.profiles {
        frame.launches.iter_mut().for_each(|launch| launch.ms = 0.0);
    }
    for point in &mut record.scaling {
        (point.fps, point.size.width) = (Some(0.0), 0);
    }
    (record.settings.factor, record.header.machine.cpu) = (0, "x".repeat(100_000));
    let page = without_pictures(&page::render(&[named(record.clone())]));
    let text = rewrite(&text_of_all(), "R.md", &[named(record)]).expect("tables").text;
    for output in [&page, &text] {
        assert!(!output.contains("NaN") && !output.contains("infx"), "{output}");
    }

    let mut bare = records::full();
    bare.measurements.truncate(1);
    bare.measurements[0].runs.clear();
    (bare.measurements[0].summary, bare.measurements[0].subject) = (None, None);
    bare.measurements[0].error = Some("no such card".into());
    bare.ablations.clear();
    (bare.comparisons, bare.profiles, bare.scaling, bare.peers) = (vec![], vec![], vec![], vec![]);
    (bare.quality, bare.header.git, bare.header.machine.ram_mib) = (None, None, None);
    assert!(page::render(&[named(bare.clone())]).contains("no such card"));
    let text = "<!-- table: peers r.json -->\n<!-- /table -->\n";
    let error = rewrite(text, "R.md", &[named(bare.clone())]).expect_err("no peers");
    assert_eq!(format!("{error:#}"), "R.md:1: r.json has no peers");
    bare.measurements.clear();
    page::render(&[named(bare), named(records::full())]);
    page::render(&[]);
}

#[test]
fn committed_records_can_be_reported() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results");
    let of = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("the folder");
        let paths = entries.map(|entry| entry.expect("a file").path());
        paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect::<Vec<_>>()
    };
    let mut records = 0;
    for path in of(&folder) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let read = named_records::read(&[&path]).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(page::render(&read).contains(&name));
        records += 1;
    }
    let mut refused = 0;
    for path in of(&folder.join("video")).into_iter().chain(of(&folder.join("cpu-engine"))) {
        let what = match path.display().to_string() {
            path if path.contains("video") => "video",
            path if path.contains("kernels") => "kernels",
            path if path.contains("peers") => "peers.py",
            _ => continue,
        };
        let error = named_records::read(&[&path]).map(|_| ()).expect_err("another format");
        assert!(format!("{error:#}").contains(what), "{error:#}");
        refused += 1;
    }
    assert!(refused > 2);
    assert!(records > 0);
}

#[test]
fn program_writes_checks_and_rejects_reports() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    write(&records::full(), &at("r.json"), false).expect("written");
    let text = format!("# Title\r\n{}no newline at the end", text_of_all());
    std::fs::write(at("README.md"), &text).expect("written");
    let line = ["r.json", "--readme", "README.md", "--html", "p.html"];

    let args = ["r.json", "--readme", "README.md", "--check"];
    let checked = checked_error(report(folder.path()).args(args));
    assert_eq!(
        checked,
        "error: README.md:2: table \"machine r.json\" is out of date; run rife-bench report \
         r.json --readme README.md\n"
    );
    assert_eq!(std::fs::read_to_string(at("README.md")).expect("read"), text);
    report(folder.path()).args(line).assert().success().stdout("");
    report(folder.path()).args(line).arg("--check").assert().success();
    let new = std::fs::read_to_string(at("README.md")).expect("read");
    assert!(new.starts_with("# Title\r\n<!-- table: machine r.json -->\n\n- GPU: A card"));
    assert!(new.ends_with("<!-- /table -->\nno newline at the end"));

    std::fs::write(at("p.html"), "another").expect("written");
    let checked = checked_error(report(folder.path()).args(line).arg("--check"));
    assert!(checked.starts_with("error: p.html is out of date"), "{checked}");

    let printed = report(folder.path()).arg("r.json").assert().success();
    let printed = String::from_utf8(printed.get_output().stdout.clone()).expect("text");
    assert!(printed.contains("96x64"), "{printed}");

    std::fs::write(at("other.json"), r#"{"schema":1,"frames":[],"runs":3}"#).expect("written");
    std::fs::write(at("future.json"), r#"{"schema":2,"runs":3}"#).expect("written");
    std::fs::write(at("bad.md"), "<!-- table: speed r.json f32 -->\n").expect("written");
    for (args, part) in [
        (&["absent.json"][..], "absent.json"),
        (&["other.json"], "other.json: it is a record of rife-bench kernels"),
        (&["future.json"], "future.json: unsupported schema (expected 1, got 2)"),
        (&["README.md"], "README.md"),
        (&["r.json", "./r.json"], "another record has the same name r.json"),
        (&["r.json", "--readme", "absent.md"], "absent.md"),
        (&["r.json", "--readme", "bad.md"], "bad.md:1: no <!-- /table -->"),
        (&["r.json", "--html", "no/such/folder.html"], "folder.html"),
        (&["r.json", "--html", "p2.html", "--check"], "p2.html"),
    ] {
        let error = checked_error(report(folder.path()).args(args));
        assert!(error.contains(part) && error.lines().count() == 1, "{args:?}: {error}");
    }
    report(folder.path()).assert().failure().code(2);
}

fn checked_error(command: &mut Command) -> String {
    let out = command.assert().failure();
    String::from_utf8(out.get_output().stderr.clone()).expect("text")
}
