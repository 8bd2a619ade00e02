//! Forwards log messages of the crates to the Python logger `rife`.

use std::fmt::{Debug, Write};
use std::sync::Once;

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::exit::try_attached;

/// Installs the bridge, unless the process already has a subscriber.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| _ = tracing::subscriber::set_global_default(Bridge));
}

/// Logs a message of a job, at a level that depends on its prefix.
pub(crate) fn log_line(py: Python<'_>, line: &str) -> PyResult<()> {
    let level = match line.split_once(": ") {
        Some(("warning" | "lost" | "changed", _)) => "warning",
        _ => "info",
    };
    log(py, level, line)
}

/// Logs a line with a method of Python's loggers, such as `warning`.
pub(crate) fn log(py: Python<'_>, level: &str, line: &str) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", ("rife",))?;
    // The line is an argument: it may contain percent signs.
    logger.call_method1(level, ("%s", line)).map(drop)
}

struct Bridge;

impl Subscriber for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("rife")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            _ => "info",
        };
        // Fails while the interpreter shuts down. A handler that raises must not stop a job.
        let _ = try_attached(|py| log(py, level, &message.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
