//! How far every generated frame is from the reference's.
//!
//! The reference and all candidates of a model run in lockstep over the clip, apart from the
//! timed runs: each frame is compared as it is made, so that no more than one frame of floats
//! of each is held whatever the clip's length, and the reference is computed once for all candidates.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Watcher;
use super::pictures::{Pictures, Worst};
use crate::clip::Clip;
use crate::metrics::{Difference, Psnr, compare};
use crate::plan::Plan;
use crate::subject::{Case, Device, Engines, Size, Stream};

/// Frames compared where the reference runs on the CPU because the device has none: there it takes
/// seconds a frame.
const FRAMES_ON_THE_CPU: usize = 8;

/// What the comparisons of a configuration's frames come down to, and the comparisons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// What the frames were compared with.
    pub reference: Case,
    /// PSNR of the mean squared error over all frames, in dB: unlike a mean of PSNRs it stays
    /// meaningful where some frames are identical.
    pub psnr_db: Psnr,
    /// Mean of the frames' own PSNRs, in dB; infinite as soon as one frame is identical.
    pub mean_frame_psnr_db: Psnr,
    /// PSNR of the worst frame, in dB.
    pub worst_frame_psnr_db: Psnr,
    /// Mean SSIM of the frames.
    pub ssim: f64,
    /// Largest absolute error of any sample, full scale being 1.
    pub max_error: f64,
    /// Mean absolute error of a sample.
    pub mean_error: f64,
    /// Share of pixels, 0 to 1, that differ once rounded to 8 bits.
    pub differing_8_bit_share: f64,
    /// Samples that were NaN or infinite.
    pub non_finite: u64,
    /// Every generated frame, in order.
    pub frames: Vec<Difference>,
    /// What the worst of them looks like; absent where pictures were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
}

/// A configuration held against another that is not the reference of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was compared.
    pub case: Case,
    /// Size of the frames, where the record has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// With what, and how near it comes.
    pub fidelity: Fidelity,
}

impl Fidelity {
    /// Of the comparisons of every frame; `None` of none.
    pub fn of(reference: Case, frames: Vec<Difference>) -> Option<Self> {
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

/// A configuration to compare.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What it is.
    pub case: Case,
    /// How many of its first frames to compare: fewer where the reference does not exist on the
    /// device and runs on the CPU.
    pub frames: usize,
    /// Which other candidates to compare it with as well, by their places.
    pub with: Vec<usize>,
}

/// Compares the first frames of each candidate with the reference's, and with those of the
/// candidates that it names. The results are in the candidates' order.
pub(super) fn compare_all(
    plan: &Plan,
    clip: &Clip,
    engines: &dyn Engines,
    reference: Case,
    candidates: &[Candidate],
    watcher: &dyn Watcher,
) -> Result<(Vec<Fidelity>, Vec<Comparison>)> {
    // Declared before the streams that borrow from them.
    let there = engines.offered(plan.device).contains(&(reference.engine, reference.precision));
    let (device, most) =
        if there { (plan.device, usize::MAX) } else { (Device::Cpu, FRAMES_ON_THE_CPU) };
    let reference_subject = engines.load(reference, device)?;
    let load = |candidate: &Candidate| engines.load(candidate.case, plan.device);
    let subjects = candidates.iter().map(load).collect::<Result<Vec<_>>>()?;
    let mut reference_stream = reference_subject.session(clip.size)?;
    let mut streams =
        subjects.iter().map(|subject| subject.session(clip.size)).collect::<Result<Vec<_>>>()?;

    let mut expected = vec![0.0; clip.size.samples()];
    let mut got = vec![expected.clone(); candidates.len()];
    let mut seen: Vec<_> = candidates.iter().map(|_| Seen::new(plan.pictures)).collect();
    let mut seen_with: Vec<Vec<_>> = candidates
        .iter()
        .map(|candidate| candidate.with.iter().map(|_| Seen::new(false)).collect())
        .collect();

    for stream in streams.iter_mut().chain([&mut reference_stream]) {
        stream.push(clip.frame(0))?;
    }
    let frames = candidates.iter().map(|one| one.frames).max().unwrap_or(0).min(most);
    for index in 0..frames {
        if watcher.stopped() {
            break;
        }
        let place = plan.place(index);
        let generate = |stream: &mut Box<dyn Stream + '_>, out: &mut [f32]| -> Result<()> {
            if place.opens_a_pair {
                stream.push(clip.frame(place.pair + 1))?;
            }
            stream.at_planar(place.timestep, out)
        };
        generate(&mut reference_stream, &mut expected)?;
        let compared = |candidate: &Candidate| index < candidate.frames;
        for (i, candidate) in candidates.iter().enumerate().filter(|(_, one)| compared(one)) {
            generate(&mut streams[i], &mut got[i])?;
            seen[i].compare(clip.size, &expected, &got[i]);
            for (seen, &with) in seen_with[i].iter_mut().zip(&candidate.with) {
                // A candidate is compared with those before it alone, whose frame is there.
                if with < i && compared(&candidates[with]) {
                    seen.compare(clip.size, &got[with], &got[i]);
                }
            }
        }
        watcher.frame();
    }

