//! Two records of the same configurations: what changed beyond what their runs' spread explains.

use rife_model::ModelVersion;

use crate::measure::ablation::{Ablation, Gain, Verdict};
use crate::measure::fidelity::Fidelity;
use crate::measure::scaling::ScalingPoint;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::stats::{Noise, Spread};
use crate::subject::{Case, Size, SubjectInfo};

/// What frames a second may differ by, as a share, where one of the records has this many runs: two
/// runs that do not overlap with two others do so by chance one time in three, and the same program
/// on the same machine is a few percent off now and then.
const FEW_RUNS: [(usize, f64); 2] = [(1, 0.1), (2, 0.05)];
/// What an engine's own account of memory may differ by, as a share: it is planned, not sampled.
const MEMORY_NOISE: f64 = 0.01;
/// The same of what the system counts, in which allocators and drivers have a say.
const SAMPLED_MEMORY_NOISE: f64 = 0.05;
/// Milliseconds that a first frame may take longer: what the system does meanwhile.
const LEAST_FIRST_MS: f64 = 50.0;
/// MiB that a process may differ by when a run begins for what it held at most to be the run's.
const BEGUN_ALIKE_MIB: f64 = 16.0;
/// MiB below which nothing is more memory, whatever its share.
const LEAST_MIB: f64 = 4.0;
/// dB that fidelity may fall by: what another order of the same arithmetic does.
const LEAST_DB: f64 = 0.5;
/// dB that fidelity to the truth may fall by, which is far from exact anyway.
const LEAST_TRUTH_DB: f64 = 0.05;
/// SSIM that may be lost.
const LEAST_SSIM: f64 = 1e-4;
/// The largest error of a single sample that may come anew, in steps of 8 bits, and as a share of
/// what it was: the largest of millions moves with every order of the same arithmetic.
const LEAST_ERROR: (f64, f64) = (1.0, 1.0);

/// What a figure did.
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
    /// The configuration, and its size.
    pub name: String,
    /// The figure, with its unit.
    pub what: &'static str,
    /// What it was.
    pub before: f64,
    /// What it is.
    pub after: f64,
    /// What that means.
    pub change: Change,
}

/// Two records held against each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Every figure that both have, in the order of the later record.
    pub rows: Vec<Row>,
    /// How the records differ in what they measured and on what: such figures may not be compared.
    pub differences: Vec<String>,
    /// Those among them with which no figure says anything of the other's.
    pub incomparable: Vec<String>,
    /// Whether speed was held against speed of so few runs that smaller changes are not told from
    /// noise.
    pub few_runs: bool,
    /// Configurations that failed in the later record and did not in the earlier: a regression,
    /// too.
    pub failed: Vec<String>,
    /// What the earlier record has and the later has not: who does not look cannot see a
    /// regression.
    pub lost: Vec<String>,
}

impl Compared {
    /// Holds `after` against `before`.
    pub fn of(before: &Record, after: &Record) -> Self {
        let (differences, incomparable) = differences(before, after);
        let mut compared = Self { differences, incomparable, ..Self::default() };
        let noises = Noises::of(before, after);
        let mut only_after = 0;
        for new in &after.measurements {
            let key = key(after, new);
            let old = before.measurements.iter().find(|old| self::key(before, old) == key);
            let Some(old) = old else {
                only_after += 1;
                continue;
            };
            compared.hold(&format!("{} at {}", new.case, key.1), old, new, &noises);
        }
        compared.ablations(before, after);
        compared.scaling(before, after);
        let truths = truths(before, after);
        if truths.is_empty() && before.quality.is_some() {
            compared.lost.push("fidelity to the truth, of the same clip".into());
        }
        compared.rows.extend(truths);
        for old in before.measurements.iter().filter(|old| old.error.is_none()) {
            let key = key(before, old);
            if after.measurements.iter().all(|new| self::key(after, new) != key) {
                compared.lost.push(format!("{} at {}", old.case, key.1));
            }
        }
        let matched = after.measurements.len() - only_after;
        for (what, count) in [
            ("before", before.measurements.len() - matched.min(before.measurements.len())),
            ("after", only_after),
        ] {
            if count > 0 {
                compared.differences.push(format!("{count} configuration(s) only {what}"));
            }
        }
        compared
    }

