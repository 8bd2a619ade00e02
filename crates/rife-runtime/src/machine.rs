//! The table of engines, and how a request is resolved to one of them on this machine.

use std::sync::{Once, OnceLock};

use candle_core::Device as Candle;
use rife_model::ModelError;

use crate::engine::{EngineImpl, Load};
use crate::probe::{Probe, Unavailable, count_of_threads};
use crate::{Device, Engine, Error, Precision, Result};
use crate::{baseline, cpu, cuda};

/// How an engine is probed and loaded on a kind of device.
pub(crate) struct Factory {
    engine: Engine,
    /// Any device of that kind.
    kind: Device,
    precisions: fn() -> &'static [Precision],
    /// Whether it can run on the device of this index. Quick, called once, and does not panic.
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
const GPUS: usize = 64;

/// Probes an engine on a device, once.
fn probe(row: usize, device: Device) -> Probe {
    static FOUND: [[OnceLock<Probe>; GPUS]; FACTORIES.len()] =
        [const { [const { OnceLock::new() }; GPUS] }; FACTORIES.len()];
    let index = device.index();
    let run = || (FACTORIES[row].probe)(index);
    FOUND[row].get(index).map_or_else(run, |found| found.get_or_init(run).clone())
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
    let resolved = resolve_with(request, &probe)?;
    if let Some(reason) = &resolved.warning {
        WARNED.call_once(|| {
            tracing::warn!("running on the CPU, which is slower: no usable GPU ({reason})")
        });
    }
    Ok(resolved)
}

/// Resolves a request by what `probe` returns for a row of the table and a device.
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
        // A fault of the machine is more useful to report than what the build lacks, and a fault
        // of the requested engine more than that of another.
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

/// The first GPU that satisfies a request, else what is wrong with one that is present.
fn first_gpu(
    request: Request,
    probe: &dyn Fn(usize, Device) -> Probe,
) -> Result<Device, Option<String>> {
    let mut broken = None;
    for device in (0..GPUS).map(Device::Cuda) {
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
            state: probe(row, device).map_err(Unavailable::reason),
        }
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Device = Device::Cpu;
    const GPU: Device = Device::Cuda(0);

    /// A machine's GPUs, first to last: the state of the optimized engine and of the baseline.
    type Gpus<'a> = &'a [[Result<(), Unavailable>; 2]];

    fn choose(
        gpus: Gpus<'_>,
        engine: Engine,
        device: Device,
        precision: Precision,
    ) -> Result<Resolved> {
        resolve_with(Request { engine, device, precision }, &|row, device| {
            let Device::Cuda(index) = device else { return Ok("2 threads".into()) };
            let none = || Unavailable::NoDevice(format!("there is no GPU {index}"));
            let engine = usize::from(FACTORIES[row].engine == Engine::Baseline);
            gpus.get(index).ok_or_else(none)?[engine].clone().map(|()| "a GPU".into())
        })
    }

    fn not_built() -> Result<(), Unavailable> {
        Err(Unavailable::NotBuilt("not built".into()))
    }

    fn broken() -> Result<(), Unavailable> {
        Err(Unavailable::Broken("a driver of 2009".into()))
    }

    #[test]
    fn auto_chooses_the_fastest_available_engine() {
        let (any, base, fast) = (Engine::Auto, Engine::Baseline, Engine::Optimized);
        let (auto, f32, tf32, f16) =
            (Precision::Auto, Precision::F32, Precision::Tf32, Precision::F16);
        let second = Device::Cuda(1);
        let none: Gpus<'_> = &[];
        let both: Gpus<'_> = &[[Ok(()), Ok(())]];
        let plain: Gpus<'_> = &[[Ok(()), not_built()]];
        let candle: Gpus<'_> = &[[broken(), Ok(())]];
        let two: Gpus<'_> = &[[broken(), Ok(())], [Ok(()), Ok(())]];
        let half: Gpus<'_> = &[[broken(), not_built()], [Ok(()), not_built()]];
        for (gpus, asked, expected) in [
            (none, (any, Device::Auto, auto), (fast, CPU, f32)),
            (none, (base, Device::Auto, auto), (base, CPU, f32)),
            (none, (fast, Device::Auto, auto), (fast, CPU, f32)),
            (none, (any, CPU, f16), (base, CPU, f16)),
            (both, (any, Device::Auto, auto), (fast, GPU, f16)),
            (both, (any, CPU, auto), (fast, CPU, f32)),
            (both, (base, Device::Auto, auto), (base, GPU, f16)),
            (both, (any, GPU, tf32), (fast, GPU, tf32)),
            (plain, (base, Device::Auto, auto), (base, CPU, f32)),
            (candle, (any, Device::Auto, auto), (base, GPU, f16)),
            (two, (any, Device::Auto, tf32), (fast, second, tf32)),
            (half, (any, Device::Auto, auto), (fast, second, f16)),
        ] {
            let got = choose(gpus, asked.0, asked.1, asked.2).unwrap();
            assert_eq!((got.engine, got.device, got.precision), expected, "{gpus:?} {asked:?}");
            assert_eq!(got.warning, None);
            assert_eq!(got.factory().engine, got.engine);
        }
    }

    #[test]
    fn falling_back_to_the_cpu_warns_only_about_a_broken_gpu() {
        let auto =
            |gpus: Gpus<'_>| choose(gpus, Engine::Auto, Device::Auto, Precision::Auto).unwrap();
        assert_eq!(auto(&[]).warning, None);
        assert_eq!(auto(&[[not_built(), not_built()]]).warning, None);
        let wreck: Gpus<'_> = &[[broken(), not_built()]];
        let asked = choose(wreck, Engine::Optimized, Device::Auto, Precision::Auto).unwrap();
        for fallen in [auto(wreck), asked] {
            let got = (fallen.engine, fallen.device, fallen.warning.unwrap());
            assert_eq!(got, (Engine::Optimized, CPU, "a driver of 2009".into()));
        }
    }

    #[test]
    fn unsupported_request_is_refused_with_an_alternative() {
        let (any, base, fast) = (Engine::Auto, Engine::Baseline, Engine::Optimized);
        let (auto, tf32, f16) = (Precision::Auto, Precision::Tf32, Precision::F16);
        let no_gpu: Gpus<'_> = &[];
        let plain: Gpus<'_> = &[[Ok(()), not_built()]];
        let candle: Gpus<'_> = &[[broken(), Ok(())]];
        let wreck: Gpus<'_> = &[[not_built(), broken()]];
        for (gpus, engine, device, precision, says) in [
            (no_gpu, any, GPU, auto, "cuda:0 is unavailable: there is no GPU 0"),
            (plain, any, Device::Cuda(1), auto, "cuda:1 is unavailable: there is no GPU 1"),
            (wreck, fast, GPU, auto, "cuda:0 is unavailable: a driver of 2009"),
            (
                no_gpu,
                fast,
                CPU,
                f16,
                "f16 is not supported on cpu: the optimized engine supports f32",
            ),
            (
                no_gpu,
                fast,
                Device::Auto,
                f16,
                "f16 is not supported on cpu: the optimized engine supports f32",
            ),
            (plain, base, GPU, auto, "not built; use the optimized engine"),
            (candle, fast, GPU, auto, "a driver of 2009; use the baseline engine"),
            (no_gpu, any, CPU, tf32, " and the baseline engine supports f32 and f16"),
            (
                candle,
                any,
                GPU,
                tf32,
                "tf32 is not supported on cuda:0: the baseline engine supports f32",
            ),
            (no_gpu, any, Device::Auto, tf32, "tf32 is not supported on cpu"),
        ] {
            let error = choose(gpus, engine, device, precision).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{error}\nlacks {says}");
        }
    }

    #[test]
    fn cpu_is_available_on_this_machine() {
        let all = engines();
        assert!(all.iter().any(|a| a.device == CPU && a.state.is_ok()), "{all:?}");
        assert_eq!(Device::Cpu.resolve().unwrap(), CPU);
        assert_ne!(Device::Auto.resolve().unwrap(), Device::Auto);
        assert!(matches!(Device::Cuda(250).resolve(), Err(Error::NoDevice { .. })));
        assert!(Device::Cuda(usize::MAX).resolve().is_err());
    }
}
