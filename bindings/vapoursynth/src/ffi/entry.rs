//! The entry points that VapourSynth calls.

use std::any::Any;
use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vapoursynth_sys as vs;

use super::api::{Api, Core};
use super::map::{Map, MapMut};

/// The version of the API that the plugin needs: 4.0.
const API_VERSION: c_int = (vs::VAPOURSYNTH_API_MAJOR << 16) as c_int;

/// A function of the plugin.
pub(crate) trait Function {
    /// Its name, as scripts call it.
    const NAME: &CStr;
    /// Its parameters, in VapourSynth's notation.
    const PARAMETERS: &CStr;
    /// Its return values, in VapourSynth's notation.
    const RESULT: &CStr;

    /// Reads the arguments and sets the result.
    ///
    /// # Errors
    /// The message is raised as an exception in the script.
    fn call(arguments: Map<'_>, result: &mut MapMut<'_>, core: Core) -> Result<(), String>;
}

/// Where a plugin registers its functions.
pub(crate) struct Registry<'a> {
    plugin: *mut vs::VSPlugin,
    api: &'a vs::VSPLUGINAPI,
}

impl Registry<'_> {
    /// # Safety
    /// The pointers must be null or those that VapourSynth passes to a plugin.
    pub(crate) unsafe fn new(
        plugin: *mut vs::VSPlugin,
        api: *const vs::VSPLUGINAPI,
    ) -> Option<Self> {
        // SAFETY: the table is valid during the call.
        unsafe { api.as_ref() }.map(|api| Self { plugin, api })
    }

    /// Registers the plugin.
    pub(crate) fn plugin(&self, identifier: &CStr, namespace: &CStr, name: &CStr) {
        let Some(config) = self.api.configPlugin else { return };
        let part = |text: &str| text.parse::<c_int>().unwrap_or(0);
        let version =
            part(env!("CARGO_PKG_VERSION_MAJOR")) << 16 | part(env!("CARGO_PKG_VERSION_MINOR"));
        // SAFETY: the plugin is the one being loaded; the texts are copied.
        unsafe {
            config(
                identifier.as_ptr(),
                namespace.as_ptr(),
                name.as_ptr(),
                version,
                API_VERSION,
                0,
                self.plugin,
            );
        }
    }

    /// Registers a function.
    pub(crate) fn function<F: Function>(&self) {
        let Some(register) = self.api.registerFunction else { return };
        // SAFETY: the plugin is the one being loaded; the texts are copied.
        unsafe {
            register(
                F::NAME.as_ptr(),
                F::PARAMETERS.as_ptr(),
                F::RESULT.as_ptr(),
                Some(call::<F>),
                std::ptr::null_mut(),
                self.plugin,
            );
        }
    }
}

unsafe extern "C" fn call<F: Function>(
    arguments: *const vs::VSMap,
    result: *mut vs::VSMap,
    _: *mut c_void,
    core: *mut vs::VSCore,
    api: *const vs::VSAPI,
) {
    // SAFETY: VapourSynth passes its table, and maps that are valid during the call.
    let Some(api) = (unsafe { Api::new(api) }) else { return };
    // SAFETY: as above.
    let (arguments, mut result) = unsafe { (Map::new(api, arguments), MapMut::new(api, result)) };
    let core = Core { api, raw: core };
    let done = catch_unwind(AssertUnwindSafe(|| F::call(arguments, &mut result, core)))
        .unwrap_or_else(|panic| Err(panic_message(&*panic)));
    if let Err(message) = done {
        result.set_error(&format!("{}: {message}", F::NAME.to_string_lossy()));
    }
}

/// The message of a panic, as an error.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("internal error: {}", text.as_deref().unwrap_or("panic"))
}
