//! The golden files written by `tools/reference.py`.

use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use crate::lines;

/// One run of the PyTorch reference implementation.
#[derive(Debug)]
pub struct GoldenCase {
    /// The name of the case.
    pub name: String,
    /// Whether it ran with [`crate::random_weights`] (seed 7) instead of the published weights.
    pub random_weights: bool,
    /// The two frames: `(1, 3, H, W)`, F32 in [0, 1], not padded.
    pub frames: [Tensor; 2],
    /// One timestep per batch item. All items have the same frames.
    pub timesteps: Vec<f32>,
    /// The scale of the flow.
    pub scale: f64,
    /// Whether ensemble mode was on.
    pub ensemble: bool,
    /// Whether F16 is compared with it. At quarter scale, block outputs are multiplied by up to
    /// 64 px, and so are the rounding errors of F16.
    pub f16: bool,
    /// The first column of `image` and `flows` in the frame.
    pub first_column: usize,
    /// The interpolated frames: `(B, 3, H, columns)`, without padding.
    pub image: Tensor,
    /// The flow after each block, every `flow_step`th pixel: `(blocks, B, 4, rows, columns)`.
    pub flows: Tensor,
    /// The distance between samples of the flow, in px.
    pub flow_step: usize,
}

/// A golden file.
#[derive(Debug)]
pub struct Golden {
    /// The version of the network, such as `4.6`.
    pub version: String,
    /// The cases.
    pub cases: Vec<GoldenCase>,
}

impl Golden {
    /// Loads a golden file. It is part of the source tree, so an invalid file is a bug.
    ///
    /// # Panics
    /// When the file is missing or was not written by `tools/reference.py`.
    pub fn load(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::parse(&bytes).unwrap_or_else(|| panic!("{} is not a golden file", path.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let meta: serde_json::Value =
            serde_json::from_str(header.metadata().as_ref()?.get("rife")?).ok()?;
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu).ok()?;
        let flow_step = meta["flow_step"].as_u64()? as usize;
        let case = |entry: &serde_json::Value| {
            let name = entry["name"].as_str()?.to_owned();
            let frames = match entry["frames"].as_str()? {
                "lines" => {
                    let size = |key: &str| Some(entry[key].as_u64()? as usize);
                    let (w, h) = (size("width")?, size("height")?);
                    let pan = |i: usize| entry["pan"][i].as_i64();
                    [frame(lines(w, h, 0, 0), h, w)?, frame(lines(w, h, pan(0)?, pan(1)?), h, w)?]
                }
                _ => {
                    let stored = |key: &str| {
                        let t = tensors.get(&format!("{name}/{key}"))?;
                        let (_, h, w) = t.dims3().ok()?;
                        frame(t.flatten_all().ok()?.to_vec1().ok()?, h, w)
                    };
                    [stored("frame0")?, stored("frame1")?]
                }
            };
            Some(GoldenCase {
                random_weights: entry["weights"] == "random",
                frames,
                timesteps: entry["timesteps"]
                    .as_array()?
                    .iter()
                    .map(|t| Some(t.as_f64()? as f32))
                    .collect::<Option<_>>()?,
                scale: entry["scale"].as_f64()?,
                ensemble: entry["ensemble"].as_bool()?,
                f16: entry["f16"].as_bool()?,
                first_column: entry["first_column"].as_u64()? as usize,
                image: tensors.get(&format!("{name}/image"))?.clone(),
                flows: tensors.get(&format!("{name}/flows"))?.clone(),
                flow_step,
                name,
            })
        };
        Some(Self {
            version: meta["version"].as_str()?.to_owned(),
            cases: meta["cases"].as_array()?.iter().map(case).collect::<Option<_>>()?,
        })
    }
}

fn frame(rgb8_planar: Vec<u8>, height: usize, width: usize) -> Option<Tensor> {
    let values: Vec<f32> = rgb8_planar.into_iter().map(|v| f32::from(v) / 255.0).collect();
    Tensor::from_vec(values, (1, 3, height, width), &Device::Cpu).ok()
}
