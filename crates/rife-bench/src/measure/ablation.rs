//! The effect of each optimization: the configuration with all of them and without each one, with
//! none and with each one alone, on the same frames.

use anyhow::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fidelity::Fidelity;
use super::{Measurement, Setup, TIMESTEP, timing};
use crate::clip::Clip;
use crate::metrics::compare;
use crate::stats::{Noise, Spread};
use crate::subject::{Config, Optimization, Subject};

/// Number of frames compared with the fully optimized configuration.
const FRAMES_COMPARED: usize = 4;
/// Smaller gains are neutral, however small the spread of the runs.
pub(crate) const MIN_GAIN: f64 = 0.01;
/// The same for single runs, whose spread is unknown.
pub(crate) const MIN_GAIN_OF_SINGLE_RUN: f64 = 0.03;

/// The effect of each optimization of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ablation {
    /// The configuration with all its optimizations.
    pub all: Measurement,
    /// Each active optimization, disabled alone.
    pub without: Vec<DisabledAlone>,
    /// No optimization, and each one enabled alone. Missing in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Alone>,
}

/// The engine with no optimization and with each one alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alone {
    /// All optimizations disabled.
    pub none: Measurement,
    /// Each optimization, enabled alone.
    pub with: Vec<EnabledAlone>,
}

/// One optimization enabled alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnabledAlone {
    /// Name of the optimization.
    #[schemars(with = "String")]
    pub on: Optimization,
    /// Results. Fidelity is relative to the configuration with all optimizations.
    #[serde(rename = "seen")]
    pub measurement: Measurement,
    /// Gain in device throughput; `null` if unknown.
    pub device: Option<Gain>,
    /// Gain in end-to-end throughput; `null` if unknown.
    pub end_to_end: Option<Gain>,
}

/// One optimization disabled alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DisabledAlone {
    /// Name of the optimization.
    #[schemars(with = "String")]
    pub off: Optimization,
    /// Results. Fidelity is relative to the configuration with all optimizations.
    #[serde(rename = "seen")]
    pub measurement: Measurement,
    /// Gain in device throughput; `null` if unknown.
    pub device: Option<Gain>,
    /// Gain in end-to-end throughput; `null` if unknown.
    pub end_to_end: Option<Gain>,
}

/// Gain in frames per second from having an optimization.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gain {
    /// Median run with it over median run without it, minus 1.
    pub gain: f64,
    /// Slowest run with it over fastest run without it, minus 1.
    pub least: f64,
    /// Fastest run with it over slowest run without it, minus 1.
    pub most: f64,
    /// Verdict. Recomputed when a record is read.
    pub verdict: Verdict,
}

/// Whether an optimization had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every run with it was faster than every run without it, by more than the noise.
    Helped,
    /// The runs overlap, or differ by no more than the noise.
    Neutral,
    /// Every run with it was slower than every run without it, by more than the noise.
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
    /// From the frames per second of the runs with and without an optimization.
    pub fn of(with: &Spread, without: &Spread) -> Self {
        let gain = with.median / without.median - 1.0;
        let least = with.min / without.max - 1.0;
        let most = with.max / without.min - 1.0;
        let mut all = Self { gain, least, most, verdict: Verdict::Neutral };
        all.judge(0.0);
        all
    }

    /// Sets the verdict, given the relative difference `noise` that chance explains. Two runs each
    /// fail to overlap by chance one time in three, so the gain must also exceed the spread of
    /// these runs.
    pub fn judge(&mut self, noise: f64) {
        let Self { gain, least, most, .. } = *self;
        let single = least == most;
        let min_gain = if single { MIN_GAIN_OF_SINGLE_RUN } else { MIN_GAIN }.max(noise);
        let spread = (1.0 + most) / (1.0 + least);
        self.verdict = if least > 0.0 && gain >= min_gain && 1.0 + gain >= spread {
            Verdict::Helped
        } else if most < 0.0 && 1.0 / (1.0 + gain) >= (1.0 + min_gain).max(spread) {
            Verdict::Hurt
        } else {
            Verdict::Neutral
        };
    }
}

impl Ablation {
    /// Recomputes all verdicts. Noise is estimated separately over the configurations with almost
    /// all optimizations and over those with almost none, which are bound by the host and noisier.
    pub fn judge(&mut self) {
        let without = self.without.iter().map(|v| &v.measurement);
        let noise = ModeNoise::among([&self.all].into_iter().chain(without));
        for DisabledAlone { measurement, device, end_to_end, .. } in &mut self.without {
            noise.judge(device, end_to_end, &self.all, measurement);
        }
        let Some(Alone { none, with }) = &mut self.alone else { return };
        let noise =
            ModeNoise::among([&*none].into_iter().chain(with.iter().map(|v| &v.measurement)));
        for EnabledAlone { measurement, device, end_to_end, .. } in with {
            noise.judge(device, end_to_end, measurement, none);
        }
    }

