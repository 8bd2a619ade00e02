//! The settings of a run that determine its output, as text.

use rife_runtime::{Engine, Optimization, PixelFormat, diagnostics};

use crate::job::journal::Fingerprint;
use crate::pipeline::DeviceWorker;
use crate::settings::{CutMode, Settings};
use crate::{Rate, pipe_pix_fmt, raw_format};

/// Returns the fingerprint of a run. [`crate::Job`] adds the encoder and the input.
pub fn fingerprint(workers: &[DeviceWorker], settings: &Settings, rate: Rate) -> Fingerprint {
    let mut all = Fingerprint::new();
    let mut add = |key: String, value: String| _ = all.insert(key, value);
    add("rate".into(), rate.to_string());
    add("input size".into(), settings.size.to_string());
    add("input format".into(), in_words(settings, settings.input));
    add("output format".into(), in_words(settings, settings.format));
    let scenes = &settings.scenes;
    let cut_mode = match scenes.cut_mode {
        CutMode::Hold => "hold",
        CutMode::Blend => "blend",
    };
    add(
        "scene cuts".into(),
        match scenes.cut_threshold.is_finite() {
            true => format!("{cut_mode} above {} %", scenes.cut_threshold),
            false => "ignored".into(),
        },
    );
    add("static threshold".into(), format!("{} %", scenes.still_threshold));
    if scenes.longest_hold > 1 {
        add("held drawings".into(), format!("up to {} frames", scenes.longest_hold));
    }
    for (number, worker) in workers.iter().enumerate() {
        let info = worker.interpolator.info();
        // A single device is not numbered.
        let of = |what: &str| match workers.len() {
            1 => what.to_owned(),
            _ => format!("{what} {}", number + 1),
        };
        let description = &info.description;
        add(of("model"), info.model.to_string());
        add(of("weights"), info.weights.tensors_sha256.to_string());
        add(of("engine"), info.engine.to_string());
        // The device index does not affect results, the architecture does.
        add(of("device"), description.device.clone());
        add(of("precision"), info.precision.to_string());
        if info.engine == Engine::Optimized && info.device.starts_with("cuda") {
            let compiler = diagnostics::kernel_compiler_version();
            add(of("kernel compiler"), compiler.unwrap_or("cached kernels only".into()));
        }
        add(of("arithmetic"), arithmetic(&description.arithmetic, info.engine));
        let in_effect = |one: &Optimization| description.optimizations.has(*one);
        let optimizations: Vec<_> =
            Optimization::ALL.into_iter().filter(in_effect).map(Optimization::as_str).collect();
        add(of("optimizations"), optimizations.join(", "));
        add(of("scale"), info.scale.to_string());
        add(of("ensemble"), if info.ensemble { "on" } else { "off" }.into());
    }
    all
}

/// Arithmetic and instruction set. The number of threads is removed if results do not depend on it.
fn arithmetic(text: &str, engine: Engine) -> String {
    match text.rsplit_once(", ") {
        Some((rest, threads)) if engine == Engine::Optimized && threads.contains("thread") => {
            rest.to_owned()
        }
        _ => text.to_owned(),
    }
}

fn in_words(settings: &Settings, format: PixelFormat) -> String {
    let name = match raw_format(settings.size, format) {
        Some(raw) => pipe_pix_fmt(&raw),
        None => "planar F32".into(),
    };
    match format {
        PixelFormat::Yuv(yuv) => {
            let range = if yuv.full_range { "full" } else { "limited" };
            let (matrix, siting) = (format!("{:?}", yuv.matrix), format!("{:?}", yuv.siting));
            format!(
                "{name}, matrix {}, {range} range, chroma {}",
                matrix.to_lowercase(),
                siting.to_lowercase()
            )
        }
        _ => name,
    }
}
