//! The table of engines, and how a request is resolved to one of them on this machine.

#[cfg(test)]
mod tests;

use std::sync::{Once, OnceLock};

use candle_core::Device as Candle;
use rife_model::ModelError;

use crate::engine::{EngineImpl, Load};
use crate::probe::{Probe, Unavailable, count_of_threads};
use crate::self_test::Verdict;
use crate::{Device, Engine, Error, Precision, Result};
use crate::{baseline, cpu, cuda};

/// How an engine is probed and loaded on a kind of device.
pub(crate) struct Factory {
    engine: Engine,
    /// Any device of that kind.
    kind: Device,
    precisions: fn() -> &'static [Precision],
    /// Whether it can run on the device of this index. Must be quick and must not panic; called
    /// once per device.
    probe: fn(usize) -> Probe,
    pub(crate) load: fn(&Load<'_>) -> Result<Box<dyn EngineImpl>>,
}

/// Every engine, in the order of preference for each kind of device.
const FACTORIES: [Factory; 4] = [
    Factory {
        engine: Engine::Optimized,
        kind: Device::Cpu,
        precisions: cpu::precisions,
        probe: cpu::probe,
        load: cpu::load,
    },
    Factory {
        engine: Engine::Baseline,
        kind: Device::Cpu,
        precisions: || &[Precision::F32, Precision::F16],
        probe: |_| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(count_of_threads(threads))
        },
        load: |load| baseline::load(load, Candle::Cpu),
    },
    Factory {
        engine: Engine::Optimized,
        kind: Device::Cuda(0),
        precisions: || &[Precision::F32, Precision::Tf32, Precision::F16],
        probe: cuda::probe,
        load: cuda::load,
    },
    Factory {
        engine: Engine::Baseline,
        kind: Device::Cuda(0),
        precisions: || &[Precision::F32, Precision::F16],
        probe: baseline::probe_cuda,
        load: |load| {
            let device = Candle::new_cuda(load.index).map_err(ModelError::Candle)?;
            baseline::load(load, device)
        },
    },
];

/// The most GPUs that are probed.
const MAX_GPUS: usize = 64;

/// Probes an engine on a device, and caches the result.
fn probe(row: usize, device: Device) -> Probe {
    static PROBED: [[OnceLock<Probe>; MAX_GPUS]; FACTORIES.len()] =
        [const { [const { OnceLock::new() }; MAX_GPUS] }; FACTORIES.len()];
    let index = device.index();
    let run = || (FACTORIES[row].probe)(index);
    PROBED[row].get(index).map_or_else(run, |cell| cell.get_or_init(run).clone())
}

/// The choices of a caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) engine: Engine,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
}

/// A request with every `Auto` resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    row: usize,
    pub(crate) engine: Engine,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
    /// Why a GPU that is present was not chosen, if any.
    warning: Option<String>,
}

impl Resolved {
    pub(crate) fn factory(&self) -> &'static Factory {
        &FACTORIES[self.row]
    }
}

/// Resolves a request on this machine.
pub(crate) fn resolve(request: Request) -> Result<Resolved> {
    static WARNED: Once = Once::new();
    let resolved = resolve_with_self_tests(request, &probe, &failed_self_test)?;
    if let Some(reason) = &resolved.warning {
        WARNED.call_once(|| {
            tracing::warn!("running on the CPU, which is slower: no usable GPU ({reason})")
        });
    }
    Ok(resolved)
}

/// Resolves a request. `failure` returns why the last self-test of an engine failed, if it did:
/// [`Device::Auto`] does not choose such an engine, an explicit device is used nevertheless.
fn resolve_with_self_tests(
    request: Request,
    probe: &dyn Fn(usize, Device) -> Probe,
    failure: &dyn Fn(usize, Device, Precision) -> Option<String>,
) -> Result<Resolved> {
    resolve_with(request, &|row, device| {
        let description = probe(row, device)?;
        if request.device == Device::Auto
            && let Some(why) = failure(row, device, request.precision_on(device))
        {
            return Err(Unavailable::Broken(format!("its self-test failed ({why})")));
        }
        Ok(description)
    })
}

/// Why the last self-test of an engine failed, if it did.
fn failed_self_test(row: usize, device: Device, precision: Precision) -> Option<String> {
    let identity = identity_of(row, device)?;
    Verdict::new(&identity, FACTORIES[row].engine, precision).failure()
}

/// What a verdict of an engine depends on: the device and its driver. `None` if the device cannot
/// be used.
pub(crate) fn identity(engine: Engine, device: Device) -> Option<String> {
    let row = rows(device).find(|row| FACTORIES[*row].engine == engine)?;
    identity_of(row, device)
}

fn identity_of(row: usize, device: Device) -> Option<String> {
    let description = probe(row, device).ok()?;
    match device {
        Device::Cuda(index) => {
            let driver = cuda::driver_version(index).unwrap_or_default();
            Some(format!("{description}, driver {driver}"))
        }
        _ => Some(description),
    }
}