    /// Whether a verdict is based on a single run, whose spread is unknown.
    pub fn has_single_run(&self) -> bool {
        self.all_measurements().any(|m| m.error.is_none() && m.runs.len() == 1)
    }

    /// Everything on, each disabled alone, everything off, each enabled alone.
    pub fn all_measurements(&self) -> impl Iterator<Item = &Measurement> {
        let without = self.without.iter().map(|variant| &variant.measurement);
        let alone = self.alone.iter().flat_map(|alone| {
            [&alone.none].into_iter().chain(alone.with.iter().map(|variant| &variant.measurement))
        });
        [&self.all].into_iter().chain(without).chain(alone)
    }

    pub(crate) fn all_measurements_mut(&mut self) -> impl Iterator<Item = &mut Measurement> {
        let without = self.without.iter_mut().map(|variant| &mut variant.measurement);
        let alone = self.alone.iter_mut().flat_map(|alone| {
            let with = alone.with.iter_mut().map(|variant| &mut variant.measurement);
            [&mut alone.none].into_iter().chain(with)
        });
        [&mut self.all].into_iter().chain(without).chain(alone)
    }

    /// A configuration and its active optimizations, without results yet.
    fn new(config: Config, active: &[Optimization]) -> Self {
        let off = |off: &Optimization| DisabledAlone {
            off: *off,
            measurement: Measurement::new(Config { without: config.without.and(*off), ..config }),
            device: None,
            end_to_end: None,
        };
        let only = |on: Option<Optimization>| {
            let off = active.iter().filter(|one| Some(**one) != on);
            let without = off.fold(config.without, |without, off| without.and(*off));
            Measurement::new(Config { without, ..config })
        };
        let on = |on: &Optimization| EnabledAlone {
            on: *on,
            measurement: only(Some(*on)),
            device: None,
            end_to_end: None,
        };
        Self {
            all: Measurement::new(config),
            without: active.iter().map(off).collect(),
            alone: Some(Alone { none: only(None), with: active.iter().map(on).collect() }),
        }
    }

    fn compute_gains(&mut self) {
        for variant in &mut self.without {
            (variant.device, variant.end_to_end) = gains(&self.all, &variant.measurement);
        }
        if let Some(alone) = &mut self.alone {
            for variant in &mut alone.with {
                (variant.device, variant.end_to_end) = gains(&variant.measurement, &alone.none);
            }
        }
        self.judge();
    }
}

/// Noise between runs in each mode.
struct ModeNoise {
    device: Noise,
    end_to_end: Noise,
}

impl ModeNoise {
    fn among<'a>(measurements: impl Iterator<Item = &'a Measurement> + Clone) -> Self {
        Self {
            device: Noise::among(measurements.clone().filter_map(Measurement::device_run_fps)),
            end_to_end: Noise::among(measurements.filter_map(Measurement::end_to_end_run_fps)),
        }
    }

    fn judge(
        &self,
        device: &mut Option<Gain>,
        end_to_end: &mut Option<Gain>,
        with: &Measurement,
        without: &Measurement,
    ) {
        let between = |noise: Noise, fps: fn(&Measurement) -> Option<Spread>| {
            let runs = |m| fps(m).map_or(0, |fps| fps.samples);
            noise.between(runs(with), runs(without))
        };
        if let Some(gain) = device {
            gain.judge(between(self.device, Measurement::device_run_fps));
        }
        if let Some(gain) = end_to_end {
            gain.judge(between(self.end_to_end, Measurement::end_to_end_run_fps));
        }
    }
}

/// Gains of one measurement over another on the device and end to end.
fn gains(with: &Measurement, without: &Measurement) -> (Option<Gain>, Option<Gain>) {
    let gain =
        |fps: fn(&Measurement) -> Option<Spread>| Some(Gain::of(&fps(with)?, &fps(without)?));
    (gain(Measurement::device_run_fps), gain(Measurement::end_to_end_run_fps))
}