    /// Holds a configuration against what it was.
    fn hold(&mut self, name: &str, old: &Measurement, new: &Measurement, noises: &Noises) {
        if old.error.is_none()
            && let Some(error) = &new.error
        {
            self.failed.push(format!("{name}: {error}"));
        }
        let both = rows(name, old, new, noises);
        let mut of_old = rows(name, old, old, noises);
        // What cannot be held against each other is there nevertheless.
        let fidelity = |m: &Measurement| m.fidelity.is_some();
        of_old.retain(|row| !(FIDELITY.contains(&row.what) && fidelity(new)));
        if began_alike(old, old) && !began_alike(old, new) {
            of_old.retain(|row| row.what != PROCESS_PEAK);
        }
        self.few_runs |= old.runs.len().min(new.runs.len()) < 3 && !both.is_empty();
        let gone = of_old.iter().filter(|row| both.iter().all(|other| other.what != row.what));
        self.lost.extend(gone.map(|row| format!("{name}: {}", row.what)));
        self.rows.extend(both);
    }

    /// Holds what was seen without optimizations, and with each alone, against what it was.
    fn ablations(&mut self, before: &Record, after: &Record) {
        let place = |record: &Record, of: &Ablation| key(record, &of.all);
        for old in &before.ablations {
            let key = place(before, old);
            let whole = format!("{} at {}", key.0, key.1);
            let Some(new) = after.ablations.iter().find(|new| place(after, new) == key) else {
                self.lost.push(format!("{whole}, what each optimization is worth"));
                continue;
            };
            let noises = Noises::among(old.seen().chain(new.seen()));
            let after: Vec<_> = parts(new).collect();
            for (part, old) in parts(old) {
                let name = format!("{whole} {part}");
                match after.iter().find(|(other, _)| *other == part) {
                    Some((_, new)) => self.hold(&name, old, new, &noises),
                    None => self.lost.push(name),
                }
            }
        }
    }