    let mut comparisons = Vec::new();
    for (candidate, seen) in candidates.iter().zip(seen_with) {
        for (&with, seen) in candidate.with.iter().zip(seen) {
            let fidelity = seen.finish(candidates[with].case, clip.size)?;
            comparisons.extend(fidelity.map(|fidelity| Comparison {
                case: candidate.case,
                size: None,
                fidelity,
            }));
        }
    }
    let fidelities = seen
        .into_iter()
        .map(|seen| seen.finish(reference, clip.size)?.context("no frame to compare"))
        .collect::<Result<_>>()?;
    Ok((fidelities, comparisons))
}

/// The comparisons of one configuration, as they come.
struct Seen {
    frames: Vec<Difference>,
    /// The worst frame so far, where it is kept.
    worst: Option<Worst>,
}

impl Seen {
    fn new(pictures: bool) -> Self {
        Self { frames: Vec::new(), worst: pictures.then(Worst::default) }
    }

    fn compare(&mut self, size: Size, expected: &[f32], got: &[f32]) {
        let difference = compare(size, expected, got);
        if let Some(worst) = &mut self.worst {
            worst.look(self.frames.len(), difference.mse, expected, got);
        }
        self.frames.push(difference);
    }

    fn finish(self, reference: Case, size: Size) -> Result<Option<Fidelity>> {
        let Some(fidelity) = Fidelity::of(reference, self.frames) else { return Ok(None) };
        let pictures = self.worst.map(|worst| worst.pictures(size)).transpose()?.flatten();
        Ok(Some(Fidelity { pictures, ..fidelity }))
    }
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;

    #[test]
    fn an_identical_frame_does_not_hide_the_others() {
        let frame = |mse: f64| Difference {
            psnr_db: Psnr::from_mse(mse),
            ssim: 1.0 - mse,
            mse,
            max_error: mse.sqrt(),
            mean_error: mse,
            differing_8_bit_share: 0.5,
            non_finite: 1,
        };
        let reference = Case::reference(ModelVersion::V4_6);
        let f = Fidelity::of(reference, vec![frame(0.0), frame(2e-4)]).expect("frames");
        assert!((f.psnr_db.0 - 40.0).abs() < 1e-9);
        assert_eq!(f.mean_frame_psnr_db.0, f64::INFINITY);
        assert_eq!(f.worst_frame_psnr_db, Psnr::from_mse(2e-4));
        assert_eq!((f.max_error, f.non_finite), (2e-4f64.sqrt(), 2));
        assert_eq!(Fidelity::of(reference, vec![]), None);
    }
}
