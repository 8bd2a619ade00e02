//! Comparison of two records of the same configurations: changes beyond the noise of the runs.

use rife_model::ModelVersion;

use crate::measure::ablation::{Ablation, Gain, Verdict};
use crate::measure::fidelity::Fidelity;
use crate::measure::scaling::ScalingPoint;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::stats::{Noise, Spread};
use crate::subject::{Config, Size, SubjectInfo};

/// Minimum relative change of speed if a record has this many runs. Two runs each fail to overlap by
/// chance one time in three, and the same program on the same machine varies by a few percent.
const FEW_RUNS: [(usize, f64); 2] = [(1, 0.1), (2, 0.05)];
/// Noise of engine memory, relative: it is planned, not sampled.
const MEMORY_NOISE: f64 = 0.01;
/// Noise of memory reported by the system, relative: it depends on allocators and drivers.
const SAMPLED_MEMORY_NOISE: f64 = 0.05;
/// Minimum change of the first frame in ms: system activity affects it.
const MIN_FIRST_MS: f64 = 50.0;
/// Process peaks are comparable if resident memory at the start of the runs differs by at most this
/// many MiB.
const SIMILAR_START_MIB: f64 = 16.0;
/// Minimum change of memory in MiB.
const MIN_MIB: f64 = 4.0;
/// Minimum change of fidelity in dB: reordering the same arithmetic changes that much.
const MIN_DB: f64 = 0.5;
/// Minimum change of quality against ground truth in dB.
const MIN_TRUTH_DB: f64 = 0.05;
/// Minimum change of SSIM.
const MIN_SSIM: f64 = 1e-4;
/// Minimum change of the largest error, in 8-bit steps and relative to the smaller one. The largest
/// error of millions of samples changes with every reordering of the same arithmetic.
const MIN_ERROR: (f64, f64) = (1.0, 1.0);

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Faster, smaller or more exact.
    Better,
    /// Within noise.
    Same,
    /// Slower, larger or less exact.
    Worse,
}

/// One figure of one configuration, before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Configuration and size.
    pub name: String,
    /// Figure with its unit.
    pub what: &'static str,
    /// Earlier value.
    pub before: f64,
    /// Later value.
    pub after: f64,
    /// Verdict.
    pub change: Change,
}

/// Comparison of two records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordComparison {
    /// Figures that both records have, in the order of the later record.
    pub rows: Vec<Row>,
    /// Differences in what was measured, how, and on what.
    pub differences: Vec<String>,
    /// Those differences that make the figures incomparable.
    pub incomparable: Vec<String>,
    /// Whether there are so few runs that small changes of speed count as noise.
    pub few_runs: bool,
    /// Configurations that failed only in the later record: a regression.
    pub failed: Vec<String>,
    /// What only the earlier record has: a regression, as it may hide one.
    pub missing: Vec<String>,
}

impl RecordComparison {
    /// Compares `after` with `before`.
    pub fn of(before: &Record, after: &Record) -> Self {
        let (differences, incomparable) = differences(before, after);
        let mut compared = Self { differences, incomparable, ..Self::default() };
        let noises = RunNoise::of(before, after);
        let mut only_after = 0;
        for new in &after.measurements {
            let key = key(after, new);
            let old = before.measurements.iter().find(|old| self::key(before, old) == key);
            let Some(old) = old else {
                only_after += 1;
                continue;
            };
            compared.compare(&format!("{} at {}", new.config, key.1), old, new, &noises);
        }
        compared.ablations(before, after);
        compared.scaling(before, after);
        let truths = truths(before, after);
        if truths.is_empty() && before.quality.is_some() {
            compared.missing.push("quality against ground truth of the same clip".into());
        }
        compared.rows.extend(truths);
        for old in before.measurements.iter().filter(|old| old.error.is_none()) {
            let key = key(before, old);
            if after.measurements.iter().all(|new| self::key(after, new) != key) {
                compared.missing.push(format!("{} at {}", old.config, key.1));
            }
        }
        let matched = after.measurements.len() - only_after;
        for (what, count) in [
            ("before", before.measurements.len() - matched.min(before.measurements.len())),
            ("after", only_after),
        ] {
            if count > 0 {
                compared.differences.push(format!("{count} configuration(s) only in {what}"));
            }
        }
        compared
    }

