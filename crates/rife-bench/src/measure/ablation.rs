//! What each optimization is worth: a configuration with all of them, and without each alone, on
//! the same frames.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::fidelity::Fidelity;
use super::{Measurement, TIMESTEP, Watcher, timing};
use crate::clip::Clip;
use crate::metrics::compare;
use crate::plan::Plan;
use crate::stats::{Noise, Spread};
use crate::subject::{Case, Engines, Optimization, Subject, as_text};

/// Frames that are compared with those of everything on.
const FRAMES_COMPARED: usize = 4;
/// A gain below which nothing is said to help or hurt, however alike the runs were.
pub(crate) const LEAST_GAIN: f64 = 0.01;
/// The same where there is one run of each, which tells nothing of their spread.
pub(crate) const LEAST_GAIN_OF_ONE_RUN: f64 = 0.03;

/// One configuration, with all its optimizations and without each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// Everything on, that is: all that the configuration has on.
    pub all: Measurement,
    /// Each optimization in effect, and the configuration without it.
    pub without: Vec<Variant>,
    /// The engine with none of them, and with each alone; absent from older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Alone>,
}

/// The engine with all optimizations off, and with each on alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alone {
    /// Everything off that can be.
    pub none: Measurement,
    /// Each optimization on alone.
    pub with: Vec<AloneVariant>,
}

/// The engine with one optimization alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AloneVariant {
    /// What is on.
    #[serde(with = "as_text")]
    pub on: Optimization,
    /// What was seen; its fidelity is against everything on.
    pub seen: Measurement,
    /// What it is worth on the device; `None` where that is not known.
    pub device: Option<Gain>,
    /// What it is worth from host memory to host memory; `None` where that is not known.
    pub end_to_end: Option<Gain>,
}

/// A configuration without one more optimization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What is off.
    #[serde(with = "as_text")]
    pub off: Optimization,
    /// What was seen; its fidelity is against everything on.
    pub seen: Measurement,
    /// What the optimization is worth on the device; `None` where that is not known.
    pub device: Option<Gain>,
    /// What it is worth from host memory to host memory; `None` where that is not known.
    pub end_to_end: Option<Gain>,
}

/// What an optimization is worth in frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The median run with it over the median run without it, less 1.
    pub gain: f64,
    /// The slowest run with it over the fastest without it, less 1.
    pub least: f64,
    /// The fastest run with it over the slowest without it, less 1.
    pub most: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// What having an optimization did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every run with it was faster than every run without it, by more than the runs differ.
    Helped,
    /// The runs overlap, or hardly differ.
    Neutral,
    /// Every run with it was slower than every run without it, by more than the runs differ.
    Hurt,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Helped => "helped",
            Self::Neutral => "neutral",
            Self::Hurt => "hurt",
        })
    }
}

impl Gain {
    /// Of the runs' frames a second, with an optimization and without it.
    pub fn of(with: &Spread, without: &Spread) -> Self {
        let gain = with.median / without.median - 1.0;
        let least = with.min / without.max - 1.0;
        let most = with.max / without.min - 1.0;
        let mut all = Self { gain, least, most, verdict: Verdict::Neutral };
        all.judge(0.0);
        all
    }

    /// Says what the figures mean, where they can be apart by the share `by_chance`. That few runs
    /// do not overlap happens by chance one time in three with two of each: the factor has to be
    /// more than all that these runs differ by, too.
    pub fn judge(&mut self, by_chance: f64) {
        let Self { gain, least, most, .. } = *self;
        // Of one run each there is nothing that could differ.
        let least_gain = if least == most { LEAST_GAIN_OF_ONE_RUN } else { LEAST_GAIN };
        let least_gain = least_gain.max(by_chance);
        let noise = (1.0 + most) / (1.0 + least);
        self.verdict = if least > 0.0 && gain >= least_gain && 1.0 + gain >= noise {
            Verdict::Helped
        } else if most < 0.0 && 1.0 / (1.0 + gain) >= (1.0 + least_gain).max(noise) {
            Verdict::Hurt
        } else {
            Verdict::Neutral
        };
    }
}

impl Ablation {
    /// Says of every gain what its figures mean, as this program judges: by how much runs differ
    /// that are of one configuration, over all of those with almost everything on, and over all of
    /// those with almost nothing on, whose launches wait for the host and differ more.
    pub fn judge(&mut self) {
        let without: Vec<_> = self.without.iter().map(|v| &v.seen).collect();
        let noise = Noises::among([&self.all].into_iter().chain(without));
        let all = Runs::of(&self.all);
        for Variant { seen, device, end_to_end, .. } in &mut self.without {
            noise.judge(device, end_to_end, all, Runs::of(seen));
        }
        let Some(Alone { none, with }) = &mut self.alone else { return };
        let noise = Noises::among([&*none].into_iter().chain(with.iter().map(|v| &v.seen)));
        let none = Runs::of(none);
        for AloneVariant { seen, device, end_to_end, .. } in with {
            noise.judge(device, end_to_end, Runs::of(seen), none);
        }
    }

