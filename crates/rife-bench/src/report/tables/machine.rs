//! What a record was measured on, with what, and how.

use std::fmt::Write;

use crate::record::Record;
use crate::report::figures::three;
use crate::report::grid::{code, escape};

/// Something to know of a record.
pub struct Fact {
    /// What it is.
    pub what: &'static str,
    /// What there is to know.
    pub value: String,
    /// Whether that is what somebody types.
    pub code: bool,
}

/// What a reader must know to repeat a record.
pub fn facts(record: &Record) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |what, value: String| {
        if !value.is_empty() {
            facts.push(Fact { what, value, code: false });
        }
    };
    let (machine, build, settings) = (&record.machine, &record.build, &record.settings);
    let mut processor = if machine.cpu.is_empty() { "unknown" } else { &machine.cpu }.to_owned();
    // Writing to a string cannot fail.
    let _ = write!(processor, ", {} cores", machine.cores);
    if let Some(mib) = machine.ram_mib {
        let _ = write!(processor, ", {} GiB RAM", three(mib / 1024.0));
    }
    let gpu = |gpu: &crate::measure::gpu::GpuFacts| {
        format!("{} ({} GiB)", gpu.name, three(gpu.memory_mib / 1024.0))
    };
    let gpus: Vec<_> = machine.gpus.iter().map(gpu).collect();
    fact("GPU", gpus.join(", "));
    fact("driver", machine.gpu_driver.clone().unwrap_or_default());
    fact("processor", processor);
    fact("system", machine.os.clone());
    let environment = machine.environment.iter().map(|(key, value)| format!("{key}={value}"));
    fact("environment", environment.collect::<Vec<_>>().join(" "));
    let flags = if build.rustflags.is_empty() {
        String::new()
    } else {
        format!(", flags {}", build.rustflags)
    };
    fact(
        "versions",
        format!(
            "rife-bench {}, {}, candle {}, {}{flags}",
            build.version, build.rustc, build.candle, build.target
        ),
    );
    let dirty = |dirty| if dirty { ", with changes" } else { "" };
    let commit = record.git.as_ref().map(|git| format!("{}{}", git.commit, dirty(git.dirty)));
    fact("commit", commit.unwrap_or_default());
    let source = &settings.clip;
    let sizes: Vec<_> = settings.sizes().iter().map(|(size, _)| size.to_string()).collect();
    let budget = settings.budget_s.map(|s| format!(", at most {} s each", three(s)));
    fact(
        "measured",
        format!(
            "{} on {}, {source}, {} x {} frames after {} to warm up{}; {}",
            sizes.join(", "),
            settings.device,
            settings.repeats,
            settings.frames,
            settings.warmup,
            budget.unwrap_or_default(),
            record.time_utc
        ),
    );
    facts.push(Fact { what: "command", value: record.command.clone(), code: true });
    facts
}

/// The same as a list of Markdown.
pub fn markdown(record: &Record) -> String {
    let mut text = String::new();
    for fact in facts(record) {
        let value = if fact.code { code(&fact.value) } else { escape(&fact.value) };
        let _ = writeln!(text, "- {}: {value}", fact.what);
    }
    text
}
