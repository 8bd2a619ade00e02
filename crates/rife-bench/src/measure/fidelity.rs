//! Fidelity of interpolated frames to those of the reference.
//!
//! The reference and all candidates of a model run in lockstep over the clip, separately from the
//! timed runs. Each frame is compared immediately: only one frame of floats per engine is in memory
//! whatever the clip's length, and the reference is computed once for all candidates.

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Setup;
use super::worst_frame::{WorstFrame, WorstFramePictures};
use crate::metrics::{Difference, Psnr, compare};
use crate::subject::{Config, Device, Size, Stream};

/// Number of frames compared if the reference must run on the CPU, which takes seconds per frame.
const MAX_FRAMES_ON_CPU: usize = 8;

/// Fidelity of a configuration's frames to a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// Reference configuration.
    pub reference: Config,
    /// PSNR of the mean squared error over all frames. Unlike a mean of PSNRs it stays meaningful
    /// if some frames are identical.
    pub psnr_db: Psnr,
    /// Mean of the PSNRs of the frames; infinite if any frame is identical.
    pub mean_frame_psnr_db: Psnr,
    /// PSNR of the worst frame.
    pub worst_frame_psnr_db: Psnr,
    /// Mean SSIM of the frames.
    pub ssim: f64,
    /// Largest absolute error of any sample.
    pub max_error: f64,
    /// Mean absolute error.
    pub mean_error: f64,
    /// Share of pixels that differ after rounding to 8 bits.
    pub differing_8_bit_share: f64,
    /// Number of samples that are NaN or infinite.
    pub non_finite: u64,
    /// Each interpolated frame, in order.
    pub frames: Vec<Difference>,
    /// Thumbnails of the worst frame. Absent without `--pictures`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<WorstFramePictures>,
}

/// Comparison of a configuration with one other than the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Configuration.
    #[serde(rename = "case")]
    pub config: Config,
    /// Frame size. Absent if the record has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The other configuration (`reference`), and the fidelity to it.
    pub fidelity: Fidelity,
}

impl Fidelity {
    /// From the differences of each frame; `None` if there are none.
    pub fn of(reference: Config, frames: Vec<Difference>) -> Option<Self> {
        let worst = frames.iter().map(|f| f.psnr_db.0).reduce(f64::min)?;
        let mean =
            |f: fn(&Difference) -> f64| frames.iter().map(f).sum::<f64>() / frames.len() as f64;
        Some(Self {
            reference,
            psnr_db: Psnr::from_mse(mean(|f| f.mse)),
            mean_frame_psnr_db: Psnr(mean(|f| f.psnr_db.0)),
            worst_frame_psnr_db: Psnr(worst),
            ssim: mean(|f| f.ssim),
            max_error: frames.iter().map(|f| f.max_error).fold(0.0, f64::max),
            mean_error: mean(|f| f.mean_error),
            differing_8_bit_share: mean(|f| f.differing_8_bit_share),
            non_finite: frames.iter().map(|f| f.non_finite).sum(),
            frames,
            pictures: None,
        })
    }
}

/// A configuration to compare with the reference.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Configuration.
    pub config: Config,
    /// Number of frames to compare; fewer if the reference runs on the CPU.
    pub frames: usize,
    /// Indices of other candidates to compare it with.
    pub also_with: Vec<usize>,
}