/// Measures all variants of a configuration in turns, and compares their frames. Failures are
/// recorded.
pub(crate) fn ablate(setup: Setup<'_>, config: Config) -> Ablation {
    let Setup { plan, clip, engines, watcher } = setup;
    let mut ablation = Ablation::new(config, &[]);
    let reference = engines.load(config, plan.device).and_then(|subject| {
        ablation = Ablation::new(config, &subject.info().optimizations);
        frames(subject.as_ref(), clip)
    });

    let modes = plan.ablation_modes();
    for repeat in 1..=plan.args.repeats {
        for measurement in ablation.all_measurements_mut().filter(|m| m.error.is_none()) {
            if watcher.stopped() {
                break;
            }
            let name = format!("{}, run {repeat} of {}", measurement.config, plan.args.repeats);
            watcher.step(&name, plan.frames * modes.len());
            let run = timing::run(setup, measurement.config, &modes);
            measurement.add(run);
        }
    }
    match reference {
        Ok(reference) => {
            for m in ablation.all_measurements_mut().skip(1).filter(|m| m.error.is_none()) {
                if watcher.stopped() {
                    break;
                }
                let subject = engines.load(m.config, plan.device);
                match subject.and_then(|s| fidelity(config, s.as_ref(), clip, &reference)) {
                    Ok(fidelity) => m.fidelity = fidelity,
                    Err(error) => m.error = Some(format!("{error:#}")),
                }
            }
        }
        Err(error) => ablation.all.error = Some(format!("{error:#}")),
    }
    ablation.all_measurements_mut().for_each(|m| m.summarize(plan.args.factor));
    ablation.compute_gains();
    ablation
}

/// The first interpolated frames of an engine.
fn frames(subject: &dyn Subject, clip: &Clip) -> Result<Vec<Vec<f32>>> {
    let mut frames = Vec::new();
    for_each_frame(subject, clip, &mut |frame| frames.push(frame.to_vec()))?;
    Ok(frames)
}

fn fidelity(
    reference: Config,
    subject: &dyn Subject,
    clip: &Clip,
    expected: &[Vec<f32>],
) -> Result<Option<Fidelity>> {
    let (mut expected, mut differences) = (expected.iter(), Vec::new());
    for_each_frame(subject, clip, &mut |frame| {
        differences.extend(expected.next().map(|expected| compare(clip.size, expected, frame)));
    })?;
    Ok(Fidelity::of(reference, differences))
}

fn for_each_frame(subject: &dyn Subject, clip: &Clip, f: &mut dyn FnMut(&[f32])) -> Result<()> {
    let mut stream = subject.session(clip.size)?;
    let mut out = vec![0.0; clip.size.samples()];
    stream.push(clip.frame(0))?;
    for index in 1..=FRAMES_COMPARED {
        stream.push(clip.frame(index))?;
        stream.at_planar(TIMESTEP, &mut out)?;
        f(&out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_require_runs_that_do_not_overlap() {
        let gain = |with: &[f64], without: &[f64]| {
            Gain::of(&Spread::of(with).expect("runs"), &Spread::of(without).expect("runs"))
        };
        let clear = gain(&[120.0, 121.0, 119.0], &[100.0, 101.0, 99.0]);
        assert_eq!((clear.verdict, clear.gain), (Verdict::Helped, 120.0 / 100.0 - 1.0));
        assert!(clear.least < clear.gain && clear.gain < clear.most);
        for (with, without, verdict) in [
            (&[99.0, 101.0, 120.0][..], &[80.0, 100.0, 100.5][..], Verdict::Neutral),
            (&[100.5, 100.6], &[100.0, 100.1], Verdict::Neutral),
            // No overlap, which happens by chance with two runs each.
            (&[103.0, 110.0], &[100.0, 102.9], Verdict::Neutral),
            (&[90.0, 91.0], &[100.0, 99.0], Verdict::Hurt),
            (&[90.0, 99.5], &[100.0, 99.0], Verdict::Neutral),
            (&[102.0], &[100.0], Verdict::Neutral),
            (&[104.0], &[100.0], Verdict::Helped),
            (&[96.0], &[100.0], Verdict::Hurt),
            // A factor of 100 is clear despite a large spread.
            (&[1.0, 2.0], &[100.0, 200.0], Verdict::Hurt),
            (&[100.0, 200.0], &[1.0, 2.0], Verdict::Helped),
            (&[f64::NAN], &[1.0], Verdict::Neutral),
        ] {
            assert_eq!(gain(with, without).verdict, verdict, "{with:?} {without:?}");
        }
        // The noise of other configurations is taken into account.
        let mut clear = clear;
        for (noise, verdict) in [(0.19, Verdict::Helped), (0.21, Verdict::Neutral)] {
            clear.judge(noise);
            assert_eq!(clear.verdict, verdict);
        }
    }
}