    /// Compares one configuration.
    fn compare(&mut self, name: &str, old: &Measurement, new: &Measurement, noises: &RunNoise) {
        if old.error.is_none()
            && let Some(error) = &new.error
        {
            self.failed.push(format!("{name}: {error}"));
        }
        let both = rows(name, old, new, noises);
        let mut of_old = rows(name, old, old, noises);
        // Figures that are present but not comparable are not missing.
        let fidelity = |m: &Measurement| m.fidelity.is_some();
        of_old.retain(|row| !(FIDELITY.contains(&row.what) && fidelity(new)));
        if similar_start(old, old) && !similar_start(old, new) {
            of_old.retain(|row| row.what != PROCESS_PEAK);
        }
        self.few_runs |= old.runs.len().min(new.runs.len()) < 3 && !both.is_empty();
        let gone = of_old.iter().filter(|row| both.iter().all(|other| other.what != row.what));
        self.missing.extend(gone.map(|row| format!("{name}: {}", row.what)));
        self.rows.extend(both);
    }

    /// Compares the variants of ablations.
    fn ablations(&mut self, before: &Record, after: &Record) {
        let place = |record: &Record, of: &Ablation| key(record, &of.all);
        for old in &before.ablations {
            let key = place(before, old);
            let whole = format!("{} at {}", key.0, key.1);
            let Some(new) = after.ablations.iter().find(|new| place(after, new) == key) else {
                self.missing.push(format!("{whole}, ablation"));
                continue;
            };
            let noises = RunNoise::among(old.all_measurements().chain(new.all_measurements()));
            let after: Vec<_> = parts(new).collect();
            for (part, old) in parts(old) {
                let name = format!("{whole} {part}");
                match after.iter().find(|(other, _)| *other == part) {
                    Some((_, new)) => self.compare(&name, old, new, &noises),
                    None => self.missing.push(name),
                }
            }
        }
    }

    /// Compares scaling.
    fn scaling(&mut self, before: &Record, after: &Record) {
        let noise = Noise::among(
            before.scaling.iter().chain(&after.scaling).filter_map(|point| point.run_fps.as_ref()),
        );
        let of = |p: &ScalingPoint| (p.axis, p.config, p.size, p.threads, p.batch);
        for old in &before.scaling {
            let threads = old.threads.map_or(String::new(), |n| format!(", {n} threads"));
            let name = format!("{} at {}{threads}, batch {}", old.config, old.size, old.batch);
            let Some(new) = after.scaling.iter().find(|new| of(new) == of(old)) else {
                self.missing.push(name);
                continue;
            };
            match (&old.run_fps, &new.run_fps) {
                (Some(before), Some(after)) => self.rows.push(Row {
                    name,
                    what: "scaling, fps",
                    before: before.median,
                    after: after.median,
                    change: faster(after, before, noise),
                }),
                (Some(_), None) => {
                    let why = new.error.as_deref().unwrap_or("not measured");
                    self.failed.push(format!("{name}: {why}"));
                }
                _ => {}
            }
        }
    }

    /// Whether anything became worse.
    pub fn is_regression(&self) -> bool {
        !self.failed.is_empty()
            || !self.missing.is_empty()
            || self.rows.iter().any(|row| row.change == Change::Worse)
    }
}

/// The variants of an ablation with their names. The fully optimized one is also among the
/// measurements.
fn parts(of: &Ablation) -> impl Iterator<Item = (String, &Measurement)> {
    let off = of.without.iter().map(|v| (format!("without {}", v.off), &v.measurement));
    let alone = of.alone.iter().flat_map(|alone| {
        let with = alone.with.iter().map(|v| (format!("with only {}", v.on), &v.measurement));
        [("without optimizations".to_owned(), &alone.none)].into_iter().chain(with)
    });
    [("with all optimizations".to_owned(), &of.all)].into_iter().chain(off).chain(alone)
}

