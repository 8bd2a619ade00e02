//! Differences in what was measured, how, and on what.

use rife_model::ModelVersion;

use super::key;
use crate::measure::Measurement;
use crate::record::Record;
use crate::subject::SubjectInfo;

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
pub(super) fn differences(before: &Record, after: &Record) -> (Vec<String>, Vec<String>) {
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
