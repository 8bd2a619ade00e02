//! The function table, and the core.

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use vapoursynth_sys as vs;

/// VapourSynth's function table.
#[derive(Clone, Copy)]
pub(crate) struct Api(NonNull<vs::VSAPI>);

// SAFETY: the table is constant, and its functions may be called from any thread.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

/// Calls a function of the table. The caller must uphold the requirements in VapourSynth's header.
macro_rules! call {
    ($api:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $api.table().$function {
            Some(function) => function($($argument),*),
            None => $crate::ffi::api::missing(stringify!($function)),
        }
    };
}
pub(super) use call;

/// Panics. VapourSynth provides every function of the API version that a plugin requests.
pub(super) fn missing(function: &str) -> ! {
    panic!("VapourSynth's API has no function {function}")
}

impl Api {
    /// # Safety
    /// `table` must be null or VapourSynth's table, which it keeps as long as plugins are loaded.
    pub(super) unsafe fn new(table: *const vs::VSAPI) -> Option<Self> {
        NonNull::new(table.cast_mut()).map(Self)
    }

    pub(super) fn table(&self) -> &vs::VSAPI {
        // SAFETY: `new` received VapourSynth's table, which is constant and outlives the plugin.
        unsafe { self.0.as_ref() }
    }
}

/// Severity of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Information,
    Warning,
}

/// The core that a call belongs to. Valid during the call.
#[derive(Clone, Copy)]
pub(crate) struct Core {
    pub(super) api: Api,
    pub(super) raw: *mut vs::VSCore,
}

impl Core {
    /// The number of threads on which the core runs filters.
    pub(crate) fn threads(&self) -> usize {
        // SAFETY: all zeros is a valid value: numbers and a null pointer.
        let mut info: vs::VSCoreInfo = unsafe { std::mem::zeroed() };
        // SAFETY: `raw` is the core of the current call, and `info` is writable.
        unsafe { call!(self.api, getCoreInfo(self.raw, &raw mut info)) };
        usize::try_from(info.numThreads).unwrap_or(1).max(1)
    }

    /// Sends a message to the handlers that the application registered.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Information => vs::VSMessageType_mtInformation,
            LogLevel::Warning => vs::VSMessageType_mtWarning,
        };
        let message = c_string(&format!("rifers: {message}"));
        // SAFETY: `raw` is the core of the current call; the message is copied.
        unsafe { call!(self.api, logMessage(level as c_int, message.as_ptr(), self.raw)) };
    }
}

/// A C string, with NUL bytes replaced.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