/// Noise between the runs of both records, separately for each mode.
struct RunNoise {
    latency: Noise,
    device: Noise,
    end_to_end: Noise,
    first: Noise,
}

impl RunNoise {
    fn of(before: &Record, after: &Record) -> Self {
        Self::among(before.measurements.iter().chain(&after.measurements))
    }

    fn among<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> Self {
        let all: Vec<_> = measurements.collect();
        let among = |of: fn(&Measurement) -> Option<Spread>| {
            let spreads: Vec<_> = all.iter().filter_map(|m| of(m)).collect();
            Noise::among(spreads.iter())
        };
        Self {
            latency: among(|m| latency(&m.runs)),
            device: among(device),
            end_to_end: among(end_to_end),
            first: among(first_frames),
        }
    }
}

fn device(m: &Measurement) -> Option<Spread> {
    Some(m.device.as_ref()?.run_fps)
}

fn end_to_end(m: &Measurement) -> Option<Spread> {
    Some(m.end_to_end.as_ref()?.run_fps)
}

/// First frames as a rate, without the first run, which may have compiled and tuned kernels.
fn first_frames(m: &Measurement) -> Option<Spread> {
    Spread::of(&over(m.runs.get(1..)?, |run| 1.0 / run.first_frame_ms))
}

/// Whether resident memory was similar at the start of the runs of both.
fn similar_start(old: &Measurement, new: &Measurement) -> bool {
    let before = |m: &Measurement| Spread::of(&over(&m.runs, |run| run.rss_before_mib));
    let all = |m: &Measurement| m.runs.iter().all(|run| run.peak_rss_is_of_run);
    all(old)
        && all(new)
        && before(old).zip(before(new)).is_some_and(|(old, new)| {
            old.max.max(new.max) - old.min.min(new.min) <= SIMILAR_START_MIB
        })
}

fn key(record: &Record, m: &Measurement) -> (Config, Size) {
    (m.config, m.size.unwrap_or(record.settings.size))
}