    /// Whether some verdict rests on one run, of which nothing tells the spread.
    pub fn rests_on_one_run(&self) -> bool {
        self.seen().any(|seen| seen.error.is_none() && seen.runs.len() == 1)
    }

    /// Everything on, then without each, then everything off, then each alone.
    pub fn seen(&self) -> impl Iterator<Item = &Measurement> {
        let without = self.without.iter().map(|variant| &variant.seen);
        let alone = self.alone.iter().flat_map(|alone| {
            [&alone.none].into_iter().chain(alone.with.iter().map(|variant| &variant.seen))
        });
        [&self.all].into_iter().chain(without).chain(alone)
    }

    pub(super) fn seen_mut(&mut self) -> impl Iterator<Item = &mut Measurement> {
        let without = self.without.iter_mut().map(|variant| &mut variant.seen);
        let alone = self.alone.iter_mut().flat_map(|alone| {
            let with = alone.with.iter_mut().map(|variant| &mut variant.seen);
            [&mut alone.none].into_iter().chain(with)
        });
        [&mut self.all].into_iter().chain(without).chain(alone)
    }

    /// A configuration and the optimizations in effect in it, of which nothing was seen yet.
    fn new(case: Case, effective: &[Optimization]) -> Self {
        let off = |off: &Optimization| Variant {
            off: *off,
            seen: Measurement::of(Case { without: case.without.and(*off), ..case }),
            device: None,
            end_to_end: None,
        };
        let only = |on: Option<Optimization>| {
            let off = effective.iter().filter(|one| Some(**one) != on);
            let without = off.fold(case.without, |without, off| without.and(*off));
            Measurement::of(Case { without, ..case })
        };
        let on = |on: &Optimization| AloneVariant {
            on: *on,
            seen: only(Some(*on)),
            device: None,
            end_to_end: None,
        };
        Self {
            all: Measurement::of(case),
            without: effective.iter().map(off).collect(),
            alone: Some(Alone { none: only(None), with: effective.iter().map(on).collect() }),
        }
    }

    fn weigh(&mut self) {
        for variant in &mut self.without {
            (variant.device, variant.end_to_end) = gains(&self.all, &variant.seen);
        }
        if let Some(alone) = &mut self.alone {
            for variant in &mut alone.with {
                (variant.device, variant.end_to_end) = gains(&variant.seen, &alone.none);
            }
        }
        self.judge();
    }
}

/// How many runs a configuration had on the device and end to end.
#[derive(Clone, Copy)]
struct Runs {
    device: usize,
    end_to_end: usize,
}

impl Runs {
    fn of(seen: &Measurement) -> Self {
        Self {
            device: device_runs(seen).map_or(0, |runs| runs.samples),
            end_to_end: end_to_end_runs(seen).map_or(0, |runs| runs.samples),
        }
    }
}

fn device_runs(seen: &Measurement) -> Option<&Spread> {
    Some(&seen.device.as_ref()?.run_fps)
}

fn end_to_end_runs(seen: &Measurement) -> Option<&Spread> {
    Some(&seen.end_to_end.as_ref()?.run_fps)
}

/// How much runs differ on the device and end to end.
struct Noises {
    device: Noise,
    end_to_end: Noise,
}

impl Noises {
    fn among<'a>(seen: impl Iterator<Item = &'a Measurement>) -> Self {
        let seen: Vec<_> = seen.collect();
        Self {
            device: Noise::among(seen.iter().filter_map(|m| device_runs(m))),
            end_to_end: Noise::among(seen.iter().filter_map(|m| end_to_end_runs(m))),
        }
    }

    fn judge(
        &self,
        device: &mut Option<Gain>,
        end_to_end: &mut Option<Gain>,
        with: Runs,
        without: Runs,
    ) {
        if let Some(gain) = device {
            gain.judge(self.device.between(with.device, without.device));
        }
        if let Some(gain) = end_to_end {
            gain.judge(self.end_to_end.between(with.end_to_end, without.end_to_end));
        }
    }
}

/// What the first has over the second, on the device and end to end.
fn gains(with: &Measurement, without: &Measurement) -> (Option<Gain>, Option<Gain>) {
    let device = with.device.as_ref().zip(without.device.as_ref());
    let end_to_end = with.end_to_end.as_ref().zip(without.end_to_end.as_ref());
    (
        device.map(|(with, without)| Gain::of(&with.run_fps, &without.run_fps)),
        end_to_end.map(|(with, without)| Gain::of(&with.run_fps, &without.run_fps)),
    )
}

