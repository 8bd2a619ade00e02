//! Machine, versions and settings of a record.

use std::fmt::Write;

use crate::measure::gpu::GpuFacts;
use crate::record::Record;
use crate::report::facts::{cpu, settings};
use crate::report::figures::three;
use crate::report::grid::{code, escape};

/// A fact about a record.
pub struct Fact {
    pub what: &'static str,
    pub value: String,
    /// Whether the value is code.
    pub code: bool,
}

/// What is needed to reproduce a record.
pub fn facts(record: &Record) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |what, value: String| {
        if !value.is_empty() {
            facts.push(Fact { what, value, code: false });
        }
    };
    let header = &record.header;
    let (machine, build) = (&header.machine, &header.build);
    let gpu = |gpu: &GpuFacts| format!("{} ({} GiB)", gpu.name, three(gpu.memory_mib / 1024.0));
    let gpus: Vec<_> = machine.gpus.iter().map(gpu).collect();
    fact("GPU", gpus.join(", "));
    fact("driver", machine.gpu_driver.clone().unwrap_or_default());
    fact("CPU", cpu(header));
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
    let dirty = |dirty| if dirty { ", with local changes" } else { "" };
    let commit = header.git.as_ref().map(|git| format!("{}{}", git.commit, dirty(git.dirty)));
    fact("commit", commit.unwrap_or_default());
    fact("settings", format!("{}; {}", settings(record), header.time_utc));
    facts.push(Fact { what: "command", value: header.command.clone(), code: true });
    facts
}

/// The facts as a Markdown list.
pub fn markdown(record: &Record) -> String {
    let mut text = String::new();
    for fact in facts(record) {
        let value = if fact.code { code(&fact.value) } else { escape(&fact.value) };
        let _ = writeln!(text, "- {}: {value}", fact.what);
    }
    text
}