/// Resolves a request. `probe` is called with a row of the table and a device.
fn resolve_with(request: Request, probe: &dyn Fn(usize, Device) -> Probe) -> Result<Resolved> {
    let (device, broken) = match request.device {
        Device::Auto => match first_gpu(request, probe) {
            Ok(gpu) => (gpu, None),
            Err(broken) => (Device::Cpu, broken),
        },
        device => (device, None),
    };
    let precision = request.precision_on(device);
    let (mut available, mut unavailable) = (Vec::new(), Vec::new());
    for row in rows(device) {
        match probe(row, device) {
            Ok(_) if request.fits(row, device) => {
                let engine = FACTORIES[row].engine;
                return Ok(Resolved { row, engine, device, precision, warning: broken });
            }
            Ok(_) => available.push(&FACTORIES[row]),
            Err(why) => unavailable.push((FACTORIES[row].engine, why)),
        }
    }
    if available.is_empty() {
        // Report the most useful reason: a fault of the machine rather than a missing build
        // feature, and that of the requested engine rather than of another one.
        unavailable.sort_by_key(|(engine, why)| {
            let rank = match why {
                Unavailable::Broken(_) => 0,
                Unavailable::NoDevice(_) => 1,
                Unavailable::NotBuilt(_) => 2,
            };
            (rank, !request.accepts(*engine))
        });
        let why = unavailable.into_iter().next().map(|(_, why)| why.reason());
        return Err(Error::NoDevice { device, reason: why.unwrap_or_default() });
    }
    let list = |all: Vec<String>| all.join(" and ");
    if available.iter().any(|f| request.accepts(f.engine)) {
        let instead = available.iter().filter(|f| request.accepts(f.engine)).map(|f| {
            let precisions = (f.precisions)().iter().map(ToString::to_string).collect();
            format!("the {} engine supports {}", f.engine, list(precisions))
        });
        let instead = list(instead.collect());
        return Err(Error::NoPrecision { precision, device, instead });
    }
    let why = unavailable.into_iter().find(|(engine, _)| request.accepts(*engine));
    Err(Error::NoEngine {
        engine: request.engine,
        device,
        reason: match (why, broken) {
            (Some((_, why)), _) => why.reason(),
            (None, Some(broken)) => format!("it needs a GPU, and none is usable ({broken})"),
            (None, None) => "it needs a GPU".into(),
        },
        instead: list(available.iter().map(|f| format!("the {} engine", f.engine)).collect()),
    })
}

/// The first GPU that satisfies a request.
///
/// # Errors
/// Why the first broken GPU does not work, if one is present.
fn first_gpu(
    request: Request,
    probe: &dyn Fn(usize, Device) -> Probe,
) -> Result<Device, Option<String>> {
    let mut broken = None;
    for device in (0..MAX_GPUS).map(Device::Cuda) {
        let mut present = false;
        for row in rows(device) {
            match probe(row, device) {
                Ok(_) if request.fits(row, device) => return Ok(device),
                Ok(_) => present = true,
                Err(Unavailable::Broken(reason)) => {
                    present = true;
                    broken.get_or_insert(reason);
                }
                Err(Unavailable::NotBuilt(_) | Unavailable::NoDevice(_)) => {}
            }
        }
        if !present {
            break;
        }
    }
    Err(broken)
}

/// The rows of the table for a device, in order of preference.
fn rows(device: Device) -> impl Iterator<Item = usize> {
    (0..FACTORIES.len()).filter(move |row| FACTORIES[*row].kind.same_kind(device))
}

impl Request {
    const ANY: Self =
        Self { engine: Engine::Auto, device: Device::Auto, precision: Precision::Auto };

    fn accepts(self, engine: Engine) -> bool {
        self.engine == Engine::Auto || self.engine == engine
    }

    fn precision_on(self, device: Device) -> Precision {
        match self.precision {
            Precision::Auto if device == Device::Cpu => Precision::F32,
            Precision::Auto => Precision::F16,
            chosen => chosen,
        }
    }

    fn fits(self, row: usize, device: Device) -> bool {
        let Factory { engine, precisions, .. } = &FACTORIES[row];
        self.accepts(*engine) && precisions().contains(&self.precision_on(device))
    }
}

impl Device {
    /// The device that this choice resolves to on this machine, never [`Device::Auto`].
    ///
    /// # Errors
    /// [`crate::Error::NoDevice`] if the device is unavailable.
    pub fn resolve(self) -> Result<Self> {
        Ok(resolve(Request { device: self, ..Request::ANY })?.device)
    }

    /// Whether both are CPUs, or both are GPUs.
    pub fn same_kind(self, other: Self) -> bool {
        matches!((self, other), (Self::Cpu, Self::Cpu) | (Self::Cuda(_), Self::Cuda(_)))
    }

    /// The index of the device among those of its kind.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Auto | Self::Cpu => 0,
            Self::Cuda(index) => index,
        }
    }
}

/// Whether an engine can run on a device of this machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Availability {
    /// The engine.
    pub engine: Engine,
    /// The device.
    pub device: Device,
    /// The precisions that it supports.
    pub precisions: Vec<Precision>,
    /// What it would run on, or why it cannot.
    pub state: Result<String, String>,
    /// Whether the device or its driver is present but does not work.
    pub broken: bool,
}

/// Every engine, and whether it can run on this machine: on the CPU, and on the GPU that
/// [`Device::Auto`] chooses, or the first GPU if it chooses none.
pub fn engines() -> Vec<Availability> {
    let gpu = first_gpu(Request::ANY, &probe).unwrap_or(Device::Cuda(0));
    let all = FACTORIES.iter().enumerate().map(|(row, factory)| {
        let device = if factory.kind == Device::Cpu { Device::Cpu } else { gpu };
        Availability {
            engine: factory.engine,
            device,
            precisions: (factory.precisions)().to_vec(),
            broken: matches!(probe(row, device), Err(Unavailable::Broken(_))),
            state: probe(row, device).map_err(Unavailable::reason),
        }
    });
    all.collect()
}
