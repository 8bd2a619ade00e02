//! Time of each kernel launch of a frame.

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TIMESTEP;
use crate::clip::{Clip, ClipSource};
use crate::plan::KernelPlan;
use crate::stats::Spread;
use crate::subject::{Ceilings, Config, Device, Engines, KernelTime, Size, SubjectInfo};

/// Profile of a frame of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrameTimes {
    /// Configuration.
    #[serde(rename = "case")]
    pub config: Config,
    /// Frame size.
    pub size: Size,
    /// Description of the loaded engine.
    pub subject: SubjectInfo,
    /// Peak throughput of the device; `null` if unknown.
    pub ceilings: Option<Ceilings>,
    /// Every kernel launch, in order.
    pub launches: Vec<KernelTime>,
    /// Device time of the whole frame; `null` without a device clock.
    pub whole_ms: Option<Spread>,
}

/// Times the launches of every configuration and size of a plan.
pub fn measure(plan: &KernelPlan, engines: &dyn Engines) -> Result<Vec<FrameTimes>> {
    let mut frames = Vec::new();
    for size in &plan.sizes {
        for config in &plan.configs {
            let clip = ClipSource::scene(*size, 1).load(1)?;
            let times = frame_times(engines, *config, plan.device, &clip, plan.runs);
            frames.push(times.with_context(|| format!("{config} at {size}"))?);
        }
    }
    Ok(frames)
}

/// Times every launch of a frame, over `runs` of each.
pub(super) fn frame_times(
    engines: &dyn Engines,
    config: Config,
    device: Device,
    clip: &Clip,
    runs: usize,
) -> Result<FrameTimes> {
    let size = clip.size;
    let subject = engines.load(config, device)?;
    let mut stream = subject.session(size)?;
    stream.push(clip.frame(0))?;
    stream.push(clip.frame(1))?;
    // Warm-up: the first frame may compile and tune kernels.
    stream.at_rgb8(TIMESTEP, &mut vec![0; size.samples()])?;
    let launches = stream.kernel_times(runs)?;
    ensure!(!launches.is_empty(), "the engine does not report kernel times");
    let whole = stream.time_on_device(TIMESTEP, runs)?.unwrap_or_default();
    let whole: Vec<f64> = whole.into_iter().map(f64::from).collect();
    drop(stream);
    Ok(FrameTimes {
        config,
        size,
        subject: subject.info(),
        ceilings: subject.ceilings()?,
        launches,
        whole_ms: Spread::of(&whole),
    })
}
