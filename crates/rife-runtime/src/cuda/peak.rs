//! Measures the peak throughput of a GPU.

use super::abi::Args;
use super::context::Shared;
use super::kernel::Kernel;
use super::variant::{Layout, Variant};
use crate::profile::PeakThroughput;
use crate::{Optimization, Result};

/// Bytes copied to measure memory: larger than any cache.
const COPIED: usize = 512 << 20;
/// Bytes copied to measure transfers between host and device: a few frames.
const TRANSFERRED: usize = 64 << 20;

/// Measures the tensor cores in the engine's precision (with the same instructions as the kernels),
/// the memory, and transfers.
pub(super) fn measure(shared: &Shared) -> Result<PeakThroughput> {
    const ROUNDS: i32 = 4000;
    const WARPS: usize = 8;
    let stream = shared.gpu.stream()?;
    let (start, end) = (shared.gpu.event(true)?, shared.gpu.event(true)?);
    let best = |work: &dyn Fn() -> Result<()>| -> Result<f64> {
        let mut least = f32::INFINITY;
        for _ in 0..4 {
            start.record(&stream)?;
            work()?;
            end.record(&stream)?;
            least = least.min(start.until(&end)?);
        }
        Ok(f64::from(least) / 1e3)
    };
    let wgmma = shared.effective_optimizations().has(Optimization::Wgmma);
    let layout = Layout::ChannelsLast;
    let variant = Variant::new(shared.spec, shared.scale, shared.precision, layout, wgmma);
    let peak = shared.function(Kernel::Peak, "peak", &variant)?;
    let blocks = 2 * shared.gpu.card.sms;
    let out = shared.gpu.memory(blocks * WARPS * 32 * 4)?;
    let args = Args { dst: out.address(), h: ROUNDS, ..Args::default() };
    // SAFETY: `peak` takes `Args` and writes a float per thread, for which `out` has room.
    let products = best(&|| unsafe { stream.launch(&peak, (blocks as u32, 1, 1), &args) })?;
    let each = (16 * 8 * variant.step() * 2) as f64;
    let flops = (blocks * WARPS * 16) as f64 * f64::from(ROUNDS) * each / products;
    let (from, to) = (shared.gpu.memory(COPIED)?, shared.gpu.memory(COPIED)?);
    stream.fill(&from, 0x2c)?;
    let copy = best(&|| stream.copy(&to, &from))?;
    let mut host = shared.gpu.host(TRANSFERRED)?;
    let (bytes, at) = (host.bytes_mut().len(), host.bytes_mut().as_mut_ptr());
    // SAFETY: `host` and `to` are at least `bytes` long, and live until the copies are done,
    // because `best` waits for them.
    let up = best(&|| unsafe { stream.upload(to.address(), at, bytes) })?;
    // SAFETY: as for the upload.
    let down = best(&|| unsafe { stream.download(at, to.address(), bytes) })?;
    Ok(PeakThroughput {
        flops,
        bytes: 2.0 * COPIED as f64 / copy,
        transfer: Some(bytes as f64 / up.max(down)),
    })
}
