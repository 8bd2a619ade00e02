//! `rife doctor`: tests what this machine should be able to run.

use anyhow::{Result, bail};
use rife_model::ModelVersion;
use rife_model::weights::{Store, WeightsError};
use rife_runtime::{Availability, Device, SelfTest, diagnostics, engines};
use rife_video::Programs;
use serde_json::{Value, json};

use crate::args::DoctorArgs;
use crate::print::one_line;
use crate::version;
use crate::{describe, print};

/// The versions whose weights the self-tests use.
const TESTED: [ModelVersion; 2] = [ModelVersion::V4_6, ModelVersion::V4_26];

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// It works.
    Ok,
    /// This machine does not have it, and does not need it.
    Absent,
    /// It should work, and does not.
    Failed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Failed => "FAILED",
        }
    }
}

/// One line of the report.
struct Check {
    name: String,
    status: Status,
    detail: String,
    /// What the user can do.
    hint: Option<String>,
    /// Further values for JSON.
    values: Value,
}

impl Check {
    fn new(name: impl Into<String>, status: Status, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        Self { name, status, detail, hint: None, values: Value::Null }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn line(&self) -> String {
        let detail = one_line(&self.detail);
        let mut line = format!("{:<7} {:<34} {detail}\n", self.status.name(), self.name);
        if let Some(hint) = &self.hint {
            line += &format!("{:<7} hint: {}\n", "", one_line(hint));
        }
        line
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "status": self.status.name().to_lowercase(),
            "detail": self.detail,
            "hint": self.hint,
        });
        if let (Some(value), Some(values)) = (value.as_object_mut(), self.values.as_object()) {
            value.extend(values.clone());
        }
        value
    }
}

/// Collects the checks, and prints each at once unless the report is JSON.
struct Report {
    json: bool,
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, check: Check) -> Result<()> {
        if !self.json {
            print(&check.line())?;
        }
        self.checks.push(check);
        Ok(())
    }
}

pub(crate) fn run(args: &DoctorArgs) -> Result<()> {
    let mut report = Report { json: args.json, checks: Vec::new() };
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let build = format!("{}, {system}, features: {}", version::version(), version::features());
    report.add(Check::new("rife", Status::Ok, build))?;
    let engines = engines();
    check_devices(&mut report, &engines)?;
    check_caches(&mut report)?;
    check_ffmpeg(&mut report, args)?;
    check_weights_and_engines(&mut report, args, &engines)?;

    let failed = report.checks.iter().filter(|check| check.status == Status::Failed).count();
    if args.json {
        let checks: Vec<_> = report.checks.iter().map(Check::json).collect();
        let value = json!({ "version": version::version(), "failed": failed, "checks": checks });
        print(&format!("{value:#}\n"))?;
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        _ => bail!("{failed} checks failed"),
    }
}

/// The driver, the kernel compiler, and whether each engine can run.
fn check_devices(report: &mut Report, engines: &[Availability]) -> Result<()> {
    let gpu = engines.iter().map(|engine| engine.device).find(|device| *device != Device::Cpu);
    let index = match gpu {
        Some(Device::Cuda(index)) => index,
        _ => 0,
    };
    match diagnostics::driver_version(index) {
        Some(version) => {
            report.add(Check::new("GPU driver", Status::Ok, version))?;
            report.add(match diagnostics::kernel_compiler() {
                Ok(version) => Check::new("kernel compiler", Status::Ok, version),
                Err(why) => Check::new("kernel compiler", Status::Failed, why).hint(
                    "pip install nvidia-cuda-nvrtc, or set RIFE_NVRTC to the path of libnvrtc",
                ),
            })?;
        }
        None => report.add(Check::new("GPU driver", Status::Absent, "no NVIDIA GPU is usable"))?,
    }
    for Availability { engine, device, state, broken, .. } in engines {
        let name = format!("{engine} engine on {device}");
        report.add(match state {
            Ok(details) => Check::new(name, Status::Ok, details),
            Err(reason) if *broken => Check::new(name, Status::Failed, reason)
                .hint("see docs/troubleshooting.md: drivers and the kernel compiler"),
            Err(reason) => Check::new(name, Status::Absent, reason),
        })?;
    }
    Ok(())
}

fn check_caches(report: &mut Report) -> Result<()> {
    for (folder, result) in diagnostics::check_cache_folders() {
        let detail = folder.display().to_string();
        report.add(match result {
            Ok(()) => Check::new("cache", Status::Ok, detail),
            Err(why) => Check::new("cache", Status::Failed, format!("{detail}: {why}"))
                .hint("delete the folder, or choose another one with RIFE_CACHE_DIR"),
        })?;
    }
    Ok(())
}

