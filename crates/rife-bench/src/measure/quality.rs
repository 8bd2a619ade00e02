//! Quality against ground truth: every other frame of a real clip is dropped, interpolated from its
//! neighbours, and compared with the original.

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TIMESTEP, Watcher};
use crate::metrics::{Difference, Psnr, compare};
use crate::plan::{Plan, QualityClip};
use crate::subject::{Config, Engines, Size};

/// Quality against ground truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quality {
    /// Name of the clip without its folder.
    pub clip: String,
    /// Frame size.
    pub size: Size,
    /// Number of frames read. The second, fourth and so on were dropped and interpolated.
    pub frames: usize,
    /// Averaging both neighbours instead of interpolating: what a network has to beat.
    pub blend: GroundTruth,
    /// Every configuration, in the order of the measurements.
    pub results: Vec<QualityResult>,
}

/// Quality of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityResult {
    /// Configuration.
    #[serde(rename = "case")]
    pub config: Config,
    /// Comparison with the ground truth; `null` if it failed.
    pub truth: Option<GroundTruth>,
    /// Error message if it failed.
    pub error: Option<String>,
}

/// Comparison of interpolated frames with the dropped ones, in 8 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroundTruth {
    /// Mean of the PSNRs of the frames, excluding frames identical to the ground truth; infinite if
    /// all are.
    pub psnr_db: Psnr,
    /// PSNR of the worst frame.
    pub worst_frame_psnr_db: Psnr,
    /// Mean SSIM of the frames.
    pub ssim: f64,
    /// Each interpolated frame, in order.
    pub frames: Vec<Difference>,
}

impl GroundTruth {
    /// From the differences of each frame; `None` if there are none.
    pub fn of(frames: Vec<Difference>) -> Option<Self> {
        let worst = frames.iter().map(|f| f.psnr_db.0).reduce(f64::min)?;
        // A still moment must not make the whole clip perfect.
        let different: Vec<f64> =
            frames.iter().map(|f| f.psnr_db.0).filter(|db| db.is_finite()).collect();
        let psnr_db = match different.len() {
            0 => worst,
            count => different.iter().sum::<f64>() / count as f64,
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

    /// Number of frames identical to the ground truth in 8 bits.
    pub fn identical(&self) -> usize {
        self.frames.iter().filter(|f| f.psnr_db.0 == f64::INFINITY).count()
    }
}

/// Interpolates the dropped frames of the clip with every configuration. A configuration that is
/// interrupted is left out; failures are recorded.
pub(crate) fn measure(
    plan: &Plan,
    clip: &QualityClip,
    engines: &dyn Engines,
    watcher: &dyn Watcher,
) -> Result<Quality> {
    ensure!(clip.frames.len() >= 3, "{} has fewer than 3 frames", clip.name);
    let blend = |[a, b]: [&[u8]; 2], out: &mut [u8]| {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            // The mean of two levels, rounded half up.
            *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
        }
        Ok(())
    };
    let blend = reconstruct(clip, &(), blend)?;
    let mut results = Vec::new();
    for &config in &plan.configs {
        if watcher.stopped() {
            break;
        }
        watcher.step(&format!("{config}, ground truth"), clip.frames.len() / 2);
        let (truth, error) = match reconstruct_with(plan, clip, engines, config, watcher) {
            // A mean over fewer frames is not comparable.
            Ok(truth) if truth.frames.len() < blend.frames.len() => continue,
            Ok(truth) => (Some(truth), None),
            Err(_) if watcher.stopped() => continue,
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        results.push(QualityResult { config, truth, error });
    }
    Ok(Quality {
        clip: clip.name.clone(),
        size: clip.size,
        frames: clip.frames.len(),
        results,
        blend,
    })
}

fn reconstruct_with(
    plan: &Plan,
    clip: &QualityClip,
    engines: &dyn Engines,
    config: Config,
    watcher: &dyn Watcher,
) -> Result<GroundTruth> {
    let subject = engines.load(config, plan.device)?;
    let mut stream = subject.session(clip.size)?;
    stream.push(&clip.frames[0])?;
    reconstruct(clip, watcher, |[_, later], out| {
        stream.push(later)?;
        stream.at_rgb8(TIMESTEP, out)
    })
}

/// Passes both neighbours of each dropped frame to `interpolate`, and compares its output.
fn reconstruct(
    clip: &QualityClip,
    watcher: &dyn Watcher,
    mut interpolate: impl FnMut([&[u8]; 2], &mut [u8]) -> Result<()>,
) -> Result<GroundTruth> {
    let mut out = vec![0; clip.size.samples()];
    let mut differences = Vec::new();
    for triple in clip.frames.windows(3).step_by(2) {
        let [earlier, truth, later] = triple else { continue };
        if watcher.stopped() {
            break;
        }
        interpolate([earlier, later], &mut out)?;
        differences.push(compare(clip.size, &planes(truth), &planes(&out)));
        watcher.frame();
    }
    GroundTruth::of(differences).context("no frame was dropped")
}

/// Converts interleaved 8-bit RGB to planes of floats.
fn planes(rgb: &[u8]) -> Vec<f32> {
    (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).map(|&v| f32::from(v) / 255.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::to_8_bit;

    #[test]
    fn every_other_frame_is_interpolated_from_its_neighbours() {
        let size = Size { width: 16, height: 16 };
        let level = |v| vec![v; size.samples()];
        let frames = [10, 12, 14, 40, 20, 99].map(level).to_vec();
        let clip = QualityClip { name: "levels".into(), size, frames };
        let mut pairs = Vec::new();
        let truth = reconstruct(&clip, &(), |[a, b], out| {
            pairs.push((a[0], b[0]));
            out.fill(a[0].midpoint(b[0]));
            Ok(())
        });
        let truth = truth.expect("frames");
        // The last frame has no later neighbour.
        assert_eq!(pairs, [(10, 14), (14, 20)]);
        assert_eq!((truth.frames[0].psnr_db.0, truth.identical()), (f64::INFINITY, 1));
        let expected = 20.0 * (255.0f64 / 23.0).log10();
        assert!((truth.worst_frame_psnr_db.0 - expected).abs() < 1e-6);
        assert_eq!(truth.psnr_db, truth.worst_frame_psnr_db);
        let still = GroundTruth::of(vec![truth.frames[0]; 2]).expect("frames");
        assert_eq!(still.psnr_db.0, f64::INFINITY);
        assert_eq!(to_8_bit(planes(&level(77))[300]), 77);
    }
}