/// Measures a configuration with everything on and without each optimization, with nothing on and
/// with each alone, round robin, and compares what comes out. What fails is reported as failed.
pub(super) fn ablate(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    case: Case,
    watcher: &dyn Watcher,
) -> Ablation {
    let mut ablation = Ablation::new(case, &[]);
    let reference = engines.load(case, plan.device).and_then(|subject| {
        ablation = Ablation::new(case, &subject.info().optimizations);
        frames(subject.as_ref(), clip)
    });

    let modes = plan.ablation_modes();
    for repeat in 1..=plan.repeats {
        for measurement in ablation.seen_mut().filter(|m| m.error.is_none()) {
            if watcher.stopped() {
                break;
            }
            let name = format!("{}, run {repeat} of {}", measurement.case, plan.repeats);
            watcher.step(&name, plan.frames * modes.len());
            let run = timing::run(plan, clip, engines, measurement.case, &modes, watcher);
            measurement.take(run);
        }
    }
    match reference {
        Ok(reference) => {
            for seen in ablation.seen_mut().skip(1).filter(|seen| seen.error.is_none()) {
                if watcher.stopped() {
                    break;
                }
                let subject = engines.load(seen.case, plan.device);
                match subject.and_then(|s| fidelity(case, s.as_ref(), clip, &reference)) {
                    Ok(fidelity) => seen.fidelity = fidelity,
                    Err(error) => seen.error = Some(format!("{error:#}")),
                }
            }
        }
        Err(error) => ablation.all.error = Some(format!("{error:#}")),
    }
    ablation.seen_mut().for_each(|m| m.sum_up(plan.factor));
    ablation.weigh();
    ablation
}

/// The first frames that an engine makes.
fn frames(subject: &dyn Subject, clip: &Clip) -> Result<Vec<Vec<f32>>> {
    let mut frames = Vec::new();
    each_frame(subject, clip, &mut |frame| frames.push(frame.to_vec()))?;
    Ok(frames)
}

fn fidelity(
    reference: Case,
    subject: &dyn Subject,
    clip: &Clip,
    expected: &[Vec<f32>],
) -> Result<Option<Fidelity>> {
    let (mut expected, mut differences) = (expected.iter(), Vec::new());
    each_frame(subject, clip, &mut |frame| {
        differences.extend(expected.next().map(|expected| compare(clip.size, expected, frame)));
    })?;
    Ok(Fidelity::of(reference, differences))
}

fn each_frame(subject: &dyn Subject, clip: &Clip, look: &mut dyn FnMut(&[f32])) -> Result<()> {
    let mut stream = subject.session(clip.size)?;
    let mut out = vec![0.0; clip.size.samples()];
    stream.push(clip.frame(0))?;
    for index in 1..=FRAMES_COMPARED {
        stream.push(clip.frame(index))?;
        stream.at_planar(TIMESTEP, &mut out)?;
        look(&out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_runs_that_do_not_overlap() {
        let gain = |with: &[f64], without: &[f64]| {
            Gain::of(&Spread::of(with).expect("runs"), &Spread::of(without).expect("runs"))
        };
        let clear = gain(&[120.0, 121.0, 119.0], &[100.0, 101.0, 99.0]);
        assert_eq!((clear.verdict, clear.gain), (Verdict::Helped, 120.0 / 100.0 - 1.0));
        assert!(clear.least < clear.gain && clear.gain < clear.most);
        for (with, without, verdict) in [
            (&[99.0, 101.0, 120.0][..], &[80.0, 100.0, 100.5][..], Verdict::Neutral),
            (&[100.5, 100.6], &[100.0, 100.1], Verdict::Neutral),
            // No overlap, which two runs of each have by chance, too.
            (&[103.0, 110.0], &[100.0, 102.9], Verdict::Neutral),
            (&[90.0, 91.0], &[100.0, 99.0], Verdict::Hurt),
            (&[90.0, 99.5], &[100.0, 99.0], Verdict::Neutral),
            (&[102.0], &[100.0], Verdict::Neutral),
            (&[104.0], &[100.0], Verdict::Helped),
            (&[96.0], &[100.0], Verdict::Hurt),
            // However much runs differ: what is a hundredth is less, and a hundredfold is more.
            (&[1.0, 2.0], &[100.0, 200.0], Verdict::Hurt),
            (&[100.0, 200.0], &[1.0, 2.0], Verdict::Helped),
            (&[f64::NAN], &[1.0], Verdict::Neutral),
        ] {
            assert_eq!(gain(with, without).verdict, verdict, "{with:?} {without:?}");
        }
        // Where runs of other configurations are that far apart, these are so by chance.
        let mut clear = clear;
        for (by_chance, verdict) in [(0.19, Verdict::Helped), (0.21, Verdict::Neutral)] {
            clear.judge(by_chance);
            assert_eq!(clear.verdict, verdict);
        }
    }
}
