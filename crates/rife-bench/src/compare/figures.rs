//! Figures of a configuration before and after, and from which change on they differ.

use super::{Change, Row};
use crate::measure::ablation::{Gain, Verdict};
use crate::measure::fidelity::Fidelity;
use crate::measure::{Measurement, Run};
use crate::record::Record;
use crate::stats::{Noise, Spread};

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

const PSNR: &str = "PSNR, dB";
const SSIM: &str = "SSIM";
const MAX_ERROR: &str = "max error, 1/255";
const NON_FINITE: &str = "non-finite samples";
/// Figures of fidelity to a reference.
pub(super) const FIDELITY: [&str; 4] = [PSNR, SSIM, MAX_ERROR, NON_FINITE];
const TRUTH: &str = "ground truth, dB";

/// Of the whole process. Comparable only if it started from similar memory.
pub(super) const PROCESS_PEAK: &str = "process peak, MiB";

/// Noise between the runs of both records, separately for each mode.
pub(super) struct RunNoise {
    latency: Noise,
    device: Noise,
    end_to_end: Noise,
    first: Noise,
}

impl RunNoise {
    pub(super) fn of(before: &Record, after: &Record) -> Self {
        Self::among(before.measurements.iter().chain(&after.measurements))
    }

    pub(super) fn among<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> Self {
        let all: Vec<_> = measurements.collect();
        let among =
            |of: fn(&Measurement) -> Option<Spread>| Noise::among(all.iter().filter_map(|m| of(m)));
        Self {
            latency: among(|m| latency(&m.runs)),
            device: among(Measurement::device_run_fps),
            end_to_end: among(Measurement::end_to_end_run_fps),
            first: among(first_frames),
        }
    }
}

/// First frames as a rate, without the first run, which may have compiled and tuned kernels.
fn first_frames(m: &Measurement) -> Option<Spread> {
    Spread::of(&over(m.runs.get(1..)?, |run| 1.0 / run.first_frame_ms))
}

/// Whether resident memory was similar at the start of the runs of both.
pub(super) fn similar_start(old: &Measurement, new: &Measurement) -> bool {
    let before = |m: &Measurement| Spread::of(&over(&m.runs, |run| run.rss_before_mib));
    let all = |m: &Measurement| m.runs.iter().all(|run| run.peak_rss_is_of_run);
    all(old)
        && all(new)
        && before(old).zip(before(new)).is_some_and(|(old, new)| {
            old.max.max(new.max) - old.min.min(new.min) <= SIMILAR_START_MIB
        })
}

pub(super) fn rows(
    name: &str,
    old: &Measurement,
    new: &Measurement,
    noises: &RunNoise,
) -> Vec<Row> {
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
        speed("device, fps", noises.device, &Measurement::device_run_fps),
        speed("end to end, fps", noises.end_to_end, &Measurement::end_to_end_run_fps),
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
pub(super) fn truths(before: &Record, after: &Record) -> Vec<Row> {
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
pub(super) fn faster(after: &Spread, before: &Spread, noise: Noise) -> Change {
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

#[cfg(test)]
mod tests {
    use super::*;
    use rife_model::ModelVersion;

    use crate::metrics::Difference;
    use crate::subject::{Config, EngineMemory};

    fn measured(fps: [f64; 3], mib: f64, mse: f64) -> Measurement {
        let case = Config::reference(ModelVersion::V4_6);
        let run = |fps: f64| Run {
            frame_ms: vec![1000.0 / fps; 3],
            first_frame_ms: 500_000.0 / fps,
            ..Run::default()
        };
        Measurement {
            runs: fps.map(run).to_vec(),
            memory: Some(EngineMemory { device_mib: mib, pinned_host_mib: 0.0 }),
            fidelity: Fidelity::of(case, vec![Difference::of_mse(mse)]),
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