fn check_ffmpeg(report: &mut Report, args: &DoctorArgs) -> Result<()> {
    const HINT: &str = "install ffmpeg (https://ffmpeg.org); images and Y4M do not need it";
    let programs = match Programs::find(args.ffmpeg.as_deref()) {
        Ok(programs) => programs,
        Err(error) => {
            // A program that was named should be there.
            let missing =
                args.ffmpeg.is_none() && matches!(error, rife_video::Error::NoProgram { .. });
            let status = if missing { Status::Absent } else { Status::Failed };
            return report.add(Check::new("ffmpeg", status, error.to_string()).hint(HINT));
        }
    };
    let detail = format!("{} {}", programs.ffmpeg.display(), programs.build);
    report.add(Check::new("ffmpeg", Status::Ok, detail))?;
    let statuses = match rife_video::check_encoders(&programs) {
        Ok(statuses) => statuses,
        Err(error) => {
            let check = Check::new("encoders", Status::Failed, error.to_string());
            return report.add(check.hint("install another build of ffmpeg"));
        }
    };
    for status in statuses {
        let name = format!("encoder for {}", status.codec);
        report.add(match status.result {
            Ok(()) => Check::new(name, Status::Ok, status.encoder),
            // Builds list hardware encoders that this machine does not have.
            Err(error) => Check::new(name, Status::Absent, error.to_string()),
        })?;
    }
    Ok(())
}

/// The hashes of the weights, and the self-tests, which need weights.
fn check_weights_and_engines(
    report: &mut Report,
    args: &DoctorArgs,
    engines: &[Availability],
) -> Result<()> {
    let store = Store::locate(args.weights.dir.as_deref())?;
    if let Err(error) = std::fs::read_dir(store.dir())
        && error.kind() != std::io::ErrorKind::NotFound
    {
        let detail = format!("{}: {error}", store.dir().display());
        report.add(Check::new("weights folder", Status::Failed, detail))?;
    }
    for version in ModelVersion::ALL {
        for (path, verified) in store.verify(version) {
            let name = format!("weights of RIFE {version}");
            report.add(match verified {
                Ok(_) => Check::new(name, Status::Ok, path.display().to_string()),
                Err(error) => {
                    let hint = error.hint();
                    let check = Check::new(name, Status::Failed, describe(&error.into()));
                    Check { hint, ..check }
                }
            })?;
        }
    }
    for version in TESTED {
        let name = format!("self-tests of RIFE {version}");
        let test = match store.find(version) {
            Ok(weights) => SelfTest::new(&weights).map_err(anyhow::Error::from),
            Err(WeightsError::Missing { .. }) => {
                let check = Check::new(name, Status::Absent, "skipped: the weights are missing");
                report.add(check.hint("`rife weights fetch` fetches them"))?;
                continue;
            }
            Err(error) => Err(error.into()),
        };
        match test {
            Ok(test) => run_self_tests(report, &test, version, engines)?,
            Err(error) => report.add(Check::new(name, Status::Failed, describe(&error)))?,
        }
    }
    Ok(())
}

fn run_self_tests(
    report: &mut Report,
    test: &SelfTest,
    version: ModelVersion,
    engines: &[Availability],
) -> Result<()> {
    const HINT: &str = "--device auto does not choose this engine; report this with the output of \
                        `rife doctor --json`";
    for available in engines.iter().filter(|available| available.state.is_ok()) {
        for precision in &available.precisions {
            let (engine, device) = (available.engine, available.device);
            let name = format!("RIFE {version} {engine} {precision} on {device}");
            let check = match test.run(engine, device, *precision) {
                Ok(outcome) => {
                    let (psnr, max) = (outcome.psnr_db, outcome.max_error);
                    let ms = outcome.time.as_secs_f64() * 1e3;
                    let detail =
                        format!("{psnr:.1} dB, max error {max:.2}/255, {ms:.2} ms a frame");
                    let status = if outcome.passed { Status::Ok } else { Status::Failed };
                    let values = json!({ "psnr_db": psnr, "max_error": max, "time_ms": ms });
                    Check { values, ..Check::new(name, status, detail) }
                }
                Err(error) => Check::new(name, Status::Failed, describe(&error.into())),
            };
            report.add(match check.status {
                Status::Failed => check.hint(HINT),
                _ => check,
            })?;
        }
    }
    Ok(())
}