/// Compares the first frames of each candidate with those of the reference and of its other
/// candidates. The results are in the candidates' order.
pub(super) fn compare_all(
    setup: Setup<'_>,
    reference: Config,
    candidates: &[Candidate],
) -> Result<(Vec<Fidelity>, Vec<Comparison>)> {
    let Setup { plan, clip, engines, watcher } = setup;
    let available =
        engines.available(plan.device).contains(&(reference.engine, reference.precision));
    let (device, most) =
        if available { (plan.device, usize::MAX) } else { (Device::Cpu, MAX_FRAMES_ON_CPU) };
    // Declared before the streams that borrow from them.
    let reference_subject = engines.load(reference, device)?;
    let load = |candidate: &Candidate| engines.load(candidate.config, plan.device);
    let subjects = candidates.iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut reference_stream = reference_subject.session(clip.size)?;
    let mut streams =
        subjects.iter().map(|subject| subject.session(clip.size)).collect::<Result<Vec<_>>>()?;

    let mut expected = vec![0.0; clip.size.samples()];
    let mut got = vec![expected.clone(); candidates.len()];
    let mut own: Vec<_> = candidates.iter().map(|_| Differences::new(plan.args.pictures)).collect();
    let mut with_others: Vec<Vec<_>> = candidates
        .iter()
        .map(|candidate| candidate.also_with.iter().map(|_| Differences::new(false)).collect())
        .collect();

    for stream in streams.iter_mut().chain([&mut reference_stream]) {
        stream.push(clip.frame(0))?;
    }
    let frames = candidates.iter().map(|one| one.frames).max().unwrap_or(0).min(most);
    for index in 0..frames {
        if watcher.stopped() {
            break;
        }
        let position = plan.position(index);
        let generate = |stream: &mut Box<dyn Stream + '_>, out: &mut [f32]| -> Result<()> {
            if position.first_of_pair {
                stream.push(clip.frame(position.pair + 1))?;
            }
            stream.at_planar(position.timestep, out)
        };
        generate(&mut reference_stream, &mut expected)?;
        let active = |candidate: &Candidate| index < candidate.frames;
        for (i, candidate) in candidates.iter().enumerate().filter(|(_, one)| active(one)) {
            generate(&mut streams[i], &mut got[i])?;
            own[i].add(clip.size, &expected, &got[i]);
            for (differences, &other) in with_others[i].iter_mut().zip(&candidate.also_with) {
                // Only earlier candidates have their frame ready.
                if other < i && active(&candidates[other]) {
                    differences.add(clip.size, &got[other], &got[i]);
                }
            }
        }
        watcher.frame();
    }

    let mut comparisons = Vec::new();
    for (candidate, all) in candidates.iter().zip(with_others) {
        let config = candidate.config;
        for (&other, differences) in candidate.also_with.iter().zip(all) {
            let fidelity = differences.finish(candidates[other].config, clip.size)?;
            comparisons.extend(fidelity.map(|fidelity| Comparison {
                config,
                size: None,
                fidelity,
            }));
        }
    }
    let fidelities = own
        .into_iter()
        .map(|one| one.finish(reference, clip.size)?.context("no frames to compare"))
        .collect::<Result<_>>()?;
    Ok((fidelities, comparisons))
}

/// Differences of one configuration so far.
struct Differences {
    frames: Vec<Difference>,
    pictures: bool,
    worst: Option<WorstFrame>,
}

impl Differences {
    const fn new(pictures: bool) -> Self {
        Self { frames: Vec::new(), pictures, worst: None }
    }

    fn add(&mut self, size: Size, expected: &[f32], got: &[f32]) {
        let difference = compare(size, expected, got);
        if self.pictures {
            let (index, mse) = (self.frames.len(), difference.mse);
            WorstFrame::update(&mut self.worst, index, mse, expected, got);
        }
        self.frames.push(difference);
    }

    fn finish(self, reference: Config, size: Size) -> Result<Option<Fidelity>> {
        let pictures = self.worst.map(|worst| worst.pictures(size)).transpose()?;
        let fidelity = Fidelity::of(reference, self.frames);
        Ok(fidelity.map(|fidelity| Fidelity { pictures, ..fidelity }))
    }
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;

    #[test]
    fn identical_frames_do_not_hide_the_others() {
        let frame = |mse| Difference { non_finite: 1, ..Difference::of_mse(mse) };
        let reference = Config::reference(ModelVersion::V4_6);
        let f = Fidelity::of(reference, vec![frame(0.0), frame(2e-4)]).expect("frames");
        assert!((f.psnr_db.0 - 40.0).abs() < 1e-9);
        assert_eq!(f.mean_frame_psnr_db.0, f64::INFINITY);
        assert_eq!(f.worst_frame_psnr_db, Psnr::from_mse(2e-4));
        assert_eq!((f.max_error, f.non_finite), (2e-4f64.sqrt(), 2));
        assert_eq!(Fidelity::of(reference, vec![]), None);
    }
}
