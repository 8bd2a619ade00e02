//! `core.rifers.Version()`.

use std::ffi::CStr;

use rife_runtime::{ModelVersion, engines};

use crate::ffi::{Core, Function, Map, MapMut};
use crate::nvrtc;

/// Returns the version of the plugin, the supported models, and the usable engines and devices.
pub(crate) struct Version;

impl Function for Version {
    const NAME: &CStr = c"Version";
    const PARAMETERS: &CStr = c"";
    const RESULT: &CStr = c"version:data;models:data[];devices:data[];engines:data[];";

    fn call(_: Map<'_>, result: &mut MapMut<'_>, core: Core) -> Result<(), String> {
        nvrtc::preload(core);
        result.append_text(c"version", env!("CARGO_PKG_VERSION"));
        for model in ModelVersion::ALL {
            result.append_text(c"models", &model.to_string());
        }
        let mut devices = Vec::new();
        for engine in engines() {
            let Ok(details) = &engine.state else { continue };
            let name = format!("{} on {}: {details}", engine.engine, engine.device);
            result.append_text(c"engines", &name);
            if !devices.contains(&engine.device) {
                devices.push(engine.device);
            }
        }
        for device in devices {
            result.append_text(c"devices", &device.to_string());
        }
        Ok(())
    }
}
