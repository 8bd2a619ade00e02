//! The three main comparisons of a benchmark: baseline and optimized engine in F32, both in F16 (on
//! a CPU BF16), and the optimized engine in F32 and in F16.

use super::facts::{device_fps, end_to_end_fps, find, latency_fps, models, ram_mib, ratio};
use crate::measure::Measurement;
use crate::measure::fidelity::Fidelity;
use crate::record::Record;
use crate::subject::{Engine, Precision, Size};

/// PSNR from which frames differ only by rounding: below half a 16-bit step.
const ROUNDING_DB: f64 = 100.0;
/// PSNR from which differences are invisible: a tenth of an 8-bit step on average.
const INVISIBLE_DB: f64 = 60.0;
/// Error from which a single sample may be visible in a still area.
const VISIBLE: f64 = 4.0 / 255.0;
/// PSNR from which differences are visible when alternating frames, but not in a video.
const CLOSE_DB: f64 = 45.0;

/// One configuration compared with another.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// The configuration that it is compared with.
    pub from: &'a Measurement,
    /// The configuration.
    pub to: &'a Measurement,
    /// Frame size.
    pub size: Size,
    /// Ratio of frames per second in the first mode that both measured.
    pub speed: Option<f64>,
    /// Ratio of memory: of the GPU, or of the process without the clip.
    pub memory: Option<f64>,
    /// Fidelity; `None` if not compared.
    pub fidelity: Option<&'a Fidelity>,
}

impl Pair<'_> {
    /// The configurations, without the model.
    pub fn name(&self) -> String {
        let (from, to) = (self.from.config, self.to.config);
        format!("{} {} vs {} {}", from.engine, from.precision, to.engine, to.precision)
    }

    /// Summary in words.
    pub fn words(&self) -> String {
        let speed = self.speed.map(|speed| match speed {
            // Anything that rounds to 1.00 is not slower.
            s if s >= 0.995 => format!("{s:.2}x as fast"),
            s => format!("slower ({s:.2}x)"),
        });
        let memory = self.memory.map(|memory| format!("{:.0}% of the memory", 100.0 * memory));
        let parts: Vec<_> =
            [speed, memory, self.fidelity.map(closeness)].into_iter().flatten().collect();
        if parts.is_empty() { "not measured".into() } else { parts.join(", ") }
    }
}

fn closeness(fidelity: &Fidelity) -> String {
    let db = fidelity.psnr_db.0;
    if fidelity.non_finite > 0 {
        return "non-finite samples".into();
    }
    let word = match db {
        f64::INFINITY => return "bit-identical frames".into(),
        db if db >= ROUNDING_DB => "identical except for rounding",
        db if db >= INVISIBLE_DB && fidelity.max_error <= VISIBLE => "no visible difference",
        db if db >= INVISIBLE_DB => "no visible difference except in single pixels",
        db if db >= CLOSE_DB => "close",
        _ => "different frames",
    };
    format!("{word} ({db:.1} dB, max error {:.3}/255)", 255.0 * fidelity.max_error)
}

/// The comparisons of every model at every size, as far as both configurations succeeded.
pub fn pairs(record: &Record) -> Vec<Pair<'_>> {
    let mut all = Vec::new();
    for (size, clip_mib) in record.settings.sizes() {
        for model in models(record) {
            let find = |engine, precision| {
                find(record, size, (model, engine, precision)).filter(|m| m.error.is_none())
            };
            let reduced = [Precision::F16, Precision::Bf16];
            let fast = reduced.into_iter().find(|p| find(Engine::Optimized, *p).is_some());
            let fast = fast.unwrap_or(Precision::F16);
            for (from, to) in [
                ((Engine::Baseline, Precision::F32), (Engine::Optimized, Precision::F32)),
                ((Engine::Baseline, fast), (Engine::Optimized, fast)),
                ((Engine::Optimized, Precision::F32), (Engine::Optimized, fast)),
            ] {
                if let (Some(from), Some(to)) = (find(from.0, from.1), find(to.0, to.1)) {
                    all.push(pair(record, from, to, size, clip_mib));
                }
            }
        }
    }
    all
}

fn pair<'a>(
    record: &'a Record,
    from: &'a Measurement,
    to: &'a Measurement,
    size: Size,
    clip_mib: f64,
) -> Pair<'a> {
    let memory = |m: &Measurement| {
        let process = ram_mib(m).map(|mib| mib - clip_mib);
        m.peak_gpu_mib().or(process).filter(|mib| *mib > 0.0)
    };
    let ratio = |of: &dyn Fn(&Measurement) -> Option<f64>| ratio(of(to), of(from));
    let speed =
        ratio(&latency_fps).or_else(|| ratio(&end_to_end_fps)).or_else(|| ratio(&device_fps));
    let own = to.fidelity.as_ref().filter(|f| f.reference == from.config);
    let other = record.comparisons.iter().find(|one| {
        one.config == to.config
            && one.fidelity.reference == from.config
            && one.size.unwrap_or(record.settings.size) == size
    });
    let fidelity = own.or(other.map(|one| &one.fidelity)).filter(|f| !f.psnr_db.0.is_nan());
    Pair { from, to, size, speed, memory: ratio(&memory), fidelity }
}

#[cfg(test)]
mod tests {
    use rife_model::ModelVersion;

    use super::*;
    use crate::metrics::Difference;
    use crate::subject::Config;

    #[test]
    fn words_describe_speed_memory_and_fidelity() {
        let config = Config::reference(ModelVersion::V4_6);
        let measurement = Measurement::new(config);
        let of = |mse: f64, max_error: f64, speed| {
            let frame = Difference { max_error, ..Difference::of_mse(mse) };
            let size = Size { width: 16, height: 16 };
            let fidelity = Fidelity::of(config, vec![frame]);
            let (from, to, fidelity) = (&measurement, &measurement, fidelity.as_ref());
            Pair { from, to, size, speed, memory: Some(0.254), fidelity }.words()
        };
        let words = |mse: f64, speed| of(mse, mse.sqrt(), speed);
        assert_eq!(words(0.0, Some(2.0)), "2.00x as fast, 25% of the memory, bit-identical frames");
        assert!(
            words(1e-11, None).ends_with("except for rounding (110.0 dB, max error 0.001/255)")
        );
        assert!(words(1e-7, None).contains("no visible difference ("));
        assert!(of(1e-7, 0.1, None).contains("no visible difference except in single pixels"));
        assert!(words(1e-5, None).contains("close"));
        assert!(words(1e-3, Some(0.5)).starts_with("slower (0.50x)"));
    }
}
