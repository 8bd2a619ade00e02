//! What this machine and build can run: the table of engines, and what a choice comes down to.

use std::sync::{Once, OnceLock};

use candle_core::Device as Candle;

use crate::engine::{EngineImpl, Load};
use crate::{Device, Engine, Error, Precision, Result};
use crate::{baseline, cpu, cuda};

/// Why an engine cannot run on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// This build lacks it.
    Build(String),
    /// There is no such device or no driver at all: nothing is wrong with the machine.
    Device(String),
    /// The device or its driver is there and does not work.
    Broken(String),
}

impl Absent {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Build(reason) | Self::Device(reason) | Self::Broken(reason) => reason,
        }
    }
}

/// What an engine would run on, or why it cannot.
pub(crate) type Probe = Result<String, Absent>;

/// How an engine is had for a kind of device.
pub(crate) struct Factory {
    engine: Engine,
    /// Any device of the kind.
    kind: Device,
    precisions: fn() -> &'static [Precision],
    /// Whether it can run on the device of this index: quick, asked once, does not panic.
    probe: fn(usize) -> Probe,
    pub(crate) load: fn(&Load<'_>) -> Result<Box<dyn EngineImpl>>,
}

/// Every engine; of those of a kind of device the one that is preferred first.
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
        load: |load| baseline::load(load, Candle::new_cuda(load.index)?),
    },
];

/// So many threads, for people.
pub(crate) fn count_of_threads(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

/// GPUs that are looked for.
const GPUS: usize = 64;

/// What is here: each engine is asked once a device.
fn here(row: usize, device: Device) -> Probe {
    static FOUND: [[OnceLock<Probe>; GPUS]; FACTORIES.len()] =
        [const { [const { OnceLock::new() }; GPUS] }; FACTORIES.len()];
    let index = device.index();
    let probe = || (FACTORIES[row].probe)(index);
    FOUND[row].get(index).map_or_else(probe, |found| found.get_or_init(probe).clone())
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) engine: Engine,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
}

/// What it comes down to, without any `Auto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    row: usize,
    pub(crate) engine: Engine,
    pub(crate) device: Device,
    pub(crate) precision: Precision,
    /// Why no GPU was chosen, where one should have done.
    warning: Option<String>,
}

impl Chosen {
    pub(crate) fn factory(&self) -> &'static Factory {
        &FACTORIES[self.row]
    }
}

/// Chooses on this machine.
pub(crate) fn choose(asked: Asked) -> Result<Chosen> {
    static SAID: Once = Once::new();
    let chosen = choose_among(asked, &here)?;
    if let Some(reason) = &chosen.warning {
        SAID.call_once(|| tracing::warn!("no usable GPU ({reason}); using the CPU"));
    }
    Ok(chosen)
}

/// Chooses among what `here` says there is, of a row of the table and a device.
fn choose_among(asked: Asked, here: &dyn Fn(usize, Device) -> Probe) -> Result<Chosen> {
    let (device, broken) = match asked.device {
        Device::Auto => match first_gpu(asked, here) {
            Ok(gpu) => (gpu, None),
            Err(broken) => (Device::Cpu, broken),
        },
        device => (device, None),
    };
    let precision = asked.precision_on(device);
    let (mut there, mut absent) = (Vec::new(), Vec::new());
    for row in rows(device) {
        match here(row, device) {
            Ok(_) if asked.fits(row, device) => {
                let engine = FACTORIES[row].engine;
                return Ok(Chosen { row, engine, device, precision, warning: broken });
            }
            Ok(_) => there.push(&FACTORIES[row]),
            Err(why) => absent.push((FACTORIES[row].engine, why)),
        }
    }
    if there.is_empty() {
        // What is wrong with the machine says more than what the build lacks; what is said of the
        // engine that was asked for more than what is said of another.
        absent.sort_by_key(|(engine, why)| {
            let rank = match why {
                Absent::Broken(_) => 0,
                Absent::Device(_) => 1,
                Absent::Build(_) => 2,
            };
            (rank, !asked.takes(*engine))
        });
        let why = absent.into_iter().next().map(|(_, why)| why.reason());
        return Err(Error::NoDevice { device, reason: why.unwrap_or_default() });
    }
    let list = |all: Vec<String>| all.join(" and ");
    if there.iter().any(|f| asked.takes(f.engine)) {
        let instead = there.iter().filter(|f| asked.takes(f.engine)).map(|f| {
            let precisions = (f.precisions)().iter().map(ToString::to_string).collect();
            format!("the {} engine computes in {}", f.engine, list(precisions))
        });
        let instead = list(instead.collect());
        return Err(Error::NoPrecision { precision, device, instead });
    }
    let why = absent.into_iter().find(|(engine, _)| asked.takes(*engine));
    Err(Error::NoEngine {
        engine: asked.engine,
        device,
        reason: match (why, broken) {
            (Some((_, why)), _) => why.reason(),
            (None, Some(broken)) => format!("it runs on a GPU, and none is usable ({broken})"),
            (None, None) => "it runs on a GPU".into(),
        },
        instead: list(there.iter().map(|f| format!("the {} engine", f.engine)).collect()),
    })
}

/// The first GPU that serves, else what is wrong with one that is there.
fn first_gpu(
    asked: Asked,
    here: &dyn Fn(usize, Device) -> Probe,
) -> Result<Device, Option<String>> {
    let mut broken = None;
    for device in (0..GPUS).map(Device::Cuda) {
        let mut there = false;
        for row in rows(device) {
            match here(row, device) {
                Ok(_) if asked.fits(row, device) => return Ok(device),
                Ok(_) => there = true,
                Err(Absent::Broken(reason)) => {
                    there = true;
                    broken.get_or_insert(reason);
                }
                Err(Absent::Build(_) | Absent::Device(_)) => {}
            }
        }
        if !there {
            break;
        }
    }
    Err(broken)
}

