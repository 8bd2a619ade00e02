//! GPU usage of a run, sampled through NVML. The library is loaded at run time; without it, these
//! figures are missing.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::{Device, Nvml};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::Spread;

/// Sampling interval. The driver averages utilisation over at least this long.
const INTERVAL: Duration = Duration::from_millis(20);

/// GPU usage of a run, from samples. Peaks between two samples are missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuUse {
    /// Memory in use on the card before loading, all processes.
    pub card_before_mib: f64,
    /// Peak memory in use on the card, all processes.
    pub card_peak_mib: f64,
    /// Peak memory of this process; `null` if NVML does not know the process, as inside most
    /// containers.
    pub process_peak_mib: Option<f64>,
    /// Mean utilisation during the latency measurement.
    pub utilisation_mean_percent: Option<f64>,
    /// Highest utilisation during the latency measurement.
    pub utilisation_max_percent: Option<f64>,
    /// Number of utilisation samples.
    pub utilisation_samples: usize,
    /// Mean utilisation during the end-to-end measurement; `null` if not measured.
    #[serde(default)]
    pub utilisation_fed_percent: Option<f64>,
    /// Median memory while measuring, of the process or the card as in the peak. Missing in older
    /// records, as are the following fields.
    #[serde(default)]
    pub steady_mib: Option<f64>,
    /// SM clock while measuring.
    #[serde(default)]
    pub clock_mhz: Option<Spread>,
    /// Power while measuring.
    #[serde(default)]
    pub power_w: Option<Spread>,
    /// Temperature while measuring.
    #[serde(default)]
    pub temperature_c: Option<Spread>,
    /// Reasons for throttling while measuring, as reported by NVML. Absent if there were none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttled: Vec<String>,
}

impl GpuUse {
    /// Peak memory of the process in MiB, or the increase on the card if that is unknown.
    pub fn peak_mib(&self) -> f64 {
        self.process_peak_mib.unwrap_or(self.card_peak_mib - self.card_before_mib)
    }
}

/// What is being measured while sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing: loading, warming up.
    Idle,
    /// Latency.
    Latency,
    /// Device times.
    Device,
    /// End-to-end throughput.
    EndToEnd,
}

/// Samples a GPU on a separate thread.
#[derive(Debug)]
pub struct GpuSampler {
    phase: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Samples>,
    card_before_mib: f64,
}

/// Throttling reasons that matter to readers. Idle clocks and limits set by the owner do not.
const THROTTLING: [(ThrottleReasons, &str); 4] = [
    (ThrottleReasons::SW_POWER_CAP, "power cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "thermal slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake"),
];

#[derive(Debug, Default)]
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
    /// Bits of [`ThrottleReasons`].
    throttled: u64,
}

impl GpuSampler {
    /// Starts sampling the CUDA device of this ordinal; `None` if NVML does not list it.
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

    /// Sets what is being measured from now on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Stops sampling.
    pub fn finish(self) -> GpuUse {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.thread.join().unwrap_or_default();
        let utilisation = Spread::of(&samples.utilisation_percent);
        GpuUse {
            card_before_mib: self.card_before_mib,
            card_peak_mib: samples.card_peak_mib.max(self.card_before_mib),
            process_peak_mib: samples.process_peak_mib,
            utilisation_mean_percent: utilisation.map(|percent| percent.mean),
            utilisation_max_percent: utilisation.map(|percent| percent.max),
            utilisation_samples: samples.utilisation_percent.len(),
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
                .filter(|(reason, _)| samples.throttled & reason.bits() != 0)
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
        if phase != Phase::Idle as u8 {
            samples.used_mib.extend(used);
            samples.own_mib.extend(own);
            let percent = device.utilization_rates().ok().map(|rates| f64::from(rates.gpu));
            if phase == Phase::Latency as u8 {
                samples.utilisation_percent.extend(percent);
            } else if phase == Phase::EndToEnd as u8 {
                samples.utilisation_fed_percent.extend(percent);
            }
            samples.clock_mhz.extend(device.clock_info(Clock::SM).ok().map(f64::from));
            samples.power_w.extend(device.power_usage().ok().map(|mw| f64::from(mw) / 1000.0));
            let temperature = device.temperature(TemperatureSensor::Gpu);
            samples.temperature_c.extend(temperature.ok().map(f64::from));
            samples.throttled |= device.current_throttle_reasons().map_or(0, |all| all.bits());
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

/// The card that CUDA numbers `ordinal`. `CUDA_VISIBLE_DEVICES` may hide cards from CUDA. Otherwise
/// NVML and CUDA number cards alike if the cards are of the same model, or if `CUDA_DEVICE_ORDER`
/// is `PCI_BUS_ID`.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuFacts {
    /// Name.
    pub name: String,
    /// Memory.
    pub memory_mib: f64,
}

/// Current utilisation of the CUDA device of this ordinal, in %; `None` if NVML does not report it.
/// Before this program uses the device, the utilisation is caused by others.
pub fn busy_percent(ordinal: usize) -> Option<f64> {
    let nvml = Nvml::init().ok()?;
    let rates = device(&nvml, ordinal)?.utilization_rates().ok()?;
    Some(f64::from(rates.gpu))
}

/// The driver version and the GPUs of the machine in NVML's order; `None` without NVML.
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
    fn visible_devices_are_numbered_as_by_cuda() {
        assert_eq!(visible(None, 2), Some(Card::Index(2)));
        assert_eq!(visible(Some(""), 0), Some(Card::Index(0)));
        assert_eq!(visible(Some("3,1"), 1), Some(Card::Index(1)));
        assert_eq!(visible(Some("GPU-ab"), 0), Some(Card::Uuid("GPU-ab".into())));
        assert_eq!(visible(Some("3"), 1), None);
    }

    #[test]
    fn missing_gpu_is_not_an_error() {
        // Whatever this machine has, sampling must neither fail nor hang.
        if let Some(sampler) = GpuSampler::start(0) {
            let seen = sampler.finish();
            assert!(seen.card_peak_mib >= seen.card_before_mib);
        }
        assert!(facts().is_none_or(|(driver, _)| !driver.is_empty()));
    }
}
