//! Fidelity to the world: every other frame of a real clip is dropped and made again from its
//! neighbours, and held against what the camera saw.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{TIMESTEP, Watcher};
use crate::metrics::{Difference, Psnr, compare};
use crate::plan::Plan;
use crate::subject::{Case, Engines, Size};

/// Frames that are read: 29 are made again.
pub const FRAMES: usize = 59;

/// What a clip's dropped frames were made into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The clip's name, without its folder.
    pub clip: String,
    /// Size of its frames.
    pub size: Size,
    /// Frames that were read: the second, fourth and so on were dropped.
    pub frames: usize,
    /// The mean of both neighbours instead of the missing frame: what any network has to beat.
    pub blend: Truth,
    /// Every configuration, in the order of the measurements.
    pub results: Vec<QualityResult>,
}

/// One configuration against the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityResult {
    /// What made the frames.
    pub case: Case,
    /// How near it came; `None` where it failed.
    pub truth: Option<Truth>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Made frames, as 8 bits, against those that were dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Mean of the frames' PSNRs, in dB, without those that are equal to the truth; infinite where
    /// all are.
    pub psnr_db: Psnr,
    /// PSNR of the worst frame, in dB.
    pub worst_frame_psnr_db: Psnr,
    /// Mean SSIM of the frames.
    pub ssim: f64,
    /// Every made frame, in order.
    pub frames: Vec<Difference>,
}

impl Truth {
    /// Of the comparisons of every frame; `None` of none.
    pub fn of(frames: Vec<Difference>) -> Option<Self> {
        let worst = frames.iter().map(|f| f.psnr_db.0).reduce(f64::min)?;
        // One still moment must not make the whole clip perfect.
        let differ: Vec<f64> =
            frames.iter().map(|f| f.psnr_db.0).filter(|db| db.is_finite()).collect();
        let psnr_db = match differ.len() {
            0 => worst,
            count => differ.iter().sum::<f64>() / count as f64,
        };
        let mean =
            |f: fn(&Difference) -> f64| frames.iter().map(f).sum::<f64>() / frames.len() as f64;
        Some(Self {
            psnr_db: Psnr(psnr_db),
            worst_frame_psnr_db: Psnr(worst),
            ssim: mean(|f| f.ssim),
            frames,
        })
    }

    /// Frames that are equal to the truth, as 8 bits: they count in no mean PSNR.
    pub fn equal(&self) -> usize {
        self.frames.iter().filter(|f| f.psnr_db.0 == f64::INFINITY).count()
    }
}

/// A clip whose every other frame is made again.
#[derive(Clone, Debug)]
pub struct TruthClip {
    /// Its name.
    pub name: String,
    /// Size of its frames.
    pub size: Size,
    /// Them, in order: interleaved 8-bit RGB.
    pub frames: Vec<Vec<u8>>,
}

/// Makes the dropped frames of the plan's clip by every configuration, as far as there is time for
/// them: one that was ended early has no part in it. One that fails is reported as failed.
///
/// # Errors
/// Where the clip has too few frames.
pub(super) fn measure(
    plan: &Plan,
    clip: &TruthClip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Result<Quality> {
    ensure!(clip.frames.len() >= 3, "{} has fewer than three frames", clip.name);
    let blend = |[a, b]: [&[u8]; 2], out: &mut [u8]| {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            // The mean of two levels, rounded half up.
            *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
        }
        Ok(())
    };
    let blend = make_again(clip, &(), blend)?;
    let mut results = Vec::new();
    for &case in &plan.cases {
        if watcher.stopped() {
            break;
        }
        watcher.step(&format!("{case}, against the truth"), clip.frames.len() / 2);
        let (truth, error) = match of_case(plan, clip, engines, case, watcher) {
            // Of other frames than the others' it would say something else.
            Ok(truth) if truth.frames.len() < blend.frames.len() => continue,
            Ok(truth) => (Some(truth), None),
            Err(_) if watcher.stopped() => continue,
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        results.push(QualityResult { case, truth, error });
    }
    Ok(Quality {
        clip: clip.name.clone(),
        size: clip.size,
        frames: clip.frames.len(),
        results,
        blend,
    })
}

fn of_case(
    plan: &Plan,
    clip: &TruthClip,
    engines: &dyn Engines,
    case: Case,
    watcher: &dyn Watcher,
) -> Result<Truth> {
    let subject = engines.load(case, plan.device)?;
    let mut stream = subject.session(clip.size)?;
    stream.push(&clip.frames[0])?;
    make_again(clip, watcher, |[_, later], out| {
        stream.push(later)?;
        stream.at_rgb8(TIMESTEP, out)
    })
}

/// Gives both neighbours of every dropped frame in order, and compares what is made of them.
fn make_again(
    clip: &TruthClip,
    watcher: &dyn Watcher,
    mut make: impl FnMut([&[u8]; 2], &mut [u8]) -> Result<()>,
) -> Result<Truth> {
    let mut made = vec![0; clip.size.samples()];
    let mut seen = Vec::new();
    for triple in clip.frames.windows(3).step_by(2) {
        let [earlier, truth, later] = triple else { continue };
        if watcher.stopped() {
            break;
        }
        make([earlier, later], &mut made)?;
        seen.push(compare(clip.size, &planes(truth), &planes(&made)));
        watcher.frame();
    }
    Truth::of(seen).context("no frame was dropped")
}

/// Interleaved 8-bit RGB as planes of floats.
fn planes(rgb: &[u8]) -> Vec<f32> {
    (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).map(|&v| f32::from(v) / 255.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::to_8_bit;

    #[test]
    fn every_other_frame_is_made_of_its_neighbours() {
        let size = Size { width: 16, height: 16 };
        let level = |v| vec![v; size.samples()];
        let frames = [10, 12, 14, 40, 20, 99].map(level).to_vec();
        let clip = TruthClip { name: "levels".into(), size, frames };
        let mut pairs = Vec::new();
        let truth = make_again(&clip, &(), |[a, b], out| {
            pairs.push((a[0], b[0]));
            out.fill(a[0].midpoint(b[0]));
            Ok(())
        });
        let truth = truth.expect("frames");
        // The last has no neighbour behind it.
        assert_eq!(pairs, [(10, 14), (14, 20)]);
        assert_eq!((truth.frames[0].psnr_db.0, truth.equal()), (f64::INFINITY, 1));
        let expected = 20.0 * (255.0f64 / 23.0).log10();
        assert!((truth.worst_frame_psnr_db.0 - expected).abs() < 1e-6);
        assert_eq!(truth.psnr_db, truth.worst_frame_psnr_db);
        let still = Truth::of(vec![truth.frames[0]; 2]).expect("frames");
        assert_eq!(still.psnr_db.0, f64::INFINITY);
        assert_eq!(to_8_bit(planes(&level(77))[300]), 77);
    }
}
