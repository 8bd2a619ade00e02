//! Fidelity to the world: every other frame of a real clip is dropped and made again from its
//! neighbours, and held against what the camera saw.

use serde::{Deserialize, Serialize};

use crate::metrics::{Difference, Psnr};
use crate::subject::{Case, Size};

/// What a clip's dropped frames were made into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The clip's name, without its folder.
    pub clip: String,
    /// Size of its frames.
    pub size: Size,
    /// Frames that were read.
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
    /// Mean of the frames' PSNRs, in dB.
    pub psnr_db: Psnr,
    /// PSNR of the worst frame, in dB.
    pub worst_frame_psnr_db: Psnr,
    /// Mean SSIM of the frames.
    pub ssim: f64,
    /// Every made frame, in order.
    pub frames: Vec<Difference>,
}
