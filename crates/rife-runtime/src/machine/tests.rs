use super::*;

const CPU: Device = Device::Cpu;
const GPU: Device = Device::Cuda(0);

/// The GPUs of a machine: for each, the state of the optimized engine and of the baseline.
type Gpus<'a> = &'a [[Result<(), Unavailable>; 2]];

fn resolve_on(
    gpus: Gpus<'_>,
    engine: Engine,
    device: Device,
    precision: Precision,
) -> Result<Resolved> {
    resolve_with(Request { engine, device, precision }, &|row, device| {
        let Device::Cuda(index) = device else { return Ok("2 threads".into()) };
        let missing = || Unavailable::NoDevice(format!("there is no GPU {index}"));
        let engine = usize::from(FACTORIES[row].engine == Engine::Baseline);
        gpus.get(index).ok_or_else(missing)?[engine].clone().map(|()| "a GPU".into())
    })
}

fn not_built() -> Result<(), Unavailable> {
    Err(Unavailable::NotBuilt("not built".into()))
}

fn broken() -> Result<(), Unavailable> {
    Err(Unavailable::Broken("the driver is too old".into()))
}

#[test]
fn auto_chooses_the_fastest_available_engine() {
    let (any, base, fast) = (Engine::Auto, Engine::Baseline, Engine::Optimized);
    let (auto, f32, tf32, f16) = (Precision::Auto, Precision::F32, Precision::Tf32, Precision::F16);
    let second = Device::Cuda(1);
    let no_gpu: Gpus<'_> = &[];
    let both: Gpus<'_> = &[[Ok(()), Ok(())]];
    let optimized_only: Gpus<'_> = &[[Ok(()), not_built()]];
    let baseline_only: Gpus<'_> = &[[broken(), Ok(())]];
    let first_without_optimized: Gpus<'_> = &[[broken(), Ok(())], [Ok(()), Ok(())]];
    let first_broken: Gpus<'_> = &[[broken(), not_built()], [Ok(()), not_built()]];
    for (gpus, (engine, device, precision), expected) in [
        (no_gpu, (any, Device::Auto, auto), (fast, CPU, f32)),
        (no_gpu, (base, Device::Auto, auto), (base, CPU, f32)),
        (no_gpu, (fast, Device::Auto, auto), (fast, CPU, f32)),
        (no_gpu, (any, CPU, f16), (base, CPU, f16)),
        (both, (any, Device::Auto, auto), (fast, GPU, f16)),
        (both, (any, CPU, auto), (fast, CPU, f32)),
        (both, (base, Device::Auto, auto), (base, GPU, f16)),
        (both, (any, GPU, tf32), (fast, GPU, tf32)),
        (optimized_only, (base, Device::Auto, auto), (base, CPU, f32)),
        (baseline_only, (any, Device::Auto, auto), (base, GPU, f16)),
        (first_without_optimized, (any, Device::Auto, tf32), (fast, second, tf32)),
        (first_broken, (any, Device::Auto, auto), (fast, second, f16)),
    ] {
        let got = resolve_on(gpus, engine, device, precision).unwrap();
        assert_eq!(
            (got.engine, got.device, got.precision),
            expected,
            "{gpus:?} {engine:?} {device:?} {precision:?}"
        );
        assert_eq!(got.warning, None);
        assert_eq!(got.factory().engine, got.engine);
    }
}

#[test]
fn falling_back_to_the_cpu_warns_only_about_a_broken_gpu() {
    let auto =
        |gpus: Gpus<'_>| resolve_on(gpus, Engine::Auto, Device::Auto, Precision::Auto).unwrap();
    assert_eq!(auto(&[]).warning, None);
    assert_eq!(auto(&[[not_built(), not_built()]]).warning, None);
    let broken_gpu: Gpus<'_> = &[[broken(), not_built()]];
    let explicit =
        resolve_on(broken_gpu, Engine::Optimized, Device::Auto, Precision::Auto).unwrap();
    for resolved in [auto(broken_gpu), explicit] {
        let got = (resolved.engine, resolved.device, resolved.warning.unwrap());
        assert_eq!(got, (Engine::Optimized, CPU, "the driver is too old".into()));
    }
}

#[test]
fn unsupported_request_is_refused_with_an_alternative() {
    let (any, base, fast) = (Engine::Auto, Engine::Baseline, Engine::Optimized);
    let (auto, tf32, f16) = (Precision::Auto, Precision::Tf32, Precision::F16);
    let no_gpu: Gpus<'_> = &[];
    let optimized_only: Gpus<'_> = &[[Ok(()), not_built()]];
    let baseline_only: Gpus<'_> = &[[broken(), Ok(())]];
    let broken_gpu: Gpus<'_> = &[[not_built(), broken()]];
    for (gpus, engine, device, precision, message) in [
        (no_gpu, any, GPU, auto, "cuda:0 is unavailable: there is no GPU 0"),
        (optimized_only, any, Device::Cuda(1), auto, "cuda:1 is unavailable: there is no GPU 1"),
        (broken_gpu, fast, GPU, auto, "cuda:0 is unavailable: the driver is too old"),
        (no_gpu, fast, CPU, f16, "f16 is not supported on cpu: the optimized engine supports f32"),
        (
            no_gpu,
            fast,
            Device::Auto,
            f16,
            "f16 is not supported on cpu: the optimized engine supports f32",
        ),
        (optimized_only, base, GPU, auto, "not built; use the optimized engine"),
        (baseline_only, fast, GPU, auto, "the driver is too old; use the baseline engine"),
        (no_gpu, any, CPU, tf32, " and the baseline engine supports f32 and f16"),
        (
            baseline_only,
            any,
            GPU,
            tf32,
            "tf32 is not supported on cuda:0: the baseline engine supports f32",
        ),
        (no_gpu, any, Device::Auto, tf32, "tf32 is not supported on cpu"),
    ] {
        let error = resolve_on(gpus, engine, device, precision).unwrap_err().to_string();
        assert!(error.contains(message) && !error.contains('\n'), "{error}\nlacks {message:?}");
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

#[test]
fn auto_device_avoids_an_engine_whose_self_test_failed() {
    let resolve_with_failure = |failed: (Engine, Device, Precision), device| {
        let request = Request { device, ..Request::ANY };
        let probe = |row: usize, device: Device| match (FACTORIES[row].engine, device) {
            (Engine::Baseline, Device::Cuda(_)) => Err(Unavailable::NotBuilt("not built".into())),
            (_, Device::Cuda(1..)) => Err(Unavailable::NoDevice("there is one GPU".into())),
            _ => Ok("a device".into()),
        };
        let resolved = resolve_with_self_tests(request, &probe, &|row, device, precision| {
            ((FACTORIES[row].engine, device, precision) == failed).then(|| "12.3 dB".into())
        });
        let resolved = resolved.unwrap();
        ((resolved.engine, resolved.device, resolved.precision), resolved.warning)
    };
    let gpu = (Engine::Optimized, GPU, Precision::F16);
    let on_cpu = (Engine::Optimized, CPU, Precision::F32);
    let (chosen, warning) = resolve_with_failure(gpu, Device::Auto);
    assert_eq!(chosen, on_cpu);
    assert_eq!(warning.as_deref(), Some("its self-test failed (12.3 dB)"));
    // An explicit device, or a failure of another precision.
    assert_eq!(resolve_with_failure(gpu, GPU), (gpu, None));
    let other = (Engine::Optimized, GPU, Precision::F32);
    assert_eq!(resolve_with_failure(other, Device::Auto), (gpu, None));
    assert_eq!(resolve_with_failure(on_cpu, CPU).0, on_cpu);
}
