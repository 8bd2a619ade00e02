//! Interrupting the benchmark.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use clap::Parser;
use rife_bench::args::Args;
use rife_bench::benchmark;
use rife_bench::measure::Watcher;
use rife_bench::plan::Plan;
use rife_bench::report::terminal;

use crate::gpu;

/// Stops after the first frame of the second step with this name.
#[derive(Default)]
struct StopsIn {
    name: &'static str,
    seen: AtomicUsize,
    inside: AtomicBool,
    stopped: AtomicBool,
    later: Mutex<Vec<String>>,
}

impl Watcher for StopsIn {
    fn step(&self, name: &str, _frames: usize) {
        if self.stopped() {
            self.later.lock().expect("a lock").push(name.to_owned());
        }
        let second = name.contains(self.name) && self.seen.fetch_add(1, Relaxed) == 1;
        self.inside.store(second, Relaxed);
        // Profiles do not report frames.
        self.stopped.fetch_or(second && self.name == "profile", Relaxed);
    }

    fn frame(&self) {
        self.stopped.fetch_or(self.inside.load(Relaxed), Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }
}

#[test]
fn stopping_at_any_step_keeps_complete_results() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..9u8 {
        let picture = image::RgbImage::from_pixel(40, 24, image::Rgb([20 * i, 10 * i, 5]));
        picture.save(folder.path().join(format!("{i}.png"))).expect("PNG");
    }
    let line = format!(
        "rife-bench --precision f16,f32 --size 48x32 --frames 4 --repeats 2 --profile --quality {}",
        folder.path().display()
    );
    let plan = Plan::new(&Args::parse_from(line.split_whitespace()), &gpu()).expect("a plan");
    for name in ["run 2", "fidelity", "profile", "ground truth"] {
        let watcher = StopsIn { name, ..StopsIn::default() };
        let record = benchmark::run(&plan, &gpu(), &watcher).expect("a record");
        assert!(watcher.stopped() && record.settings.stopped, "{name}");
        assert_eq!(*watcher.later.lock().expect("a lock"), [] as [&str; 0], "after {name}");
        let failed: Vec<_> = record
            .measurements
            .iter()
            .filter_map(|m| m.error.as_deref().filter(|e| !e.contains("cannot profile")))
            .collect();
        assert!(failed.is_empty(), "{name}: {failed:?}");
        // Only complete comparisons are kept: the second one was interrupted.
        let truths = record.quality.iter().flat_map(|quality| &quality.results);
        let frames: Vec<_> =
            truths.map(|r| r.truth.as_ref().expect("no failure").frames.len()).collect();
        let whole: &[usize] = if name == "ground truth" { &[4] } else { &[] };
        assert_eq!(frames, whole, "{name}");
        assert!(!terminal::render(&record).is_empty());
    }
}
