//! What a run takes of the GPU, sampled through NVML. The library is looked for at run time;
//! without it a run simply has no such figures.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};

use crate::stats::Spread;

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
    /// Mean utilisation while frames were made one at a time, in %.
    pub utilisation_mean_percent: Option<f64>,
    /// Highest utilisation then, in %.
    pub utilisation_max_percent: Option<f64>,
    /// Samples of utilisation.
    pub utilisation_samples: usize,
    /// Mean utilisation while the engine was fed ahead, in %; absent where that was not measured.
    #[serde(default)]
    pub utilisation_fed_percent: Option<f64>,
    /// Memory of the peak's kind at the median sample while frames were measured, in MiB; absent
    /// from older records, as is what follows.
    #[serde(default)]
    pub steady_mib: Option<f64>,
    /// Clock of the multiprocessors while frames were measured, in MHz.
    #[serde(default)]
    pub clock_mhz: Option<Spread>,
    /// Power while frames were measured, in W.
    #[serde(default)]
    pub power_w: Option<Spread>,
    /// Temperature while frames were measured, in °C.
    #[serde(default)]
    pub temperature_c: Option<Spread>,
    /// Why the card held its clock back while frames were measured, as NVML names it; empty where
    /// it did not, or does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttled: Vec<String>,
}

impl GpuUse {
    /// The peak that is the process's own as nearly as can be told, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.process_peak_mib.unwrap_or(self.card_peak_mib - self.card_before_mib)
    }
}

/// What samples are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Something that no figure is about: loading, warming up.
    Nothing,
    /// Frames one at a time.
    Latency,
    /// Frames by the device's own clock.
    Device,
    /// Frames fed ahead.
    Fed,
}

/// Samples a GPU in a thread of its own.
#[derive(Debug)]
pub struct GpuSampler {
    phase: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
    card_before_mib: f64,
}

/// What a card holds its clock back for that a reader must know; being idle, or a limit that its
/// owner set, is none.
const THROTTLING: [(ThrottleReasons, &str); 4] = [
    (ThrottleReasons::SW_POWER_CAP, "power cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "thermal slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake"),
];

#[derive(Debug)]
struct Samples {
    card_peak_mib: f64,
    process_peak_mib: Option<f64>,
    used_mib: Vec<f64>,
    own_mib: Vec<f64>,
    utilisation_percent: Vec<f64>,
    utilisation_fed_percent: Vec<f64>,
    clock_mhz: Vec<f64>,
    power_w: Vec<f64>,
    temperature_c: Vec<f64>,
    throttled: ThrottleReasons,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            card_peak_mib: 0.0,
            process_peak_mib: None,
            used_mib: Vec::new(),
            own_mib: Vec::new(),
            utilisation_percent: Vec::new(),
            utilisation_fed_percent: Vec::new(),
            clock_mhz: Vec::new(),
            power_w: Vec::new(),
            temperature_c: Vec::new(),
            throttled: ThrottleReasons::empty(),
        }
    }
}

impl GpuSampler {
    /// Begins to sample the CUDA device of this ordinal; `None` where NVML does not show it.
    pub fn start(ordinal: usize) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        let card_before_mib = used_mib(&device(&nvml, ordinal)?)?;
        let (phase, stop) = (Arc::default(), Arc::default());
        let thread = thread::spawn({
            let (phase, stop) = (Arc::clone(&phase), Arc::clone(&stop));
            move || sample(&nvml, ordinal, &phase, &stop)
        });
        Some(Self { phase, stop, thread, card_before_mib })
    }

    /// What is being measured from now on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
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
            utilisation_fed_percent: Spread::of(&samples.utilisation_fed_percent)
                .map(|percent| percent.mean),
            steady_mib: match samples.process_peak_mib {
                Some(_) => Spread::of(&samples.own_mib).map(|own| own.median),
                None => {
                    Spread::of(&samples.used_mib).map(|used| used.median - self.card_before_mib)
                }
            },
            clock_mhz: Spread::of(&samples.clock_mhz),
            power_w: Spread::of(&samples.power_w),
            temperature_c: Spread::of(&samples.temperature_c),
            throttled: THROTTLING
                .into_iter()
                .filter(|(reason, _)| samples.throttled.contains(*reason))
                .map(|(_, name)| name.to_owned())
                .collect(),
        }
    }
}

fn sample(nvml: &Nvml, ordinal: usize, phase: &AtomicU8, stop: &AtomicBool) -> Samples {
    let mut samples = Samples::default();
    let Some(device) = device(nvml, ordinal) else { return samples };
    while !stop.load(Ordering::Relaxed) {
        let used = used_mib(&device);
        let own = own_mib(&device);
        if let Some(used) = used {
            samples.card_peak_mib = samples.card_peak_mib.max(used);
        }
        if let Some(own) = own {
            samples.process_peak_mib = Some(samples.process_peak_mib.unwrap_or(0.0).max(own));
        }
        let phase = phase.load(Ordering::Relaxed);
        if phase != Phase::Nothing as u8 {
            samples.used_mib.extend(used);
            samples.own_mib.extend(own);
            let percent = device.utilization_rates().ok().map(|rates| f64::from(rates.gpu));
            if phase == Phase::Latency as u8 {
                samples.utilisation_percent.extend(percent);
            } else if phase == Phase::Fed as u8 {
                samples.utilisation_fed_percent.extend(percent);
            }
            samples.clock_mhz.extend(device.clock_info(Clock::SM).ok().map(f64::from));
            samples.power_w.extend(device.power_usage().ok().map(|mw| f64::from(mw) / 1000.0));
            let temperature = device.temperature(TemperatureSensor::Gpu);
            samples.temperature_c.extend(temperature.ok().map(f64::from));
            samples.throttled |=
                device.current_throttle_reasons().unwrap_or(ThrottleReasons::empty());
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

/// Utilisation of the CUDA device of this ordinal now, in %; `None` where NVML does not tell.
/// Before this program does anything there, it is somebody else's.
pub fn busy_percent(ordinal: usize) -> Option<f64> {
    let nvml = Nvml::init().ok()?;
    let rates = device(&nvml, ordinal)?.utilization_rates().ok()?;
    Some(f64::from(rates.gpu))
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
