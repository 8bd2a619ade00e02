//! Speed and fidelity of every configuration, in turns.

use super::fidelity::{self, Candidate, Comparison};
use super::kernels::{self, FrameTimes};
use super::{Measurement, Run, Setup, timing};
use crate::plan::default_kernel_runs;
use crate::subject::{Config, Engine, Precision};

/// Profiles every optimized configuration. A failure is recorded with its measurement.
pub(crate) fn profile(setup: Setup<'_>, measurements: &mut [Measurement]) -> Vec<FrameTimes> {
    let Setup { plan, clip, engines, watcher } = setup;
    let runs = default_kernel_runs(plan.device);
    let optimized =
        measurements.iter_mut().filter(|m| m.config.is_optimized() && m.error.is_none());
    let times = optimized.take_while(|_| !watcher.stopped()).filter_map(|m| {
        watcher.step(&format!("{}, profile", m.config), runs);
        match kernels::frame_times(engines, m.config, plan.device, clip, runs) {
            Ok(times) => Some(times),
            Err(error) => {
                m.error = Some(format!("cannot profile: {error:#}"));
                None
            }
        }
    });
    times.collect()
}

/// Measures every configuration of a plan on one clip. A failure is recorded and does not affect
/// the other configurations.
///
/// The configurations take turns, so that a machine that slows down or becomes busy affects all of
/// them equally.
pub(crate) fn measure(setup: Setup<'_>) -> (Vec<Measurement>, Vec<Comparison>) {
    let Setup { plan, clip, watcher, .. } = setup;
    let mut comparisons = Vec::new();
    let mut all: Vec<_> = plan.configs.iter().map(|config| Measurement::new(*config)).collect();
    for repeat in 1..=plan.args.repeats {
        for measurement in all.iter_mut().filter(|m| m.error.is_none()) {
            if watcher.stopped() {
                break;
            }
            let config = measurement.config;
            let name = format!("{config}, run {repeat} of {}", plan.args.repeats);
            watcher.step(&name, plan.frames * plan.modes.len());
            measurement.add(timing::run(setup, config, &plan.modes));
        }
    }

    for model in plan.models() {
        if watcher.stopped() {
            break;
        }
        let reference = plan.args.reference.config(model);
        let mut measured: Vec<_> = all
            .iter_mut()
            .filter(|m| m.config.model == model && m.config != reference && m.error.is_none())
            .collect();
        if measured.is_empty() {
            continue;
        }
        // Beyond these the clip repeats, and so would the differences.
        let distinct = (plan.args.factor - 1).saturating_mul(clip.distinct_pairs());
        let configs: Vec<_> = measured.iter().map(|m| m.config).collect();
        let candidates: Vec<_> = measured
            .iter()
            .map(|m| Candidate {
                config: m.config,
                frames: m.runs.iter().map(Run::frames).max().unwrap_or(0).min(distinct),
                also_with: also_compared_with(m.config, &configs),
            })
            .collect();
        let most = candidates.iter().map(|one| one.frames).max().unwrap_or(0);
        watcher.step(&format!("{model}, fidelity"), most);
        match fidelity::compare_all(setup, reference, &candidates) {
            Ok((fidelities, pairs)) => {
                comparisons.extend(pairs);
                for (m, fidelity) in measured.iter_mut().zip(fidelities) {
                    m.fidelity = Some(fidelity);
                }
            }
            Err(error) => {
                for m in &mut measured {
                    m.error = Some(format!("cannot compare with {reference}: {error:#}"));
                }
            }
        }
    }

    all.iter_mut().for_each(|m| m.summarize(plan.args.factor));
    (all, comparisons)
}

/// Indices of the configurations that one is compared with in addition to the reference: the
/// optimized engine below F32 with the baseline in the same precision, and with itself in F32.
fn also_compared_with(config: Config, configs: &[Config]) -> Vec<usize> {
    if !config.is_optimized() || config.precision == Precision::F32 {
        return Vec::new();
    }
    [(Engine::Baseline, config.precision), (Engine::Optimized, Precision::F32)]
        .into_iter()
        .filter_map(|other| configs.iter().position(|one| (one.engine, one.precision) == other))
        .collect()
}
