//! What a run takes of the GPU, sampled through NVML. The library is looked for at run time;
//! without it a run simply has no such figures.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};

/// Time between two samples. The driver itself averages utilisation over no less.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a run took of the GPU, as far as samples show: a peak between two of them is missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuUse {
    /// Memory in use on the card before loading, all processes, in MiB.
    pub card_before_mib: f64,
    /// Most memory in use on the card, all processes, in MiB.
    pub card_peak_mib: f64,
    /// Most memory that this process had; `None` where NVML does not know the process, as inside
    /// most containers.
    pub process_peak_mib: Option<f64>,
    /// Mean utilisation while frames were measured, in %.
    pub utilisation_mean_percent: Option<f64>,
    /// Highest utilisation while frames were measured, in %.
    pub utilisation_max_percent: Option<f64>,
    /// Samples of utilisation.
    pub utilisation_samples: usize,
}

impl GpuUse {
    /// The peak that is the process's own as nearly as can be told, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.process_peak_mib.unwrap_or(self.card_peak_mib - self.card_before_mib)
    }
}

/// Samples a GPU in a thread of its own.
#[derive(Debug)]
pub struct GpuSampler {
    counting: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
    card_before_mib: f64,
}

#[derive(Debug, Default)]
struct Samples {
    card_peak_mib: f64,
    process_peak_mib: Option<f64>,
    utilisation_percent: Vec<f64>,
}

impl GpuSampler {
    /// Begins to sample the CUDA device of this ordinal; `None` where NVML does not show it.
    pub fn start(ordinal: usize) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        let card_before_mib = used_mib(&device(&nvml, ordinal)?)?;
        let [counting, stop] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (counting, stop) = (Arc::clone(&counting), Arc::clone(&stop));
            move || sample(&nvml, ordinal, &counting, &stop)
        });
        Some(Self { counting, stop, thread, card_before_mib })
    }

    /// Whether utilisation counts from now on.
    pub fn count_utilisation(&self, counts: bool) {
        self.counting.store(counts, Ordering::Relaxed);
    }

    /// Ends sampling.
    pub fn finish(self) -> GpuUse {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.thread.join().unwrap_or_default();
        let percent = &samples.utilisation_percent;
        let count = percent.len();
        GpuUse {
            card_before_mib: self.card_before_mib,
            card_peak_mib: samples.card_peak_mib.max(self.card_before_mib),
            process_peak_mib: samples.process_peak_mib,
            utilisation_mean_percent: (count > 0)
                .then(|| percent.iter().sum::<f64>() / count as f64),
            utilisation_max_percent: percent.iter().copied().reduce(f64::max),
            utilisation_samples: count,
        }
    }
}

fn sample(nvml: &Nvml, ordinal: usize, counting: &AtomicBool, stop: &AtomicBool) -> Samples {
    let mut samples = Samples::default();
    let Some(device) = device(nvml, ordinal) else { return samples };
    while !stop.load(Ordering::Relaxed) {
        if let Some(used) = used_mib(&device) {
            samples.card_peak_mib = samples.card_peak_mib.max(used);
        }
        if let Some(own) = own_mib(&device) {
            samples.process_peak_mib = Some(samples.process_peak_mib.unwrap_or(0.0).max(own));
        }
        if counting.load(Ordering::Relaxed)
            && let Ok(rates) = device.utilization_rates()
        {
            samples.utilisation_percent.push(f64::from(rates.gpu));
        }
        thread::sleep(INTERVAL);
    }
    samples
}

fn used_mib(device: &Device<'_>) -> Option<f64> {
    Some(mib(device.memory_info().ok()?.used))
}

fn own_mib(device: &Device<'_>) -> Option<f64> {
    let processes = device.running_compute_processes().ok()?;
    let own = processes.iter().find(|process| process.pid == std::process::id())?;
    match own.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(mib(bytes)),
        UsedGpuMemory::Unavailable => None,
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// The card that CUDA counts as `ordinal`. CUDA may see fewer cards than NVML, named by
/// `CUDA_VISIBLE_DEVICES`; else both count alike where the cards are of one kind, or
/// `CUDA_DEVICE_ORDER` is `PCI_BUS_ID`.
fn device(nvml: &Nvml, ordinal: usize) -> Option<Device<'_>> {
    match visible(env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(), ordinal)? {
        Card::Index(index) => nvml.device_by_index(index).ok(),
        Card::Uuid(uuid) => nvml.device_by_uuid(uuid).ok(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Card {
    Index(u32),
    Uuid(String),
}

fn visible(visible_devices: Option<&str>, ordinal: usize) -> Option<Card> {
    let Some(list) = visible_devices.filter(|list| !list.is_empty()) else {
        return Some(Card::Index(ordinal.try_into().ok()?));
    };
    let name = list.split(',').nth(ordinal)?.trim();
    Some(name.parse().map_or_else(|_| Card::Uuid(name.to_owned()), Card::Index))
}

/// A GPU of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuFacts {
    /// Its name.
    pub name: String,
    /// Its memory, in MiB.
    pub memory_mib: f64,
}

/// The driver and the GPUs of the machine, as NVML counts them; `None` without NVML.
pub fn facts() -> Option<(String, Vec<GpuFacts>)> {
    let nvml = Nvml::init().ok()?;
    let gpu = |index| {
        let device = nvml.device_by_index(index).ok()?;
        let memory_mib = mib(device.memory_info().ok()?.total);
        Some(GpuFacts { name: device.name().ok()?, memory_mib })
    };
    let gpus = (0..nvml.device_count().ok()?).filter_map(gpu).collect();
    Some((nvml.sys_driver_version().ok()?, gpus))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_devices_are_counted_as_cuda_counts_them() {
        assert_eq!(visible(None, 2), Some(Card::Index(2)));
        assert_eq!(visible(Some(""), 0), Some(Card::Index(0)));
        assert_eq!(visible(Some("3,1"), 1), Some(Card::Index(1)));
        assert_eq!(visible(Some("GPU-ab"), 0), Some(Card::Uuid("GPU-ab".into())));
        assert_eq!(visible(Some("3"), 1), None);
    }

    #[test]
    fn a_machine_without_a_gpu_is_no_error() {
        // Whatever this machine has: asking must neither fail nor hang.
        if let Some(sampler) = GpuSampler::start(0) {
            let seen = sampler.finish();
            assert!(seen.card_peak_mib >= seen.card_before_mib);
        }
        assert!(facts().is_none_or(|(driver, _)| !driver.is_empty()));
    }
}