fn rows(name: &str, old: &Measurement, new: &Measurement, noises: &RunNoise) -> Vec<Row> {
    let row = |what, before: f64, after: f64, change| {
        let fine = before.is_finite() && after.is_finite();
        (fine || what == PSNR || what == TRUTH).then(|| Row {
            name: name.to_owned(),
            what,
            before,
            after,
            change,
        })
    };
    let speed = |what, noise, of: &dyn Fn(&Measurement) -> Option<Spread>| {
        let (before, after) = (of(old)?, of(new)?);
        row(what, before.median, after.median, faster(&after, &before, noise))
    };
    let memory = |what, noise: f64, of: &dyn Fn(&Measurement) -> Option<f64>| {
        let (before, after) = (of(old)?, of(new)?);
        let least = (noise * before).max(MIN_MIB);
        row(what, before, after, change(before - after, least))
    };
    let first = || {
        let ms = |m: &Measurement| Spread::of(&over(&m.runs, |run| run.first_frame_ms));
        let rate = |m: &Measurement| Spread::of(&over(&m.runs, |run| 1.0 / run.first_frame_ms));
        let (before, after) = (ms(old)?.median, ms(new)?.median);
        let change = match faster(&rate(new)?, &rate(old)?, noises.first) {
            _ if (after - before).abs() < MIN_FIRST_MS => Change::Same,
            change => change,
        };
        row("first frame, ms", before, after, change)
    };
    // Only comparisons with the same reference over the same number of frames are comparable.
    let fidelity = |what, of: &dyn Fn(&Fidelity) -> f64, judge: &dyn Fn(f64, f64) -> Change| {
        let (old, new) = (old.fidelity.as_ref()?, new.fidelity.as_ref()?);
        let (before, after) = (of(old), of(new));
        let alike = old.reference == new.reference && old.frames.len() == new.frames.len();
        alike.then(|| row(what, before, after, judge(before, after)))?
    };
    let error = |before: f64, after: f64| {
        let least = MIN_ERROR.0.max(MIN_ERROR.1 * before.min(after));
        change(before - after, least)
    };
    [
        speed("latency, fps", noises.latency, &|m| latency(&m.runs)),
        speed("device, fps", noises.device, &device),
        speed("end to end, fps", noises.end_to_end, &end_to_end),
        memory("engine, MiB", MEMORY_NOISE, &|m| Some(m.memory?.device_mib)),
        memory("GPU peak, MiB", SAMPLED_MEMORY_NOISE, &Measurement::peak_gpu_mib),
        memory(PROCESS_PEAK, SAMPLED_MEMORY_NOISE, &|m| Some(m.summary.as_ref()?.peak_rss_mib))
            .filter(|_| similar_start(old, new)),
        first(),
        fidelity(PSNR, &|f| f.psnr_db.0, &|before, after| decibels(before, after, MIN_DB)),
        fidelity(SSIM, &|f| f.ssim, &|before, after| change(after - before, MIN_SSIM)),
        fidelity(MAX_ERROR, &|f| 255.0 * f.max_error, &error),
        fidelity(NON_FINITE, &|f| f.non_finite as f64, &|before, after| {
            change(before - after, 0.0)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Quality against ground truth, if both records measured the same clip.
fn truths(before: &Record, after: &Record) -> Vec<Row> {
    let (Some(old), Some(new)) = (&before.quality, &after.quality) else { return Vec::new() };
    if (&old.clip, old.size, old.frames) != (&new.clip, new.size, new.frames) {
        return Vec::new();
    }
    let both = new.results.iter().filter_map(|result| {
        let other = old.results.iter().find(|other| other.config == result.config)?;
        let (before, after) = (other.truth.as_ref()?.psnr_db.0, result.truth.as_ref()?.psnr_db.0);
        let change = decibels(before, after, MIN_TRUTH_DB);
        let name = format!("{} on {}", result.config, new.clip);
        Some(Row { name, what: TRUTH, before, after, change })
    });
    both.collect()
}

const PSNR: &str = "PSNR, dB";
const SSIM: &str = "SSIM";
const MAX_ERROR: &str = "max error, 1/255";
const NON_FINITE: &str = "non-finite samples";
/// Figures of fidelity to a reference.
const FIDELITY: [&str; 4] = [PSNR, SSIM, MAX_ERROR, NON_FINITE];
const TRUTH: &str = "ground truth, dB";

/// Of the whole process. Comparable only if it started from similar memory.
const PROCESS_PEAK: &str = "process peak, MiB";

fn change(gained: f64, least: f64) -> Change {
    match gained {
        gained if gained > least => Change::Better,
        gained if gained < -least => Change::Worse,
        _ => Change::Same,
    }
}

/// Classifies a change of PSNR. Two infinite values are equal.
fn decibels(before: f64, after: f64, least: f64) -> Change {
    change(if before == after { 0.0 } else { after - before }, least)
}

/// Classifies a change of speed.
fn faster(after: &Spread, before: &Spread, noise: Noise) -> Change {
    let mut gain = Gain::of(after, before);
    gain.judge(noise.between(after.samples, before.samples));
    let runs = after.samples.min(before.samples);
    let few = FEW_RUNS.into_iter().find(|(few, _)| *few == runs).map_or(0.0, |(_, noise)| noise);
    match gain.verdict {
        _ if gain.gain.abs() < few => Change::Same,
        Verdict::Helped => Change::Better,
        Verdict::Neutral => Change::Same,
        Verdict::Hurt => Change::Worse,
    }
}

fn over(runs: &[Run], of: impl Fn(&Run) -> f64) -> Vec<f64> {
    runs.iter().map(of).collect()
}

/// Frames per second of each run, from latency.
fn latency(runs: &[Run]) -> Option<Spread> {
    let fps = |run: &Run| Some(1000.0 / Spread::of(&run.frame_ms)?.median);
    Spread::of(&runs.iter().filter_map(fps).collect::<Vec<_>>())
}

/// A circumstance of a record: its name and value.
type Circumstance = (&'static str, fn(&Record) -> String);

/// Circumstances that must agree: in these, any difference makes figures incomparable.
const DECISIVE: [Circumstance; 7] = [
    ("CPU", |r| format!("{}, {} cores", r.header.machine.cpu, r.header.machine.cores)),
    ("GPUs", |r| {
        let names: Vec<_> = r.header.machine.gpus.iter().map(|gpu| gpu.name.clone()).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }),
    ("device", |r| r.settings.device.to_string()),
    ("clip", |r| r.settings.clip.to_string()),
    ("frames of the clip", |r| r.settings.clip_frames.to_string()),
    ("factor", |r| r.settings.factor.to_string()),
    ("build", |r| if r.header.build.debug_assertions { "debug" } else { "release" }.into()),
];

/// Circumstances that are reported.
const OTHERS: [Circumstance; 7] = [
    ("record", |r| if r.settings.stopped { "interrupted" } else { "complete" }.into()),
    ("modes", |r| r.settings.modes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    ("threads", threads),
    ("weights", weights),
    ("frames per run", |r| r.settings.frames.to_string()),
    ("warm-up frames", |r| r.settings.warmup.to_string()),
    ("time budget", |r| {
        r.settings.budget_s.map_or_else(|| "none".into(), |seconds| format!("{seconds} s"))
    }),
];

/// What differs in the circumstances of two records, and the part of it that makes the figures
/// incomparable.
fn differences(before: &Record, after: &Record) -> (Vec<String>, Vec<String>) {
    let (mut all, mut incomparable) = (Vec::new(), Vec::new());
    let decisive = DECISIVE.into_iter().map(|one| (one, true));
    for ((what, value), decisive) in decisive.chain(OTHERS.into_iter().map(|one| (one, false))) {
        let (a, b) = (value(before), value(after));
        if a == b {
            continue;
        }
        let difference = format!("{what}: {a} before, {b} after");
        // Some configurations may be in one record only; shared ones decide.
        let decisive = match what {
            "threads" => disagree(before, after, |subject| subject.threads),
            "weights" => disagree(before, after, |subject| Some(subject.weights)),
            _ => decisive,
        };
        incomparable.extend(decisive.then(|| difference.clone()));
        all.push(difference);
    }
    (all, incomparable)
}

/// Whether a configuration of both records has a different property.
fn disagree<T: PartialEq>(
    before: &Record,
    after: &Record,
    of: impl Fn(&SubjectInfo) -> Option<T>,
) -> bool {
    after.measurements.iter().any(|new| {
        let old = before.measurements.iter().find(|old| key(before, old) == key(after, new));
        let property = |m: &Measurement| of(m.subject.as_ref()?);
        old.and_then(property).zip(property(new)).is_some_and(|(old, new)| old != new)
    })
}

/// Threads of the engines. Older records do not contain it.
fn threads(record: &Record) -> String {
    let mut all: Vec<usize> =
        record.measurements.iter().filter_map(|m| m.subject.as_ref()?.threads).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return "unknown".into();
    }
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Weights of each model.
fn weights(record: &Record) -> String {
    let mut pairs: Vec<(ModelVersion, ModelVersion)> = record
        .measurements
        .iter()
        .filter_map(|m| Some((m.config.model, m.subject.as_ref()?.weights)))
        .collect();
    pairs.sort();
    pairs.dedup();
    let pairs: Vec<_> =
        pairs.iter().map(|(model, weights)| format!("{model} with weights of {weights}")).collect();
    pairs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Difference, Psnr};
    use crate::subject::EngineMemory;

    fn measured(fps: [f64; 3], mib: f64, mse: f64) -> Measurement {
        let case = Config::reference(ModelVersion::V4_6);
        let run = |fps: f64| Run {
            frame_ms: vec![1000.0 / fps; 3],
            first_frame_ms: 500_000.0 / fps,
            ..Run::default()
        };
        let frame = Difference {
            psnr_db: Psnr::from_mse(mse),
            ssim: 1.0,
            mse,
            max_error: mse.sqrt(),
            mean_error: mse,
            differing_8_bit_share: 0.0,
            non_finite: 0,
        };
        Measurement {
            runs: fps.map(run).to_vec(),
            memory: Some(EngineMemory { device_mib: mib, pinned_host_mib: 0.0 }),
            fidelity: Fidelity::of(case, vec![frame]),
            ..Measurement::new(case)
        }
    }

    #[test]
    fn small_changes_of_few_runs_are_noise() {
        let spread = |fps: &[f64]| Spread::of(fps).expect("runs");
        let change = |after: &[f64], before: &[f64]| {
            faster(&spread(after), &spread(before), Noise::default())
        };
        use Change::{Better, Same, Worse};
        // Two runs of the same program a minute later.
        assert_eq!(change(&[97.0, 97.2], &[100.0, 100.5]), Same);
        assert_eq!(change(&[90.0, 90.2], &[100.0, 100.5]), Worse);
        assert_eq!(change(&[92.0], &[100.0]), Same);
        assert_eq!(change(&[112.0], &[100.0, 101.0, 99.9]), Better);
        assert_eq!(change(&[97.0, 97.2, 97.1], &[100.0, 100.5, 100.2]), Worse);
    }

    #[test]
    fn overlapping_runs_are_unchanged() {
        let before = measured([100.0, 101.0, 99.0], 100.0, 1e-6);
        let changes = |after: &Measurement| {
            let rows = rows("it", &before, after, &RunNoise::among([&before, after].into_iter()));
            let of =
                |what: &str| rows.iter().find(|row| row.what.starts_with(what)).expect(what).change;
            ["latency", "engine", "first", "PSNR", "max error"].map(of)
        };
        use Change::{Better, Same, Worse};
        assert_eq!(changes(&before), [Same; 5]);
        assert_eq!(changes(&measured([100.5, 99.5, 120.0], 103.0, 1.1e-6)), [Same; 5]);
        assert_eq!(
            changes(&measured([110.0, 111.0, 112.0], 90.0, 1e-7)),
            [Better, Better, Better, Better, Same]
        );
        assert_eq!(
            changes(&measured([90.0, 91.0, 92.0], 110.0, 2e-5)),
            [Worse, Worse, Worse, Worse, Same]
        );
        assert_eq!(changes(&measured([100.0, 101.0, 99.0], 100.0, 1e-2))[3..], [Worse, Worse]);
        // Comparisons over different numbers of frames are not comparable.
        let none = RunNoise::among([].into_iter());
        let mut fewer = before.clone();
        fewer.fidelity.as_mut().expect("fidelity").frames.clear();
        assert!(rows("it", &before, &fewer, &none).iter().all(|row| !FIDELITY.contains(&row.what)));
        // Identical frames are the best, and equal to themselves.
        let exact = measured([100.0, 101.0, 99.0], 100.0, 0.0);
        let psnr = |old: &Measurement, new: &Measurement| {
            let rows = rows("it", old, new, &none);
            rows.iter().find(|row| row.what == PSNR).expect("a PSNR").change
        };
        assert_eq!(changes(&exact)[3], Better);
        assert_eq!(psnr(&exact, &exact), Same);
        assert_eq!(psnr(&exact, &before), Worse);
        let mut broken = before.clone();
        broken.fidelity.as_mut().expect("fidelity").non_finite = 1;
        let rows = rows("it", &before, &broken, &none);
        let of = rows.iter().find(|row| row.what == NON_FINITE).expect("a row");
        assert_eq!(of.change, Worse);
    }

    #[test]
    fn process_peaks_are_compared_only_from_a_similar_start() {
        let measured = |before_mib: f64, peak_mib: f64| {
            let mut m = measured([100.0; 3], 100.0, 1e-6);
            for run in &mut m.runs {
                run.rss_before_mib = before_mib;
                run.peak_rss_mib = peak_mib;
                run.peak_rss_is_of_run = true;
            }
            m.summarize(2);
            m
        };
        let none = RunNoise::among([].into_iter());
        let change = |old: &Measurement, new: &Measurement| {
            let rows = rows("it", old, new, &none);
            rows.iter().find(|row| row.what == PROCESS_PEAK).map(|row| row.change)
        };
        let before = measured(20.0, 100.0);
        assert_eq!(change(&before, &measured(24.0, 101.0)), Some(Change::Same));
        assert_eq!(change(&before, &measured(24.0, 300.0)), Some(Change::Worse));
        assert_eq!(change(&before, &measured(120.0, 300.0)), None);
    }
}
