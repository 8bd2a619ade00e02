//! Comparison of two records of the same configurations: changes beyond the noise of the runs.

mod circumstances;
mod figures;

use crate::measure::Measurement;
use crate::measure::ablation::Ablation;
use crate::measure::scaling::ScalingPoint;
use crate::record::Record;
use crate::stats::Noise;
use crate::subject::{Config, Size};
use circumstances::differences;
use figures::{FIDELITY, PROCESS_PEAK, RunNoise, faster, rows, similar_start, truths};

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
            before.scaling.iter().chain(&after.scaling).filter_map(|point| point.run_fps),
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

/// The configuration and size that identify a measurement.
fn key(record: &Record, m: &Measurement) -> (Config, Size) {
    (m.config, record.size_of(m))
}
