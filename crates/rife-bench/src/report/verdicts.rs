//! The three comparisons that a benchmark is read for, a line each: the baseline and the optimized
//! engine in F32, both in F16 (a CPU: BF16), and the optimized engine in F32 and in that.

use crate::measure::Measurement;
use crate::measure::fidelity::Fidelity;
use crate::record::Record;
use crate::report::facts::{device_fps, end_to_end_fps, latency_fps, ram_mib};
use crate::subject::{Case, Engine, Precision, Size};

/// PSNR from which on two ways of computing differ by rounding alone: below half a step of 16 bits.
const ROUNDING_DB: f64 = 100.0;
/// PSNR from which on nobody tells frames apart: a tenth of a step of 8 bits on average.
const INVISIBLE_DB: f64 = 60.0;
/// Error of a single sample from which on it may be seen where nothing else moves.
const VISIBLE: f64 = 4.0 / 255.0;
/// PSNR from which on a flickering comparison shows something, and a film does not.
const CLOSE_DB: f64 = 45.0;

/// One configuration held against another.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The one that it is held against.
    pub from: Case,
    /// What is compared.
    pub to: Case,
    /// Size of their frames.
    pub size: Size,
    /// Frames a second of `to` over those of `from`, one frame at a time; `None` where that was
    /// not measured of both.
    pub speed: Option<f64>,
    /// Memory of `to` over that of `from`: the GPU's, or the process's without the clip.
    pub memory: Option<f64>,
    /// How near the frames are; `None` where they were not compared.
    pub fidelity: Option<Fidelity>,
}

impl Verdict {
    /// What it comes down to, in words.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if let Some(speed) = self.speed.filter(|s| s.is_finite()) {
            parts.push(match speed {
                // What rounds to as fast is not slower.
                s if s >= 0.995 => format!("{s:.2} times as fast"),
                s => format!("slower, at {s:.2} of the speed"),
            });
        }
        if let Some(memory) = self.memory.filter(|m| m.is_finite()) {
            parts.push(format!("{:.0}% of the memory", 100.0 * memory));
        }
        if let Some(fidelity) = &self.fidelity {
            parts.push(near(fidelity));
        }
        if parts.is_empty() { "nothing of both was measured".into() } else { parts.join(", ") }
    }
}

fn near(fidelity: &Fidelity) -> String {
    let db = fidelity.psnr_db.0;
    if fidelity.non_finite > 0 {
        return "samples that are no numbers".into();
    }
    let word = match db {
        f64::INFINITY => return "the same frames, bit for bit".into(),
        db if db >= ROUNDING_DB => "the same frames but for rounding",
        db if db >= INVISIBLE_DB && fidelity.max_error <= VISIBLE => "no difference to be seen",
        db if db >= INVISIBLE_DB => "no difference but at single pixels",
        db if db >= CLOSE_DB => "close",
        _ => "different frames",
    };
    let largest = 255.0 * fidelity.max_error;
    format!("{word} ({db:.1} dB, at most {largest:.3}/255)")
}

/// Of every model at every size, in the order in which they are read; those of which neither
/// configuration was measured are left out.
pub fn of(record: &Record) -> Vec<Verdict> {
    let mut all = Vec::new();
    for (size, clip_mib) in record.settings.sizes() {
        let here: Vec<&Measurement> = record
            .measurements
            .iter()
            .filter(|m| m.size.unwrap_or(record.settings.size) == size && m.error.is_none())
            .collect();
        let mut models: Vec<_> = here.iter().map(|m| m.case.model).collect();
        models.dedup();
        for model in models {
            let find = |engine, precision| {
                let wanted = |m: &&&Measurement| {
                    (m.case.model, m.case.engine, m.case.precision) == (model, engine, precision)
                };
                here.iter().find(wanted).copied()
            };
            let half = [Precision::F16, Precision::Bf16];
            let fast = half.into_iter().find(|p| find(Engine::Optimized, *p).is_some());
            let fast = fast.unwrap_or(Precision::F16);
            for (from, to) in [
                ((Engine::Baseline, Precision::F32), (Engine::Optimized, Precision::F32)),
                ((Engine::Baseline, fast), (Engine::Optimized, fast)),
                ((Engine::Optimized, Precision::F32), (Engine::Optimized, fast)),
            ] {
                if let (Some(from), Some(to)) = (find(from.0, from.1), find(to.0, to.1)) {
                    all.push(verdict(record, from, to, size, clip_mib));
                }
            }
        }
    }
    all
}

fn verdict(
    record: &Record,
    from: &Measurement,
    to: &Measurement,
    size: Size,
    clip_mib: f64,
) -> Verdict {
    let memory = |m: &Measurement| {
        let process = ram_mib(m).map(|mib| mib - clip_mib);
        m.peak_gpu_mib().or(process).filter(|mib| *mib > 0.0)
    };
    let ratio = |of: &dyn Fn(&Measurement) -> Option<f64>| Some(of(to)? / of(from)?);
    // By one mode, whichever both have.
    let speed =
        ratio(&latency_fps).or_else(|| ratio(&end_to_end_fps)).or_else(|| ratio(&device_fps));
    let own = to.fidelity.as_ref().filter(|f| f.reference == from.case);
    let pair = record.comparisons.iter().find(|pair| {
        pair.case == to.case
            && pair.fidelity.reference == from.case
            && pair.size.unwrap_or(record.settings.size) == size
    });
    Verdict {
        from: from.case,
        to: to.case,
        size,
        speed,
        memory: ratio(&memory),
        fidelity: own.or(pair.map(|pair| &pair.fidelity)).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::metrics::{Difference, Psnr};

    #[test]
    fn words_say_how_far_frames_are() {
        let case = Case::reference(ModelVersion::V4_6);
        let of = |mse: f64, max_error: f64, speed| {
            let frame = Difference {
                psnr_db: Psnr::from_mse(mse),
                ssim: 1.0,
                mse,
                max_error,
                mean_error: mse,
                differing_8_bit_share: 0.0,
                non_finite: 0,
            };
            let size = Size { width: 16, height: 16 };
            let fidelity = Fidelity::of(case, vec![frame]);
            let memory = Some(0.254);
            Verdict { from: case, to: case, size, speed, memory, fidelity }.words()
        };
        let words = |mse: f64, speed| of(mse, mse.sqrt(), speed);
        assert_eq!(
            words(0.0, Some(2.0)),
            "2.00 times as fast, 25% of the memory, the same frames, bit for bit"
        );
        assert!(words(1e-11, None).ends_with("but for rounding (110.0 dB, at most 0.001/255)"));
        assert!(words(1e-7, None).contains("no difference to be seen"));
        assert!(of(1e-7, 0.1, None).contains("no difference but at single pixels"));
        assert!(words(1e-5, None).contains("close"));
        assert!(words(1e-3, Some(0.5)).starts_with("slower, at 0.50 of the speed"));
    }
}
