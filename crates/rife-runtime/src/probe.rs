//! Whether an engine can run on a device.

/// Why an engine cannot run on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// This build does not include the engine.
    NotBuilt(String),
    /// There is no such device, or no driver. Not a fault of the machine.
    NoDevice(String),
    /// The device or its driver is present but does not work.
    Broken(String),
}

impl Unavailable {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::NotBuilt(reason) | Self::NoDevice(reason) | Self::Broken(reason) => reason,
        }
    }
}

/// A description of the hardware that an engine would run on, or why it cannot run.
pub(crate) type Probe = Result<String, Unavailable>;

/// Formats a number of threads.
pub(crate) fn count_of_threads(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}