/// The rows of the table for a device, in order of preference.
fn rows(device: Device) -> impl Iterator<Item = usize> {
    (0..FACTORIES.len()).filter(move |row| FACTORIES[*row].kind.same_kind(device))
}

impl Asked {
    const ANY: Self =
        Self { engine: Engine::Auto, device: Device::Auto, precision: Precision::Auto };

    fn takes(self, engine: Engine) -> bool {
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
        self.takes(*engine) && precisions().contains(&self.precision_on(device))
    }
}

impl Device {
    /// The device that this choice comes down to here, never [`Device::Auto`].
    ///
    /// # Errors
    /// [`crate::Error::NoDevice`] when the device asked for cannot be used.
    pub fn resolve(self) -> Result<Self> {
        Ok(choose(Asked { device: self, ..Asked::ANY })?.device)
    }

    /// Whether both are CPUs or both are GPUs.
    pub fn same_kind(self, other: Self) -> bool {
        matches!((self, other), (Self::Cpu, Self::Cpu) | (Self::Cuda(_), Self::Cuda(_)))
    }

    /// The device among those of its kind.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Auto | Self::Cpu => 0,
            Self::Cuda(index) => index,
        }
    }
}

/// Whether an engine can run on a device here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Availability {
    /// The engine.
    pub engine: Engine,
    /// The device.
    pub device: Device,
    /// What it computes in.
    pub precisions: Vec<Precision>,
    /// What it would run on, or why it cannot.
    pub state: Result<String, String>,
}

/// Every engine and whether it can run here, on the CPU and on the GPU that [`Device::Auto`] takes
/// (the first, where it takes none).
pub fn engines() -> Vec<Availability> {
    let gpu = first_gpu(Asked::ANY, &here).unwrap_or(Device::Cuda(0));
    let all = FACTORIES.iter().enumerate().map(|(row, factory)| {
        let device = if factory.kind == Device::Cpu { Device::Cpu } else { gpu };
        Availability {
            engine: factory.engine,
            device,
            precisions: (factory.precisions)().to_vec(),
            state: here(row, device).map_err(Absent::reason),
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
    type Gpus<'a> = &'a [[Result<(), Absent>; 2]];

    fn choose(
        gpus: Gpus<'_>,
        engine: Engine,
        device: Device,
        precision: Precision,
    ) -> Result<Chosen> {
        choose_among(Asked { engine, device, precision }, &|row, device| {
            let Device::Cuda(index) = device else { return Ok("2 threads".into()) };
            let none = || Absent::Device(format!("there is no GPU {index}"));
            let engine = usize::from(FACTORIES[row].engine == Engine::Baseline);
            gpus.get(index).ok_or_else(none)?[engine].clone().map(|()| "a GPU".into())
        })
    }

    fn not_built() -> Result<(), Absent> {
        Err(Absent::Build("not built".into()))
    }

    fn broken() -> Result<(), Absent> {
        Err(Absent::Broken("a driver of 2009".into()))
    }

    #[test]
    fn auto_takes_the_fastest_that_fits() {
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
    fn only_a_gpu_that_should_work_is_warned_about() {
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
    fn what_cannot_run_is_refused_with_what_can() {
        let (any, base, fast) = (Engine::Auto, Engine::Baseline, Engine::Optimized);
        let (auto, tf32, f16) = (Precision::Auto, Precision::Tf32, Precision::F16);
        let no_gpu: Gpus<'_> = &[];
        let plain: Gpus<'_> = &[[Ok(()), not_built()]];
        let candle: Gpus<'_> = &[[broken(), Ok(())]];
        let wreck: Gpus<'_> = &[[not_built(), broken()]];
        for (gpus, engine, device, precision, says) in [
            (no_gpu, any, GPU, auto, "cuda:0 cannot be used: there is no GPU 0; the CPU can"),
            (plain, any, Device::Cuda(1), auto, "cuda:1 cannot be used: there is no GPU 1"),
            (wreck, fast, GPU, auto, "cuda:0 cannot be used: a driver of 2009"),
            (no_gpu, fast, CPU, f16, "f16 on cpu: the optimized engine computes in f32"),
            (no_gpu, fast, Device::Auto, f16, "f16 on cpu: the optimized engine computes in f32"),
            (plain, base, GPU, auto, "not built; the optimized engine runs there"),
            (candle, fast, GPU, auto, "a driver of 2009; the baseline engine runs there"),
            (no_gpu, any, CPU, tf32, " and the baseline engine computes in f32 and f16 there"),
            (candle, any, GPU, tf32, "tf32 on cuda:0: the baseline engine computes in f32"),
            (no_gpu, any, Device::Auto, tf32, "tf32 on cpu"),
        ] {
            let error = choose(gpus, engine, device, precision).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{error}\nlacks {says}");
        }
    }

    #[test]
    fn this_machine_answers() {
        let all = engines();
        assert!(all.iter().any(|a| a.device == CPU && a.state.is_ok()), "{all:?}");
        assert_eq!(Device::Cpu.resolve().unwrap(), CPU);
        assert_ne!(Device::Auto.resolve().unwrap(), Device::Auto);
        assert!(matches!(Device::Cuda(250).resolve(), Err(Error::NoDevice { .. })));
        assert!(Device::Cuda(usize::MAX).resolve().is_err());
    }
}