    /// Holds how cost grows against how it grew.
    fn scaling(&mut self, before: &Record, after: &Record) {
        let noise = Noise::among(
            before.scaling.iter().chain(&after.scaling).filter_map(|point| point.run_fps.as_ref()),
        );
        let of = |p: &ScalingPoint| (p.axis, p.case, p.size, p.threads, p.batch);
        for old in &before.scaling {
            let threads = old.threads.map_or(String::new(), |n| format!(" on {n} threads"));
            let name = format!("{} at {}{threads}, {} at once", old.case, old.size, old.batch);
            let Some(new) = after.scaling.iter().find(|new| of(new) == of(old)) else {
                self.lost.push(name);
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

    /// Whether something became worse.
    pub fn is_regression(&self) -> bool {
        !self.failed.is_empty()
            || !self.lost.is_empty()
            || self.rows.iter().any(|row| row.change == Change::Worse)
    }
}

/// What was seen of an ablation, each with what was on or off; what has everything on is among the
/// measurements.
fn parts(of: &Ablation) -> impl Iterator<Item = (String, &Measurement)> {
    let off = of.without.iter().map(|v| (format!("without {}", v.off), &v.seen));
    let alone = of.alone.iter().flat_map(|alone| {
        let with = alone.with.iter().map(|v| (format!("with {} alone", v.on), &v.seen));
        [("with nothing".to_owned(), &alone.none)].into_iter().chain(with)
    });
    [("with everything".to_owned(), &of.all)].into_iter().chain(off).chain(alone)
}

/// How much the runs of both records differ, each way of measuring by itself.
struct Noises {
    latency: Noise,
    device: Noise,
    end_to_end: Noise,
    first: Noise,
}

impl Noises {
    fn of(before: &Record, after: &Record) -> Self {
        Self::among(before.measurements.iter().chain(&after.measurements))
    }

    fn among<'a>(seen: impl Iterator<Item = &'a Measurement>) -> Self {
        let seen: Vec<_> = seen.collect();
        let among = |of: fn(&Measurement) -> Option<Spread>| {
            let spreads: Vec<_> = seen.iter().filter_map(|m| of(m)).collect();
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

/// First frames, as a rate, of the runs after the first: that may have compiled and timed kernels.
fn first_frames(m: &Measurement) -> Option<Spread> {
    Spread::of(&over(m.runs.get(1..)?, |run| 1.0 / run.first_frame_ms))
}

/// Whether the process held about as much when the runs of both began.
fn began_alike(old: &Measurement, new: &Measurement) -> bool {
    let before = |m: &Measurement| Spread::of(&over(&m.runs, |run| run.rss_before_mib));
    let all = |m: &Measurement| m.runs.iter().all(|run| run.peak_rss_is_of_run);
    all(old)
        && all(new)
        && before(old).zip(before(new)).is_some_and(|(old, new)| {
            old.max.max(new.max) - old.min.min(new.min) <= BEGUN_ALIKE_MIB
        })
}

fn key(record: &Record, m: &Measurement) -> (Case, Size) {
    (m.case, m.size.unwrap_or(record.settings.size))
}

fn rows(name: &str, old: &Measurement, new: &Measurement, noises: &Noises) -> Vec<Row> {
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
        let least = (noise * before).max(LEAST_MIB);
        row(what, before, after, change(before - after, least))
    };
    let first = || {
        let ms = |m: &Measurement| Spread::of(&over(&m.runs, |run| run.first_frame_ms));
        let rate = |m: &Measurement| Spread::of(&over(&m.runs, |run| 1.0 / run.first_frame_ms));
        let (before, after) = (ms(old)?.median, ms(new)?.median);
        let change = match faster(&rate(new)?, &rate(old)?, noises.first) {
            _ if (after - before).abs() < LEAST_FIRST_MS => Change::Same,
            change => change,
        };
        row("first frame, ms", before, after, change)
    };
    // Of as many frames, that were held against the same reference.
    let near = |what, of: &dyn Fn(&Fidelity) -> f64, judge: &dyn Fn(f64, f64) -> Change| {
        let (old, new) = (old.fidelity.as_ref()?, new.fidelity.as_ref()?);
        let (before, after) = (of(old), of(new));
        let alike = old.reference == new.reference && old.frames.len() == new.frames.len();
        alike.then(|| row(what, before, after, judge(before, after)))?
    };
    let error = |before: f64, after: f64| {
        let least = LEAST_ERROR.0.max(LEAST_ERROR.1 * before.min(after));
        change(before - after, least)
    };
    [
        speed("latency, fps", noises.latency, &|m| latency(&m.runs)),
        speed("device, fps", noises.device, &device),
        speed("end to end, fps", noises.end_to_end, &end_to_end),
        memory("engine, MiB", MEMORY_NOISE, &|m| Some(m.memory?.device_mib)),
        memory("GPU peak, MiB", SAMPLED_MEMORY_NOISE, &Measurement::peak_gpu_mib),
        memory(PROCESS_PEAK, SAMPLED_MEMORY_NOISE, &|m| Some(m.summary.as_ref()?.peak_rss_mib))
            .filter(|_| began_alike(old, new)),
        first(),
        near(PSNR, &|f| f.psnr_db.0, &|before, after| decibels(before, after, LEAST_DB)),
        near(SSIM, &|f| f.ssim, &|before, after| change(after - before, LEAST_SSIM)),
        near(LARGEST, &|f| 255.0 * f.max_error, &error),
        near(NOT_FINITE, &|f| f.non_finite as f64, &|before, after| change(before - after, 0.0)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Fidelity to a real clip, where both were held against the same one.
fn truths(before: &Record, after: &Record) -> Vec<Row> {
    let (Some(old), Some(new)) = (&before.quality, &after.quality) else { return Vec::new() };
    if (&old.clip, old.size, old.frames) != (&new.clip, new.size, new.frames) {
        return Vec::new();
    }
    let both = new.results.iter().filter_map(|result| {
        let other = old.results.iter().find(|other| other.case == result.case)?;
        let (before, after) = (other.truth.as_ref()?.psnr_db.0, result.truth.as_ref()?.psnr_db.0);
        let change = decibels(before, after, LEAST_TRUTH_DB);
        let name = format!("{} on {}", result.case, new.clip);
        Some(Row { name, what: TRUTH, before, after, change })
    });
    both.collect()
}

const PSNR: &str = "PSNR, dB";
const SSIM: &str = "SSIM";
const LARGEST: &str = "largest error, 1/255";
const NOT_FINITE: &str = "samples that are not finite";
/// All that is of frames against a reference.
const FIDELITY: [&str; 4] = [PSNR, SSIM, LARGEST, NOT_FINITE];
const TRUTH: &str = "against the truth, dB";

/// Of the process as a whole: where it held something else when the runs began, it says nothing of
/// them.
const PROCESS_PEAK: &str = "process peak, MiB";

fn change(gained: f64, least: f64) -> Change {
    match gained {
        gained if gained > least => Change::Better,
        gained if gained < -least => Change::Worse,
        _ => Change::Same,
    }
}

/// What a change of PSNR is. Both may be infinite: then they are the same.
fn decibels(before: f64, after: f64, least: f64) -> Change {
    change(if before == after { 0.0 } else { after - before }, least)
}

/// What a change of speed is.
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

/// The runs' own frames a second, one frame at a time.
fn latency(runs: &[Run]) -> Option<Spread> {
    let fps = |run: &Run| Some(1000.0 / Spread::of(&run.frame_ms)?.median);
    Spread::of(&runs.iter().filter_map(fps).collect::<Vec<_>>())
}

/// What has to be alike for figures to say something of each other: all that is not, and of it what
/// leaves nothing to say.
fn differences(before: &Record, after: &Record) -> (Vec<String>, Vec<String>) {
    let (mut all, mut incomparable) = (Vec::new(), Vec::new());
    let mut check = |what: &str, a: String, b: String| {
        // Of configurations that only one has, others may be among them.
        let other_work = match what {
            "threads" => disagree(before, after, |subject| subject.threads),
            "weights" => disagree(before, after, |subject| Some(subject.weights)),
            _ => OF_OTHER_WORK.contains(&what),
        };
        if a != b {
            let one = format!("{what}: {a} before, {b} after");
            incomparable.extend(other_work.then(|| one.clone()));
            all.push(one);
        }
    };
    let gpus = |r: &Record| {
        let names: Vec<_> = r.machine.gpus.iter().map(|gpu| gpu.name.clone()).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    };
    let both = |of: &dyn Fn(&Record) -> String| (of(before), of(after));
    let (a, b) = both(&|r| format!("{}, {} cores", r.machine.cpu, r.machine.cores));
    check("processor", a, b);
    let (a, b) = both(&gpus);
    check("GPUs", a, b);
    let (a, b) = both(&|r| r.settings.device.to_string());
    check("device", a, b);
    let (a, b) = both(&|r| r.settings.clip.to_string());
    check("clip", a, b);
    let (a, b) = both(&|r| r.settings.factor.to_string());
    check("factor", a, b);
    let (a, b) = both(&|r| if r.build.debug_assertions { "debug" } else { "release" }.into());
    check("build", a, b);
    let (a, b) = both(&|r| if r.settings.stopped { "stopped" } else { "whole" }.into());
    check("record", a, b);
    let modes = |r: &Record| r.settings.modes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (a, b) = both(&|r| modes(r).join(", "));
    check("modes", a, b);
    let (a, b) = both(&threads);
    check("threads", a, b);
    let (a, b) = both(&weights);
    check("weights", a, b);
    let (a, b) = both(&|r| r.settings.clip_frames.to_string());
    check("frames of the clip", a, b);
    let (a, b) = both(&|r| r.settings.frames.to_string());
    check("frames a run", a, b);
    let (a, b) = both(&|r| r.settings.warmup.to_string());
    check("frames to warm up", a, b);
    let (a, b) = both(&|r| r.settings.budget_s.map_or_else(|| "none".into(), |s| format!("{s} s")));
    check("time budget", a, b);
    (all, incomparable)
}

/// Differences that make figures those of other work, or of another machine.
const OF_OTHER_WORK: [&str; 7] =
    ["processor", "GPUs", "device", "clip", "frames of the clip", "factor", "build"];

/// Whether a configuration that both have ran with something else.
fn disagree<T: PartialEq>(
    before: &Record,
    after: &Record,
    of: impl Fn(&SubjectInfo) -> Option<T>,
) -> bool {
    after.measurements.iter().any(|new| {
        let old = before.measurements.iter().find(|old| key(before, old) == key(after, new));
        let said = |m: &Measurement| of(m.subject.as_ref()?);
        old.and_then(said).zip(said(new)).is_some_and(|(old, new)| old != new)
    })
}

/// What engines said of their threads; older records hold nothing of it.
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

/// Whose weights each model ran with.
fn weights(record: &Record) -> String {
    let mut pairs: Vec<(ModelVersion, ModelVersion)> = record
        .measurements
        .iter()
        .filter_map(|m| Some((m.case.model, m.subject.as_ref()?.weights)))
        .collect();
    pairs.sort();
    pairs.dedup();
    let pairs: Vec<_> =
        pairs.iter().map(|(model, weights)| format!("{model} of {weights}")).collect();
    pairs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Difference, Psnr};
    use crate::subject::EngineMemory;

    fn measured(fps: [f64; 3], mib: f64, mse: f64) -> Measurement {
        let case = Case::reference(ModelVersion::V4_6);
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
            ..Measurement::of(case)
        }
    }

    #[test]
    fn few_runs_tell_no_small_change() {
        let spread = |fps: &[f64]| Spread::of(fps).expect("runs");
        let change = |after: &[f64], before: &[f64]| {
            faster(&spread(after), &spread(before), Noise::default())
        };
        use Change::{Better, Same, Worse};
        // Two runs of a program that is what it was, a minute later.
        assert_eq!(change(&[97.0, 97.2], &[100.0, 100.5]), Same);
        assert_eq!(change(&[90.0, 90.2], &[100.0, 100.5]), Worse);
        assert_eq!(change(&[92.0], &[100.0]), Same);
        assert_eq!(change(&[112.0], &[100.0, 101.0, 99.9]), Better);
        assert_eq!(change(&[97.0, 97.2, 97.1], &[100.0, 100.5, 100.2]), Worse);
    }

    #[test]
    fn what_runs_overlap_in_is_the_same() {
        let before = measured([100.0, 101.0, 99.0], 100.0, 1e-6);
        let changes = |after: &Measurement| {
            let rows = rows("it", &before, after, &Noises::among([&before, after].into_iter()));
            let of =
                |what: &str| rows.iter().find(|row| row.what.starts_with(what)).expect(what).change;
            ["latency", "engine", "first", "PSNR", "largest"].map(of)
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
        // Fewer frames against the reference are not more or less exact.
        let none = Noises::among([].into_iter());
        let mut fewer = before.clone();
        fewer.fidelity.as_mut().expect("fidelity").frames.clear();
        assert!(rows("it", &before, &fewer, &none).iter().all(|row| !FIDELITY.contains(&row.what)));
        // Nothing is more exact than the same frames, and the same frames are the same.
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
        let of = rows.iter().find(|row| row.what.starts_with("samples")).expect("a row");
        assert_eq!(of.change, Worse);
    }

    #[test]
    fn what_a_process_held_counts_where_it_began_with_as_much() {
        let measured = |before_mib: f64, peak_mib: f64| {
            let mut m = measured([100.0; 3], 100.0, 1e-6);
            for run in &mut m.runs {
                run.rss_before_mib = before_mib;
                run.peak_rss_mib = peak_mib;
                run.peak_rss_is_of_run = true;
            }
            m.sum_up(2);
            m
        };
        let none = Noises::among([].into_iter());
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
