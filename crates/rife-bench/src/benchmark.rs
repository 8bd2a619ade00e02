//! Runs a plan from its first clip to the record.

use anyhow::{Context, Result};

use crate::measure::configurations::{measure, profile};
use crate::measure::{Setup, Watcher, ablation, gpu, peers, quality, scaling};
use crate::plan::Plan;
use crate::record::{Header, Record, Settings};
use crate::subject::{Engines, cuda_ordinal};

/// Runs a plan. Only the frames of one size are in memory at a time.
///
/// # Errors
/// When input cannot be read. Failures of an engine are recorded with its results.
pub fn run(plan: &Plan, engines: &dyn Engines, watcher: &dyn Watcher) -> Result<Record> {
    let (mut clips, mut measurements, mut ablations) = (Vec::new(), Vec::new(), Vec::new());
    let (mut comparisons, mut profiles, mut peers) = (Vec::new(), Vec::new(), Vec::new());
    let gpu_busy_before_percent = cuda_ordinal(plan.device).and_then(gpu::busy_percent);
    for source in &plan.sources {
        let clip = &source.load(plan.pairs(plan.frames))?;
        let setup = Setup { plan, clip, engines, watcher };
        let size = (plan.sources.len() > 1).then_some(clip.size);
        let (mut measured, mut pairs) = measure(setup);
        measured.iter_mut().for_each(|m| m.size = size);
        pairs.iter_mut().for_each(|pair| pair.size = size);
        comparisons.extend(pairs);
        if plan.args.profile && !watcher.stopped() {
            profiles.extend(profile(setup, &mut measured));
        }
        measurements.extend(measured);
        if plan.args.ablate && !watcher.stopped() {
            for config in plan.optimized() {
                let mut ablation = ablation::ablate(setup, config);
                ablation.all_measurements_mut().for_each(|m| m.size = size);
                ablations.push(ablation);
            }
        }
        if let Some(peers_plan) = &plan.peers
            && !watcher.stopped()
        {
            peers.extend(peers::measure(setup, peers_plan)?);
        }
        clips.push(clip.facts());
    }
    let quality = match &plan.quality {
        Some(clip) if !watcher.stopped() => Some(quality::measure(plan, clip, engines, watcher)?),
        _ => None,
    };
    let scaling = if plan.args.scaling && !watcher.stopped() {
        scaling::measure(plan, engines, watcher)?
    } else {
        Vec::new()
    };
    let mut clips = clips.into_iter();
    let clip = clips.next().context("no input frames")?;
    let settings = Settings {
        size: clip.size,
        device: plan.device,
        frames: plan.frames,
        repeats: plan.args.repeats,
        warmup: plan.warmup,
        stopped: watcher.stopped(),
        gpu_busy_before_percent,
        budget_s: plan.budget.map(|budget| budget.as_secs_f64()),
        timestep: plan.position(0).timestep,
        factor: plan.args.factor,
        clip: clip.origin,
        clip_frames: clip.frames,
        clip_mib: clip.mib,
        further_clips: clips.collect(),
        modes: plan.modes.clone(),
    };
    Ok(Record {
        header: Header::now(),
        settings,
        measurements,
        ablations,
        comparisons,
        profiles,
        quality,
        scaling,
        peers,
    })
}
